"""Tables without a header or told by number, and item text from tables, JSON lines and Parquet."""

from __future__ import annotations

import gzip
from pathlib import Path

import orjson
import pytest

from eimf_core import jsonl
from eimf_core.errors import ConfigError, InputError
from eimf_core.prepare.config import PrepareConfig
from eimf_core.prepare.formats.tables import is_header
from eimf_core.prepare.prepare import prepare
from eimf_core.records import Item
from tests.listening import Listening
from tests.unit.test_prepare_formats import histories, run, titles
from tests.unit.test_prepare_rows import packed_zstd, rejects

HEADS = {
    "a known name": ("userId,what\na,x\na,y\n", True),
    "a word above numbers": ("who,what,score\na,x,3\na,y,4\n", True),
    "a word above dates": ("who,what,when\na,x,2017-07-14\na,y,2017-07-15\n", True),
    "a number": ("a,x,5\na,y,6\n", False),
    "a date": ("a,x,2017-07-14\nb,y,2017-07-15\n", False),
    "a value that comes again": ("a,x\na,y\n", False),
    "an id like the others": ("B0004,u71\nB0007,u12\n", False),
    "nothing": ("who,what\na,x\nb,y\n", None),
    "one line": ("who,what\n", None),
}


@pytest.mark.parametrize("name", HEADS)
def test_the_first_line_of_columns_by_number(tmp_path: Path, name: str) -> None:
    content, header = HEADS[name]
    (tmp_path / "log.csv").write_text(content)
    by_number = {"user_column": "1", "item_column": "2"}
    if "date" in name:
        by_number["time_column"] = "3"
    rows = [line.split(",")[:2] for line in content.splitlines()]

    def expected(rows: list[list[str]]) -> dict[str, list[str]]:
        return {user: [item for other, item in rows if other == user] for user, _ in rows}

    if header is None:
        with pytest.raises(InputError, match=r"log\.csv:1: cannot be told .*--header yes or --header no"):
            run(tmp_path, "log.csv", **by_number)
        run(tmp_path, "log.csv", header="no", **by_number)
        assert histories(tmp_path) == expected(rows)
    else:
        run(tmp_path, "log.csv", **by_number)
        assert histories(tmp_path) == expected(rows[header:])
        run(tmp_path, "log.csv", header="no" if header else "yes", on_error="skip", **by_number)
        others = rows[not header :] if "date" not in name else rows[1:]
        assert histories(tmp_path) == expected(others)


def test_is_header_looks_at_all_columns_and_whole_rows() -> None:
    assert is_header([["p", "q", "n"], ["a", "b", ""], ["a", "b", "7"], ["a"]], {"user": 0, "item": 1}) is True
    assert is_header([["p", "q", "7"], ["a", "b", "8"]], {"user": 0, "item": 1}) is False
    assert is_header([["p", "", "soon"], ["a", "b", "c"]], {"user": 0, "item": 1, "time": 2}) is True
    assert is_header([["p", "q", ""], ["a", "b", ""]], {"user": 0, "item": 1, "time": 2}) is None


def test_no_header_where_columns_have_to_be_told(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item\na,x\n")
    with pytest.raises(InputError, match="among 1, 2; name it with --user-column"):
        run(tmp_path, "log.csv", header="no")


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
    with pytest.raises(InputError, match="no column is recognised as the item among code, label"):
        prepare([tmp_path / "log.csv"], tmp_path / "out", PrepareConfig(split="none"), items=[tmp_path / "told.jsonl"])
    for name in ("told.jsonl", "told.parquet"):
        run(tmp_path, "log.csv", items=[name], item_column="code", title_column="label")
        assert titles(tmp_path) == {"1": "Tea" if name == "told.jsonl" else "Tea & Co", "2": "Wool"}
        with pytest.raises(ConfigError, match="--title-column: neither the log nor an item table"):
            run(tmp_path, "log.csv", items=[name], item_column="code", title_column="what")


def test_item_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item\nu,1\n")
    (tmp_path / "array.json").write_text('[{"item":"1","title":"Tea"}]')
    (tmp_path / "cut.jsonl").write_text('{"sku":"1","name":"Tea"}\n{"sku"\n')
    (tmp_path / "list.jsonl").write_text('{"sku":"1","name":"Tea"}\n\n["1"]\n')
    write_items(tmp_path)
    whole = (tmp_path / "items.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[:-20])
    for name, words in (
        ("array.json", "is no item file that is recognised"),
        ("cut.jsonl", r"cut\.jsonl:2: not a JSON object"),
        ("list.jsonl", r"list\.jsonl:3: is not a JSON object"),
        ("cut.parquet", r"cut\.parquet: is not whole"),
    ):
        with pytest.raises(InputError, match=words):
            run(tmp_path, "log.csv", items=[name])
        assert not (tmp_path / "out").exists()


def test_a_key_that_the_first_line_lacks_is_found(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"user":"u","item":"a"}\n{"user":"u","item":"b","ts":5}\n')
    with pytest.raises(InputError, match=r"log\.jsonl:1: field 'time'"):
        run(tmp_path, "log.jsonl")


def test_columns_without_a_name_or_of_one_name(tmp_path: Path) -> None:
    """An index column, as pandas writes it, and a delimiter at the end of each line."""
    (tmp_path / "log.csv").write_text(",user,x,x,item,\n0,u,1,2,a,\n1,u,1,2,b,\n")
    run(tmp_path, "log.csv")
    assert histories(tmp_path) == {"u": ["a", "b"]}
    with pytest.raises(InputError, match=r"log\.csv:1: has two columns 'x'"):
        run(tmp_path, "log.csv", time_column="x")


def test_json_and_encodings_that_are_no_log(tmp_path: Path) -> None:
    import duckdb

    for name, content, words in (
        ("a.json", b'[{"user":"u","item":"a"}]', r"a\.json: holds JSON, but not one object a line.*jq -c '\.\[\]'"),
        ("b.json", b'{\n "user": "u",\n "item": "a"\n}\n', r"b\.json: holds JSON.*jq -c \.$"),
        ("c.jsonl", b'{"user":"u","item":["a","b"]}\n', r"c\.jsonl: field 'item': holds lists"),
        ("d.csv", "user,item\nu,a\n".encode("utf-16"), r"d\.csv: is UTF-16; convert"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=words):
            run(tmp_path, name)
    with duckdb.connect() as connection:
        connection.execute(f"COPY (SELECT 'u' AS user, ['a'] AS item) TO '{tmp_path}/e.parquet'")
    with pytest.raises(InputError, match=r"e\.parquet: field 'item': holds lists"):
        run(tmp_path, "e.parquet")


def test_a_name_with_pattern_characters_is_that_file_alone(tmp_path: Path) -> None:
    for name in ("a*b", "a[x]b", "a?b"):
        (tmp_path / f"{name}.csv").write_text("user,item\nu,right\n")
        (tmp_path / "axb.csv").write_text("user,item\nu,wrong\n")
        run(tmp_path, f"{name}.csv")
        assert histories(tmp_path) == {"u": ["right"]}, name


def test_packed_files_are_told_by_their_first_bytes(tmp_path: Path) -> None:
    content = b"user,item\nu,a\n\nu,b\n"
    (tmp_path / "packed.csv").write_bytes(gzip.compress(content))
    (tmp_path / "plain.csv.gz").write_bytes(content)
    (tmp_path / "plain.csv.zst").write_bytes(content)
    packed_zstd(tmp_path / "z.csv", content.decode())
    for name in ("packed.csv", "plain.csv.gz", "plain.csv.zst", "z.csv"):
        run(tmp_path, name)
        assert histories(tmp_path) == {"u": ["a", "b"]}, name


def test_the_header_of_pairs_is_no_user(tmp_path: Path) -> None:
    (tmp_path / "pairs.txt").write_text("user item\n1 a\n1 b\n2 a\n")
    run(tmp_path, "pairs.txt")
    assert histories(tmp_path) == {"1": ["a", "b"], "2": ["a"]}
    (tmp_path / "lines.txt").write_text("user items\n1 a b\n2 a\n")
    with pytest.raises(InputError, match="is no log that is recognised"):
        run(tmp_path, "lines.txt")


ROWS = [("u1", "a", 5), ("u2", "b", 6), ("u3", "a", 7)]


@pytest.mark.parametrize("delimiter", ["\t", " "])
@pytest.mark.parametrize(
    ("names", "order"),
    [
        ("timestamp user_id item_id", (2, 0, 1)),
        ("item_id user_id timestamp", (1, 0, 2)),
        ("client sku when", (0, 1, 2)),
        ("sku client ts", (1, 0, 2)),
    ],
)
def test_a_header_with_known_names_in_any_order_makes_a_table(
    tmp_path: Path, names: str, order: tuple[int, ...], delimiter: str
) -> None:
    rows = [delimiter.join(str(row[place]) for place in order) for row in ROWS]
    (tmp_path / "log.txt").write_text("\n".join([names.replace(" ", delimiter), *rows, ""]))
    run(tmp_path, "log.txt")
    assert histories(tmp_path) == {"u1": ["a"], "u2": ["b"], "u3": ["a"]}


@pytest.mark.parametrize("delimiter", ["\t", " "])
def test_pairs_in_the_order_that_their_header_names(tmp_path: Path, delimiter: str) -> None:
    (tmp_path / "log.txt").write_text(f"item_id{delimiter}user_id\na{delimiter}u\nb{delimiter}u\na{delimiter}v\n")
    run(tmp_path, "log.txt")
    assert histories(tmp_path) == {"u": ["a", "b"], "v": ["a"]}


@pytest.mark.parametrize(
    ("content", "words", "options", "expected"),
    [
        ("who\twhat\twhen\nu1\ta\t5\nu2\tb\t6\n", "--user-column", {"user_column": "who", "item_column": "what"}, {}),
        ("u1\ta\t5\nu2\tb\t6\n", "--format user-lines", {"user_column": "1", "item_column": "2"}, {}),
        ("u1 a 5\nu2 b 6\n", "--format user-lines", {"user_column": "1", "item_column": "2"}, {}),
        ("u1 a c\nu2 b c\n", "--user-column", {"format": "user-lines"}, {"u1": ["a", "c"], "u2": ["b", "c"]}),
        ("9\t196\t242\t3\n8\t22\t377\t1\n", "--user-column", {"format": "ml-100k"}, {"9": ["196"], "8": ["22"]}),
        ("who what\nu1 a\nu1 b\nu2 a\n", "--header yes", {"header": "yes"}, {"u1": ["a", "b"], "u2": ["a"]}),
        ("ann tea\nbob jam\nbob wool\n", "--header no", {"header": "no"}, {"ann": ["tea"], "bob": ["jam", "wool"]}),
        ("ann tea\nbob jam wool\n", "--header no", {"header": "no"}, {"ann": ["tea"], "bob": ["jam", "wool"]}),
        ("who bag\nu1 a b\nu2 a\n", "--header no", {"header": "no"}, {"who": ["bag"], "u1": ["a", "b"], "u2": ["a"]}),
    ],
)  # fmt: skip
def test_what_is_not_clear_stops_and_says_what_settles_it(
    tmp_path: Path, content: str, words: str, options: dict[str, str], expected: dict[str, list[str]]
) -> None:
    (tmp_path / "log.txt").write_text(content)
    with pytest.raises(InputError, match=rf"log\.txt:1: .*{words}"):
        run(tmp_path, "log.txt")
    run(tmp_path, "log.txt", **options)
    assert histories(tmp_path) == (expected or {"u1": ["a"], "u2": ["b"]})


def test_a_first_line_of_user_lines_that_tells_nothing_is_said_to_be_data(tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_text("ann7 tea\nbob jam wool\n")
    said = Listening()
    prepare([tmp_path / "log.txt"], tmp_path / "out", PrepareConfig(split="none"), reporter=said)
    assert any("the first line (ann7 tea) is data, not a header" in line for line in said.notes)


def test_options_that_a_kind_of_log_does_not_obey_are_refused(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"user":"u","item":"a"}\n')
    (tmp_path / "u.data").write_text("1\t2\t3\t4\n")
    with pytest.raises(ConfigError, match="--header does not go with a log of the kind jsonl"):
        run(tmp_path, "log.jsonl", header="yes")
    with pytest.raises(ConfigError, match="--user-column does not go with a log of the kind ml-100k"):
        run(tmp_path, "u.data", format="ml-100k", user_column="2")


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
    assert len(said.warnings) == 1
    assert "no column is recognised as the title among item, label; name it with --title-column" in said.warnings[0]


def test_users_of_a_partition_that_the_log_lacks_are_counted(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item\n" + "u,a\nu,b\nv,a\nv,b\n")
    (tmp_path / "users.tsv").write_text("u\ttrain\nv\ttest\nw\ttest\nx\ttest\ny\tvalid\n")
    settings = PrepareConfig(split="by-user")
    done = prepare([tmp_path / "log.csv"], tmp_path / "out", settings, users=tmp_path / "users.tsv")
    reason = "in --users, but not in the log or filtered out"
    assert done.report.splits["test"].left_out == {reason: 2}
    assert done.report.splits["valid"].left_out == {reason: 1}
    assert done.report.splits["train"].left_out == {}


def test_pairs_that_are_lined_up_with_blanks(tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_text("1   10\n1   20\n22  10\n" + "1  30 \n" * 200 + "2 3 4\n")
    run(tmp_path, "log.txt", on_error="skip", repeats="first")
    assert histories(tmp_path) == {"1": ["10", "20", "30"], "22": ["10"]}
    assert rejects(tmp_path) == [(204, "has 3 words, expected 2", "2 3 4")]


def test_what_is_neither_pairs_nor_lines_of_users(tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_text("u1: a b c\nu2: a\n")
    with pytest.raises(InputError, match="is no log that is recognised"):
        run(tmp_path, "log.txt")
