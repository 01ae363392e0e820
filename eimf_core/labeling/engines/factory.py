"""From settings to an engine and the prompt it gets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from eimf_core import hub, resources
from eimf_core.errors import ConfigError, ModelError
from eimf_core.labeling import prompts
from eimf_core.labeling.config import BUNDLED, LabelConfig
from eimf_core.labeling.engines.base import Engine
from eimf_core.progress import Reporter
from eimf_core.records import Sample
from eimf_core.text.similarity import TitleVectors

DEFAULT_PROMPT = prompts.GENERAL


def open_engine(
    config: LabelConfig, samples: Sequence[Sample], vectors: Callable[[], TitleVectors], reporter: Reporter
) -> tuple[Engine, prompts.Prompt]:
    """The engine that the settings name, and the prompt for it; nothing heavy is loaded yet.

    `samples` is everything that will be asked about, `vectors` opens the text encoder. Engines without
    a prompt get the default one, whose schema their answers follow.
    """
    opener: Callable[..., tuple[Engine, prompts.Prompt]] = {
        "llama-cpp": _open_llama,
        "server": _open_server,
        "keywords": _open_keywords,
        "categories": _open_categories,
        "replay": _open_replay,
    }[config.engine]
    if config.engine in ("keywords", "categories", "replay"):
        idle = [f"--{name}" for name in ("model", "prompt", "language") if getattr(config, name)]
        if idle:
            reporter.warn(f"the engine {config.engine} asks no model: {', '.join(idle)} has no effect")
    if config.items and not config.catalogue:
        reporter.warn(f"the engine {config.engine} reads no catalogue: --items has no effect")
    return opener(config, samples, vectors, reporter)


def _open_llama(config: LabelConfig, samples: Any, vectors: Any, reporter: Reporter) -> tuple[Engine, prompts.Prompt]:
    from eimf_core.labeling.engines import gguf_file, llama

    llama.check_installed()
    if config.model is None and config.hf_repo is None:
        raise ConfigError(
            "the engine llama-cpp needs --model FILE.gguf (or --model bundled for the example shop; "
            "--engine keywords needs no model)"
        )
    path = _path(config)
    metadata = gguf_file.read_metadata(path)
    prompt = prompt_for(config.prompt, metadata, config.model or path.name, reporter)
    if config.shows_categories and metadata.get("eimf.prompt"):
        reporter.warn(f"{config.model or path.name}: was made for titles alone; --items makes its labels worse")
    return llama.LlamaCpp(path, metadata, prompt, config, reporter, dry=config.dry_run), prompt


def _path(config: LabelConfig) -> Path:
    if config.hf_repo is not None and config.hf_file is not None:
        if config.model is not None:
            raise ConfigError("--model and --hf-repo exclude each other")
        return _fetched(config.hf_repo, config.hf_file)
    return resources.labeler() if config.model == BUNDLED else Path(str(config.model))


def _fetched(repository: str, name: str) -> Path:
    """A file on the hub, downloaded by huggingface_hub unless it is at hand already."""
    import huggingface_hub

    def get(local: bool) -> str:
        return str(huggingface_hub.hf_hub_download(repository, name, local_files_only=local))

    return hub.fetched(get, f"{repository}/{name}: could not be had from the hub")


def prompt_for(wanted: str | None, metadata: dict[str, Any], model: str, reporter: Reporter) -> prompts.Prompt:
    """The prompt asked for, else the one the model was trained for, else the default.

    A model that names the hash of its prompt is refused for another version of it, unless the prompt
    was asked for, which is warned of.
    """
    trained, digest = metadata.get("eimf.prompt"), metadata.get("eimf.prompt_sha256")
    known = trained if isinstance(trained, str) and trained in prompts.names() else DEFAULT_PROMPT
    prompt = prompts.load(wanted or known)
    if digest and digest != prompt.sha256:
        problem = f"{model}: was made for another prompt (eimf.prompt_sha256 is not that of '{prompt.name}')"
        if wanted is None:
            raise ModelError(f"{problem}; train it again, or give --prompt to use it all the same")
        reporter.warn(problem)
    return prompt


def _open_keywords(
    config: LabelConfig, samples: Sequence[Sample], vectors: Callable[[], TitleVectors], reporter: Reporter
) -> tuple[Engine, prompts.Prompt]:
    from eimf_core.labeling.engines import keywords

    engine = keywords.Keywords(
        samples,
        vectors().encoder,
        max_interests=config.max_interests,
        categories=config.shows_categories,
        cache=vectors().cache,
        reporter=reporter,
    )
    return engine, prompts.load(DEFAULT_PROMPT)


def _open_categories(
    config: LabelConfig, samples: Sequence[Sample], vectors: Any, reporter: Reporter
) -> tuple[Engine, prompts.Prompt]:
    from eimf_core.labeling.engines import categories

    if config.items is None:
        raise ConfigError("the engine categories needs --items items.jsonl, the catalogue that prepare wrote")
    engine = categories.Categories(samples, config.items, max_interests=config.max_interests)
    return engine, prompts.load(DEFAULT_PROMPT)


def _open_server(config: LabelConfig, samples: Any, vectors: Any, reporter: Reporter) -> tuple[Engine, prompts.Prompt]:
    from eimf_core.labeling.engines import server

    prompt = prompts.load(config.prompt or DEFAULT_PROMPT)
    return server.Server(prompt, config), prompt


def _open_replay(config: LabelConfig, samples: Any, vectors: Any, reporter: Reporter) -> tuple[Engine, prompts.Prompt]:
    from eimf_core.labeling.engines import replay

    if config.replay is None:
        raise ConfigError("the engine replay needs --replay labels.jsonl")
    return replay.Replay(config.replay, config.max_interests), replay.form(prompts.load(DEFAULT_PROMPT))
