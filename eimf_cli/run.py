"""`eimf run`: everything from a log to a measured model, as far as it is not up to date."""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from eimf_cli import metric_tables, terminal
from eimf_cli.options import config_tables, step
from eimf_core.errors import ConfigError

app = typer.Typer(rich_markup_mode=None, add_completion=False)
EXAMPLES = 5
LISTED = 3
"""Users whose answers are shown, and items of each."""


@step(app, example="eimf run log.csv --items items.csv -o shop/")
def run(
    *,
    logs: Annotated[
        list[Path], typer.Argument(metavar="LOG", help="Files of interactions, patterns or a published folder.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Directory that everything goes to.")],
    items: Annotated[
        list[Path], typer.Option("--items", metavar="FILE", help="Item text; by default what lies beside the log.")
    ] = [],  # noqa: B006 (typer wants the default itself)
    config_file: Path | None = None,
) -> None:
    """Prepare a log, train a model, measure it, and show what it recommends to a few users.

    Each step is run as its command would be, with the options of its table in --config, such as
    [prepare] or [train]. Users are labelled where there is a table [label]; without one interests are
    named by words of titles. What is up to date is not made again: that is told by the content of
    files, by options and by the version. An interrupted run resumes when the same command is run again.
    """
    from eimf_core.io import files
    from eimf_core.pipeline import run_steps

    if config_file is not None and files.is_device(config_file):
        raise ConfigError(f"{config_file}: is a stream, and each step reads its options from it; give a file")
    tables = config_tables(config_file)
    config = [] if config_file is None else ["--config", str(config_file)]
    common = [*config, *(["-v"] if terminal.is_verbose() else ["-q"] if terminal.is_quiet() else [])]
    split = _options(["prepare", "-", "-o", "-", *common])["split"]
    engine = _options(["label", "-", *common])["engine"] if "label" in tables else None
    if engine is not None:
        _check_engine(engine, config_file)
    steps = run_steps.plan(logs, items, output, engine=engine, test=split != "none")
    # a wrong option of a late step is told before the first one starts
    options = [_options([each.name, *each.arguments, *common]) for each in steps]
    records = run_steps.Records(output)
    with files.locked(output / "run"):
        for each, given in zip(steps, options, strict=True):
            command = [each.name, *each.arguments]
            terminal.info("")
            terminal.command("$", *command, *config)
            origin = run_steps.origin_of(each, given)
            if records.is_fresh(each, origin):
                terminal.info("  (up to date)")
                continue
            with terminal.part_of_another_command():
                _eimf([*command, *(["--discard"] if each.discard else []), *common])
            records.add(each, origin)
    _end(output, common, measured=steps[-1].name == "eval")


def _eimf(arguments: list[str]) -> None:
    """Run another command in this process; its errors end this one as they would end it."""
    from eimf_cli.main import app as commands

    code = commands(arguments, standalone_mode=False, prog_name="eimf")
    if isinstance(code, int) and code:
        raise typer.Exit(code)


def _check_engine(name: str, config_file: Path | None) -> None:
    from eimf_core.labeling.engines.engine_registry import engine_class

    try:
        engine_class(name)
    except ConfigError as error:
        raise ConfigError(f"{config_file}: {str(error).removeprefix('--')}") from None


def _options(arguments: list[str]) -> dict[str, Any]:
    """All options of a command with their values, as --show-config prints them."""
    shown = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with contextlib.redirect_stdout(shown):
        _eimf([*arguments, "--show-config"])
    shown.flush()
    found: dict[str, Any] = orjson.loads(shown.buffer.getvalue())
    return found


def _end(output: Path, common: list[str], *, measured: bool) -> None:
    """How good the model is, a few answers, and what to do next."""
    from eimf_core.pipeline import outcome

    if measured:
        metric_tables.show(outcome.summary(output / "metrics.jsonl"), to_stderr=True)
    data, model = output / "data", output / "model"
    sys.stdout.flush()
    for user in outcome.example_users(data / "sequences.jsonl", EXAMPLES):
        with terminal.part_of_another_command():
            _eimf(["recommend", str(model), "--user", user, "--sequences", str(data), "-k", str(LISTED), *common])
    terminal.command("next:", "recommend", model, "--all-users", data, "-o", output / "recommendations.parquet")
