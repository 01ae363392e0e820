"""Values of the command line that are read without typer's own reader: the same, or left to it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import pytest
import typer

from eimf_cli import values

TYPED = ["", "7", "-7", "007", "+7", "7.5", "-0.25", "1e3", "1_000", " 7", "nan", "inf", "٣", "9" * 30, ".5", "5."]
TYPED += ["drop", "Drop", "keep", "a,b", "-", "no/such/file", ".", "é", "true", "7\n"]
KINDS: list[Any] = [int, float, str, Path, Literal["drop", "keep"]]


def told(kind: Any, typed: list[str] | None, *, hastened: bool) -> str:
    """What a command gets for its option, or the error that it ends with."""
    app = typer.Typer(rich_markup_mode=None, add_completion=False)
    got: list[str] = []

    def take(value: Any = None, flag: Any = None) -> None:
        got.append(repr((value, flag)))

    take.__annotations__ = {"value": kind, "flag": bool | None}
    app.command()(take)
    command: Any = typer.main.get_command(app)
    try:
        (values.hasten(command) if hastened else command).main(
            [f"--value={value}" for value in typed or []], standalone_mode=False
        )
    except typer.BadParameter as error:
        return error.format_message()
    return got[0]


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("typed", TYPED)
def test_a_value_is_what_typer_makes_of_it(kind: Any, typed: str) -> None:
    assert told(kind | None, [typed], hastened=True) == told(kind | None, [typed], hastened=False)


@pytest.mark.parametrize("kind", KINDS[:-1], ids=str)
@pytest.mark.parametrize("typed", [None, [], ["7"], ["drop", "7"], ["7", "x"]])
def test_repeated_options_are_what_typer_makes_of_them(kind: Any, typed: list[str] | None) -> None:
    assert told(list[kind] | None, typed, hastened=True) == told(list[kind] | None, typed, hastened=False)


def test_what_takes_more_than_a_look_is_left() -> None:
    assert values.plain(int, "1_000") is values.LEFT
    assert values.plain(float, 1) is values.LEFT
    assert values.plain(Path, "a\0b") is values.LEFT
    assert values.plain(list[int], "7") is values.LEFT
    assert values.plain(bytes, "7") is values.LEFT
    assert values.plain(int, True) is values.LEFT
    assert values.plain(int, "-12") == -12


def test_a_command_line_is_read_without_pydantic(tmp_path: Path) -> None:
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
    for more, imported in ((["0.5"], "False"), ([".5"], "True")):
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments[:-1], *more], capture_output=True, text=True, check=True
        )
        assert done.stdout.split() == ["2", imported], done.stderr
