"""Of every engine: each setting is used, or refused where it was asked for, in one line that says who uses it."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any, get_args

import pytest

from eimf_core.errors import ConfigError
from eimf_core.labeling.config import EngineName, LabelConfig
from eimf_core.labeling.engines import unused_settings
from eimf_core.labeling.engines.base import Engine, FunctionEngine
from eimf_core.labeling.engines.engine_registry import engine_class
from eimf_core.progress import Reporter
from tests.conftest import ROOT

ENGINES: tuple[str, ...] = get_args(EngineName)
CHANGED: dict[str, Any] = {
    "model": "m", "prompt": "movies", "items": "items.jsonl", "language": "Dutch", "max_titles": 3, "keep_going": True,
    "encoder": "e", "server": ["http://127.0.0.1:1/v1"], "allow_remote": True,
    "results": ["r.jsonl"], "hf_repo": "a/b", "hf_file": "c.gguf", "chat_template": "t.jinja", "max_tokens": 5,
    "attempts": 2, "temperature": 0.5, "retry_temperature": 0.5, "timeout": 3.0, "retries": 1, "parallel": 2,
    "gpu_layers": 3, "context": 512, "threads": 1,
}  # fmt: skip
BELONG_TOGETHER = {"hf_repo": {"hf_file": "c.gguf"}, "hf_file": {"hf_repo": "a/b"}}


class Heard(Reporter):
    """Keeps what it is warned of."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)


def option(name: str) -> str:
    """As a message has it: a key of --config alone is no option."""
    (field,) = (each for each in fields(LabelConfig) if each.name == name)
    return name if field.metadata["config_only"] else f"--{name.replace('_', '-')}"


def of(engine: str, *names: str) -> LabelConfig:
    changed = {name: CHANGED[name] for name in names}
    for name in names:
        changed |= BELONG_TOGETHER.get(name, {})
    return LabelConfig(engine=engine, **changed)


def test_every_setting_is_of_each_run_or_of_an_engine() -> None:
    used = {name for engine in ENGINES for name in unused_settings.used_by(engine_class(engine)) or ()}
    assert used == CHANGED.keys() and not used & unused_settings.OF_EVERY_RUN
    assert {field.name for field in fields(LabelConfig)} == used | unused_settings.OF_EVERY_RUN


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", CHANGED)
def test_what_an_engine_does_not_use_is_refused(engine: str, name: str) -> None:
    settings, heard = of(engine, name), Heard()
    used = unused_settings.used_by(engine_class(engine))
    assert used is not None
    if name in used:
        unused_settings.check(settings, None, heard)
        assert not heard.warnings
        return
    with pytest.raises(ConfigError) as told:
        unused_settings.check(settings, {name}, heard)
    line = str(told.value)
    assert line.startswith(f"the engine {engine} does not use {option(name)}") and "leave it out" in line
    others = [each for each in ENGINES if name in (unused_settings.used_by(engine_class(each)) or ())]
    assert all(each in line.partition("(for ")[2].partition(")")[0] for each in others)
    # a configuration that other engines read as well
    unused_settings.check(settings, (), heard)
    assert len(heard.warnings) == 1 and option(name) in heard.warnings[0] and not heard.warnings[0].count("leave")


def test_the_readme_says_which_engine_uses_what() -> None:
    text = (ROOT / "eimf_core" / "labeling" / "README.md").read_text()
    table = text[text.index("| engine | options") :].partition("\n\n")[0]
    told: dict[str, set[str]] = {engine: set() for engine in ENGINES}
    for engines, options in re.findall(r"^\| (`.+) \| (.+) \|$", table, re.MULTILINE):
        names = {name.replace("-", "_") for name in re.findall(r"`(?:--)?([a-z_-]+)`", options)}
        for engine in re.findall(r"`([a-z-]+)`", engines):
            told[engine] |= names
    for engine, names in told.items():
        assert names - {"ray", "config"} == unused_settings.used_by(engine_class(engine)), engine


def test_one_line_names_all_of_them() -> None:
    settings = of("keywords", "server", "results", "gpu_layers", "hf_repo", "max_tokens", "items")
    with pytest.raises(ConfigError) as told:
        unused_settings.check(settings, None, Heard())
    assert str(told.value) == (
        "the engine keywords does not use --server (for server), --results (for batch), --hf-repo, --hf-file, "
        "--gpu-layers (for llama-cpp) and --max-tokens (for llama-cpp, server or batch); leave them out, or give an "
        "--engine that does"
    )
    with pytest.raises(ConfigError, match=r"--server \(for server\); leave it out, or give --engine server$"):
        unused_settings.check(of("llama-cpp", "server"), None, Heard())


@pytest.mark.parametrize("base", [engine_class("keywords"), FunctionEngine])
def test_an_engine_that_says_nothing_refuses_nothing(base: type[Engine], monkeypatch: pytest.MonkeyPatch) -> None:
    """One of a plug-in, also where it is made from an engine that says something."""
    made = {"keywords": type("Mine", (base,), {})}
    monkeypatch.setattr(unused_settings, "engine_class", lambda name: made.get(name) or engine_class(name))
    heard = Heard()
    unused_settings.check(of("keywords", "gpu_layers", "timeout", "encoder"), None, heard)
    assert not heard.warnings
    unused_settings.check(of("keywords", "language", "gpu_layers", "results"), None, heard)
    (warning,) = heard.warnings
    assert "--language" in warning and "--results" in warning and "--gpu-layers" not in warning
