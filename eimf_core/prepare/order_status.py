"""The status of interactions: orders that were cancelled or refunded, goods that came back, kinds of behaviour.

A log of orders often holds them beside those that stood. They are read and counted, so that the report can say it:
which of them are interactions is for the user to say.
"""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Iterable, Sequence
from typing import Any

from eimf_core.io.sql_text import literal
from eimf_core.prepare.columns import normalised
from eimf_core.prepare.config import PrepareConfig
from eimf_core.prepare.log_files import Source
from eimf_core.prepare.raw_text import one_line
from eimf_core.prepare.scans import Delimited, JsonLines, Parquet, Scan
from eimf_core.prepare.time_parts import Parts
from eimf_core.prepare.value_parsing import MISSING
from eimf_core.text_cleaning import shortened_at_word

MAX_VALUES, MAX_SAID, MAX_NAMED = 20, 6, 4
"""Values of a column of kinds; those that a remark lists; options that it spells out."""
LONGEST = 40
"""Characters of a value in a remark."""
QUANTITIES = frozenset({
    "quantity", "qty", "qtyordered", "quantityordered", "orderquantity", "orderqty", "productquantity", "productqty",
    "itemquantity", "lineitemquantity", "quantitypurchased", "quantitysold", "units", "unitssold", "menge", "anzahl",
    "stück", "stückzahl", "quantité", "quantite", "cantidad", "quantità", "quantita",
})  # fmt: skip
_KIND = re.compile(r"(status|state)$|^(estado|statut|stato|zustand)")
"""Names of columns that say how an order or a row stands."""
_FLAG = re.compile(
    r"(is|was)?(cancel|refund|return|void|storn|chargeback|delete|retour)[a-z]*?(at|on|date|time|flag|quantity|qty)?"
)
"""Names of columns that say it of each row: is_refunded, cancelled_at, returned."""
_NO_FLAG = re.compile(r"return(ing)?(visit|user|custom|client)|able$|reason|policy|address|name$|id$")
_UNDONE = re.compile(
    r"cancel|refund|void|storn|chargeback|fail|pend(ing|ent|iente)|declin|reject|abandon|expire|unpaid|draft|deleted"
    r"|dispute|on[ _-]?hold|remove|dislike|unlike|annul|abgebrochen|erstattet|ausstehend|rembours|reembols|devuel"
    r"|devolu|rimborsat|(^|[\W_])(return(ed|s)?|retour\w*)([\W_]|$)",
    re.IGNORECASE,
)
"""Kinds of rows that did not come about or were undone."""
FALSE_VALUES = MISSING | {"0", "0.0", "0.00", "false", "False", "FALSE", "f", "F", "no", "No", "NO", "n", "N"}
"""What a flag holds in a row that was not undone."""


@dataclasses.dataclass(frozen=True)
class StatusColumn:
    """What one column says of the interactions.

    Attributes:
        file, column: where it stands.
        kind: `event` for the kind of behaviour, `kind` for a column such as `status`, `mark` for a flag, which says
            of a row that it was undone, `quantity` for one of numbers below 0.
        rows: how many interactions have which value, the most frequent first; of a flag those that have it, of
            a quantity those below 0.
        unmarked: of a flag the values of the other rows, a few of them.
        interactions: all of them.
    """

    file: str
    column: str
    kind: str
    rows: dict[str, int]
    unmarked: list[str]
    interactions: int

    @property
    def undone(self) -> dict[str, int]:
        """The interactions that did not come about or were undone, by value."""
        if self.kind in ("mark", "quantity"):
            # what most rows have is no such flag: loans come back
            return self.rows if 2 * sum(self.rows.values()) <= self.interactions or self.kind == "quantity" else {}
        return {value: count for value, count in self.rows.items() if _UNDONE.search(value)}


def with_status_columns(scan: Scan, columns: Iterable[str]) -> Scan:
    """The scan with those of its unused columns whose names say that they tell what became of a row."""
    found = tuple(column for column in columns if kind_of(column))
    if not found or not isinstance(scan, Delimited | JsonLines | Parquet):
        return scan
    return dataclasses.replace(scan, fields={**scan.fields, "status": found[0]}, status_columns=found)


def kind_of(column: str) -> str:
    """What a column tells of a row, as `StatusColumn.kind`; empty for others."""
    name = normalised(column)
    if name in QUANTITIES:
        return "quantity"
    if _KIND.search(name):
        return "kind"
    return "mark" if _FLAG.fullmatch(name) and not _NO_FLAG.search(name) else ""


def count(
    connection: Any, scans: Sequence[tuple[Source, Scan]], has: frozenset[str], where: Sequence[str]
) -> list[StatusColumn]:
    """What the columns of statuses, and that of the kind of behaviour, say of the interactions that the filters keep.

    Args:
        connection: to DuckDB, with the table `raw`.
        scans: the files of it.
        has: the columns of `raw`.
        where: SQL conditions on the rows that count.

    Returns:
        A column each that says anything.
    """
    kept = " AND ".join(where) or "true"
    columns = [("event", "event", *_first(scans, "event"))] if "event" in has else []
    if "status" in has:
        file, names = _first(scans, "status")
        columns += [(kind_of(name), Parts.cell_sql("status", at), file, (name,)) for at, name in enumerate(names)]
    found = []
    for kind, cell, file, (name, *_) in columns:
        cell = f"coalesce({cell}, '')"
        if rows := _rows(connection, kind, cell, kept):
            unmarked = _values(connection, f"{kept} AND {cell} IN ({_words()})", cell) if kind == "mark" else {}
            found.append(StatusColumn(file, name, kind, rows, [*unmarked][:MAX_NAMED], _number(connection, kept)))
    return found


def _first(scans: Sequence[tuple[Source, Scan]], field: str) -> tuple[str, tuple[str, ...]]:
    """The first file that has a field, and the columns of it there."""
    source, scan = next((source, scan) for source, scan in scans if field in scan.has)
    return source.name, scan.columns_of(field) if isinstance(scan, Delimited | JsonLines | Parquet) else (field,)


def _rows(connection: Any, kind: str, cell: str, kept: str) -> dict[str, int]:
    """What `StatusColumn.rows` is; empty where the column says nothing, or has too many values to be one of kinds."""
    if kind == "quantity":
        below = _number(connection, f"{kept} AND try_cast(replace({cell}, ',', '.') AS DOUBLE) < 0")
        return {"below 0": below} if below else {}
    counted = kept if kind != "mark" else f"{kept} AND {cell} NOT IN ({_words()})"
    rows = _values(connection, counted, cell)
    if len(rows) > MAX_VALUES:
        # such as the times of a column `cancelled_at`
        return {"filled": _number(connection, counted)} if kind == "mark" else {}
    return rows


def _words() -> str:
    return ", ".join(map(literal, sorted(FALSE_VALUES)))


def _values(connection: Any, condition: str, cell: str) -> dict[str, int]:
    """The most frequent values and how many rows have each."""
    grouped = f"SELECT {cell} AS value, count(*) FROM raw WHERE {condition} GROUP BY value ORDER BY 2 DESC, 1"
    return dict(connection.execute(f"{grouped} LIMIT {MAX_VALUES + 1}").fetchall())


def _number(connection: Any, condition: str) -> int:
    (rows,) = connection.execute(f"SELECT count(*) FROM raw WHERE {condition}").fetchone()
    return int(rows)


def remarks(columns: Sequence[StatusColumn], config: PrepareConfig) -> tuple[list[str], list[str]]:
    """What is said of them: what is good to know, and warnings of what was undone and counts all the same."""
    notes, warnings = [], []
    for status in columns:
        if status.kind == "event" and config.event:
            continue
        if status.undone:
            warnings.append(
                f"{status.file}: '{status.column}' is {_listed(status.undone)} of {status.interactions:,} "
                f"interactions, which count like the others; {_advice(status, config)}"
            )
        elif len(status.rows) > 1 and status.kind in ("kind", "event"):
            keeping = "" if config.event else f"; {_options(status, [*status.rows][:1])} keeps one kind"
            notes.append(f"{status.file}: '{status.column}' is {_listed(status.rows)}; all count{keeping}")
    return notes, warnings


def _listed(rows: dict[str, int]) -> str:
    """Values with their counts."""
    said = [
        f"{shortened_at_word(one_line(value), LONGEST) or '(none)'} in {n:,}" for value, n in [*rows.items()][:MAX_SAID]
    ]
    more = len(rows) - MAX_SAID
    return ", ".join([*said, f"{more} more"] if more > 0 else said)


def _options(status: StatusColumn, values: Sequence[str]) -> str:
    """The options that keep rows of these values."""
    column = "" if status.kind == "event" else f"--event-column {shlex.quote(status.column)} "
    return column + " ".join(f"--event {shlex.quote(value)}" for value in values)


def _advice(status: StatusColumn, config: PrepareConfig) -> str:
    """How they are left out."""
    if status.kind == "quantity" and config.min_rating is None and config.rating_column is None:
        return f"--rating-column {shlex.quote(status.column)} --min-rating 0 leaves them out"
    kept = status.unmarked if status.kind == "mark" else [value for value in status.rows if value not in status.undone]
    if status.kind == "quantity" or not kept or config.event:
        return "leave them out of the file if they should not"
    if len(kept) <= MAX_NAMED:
        return f"{_options(status, kept)} leaves them out"
    return f"{_options(status, kept[:1])} and so on, an --event for each kind to keep, leaves them out"
