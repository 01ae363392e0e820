"""How a step becomes a command: options from its configuration, `--config`, `--show-config`, -q, -v.

`step` registers a function. The fields of a configuration dataclass become options, so that a
default and its help text are written once, in core, and the function gets the checked dataclass.
Flags beat environment variables (`EIMF_STEP_OPTION`) beat `--config FILE.toml` beat defaults.
"""

from __future__ import annotations

import contextlib
import csv
import functools
import inspect
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import orjson
import typer

from eimf_cli import startup_notice, terminal, values
from eimf_cli.step_command import CommandContext, StepCommand, default, setting_names, steps_with
from eimf_core import renamed_settings, setting_values
from eimf_core.errors import ConfigError, did_you_mean
from eimf_core.io import toml_file


def _help_all(context: typer.Context, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        context.meta["help_all"] = True
        print(context.get_help())
        raise typer.Exit


def _read_config(context: typer.Context, path: Path | None) -> dict[str, Any]:
    """Take the defaults of a command from a TOML file: its table, or keys at the top.

    Returns:
        The values of the settings that are no options.
    """
    keys, hints = context.obj.config_keys(), context.obj.hints()
    given = _config_table(context, path) if path is not None else {}
    context.meta[values.CONFIG_FILE] = path
    for name, value in given.items():
        if name in keys:
            try:
                given[name] = setting_values.read(hints[name], value)
            except ValueError as error:
                raise ConfigError(f"{path}: {name} {error}") from None
    options = {name: value for name, value in given.items() if name not in keys}
    context.default_map = {**(context.default_map or {}), **options}
    return {name: given.get(name, default(field)) for name, field in keys.items()}


def config_tables(path: Path | None) -> set[str]:
    """The tables of a --config file."""
    return set() if path is None else {key for key, value in toml_file.read(path).items() if isinstance(value, dict)}


def _config_table(context: typer.Context, path: Path) -> dict[str, Any]:
    """The keys of a TOML file that are meant for this command, all of them known."""
    content = toml_file.read(path)
    step, tables = context.info_name, _tables(context)
    known = setting_names(context.command)
    shared = {key: value for key, value in content.items() if key not in tables}
    own = content.get(step or "", {})
    if not isinstance(own, dict):
        raise ConfigError(f"{path}: '{step}' is no table; write [{step}] above the keys of this command")
    for key in (*shared, *own):
        if key.replace("-", "_") not in known:
            if renamed := renamed_settings.hint(key.replace("-", "_")):
                raise ConfigError(f"{path}: {renamed}")
            what = "table" if key in shared and isinstance(shared[key], dict) else "key"
            near = _other_table(context, key) or did_you_mean(
                key.replace("-", "_"), known | tables if what == "table" else known
            )
            raise ConfigError(
                f"{path}: unknown {what} '{key}'{near or f'; eimf {step} --show-config lists those there are'}"
            )
    return {key.replace("-", "_"): value for key, value in {**shared, **own}.items()}


def _other_table(context: typer.Context, key: str) -> str:
    """The end of a message about a key of one other command; one that several have may be meant for this one too."""
    others = steps_with(context, key.replace("-", "_"))
    return f"; it is a setting of eimf {others[0]}: write it under [{others[0]}]" if len(others) == 1 else ""


def _tables(context: typer.Context) -> set[str]:
    """The commands of eimf, each of which may have a table in the file."""
    group: Any = context.parent.command if context.parent else None
    return set(group.list_commands(context.parent)) if group else {context.info_name or ""}


def _common(kind: Any, *flags: str, default: Any = False, **more: Any) -> tuple[Any, Any]:
    return Annotated[kind, typer.Option(*flags, rich_help_panel="common", **more)], default


COMMON: dict[str, tuple[Any, Any]] = {
    "config": _common(
        Path | None, "--config", default=None, metavar="FILE.toml", callback=_read_config, is_eager=True,
        help="Read options from a TOML file: keys at the top, or in a table named as the command.",
    ),
    "show_config": _common(bool, "--show-config", help="Print the resulting options as JSON and stop."),
    "quiet": _common(bool, "--quiet", "-q", help="Only warnings and errors on stderr."),
    "verbose": _common(
        bool, "--verbose", "-v", help="Also say how long each part takes, what comes from a cache, and versions."
    ),
    "help_all": _common(
        bool, "--help-all", callback=_help_all, is_eager=True,
        help="Show all options, and the keys that --config alone knows.",
    ),
}  # fmt: skip


FROM_CONTEXT = ("settings", "request", "explicit", "typed", "config_file")
"""Arguments of a command's function that are no options of their own."""

# hidden: --help-all shows it, and the error that it is for names it
Force = Annotated[
    bool,
    typer.Option("--force", hidden=True, help="Replace an output that no run of eimf wrote."),
]


def step(
    app: typer.Typer, *, example: str, settings: type | None = None, request: type | None = None,
    plugins: str | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:  # fmt: skip
    """Register a function as the command of `app`.

    Args:
        app: the application of the command's own module, which holds this command alone.
        example: the command line that leads the help.
        settings: a dataclass made of `setting` fields; each is an option, or a key of --config alone, and the
            function gets the instance as the keyword argument `settings`, and the names of those that are no
            defaults as `explicit` where it has this argument, those of the command line alone as `typed`, and the
            path of --config as `config_file`.
        request: likewise a dataclass of what is asked, which the function gets as `request`.
        plugins: the group of plug-ins that its help lists.

    Returns:
        A decorator; the command that it makes reads the options and calls the function.
    """
    about = CommandContext(example, settings, plugins, request)

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        own = inspect.signature(function).parameters
        hints = get_type_hints(function, include_extras=True)
        asked, options = _options_of(about, about.asked()), _options_of(about, about.options())
        parameters = [name for name in own if name not in FROM_CONTEXT]
        typed = asked | {name: (hints[name], own[name].default) for name in parameters} | options | COMMON

        @functools.wraps(function)
        def run(**arguments: Any) -> Any:
            terminal.configure(quiet=arguments.pop("quiet"), verbose=arguments.pop("verbose"))
            parsed = arguments.pop("parsed", None)
            show, config_only = arguments.pop("show_config"), arguments.pop("config")
            arguments.pop("help_all")
            if show:
                return _print_config(arguments | config_only)
            if "config_file" in own:
                arguments["config_file"] = parsed.meta[values.CONFIG_FILE]
            values_of = {name: arguments.pop(name) for name in asked}
            if request:
                several = {name: ids(values_of[name]) for name, field in about.asked().items() if field.metadata["ids"]}
                arguments["request"] = request(**values_of | several)
            if settings:
                given = {name: arguments.pop(name) for name in options}
                arguments["settings"] = settings(**given, **config_only)
                if "explicit" in own:
                    arguments["explicit"] = _explicit(parsed, about, config_only)
                if "typed" in own:
                    arguments["typed"] = _given_by(parsed, about, {"COMMANDLINE"})
            started = time.perf_counter()
            with startup_notice.given(startup_notice.inputs(arguments | values_of)):
                result = function(**arguments)
            if terminal.is_verbose():
                from eimf_cli.run_summary import run_summary

                seed = getattr(arguments.get("settings"), "seed", None)
                terminal.debug(run_summary(time.perf_counter() - started, seed))
            return result

        if {"explicit", "typed", "config_file"} & own.keys():
            typed["parsed"] = (typer.Context, inspect.Parameter.empty)
        run.__annotations__ = {name: hint for name, (hint, _) in typed.items()}
        run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [
                inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint)
                for name, (hint, default) in typed.items()
            ]
        )
        app.command(help=inspect.getdoc(function), cls=StepCommand, context_settings={"obj": about})(run)
        return run

    return decorate


def _explicit(context: Any, about: CommandContext, config_only: dict[str, Any]) -> frozenset[str]:
    """The settings that come from the command line, the environment or --config."""
    keys = about.config_keys().items()
    of_file = {name for name, field in keys if config_only[name] != default(field)}
    return _given_by(context, about, {"COMMANDLINE", "ENVIRONMENT", "DEFAULT_MAP"}) | of_file


def _given_by(context: Any, about: CommandContext, sources: set[str]) -> frozenset[str]:
    """The options that come from these places."""
    return frozenset(name for name in about.options() if context.get_parameter_source(name).name in sources)


def _print_config(config: dict[str, Any]) -> None:
    sys.stdout.buffer.write(orjson.dumps(config, default=str, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def ids(options: list[str] | None) -> list[str] | None:
    """The ids of an option that takes several, and may be repeated; one that holds a comma may stand in quotes."""
    return options and [item.strip() for option in options for item in _parts(option) if item.strip()]


def _parts(option: str) -> list[str]:
    if '"' in option:
        with contextlib.suppress(csv.Error):
            return next(csv.reader([option], strict=True, skipinitialspace=True), [])
    return option.split(",")


def _options_of(about: CommandContext, chosen: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Each field that is an option: its annotation for typer, and its default."""
    hints = about.hints()
    return {name: (_annotated(field, hints[name]), default(field)) for name, field in chosen.items()}


def _annotated(field: Any, hint: Any) -> Any:
    metadata = field.metadata
    flags = list(metadata["flags"])
    if flags or hint is not bool:
        flags = [f"--{field.name.replace('_', '-')}", *flags]
    known = metadata["known"]
    option = typer.Option(
        *flags,
        help=metadata["help"],
        metavar=metadata.get("metavar"),
        rich_help_panel=metadata["group"],
        hidden=metadata["advanced"],
        autocompletion=_completion(known) if known else None,
    )
    return Annotated[hint, option]


def _completion(known: Any) -> Callable[[str], list[str]]:
    """What tells the shell what a value may become; of several, joined by "," or "+", the last one is completed."""

    def complete(incomplete: str) -> list[str]:
        begun = re.match(r"(.*[,+])?", "" if "=" in incomplete else incomplete)
        first = begun[1] or "" if begun else ""
        return [f"{first}{each}" for each in (known() if callable(known) else known)]

    return complete
