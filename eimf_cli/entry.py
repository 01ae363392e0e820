"""Entry point of the `eimf` command: imports nothing but `signal` before Ctrl-C is taken care of."""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn


def run() -> NoReturn:
    """Import the command and run it. Ctrl-C in between is one line and 130, since nothing has begun."""
    handler = signal.getsignal(signal.SIGINT)
    if handler is signal.default_int_handler:  # a shell may have it ignored
        signal.signal(signal.SIGINT, _interrupted)
    _open_closed_streams()
    _write_utf8()
    from eimf_cli import main

    signal.signal(signal.SIGINT, handler)
    main.run()


def _open_closed_streams() -> None:
    """Let a standard stream be /dev/null where the caller closed it: a file opened next would take its place."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            # the lowest free number
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", encoding="utf-8"))  # noqa: SIM115 (of the process)


def _write_utf8() -> None:
    """Let remarks and tables be UTF-8 on Windows too, where a pipe has an older code page that lacks their lines."""
    if os.name == "nt":
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(encoding="utf-8")  # type: ignore[union-attr]


def _interrupted(*_: object) -> NoReturn:
    # an exception out of an import would be taken for a failed import
    os.write(2, b"eimf: interrupted\n")
    os._exit(130)
