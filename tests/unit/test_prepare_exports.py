"""What other programs export: columns of shops and analytics, days of spreadsheets, lists in cells, other files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from eimf_core.errors import InputError
from tests.listening import Listening
from tests.unit.test_prepare_formats import histories, lines, run, titles


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("event_timestamp,event_name,user_pseudo_id,items.item_id,items.item_name", "1700000000000000,view,u,a,Tea"),
        ("id_order,id_customer,product_reference,product_name,date_add", "5,u,a,Tea,2023-11-14 22:13:20"),
        ("Date,Time,Item,SKU,Customer ID", "2023-11-14,22:13:20,Tea,a,u"),
        ("user,user_id,item,item_id,time", "Anna,u,Tea,a,1700000000"),
        ("Customer ID,Customer Email,Product ID,Product Name,Created (UTC)", "u,x@y.org,a,Tea,2023-11-14 22:13:20"),
        ("visitorId,productSku,productName,serverTimestamp", "u,a,Tea,1700000000"),
        ("order-status,buyer-email,sku,product-name,purchase-date", "Shipped,u,a,Tea,2023-11-14T22:13:20+00:00"),
    ],
)
def test_columns_of_exports(tmp_path: Path, header: str, row: str) -> None:
    (tmp_path / "log.csv").write_text(f"{header}\n{row}\n")
    run(tmp_path, "log.csv")
    assert histories(tmp_path) == {"u": ["a"]}
    assert lines(tmp_path)[0].times == [1700000000]
    assert titles(tmp_path) == {"a": "Tea"}


def test_a_bare_name_beside_an_id_is_a_title_only_where_it_holds_words(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item,item_id,time\nu,4711,a,1\nu,4712,b,2\n")
    run(tmp_path, "log.csv")
    assert titles(tmp_path) == {"a": "a", "b": "b"}


def test_counted_days_come_before_the_time_of_the_day(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(
        "household_key,DAY,PRODUCT_ID,TRANS_TIME\nu,2,c,0905\nu,1,b,1631\nu,1,a,930\nu,10,d,100\n"
    )
    run(tmp_path, "log.csv")
    assert histories(tmp_path) == {"u": ["a", "b", "c", "d"]}


@pytest.mark.parametrize(
    ("times", "seconds", "said"),
    [
        (["45245.5", "45245.926"], [1700049600, 1700086406.4], []),
        (["2460263.0", "2460263.42592"], [1699963200, 1699999999.488], []),
        (
            ["45245", "45246"],
            [45245, 45246],
            ["times from 45,245 to 45,246 are taken as counting numbers; if they are days"],
        ),
        (["4524.5", "45245.9"], [4524.5, 45245.9], []),
        (["12.5", "13.75"], [12.5, 13.75], []),
    ],
)
def test_days_of_spreadsheets(tmp_path: Path, times: list[str], seconds: list[float], said: list[str]) -> None:
    (tmp_path / "log.csv").write_text("user,item,time\n" + "".join(f"u,i{n},{at}\n" for n, at in enumerate(times)))
    told = Listening()
    run(tmp_path, "log.csv", reporter=told)
    assert lines(tmp_path)[0].times == seconds
    assert [words.startswith(start) for words, start in zip(told.others, said, strict=True)] == [True] * len(said)


@pytest.mark.parametrize(
    ("cells", "warned"),
    [
        (["a;b", "b;c", "a;c"], True),
        (["a|b|c", "c|a", "b|a"], True),
        (["1,234", "1,235", "1,236", "2,101"], False),
        (["Shirt, red", "Shirt, blue", "Cap, red"], False),
        (["a", "b", "c;d"], False),
        ([f"{n // 100},{n % 100:03}" for n in range(100, 2000, 7)], False),
    ],
)
def test_several_items_in_a_cell_are_warned_of(tmp_path: Path, cells: list[str], warned: bool) -> None:
    rows = "".join(f'u,"{cell}",{at}\n' for at, cell in enumerate(cells, start=1))
    (tmp_path / "log.csv").write_text("user,item,time\n" + rows)
    told = Listening()
    run(tmp_path, "log.csv", reporter=told)
    assert ["look like several items" in words for words in told.others] == [True] * warned


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("<table><tr><td>user</td></tr></table>", "is a table in HTML, which is not read; open it in a spreadsheet"),
        ("<orders><o user='u' item='a'/></orders>", "is XML, which is not read"),
        ("-- MySQL dump 10.13\n--\nCREATE TABLE `log` (`user` int);\n", "is a dump in SQL"),
        ("--\n-- PostgreSQL database dump\n--\n\nCOPY log (user_id, item_id) FROM stdin;\n1\t2\n", "is a dump in SQL"),
        ("INSERT INTO log (user, item) VALUES ('u', 'a');\n", "is a dump in SQL, which is not read; export the table"),
        ("user,item\nu,\"['a', 'b']\"\nu,\"['c']\"\n", "field 'item': holds lists such as ['a', 'b']; write one"),
    ],
)
def test_what_is_no_log_is_named(tmp_path: Path, text: str, what: str) -> None:
    (tmp_path / "log").write_text(text)
    with pytest.raises(InputError, match=re.escape(what)):
        run(tmp_path, "log")


@pytest.mark.parametrize("text", ["<user>,<item>,<date>\nu,a,2024-01-01\n", "-- exported\nuser,item,time\nu,a,1\n"])
def test_what_only_begins_like_another_kind_is_read(tmp_path: Path, text: str) -> None:
    (tmp_path / "log.csv").write_text(text)
    run(tmp_path, "log.csv")
    assert histories(tmp_path) == {"u": ["a"]}
