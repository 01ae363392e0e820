"""The `eimf` command: finds the subcommand and runs it; how it ends is told in `exit_codes`."""

from __future__ import annotations

import signal
import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Annotated, Any, NoReturn

import typer

from eimf_cli import exit_codes, terminal, values
from eimf_core import plugins
from eimf_core.errors import ConfigError, Terminated, did_you_mean

STEPS = {
    "prepare": "Read an interaction log of any usual kind.",
    "cluster": "Choose representative users by the text of their items.",
    "label": "Ask a language model for the interests behind their histories.",
    "train": "Train a small model; labels are used where there are any.",
    "eval": "Measure how well models rank what came next, beside baselines.",
    "recommend": "Rank the catalogue for a history, for words, or for both.",
}
# a further command is one line: its module in eimf_cli has the same name
FURTHER = {
    "run": "Make everything from a log to a measured model.",
    "score": "Score labels against known interests: precision, recall, F1.",
    "compare": "Train backbones over settings and seeds, and compare them in one table.",
    "join": "Join models that were trained apart as an ensemble.",
    "serve": "Answer queries over HTTP.",
    "similar": "List the items nearest to one.",
    "index": "Put an index into a model, for recommend --index.",
    "export": "Write item vectors and the network for other programs.",
    "verify": "Check that a model is as training wrote it.",
}


class Commands(typer.core.TyperGroup):
    """The subcommands; each module is imported only when its command is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [*STEPS, *FURTHER]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in self.list_commands(ctx):
            return None
        command = typer.main.get_command(import_module(f"eimf_cli.{cmd_name}").app)
        command.name = cmd_name
        return command

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, known = args[0], self.list_commands(ctx)
        if name not in known and not ctx.resilient_parsing:
            near = did_you_mean(name, known)
            raise ConfigError(f"there is no command '{name}'{near or '; eimf --help lists those there are'}")
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        values.read_without_pydantic(self.get_params(ctx))
        for parameter in self.params:
            parameter.show_envvar = False  # type: ignore[attr-defined]
        if args[:1] == ["--help-all"]:
            raise ConfigError(
                "--help-all: options belong to a step; eimf STEP --help-all lists them, eimf --help the steps"
            )
        return super().parse_args(ctx, args or ([] if ctx.resilient_parsing else ["--help"]))

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        for heading, commands in (("The six steps", STEPS), ("Further commands", FURTHER)):
            with formatter.section(heading):
                formatter.write_dl(list(commands.items()))


app = typer.Typer(
    cls=Commands,
    rich_markup_mode=None,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "auto_envvar_prefix": "EIMF",
        "max_content_width": 100,
    },
)


def _version(wanted: bool) -> None:
    if wanted:
        from eimf_cli.run_summary import installed

        print(f"eimf {installed('eimf')}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Multi-interest sequential recommendation, with interests that have names.

    \b
    The six steps, each reading and writing JSON lines:
      eimf prepare log.csv -o data/
      eimf cluster data/ -o samples.jsonl
      eimf label samples.jsonl --model instruct.gguf -o labels.jsonl
      eimf train data/ --labels labels.jsonl -o model/
      eimf eval model/ data/
      eimf recommend model/ --items A,B,C
    """


def execute(arguments: list[str] | None = None, *, on_error: Callable[[], None] = lambda: None) -> exit_codes.Outcome:
    """Run a command line.

    Args:
        arguments: what follows `eimf`; those of the process by default.
        on_error: called as soon as an exception arrives.

    Returns:
        How it ended; nothing has been printed about that yet.
    """
    try:
        with warnings.catch_warnings():
            if not sys.warnoptions:
                # of libraries, about numbers that are checked where they are used
                warnings.simplefilter("ignore")
                warnings.simplefilter("always", plugins.BrokenPackage)
                warnings.showwarning = lambda message, *_: terminal.warning(str(message))
            result = app(arguments, standalone_mode=False, prog_name="eimf")
        sys.stdout.flush()
        return exit_codes.of_result(result)
    except SystemExit as stopped:
        # typer makes an exit code of 1 of a reader that has gone
        if isinstance(stopped.__context__, BrokenPipeError):
            return exit_codes.of_exception(stopped.__context__)
        raise
    except (Exception, KeyboardInterrupt, Terminated) as stopped:
        on_error()
        return exit_codes.of_exception(stopped)


def run() -> NoReturn:
    """Run the command line of the process and exit with the documented code."""
    signal.signal(signal.SIGTERM, exit_codes.terminate)
    outcome = execute(on_error=exit_codes.ignore_signals)
    exit_codes.ignore_signals()
    exit_codes.exit_with(outcome)
