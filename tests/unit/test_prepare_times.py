"""What a time is: the same for the engine and for Python, whatever stands in the column."""

from __future__ import annotations

import math
import re
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eimf_core.errors import InputError
from eimf_core.prepare import value_parsing
from tests.unit.test_prepare_formats import lines, run
from tests.unit.test_prepare_rows import rejects, write_times

TIMES: dict[str, float | None] = {
    "1500000000": 1.5e9, " 12.5\t": 12.5, "+5": 5, "1_000": 1000, "1e3": 1000, ".5": 0.5, "-3": -3,
    "2024-01-02": 1704153600, "2024-01-02 ": 1704153600, "2024/1/2": 1704153600, "2024-01-02T00:00Z": 1704153600,
    "2024-01-02 9:05": 1704186300, "2024-01-02 10:00:00 UTC": 1704189600, "2024-01-02 10:00:00 +0200": 1704182400,
    "2024-01-02T10:00:00+02": 1704182400, "2024-01-02 10:00:00-02:30": 1704198600,
    "2024-01-02T10:00:00.123456789Z": 1704189600.123456, "0001-01-01": -62135596800, "1969-12-31": -86400,
    "epoch": None, "infinity": None, "inf": None, "nan": None, "now": None, "today": None, "": None, "1e400": None,
    "2024-01-01 (BC)": None, "2024-01-01 CET": None, "2024-01-01 10:00:00 CET": None, "2024-01-01T10": None,
    "2024-02-30": None, "2024-13-01": None, "2024-1/2": None, "24-01-01": None, "0000-01-01": None, "12024-01-01": None,
    "2024-01-01 24:00:00": None, "2024-01-01 23:59:60": None, "2024-01-01  10:00": None, "2024-01-01T10:00:00,5": None,
    "2024-01-01 UTC": None, "2024-01-01 10:00:00+15": None, "5\N{NO-BREAK SPACE}": None, "\u0661": None, "0x10": None,
}  # fmt: skip


def by_engine(texts: list[str], expression: str) -> list[float | None]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; CREATE TABLE texts (place INTEGER, text VARCHAR)")
        connection.executemany("INSERT INTO texts VALUES (?, ?)", list(enumerate(texts)))
        found = connection.execute(f"SELECT {expression} FROM texts ORDER BY place").fetchall()
    return [value if not isinstance(value, float) or math.isfinite(value) else None for (value,) in found]


def test_a_time_is_the_same_for_the_engine_and_for_python() -> None:
    assert [value_parsing.parse_time(text) for text in TIMES] == list(TIMES.values())
    assert by_engine(list(TIMES), value_parsing.time_sql("text")) == list(TIMES.values())


dates = st.from_regex(value_parsing.DATE, fullmatch=True).map(
    # far years leave floats no room for microseconds
    lambda text: re.sub("[0-9]{4}", lambda year: str(1700 + int(year[0]) % 500), text, count=1)
)


@pytest.mark.slow
@settings(max_examples=10, deadline=None)
@given(
    st.lists(
        dates | st.text("0123456789.eE_-", max_size=6),
        min_size=10,
        max_size=25,
    )
)
def test_the_same_for_whatever_fits_the_pattern(texts: list[str]) -> None:
    by_python = [value_parsing.parse_time(text) for text in texts]
    near = [None if value is None else pytest.approx(value, abs=1e-5, rel=1e-15) for value in by_python]
    assert by_engine(texts, value_parsing.time_sql("text")) == near
    assert by_engine(texts, value_parsing.trimmed_sql("text")) == [text.strip(value_parsing.BLANKS) for text in texts]


def test_the_engine_and_python_agree_on_what_stands_for_no_value() -> None:
    words = [*sorted(value_parsing.MISSING), "7", "u7", "undefinedx", "nan1", "A1B2C3D4E5F6GH", "\u00e9" * 5]
    texts = [f"{before}{word}{after}" for word in words for before in ("", " ", "\t") for after in ("", " ", "\n")]
    present = [None if value_parsing.is_missing(text) else text.strip(value_parsing.BLANKS) for text in texts]
    assert by_engine(texts, value_parsing.present_sql("text")) == present


def test_a_time_that_only_one_of_them_would_read_is_put_aside_with_its_line(tmp_path: Path) -> None:
    """A word that the engine knows, a remark, an unclear zone; and blanks and offsets that it does not know."""
    good = ["2024-01-02 ", "2024-01-02 10:00:00 +0200", "2024-01-02 10:00:00"]
    bad = ["epoch", "2024-01-01 (BC)", "2024-01-01 10:00:00 IST", "2024-01-01T25"]
    write_times(tmp_path, good[0], *bad, *good[1:])
    done = run(tmp_path, "log.csv", on_error="skip")
    assert lines(tmp_path)[0].times == [1704153600, 1704182400, 1704189600]
    reason = "field 'time': is '{}', expected a number of seconds, an ISO date"
    assert [line for line, _, _ in rejects(tmp_path)] == [3, 4, 5, 6]
    assert all(said.startswith(reason.format(text)) for text, (_, said, _) in zip(bad, rejects(tmp_path), strict=True))
    assert sum(done.report.rejected.values()) == 4
    for text in bad:
        write_times(tmp_path, *good, text)
        with pytest.raises(InputError, match=r"log\.csv:5: field 'time': is '") as caught:
            run(tmp_path, "log.csv")
        assert "--on-error skip leaves such rows out" in str(caught.value)


def test_when_most_rows_are_bad_to_skip_is_not_advised(tmp_path: Path) -> None:
    write_times(tmp_path, "soon", "later")
    with pytest.raises(InputError, match=r"log\.csv:2: .* or a form that --time-format gives") as caught:
        run(tmp_path, "log.csv")
    assert "%d.%m.%Y; 2 of 2 rows have something wrong" in str(caught.value)
    assert "--on-error skip leaves" not in str(caught.value)
    (tmp_path / "log.csv").write_bytes(b"user,item\n" + b"u,a\n" * 9 + b"u,caf\xe9\n")
    with pytest.raises(InputError, match=r"log\.csv:11: is not UTF-8; convert the file first.*utf-8$"):
        run(tmp_path, "log.csv")
