"""Forms of dates beside ISO, dates without dashes, and times that stand in several columns or are not seen."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from eimf_core.errors import ConfigError, InputError
from eimf_core.io.sql_text import literal
from eimf_core.prepare.config import PrepareConfig
from eimf_core.prepare.time_columns import likely_columns, recognised
from eimf_core.prepare.time_forms import formats_of, read, read_sql, tidied, tidied_sql
from eimf_core.prepare.time_parts import PARTED, parts_of
from tests.listening import Listening
from tests.unit.test_prepare_formats import lines, run
from tests.unit.test_prepare_rows import write_times

AT, DAY = 1348069966, 1348012800
"""2012-09-19 15:52:46 and 2012-09-19."""
FORMS: dict[str, tuple[int, ...]] = {
    "Sep 19, 2012": (DAY,), "September 19th, 2012": (DAY,), "Sept 19, 2012": (DAY,), "19-SEP-12": (DAY,),
    "2012-Sep-19": (DAY,), "Sep. 19, 2012": (DAY,), "Wednesday, 19 September 2012 at 15:52:46": (AT,),
    "Wed Sep 19 15:52:46 +0000 2012": (AT,), "Wed, 19 Sep 2012 15:52:46 GMT": (AT,),
    "Wed Sep 19 17:52:46 +0200 2012": (AT,), "Wed Sep 19 15:52:46 UTC 2012": (AT,),
    "19/Sep/2012:15:52:46 +0000": (AT,), "09/19/2012 03:52:46 PM": (AT,), "9/19/2012 3:52:46pm": (AT,),
    "19.09.2012, 15:52:46": (AT,), "15:52:46 19/09/2012": (AT,), "2012.09.19": (DAY,), "2012:09:19 15:52:46": (AT,),
    "2012/09/19 3:52:46 PM": (AT,), "20120919 155246": (AT,), "20120919T155246Z": (AT,), "09 19, 2012": (DAY,),
    "2012-09-19T15:52:46,000": (AT,), "01/02/2012": (1328054400, 1325462400), "19-09-12": (DAY, 1568246400),
    "2012-09-19": (), "1348069966": (), "15:52:46": (), "soon": (), "30/02/2012": (), "1.2.3.4": (), "100%": (),
    "Sep 2012": (DAY - 18 * 86400,), "2012-09": (DAY - 18 * 86400,), "2012-09-19 15": (AT - 46 - 52 * 60,),
    "Wed Sep 19 15:52:46 PDT 2012": (AT + 7 * 3600,), "2012-09-19 15:52:46 CET": (AT - 3600,),
    "2012-09-19 17:52:46 Europe/Berlin": (AT,), "2012-12-19 15:52:46 Europe/Berlin": (AT + 91 * 86400 - 3600,),
    "2012-09-19T17:52:46+02:00[Europe/Berlin]": (AT,), "2012-09-19 15:52:46 Nowhere/There": (),
    "2012-09-19 15:52:46 IST": (), "Wed Sep 19 2012 17:52:46 GMT+0200 (Central European Summer Time)": (AT,),
    "19-SEP-12 03.52.46.000000 PM": (AT,), "9/19/2012 3:52:46 p.m.": (AT,), "19. Oktober 2012": (DAY + 30 * 86400,),
    "19 févr. 2012": (1329609600,), "19 de septiembre de 2012": (DAY,), "19-SEP-0012": (),
}  # fmt: skip


@pytest.mark.parametrize("text", FORMS)
def test_a_date_has_the_formats_that_read_it_in_python_and_in_duckdb(text: str) -> None:
    forms = formats_of(text)
    assert tuple(read(tidied(text), form) for form in forms) == FORMS[text]
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for form, seconds in zip(forms, FORMS[text], strict=True):
            found = connection.execute(f"SELECT {read_sql(tidied_sql(literal(f' {text} ')), form)}").fetchone()
            assert found == (seconds,)


def test_the_order_of_day_and_month_is_that_of_the_whole_column(tmp_path: Path) -> None:
    """Two thousand dates that leave it open, which are all that is looked at first, and one that does not."""
    write_times(tmp_path, *["02/01/2012 10:00", "01/02/2012 10:00"] * 1000, "31/01/2012 10:00")
    run(tmp_path, "log.csv")
    times = lines(tmp_path)[0].times
    assert times is not None and {*times} == {1325498400, 1328090400, 1328004000}
    write_times(tmp_path, "02/01/2012", "01/02/2012")
    with pytest.raises(InputError) as caught:
        run(tmp_path, "log.csv")
    assert str(caught.value).endswith(
        "log.csv: field 'time': holds dates where day and month cannot be told apart; say --time-format '%d/%m/%Y' or "
        "--time-format '%m/%d/%Y'"
    )
    run(tmp_path, "log.csv", time_format="%m/%d/%Y")
    assert lines(tmp_path)[0].times == [1325462400, 1328054400]


def test_two_orders_in_one_column_are_not_guessed(tmp_path: Path) -> None:
    write_times(tmp_path, "19/01/2012", "01/19/2012", "02/01/2012")
    with pytest.raises(InputError, match=r"two ways: of 3 dates 2 can be %d/%m/%Y, 2 %m/%d/%Y; say with --time-format"):
        run(tmp_path, "log.csv")


def test_years_of_two_digits_among_those_of_four(tmp_path: Path) -> None:
    """DuckDB takes 12 for the year 12, Python does not."""
    write_times(tmp_path, "19-Sep-2012", "20-SEP-12")
    run(tmp_path, "log.csv")
    assert lines(tmp_path)[0].times == [DAY, DAY + 86400]


def test_a_date_of_another_form_far_down_is_read_or_put_aside(tmp_path: Path) -> None:
    write_times(tmp_path, *["2012-09-19"] * 1100, "20 Sep 2012", "01/02/2012", "15:52:46")
    done = run(tmp_path, "log.csv", on_error="skip")
    assert max(lines(tmp_path)[0].times or []) == DAY + 86400
    assert len(done.report.rejected) == 2
    assert any("where day and month cannot be told apart" in reason for reason in done.report.rejected)
    assert any("which is a time of the day" in reason for reason in done.report.rejected)


@pytest.mark.parametrize("form", ["%Q", "2012", "%", "%c"])
def test_a_format_that_is_none_is_refused(form: str) -> None:
    with pytest.raises(ConfigError, match=r"--time-format is '.*', expected directives of strptime"):
        PrepareConfig(time_format=form)


@pytest.mark.parametrize(
    ("texts", "unit", "times"),
    [
        (["20120919155246", "20120920000000"], "YYYYMMDDHHMMSS", [AT, DAY + 86400]),
        (["201209191552", "201209200000"], "YYYYMMDDHHMM", [AT - 46, DAY + 86400]),
        (["2012091915", "2012092000"], "YYYYMMDDHH", [AT - 46 - 52 * 60, DAY + 86400]),
        (["20120919", "20120920"], "YYYYMMDD", [DAY, DAY + 86400]),
    ],
)
def test_dates_without_dashes(tmp_path: Path, texts: list[str], unit: str, times: list[int]) -> None:
    write_times(tmp_path, *texts)
    done = run(tmp_path, "log.csv")
    assert lines(tmp_path)[0].times == times
    assert done.facts["times"] == f"dates without dashes ({unit})"


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("634836667660000000", "ticks of .NET"),
        ("129925435660000000", "ticks of Windows"),
        ("12992543566000000", "microseconds since 1601"),
    ],
)
def test_times_that_do_not_count_from_1970(tmp_path: Path, text: str, unit: str) -> None:
    write_times(tmp_path, text, str(int(text) + 10**9))
    done = run(tmp_path, "log.csv")
    times = lines(tmp_path)[0].times
    assert times is not None and times[0] == pytest.approx(AT, abs=1e6) and times[0] < times[1]
    assert done.facts["times"] == unit


def test_columns_named_after_what_happened_are_times(tmp_path: Path) -> None:
    for name in ("TRANSACTION_DT", "click_timestamp", "Rented On", "trans_date", "txn_ts"):
        (tmp_path / "log.csv").write_text(f"user,item,{name}\nu,a,2012-09-20\nu,b,2012-09-19\n")
        run(tmp_path, "log.csv")
        assert lines(tmp_path)[0].items == ["b", "a"], name


@pytest.mark.parametrize(
    ("names", "cells", "text"),
    [
        (("date", "time"), ("2012-09-19", "15:52:46"), "2012-09-19 15:52:46"),
        (("clock", "date"), ("15:52", "2012-09-19 00:00:00"), "2012-09-19 15:52"),
        (("date", "hourmin"), ("20120919", "249"), "20120919 0249"),
        (("day", "month", "year"), ("9", "9", "2012.0"), "2012-09-09"),
        (("year", "month"), ("2012", "9"), "2012-09-01"),
        (("year", "month", "day", "hour", "minute"), ("2012", "9", "19", "5", "7"), "2012-09-19 05:07:00"),
        (("date", "hour"), ("2012-09-19", "5"), "2012-09-19 05:00:00"),
        (("eventdate", "timeframe"), ("2012-09-19", "77"), "2012-09-19"),
    ],
)
def test_columns_of_a_time_are_put_together(names: tuple[str, ...], cells: tuple[str, ...], text: str) -> None:
    value = PARTED.join(cells)
    parts = parts_of(names, [value])
    assert parts.text(value) == text
    assert duckdb.sql(f"SELECT {parts.text_sql(literal(value))}").fetchall() == [(text,)]
    assert parts.ties == ([1] if "timeframe" in names else [])


def test_a_second_column_orders_equal_times(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(
        "user,item,eventdate,timeframe\nu,c,2016-05-09,1000\nu,a,2016-05-09,9\nu,d,2016-05-10,1\nu,b,2016-05-09,20\n"
        "u,x,soon,1\n"
    )
    for options in ({"on_error": "skip"}, {"on_error": "skip", "time_format": "%Y-%m-%d"}):
        run(tmp_path, "log.csv", time_column=["eventdate", "timeframe"], **options)
        assert lines(tmp_path)[0].items == ["a", "b", "c", "d"]
    with pytest.raises(InputError, match="has no column 'nowhere'"):
        run(tmp_path, "log.csv", time_column=["eventdate", "nowhere"])


@pytest.mark.parametrize(
    ("values", "times"),
    [
        ({"date": "20120919", "hourmin": "1552", "time_ms": "1348069966003"}, ("time_ms",)),
        ({"date": "2012-09-19", "time": "15:52:46"}, ("date", "time")),
        ({"date": "2012-09-19", "timestamp": "1348069966"}, ("timestamp",)),
        ({"order_date": "09/19/2012", "hour": "15"}, ("order_date", "hour")),
        ({"day": "19", "month": "9", "year": "2012"}, ("year", "month", "day")),
        ({"time": "15:52:46", "price": "5"}, ("time",)),
        ({"t_dat": "2012-09-19", "price": "0.05"}, ("t_dat",)),
        ({"release_date": "2012-09-19", "year": "2012"}, ()),
    ],
)
def test_the_finest_of_several_columns_is_the_time(values: dict[str, str], times: tuple[str, ...]) -> None:
    assert recognised([*values], {column: [text] for column, text in values.items()}) == times


def test_columns_that_look_like_times_are_found_by_name_or_value() -> None:
    unused = {
        "price": ["5", "7"], "seen": ["2012-09-19"], "Order Date": [], "updated": ["x"], "lastVisitAt": ["x"],
        "item": ["1348069966", "7"], "n": ["1348069966", "1348069967"],
    }  # fmt: skip
    assert likely_columns(unused) == ["seen", "Order Date", "lastVisitAt", "n"]


def test_where_the_order_of_lines_is_taken_for_the_time_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item,qty,moment\nu,a,1,2012-09-20\nu,b,2,2012-09-19\n")
    told = Listening()
    run(tmp_path, "log.csv", reporter=told)
    (warning,) = told.others
    assert warning.endswith(
        "log.csv: no column is recognised as the time, so the order of the lines is taken for it; if it is another, "
        "name it with --time-column, such as --time-column 'moment'"
    )
    with pytest.raises(ConfigError, match=r"none, or name their column with --time-column, such as --time-column 'mom"):
        run(tmp_path, "log.csv", split="temporal")
    (tmp_path / "log.csv").write_text("user,item\nu,a\nu,b\n")
    run(tmp_path, "log.csv", reporter=(told := Listening()))
    assert [warning.partition(": ")[2] for warning in told.others] == [
        "no column is recognised as the time, so the order of the lines is taken for it"
    ]
    (tmp_path / "log.txt").write_text("u a b\nv a b c\n")
    run(tmp_path, "log.txt", format="user-lines", reporter=(told := Listening()))
    assert told.others == []
    with pytest.raises(ConfigError, match=r"by-user or none$"):
        run(tmp_path, "log.txt", format="user-lines", split="temporal")


def test_equal_times_that_another_column_may_order_are_told(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item,date,timeframe\nu,a,2016-05-09,5\nu,b,2016-05-09,4\n")
    run(tmp_path, "log.csv", reporter=(told := Listening()))
    (warning,) = told.others
    assert "50.0% of the interactions have the time of the one before" in warning
    assert warning.endswith("if timeframe orders them, say --time-column 'date' --time-column 'timeframe'")
    # one in thirty is chance
    rows = "".join(f"u,i{at},{1463000000 + max(at, 1)},{at}\n" for at in range(30))
    (tmp_path / "log.csv").write_text(f"user,item,date,timeframe\n{rows}")
    run(tmp_path, "log.csv", split="none", reporter=(told := Listening()))
    assert told.others == []
