"""Lines before the header, and what separates columns."""

from __future__ import annotations

from pathlib import Path

import pytest

from eimf_core.errors import ConfigError, InputError
from eimf_core.prepare.config import PrepareConfig
from tests.unit.test_prepare_formats import histories, run, titles

ROWS = "u;a;1\nu;b;2\nv;a;3\n"
HISTORIES = {"u": ["a", "b"], "v": ["a"]}
PREAMBLES = {
    "sep=": "sep=;\nuser_id;item_id;time\n",
    "sep= in quotes": '"sep=;"\nuser_id;item_id;time\n',
    "a comment": "# exported 2020-01-01\nuser_id;item_id;time\n",
    "comments and blank lines": "# exported\n\n# by hand; a; b\n\nuser_id;item_id;time\n",
    "a header that is a comment": "# user_id;item_id;time\n",
    "a title": "My export;;\nuser_id;item_id;time\n",
    "a title and the date": "My export, all of it\n2020-01-01\n\nuser_id;item_id;time\n",
    "a comment and a header of words": "#exported\n#user_id;item_id;time\n",
}


@pytest.mark.parametrize("name", PREAMBLES)
def test_what_stands_before_the_header_is_passed_over(tmp_path: Path, name: str) -> None:
    (tmp_path / "log.csv").write_text(PREAMBLES[name] + ROWS)
    (tmp_path / "items.csv").write_text(PREAMBLES[name].replace("user_id", "title") + "Tea;a;x\nWool;b;y\n")
    run(tmp_path, "log.csv")
    assert histories(tmp_path) == HISTORIES
    line = (PREAMBLES[name] + ROWS).count("\n") + 1
    (tmp_path / "log.csv").write_text(PREAMBLES[name] + ROWS + "u;b\n")
    with pytest.raises(InputError, match=rf"log\.csv:{line}: has 2 columns, expected 3"):
        run(tmp_path, "log.csv")
    if "title" not in name:
        (tmp_path / "log.csv").write_text(PREAMBLES[name] + ROWS)
        run(tmp_path, "log.csv", items=["items.csv"])
        assert titles(tmp_path) == {"a": "Tea", "b": "Wool"}


def test_the_separator_that_is_said_counts(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(
        "sep=;\nuser_id,;item_id,;time,\n" + "".join(f"u,;i{at},;{at},\n" for at in (1, 2))
    )
    run(tmp_path, "log.csv", user_column="user_id,", item_column="item_id,", time_column="time,", time_format="%S,")
    assert histories(tmp_path) == {"u,": ["i1,", "i2,"]}


def test_ids_that_start_with_a_number_sign_are_rows(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("#1,a,5\n#1,b,6\n#2,a,7\n")
    run(tmp_path, "log.csv", user_column="1", item_column="2", time_column="3")
    assert histories(tmp_path) == {"#1": ["a", "b"], "#2": ["a"]}


def test_comments_before_pairs_and_lines_of_users(tmp_path: Path) -> None:
    (tmp_path / "pairs.txt").write_text("# From To\n# nodes: 2\n1\t10\n1\t20\n2\t10\n")
    run(tmp_path, "pairs.txt", header="no")
    assert histories(tmp_path) == {"1": ["10", "20"], "2": ["10"]}
    (tmp_path / "lines.txt").write_text("# users\n1 10 20\n2 10\n")
    run(tmp_path, "lines.txt")
    assert histories(tmp_path) == {"1": ["10", "20"], "2": ["10"]}


def test_skip_lines(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("what this is\nand why\n1;a;5\n1;b;6\n2;a;7\n")
    with pytest.raises(InputError):
        run(tmp_path, "log.csv", user_column="1", item_column="2", time_column="3")
    run(tmp_path, "log.csv", user_column="1", item_column="2", time_column="3", skip_lines=2)
    assert histories(tmp_path) == {"1": ["a", "b"], "2": ["a"]}
    with pytest.raises(InputError, match="is empty behind its first 9 lines"):
        run(tmp_path, "log.csv", skip_lines=9)


@pytest.mark.parametrize("separator", ["~", "\x01", "^", "::", "\x1f", "|"])
def test_separators_that_most_lines_agree_on(tmp_path: Path, separator: str) -> None:
    rows = ["user_id;item_id;title", "u;a;Tea, 2;", "u;b;Wool", "v;a;Tea, 2;"]
    text = "\n".join(row.replace(";", separator, 2) for row in rows)
    (tmp_path / "log.txt").write_text(text + "\n")
    run(tmp_path, "log.txt", title_column="title")
    assert histories(tmp_path) == HISTORIES
    assert titles(tmp_path) == {"a": "Tea, 2;", "b": "Wool"}


@pytest.mark.parametrize(("separator", "given"), [("%", "%"), ("\x02", r"\x02"), ("\t", r"\t"), ("@@", "@@")])
def test_a_separator_that_is_given(tmp_path: Path, separator: str, given: str) -> None:
    (tmp_path / "log.txt").write_text(
        "user_id;item,time;n\nu;a,1;5\nu;b,2;6\nv;a,3;7\n".replace(";", separator).replace(",", separator)
    )
    run(tmp_path, "log.txt", separator=given)
    assert histories(tmp_path) == HISTORIES


def test_a_separator_that_is_none() -> None:
    for text in ("", "12345", "\n"):
        with pytest.raises(ConfigError, match="--separator is "):
            PrepareConfig(separator=text)
