"""What people read: remarks on stderr, tables on stdout, errors in one line. Progress is in `progress_bars`.

Data never goes through here.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
import textwrap
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from eimf_cli import narrow_table

WIDTH_OFF_TERMINAL = 160
USUAL_WIDTH, NARROWEST = 80, 20
"""Columns of a terminal that does not tell its own, and those below which no line is broken."""
LONGEST_LINE = 2000
"""Characters of a line on stderr; a value of the input that it quotes may have millions."""
_level = 0
_is_part = False
_output = threading.Event()
# of several processes that torchrun started, the first prints for all
_main_process = "TORCHELASTIC_RUN_ID" not in os.environ or os.environ.get("RANK", "0") == "0"


def configure(*, quiet: bool, verbose: bool) -> None:
    """Set how much goes to stderr: quiet shows errors and warnings only."""
    global _level
    _level = -1 if quiet else int(verbose)


def printable(text: str) -> str:
    """Text without control characters, so that a title cannot steer the terminal or break a line."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def line(message: str) -> str:
    """A message as it may stand on a line."""
    return printable(cut(message))


def _put(message: str) -> None:
    """Print a message on stderr, on a terminal with its lines broken between words."""
    text = line(message)
    if sys.stderr.isatty():
        most = max(width(to_stderr=True) - 1, NARROWEST)
        text = textwrap.fill(text, most, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    print(text, file=sys.stderr, flush=True)


def cut(message: str) -> str:
    """A message without the middle of what it quotes, where that is very long."""
    long = len(message) > LONGEST_LINE
    return f"{message[: LONGEST_LINE // 2]} … {message[-LONGEST_LINE // 2 :]}" if long else message


def is_main_process() -> bool:
    """Whether this is the process that prints: of several that torchrun started, the first."""
    return _main_process


def reset_output() -> None:
    """Forget what was said."""
    _output.clear()


def mark_output() -> None:
    """Something is said, or shown in another way."""
    _output.set()


def has_output() -> bool:
    """Whether anything was said or shown since `reset_output`."""
    return _output.is_set()


def error(message: str, *, always: bool = False) -> None:
    """One line on stderr; `always`: from another process too."""
    mark_output()
    if _main_process or always:
        _put(f"eimf: {' '.join(message.split())}")


def advice(message: str) -> None:
    """A line below an error, with a way out."""
    if _main_process:
        _put(f"  {' '.join(message.split())}")


def info(message: str) -> None:
    """A remark for people on stderr, unless quiet."""
    mark_output()
    if _level >= 0 and _main_process:
        _put(message)


def warning(message: str) -> None:
    """A line on stderr that -q does not keep back."""
    mark_output()
    if _main_process:
        _put(f"eimf: warning: {message}")


def next_step(*words: object) -> None:
    """What a person at a terminal may type next; a script knows."""
    if shows_next_steps():
        command("next:", *words)


def shows_next_steps() -> bool:
    """Whether it is told what may be typed next: to a person, at the end of a command of its own."""
    return not _is_part and _level >= 0 and sys.stderr.isatty()


def command(before: str, *words: object) -> None:
    """A command to be read, or typed, on stderr unless quiet: nothing in it is broken, so that it can be copied."""
    mark_output()
    if _level >= 0 and _main_process:
        print(f"{before} eimf {printable(shlex.join(map(str, words)))}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def part_of_another_command() -> Iterator[None]:
    """In the block a command is a part of another, which says at its own end what came out and what comes next."""
    global _is_part
    _is_part = True
    try:
        yield
    finally:
        _is_part = False


def is_part() -> bool:
    """Whether this command is a part of another."""
    return _is_part


def debug(message: str) -> None:
    """A remark for those who asked with -v."""
    if is_verbose():
        mark_output()
        _put(message)


def is_verbose() -> bool:
    """Whether -v was given, and this process prints."""
    return _level >= 1 and _main_process


def is_quiet() -> bool:
    """Whether -q was given."""
    return _level < 0


def stdout_is_terminal() -> bool:
    """Whether tables (True) or JSON lines (False) are what stdout wants by default."""
    return sys.stdout.isatty()


def width(*, to_stderr: bool = False) -> int:
    """Columns that a table may take: those of the terminal, or 160 off one."""
    file = sys.stderr if to_stderr else sys.stdout
    if not file.isatty():
        return WIDTH_OFF_TERMINAL
    if (wanted := os.environ.get("COLUMNS", "")).isdecimal():
        return max(int(wanted), NARROWEST)
    try:
        return os.get_terminal_size(file.fileno()).columns or USUAL_WIDTH
    except OSError:
        return USUAL_WIDTH


def table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, below: str = "", to_stderr: bool = False
) -> None:
    """Print a table; numbers are right-aligned.

    Args:
        title: above it; may be empty.
        columns: their names.
        rows: cells: text or numbers.
        below: what stands between title and table; may be empty.
        to_stderr: whether it goes to stderr, where it obeys --quiet.
    """
    if to_stderr and _level < 0:
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    made = [[cell if isinstance(cell, str) else _number(cell) for cell in row] for row in rows]
    numeric = [bool(made) and all(_is_number(row[at]) for row in made) for at in range(len(columns))]
    made = [[printable(cell) for cell in row] for row in made]
    widths: Sequence[int | None] | None = narrow_table.widths(columns, made, width(to_stderr=to_stderr))
    grid = Table(box=box.SIMPLE_HEAD)
    for name, right, wide in zip(columns, numeric, widths or [None] * len(columns), strict=True):
        grid.add_column(Text(printable(name)), justify="right" if right else "left", overflow="fold", width=wide)
    for row in made:
        grid.add_row(*map(Text, row))
    file = sys.stderr if to_stderr else sys.stdout
    # off a terminal there is no width to keep to, and a folded table is hard to grep
    console = Console(file=file, width=width(to_stderr=to_stderr), highlight=False)
    # a title of the table itself would be folded to the table's width
    if title:
        console.print(Text(printable(title), style="bold"))
    if below:
        console.print(Text(printable(below)))
    if widths is None:
        names = [printable(name) for name in columns]
        console.print("\n".join(narrow_table.lines(names, made, console.width)), markup=False, highlight=False)
    else:
        console.print(grid)


def _number(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}" if isinstance(value, float) else str(value)


def _is_number(cell: str) -> bool:
    return (bool(cell) and cell.strip("%+-,.0123456789") == "") or cell == ""
