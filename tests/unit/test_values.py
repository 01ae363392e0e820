"""Values of the command line: text and TOML values as the type of their option, without pydantic."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import pytest

from eimf_core import setting_values
from eimf_core.errors import did_you_mean

Choice = Literal["drop", "keep"]


@pytest.mark.parametrize(
    ("kind", "given", "expected"),
    [
        (int, "7", 7), (int, "-12", -12), (int, "007", 7), (int, 7.0, 7), (int | None, "7", 7),
        (float, "1e3", 1000.0), (float, ".5", 0.5), (float, 1, 1.0), (float, "inf", float("inf")),
        (bool, "true", True), (bool, "0", False), (bool, "", False), (bool, True, True),
        (str, "é", "é"), (str, 7, "7"), (str, "", ""),
        (Path, "no/such", Path("no/such")), (Path | None, "-", Path("-")), (Path, Path("-"), Path("-")),
        (Choice, "drop", "drop"), (Choice | None, "keep", "keep"), (Literal[1, 2], "2", 2),
        (list[int], ["7", "8"], [7, 8]), (list[int], 7, [7]), (list[str] | None, ("a", "b"), ["a", "b"]),
        (list[Choice], ["drop"], ["drop"]), (dict[str, Any], {"a": 1}, {"a": 1}),
    ],
)  # fmt: skip
def test_values_are_read_as_their_type(kind: Any, given: Any, expected: Any) -> None:
    found = setting_values.read(kind, given)
    assert found == expected and type(found) is type(expected)


@pytest.mark.parametrize(
    ("kind", "given", "words"),
    [
        (int, "9" * 30, "a whole number"), (int, 10**400, "a whole number"), (float, 10**400, "a number"),
        (int, "7.5", "a whole number"), (int, 7.5, "a whole number"), (int, True, "a whole number"),
        (int, "", "a whole number"), (float, "x", "a number"), (float, True, "a number"), (bool, "maybe", "true or"),
        (str, ["a"], "text"), (str, {"a": 1}, "text"), (Path, "a\0b", "a path"), (Path, 7, "a path"),
        (Choice, "Drop", "drop or keep"), (list[int], ["7", "x"], "a whole number"), (dict[str, int], "a", "a table"),
    ],
)  # fmt: skip
def test_what_is_no_such_value_is_told(kind: Any, given: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        setting_values.read(kind, given)


@pytest.mark.parametrize(
    ("word", "expected"),
    [("trian", "; did you mean train?"), ("Rec", "; did you mean recommend?"), ("xyz", "")],
)
def test_near_words_are_named(word: str, expected: str) -> None:
    assert did_you_mean(word, ["train", "recommend"]) == expected


def test_a_command_line_is_read_without_pydantic(tmp_path: Path) -> None:
    """typer would import it for each value, which is half of what a start takes."""
    program = (
        "import sys; from eimf_cli import main\n"
        "try: main.run()\n"
        "except SystemExit as end: print(end.code)\n"
        "print('pydantic' in sys.modules)"
    )
    arguments = [
        "recommend",
        str(tmp_path / "none"),
        "--items",
        "a,b",
        "-k",
        "5",
        "--seen",
        "keep",
        "--diversity",
        ".5",
    ]
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["2", "False"], done.stderr
