"""Item text from tables, JSON lines, Parquet and published files, and rows of them that are bad."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from eimf_core.errors import ConfigError, InputError
from eimf_core.io import jsonl
from eimf_core.prepare.config import PrepareConfig
from eimf_core.prepare.prepare import prepare
from eimf_core.records import Item
from tests.listening import Listening
from tests.unit.test_prepare_formats import run, titles
from tests.unit.test_prepare_rows import rejects

ITEMS = [
    {"sku": "1", "name": "Tea &amp; Co", "genres": ["Food", ["Tea"]], "description": "<b>Green</b>"},
    {"sku": "2", "name": "Wool"},
    {"sku": "9", "name": "Elsewhere"},
]
EXPECTED = [
    Item(item="1", title="Tea & Co", categories=["Food", "Tea"], text="Green"),
    Item(item="2", title="Wool"),
]


def write_items(folder: Path) -> None:
    """The same items as JSON lines, CSV and Parquet, ids as numbers where there are types."""
    import duckdb

    typed = [{**row, "sku": int(row["sku"])} for row in ITEMS]  # type: ignore[call-overload]
    (folder / "items.jsonl").write_bytes(b"\n".join(map(orjson.dumps, typed)))
    (folder / "items.json").write_bytes(b"\n".join(map(orjson.dumps, typed)))
    (folder / "items.csv").write_text(
        'sku,name,genres,description\n1,Tea &amp; Co,"Food,Tea",<b>Green</b>\n2,Wool,,\n9,Elsewhere,,\n'
    )
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE items (sku BIGINT, name VARCHAR, genres VARCHAR[], description VARCHAR)")
        connection.executemany(
            "INSERT INTO items VALUES (?, ?, ?, ?)",
            [[1, "Tea &amp; Co", ["Food", "Tea"], "<b>Green</b>"], [2, "Wool", None, None], [9, "Elsewhere", [], ""]],
        )
        connection.execute(f"COPY items TO '{folder}/items.parquet'")
        connection.execute(f"COPY (SELECT sku AS code, name AS label FROM items) TO '{folder}/told.parquet'")


@pytest.mark.parametrize("name", ["items.jsonl", "items.json", "items.csv", "items.parquet"])
def test_item_text_from_any_table(tmp_path: Path, name: str) -> None:
    (tmp_path / "log.csv").write_text("user,item\nu,1\nu,2\n")
    write_items(tmp_path)
    done = run(tmp_path, "log.csv", items=[name])
    assert list(jsonl.read(tmp_path / "out" / "items.jsonl", Item)) == EXPECTED
    assert (done.without_text, done.report.described_not_in_log) == ([], 1)


def test_item_text_with_columns_that_are_told(tmp_path: Path) -> None:
    write_items(tmp_path)
    (tmp_path / "log.csv").write_text("user,code\nu,1\nu,2\n")
    (tmp_path / "told.jsonl").write_text('{"code":"1","label":"Tea"}\n{"code":"2","label":"Wool"}\n')
    with pytest.raises(InputError, match="no column is recognised as the item and as the title among code, label"):
        prepare([tmp_path / "log.csv"], tmp_path / "out", PrepareConfig(split="none"), items=[tmp_path / "told.jsonl"])
    for name in ("told.jsonl", "told.parquet"):
        run(tmp_path, "log.csv", items=[name], item_column="code", title_column="label")
        assert titles(tmp_path) == {"1": "Tea" if name == "told.jsonl" else "Tea & Co", "2": "Wool"}
        with pytest.raises(ConfigError, match="--title-column: neither the log nor an item table"):
            run(tmp_path, "log.csv", items=[name], item_column="code", title_column="what")


def test_a_table_of_items_in_the_place_of_the_log(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("sku,title\n1,Tea\n")
    with pytest.raises(InputError, match="with --user-column; if this is the table of items, give it with --items"):
        run(tmp_path, "items.csv")
    (tmp_path / "log.csv").write_text("sku,day\n1,2\n")
    with pytest.raises(InputError, match=r"with --user-column$"):
        run(tmp_path, "log.csv")


def test_item_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item\nu,1\n")
    (tmp_path / "array.json").write_text('[{"item":"1","title":"Tea"}]')
    (tmp_path / "cut.jsonl").write_text('{"sku":"1","name":"Tea"}\n{"sku"\n')
    (tmp_path / "list.jsonl").write_text('{"sku":"1","name":"Tea"}\n\n["1"]\n')
    write_items(tmp_path)
    (tmp_path / "empty.csv").touch()
    whole = (tmp_path / "items.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[:-20])
    for name, words in (
        ("empty.csv", r"empty\.csv: is empty; expected items with titles"),
        ("array.json", "is no item file that is recognised"),
        ("cut.jsonl", r"cut\.jsonl:2: not a JSON object"),
        ("list.jsonl", r"list\.jsonl:3: is not a JSON object"),
        ("cut.parquet", r"cut\.parquet: is not whole .*get it again"),
    ):
        with pytest.raises(InputError, match=words):
            run(tmp_path, "log.csv", items=[name])
        assert not (tmp_path / "out").exists()


BAD_ITEMS: dict[str, tuple[str, str]] = {
    "items.csv": ("item,title\n1,Tea\n2\n9,Elsewhere\n", "2"),
    "items.jsonl": ('{"sku":"1","name":"Tea"}\n{"sku"\n', '{"sku"'),
    "lines.jsonl": ('{"item":"1","title":"Tea"}\n{"item":"2"}\n', '{"item":"2"}'),
    "movies.dat": ("1::Tea::Food\n" * 120 + "2::Wool\n", "2::Wool"),
    "movies.csv": ("movieId,title,genres\n1,Tea,Food\n2,Wool\n", "2,Wool"),
    "x.item": ("item_id:token\ttitle:token_seq\n1\tTea\n2\n", "2"),
    "meta_x.json": ('{"asin":"1","title":"Tea"}\n{"title":"Wool"}\n', '{"title":"Wool"}'),
}


@pytest.mark.parametrize("name", BAD_ITEMS)
def test_a_bad_row_of_an_item_file_stops_or_is_put_aside(tmp_path: Path, name: str) -> None:
    content, text = BAD_ITEMS[name]
    (tmp_path / "log.csv").write_text("user,item\nu,1\nu,2\n")
    (tmp_path / name).write_text(content)
    line = content.splitlines().index(text) + 1
    with pytest.raises(InputError, match=rf"{name}:{line}: .*--on-error skip leaves such rows out"):
        run(tmp_path, "log.csv", items=[name])
    done = run(tmp_path, "log.csv", items=[name], on_error="skip")
    assert titles(tmp_path) == {"1": "Tea", "2": "2"}
    assert [(row[0], row[2]) for row in rejects(tmp_path)] == [(line, text)]
    assert sum(done.report.rejected.values()) == 1


def test_an_item_table_without_titles_is_said(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item\nu,1\n")
    (tmp_path / "items.csv").write_text("item,label\n1,Tea\n")
    said = Listening()
    settings = PrepareConfig(split="none")
    prepare([tmp_path / "log.csv"], tmp_path / "out", settings, items=[tmp_path / "items.csv"], reporter=said)
    assert (
        "no column is recognised as the title among item, label; name it with --items-title-column" in said.warnings[0]
    )
    assert not any("have no text" in words for words in said.warnings)


def test_two_tables_with_columns_of_their_own(tmp_path: Path) -> None:
    """The item has one name in the log and another in the table; `id` beside a title is the item."""
    (tmp_path / "log.tsv").write_text("who\tartistID\tweight\n1\t10\t5\n1\t11\t4\n")
    (tmp_path / "items.tsv").write_text("id\tname\turl\n10\tAlpha\tx\n11\tBeta\ty\n")
    (tmp_path / "odd.csv").write_text("key,what,kind,words\n10,Alpha,A,one\n11,Beta,B,two\n")
    (tmp_path / "bare.csv").write_text("x,10,Alpha\ny,11,Beta\n")
    run(tmp_path, "log.tsv", items=["items.tsv"], user_column="who", item_column="artistID")
    assert titles(tmp_path) == {"10": "Alpha", "11": "Beta"}
    named = {"items_item_column": "key", "items_title_column": "what", "items_category_column": "kind"}
    named["items_text_column"] = "words"
    run(tmp_path, "log.tsv", items=["odd.csv"], user_column="who", item_column="artistID", **named)
    assert list(jsonl.read(tmp_path / "out" / "items.jsonl", Item)) == [
        Item(item="10", title="Alpha", categories=["A"], text="one"),
        Item(item="11", title="Beta", categories=["B"], text="two"),
    ]
    numbers = {"items_item_column": "2", "items_title_column": "3"}
    run(tmp_path, "log.tsv", items=["bare.csv"], user_column="who", **numbers)
    assert titles(tmp_path) == {"10": "Alpha", "11": "Beta"}


def test_a_column_of_the_item_table_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item\nu,1\n")
    (tmp_path / "items.csv").write_text("sku,name\n1,Tea\n")
    (tmp_path / "movies.dat").write_text("1::Tea::Food\n")
    with pytest.raises(
        ConfigError, match="--items-title-column: no item table has a column 'nam'; there are sku, name"
    ):
        run(tmp_path, "log.csv", items=["items.csv"], items_title_column="nam")
    with pytest.raises(ConfigError, match="--items-title-column does not go with a log without --items"):
        run(tmp_path, "log.csv", items_title_column="name")


def test_an_item_table_is_joined_by_the_column_that_the_log_has(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("customer,sku\nu,S1\nu,S2\n")
    (tmp_path / "items.csv").write_text("product_id,sku,Bezeichnung,Warengruppe\n1,S1,Tee,A|B\n2,S2,Wolle,C\n")
    run(tmp_path, "log.csv", items=["items.csv"])
    assert list(jsonl.read(tmp_path / "out" / "items.jsonl", Item)) == [
        Item(item="S1", title="Tee", categories=["A", "B"]),
        Item(item="S2", title="Wolle", categories=["C"]),
    ]


def test_item_lines_with_keys_of_others_lose_nothing(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item\nu,1\n")
    (tmp_path / "items.jsonl").write_text('{"item":"1","title":"Tea","genres":"A|B","description":"Fine"}\n')
    run(tmp_path, "log.csv", items=["items.jsonl"])
    assert list(jsonl.read(tmp_path / "out" / "items.jsonl", Item)) == [
        Item(item="1", title="Tea", categories=["A", "B"], text="Fine")
    ]


def test_lines_of_python_literals_are_items_too(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item\nu,1\nu,2\n")
    (tmp_path / "games.json").write_text(
        "{u'id': u'1', u'title': u'T\\xe9a', 'x': None}\n{'id': '2', 'title': 'Wool'}\n{'id'\n"
    )
    with pytest.raises(InputError, match=r"games\.json:3: not a JSON object"):
        run(tmp_path, "log.csv", items=["games.json"])
    run(tmp_path, "log.csv", items=["games.json"], on_error="skip")
    assert titles(tmp_path) == {"1": "Téa", "2": "Wool"}


def test_titles_of_the_log_where_no_table_gives_any(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item,title\nu,1,Tea\nv,1,Tea\nu,2,Wool\n")
    run(tmp_path, "log.csv")
    assert titles(tmp_path) == {"1": "Tea", "2": "Wool"}
    (tmp_path / "items.csv").write_text("item,title\n1,Green tea\n")
    run(tmp_path, "log.csv", items=["items.csv"])
    assert titles(tmp_path) == {"1": "Green tea", "2": "2"}
    # titles of reviews, one for each
    (tmp_path / "log.csv").write_text("user,item,title\nu,1,Good\nv,1,Bad\nu,2,Fine\nbad\n")
    run(tmp_path, "log.csv", on_error="skip")
    assert titles(tmp_path) == {"1": "1", "2": "2"}
    # names of people
    (tmp_path / "log.jsonl").write_text('{"user":"u","item":"1","name":"Ann"}\n{"user":"u","item":"2","name":"Ann"}\n')
    run(tmp_path, "log.jsonl")
    assert titles(tmp_path) == {"1": "1", "2": "2"}
