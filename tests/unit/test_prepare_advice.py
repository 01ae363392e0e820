"""What is said beside the report: odd times, missing titles, the first rows; and hashes in place of users."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import orjson
import pytest

from eimf_core.errors import ConfigError, InputError
from tests.listening import Listening
from tests.unit.test_prepare_formats import histories, run, titles
from tests.unit.test_prepare_rows import write_times


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ([1348069966] * 1000, ["all times are the same in 1,000 rows: within each the order of the lines is taken"]),
        ([1348069966] * 999, []),
        ([*range(1348069966, 1348070966)], []),
        (["1985-01-01", "2012-09-19"], ["1 of 2 times are before 1990 (1985-01-01), read as dates"]),
        (["2012-09-19", "2912-09-19"], ["1 of 2 times are in the future (2912-09-19), read as dates"]),
        ([int(time.time()), 1348069966], []),
        ([3, 5], []),
    ],
)
def test_odd_times_are_warned_of(tmp_path: Path, times: list[object], said: list[str]) -> None:
    write_times(tmp_path, *times)
    told = Listening()
    run(tmp_path, "log.csv", reporter=told)
    assert [words.startswith(start) for words, start in zip(told.others, said, strict=True)] == [True] * len(said)


@pytest.mark.parametrize(
    ("columns", "row", "way"),
    [
        (
            "note,the_movie_name",
            "5,The Red Shoes",
            "the column 'the_movie_name' of {log} looks like a title: say --title-c",
        ),
        (
            "colour,remark",
            "red,The Red Shoes",
            "the column 'remark' of {log} looks like a title: say --title-column 'rem",
        ),
        ("qty,mail_id", "5,a b", "give it with --items"),
    ],
)
def test_where_most_items_have_no_text_the_likely_column_is_named(
    tmp_path: Path, columns: str, row: str, way: str
) -> None:
    (tmp_path / "log.csv").write_text(f"user,item,time,{columns}\nu,a,1,{row}\nu,b,2,{row}\n")
    told = Listening()
    run(tmp_path, "log.csv", reporter=told)
    (warning,) = told.warnings
    assert warning.startswith("2 of 2 items have no text; " + way.format(log=tmp_path / "log.csv"))
    (tmp_path / "items.csv").write_text("item,title\na,Tea\n")
    run(tmp_path, "log.csv", items=["items.csv"], reporter=(told := Listening()))
    assert told.warnings == []


def test_the_first_rows_are_shown_as_they_were_understood(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(
        "user,item,time,event\n1.0,7.0,2012-09-19,buy\nNA,7.0,2012-09-19,buy\n1.0,8.0,2012-09-20,\n"
    )
    (tmp_path / "items.csv").write_text("item,title,categories\n7,Tea,\"['Food', 'Drink']\"\n")
    done = run(tmp_path, "log.csv", items=["items.csv"], on_error="skip", event=["buy"])
    assert done.as_dict()["first_rows"] == [
        {
            "user": "1", "item": "7", "time": 1348012800.0, "event": "buy", "title": "Tea",
            "categories": ["Food", "Drink"],
        },
        {"user": "1", "item": "8", "time": 1348099200.0, "event": "", "title": None, "categories": []},
    ]  # fmt: skip
    write_times(tmp_path, *range(1348069966, 1348069975))
    assert len(run(tmp_path, "log.csv").as_dict()["first_rows"]) == 5


def test_users_are_hashed_everywhere(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item,time\na@b.org,x,1\na@b.org,y,2\n7.0,x,2\n7.0,y,3\na@b.org,z,soon\n")
    (tmp_path / "users.csv").write_text("a@b.org,train\n7.0,test\n")
    done = run(tmp_path, "log.csv", hash_users=True, on_error="skip", split="by-user", users=tmp_path / "users.csv")
    mail, seven = (hashlib.sha256(name.encode()).hexdigest()[:32] for name in ("a@b.org", "7"))
    assert histories(tmp_path)[mail] == ["x", "y"] and done.report.splits["test"].users == 1
    assert done.as_dict()["first_rows"][2]["user"] == seven
    written = b"".join(path.read_bytes() for path in (tmp_path / "out").iterdir())
    assert b"a@b" not in written and b"is 'soon'" in written
    (tmp_path / "ready.jsonl").write_bytes(orjson.dumps({"user": "u", "split": "train", "items": ["a"], "targets": []}))
    with pytest.raises(ConfigError, match="--hash-users"):
        run(tmp_path, "ready.jsonl", hash_users=True)


def test_a_column_that_is_named_for_one_field_is_no_other(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("customer,sku,product\na,S1,Tea\nb,S2,Wool\n")
    run(tmp_path, "log.csv", title_column="product")
    assert titles(tmp_path) == {"S1": "Tea", "S2": "Wool"}


def test_what_does_not_help_is_not_advised(tmp_path: Path) -> None:
    """Numbers of columns where the first row is a header, and lists within JSON."""
    (tmp_path / "log.jsonl").write_text('{"user":"u","games":[{"id":1}]}\n')
    with pytest.raises(InputError, match=r"name it with --item-column; 'games' holds a list or an object: write one"):
        run(tmp_path, "log.jsonl")
    (tmp_path / "log.csv").write_text("# a\n\nwho,what\nu,a\n")
    with pytest.raises(InputError, match=r"log\.csv:3: no column .* with --user-column and --item-column$"):
        run(tmp_path, "log.csv")
    (tmp_path / "log.csv").write_text("u,5\nv,6\n")
    with pytest.raises(InputError, match=r"--item-column \(by number where there is no header\)$"):
        run(tmp_path, "log.csv")


def test_a_number_within_a_session_may_order_what_has_one_time(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item,date,position\nu,a,2016-05-09,2\nu,b,2016-05-09,1\n")
    run(tmp_path, "log.csv", reporter=(told := Listening()))
    assert any(said.endswith("say --time-column 'date' --time-column 'position'") for said in told.others)
    done = run(tmp_path, "log.csv", time_column=["date", "position"])
    assert (histories(tmp_path), done.report.ordered_by) == ({"u": ["b", "a"]}, "position")


def test_ratings_with_a_decimal_comma(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user;item;rating\nu;a;4,5\nu;b;3,5\n;c;5\n")
    run(tmp_path, "log.csv", min_rating=4, on_error="skip")
    assert histories(tmp_path) == {"u": ["a"]}
