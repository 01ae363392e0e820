"""Settings that the chosen engine does not use: refused where they were asked for, warned of where several share them.

Each engine says itself what it uses (`Engine.uses`); what `label` uses itself, whoever answers, is told here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import fields

from eimf_core.config import listed, option_name
from eimf_core.errors import ConfigError
from eimf_core.labeling.config import ENGINES, LabelConfig
from eimf_core.labeling.engines.base import Engine
from eimf_core.labeling.engines.engine_registry import engine_class
from eimf_core.progress import Reporter

OF_EVERY_RUN = frozenset(
    {"engine", "max_interests", "max_error_share", "retry_errors", "discard", "seed", "dry_run", "shard", "ray"}
)
"""Settings that are no engine's own; `engine_registry.chosen_class` holds `ray` against the engine."""


def check(config: LabelConfig, given: Collection[str] | None, reporter: Reporter) -> None:
    """Hold the settings that differ from their defaults against those that the engine uses.

    Args:
        config: the settings of the run.
        given: those that were asked for in so many words, None: all. The others are of a configuration that runs with
            several engines may share.
        reporter: is warned of settings without effect that are not among `given`, and of all those of an engine that
            does not say what it uses.

    Raises:
        ConfigError: the engine does not use settings that were given; it names all of them, and who uses them.
    """
    kind = engine_class(config.engine)
    uses = used_by(kind)
    unused = [name for name in changed(config) if name not in _accepted(kind, uses)]
    refused = [name for name in unused if uses is not None and (given is None or name in given)]
    if refused:
        what = "it" if len(refused) == 1 else "them"
        raise ConfigError(
            f"the engine {config.engine} does not use {_with_engines(refused)}; leave {what} out, or {_advice(refused)}"
        )
    if unused:
        reporter.warn(
            f"the engine {config.engine} does not use {_with_engines(unused)}; what is set there has no effect"
        )


def changed(config: LabelConfig) -> list[str]:
    """The settings that differ from their defaults."""
    defaults = LabelConfig()
    return [field.name for field in fields(config) if getattr(config, field.name) != getattr(defaults, field.name)]


def used_by(engine: type[Engine]) -> frozenset[str] | None:
    """What this very engine says that it uses: one made from it may use something else, and says so itself."""
    uses: frozenset[str] | None = vars(engine).get("uses")
    return uses


def _accepted(engine: type[Engine], uses: frozenset[str] | None) -> frozenset[str]:
    if uses is not None:
        return uses | OF_EVERY_RUN
    # what an engine that says nothing tells by its other attributes
    idle = set() if engine.uses_prompt else {"model", "prompt", "language"}
    idle |= set() if engine.reads_titles or engine.needs_catalogue else {"items"}
    idle |= set() if engine.answers_later else {"results"}
    return frozenset(field.name for field in fields(LabelConfig)) - idle


def _with_engines(names: Iterable[str]) -> str:
    """Settings as words, each with the engines that use it: "--server (for server) and --results (for batch)"."""
    options = {field.name: option_name(field) for field in fields(LabelConfig)}
    of: dict[str, list[str]] = {}
    for name in names:
        of.setdefault(listed(_users(name)), []).append(options[name].removesuffix(" (in --config)"))
    words = [f"{', '.join(same)} (for {engines})" for engines, same in of.items()]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _users(name: str) -> list[str]:
    """The engines of eimf that use a setting."""
    return [engine for engine in ENGINES if name in (used_by(engine_class(engine)) or ())]


def _advice(names: Iterable[str]) -> str:
    """What to give instead: the engine that uses all of them, where there is one alone."""
    common = set.intersection(*(set(_users(name)) for name in names))
    return f"give --engine {common.pop()}" if len(common) == 1 else "give an --engine that does"
