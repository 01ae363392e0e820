"""What kind of log a file is: told by what it holds, or asked for; never guessed."""

from __future__ import annotations

from pathlib import Path

import pytest

from eimf_core.errors import ConfigError, EimfError, InputError
from eimf_core.prepare import duckdb_session, input_discovery
from eimf_core.prepare.config import PrepareConfig
from eimf_core.prepare.memory_tables import MemoryTable
from eimf_core.prepare.prepare import prepare
from tests.listening import Listening
from tests.unit.test_prepare_formats import histories, run
from tests.unit.test_prepare_rows import rejects

ROWS = [("u1", "a", 5), ("u2", "b", 6), ("u3", "a", 7)]
KINDS_OF_FILE = {
    "log.csv": "user,item,time\na,b,1600000000\n",
    "log.tsv": "a\tb\t5\t1600000000\nc\tb\t4\t1600000001\n",
    "log.txt": "a b c\nd b\n",
    "log.jsonl": '{"user": "a", "item": "b", "time": 1600000000}\n',
    "log.json": '[{"user": "a", "item": "b", "time": 1600000000}]\n',
    "log.parquet": "SELECT 'a' AS user, 'b' AS item, 1600000000 AS time",
}
"""A small file of each kind; of Parquet the query that makes it."""


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


def test_lines_that_begin_with_how_many_items_follow_name_no_user(tmp_path: Path) -> None:
    (tmp_path / "users.dat").write_text("3 496 1631 2318\n2 496 1200\n1 77\n")
    with pytest.raises(InputError, match=r"users\.dat: has lines that begin with how many items follow"):
        run(tmp_path, "users.dat")


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


@pytest.mark.parametrize(("third", "kind"), [("10", "ml-100k"), ("11", None)])
def test_four_numbers_are_ratings_where_the_third_is_ten_at_most(tmp_path: Path, third: str, kind: str | None) -> None:
    (tmp_path / "log.txt").write_text(f"9\t196\t{third}\t3\n8\t22\t1\t4\n")
    if kind is None:
        with pytest.raises(InputError, match=r"log\.txt:1: "):
            run(tmp_path, "log.txt")
    else:
        run(tmp_path, "log.txt")
        assert histories(tmp_path) == {"9": ["196"], "8": ["22"]}


def test_options_that_a_kind_of_log_does_not_obey_are_refused(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"user":"u","item":"a"}\n')
    (tmp_path / "u.data").write_text("1\t2\t3\t4\n")
    with pytest.raises(ConfigError, match="--header does not go with a log of the kind jsonl"):
        run(tmp_path, "log.jsonl", header="yes")
    with pytest.raises(ConfigError, match="--user-column does not go with a log of the kind ml-100k"):
        run(tmp_path, "u.data", format="ml-100k", user_column="2")


def test_pairs_that_are_lined_up_with_blanks(tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_text("1   10\n1   20\n22  10\n" + "1  30 \n" * 200 + "2 3 4\n")
    run(tmp_path, "log.txt", on_error="skip", repeats="first")
    assert histories(tmp_path) == {"1": ["10", "20", "30"], "22": ["10"]}
    assert rejects(tmp_path) == [(204, "has 3 words, expected 2", "2 3 4")]


def test_what_is_neither_pairs_nor_lines_of_users(tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_text("u1: a b c\nu2: a\n")
    with pytest.raises(InputError, match="is no log that is recognised"):
        run(tmp_path, "log.txt")


@pytest.mark.parametrize("name", KINDS_OF_FILE)
def test_any_format_that_is_named_reads_a_file_or_says_why_not(tmp_path: Path, name: str) -> None:
    path = write_kind(tmp_path, name)
    for format in input_discovery.NAMES:
        try:
            prepare([path], tmp_path / "out", PrepareConfig(format=format, split="none", threads=1), force=True)
        except EimfError as error:
            assert path.name in str(error) and "\n" not in str(error), (format, str(error))


def write_kind(folder: Path, name: str) -> Path:
    path = folder / name
    if path.suffix == ".parquet":
        duckdb_session.library().sql(KINDS_OF_FILE[name]).write_parquet(str(path))
    else:
        path.write_text(KINDS_OF_FILE[name])
    return path


@pytest.mark.parametrize(
    ("name", "format", "words"),
    [
        ("log.csv", "hm", "has no columns customerid, articleid, tdat; there are user, item, time; leave it out, and "
         "the file is read as csv"),
        ("log.csv", "woocommerce", "has no columns emailbilling or billingemail, sku or itemsku, orderdate or date"),
        ("log.csv", "jsonl", "does not hold one JSON object a line; leave it out, and the file is read as csv"),
        ("log.csv", "parquet", "is no Parquet file; leave it out, and the file is read as csv"),
        ("log.jsonl", "yelp", "has no keys user_id, business_id, date; there are user, item, time; leave it out"),
        ("log.jsonl", "user-lines", "holds JSON; leave it out, and the file is read as jsonl"),
        ("log.json", "csv", "holds JSON; write JSON with one object a line, such as with jq"),
        ("log.parquet", "csv", "is a Parquet file; leave it out, and the file is read as parquet"),
        ("log.tsv", "ml-csv", "has no columns userid, movieid, rating, timestamp; there are a, b, 5, 1600000000"),
    ],
)  # fmt: skip
def test_a_format_that_does_not_fit_says_what_the_file_is(tmp_path: Path, name: str, format: str, words: str) -> None:
    with pytest.raises(
        ConfigError, match=rf"^--format {format} does not go with {write_kind(tmp_path, name)}, which {words}"
    ):
        run(tmp_path, name, format=format)


def test_what_says_how_a_file_is_read_does_not_go_with_a_table(tmp_path: Path) -> None:
    rows = MemoryTable([{"user": "a", "item": "b", "time": 5}], "<log>")
    for option, value in (("format", "ml-100k"), ("separator", ";"), ("skip_lines", 1)):
        with pytest.raises(ConfigError, match=r"^--.* does not go with <log>, which is a table already$"):
            prepare([rows], tmp_path / "out", PrepareConfig(split="none", **{option: value}))
    # beside a log that is a file they are the log's
    (tmp_path / "log.csv").write_text("user;item;time\na;b;1600000000\n")
    items = MemoryTable([{"item": "b", "title": "Tea"}], "<items>")
    settings = PrepareConfig(split="none", separator=";", format="csv", threads=1)
    assert prepare([tmp_path / "log.csv"], tmp_path / "out", settings, items=[items]).without_text == []


def test_a_published_table_that_is_named_is_read_by_its_columns_in_any_order(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("movieId,userId,timestamp,rating\na,u1,1600000000,5\n")
    run(tmp_path, "log.csv", format="ml-csv")
    assert histories(tmp_path) == {"u1": ["a"]}
