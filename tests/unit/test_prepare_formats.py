"""Every format of a log: told apart, read to the same interactions, titles found."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import orjson
import pytest

from eimf_core.errors import ConfigError, InputError
from eimf_core.io import jsonl
from eimf_core.prepare.config import PrepareConfig
from eimf_core.prepare.prepare import Prepared, prepare
from eimf_core.prepare.value_parsing import NO_TIME
from eimf_core.progress import SILENT
from eimf_core.records import Item, Sequence

LOG = [("1", "10", 5, 100), ("2", "10", 3, 105), ("1", "20", 4, 110), ("2", "30", 2, 120), ("1", "30", 1, 130)]
"""User, item, rating, time."""
HISTORIES = {"1": ["10", "20", "30"], "2": ["10", "30"]}
TITLES = {"10": "Tea & Co", "20": "Wool", "30": "30"}
FLAGS = "|".join("01" + "0" * 17)


def table(delimiter: str, header: str = "") -> str:
    return header + "".join(f"{delimiter.join(map(str, row))}\n" for row in LOG)


def reviews(keys: tuple[str, str, str, str], scale: int = 1) -> str:
    rows = [dict(zip(keys, (user, item, float(rating), time * scale), strict=True)) for user, item, rating, time in LOG]
    return "".join(orjson.dumps(row).decode() + "\n" for row in rows)


CASES: dict[str, tuple[dict[str, str], str]] = {
    "ml-100k": (
        {
            "u.data": table("\t"),
            "u.item": f"10|Tea &amp; Co|||u|{FLAGS}\n20|Wool|||u|{FLAGS}\n30|unknown|||u|{FLAGS}\n",
        },
        "Action",
    ),
    "ml-1m": ({"ratings.dat": table("::"), "movies.dat": "10::Tea &amp; Co::Action\n20::Wool::Drama\n"}, "Action"),
    "ml-csv": (
        {
            "ratings.csv": table(",", "userId,movieId,rating,timestamp\n"),
            "movies.csv": 'movieId,title,genres\n10,"Tea &amp; Co",Action|Drama\n20,Wool,(no genres listed)\n',
        },
        "Action",
    ),
    "amazon": (
        {
            "Tea_5.json": reviews(("reviewerID", "asin", "overall", "unixReviewTime")),
            "meta_Tea.json": "{'asin': '10', 'title': 'Tea &amp; Co', 'categories': [['Food', 'Tea']]}\n"
            "{'asin': '20', 'title': \"Wool\", 'brand': 'It\\'s'}\n",
        },
        "Food",
    ),
    "amazon-2023": (
        {
            "Tea.jsonl": reviews(("user_id", "parent_asin", "rating", "timestamp"), 10**10),
            "meta_Tea.jsonl": '{"parent_asin": "10", "title": "<b>Tea &amp; Co</b>", "categories": ["Food", "Tea"]}\n'
            '{"parent_asin": "20", "title": "Wool", "main_category": "Crafts", "description": ["a", "b"]}\n',
        },
        "Food",
    ),
    "recbole": (
        {
            "tea.inter": table("\t", "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"),
            "tea.item": "item_id:token\ttitle:token_seq\tclass:token_seq\n"
            "10\tTea &amp; Co\tFood Tea\n20\tWool\tCrafts\n",
        },
        "Food",
    ),
}


def run(folder: Path, *names: str, **options: Any) -> Prepared:
    options = {"split": "none", **options}
    if isinstance(options.get("time_column"), str):
        options["time_column"] = [options["time_column"]]
    items = [folder / name for name in options.pop("items", ())]
    logs = [folder / name for name in names] or [folder]
    given = {"items": items, "users": options.pop("users", None), "reporter": options.pop("reporter", SILENT)}
    return prepare(logs, folder / "out", PrepareConfig(threads=1, **options), **given)


def lines(folder: Path) -> list[Sequence]:
    return list(jsonl.read(folder / "out" / "sequences.jsonl", Sequence))


def histories(folder: Path) -> dict[str, list[str]]:
    return {line.user: line.items for line in lines(folder)}


def titles(folder: Path) -> dict[str, str]:
    return {item.item: item.title for item in jsonl.read(folder / "out" / "items.jsonl", Item)}


@pytest.mark.parametrize("name", CASES)
def test_published_folder(tmp_path: Path, name: str) -> None:
    files, category = CASES[name]
    for file, content in files.items():
        (tmp_path / file).write_text(content)
    log = next(iter(files))
    done = run(tmp_path, *([] if name not in ("amazon-2023",) else [log]))
    assert histories(tmp_path) == HISTORIES
    assert titles(tmp_path) == TITLES
    assert done.without_text == ["30"]
    item = next(iter(jsonl.read(tmp_path / "out" / "items.jsonl", Item)))
    assert item.categories[0] == category
    times = next(line.times for line in lines(tmp_path) if line.user == "1")
    expected = [100, 110, 130] if name != "amazon-2023" else [10**9, 11 * 10**8, 13 * 10**8]
    assert times == expected
    # and by ratings
    run(tmp_path, log, min_rating=3)
    assert histories(tmp_path) == {"1": ["10", "20"], "2": ["10"]}


def test_times_in_every_unit_and_as_dates(tmp_path: Path) -> None:
    seconds = [1_500_000_000 + 60 * n for n in range(6)]
    written = {
        "s": [str(time) for time in seconds],
        "ms": [f"{time}000" for time in seconds],
        "us": [f"{time}000000" for time in seconds],
        "date": [f"2017-07-14 02:{40 + n}:00" for n in range(6)],
        "zone": [f"2017-07-14T04:{40 + n}:00+02:00" for n in range(6)],
    }
    for name, values in written.items():
        (tmp_path / f"{name}.csv").write_text(
            "user;item;date\n" + "".join(f"u;i{n};{t}\n" for n, t in enumerate(values))
        )
        run(tmp_path, f"{name}.csv")
        assert lines(tmp_path)[0].times == seconds, name


@pytest.mark.parametrize("first", ["1500000000", "2017-07-14"])
def test_times_of_two_units_are_named_by_file_and_line(tmp_path: Path, first: str) -> None:
    (tmp_path / "mixed.csv").write_text(f"user,item,time\na,b,{first}\na,c,1500000000000\n")
    with pytest.raises(InputError, match="which looks like milliseconds when most times are") as caught:
        run(tmp_path, "mixed.csv")
    assert "mixed.csv:3: " in str(caught.value)


def test_columns_by_number_keep_a_first_row_that_holds_these_numbers(tmp_path: Path) -> None:
    (tmp_path / "bare.csv").write_text("2,1,5\n2,3,6\n")
    run(tmp_path, "bare.csv", user_column="1", item_column="2")
    assert histories(tmp_path) == {"2": ["1", "3"]}
    (tmp_path / "named.csv").write_text("0,1\nu,i\n")
    run(tmp_path, "named.csv", user_column="0", item_column="1")
    assert histories(tmp_path) == {"u": ["i"]}


def test_the_title_column_of_an_item_table(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item\nu,a\nu,b\n")
    (tmp_path / "items.csv").write_text("item,label,kind of it\na,Tea,x|y\nb,Wool,z\n")
    settings = PrepareConfig(split="none", title_column="label", category_column="kind of it")
    prepare([tmp_path / "log.csv"], tmp_path / "out", settings, items=[tmp_path / "items.csv"])
    found = list(jsonl.read(tmp_path / "out" / "items.jsonl", Item))
    assert [(item.title, item.categories) for item in found] == [("Tea", ["x", "y"]), ("Wool", ["z"])]
    (tmp_path / "bare.csv").write_text("u,a\nu,b\n")
    by_number = PrepareConfig(split="none", user_column="1", item_column="2", title_column="label")
    prepare([tmp_path / "bare.csv"], tmp_path / "out", by_number, items=[tmp_path / "items.csv"])
    assert [item.title for item in jsonl.read(tmp_path / "out" / "items.jsonl", Item)] == ["Tea", "Wool"]
    with pytest.raises(ConfigError, match="--title-column: neither the log nor an item table has a column 'name'"):
        prepare(
            [tmp_path / "log.csv"],
            tmp_path / "out",
            PrepareConfig(split="none", title_column="name"),
            items=[tmp_path / "items.csv"],
        )


def test_columns_told_by_name_and_by_number(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text('who,"what, then",name,kind\n' + 'u,"a, 1",Tea,x|y\nu,b,Wool,z\n')
    with pytest.raises(InputError, match="--user-column"):
        run(tmp_path, "log.csv")
    run(tmp_path, "log.csv", user_column="who", item_column="what, then", title_column="name", category_column="kind")
    assert histories(tmp_path) == {"u": ["a, 1", "b"]}
    assert titles(tmp_path) == {"a, 1": "Tea", "b": "Wool"}
    with pytest.raises(InputError, match="no column 'whom'"):
        run(tmp_path, "log.csv", user_column="whom")
    (tmp_path / "bare.csv").write_text(table(","))
    run(tmp_path, "bare.csv", user_column="1", item_column="2", time_column="4")
    assert histories(tmp_path) == HISTORIES


@pytest.mark.slow
def test_json_lines_parquet_gzip_zstd_and_several_files(tmp_path: Path) -> None:
    import duckdb

    rows = [{"user_id": user, "product_id": item, "ts": time} for user, item, _, time in LOG]
    text = b"".join(orjson.dumps(row) + b"\n\n" for row in rows)
    (tmp_path / "log.jsonl").write_bytes(text)
    (tmp_path / "log.jsonl.gz").write_bytes(gzip.compress(text))
    with duckdb.connect() as connection:
        source = f"read_json('{tmp_path}/log.jsonl')"
        columns = "user_id, product_id, to_timestamp(ts) AS ts"
        connection.execute(f"COPY (SELECT {columns} FROM {source}) TO '{tmp_path}/log.parquet'")
        connection.execute(f"COPY (FROM {source}) TO '{tmp_path}/log.csv.zst' (COMPRESSION zstd)")
    for name in ("log.jsonl", "log.jsonl.gz", "log.parquet", "log.csv.zst"):
        run(tmp_path, name)
        assert histories(tmp_path) == HISTORIES, name
        assert sorted(lines(tmp_path)[0].times or []) == [100, 110, 130], name
    header, *body = table(",", "user,item,rating,time\n").splitlines(keepends=True)
    (tmp_path / "part-1.csv").write_text(header + "".join(body[:2]))
    (tmp_path / "part-2.csv").write_text(header + "".join(body[2:]))
    run(tmp_path, "part-*.csv")
    assert histories(tmp_path) == HISTORIES
    with pytest.raises(ConfigError, match="no file"):
        run(tmp_path, "part-9*.csv")
    with pytest.raises(ConfigError, match="twice"):
        run(tmp_path, "part-1.csv", "part-1.csv")
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "log.parquet").read_bytes()[:-30])
    with pytest.raises(InputError, match=r"cut\.parquet"):
        run(tmp_path, "cut.parquet")


def test_pairs_and_user_lines(tmp_path: Path) -> None:
    (tmp_path / "pairs.txt").write_text("1 10\n1 20\n1 30\n2 10\n2 30\n")
    (tmp_path / "lines.txt").write_text("1 10 20  30\n2\t10 30\n")
    for name in ("pairs.txt", "lines.txt"):
        run(tmp_path, name)
        assert histories(tmp_path) == HISTORIES, name
    with pytest.raises(ConfigError, match="leave-one-out"):
        run(tmp_path, "pairs.txt", split="temporal")
    (tmp_path / "lines.txt").write_text("1 10 20 30\n2\n")
    with pytest.raises(InputError, match=r"lines\.txt:2: field 'item'"):
        run(tmp_path, "lines.txt", format="user-lines")


def test_overlapping_rows_become_whole_sequences(tmp_path: Path) -> None:
    header = "user_id:token\titem_id_list:token_seq\titem_id:token\n"
    (tmp_path / "a.train.inter").write_text(header + "1\ta\tb\n1\ta b\ta\n2\tc\td\n")
    (tmp_path / "a.test.inter").write_text(header + "1\ta b a\tc\n")
    run(tmp_path, "a.train.inter", "a.test.inter")
    assert histories(tmp_path) == {"1": ["a", "b", "a", "c"], "2": ["c", "d"]}
    run(tmp_path, "a.test.inter", "a.train.inter")
    assert histories(tmp_path) == {"1": ["a", "b", "a", "c"], "2": ["c", "d"]}
    (tmp_path / "cut.train.inter").write_text(header + "1\ta b c\td\n")
    (tmp_path / "cut.test.inter").write_text(header + "1\tc d e\tf\n")
    run(tmp_path, "cut.train.inter", "cut.test.inter")
    assert histories(tmp_path) == {"1": ["a", "b", "c", "d", "e", "f"]}
    (tmp_path / "a.valid.inter").write_text(header + "1\tx y\tz\n")
    with pytest.raises(InputError, match=r"a\.valid\.inter:2: field 'user': is '1', whose history"):
        run(tmp_path, "a.train.inter", "a.valid.inter")
    (tmp_path / "a.valid.inter").write_text(header + "1\tx y\tz\n2\tc\n")
    done = run(tmp_path, "a.train.inter", "a.valid.inter", on_error="skip")
    assert histories(tmp_path) == {"1": ["a", "b", "a"], "2": ["c", "d"]}
    assert sum(done.report.rejected.values()) == 2


def test_ready_lines_pass_through_and_are_checked(tmp_path: Path) -> None:
    ready = [
        Sequence(user="u", split="train", items=["a", "b"], times=[1.5, 2.5]),
        Sequence(user="u", split="test", items=["a", "b"], times=[1.5, 2.5], targets=["c"]),
    ]
    jsonl.write(tmp_path / "ready.jsonl", ready)
    done = run(tmp_path, "ready.jsonl", split="temporal")
    assert lines(tmp_path) == ready
    assert done.facts == {"split": "given", "targets": "next"}
    assert (done.report.splits["test"].cold_targets, done.report.splits["test"].users) == (1, 1)
    with pytest.raises(ConfigError, match="--min-user"):
        run(tmp_path, "ready.jsonl", split="temporal", min_user=2)
    good = (tmp_path / "ready.jsonl").read_text()
    for old, new, words in (
        ('"times":[1.5,2.5],"targets":["c"]', '"times":[2.5,1.5],"targets":["c"]', "field 'times': are not in order"),
        ('"times":[1.5,2.5],"targets":["c"]', '"times":[1.5],"targets":["c"]', "1 entries for 2 items"),
        ('"targets":["c"]', '"targets":[]', "field 'targets'"),
        ('"split":"test"', '"split":"train"', "field 'user'"),
    ):
        assert old in good
        (tmp_path / "bad.jsonl").write_text(good.replace(old, new))
        with pytest.raises(InputError, match=r"bad\.jsonl:2") as caught:
            run(tmp_path, "bad.jsonl", split="temporal")
        assert words in str(caught.value)


def test_bad_rows_are_named_or_counted_and_kept(tmp_path: Path) -> None:
    bad = 'user,item,time\nu,"a\nb",1\nu,b\nu,c,soon\n,d,4\nu,e,5,6\nu,f,inf\nu,g,7\nv,"x",8\n\nv,y,\n'
    (tmp_path / "log.csv").write_text(bad)
    with pytest.raises(InputError, match=r"log\.csv:4: has 2 columns, expected 3"):
        run(tmp_path, "log.csv")
    assert not (tmp_path / "out").exists()
    done = run(tmp_path, "log.csv", on_error="skip")
    assert histories(tmp_path) == {"u": ["a\nb", "g"], "v": ["x"]}
    rejects = [orjson.loads(line) for line in (tmp_path / "out" / "rejects.jsonl").read_bytes().splitlines()]
    assert [row["line"] for row in rejects] == [4, 5, 6, 7, 8, 12]
    assert [row["text"] for row in rejects] == ["u,b", "u,c,soon", ",d,4", "u,e,5,6", "u,f,inf", "v,y,"]
    assert done.report.rejected == {
        "has 2 columns, expected 3": 1, f"field 'time': {NO_TIME}": 2, "field 'time': is empty": 1,
        "field 'user': is empty": 1, "has 4 columns, expected 3": 1,
    }  # fmt: skip
    (tmp_path / "log.csv").write_text("user,item,time\nu,a,1\n")
    run(tmp_path, "log.csv")
    assert not (tmp_path / "out" / "rejects.jsonl").exists()


def test_bad_json_lines(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"user":"u","item":1,"time":1}\n\n[3]\nno\n{"user":"u","time":2}\n')
    with pytest.raises(InputError, match=r"log\.jsonl:3: is not a JSON object"):
        run(tmp_path, "log.jsonl")
    done = run(tmp_path, "log.jsonl", on_error="skip")
    assert histories(tmp_path) == {"u": ["1"]}
    assert sum(done.report.rejected.values()) == 3


def test_damaged_gzip_is_found_although_it_unpacks(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(("user,item,time\n" + "".join(f"u{n},i{n},{n}\n" for n in range(5000))).encode()))
    packed[-6] ^= 1  # the checksum
    (tmp_path / "log.csv.gz").write_bytes(packed)
    with pytest.raises(InputError, match="broken gzip stream"):
        run(tmp_path, "log.csv.gz")


def test_mixed_line_ends_are_read_and_counted_right(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_bytes(b"user,item,time\r\nu,a,1\nu,b,2\r\nu,c,3\n")
    run(tmp_path, "log.csv")
    assert histories(tmp_path) == {"u": ["a", "b", "c"]}
    (tmp_path / "log.csv").write_bytes(b"user,item,time\r\nu,a,1\nu,b\r\nu,c,3\n")
    with pytest.raises(InputError, match=r"log\.csv:3: has 2 columns"):
        run(tmp_path, "log.csv")
    done = run(tmp_path, "log.csv", on_error="skip")
    assert (histories(tmp_path), done.report.rejected) == ({"u": ["a", "c"]}, {"has 2 columns, expected 3": 1})


def test_a_table_that_is_not_utf_8_is_said(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_bytes(b"user,item,time\nu,a,1\nJos\xe9,a,1\nv,b,2\n")
    with pytest.raises(InputError, match=r"log\.csv:3: is not UTF-8"):
        run(tmp_path, "log.csv")
    done = run(tmp_path, "log.csv", on_error="skip")
    assert (histories(tmp_path), sum(done.report.rejected.values())) == ({"u": ["a"], "v": ["b"]}, 1)
