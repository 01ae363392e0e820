"""The engines by name, and how the one that the settings name is opened."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from inspect import isfunction
from typing import Any

from eimf_core import plugins
from eimf_core.config import no_choice, setting_error
from eimf_core.errors import ConfigError
from eimf_core.labeling.config import ENGINES, LabelConfig
from eimf_core.labeling.engines.base import Engine, FunctionEngine
from eimf_core.progress import Reporter
from eimf_core.records import Sample
from eimf_core.text.similarity import TitleVectors


def engine_class(name: str) -> type[Engine]:
    """The class of an engine, for its attributes; nothing is opened.

    Raises:
        ConfigError: for a name that there is not, and a plug-in that cannot be used.
    """
    engine: type[Engine]
    if name in ENGINES:
        found: Any = import_module(f"{__package__}.{name.replace('-', '_')}")
        engine = found.ENGINE
        return engine
    plugin = plugins.find("engines", name)
    if plugin is None:
        raise setting_error("engine", no_choice(name, plugins.names("engines")))
    found = plugin.load(_problem)
    # a function may change with any version of its package
    own = {"name": name, "model": plugin.origin, "function": staticmethod(found)}
    engine = type("OfPlugin", (FunctionEngine,), own) if isfunction(found) else found
    return engine


def chosen_class(config: LabelConfig) -> type[Engine]:
    """The class of the engine that the settings name; ConfigError also where it does not go with `--ray`."""
    kind = engine_class(config.engine)
    if config.ray is not None and ray_module(kind) is None:
        raise setting_error("ray", f"spreads a local model over processes, and the engine {config.engine} asks none")
    return kind


def _problem(found: Any) -> str:
    is_engine = isinstance(found, type) and issubclass(found, Engine) and isinstance(getattr(found, "name", None), str)
    return "" if is_engine or isfunction(found) else "it is no function of a history and no Engine with a name"


def _answering_class(config: LabelConfig) -> type[Engine]:
    """The class that is opened: with `--ray` and anything to answer, the one that spreads requests."""
    kind = engine_class(config.engine)
    module = ray_module(kind)
    if config.ray is None or config.dry_run or module is None:
        return kind
    engine: type[Engine] = import_module(module).ENGINE
    return engine


def ray_module(engine: type[Engine]) -> str | None:
    """The module that spreads the requests of this very engine: one made from it answers in another way."""
    module: str | None = vars(engine).get("ray_module")
    return module


def reads_catalogue(engine: type[Engine]) -> bool:
    """Whether `--items` changes what an engine answers."""
    return engine.reads_titles or engine.needs_catalogue


def open_engine(
    config: LabelConfig, samples: Sequence[Sample], vectors: Callable[[], TitleVectors], reporter: Reporter
) -> Engine:
    """Open the engine that the settings name; nothing heavy is loaded yet.

    Args:
        config: the settings of the run.
        samples: everything that will be asked about, with clean titles.
        vectors: opens the text encoder.
        reporter: receives warnings of the engine.

    Returns:
        An engine that takes requests; `close` ends it.

    Raises:
        ConfigError: where a setting is missing that the engine needs.
        ModelError: for a model that cannot be used.
    """
    engine = engine_class(config.engine)
    if engine.needs_catalogue and config.items is None:
        raise ConfigError(f"--engine {config.engine} needs --items items.jsonl, the catalogue that prepare wrote")
    return _answering_class(config)(config, samples, vectors, reporter)
