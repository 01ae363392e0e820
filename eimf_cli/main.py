"""The `eimf` command: finds the subcommand, and turns every error into one line and an exit code."""

from __future__ import annotations

import errno
import os
import signal
import sys
from importlib import import_module
from typing import Annotated, Any, NoReturn

import typer

from eimf_cli import terminal
from eimf_core.errors import ConfigError, EimfError, InputError, LabelError, ModelError

STEPS = ("prepare", "cluster", "label", "train", "eval", "recommend")
EXIT_CODES: dict[type[EimfError], int] = {ConfigError: 2, InputError: 3, ModelError: 4, LabelError: 4}
INTERRUPTED = "interrupted; run the same command again to go on or start over"
# typer carries its own click, under a private name; its public errors lead to the base classes
UsageError = typer.BadParameter.__bases__[0]
ClickError: type[Exception] = UsageError.__bases__[0]


class Steps(typer.core.TyperGroup):
    """The six subcommands, each imported only when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(STEPS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in STEPS:
            return None
        command = typer.main.get_command(import_module(f"eimf_cli.{cmd_name}").app)
        command.name = cmd_name
        for parameter in command.params:
            # every option has one, EIMF_STEP_OPTION; naming it at each would bury the help texts
            parameter.show_envvar = False  # type: ignore[attr-defined]
        return command

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # caught below typer, which would make an exit code of 1 of it
            _nobody_reads()
            return 0


def _nobody_reads() -> None:
    """The reader of the pipe has gone; the interpreter must not flush into it again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


app = typer.Typer(
    cls=Steps,
    rich_markup_mode=None,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "EIMF"},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            print(f"eimf {version('eimf')}")
        except PackageNotFoundError:
            print("eimf, run from its source without an installation")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Multi-interest sequential recommendation, taught once by a local language model.

    \b
    The six steps, each reading and writing JSON lines:
      eimf prepare log.csv -o data/
      eimf cluster data/ -o samples.jsonl
      eimf label samples.jsonl --model instruct.gguf -o labels.jsonl
      eimf train data/ --labels labels.jsonl -o model/
      eimf eval model/ data/
      eimf recommend model/ --items A,B,C
    """


class Terminated(BaseException):
    """SIGTERM arrived; raised so that files are left whole on the way out."""


def _terminate(*_: object) -> NoReturn:
    raise Terminated


def run() -> NoReturn:
    """Runs the command and exits with the documented code."""
    signal.signal(signal.SIGTERM, _terminate)
    code = 1
    try:
        result = app(standalone_mode=False)
        sys.stdout.flush()
        code = result if isinstance(result, int) else 0
        if code == 130:  # what typer makes of Ctrl-C
            _say(INTERRUPTED, code)
    except BrokenPipeError:
        _nobody_reads()
        code = 0
    except KeyboardInterrupt:
        code = _say(INTERRUPTED, 130)
    except Terminated:
        code = _say("terminated; run the same command again to go on or start over", 143)
    except typer.Exit as stop:
        code = stop.exit_code
    except typer.Abort:
        code = _say("interrupted", 130)
    except ClickError as error:
        code = _say(_usage(error), 2)
    except EimfError as error:
        code = _say(str(error), next((code for kind, code in EXIT_CODES.items() if isinstance(error, kind)), 1), error)
    except OSError as error:
        code = _say(_system(error), 1, error)
    except MemoryError as error:
        code = _say("out of memory; use less data or a machine with more", 1, error)
    except Exception as error:
        code = _say(f"unexpected {type(error).__name__}: {error}; EIMF_DEBUG=1 shows where", 1, error)
    # all is done and said: a signal that comes while the interpreter goes down must not change the exit code
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # Python remembers an interrupt inside exec("…"), which dataclasses call on import, until the next exec,
    # and would end itself by the signal in place of the exit code
    exec("")
    sys.stderr.flush()
    if "TORCHELASTIC_RUN_ID" in os.environ:
        # a thread of the process group was now and then seen to abort the interpreter on its way down
        os._exit(code)
    sys.exit(code)


def _say(message: str, code: int, error: BaseException | None = None) -> int:
    if error is not None and os.environ.get("EIMF_DEBUG") == "1":
        import traceback

        traceback.print_exception(error)
    terminal.error(message)
    return code


def _usage(error: Any) -> str:
    context = getattr(error, "ctx", None)
    where = context.command_path if context is not None else "eimf"
    return f"{error.format_message()} (see '{where} --help')"


def _system(error: OSError) -> str:
    place = f"{error.filename}: " if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{place}the disk is full; what was finished is kept, make room and run the same command again"
    return f"{place}{error.strerror or error}"
