"""A command as typer runs it: help that leads with an example and has groups, choices, and unknown options."""

from __future__ import annotations

import re
from dataclasses import MISSING, Field, dataclass, fields
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from typer.core import TyperCommand

from eimf_cli import values
from eimf_cli.exit_codes import UsageError
from eimf_core import plugins
from eimf_core.config import GROUPS, choices
from eimf_core.errors import ConfigError, counted, did_you_mean
from eimf_core.renamed_settings import GONE, RENAMED

HEADINGS = ("arguments", *GROUPS, "common")
WIDEST_METAVAR = 24
HYPHEN = "\N{NON-BREAKING HYPHEN}"
RUN = ("prepare", "cluster", "label", "train", "eval", "recommend")
"""The commands that `eimf run` runs, each with the options of its table."""
METAVARS = {int: "N", float: "X", str: "TEXT", Path: "PATH", bool: "YES|NO"}


@dataclass(frozen=True)
class CommandContext:
    """What a command knows beside its parameters: `context.obj` while it is parsed.

    Attributes:
        example: the command line that leads the help.
        settings, request: the dataclasses whose fields are its options, if it has them.
        plugins: the group of plug-ins that its help lists.
    """

    example: str
    settings: type | None = None
    plugins: str | None = None
    request: type | None = None

    def options(self) -> dict[str, Field[Any]]:
        """The settings that are options."""
        return {name: field for name, field in self._fields() if not field.metadata.get("config_only")}

    def asked(self) -> dict[str, Field[Any]]:
        """What may be asked."""
        return {field.name: field for field in fields(self.request)} if self.request else {}

    def config_keys(self) -> dict[str, Field[Any]]:
        """The settings that are keys of --config alone."""
        return {name: field for name, field in self._fields() if field.metadata.get("config_only")}

    def hints(self) -> dict[str, Any]:
        """The types of all settings, and of what may be asked."""
        kinds = (kind for kind in (self.settings, self.request) if kind)
        return {name: hint for kind in kinds for name, hint in get_type_hints(kind).items()}

    def _fields(self) -> list[tuple[str, Field[Any]]]:
        return [(field.name, field) for field in fields(self.settings)] if self.settings else []


def default(field: Field[Any]) -> Any:
    """The default of a setting."""
    return field.default if field.default_factory is MISSING else field.default_factory()


class StepCommand(TyperCommand):
    """One command of eimf: its parameters carry their group in `rich_help_panel`; hidden ones are advanced."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        values.read_without_pydantic(self.get_params(ctx))
        typed = list(args)
        try:
            return super().parse_args(ctx, args)
        except UsageError as error:
            failed: Any = error
            if hasattr(failed, "option_name") and hasattr(failed, "possibilities"):
                raise self._unknown(ctx, failed.option_name) from None
            if hasattr(failed, "param_type"):
                failed.param_hint = self._missing(ctx, typed) or failed.param_hint
            failed.ctx = failed.ctx or ctx
            if "unexpected extra argument" in failed.message:
                failed.message += "; a name with blanks stands in quotes"
                failed.message += ", ids are separated by commas: --items A,B" if "--items" in typed else ""
            raise

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except ConfigError as error:
            place = self._place(ctx, str(error))
            if place is None:
                raise
            raise ConfigError(place) from None

    def _place(self, ctx: Any, message: str) -> str | None:
        """A message about a value that no option of the command line gave: with the variable or the file it is in."""
        option, _, problem = message.partition(" ")
        parameters: list[Any] = self.get_params(ctx)
        for parameter in parameters:
            if option in parameter.opts:
                return f"{values.origin(parameter, ctx)} {problem}"
        path, key = ctx.meta.get(values.CONFIG_FILE), option.rstrip(":")
        if path is not None and key in ctx.obj.config_keys() and problem.startswith("(in --config)"):
            return f"{path}: {message.replace(' (in --config)', '', 1)}"
        return None

    def _missing(self, ctx: Any, args: list[str]) -> str:
        """All required options and arguments that are not given; the parser names the first."""
        parameters: list[Any] = self.get_params(ctx)
        given, _, _ = self.make_parser(ctx).parse_args(args=args)
        names = [
            max(each.opts, key=len) if each.param_type_name == "option" else each.metavar or each.name
            for each in parameters
            if each.required and each.value_is_missing(each.consume_value(ctx, given)[0])
        ]
        return " and ".join(f"'{name}'" for name in names)

    def _unknown(self, ctx: Any, option: str) -> ConfigError:
        keys = ctx.obj.config_keys()
        name = option.removeprefix("--").removeprefix("no-").replace("-", "_")
        name, gone = RENAMED.get(name, name), GONE.get(name)
        if name in keys:
            return ConfigError(f"{option} is set in --config: write {name} = … under [{ctx.info_name}] in a TOML file")
        if gone is not None:
            return ConfigError(f"there is no option {option} any more: {gone}")
        if ctx.parent is not None and name in ctx.parent.command.list_commands(ctx.parent):
            return ConfigError(f"there is no option {option}, but a command: eimf {name} --help")
        options = [flag for parameter in self.get_params(ctx) for flag in _flags(parameter)]
        steps = [step for step in steps_with(ctx, name) if step in RUN] if ctx.info_name == "run" else []
        if steps:
            return ConfigError(
                f"{option} is an option of eimf {steps[0]}: write {name} = … under [{steps[0]}] in a TOML file, "
                "and give that as --config"
            )
        if ctx.info_name == "compare" and "train" in steps_with(ctx, name):
            return ConfigError(
                f"{option} is a setting of eimf train: write {name} = … in a TOML file, and give that as --ranges"
            )
        as_options = {f"--{key.replace('_', '-')}": key for key in keys}
        near = did_you_mean(option, [*options, *as_options]) or f"; {ctx.command_path} --help-all lists all"
        for flag, key in as_options.items():
            # a key of the file is no option, and must not be told as one
            if near.endswith(f" {flag}?"):
                near = f"; did you mean the key {key} of --config, under [{ctx.info_name}] in a TOML file?"
        return ConfigError(f"there is no option {option}{near}")

    def get_help(self, ctx: Any) -> str:
        return super().get_help(ctx).replace(HYPHEN, "-")

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        arguments = [each for each in self.params if each.param_type_name == "argument"]
        return ["[OPTIONS]", *(each.metavar or each.name for each in arguments)]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        formatter.write(f"Example:\n  {ctx.obj.example}\n\n")
        self.format_usage(ctx, formatter)
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(_unbroken(self.help or ""))
        self.format_options(ctx, formatter)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        everything = ctx.meta.get("help_all", False)
        left_out = 0
        sections: dict[str, list[tuple[str, str]]] = {heading: [] for heading in HEADINGS}
        parameters: list[Any] = self.get_params(ctx)
        for parameter in parameters:
            if parameter.hidden and not everything:
                left_out += 1
            else:
                sections[group_of(parameter)].append(_record(parameter, ctx.obj))
        for heading, records in sections.items():
            if records:
                with formatter.section(heading.capitalize()):
                    formatter.write_dl(records)
        group = ctx.obj.plugins
        if group is not None and (there := plugins.help_lines(group)):
            several = any(parameter.name == group for parameter in parameters)
            with formatter.section(f"Plug-ins, for {f'--{group}' if several else plugins.OPTIONS[group]}"):
                formatter.write_dl(there)
        keys = ctx.obj.config_keys()
        if everything and keys:
            with formatter.section(f"Keys of a --config file alone, under [{ctx.info_name}]"):
                hints = ctx.obj.hints()
                formatter.write_dl([_config_key(field, hints[key]) for key, field in keys.items()])
        if not everything and (left_out or keys):
            formatter.write_paragraph()
            more = counted(left_out + len(keys), "more setting")
            formatter.write(f"{more}: {ctx.command_path} --help-all\n")

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        parameters: list[Any] = self.params
        for parameter in parameters:
            parameter.hidden = False  # --help alone leaves them out
        return super().shell_complete(ctx, incomplete)


def steps_with(ctx: Any, name: str) -> list[str]:
    """The other commands of the group that have a setting of this name."""
    group = ctx.parent.command if ctx.parent else None
    if group is None:
        return []
    others = [group.get_command(ctx.parent, each) for each in group.list_commands(ctx.parent) if each != ctx.info_name]
    return [each.name for each in others if name in setting_names(each) and name not in _arguments(each)]


def setting_names(command: Any) -> set[str]:
    """What a --config file may set for a command."""
    own: set[str] = {parameter.name for parameter in command.params if group_of(parameter) != "common"} | {
        "quiet",
        "verbose",
    }
    return own.union(command.context_settings["obj"].config_keys())


def _arguments(command: Any) -> set[str]:
    return {parameter.name for parameter in command.params if parameter.param_type_name == "argument"}


def group_of(parameter: Any) -> str:
    """The heading of the help that a parameter stands under."""
    if parameter.param_type_name == "argument":
        return "arguments"
    return "common" if parameter.name == "help" else parameter.rich_help_panel or "usual"


def _record(parameter: Any, step: CommandContext) -> tuple[str, str]:
    """Both columns of the help."""
    kind = parameter.type_descriptor.annotation
    allowed = [str(choice) for choice in choices(kind)]
    metavar = parameter.metavar or _metavar(kind, allowed)
    notes = []
    if allowed and "|".join(allowed) not in metavar:
        notes.append(f"one of {', '.join(allowed)}")
    field = step.options().get(parameter.name)
    known = field.metadata["known"] if field is not None else ()
    if known and not callable(known):
        notes.append(f"known: {', '.join(known)}")
    if parameter.required:
        notes.append("required")
    elif shown := _default_text(parameter):
        notes.append(f"default: {shown}")
    if parameter.param_type_name == "argument":
        return metavar, _text(parameter.help, notes)
    names = ", ".join(sorted(parameter.opts, key=len))
    if parameter.secondary_opts == [f"--no-{parameter.opts[0].removeprefix('--')}"]:
        names = f"--[no-]{parameter.opts[0].removeprefix('--')}"
    elif parameter.secondary_opts:
        names += f" / {', '.join(parameter.secondary_opts)}"
    return names if parameter.is_flag else f"{names} {metavar}", _text(parameter.help, notes)


def _metavar(kind: Any, allowed: list[str]) -> str:
    if allowed:
        return "|".join(allowed) if len("|".join(allowed)) <= WIDEST_METAVAR else "NAME"
    if get_origin(kind) is list:
        kind = get_args(kind)[0]
    return METAVARS[kind]


def _default_text(parameter: Any) -> str:
    value = parameter.default
    if isinstance(value, bool):
        return "on" if value else ""
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)


def _config_key(field: Field[Any], kind: Any) -> tuple[str, str]:
    notes = [f"one of {', '.join(map(str, choices(kind)))}"] if choices(kind) else []
    value = default(field)
    if value not in (None, {}, []):
        notes.append(f"default: {str(value).lower() if isinstance(value, bool) else value}")
    return field.name, _text(field.metadata["help"], notes)


def _text(help: str | None, notes: list[str]) -> str:
    return _unbroken(f"{help or ''}  [{'; '.join(notes)}]" if notes else help or "")


def _unbroken(text: str) -> str:
    """Text whose options are not broken at their hyphens."""
    return re.sub(r"(?<!\S)\W*--?[a-z][a-z-]+", lambda option: option.group().replace("-", HYPHEN), text)


def _flags(parameter: Any) -> list[str]:
    if parameter.param_type_name == "argument":
        return []
    return [*parameter.opts, *parameter.secondary_opts]
