"""How a command ends: one line for every error, the documented exit code, and signals that come in between."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
import time
from dataclasses import dataclass
from typing import Any, NoReturn

import typer

from eimf_cli import progress_bars, terminal
from eimf_core import plugins
from eimf_core.errors import ConfigError, EimfError, InputError, LabelError, ModelError, Terminated, WorkersError

EXIT_CODES: dict[type[EimfError], int] = {
    ConfigError: 2, InputError: 3, ModelError: 4, LabelError: 4, WorkersError: 4,
}  # fmt: skip
WRONG_PATH = (
    errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL,
    errno.EROFS, errno.ENXIO, errno.ENODEV, errno.EIO, errno.ESPIPE,
)  # fmt: skip
"""What the system says of a path that cannot be used; which path, is in the error."""
TORCHRUN = "TORCHELASTIC_RUN_ID"  # in the environment of what torchrun starts
BY_SIGNAL = (130, 143)
INTERRUPTED = "interrupted; run the same command again to resume or start over"
MAIN_PROCESS_SECONDS = 30.0
# typer carries its own click, under a private name; its public errors lead to the base classes
UsageError: type[Exception] = typer.BadParameter.__bases__[0]
ClickError: Any = UsageError.__bases__[0]


def terminate(*_: object) -> NoReturn:
    """What SIGTERM does while a command works."""
    raise Terminated


@dataclass(frozen=True)
class Outcome:
    """An exit code, the line that goes with it, and the error that it is about."""

    code: int
    line: str = ""
    error: Exception | None = None


def of_result(result: Any) -> Outcome:
    """The end of a command that came back; typer makes 130 of Ctrl-C."""
    code = result if isinstance(result, int) else 0
    return Outcome(code, INTERRUPTED if code == 130 else "")


def of_exception(stopped: BaseException) -> Outcome:
    """The end of a command that was stopped by an exception."""
    if isinstance(stopped, BrokenPipeError):
        discard_stdout()
        return Outcome(0)
    if isinstance(stopped, KeyboardInterrupt):
        return Outcome(130, INTERRUPTED)
    if isinstance(stopped, Terminated):
        failing = stopped.__context__
        if TORCHRUN in os.environ and isinstance(failing, EimfError):
            # torchrun ended this process, on its way out already, for the same error of another one
            return of_exception(failing)
        return Outcome(143, "terminated; run the same command again to resume or start over")
    if isinstance(stopped, typer.Exit):
        return Outcome(stopped.exit_code)
    if isinstance(stopped, typer.Abort):
        return Outcome(130, "interrupted")
    if isinstance(stopped, ClickError):
        return Outcome(2, _usage(stopped))
    assert isinstance(stopped, Exception)
    if isinstance(stopped, EimfError):
        code = next((code for kind, code in EXIT_CODES.items() if isinstance(stopped, kind)), 1)
        return Outcome(code, terminal.cut(str(stopped)), stopped)
    if isinstance(stopped, OSError):
        return Outcome(2 if stopped.errno in WRONG_PATH else 1, _system(stopped), stopped)
    # torch says it in its own way
    if isinstance(stopped, MemoryError) or "can't allocate memory" in str(stopped):
        return Outcome(1, "out of memory; use less data or a machine with more", stopped)
    # the fault may be one of theirs
    used = ", ".join(f"{package} {version}" for package, version in plugins.used().items())
    others = f" (with plug-ins of {used})" if used else ""
    return Outcome(1, f"unexpected {type(stopped).__name__}: {stopped}{others}; EIMF_DEBUG=1 shows where", stopped)


def ignore_signals() -> None:
    """From here on no signal interrupts: the line is told whole and once, and the exit code stays what it is."""
    for number in (signal.SIGTERM, signal.SIGINT):
        while signal.getsignal(number) is not signal.SIG_IGN:
            # one may come right now, such as torchrun's where another process has failed as well
            with contextlib.suppress(Terminated, KeyboardInterrupt):
                signal.signal(number, signal.SIG_IGN)


def report(outcome: Outcome) -> None:
    """Print the line, and with EIMF_DEBUG=1 the traceback."""
    progress_bars.remove()
    if outcome.error is not None and os.environ.get("EIMF_DEBUG") == "1":
        import traceback

        traceback.print_exception(outcome.error)
    if outcome.line:
        if not terminal.is_main_process() and outcome.code not in BY_SIGNAL:
            _wait_for_main_process(outcome)
        terminal.error(outcome.line)
        for line in outcome.error.advice if isinstance(outcome.error, EimfError) else ():
            terminal.advice(line)


def exit_with(outcome: Outcome) -> NoReturn:
    """Report the outcome and exit with its code."""
    report(outcome)
    # Python remembers an interrupt inside exec("…"), which dataclasses call on import, until the next exec,
    # and would end itself by the signal in place of the exit code
    exec("")
    sys.stderr.flush()
    if TORCHRUN in os.environ or outcome.code in BY_SIGNAL:
        # a thread of the process group was now and then seen to abort the interpreter on its way down, and what was
        # interrupted may have left a thread in a long computation
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
        os._exit(outcome.code)
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        # what a full disk did not take is still held: the interpreter would try again and end with a code of its own
        discard_stdout()
    sys.exit(outcome.code)


def _wait_for_main_process(outcome: Outcome) -> None:
    """Wait until torchrun ends this process, which it does when the first one has told the same error.

    It ends all at the first exit code that is not 0: were that ours, the first process would be
    terminated on its way to the error, and nobody would learn of it. Processes that have met tell each
    other what went wrong, and need no waiting.
    """
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        return
    signal.signal(signal.SIGTERM, lambda *_: os._exit(outcome.code))
    time.sleep(MAIN_PROCESS_SECONDS)
    ignore_signals()
    # the first one has another trouble, or none
    terminal.error(outcome.line, always=True)


def discard_stdout() -> None:
    """The reader of the pipe has gone, or the disk is full; the interpreter must not flush into it again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _usage(error: Any) -> str:
    context = getattr(error, "ctx", None)
    where = context.command_path if context is not None else "eimf"
    return f"{error.format_message()} (see '{where} --help')"


def _system(error: OSError) -> str:
    place = f"{error.filename}: " if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{place}the disk is full; what was finished is kept, make room and run the same command again"
    return f"{place}{error.strerror or error}"
