"""The `eimf` command: finds the subcommand and runs it; how it ends is told in `ending`."""

from __future__ import annotations

import signal
import sys
from importlib import import_module
from typing import Annotated, Any, NoReturn

import typer

from eimf_cli import exit_codes, values

STEPS = ("prepare", "cluster", "label", "train", "eval", "recommend")


class Steps(typer.core.TyperGroup):
    """The six subcommands, each imported only when it is asked for."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        values.hasten(self)

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
        return values.hasten(command)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # caught below typer, which would make an exit code of 1 of it
            exit_codes.nobody_reads()
            return 0


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


def run() -> NoReturn:
    """Runs the command and exits with the documented code."""
    signal.signal(signal.SIGTERM, exit_codes.terminate)
    try:
        result = app(standalone_mode=False)
        sys.stdout.flush()
        end = exit_codes.returned(result)
    except (Exception, KeyboardInterrupt, exit_codes.Terminated) as stopped:
        exit_codes.be_deaf()
        end = exit_codes.of(stopped)
    exit_codes.be_deaf()
    exit_codes.leave(end)
