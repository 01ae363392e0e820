r"""Odd quotes, rows of empty cells, "::" within titles, and the parts of RecBole's splits."""

from __future__ import annotations

from pathlib import Path

import pytest

from eimf_core.errors import ConfigError, InputError
from eimf_core.prepare.config import PrepareConfig
from eimf_core.prepare.csv_cells import cells_of, escape_of
from eimf_core.prepare.prepare import prepare
from tests.listening import Listening
from tests.unit.test_prepare_formats import histories, run, titles
from tests.unit.test_prepare_rows import rejects

QUOTES: dict[str, tuple[str, list[str]]] = {
    # a line of three cells, and what they are
    "a backslash": (r'1,"say \"hi\", ok",x', ["1", 'say "hi", ok', "x"]),
    "two quotes": ('1,"say ""hi"", ok",x', ["1", 'say "hi", ok', "x"]),
    "a backslash at the end": (r'1,"hi\"",x', ["1", 'hi"', "x"]),
    "text behind a quote": ('1,"Odd Al" Name,x', ["1", '"Odd Al" Name', "x"]),
    "tabs": ('1\t"Odd Al" Name\tx', ["1", '"Odd Al" Name', "x"]),
    "one quote between tabs": ('1\t"Odd Al\tx', ["1", '"Odd Al', "x"]),
    "inches": ('1\t5" floppy\tx', ["1", '5" floppy', "x"]),
    "blanks behind a quote": ('1,"Tea" ,x', ["1", "Tea", "x"]),
}


@pytest.mark.parametrize("name", QUOTES)
def test_odd_quotes(tmp_path: Path, name: str) -> None:
    line, cells = QUOTES[name]
    delimiter = "\t" if "\t" in line else ","
    plain = delimiter.join(["2", "Wool", "y"])
    (tmp_path / "items.txt").write_text("\n".join([delimiter.join(["id", "title", "z"]), line, plain, line, ""]))
    found = [row for _, _, row in cells_of(tmp_path / "items.txt", delimiter, '"', width=3)]
    assert found[1:] == [cells, ["2", "Wool", "y"], cells]
    (tmp_path / "log.csv").write_text("user,item\nu,1\nu,2\n")
    run(tmp_path, "log.csv", items=["items.txt"])
    assert titles(tmp_path) == {"1": cells[1], "2": "Wool"}
    header = delimiter.join(["user_id", "note", "item"])
    (tmp_path / "log.txt").write_text("\n".join([header, line, plain, line, ""]))
    run(tmp_path, "log.txt")
    assert histories(tmp_path) == {"1": ["x", "x"], "2": ["y"]}


def test_a_quote_that_is_not_closed_between_commas_stays_an_error(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text('user,item,note\nu,a,x\nu,b,"y\nu,c,z\n')
    with pytest.raises(InputError, match=r"log\.csv:3: has a quote that is not closed"):
        run(tmp_path, "log.csv")


def test_the_backslash_is_an_escape_only_where_quotes_need_it() -> None:
    assert escape_of([r'1,"a \"b\" c"', "2,x"], ",") == "\\"
    assert escape_of([r'1,"C:\",2', "2,x,3"], ",") == '"'
    assert escape_of(['1,"a ""b""",2'], ",") == '"'


@pytest.mark.parametrize("empty", [",,", '"","",""', " , , "])
def test_rows_of_empty_cells_are_blank_lines(tmp_path: Path, empty: str) -> None:
    rows = f"user,item,time\nu,a,1\n{empty}\nu,b,2\n{(empty + chr(10)) * 20}"
    (tmp_path / "log.csv").write_text(rows)
    (tmp_path / "items.csv").write_text(f"item,title,x\na,Tea,1\n{empty}\nb,Wool,2\n{empty}\n")
    said = Listening()
    config = PrepareConfig(split="none")
    prepare([tmp_path / "log.csv"], tmp_path / "out", config, items=[tmp_path / "items.csv"], reporter=said)
    assert histories(tmp_path) == {"u": ["a", "b"]} and titles(tmp_path) == {"a": "Tea", "b": "Wool"}
    assert "21 empty rows passed over" in said.notes
    (tmp_path / "log.csv").write_text(rows + "u,,3\n")
    with pytest.raises(InputError, match=r"log\.csv:25: field 'item': is empty"):
        run(tmp_path, "log.csv")
    run(tmp_path, "log.csv", on_error="skip")
    assert histories(tmp_path) == {"u": ["a", "b"]} and [line for line, _, _ in rejects(tmp_path)] == [25]


def test_dat_files_with_a_header_an_odd_line_and_colons_in_titles(tmp_path: Path) -> None:
    good = "".join(f"1::{item}::5::{item}\n" for item in range(10, 50))
    (tmp_path / "ratings.dat").write_text(f"UserID::MovieID::Rating::Timestamp\n{good}")
    movies = "".join(f"{item}::Film {item} (1999)::Drama\n" for item in range(10, 49))
    (tmp_path / "movies.dat").write_text(f"{movies}49::A::B (1990)::Comedy|Drama\n")
    run(tmp_path)
    assert histories(tmp_path) == {"1": [str(item) for item in range(10, 50)]}
    assert (titles(tmp_path)["10"], titles(tmp_path)["49"]) == ("Film 10 (1999)", "A::B (1990)")
    (tmp_path / "ratings.dat").write_text(f"{good}1::soon\n")
    with pytest.raises(InputError, match=r"ratings\.dat:41: has 2 columns, expected 4"):
        run(tmp_path)


LISTS = "user_id:token\titem_id:token\ttimestamp:float\titem_id_list:token_seq\n"


def write_parts(folder: Path, parts: dict[str, list[tuple[str, str, str]]]) -> None:
    """Files of user, history and next item, as RecBole has them."""
    for part, rows in parts.items():
        text = "".join(f"{user}\t{item}\t{at}\t{history}\n" for at, (user, history, item) in enumerate(rows))
        (folder / f"tea.{part}.inter").write_text(LISTS + text)


def test_all_parts_of_a_split_are_read(tmp_path: Path) -> None:
    data = tmp_path / "tea"
    data.mkdir()
    write_parts(
        data,
        {
            "train": [("1", "a", "b"), ("1", "a b", "c"), ("2", "x", "y")],
            "valid": [("1", "a b c", "d")],
            "test": [("1", "a b c d", "e")],
        },
    )
    (data / "tea.user").write_text("user_id:token\n1\n")
    said = Listening()
    prepare([data], tmp_path / "out", PrepareConfig(split="none"), reporter=said)
    assert histories(tmp_path) == {"1": ["a", "b", "c", "d", "e"], "2": ["x", "y"]}
    assert f"{data}: not read: tea.user" in said.notes and said.others == []
    prepare([data / "tea.test.inter"], tmp_path / "out", PrepareConfig(split="none"), reporter=said)
    assert histories(tmp_path) == {"1": ["a", "b", "c", "d", "e"]}
    assert [warning for warning in said.warnings if "tea.train.inter and tea.valid.inter beside it not read" in warning]


@pytest.mark.parametrize("left", [True, False])
def test_lists_that_are_cut_and_filled_up(tmp_path: Path, left: bool) -> None:
    def filled(items: list[str]) -> str:
        kept = items[-2:]
        filling = ["0"] * (2 - len(kept))
        return " ".join([*filling, *kept] if left else [*kept, *filling])

    whole = {"1": ["5", "3", "9", "4", "8"], "2": ["7", "3", "5", "9", "2"]}
    rows = {at: [(user, filled(items[:at]), items[at]) for user, items in whole.items()] for at in range(1, 5)}
    write_parts(tmp_path, {"train": rows[1] + rows[2], "valid": rows[3], "test": rows[4]})
    run(tmp_path)
    assert histories(tmp_path) == whole
    (tmp_path / "tea.test.inter").unlink()
    (tmp_path / "tea.valid.inter").unlink()
    # an item 0 that is led to is one
    write_parts(tmp_path, {"train": [("1", "0 3", "9"), ("2", "5 0", "3"), ("2", "0 3", "0")]})
    run(tmp_path)
    assert histories(tmp_path) == {"1": ["0", "3", "9"], "2": ["5", "0", "3", "0"]}


def test_columns_of_recbole_files_by_name(tmp_path: Path) -> None:
    """A named column leaves the file what it is; its type may be left out."""
    header = "user_id:token\titem_id:token\tstars:float\tat:float\n"
    (tmp_path / "tea.inter").write_text(header + "1\tb\t5\t20\n1\ta\t4\t10\n")
    (tmp_path / "tea.train.inter").write_text(header + "1\tz\t5\t20\n")
    (tmp_path / "tea.item").write_text("item_id:token\tmovie_title:token_seq\na\tTea\nb\tWool\n")
    run(tmp_path, time_column="at")
    assert histories(tmp_path) == {"1": ["a", "b"]} and titles(tmp_path) == {"a": "Tea", "b": "Wool"}
    write_parts(tmp_path, {"test": [("1", "a", "b")]})
    with pytest.raises(ConfigError, match="--time-column does not go with a log of the kind recbole-lists"):
        run(tmp_path, "tea.test.inter", time_column="timestamp")
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,a,5,1\n")
    (tmp_path / "movies.csv").write_text("movieId,title,genres\na,Tea,Food\n")
    run(tmp_path, "ratings.csv", time_column="timestamp")
    assert titles(tmp_path) == {"a": "Tea"}
