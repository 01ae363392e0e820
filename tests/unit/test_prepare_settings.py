"""Every setting of `prepare` reaches what it is for: changed, it changes the output, the report or how DuckDB runs."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eimf_core.errors import ConfigError, EimfError
from eimf_core.prepare import duckdb_session
from eimf_core.prepare.config import PrepareConfig
from eimf_core.prepare.prepare import prepare

COLUMNS = ("user", "item", "time", "rating", "event", "who", "what", "when", "stars", "kind", "label", "group", "day")
BY_NUMBER = {"user_column": "1", "item_column": "2", "time_column": ["3"]}
CHANGES: dict[str, tuple[dict[str, Any], Any]] = {
    # beside what, and to which value a setting is changed
    "format": ({}, "jsonl"),
    "split": ({}, "leave-one-out"),
    "min_user": ({}, 7),
    "min_item": ({}, 6),
    "on_error": ({}, "fail"),
    "target": ({"valid_from": "1500000020", "test_from": "1500000040"}, "all"),
    "valid_from": ({"valid_from": "1500000020", "test_from": "1500000040"}, "1500000010"),
    "test_from": ({"valid_from": "1500000020", "test_from": "1500000040"}, "1500000030"),
    "valid_share": ({}, 0.3),
    "test_share": ({}, 0.3),
    "seed": ({"split": "by-user"}, 1),
    "user_column": ({}, "who"),
    "item_column": ({}, "what"),
    "time_column": ({}, ["when"]),
    "time_format": ({"time_column": ["day"]}, "%Y-%d-%m"),
    "rating_column": ({"min_rating": 4}, "stars"),
    "event_column": ({}, "kind"),
    "title_column": ({}, "label"),
    "category_column": ({"title_column": "label"}, "group"),
    "items_item_column": ({}, "other"),
    "items_title_column": ({}, "called"),
    "items_category_column": ({}, "called"),
    "items_text_column": ({}, "called"),
    "header": ({**BY_NUMBER, "header": "yes", "split": "none"}, "no"),
    "separator": ({"user_column": "1", "item_column": "2", "header": "no", "split": "none"}, ";"),
    "skip_lines": ({**BY_NUMBER, "header": "yes", "split": "none"}, 3),
    "min_rating": ({}, 4.0),
    "event": ({}, ["buy"]),
    "since": ({}, "2017-07-14 02:40:10"),
    "until": ({}, "2017-07-14 02:40:40"),
    "max_length": ({}, 2),
    "repeats": ({}, "first"),
    "duplicates": ({}, "keep"),
    "hash_users": ({}, True),
    "text_length": ({}, 9),
    "memory_limit": ({}, "300MB"),
    "threads": ({}, 3),
}


@pytest.mark.parametrize("size", ["-5GB", " -1", "lots", ""])
def test_a_memory_limit_that_is_none_is_refused(tmp_path: Path, size: str) -> None:
    (tmp_path / "log.csv").write_text("user,item,time\nu,a,1\n")
    with pytest.raises(ConfigError, match=r"--memory-limit is '.*', expected a size such as 2GB or 800MB"):
        prepare([tmp_path / "log.csv"], tmp_path / "out", PrepareConfig(split="none", memory_limit=size))


@pytest.fixture
def duckdb_settings(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What DuckDB was told, run by run."""
    found = []
    connected = duckdb_session.connected

    @contextlib.contextmanager
    def watched(*given: Any, **named: Any) -> Iterator[Any]:
        with connected(*given, **named) as connection:
            found.append(
                connection.execute("SELECT current_setting('threads'), current_setting('memory_limit')").fetchone()
            )
            yield connection

    monkeypatch.setattr(duckdb_session, "connected", watched)
    return found


def write_files(folder: Path) -> None:
    """Ten users with six interactions each, the last one twice, and a row without a time."""
    rows = []
    for n in range(60):
        user, item, time = n % 10, n * 7 % 11, 1500000000 + n
        rows.append(
            (
                f"u{user}", f"i{item}", time, 1 + n % 5, "buy" if n % 3 else "view", f"u{user % 5}", f"j{item}",
                time + n % 7 * 10, 1 + n % 4, "a" if n % 2 else "b", f"Label; {item}", f"Group {item % 3}",
                f"2017-0{1 + n % 9}-0{1 + item % 9}",
            )
        )  # fmt: skip
    rows += [rows[-1], ("u0", "i1", "soon", 1, "buy", "u0", "j1", 1500000000, 1, "a", "", "", "2017-01-02")]
    lines = [COLUMNS, *rows, ("u1", rows[1][1], *rows[31][2:])]
    (folder / "log.csv").write_text("".join(",".join(map(str, row)) + "\n" for row in lines))
    items = "".join(f"i{n},A long description {n},i{(n + 1) % 11},Called {n}\n" for n in range(11))
    (folder / "items.csv").write_text(f"item,description,other,called\n{items}")


def outcome(folder: Path, settings: dict[str, Any], duckdb_settings: list[Any]) -> Any:
    given = {"on_error": "skip", **settings}
    logs, items, out = [folder / "log.csv"], [folder / "items.csv"], folder / "out"
    try:
        done = prepare(logs, out, PrepareConfig(**given), items=items)
    except EimfError as error:
        return str(error)
    content = [(out / name).read_bytes() for name in ("sequences.jsonl", "items.jsonl")]
    return content, done.report.as_dict(), duckdb_settings[-1]


def test_every_setting_is_here() -> None:
    assert list(CHANGES) == [field.name for field in dataclasses.fields(PrepareConfig)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("settings")
    write_files(made)
    return made


@pytest.fixture(scope="module")
def unchanged() -> dict[str, Any]:
    """What came out before a change, by the settings beside it: most have none."""
    return {}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_setting_changes_what_comes_out(
    folder: Path, unchanged: dict[str, Any], duckdb_settings: list[Any], name: str
) -> None:
    beside, value = CHANGES[name]
    if repr(beside) not in unchanged:
        unchanged[repr(beside)] = outcome(folder, beside, duckdb_settings)
    before = unchanged[repr(beside)]
    assert not isinstance(before, str), before
    after = outcome(folder, {**beside, name: value}, duckdb_settings)
    assert after != before
    if name not in ("format", "on_error", "separator"):
        assert not isinstance(after, str), after
    if name in ("memory_limit", "threads"):
        assert after[:2] == before[:2] and after[2] != before[2]
