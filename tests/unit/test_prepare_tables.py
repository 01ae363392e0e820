"""Tables without a header or told by number, columns that are odd, packed files."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from eimf_core.errors import InputError
from eimf_core.prepare.header import is_header
from tests.unit.test_prepare_formats import histories, run
from tests.unit.test_prepare_rows import packed_zstd

HEADS = {
    "a known name": ("userId,what\na,x\na,y\n", True),
    "a word above numbers": ("who,what,score\na,x,3\na,y,4\n", True),
    "a word above dates": ("who,what,when\na,x,2017-07-14\na,y,2017-07-15\n", True),
    "a number": ("a,x,5\na,y,6\n", False),
    "a date": ("a,x,2017-07-14\nb,y,2017-07-15\n", False),
    "a value that comes again": ("a,x\na,y\n", False),
    "an id like the others": ("B0004,u71\nB0007,u12\n", False),
    "nothing": ("who,what\na,x\nb,y\n", None),
    "a word beside numbers, above numbers": ("8,118,NULL\n5,130,4\n", None),
    "the numbers that pandas gives": ("0,1,2\nu,a,x\nv,b,y\n", None),
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
        with pytest.raises(InputError, match=r"log\.csv:1: may be a header or data .*--header yes or --header no"):
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
    # a row without a value, or a column that is called so; the header of pandas above numbers, or a row
    assert is_header([["p", "q", "NULL"], ["a", "b", "5"]], {"user": 0, "item": 1}) is None
    assert is_header([["0", "1", "2"], ["3", "10", "500"]], {"user": 0, "item": 1, "time": 2}) is None


def test_no_header_where_columns_have_to_be_told(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item\na,x\n")
    with pytest.raises(InputError, match="among 1, 2; name them with --user-column and --item-column"):
        run(tmp_path, "log.csv", header="no")


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
        (
            "c.jsonl",
            b'{"user":"u","item":["a","b"]}\n',
            r"c\.jsonl: field 'item': holds lists or objects; write one interaction",
        ),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=words):
            run(tmp_path, name)
    with duckdb.connect() as connection:
        connection.execute(f"COPY (SELECT 'u' AS user, ['a'] AS item) TO '{tmp_path}/e.parquet'")
    with pytest.raises(InputError, match=r"e\.parquet: field 'item': holds lists"):
        run(tmp_path, "e.parquet")


def test_python_that_is_more_than_values_is_named(tmp_path: Path) -> None:
    (tmp_path / "log.json").write_text("{'user': 'u', 'item': 'a', 'time': datetime.date(2017, 1, 2)}\n")
    with pytest.raises(InputError, match=r"log\.json: holds Python that is more than plain values; write JSON with"):
        run(tmp_path, "log.json")


@pytest.mark.parametrize("time", ["", ",5"])
def test_a_header_that_comes_again_is_no_user(tmp_path: Path, time: str) -> None:
    head = "user,item" + (",time" if time else "")
    (tmp_path / "log.csv").write_text(f"{head}\nu,a{time}\n{head}\nu,b{time}\nuser,b{time}\n")
    with pytest.raises(InputError, match=r"log\.csv:3: is the header again; --on-error skip leaves such rows out"):
        run(tmp_path, "log.csv")
    run(tmp_path, "log.csv", on_error="skip")
    assert histories(tmp_path) == {"u": ["a", "b"], "user": ["b"]}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("'user','item'\n'u','a, b'\n'u','it''s'\n", ["a, b", "it's"]),
        ("user||item\nu||a|b\nu||b\n", ["a|b", "b"]),
        ("user\x1eitem\x1etime\nu\x1ea\x1e5\nu\x1eb\x1e6\n", ["a", "b"]),
    ],
)
def test_quotes_and_delimiters_that_are_rare(tmp_path: Path, content: str, expected: list[str]) -> None:
    (tmp_path / "log.csv").write_text(content)
    run(tmp_path, "log.csv")
    assert histories(tmp_path) == {"u": expected}


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


@pytest.mark.parametrize("separator", ["\x01", "\x1f", "::"])
def test_any_separator_is_told_within_a_file_packed_with_zstd(tmp_path: Path, separator: str) -> None:
    rows = [("user", "item", "time"), ("u", "a", "1"), ("u", "b", "2")]
    packed_zstd(tmp_path / "log.csv.zst", "\n".join(map(separator.join, rows)) + "\n")
    run(tmp_path, "log.csv.zst")
    assert histories(tmp_path) == {"u": ["a", "b"]}


def test_a_message_lists_ten_columns_at_most(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(",".join(f"c{n}" for n in range(101)) + "\n" + ",".join("1" * 101) + "\n")
    for options in ({}, {"user_column": "c1", "item_column": "x"}):
        with pytest.raises(InputError, match=r"c0, c1, .*, c9, … \(101 in all\)"):
            run(tmp_path, "log.csv", **options)


def test_all_that_is_missing_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="has no columns 'x', 'y'; there are a, b"):
        run(tmp_path, "log.csv", user_column="x", item_column="y")


def test_the_header_of_pairs_is_no_user(tmp_path: Path) -> None:
    (tmp_path / "pairs.txt").write_text("user item\n1 a\n1 b\n2 a\n")
    run(tmp_path, "pairs.txt")
    assert histories(tmp_path) == {"1": ["a", "b"], "2": ["a"]}
    (tmp_path / "lines.txt").write_text("user items\n1 a b\n2 a\n")
    with pytest.raises(InputError, match="is no log that is recognised"):
        run(tmp_path, "lines.txt")
