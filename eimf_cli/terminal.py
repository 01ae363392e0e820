"""What people see: remarks and progress on stderr, tables on stdout, errors in one line.

Data never goes through here. Progress bars appear only on a terminal.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from eimf_cli import narrow_table
from eimf_core.progress import Reporter

WIDTH_OFF_TERMINAL = 160
SIGN_OF_LIFE = 30.0
LONGEST_LINE = 2000
"""Characters of a line on stderr; a value of the input that it quotes may have millions."""
_level = 0
_guides = True
_spoken = threading.Event()
_begun: list[_Work] | None = None
_shown_bar: Any = None
_sign_of_life: threading.Event | None = None
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


def cut(message: str) -> str:
    """A message without the middle of what it quotes, where that is very long."""
    long = len(message) > LONGEST_LINE
    return f"{message[: LONGEST_LINE // 2]} … {message[-LONGEST_LINE // 2 :]}" if long else message


def shortened(text: str, most: int) -> str:
    """The first characters of a text, and a sign that there are more."""
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def is_main_process() -> bool:
    """Whether this is the process that prints: of several that torchrun started, the first."""
    return _main_process


def remove_bar() -> None:
    """End the progress of work that was cut short: a bar hides the cursor, a thread would go on telling."""
    global _shown_bar
    if _sign_of_life is not None:
        _sign_of_life.set()
    if _shown_bar is not None:
        _shown_bar.stop()
        _shown_bar = None


def start_listening() -> None:
    """Forget what was said and what was begun."""
    global _begun
    _spoken.clear()
    _begun = None


def has_spoken() -> bool:
    """Whether anything was said, or a bar shown, since `start_listening`."""
    return _spoken.is_set()


def current_work(before: str) -> str | None:
    """The work that goes on; `before` where none has begun yet, and None where all is over that has begun."""
    if _begun is None:
        return before
    return _begun[-1].what if _begun else None


def error(message: str, *, always: bool = False) -> None:
    """One line on stderr; `always`: from another process too."""
    _spoken.set()
    if _main_process or always:
        print(f"eimf: {line(' '.join(message.split()))}", file=sys.stderr)


def advice(message: str) -> None:
    """A line below an error, with a way out."""
    if _main_process:
        print(f"  {printable(' '.join(message.split()))}", file=sys.stderr)


def info(message: str) -> None:
    """A remark for people on stderr, unless quiet."""
    _spoken.set()
    if _level >= 0 and _main_process:
        print(line(message), file=sys.stderr, flush=True)


def next_step(*words: object) -> None:
    """What a person at a terminal may type next; a script knows."""
    if _guides and sys.stderr.isatty():
        info(f"next: eimf {shlex.join(map(str, words))}")


@contextlib.contextmanager
def without_next_steps() -> Iterator[None]:
    """In the block nothing is said of what comes next: another command says it at its end."""
    global _guides
    _guides = False
    try:
        yield
    finally:
        _guides = True


def debug(message: str) -> None:
    """A remark for those who asked with -v."""
    global _begun
    _begun = _begun or []
    if is_verbose():
        _spoken.set()
        print(line(message), file=sys.stderr, flush=True)


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
    from rich.console import Console

    return Console(file=file).width


def table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, below: str = "", to_stderr: bool = False
) -> None:
    """Print a table under a title and what stands `below` that; numbers are right-aligned. On stderr it obeys quiet."""
    if to_stderr and _level < 0:
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    made = [[cell if isinstance(cell, str) else _number(cell) for cell in row] for row in rows]
    numeric = [bool(made) and all(_is_number(row[at]) for row in made) for at in range(len(columns))]
    made = [[printable(cell) for cell in row] for row in made]
    narrow = not narrow_table.fits(columns, made, width(to_stderr=to_stderr))
    grid = Table(box=box.SIMPLE_HEAD)
    for name, right in zip(columns, numeric, strict=True):
        grid.add_column(Text(printable(name)), justify="right" if right else "left", overflow="fold")
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
    if narrow:
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


@dataclass
class _Work:
    """A stretch of work: what it is, how many parts it has and how many are done."""

    what: str
    total: int | None
    done: int = 0
    figures: dict[str, str] = field(default_factory=dict)
    started: float = field(default_factory=time.perf_counter)


class TerminalReporter(Reporter):
    """Progress bars with rate and time left on a terminal, a line every `SIGN_OF_LIFE` seconds off one; remarks as
    plain lines.

    Work that begins within other work has its bar below, and the other's goes on when it has ended.
    With -v each stretch of work ends with a line that says how long it took.
    """

    def __init__(self) -> None:
        self._bar: Any = None
        self._tasks: list[Any] = []
        self._works: list[_Work] = []
        self._over: threading.Event | None = None

    def begin(self, what: str, total: int | None = None) -> None:
        global _shown_bar, _sign_of_life, _begun
        self._works.append(_Work(what, total))
        _begun = self._works
        if _level < 0 or not _main_process:
            return
        if not sys.stderr.isatty():
            if self._over is None:
                self._over = _sign_of_life = threading.Event()
                threading.Thread(target=self._tell_now_and_then, args=(self._over,), daemon=True).start()
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        if self._bar is None:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[figures]}"),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
            _spoken.set()
            _shown_bar = self._bar
        self._tasks.append(self._bar.add_task(what, total=total, figures=""))

    def _tell_now_and_then(self, over: threading.Event) -> None:
        """Say from time to time that the work begun last goes on, until all is over."""
        while not over.wait(SIGN_OF_LIFE):
            for work in self._works[-1:]:
                done = f", {work.done:,} of {work.total:,}" if work.total else ""
                figures = "".join(f", {name} {value}" for name, value in work.figures.items())
                info(f"{work.what}: {time.perf_counter() - work.started:.0f} s{done}{figures}")

    def advance(self, amount: int = 1, **figures: str) -> None:
        if self._works:
            self._works[-1].done += amount
            self._works[-1].figures = figures or self._works[-1].figures
        if self._bar is not None:
            shown = {"figures": "  ".join(f"{name} {value}" for name, value in figures.items())} if figures else {}
            self._bar.update(self._tasks[-1], advance=amount, **shown)

    def end(self) -> None:
        if self._works:
            work = self._works.pop()
            debug(f"{work.what}: {time.perf_counter() - work.started:.1f} s")
        if self._over is not None and not self._works:
            self._over.set()
            self._over = None
        if self._bar is None:
            return
        if len(self._tasks) > 1:
            self._bar.remove_task(self._tasks.pop())
            return
        remove_bar()
        self._bar = None
        self._tasks.clear()

    def note(self, message: str) -> None:
        info(message)

    def debug(self, message: str) -> None:
        debug(message)

    def warn(self, message: str) -> None:
        _spoken.set()
        if _main_process:
            print(f"eimf: warning: {line(message)}", file=sys.stderr, flush=True)
