"""How a step becomes a command: options from its configuration, `--config`, `--show-config`, -q, -v.

`step` registers a function. The fields of a configuration dataclass become options, so that a
default and its help text are written once, in core, and the function gets the checked dataclass.
Flags beat environment variables (`EIMF_STEP_OPTION`) beat `--config FILE.toml` beat defaults.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import orjson
import typer

from eimf_cli import terminal
from eimf_core.errors import ConfigError


def _read_config(context: typer.Context, path: Path | None) -> Path | None:
    """Take the defaults of a command from a TOML file: its table, or keys at the top."""
    if path is None:
        return None
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not TOML ({error})") from None
    step = context.info_name
    shared = {key: value for key, value in content.items() if not isinstance(value, dict)}
    settings = {**shared, **content.get(step or "", {})}
    known = {parameter.name for parameter in context.command.params} - {"config", "show_config"}
    renamed = {key.replace("-", "_"): value for key, value in settings.items()}
    for key in renamed:
        if key not in known:
            raise ConfigError(f"{path}: unknown key '{key}'; 'eimf {step} --show-config' lists those there are")
    context.default_map = {**(context.default_map or {}), **renamed}
    return path


COMMON: dict[str, tuple[Any, Any]] = {
    "config": (
        Annotated[
            Path | None,
            typer.Option(
                "--config",
                callback=_read_config,
                is_eager=True,
                metavar="FILE.toml",
                help="Read options from a TOML file.",
            ),
        ],
        None,
    ),
    "show_config": (
        Annotated[bool, typer.Option("--show-config", help="Print the resulting options as JSON and stop.")],
        False,
    ),
    "quiet": (Annotated[bool, typer.Option("--quiet", "-q", help="Only warnings and errors on stderr.")], False),
    "verbose": (Annotated[bool, typer.Option("--verbose", "-v", help="More on stderr.")], False),
}


def step(
    app: typer.Typer, *, example: str, settings: type | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function as the command of `app`; `example` leads its help.

    With `settings` (a dataclass), each field is an option and the function gets the instance as the
    keyword argument `settings`.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        own = inspect.signature(function).parameters
        hints = get_type_hints(function, include_extras=True)
        fields = _options_of(settings) if settings else {}
        typed = {name: (hints[name], own[name].default) for name in own if name != "settings"} | fields | COMMON

        @functools.wraps(function)
        def run(**arguments: Any) -> Any:
            terminal.configure(quiet=arguments.pop("quiet"), verbose=arguments.pop("verbose"))
            show = arguments.pop("show_config")
            arguments.pop("config")
            if show:
                sys.stdout.buffer.write(
                    orjson.dumps(arguments, default=str, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
                )
                return None
            if settings:
                arguments["settings"] = settings(**{name: arguments.pop(name) for name in fields})
            return function(**arguments)

        run.__annotations__ = {name: hint for name, (hint, _) in typed.items()}
        run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [
                inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint)
                for name, (hint, default) in typed.items()
            ]
        )
        summary = inspect.getdoc(function) or ""
        app.command(help=f"{summary}\n\n\b\nExample:\n  {example}")(run)
        return run

    return decorate


def _options_of(settings: type) -> dict[str, tuple[Any, Any]]:
    hints = get_type_hints(settings, include_extras=True)
    options = {}
    for field in dataclasses.fields(settings):
        default = _default(field)
        hint, flags = hints[field.name], list(field.metadata.get("flags", ()))
        if flags or hint is not bool:
            flags = [f"--{field.name.replace('_', '-')}", *flags]
        extra = {key: field.metadata[key] for key in ("metavar", "rich_help_panel") if key in field.metadata}
        options[field.name] = (
            Annotated[hint, typer.Option(*flags, help=field.metadata.get("help", ""), **extra)],
            default,
        )
    return options


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default_factory() if callable(field.default_factory) else field.default
