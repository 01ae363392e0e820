"""The first sign of life: a command that has said nothing for a while says what it is loading."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from eimf_cli import progress_bars, terminal

SECONDS = 1.6
"""Until it is given; the interpreter and typer have taken some tenths of a second before."""
PAUSE = 0.2
OUTPUTS = ("output", "per_user", "report", "summary", "latex", "csv", "figures", "vectors", "onnx")
"""Arguments of commands that name files to write."""


@contextlib.contextmanager
def given(reading: str) -> Iterator[None]:
    """Give the sign while the block works.

    Args:
        reading: what is said before any work has begun, such as "reading data/"; else it is the work that goes on.
    """
    over = threading.Event()
    progress_bars.reset_output()
    threading.Thread(target=_wait, args=(over, reading), daemon=True).start()
    try:
        yield
    finally:
        over.set()


def _wait(over: threading.Event, reading: str) -> None:
    pause = SECONDS
    while not over.wait(pause) and not terminal.has_output():
        what = progress_bars.current_task(reading)
        if what is not None:
            terminal.info(f"{what} …")
            return
        # between two tasks nothing is loaded, such as while Query lines are waited for
        pause = PAUSE


def inputs(arguments: Mapping[str, Any]) -> str:
    """What a command reads, in words, by its arguments."""
    values = [value for name, value in arguments.items() if name not in OUTPUTS]
    paths = [each for value in values for each in (value if isinstance(value, list) else [value])]
    named = [str(path) for path in paths if isinstance(path, Path) and path.exists()]
    return f"reading {', '.join(named)}" if named else "starting"
