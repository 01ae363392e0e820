"""Logs behind an address, read through DuckDB's httpfs where it is installed; no network but this machine."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from eimf_core.errors import ConfigError, InputError
from eimf_core.prepare import remote
from eimf_core.prepare.config import PrepareConfig
from eimf_core.prepare.prepare import prepare
from tests.unit.test_prepare_formats import histories, titles


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files whole, and says nothing."""

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Where the files of the folder `served` are."""
    served = tmp_path / "served"
    served.mkdir()
    (served / "log.csv").write_text("user,item,time\nu,b,1348012801\nu,é,1348012800\n")
    (served / "items.csv").write_text("item,title\nb,Tea\n")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=served)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def run(folder: Path, log: str, *, items: list[str] = [], users: str | None = None) -> None:  # noqa: B006
    config = PrepareConfig(threads=1, split="by-user" if users else "none")
    paths = [Path(item) for item in items]
    prepare([Path(log)], folder / "out", config, items=paths, users=Path(users) if users else None)


def has_httpfs() -> bool:
    try:
        with duckdb.connect() as connection:
            connection.execute("LOAD httpfs; SET force_download = true")
    except duckdb.Error:
        return False
    return True


@pytest.mark.skipif(not has_httpfs(), reason="httpfs, an extension of DuckDB, is not installed")
def test_a_log_and_its_items_behind_an_address(tmp_path: Path, address: str) -> None:
    run(tmp_path, f"{address}/log.csv", items=[f"{address}/items.csv"])
    assert histories(tmp_path) == {"u": ["é", "b"]}
    assert titles(tmp_path)["b"] == "Tea"
    with pytest.raises(InputError, match=rf"{address}/no\.csv: cannot be fetched .*; fetch the file yourself"):
        run(tmp_path, f"{address}/no.csv")
    (tmp_path / "served" / "latin.csv").write_bytes(b"user,item\nu,caf\xe9\n")
    with pytest.raises(InputError, match=rf"{address}/latin\.csv: is no text in UTF-8 .*; for other kinds"):
        run(tmp_path, f"{address}/latin.csv")
    duckdb.sql("SELECT 'u' AS user, 'a' AS item").write_parquet(str(tmp_path / "served" / "LOG.PARQ"))
    run(tmp_path, f"{address}/LOG.PARQ?download=true")
    assert histories(tmp_path) == {"u": ["a"]}


@pytest.mark.skipif(has_httpfs(), reason="httpfs is installed")
@pytest.mark.parametrize("option", ["log", "items", "users"])
def test_without_httpfs_one_line_says_what_to_install(tmp_path: Path, address: str, option: str) -> None:
    (tmp_path / "log.csv").write_text("user,item\nu,a\n")
    file = f"{address}/{option}.csv"
    given: dict[str, dict[str, object]] = {"log": {}, "items": {"items": [file]}, "users": {"users": file}}
    with pytest.raises(ConfigError) as caught:
        run(tmp_path, file if option == "log" else str(tmp_path / "log.csv"), **given[option])
    assert str(caught.value) == (
        f"{file}: needs httpfs, an extension of DuckDB that is not installed: run python -c "
        "\"import duckdb; duckdb.sql('INSTALL httpfs')\", or fetch the file yourself and name the copy"
    )


def test_a_pattern_of_text_files_behind_an_address_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"s3://b/\*\.csv: a pattern goes with Parquet files alone; name each file"):
        run(tmp_path, "s3://b/*.csv")


@pytest.mark.parametrize(
    ("argument", "address"),
    [
        ("https://a.org/x.csv?y=1", "https://a.org/x.csv?y=1"),
        (Path("s3://bucket/*.parquet"), "s3://bucket/*.parquet"),
        (Path("hf://datasets/a/b/log.parquet"), "hf://datasets/a/b/log.parquet"),
        ("logs/x.csv", None),
        ("c:/x.csv", None),
        ("https.csv", None),
    ],
)
def test_what_is_an_address(argument: str | Path, address: str | None) -> None:
    assert remote.address(argument) == address


def test_what_grants_access_is_in_no_sidecar_and_no_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def copied(address: str, scratch: Path) -> Path:
        assert "SECRET" in address
        target = scratch / "log.csv"
        target.write_text("item,title\na,Tea\n" if "items" in address else "user,item\nu,a\nu,b\n")
        return target

    monkeypatch.setattr(remote, "fetched", copied)
    log, items = "https://me:SECRET@a.org/log.csv?page=2&X-Amz-Signature=SECRET&y=1", "s3://b/items?s3_secret=SECRET"
    run(tmp_path, log, items=[items])
    sidecar = (tmp_path / "out" / "sequences.jsonl.meta.json").read_text()
    assert "https://…@a.org/log.csv?page=2&X-Amz-Signature=…&y=1" in sidecar and "s3://b/items?s3_secret=…" in sidecar
    assert all("SECRET" not in file.read_text() for file in (tmp_path / "out").iterdir())
    monkeypatch.setattr(remote, "fetched", lambda address, scratch: tmp_path / "empty.csv")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "log.csv").write_text("user,item\nu,a\n")
    options: list[dict[str, Any]] = [{"log": log}, {"items": [items]}, {"users": log}]
    for given in options:
        with pytest.raises(InputError) as caught:
            run(tmp_path, **{"log": str(tmp_path / "log.csv"), **given})
        assert "…" in str(caught.value) and "SECRET" not in str(caught.value)
