"""Progress of the work of a command: bars on a terminal, a line now and then off one.

A line of progress fits the terminal whatever its width: figures are left out first, then the bar, then the end of what
the work is called. Where it is not known how much is ahead the seconds are told instead.
"""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from eimf_cli import terminal
from eimf_core.progress import Reporter, duration

HEARTBEAT_SECONDS = 30.0
"""Seconds between two lines off a terminal."""
ESTIMATE_AFTER = 2.0
"""Seconds after which the time left is told: before, it is a guess from too little."""
SHORTEST_BAR, LONGEST_BAR = 6, 40
SHORTEST_NAME = 12
_running: list[Task] | None = None
_live: Any = None
_all_ended: threading.Event | None = None


@dataclass
class Task:
    """A stretch of work.

    Attributes:
        what: its name.
        total: units of it, None where that is not known.
        before: units that an earlier run has done.
        done: units that are done, those before included.
        figures: told beside it, by name; `left` in place of the time left that the units give.
        started: by `time.monotonic`.
    """

    what: str
    total: int | None
    before: int = 0
    done: int = 0
    figures: dict[str, str] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    def left(self, now: float) -> str:
        """The time that is left, in words; nothing where it cannot be known."""
        if "left" in self.figures:
            return f"{self.figures['left']} left"
        seconds, made = now - self.started, self.done - self.before
        if not self.total or made <= 0 or seconds < ESTIMATE_AFTER:
            return ""
        return f"{duration(seconds / made * max(0, self.total - self.done))} left"

    def others(self) -> list[str]:
        """The figures but for the time left."""
        return [f"{name} {value}" for name, value in self.figures.items() if name != "left"]


class ProgressLine(NamedTuple):
    """A line of progress: words, a bar of so many columns (0: none), and words again."""

    name: str
    bar: int
    rest: str


def line(task: Task, width: int, now: float) -> ProgressLine:
    """What stands on the line of a stretch of work.

    Args:
        task: of which.
        width: columns of the terminal.
        now: by `time.monotonic`.

    Returns:
        Its name, the length of its bar in characters (0 for none), and what stands behind.
    """
    from eimf_core.text_cleaning import shortened

    told = [f"{task.done:,}/{task.total:,}"] if task.total else []
    left = task.left(now)
    told += [left] if left else [] if task.total else [duration(now - task.started)]
    bar = SHORTEST_BAR if task.total else 0
    # two columns between parts, and one that some terminals need at the end
    room = width - 1 - len(task.what) - sum(len(part) + 2 for part in told)
    for part in task.others():
        if room < len(part) + 2 + (bar and bar + 2):
            break
        told.append(part)
        room -= len(part) + 2
    bar = min(LONGEST_BAR, room - 2) if bar and room >= bar + 2 else 0
    name = task.what if room >= 0 else shortened(task.what, max(SHORTEST_NAME, len(task.what) + room))
    return ProgressLine(name, bar, "  ".join(told))


def remove() -> None:
    """End the progress of work that was cut short: a bar hides the cursor, a thread would go on telling."""
    global _live
    if _all_ended is not None:
        _all_ended.set()
    if _live is not None:
        _live.stop()
        _live = None


def reset_output() -> None:
    """Forget what was said and what was begun."""
    global _running
    terminal.reset_output()
    _running = None


def current_task(before: str) -> str | None:
    """The work that goes on; `before` where none has begun yet, and None where all is over that has begun."""
    if _running is None:
        return before
    return _running[-1].what if _running else None


class TerminalReporter(Reporter):
    """Bars on a terminal, a line every `HEARTBEAT_SECONDS` seconds off one; remarks as plain lines.

    Work that begins within other work has its line below, and the other's goes on when it has ended.
    With -v each stretch of work ends with a line that says how long it took.
    """

    def __init__(self) -> None:
        self._tasks: list[Task] = []

    def begin(self, what: str, total: int | None = None, done: int = 0) -> None:
        global _running
        self._tasks.append(Task(terminal.line(what), total, done, done))
        _running = self._tasks
        if terminal.is_quiet() or not terminal.is_main_process():
            return
        if len(self._tasks) > 1:
            if _live is not None:
                _live.refresh()  # short work may be over before the next frame
            return
        if sys.stderr.isatty():
            self._show()
        else:
            self._start_heartbeat()

    def _show(self) -> None:
        global _live
        # before the imports, which may take longer than the first sign waits
        terminal.mark_output()
        from rich.console import Console
        from rich.live import Live

        self._console = Console(file=sys.stderr)
        _live = Live(console=self._console, transient=True, get_renderable=self._drawn, refresh_per_second=10)
        _live.start()

    def _drawn(self) -> Any:
        """The lines of all work that goes on, as rich draws them."""
        from rich.console import Group

        now = time.monotonic()
        return Group(*(_row(task, line(task, self._console.width, now)) for task in list(self._tasks)))

    def _start_heartbeat(self) -> None:
        global _all_ended
        _all_ended = threading.Event()
        threading.Thread(target=self._heartbeat, args=(_all_ended,), daemon=True).start()

    def _heartbeat(self, over: threading.Event) -> None:
        """Say from time to time that the work begun last goes on, until all is over."""
        while not over.wait(HEARTBEAT_SECONDS):
            for task in self._tasks[-1:]:
                terminal.info(log_line(task, time.monotonic()))

    def advance(self, amount: int = 1, **figures: str) -> None:
        if self._tasks:
            self._tasks[-1].done += amount
            self._tasks[-1].figures = figures or self._tasks[-1].figures

    def end(self) -> None:
        if not self._tasks:
            return
        if len(self._tasks) == 1:
            # its last line is drawn once more
            remove()
        task = self._tasks.pop()
        self.debug(f"{task.what}: {time.monotonic() - task.started:.1f} s")

    def note(self, message: str) -> None:
        terminal.info(message)

    def debug(self, message: str) -> None:
        global _running
        _running = _running or []
        terminal.debug(message)

    def warn(self, message: str) -> None:
        terminal.warning(message)


def log_line(task: Task, now: float) -> str:
    """What is said of a stretch of work off a terminal; figures that have no room on a usual line are left out.

    Args:
        task: of which.
        now: by `time.monotonic`.

    Returns:
        Its name, how far it is, and the time left or, where that is not known, the time it has taken.
    """
    left = task.left(now)
    parts = [] if left else [duration(now - task.started)]
    parts += [f"{task.done:,} of {task.total:,}"] if task.total else []
    parts += [left] if left else []
    told = f"{task.what}: {', '.join(parts)}"
    for part in task.others():
        if len(told) + len(part) + 2 > terminal.USUAL_WIDTH:
            break
        told += f", {part}"
    return told


def _row(task: Task, shown: ProgressLine) -> Any:
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    cells: list[Any] = [Text(shown.name, no_wrap=True, overflow="ellipsis")]
    if shown.bar:
        cells.append(ProgressBar(total=task.total, completed=task.done, width=shown.bar))
    cells.append(Text(shown.rest, no_wrap=True, overflow="ellipsis"))
    for _ in cells:
        grid.add_column(no_wrap=True)
    grid.add_row(*cells)
    return grid
