"""Parquet logs and item tables: damaged bytes, and whole files of odd types."""

from __future__ import annotations

from pathlib import Path

from tests.robustness import mutations
from tests.robustness.trial import Kind, Trial

TYPES = (
    "VARCHAR", "BIGINT", "DOUBLE", "TIMESTAMP", "DATE", "BLOB", "HUGEINT", "BOOLEAN", "INTEGER[]", "STRUCT(a INTEGER)",
    "MAP(VARCHAR, INTEGER)", "DECIMAL(18,3)", "TIME", "INTERVAL", "UUID", "TIMESTAMPTZ", "UTINYINT", "TIMESTAMP_NS",
)  # fmt: skip


def make(folder: Path) -> None:
    """A log and a table of items, and logs whose columns are of every type."""
    import duckdb

    rows = "SELECT 'u' || (i * 7 % 12) AS user, 'i' || (i * 3 % 10) AS item, 1600000000 + i * 977 AS time FROM range(60) t(i)"
    duckdb.sql(f"COPY ({rows}) TO '{folder}/log.parquet'")
    titles = "SELECT 'i' || i AS item, 'Title ' || i AS title, ['a', 'b'] AS categories FROM range(10) t(i)"
    duckdb.sql(f"COPY ({titles}) TO '{folder}/items.parquet'")
    for at, kind in enumerate(TYPES):
        for column in ("user", "item", "time"):
            odd = f"SELECT * REPLACE (TRY_CAST({column} AS {kind}) AS {column}) FROM ({rows})"
            try:
                duckdb.sql(f"COPY ({odd}) TO '{folder}/odd-{column}-{at}.parquet'")
            except duckdb.Error:
                duckdb.sql(
                    f"COPY (SELECT * REPLACE (NULL::{kind} AS {column}) FROM ({rows})) TO '{folder}/odd-{column}-{at}.parquet'"
                )


def trial(trial: Trial) -> None:
    rng = trial.rng
    name = rng.choice(("log.parquet",) * 60 + tuple(sorted(path.name for path in trial.folder.glob("odd-*"))))
    more = ["--items", "items.parquet"] if rng.random() < 0.3 else []
    target = more[1] if more else name
    if name == "log.parquet" or rng.random() < 0.3:
        mutations.change(trial.folder / target, rng, _bytes)
    if rng.random() < 0.3:
        more += ["--on-error", "skip"]
    trial.eimf("prepare", name, *more, "--split", rng.choice(("temporal", "none")), "-o", "out", outputs=["out"])


def _bytes(raw: bytes, rng: object) -> bytes:
    """Most often within the footer, where all that a reader trusts stands."""
    if rng.random() < 0.5:  # type: ignore[attr-defined]
        at = max(len(raw) - 500, 0)
        return raw[:at] + mutations.of_bytes(raw[at:], rng)  # type: ignore[arg-type]
    return mutations.of_bytes(raw, rng)  # type: ignore[arg-type]


KIND = Kind("parquet", 25, make, trial, modules=("eimf_cli.prepare", "eimf_core.prepare.prepare", "duckdb"))
