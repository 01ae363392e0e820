"""Single rows that are not as they should be: named by their true line, or counted and kept aside."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pytest

from eimf_core.errors import InputError
from eimf_core.prepare import row_checks
from eimf_core.prepare import time_units as times
from eimf_core.prepare.log_files import probe
from tests.unit.test_prepare_formats import histories, lines, run, titles

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def rejects(folder: Path) -> list[tuple[int, str, str]]:
    found = map(orjson.loads, (folder / "out" / "rejects.jsonl").read_bytes().splitlines())
    return [(row["line"], row["reason"], row["text"]) for row in found]


@pytest.mark.slow
def test_what_is_put_aside_is_cut(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(f"user,item,time\nu,a,1\nu,b,{'9x' * 200_000}\nu,{'c' * 300_000}\nu,d,2\n")
    run(tmp_path, "log.csv", on_error="skip")
    assert histories(tmp_path) == {"u": ["a", "d"]}
    assert [line for line, _, _ in rejects(tmp_path)] == [3, 4]
    assert all(len(reason) <= 300 and len(text) == 10_000 for _, reason, text in rejects(tmp_path))


def write_times(folder: Path, *times: object) -> None:
    rows = "".join(f"u,i{number},{time}\n" for number, time in enumerate(times))
    (folder / "log.csv").write_text(f"user,item,time\n{rows}")


ODD: dict[str, tuple[list[object], dict[int, str], list[float]]] = {
    "milliseconds among seconds": (
        [1500000000, 1500000001000, 1500000002],
        {3: "which looks like milliseconds when most times are seconds"},
        [1500000000, 1500000002],
    ),
    "the first is the odd one": (
        [1500000000, 1500000001000, 1500000002000],
        {2: "which looks like seconds when most times are milliseconds"},
        [1500000001, 1500000002],
    ),
    "nothing, minus one and another count": (
        [0, 1500000000, -1, 1500000002, 17361],
        {
            2: "which stands for no time",
            4: "which cannot be when most times are seconds",
            6: "which cannot be when most times are seconds",
        },
        [1500000000, 1500000002],
    ),
    "no time at all among milliseconds": (
        [1500000000000, 1500000001000, 0],
        {4: "which stands for no time"},
        [1500000000, 1500000001],
    ),
    "placeholders among dates": (
        ["2017-07-14", "1970-01-01", "2017/7/15", "0001-01-01", "9999-12-31"],
        {
            3: "which stands for no time",
            5: "which cannot be when most times are dates",
            6: "which cannot be when most times are dates",
        },
        [1499990400, 1500076800],
    ),
}


@pytest.mark.parametrize("name", ODD)
def test_a_time_of_another_unit_or_of_none_stops_or_is_put_aside(tmp_path: Path, name: str) -> None:
    times, odd, kept = ODD[name]
    write_times(tmp_path, *times)
    first = min(odd)
    with pytest.raises(InputError) as caught:
        run(tmp_path, "log.csv")
    said = f"{tmp_path}/log.csv:{first}: field 'time': is '{times[first - 2]}', {odd[first]}; all times have to be"
    assert str(caught.value).startswith(said)
    assert "--on-error skip" in str(caught.value)
    assert not (tmp_path / "out").exists()
    done = run(tmp_path, "log.csv", on_error="skip")
    assert lines(tmp_path)[0].times == kept
    assert rejects(tmp_path) == [
        (line, f"field 'time': is '{times[line - 2]}', {reason}", f"u,i{line - 2},{times[line - 2]}")
        for line, reason in odd.items()
    ]
    counted: dict[str, int] = {}
    for reason in odd.values():
        counted[f"field 'time': {reason}"] = counted.get(f"field 'time': {reason}", 0) + 1
    assert done.report.rejected == counted
    assert done.report.steps[0].interactions == len(kept)


def test_odd_times_beside_other_bad_rows_in_several_files_are_written_once(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("user,item,time\nu,a,1500000000\nu,b\nu,c,0\n")
    (tmp_path / "b.csv").write_text("user,item,time\nu,d,1500000003\nu,,0\nu,e,1500000004000\n")
    done = run(tmp_path, "a.csv", "b.csv", on_error="skip")
    assert histories(tmp_path) == {"u": ["a", "d"]}
    assert sorted(text for _, _, text in rejects(tmp_path)) == ["u,,0", "u,b", "u,c,0", "u,e,1500000004000"]
    assert sum(done.report.rejected.values()) == 4


@pytest.mark.parametrize(
    ("times", "seconds"),
    [
        ([0, 5, 9], [0, 5, 9]),
        ([0, 60_000_000, 120_000_000], [0, 60_000_000, 120_000_000]),
        ([-300_000_000, 1_500_000_000], [-300_000_000, 1_500_000_000]),
        ([20170714, 20170801], [1499990400, 1501545600]),
        ([20170714, 20170732], [20170714, 20170732]),
    ],
)
def test_times_that_only_look_odd_are_kept(tmp_path: Path, times: list[int], seconds: list[int]) -> None:
    """Steps from 0 on, seconds of the log's own, dates before 1970, dates without dashes."""
    write_times(tmp_path, *times)
    run(tmp_path, "log.csv")
    assert lines(tmp_path)[0].times == seconds


def packed_zstd(path: Path, content: str) -> None:
    path.write_bytes(zstd.compress(content.encode()))


TABLE = "\n\nuser,item,time\n\nu,a,1\n  \nu,b,soon\n\nu,c,3\nu,d\n"
OBJECTS = '\n{"user":"u","item":"a","time":1}\n\n\n{"user":"u","item":"b","time":"soon"}\nno\n'


@pytest.mark.parametrize("ending", ["", ".gz", ".zst"])
@pytest.mark.parametrize(("name", "content", "bad"), [("log.csv", TABLE, [7, 10]), ("log.jsonl", OBJECTS, [5, 6])])
def test_blank_lines_count_packed_or_not(tmp_path: Path, ending: str, name: str, content: str, bad: list[int]) -> None:
    path = tmp_path / (name + ending)
    content = content.replace("  \n", "\n") if ending != ".gz" else content
    if ending == ".zst":
        packed_zstd(path, content)
    else:
        path.write_bytes(gzip.compress(content.encode()) if ending else content.encode())
    with pytest.raises(InputError, match=rf"{path.name}:{bad[0]}: field 'time': is 'soon'"):
        run(tmp_path, path.name)
    run(tmp_path, path.name, on_error="skip")
    assert histories(tmp_path) == {"u": ["a", "c"] if name == "log.csv" else ["a"]}
    assert {line for line, _, _ in rejects(tmp_path)} >= set(bad)


def test_blank_lines_before_the_header_do_not_make_it_data(tmp_path: Path) -> None:
    for start in ("\n", "\r\n \r\n", "\N{BYTE ORDER MARK}\n"):
        (tmp_path / "log.csv").write_bytes(f"{start}user,item\nu,a\n".encode())
        run(tmp_path, "log.csv")
        assert histories(tmp_path) == {"u": ["a"]}, start


@pytest.mark.parametrize("packed", [bytes, gzip.compress, zstd.compress])
def test_lines_that_are_not_utf_8_are_put_aside_with_their_line(
    tmp_path: Path, packed: Callable[[bytes], bytes]
) -> None:
    content = b'user,item,time\nu,"a\nb",1\nv,c\nJos\xe9,a,1\nv,b,2\n'
    (tmp_path / "log.csv").write_bytes(packed(content))
    run(tmp_path, "log.csv", on_error="skip")
    assert histories(tmp_path) == {"u": ["a\nb"], "v": ["b"]}
    assert [(line, text) for line, _, text in rejects(tmp_path)] == [(4, "v,c"), (5, "José,a,1")]
    assert "is not UTF-8" in rejects(tmp_path)[1][1]


def test_the_head_of_a_file_ends_where_lines_end(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item\u2028s\nu,a\x85b\n")
    found: Any = probe(tmp_path / "log.csv")
    assert found.head == ("user,item\u2028s", "u,a\x85b")


@pytest.mark.parametrize("packed", ["jsonl", "parquet"])
def test_an_empty_id_is_nobodys(tmp_path: Path, packed: str) -> None:
    rows = [{"user": "u", "item": "a"}, {"user": "", "item": "b"}, {"user": "u", "item": ""}]
    path = tmp_path / f"log.{packed}"
    if packed == "jsonl":
        path.write_bytes(b"\n".join(map(orjson.dumps, rows)))
    else:
        values = ", ".join(f"('{row['user']}', '{row['item']}')" for row in rows)
        duckdb.sql(f"COPY (SELECT * FROM (VALUES {values}) AS t(user_id, item)) TO '{path}' (FORMAT parquet)")
    with pytest.raises(InputError, match="user"):
        run(tmp_path, path.name, split="none")
    done = run(tmp_path, path.name, split="none", on_error="skip")
    assert sum(done.report.rejected.values()) == 2
    assert histories(tmp_path) == {"u": ["a"]}


@pytest.mark.parametrize("bad", ["", "u,c\n"])
def test_titles_of_a_log_whose_lines_end_in_two_ways(tmp_path: Path, bad: str) -> None:
    """The engine reads a copy of such a file; the titles have to come from there too."""
    content = f"user,item,name\r\nu,a,Tea\n{bad}u,b,Wool\r\nv,a,Tea\n"
    (tmp_path / "log.csv").write_bytes(content.encode())
    run(tmp_path, "log.csv", title_column="name", on_error="skip")
    assert histories(tmp_path) == {"u": ["a", "b"], "v": ["a"]}
    assert titles(tmp_path) == {"a": "Tea", "b": "Wool"}


@pytest.mark.slow
def test_blanks_around_values_are_no_part_of_them(tmp_path: Path) -> None:
    rows = "user, item ,time, kind,name\nu1, a ,1,view, Tea\nu1 ,b\t,2 , view,Wool\n u1,a, 3,buy ,Tea \n"
    (tmp_path / "items.csv").write_text("item , title\n a,  Green Tea \nb ,Wool\n")
    for bad in ("", "u1,b\n"):
        (tmp_path / "log.csv").write_text(rows + bad)
        done = run(tmp_path, "log.csv", event_column="kind", on_error="skip")
        assert histories(tmp_path) == {"u1": ["a", "b", "a"]}, bad
        assert lines(tmp_path)[0].events == ["view", "view", "buy"]
        assert sum(done.report.rejected.values()) == bool(bad)
        run(tmp_path, "log.csv", event_column="kind", title_column="name", on_error="skip")
        assert titles(tmp_path) == {"a": "Tea", "b": "Wool"}
        run(tmp_path, "log.csv", items=["items.csv"], on_error="skip")
        assert titles(tmp_path) == {"a": "Green Tea", "b": "Wool"}
    objects = '{"user":"u1 ","item":"a"}\n{"user":"u1","item":" b"}\n{"user":" ","item":"b"}\n'
    (tmp_path / "log.jsonl").write_text(objects)
    run(tmp_path, "log.jsonl", on_error="skip")
    assert histories(tmp_path) == {"u1": ["a", "b"]}
    assert [line for line, _, _ in rejects(tmp_path)] == [3]


@pytest.mark.slow
def test_a_bad_row_does_not_change_how_the_others_are_read(tmp_path: Path) -> None:
    """Blanks around quotes, quotes and line ends inside, a line of blanks: once with a row that is checked_rows bad."""
    rows = 'user,item,name\nu, "a, 1",x\n"u" ,"b""" ,y\nu,"c\nd","z"\n  \n"u","e","p\rq"\n'
    for bad in ("", "u,f\n"):
        (tmp_path / "log.csv").write_bytes((rows + bad).encode())
        done = run(tmp_path, "log.csv", title_column="name", on_error="skip")
        assert histories(tmp_path) == {"u": ["a, 1", 'b"', "c\nd", "e"]}
        assert titles(tmp_path) == {"a, 1": "x", 'b"': "y", "c\nd": "z", "e": "p q"}
        assert done.report.rejected == ({"has 2 columns, expected 3": 1} if bad else {})
    run(tmp_path, "log.csv", title_column="name", on_error="skip")
    assert rejects(tmp_path) == [(9, "has 2 columns, expected 3", "u,f")]
    (tmp_path / "log.jsonl").write_bytes(b'{"user":"u","item":"a","name":"p\\rq"}\n{"user":"u"}\n')
    run(tmp_path, "log.jsonl", title_column="name", on_error="skip")
    assert titles(tmp_path) == {"a": "p q"}


def test_lines_that_end_in_cr_alone(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_bytes(b"user,item\ru,a\ru\ru,b\r")
    with pytest.raises(InputError, match=r"log\.csv:3: has 1 column"):
        run(tmp_path, "log.csv")
    run(tmp_path, "log.csv", on_error="skip")
    assert histories(tmp_path) == {"u": ["a", "b"]}


def test_when_duckdb_and_python_disagree_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python calls a row good that DuckDB cannot take even in its plain form."""
    monkeypatch.setattr(row_checks, "row_problem", lambda *given: "")
    monkeypatch.setattr(row_checks, "_plain", lambda field, text, times: text)
    write_times(tmp_path, 1500000000, "soon")
    with pytest.raises(RuntimeError, match=r"not all of 2 good rows were taken; .* please report it"):
        run(tmp_path, "log.csv", on_error="skip")
    assert not (tmp_path / "out").exists()
    monkeypatch.undo()
    monkeypatch.setattr(times.Unit, "problem", lambda *given: "")
    write_times(tmp_path, 1500000000, 1500000001000, 1500000002)
    with pytest.raises(RuntimeError, match=r"1 times are not seconds, but 0 of them were found"):
        run(tmp_path, "log.csv", on_error="skip")


def test_a_title_in_another_encoding_is_not_lost(tmp_path: Path) -> None:
    """The engine looks at no more of a row than is asked for, and the title is asked for apart from the rest."""
    (tmp_path / "log.csv").write_bytes(b"user,item,title\nu,a,Caf\xe9\nu,b,Tea\n")
    with pytest.raises(InputError, match=r"log\.csv:2: is not UTF-8"):
        run(tmp_path, "log.csv", title_column="title")
    run(tmp_path, "log.csv", title_column="title", on_error="skip")
    assert titles(tmp_path) == {"b": "Tea"}
    assert [(line, text) for line, _, text in rejects(tmp_path)] == [(2, "u,a,Caf\xe9")]


@pytest.mark.parametrize("bad", ["", "no\n"])
def test_long_numbers_and_nan_in_json_are_read_alike_beside_a_bad_row(tmp_path: Path, bad: str) -> None:
    long = 12345678901234567890123
    rows = f'{{"user":{long},"item":1.50,"price":NaN}}\n{{"user":{long},"item":{long + 1}}}\n{bad}'
    (tmp_path / "log.jsonl").write_text(rows)
    (tmp_path / "items.jsonl").write_text(f'{{"sku":{long + 1},"name":"Tea"}}\n')
    run(tmp_path, "log.jsonl", items=["items.jsonl"], on_error="skip")
    assert histories(tmp_path) == {str(long): ["1.5", str(long + 1)]}
    assert titles(tmp_path)[str(long + 1)] == "Tea"


def test_a_quote_that_is_not_closed_spoils_its_own_line_only(tmp_path: Path) -> None:
    rows = ['u,"a', "u,b", 'u,"c', 'd"', 'u,e"f', '"u","g" x', 'u,"i']
    (tmp_path / "log.csv").write_text("\n".join(["user,item", *rows, ""]))
    with pytest.raises(InputError, match=r"log\.csv:2: has a quote .*--on-error skip leaves such rows out"):
        run(tmp_path, "log.csv")
    done = run(tmp_path, "log.csv", on_error="skip")
    # text behind a closed quote makes the quotes part of it
    assert histories(tmp_path) == {"u": ["b", "c\nd", 'e"f', '"g" x']}
    assert [(line, text) for line, _, text in rejects(tmp_path)] == [(2, rows[0]), (8, rows[6])]
    assert sum(done.report.rejected.values()) == 2
