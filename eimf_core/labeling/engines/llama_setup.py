"""From the settings and the file of a model to what the worker of llama.cpp is set up with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from eimf_core import resources, threads
from eimf_core.errors import ConfigError, ModelError
from eimf_core.io import files, raw_files
from eimf_core.labeling import prompts
from eimf_core.labeling.answer_length import longest_answer
from eimf_core.labeling.config import BUNDLED, LabelConfig
from eimf_core.labeling.engines import named_models
from eimf_core.labeling.engines.gguf_file import TRAINED_PROMPT
from eimf_core.labeling.engines.llama_worker import WorkerSetup
from eimf_core.labeling.engines.named_models import ModelFile
from eimf_core.progress import Reporter

MAX_CONTEXT = 2048
SMALL_MODEL = 32 << 20  # bytes: below, a second thread costs more than it brings


def model_file(config: LabelConfig, reporter: Reporter) -> ModelFile:
    """The GGUF file that the settings name, fetched from the hub where they name one there.

    Raises:
        ConfigError: where no file is named, or two, or a name is not known.
        ModelError: for a file that cannot be had from the hub.
    """
    if config.hf_repo is not None and config.hf_file is not None:
        if config.model is not None:
            raise ConfigError("--model and --hf-repo both name a model; give one of them")
        return named_models.from_hub(config.hf_repo, config.hf_file, reporter)
    if config.model is None:
        size = named_models.NAMED[named_models.USUAL].size
        raise ConfigError(
            "no language model is given to ask (--model), and no other engine",
            f"--model {named_models.USUAL} fetches one from the hub ({size}, once); --model FILE.gguf is one of yours",
            "--engine keywords needs none; --engine server asks an endpoint; --model bundled is the example shop's toy",
        )
    if config.model == BUNDLED:
        return ModelFile(resources.labeler())
    if config.model in named_models.NAMED and not Path(config.model).exists():
        return named_models.open_named(config.model, reporter)
    named_models.refuse_misspelled(config.model)
    return ModelFile(Path(config.model))


def worker_setup(
    path: Path, metadata: dict[str, Any], prompt: prompts.Prompt, config: LabelConfig, reporter: Reporter
) -> WorkerSetup:
    """What the worker gets.

    Args:
        path: of the GGUF file.
        metadata: of the GGUF file, by key.
        prompt: that answers follow.
        config: the settings of the run.
        reporter: hears of remarks.

    Returns:
        Plain data that the worker is started with.

    Raises:
        ConfigError: the longest answer leaves no room for a prompt.
    """
    template = _read_template(config.chat_template)
    setup = WorkerSetup(
        path=str(path),
        prompt=prompt,
        max_interests=config.max_interests,
        language=config.language,
        chat_template=template,
        context=_context(config, metadata),
        max_tokens=config.max_tokens or longest_answer(prompt.schema, config.max_interests),
        parallel=config.parallel,
        threads=_threads(config, path, reporter),
        gpu_layers=config.gpu_layers,
        dry=config.dry_run,
    )
    if setup.max_tokens >= setup.context:
        raise ConfigError(
            f"--context {setup.context} has no room for a prompt beside an answer of {setup.max_tokens} tokens; "
            "use a larger --context or a smaller --max-tokens"
        )
    if template is None and "tokenizer.chat_template" not in metadata:
        reporter.warn(f"{path}: has no chat template; the prompt is sent as plain text (--chat-template gives one)")
    return setup


def prompt_for(wanted: str | None, metadata: dict[str, Any], model: str, reporter: Reporter) -> prompts.Prompt:
    """The prompt asked for, else the one that a model was trained with and carries, else the default.

    Args:
        wanted: what `--prompt` names; None: nothing.
        metadata: of the GGUF file, by key.
        model: its name, for errors and warnings.
        reporter: is warned where `wanted` replaces the model's own.

    Returns:
        The prompt.

    Raises:
        ConfigError: there is no such prompt.
        ModelError: where a model carries one that cannot be read.
    """
    template, schema = (metadata.get(key) for key in TRAINED_PROMPT)
    if template is None:
        return prompts.load(wanted or prompts.DEFAULT)
    if wanted is not None:
        reporter.warn(f"{model}: was trained with a prompt of its own, which --prompt {wanted} replaces")
        return prompts.load(wanted)
    try:
        return prompts.parsed("of the model", template, schema or "", called=TRAINED_PROMPT)
    except ConfigError as error:
        raise ModelError(f"{model}: carries a prompt that cannot be read ({error})") from None


def _context(config: LabelConfig, metadata: dict[str, Any]) -> int:
    trained = metadata.get(f"{metadata.get('general.architecture')}.context_length")
    if config.context:
        return config.context
    return min(int(trained), MAX_CONTEXT) if trained else MAX_CONTEXT


def _threads(config: LabelConfig, path: Path, reporter: Reporter) -> int:
    cores = threads.cores()
    if config.threads > cores:
        # they would wait for each other, spinning: an answer can take hours
        reporter.warn(f"--threads {config.threads}: only {cores} cores are available; using {cores}")
    if config.threads:
        return min(config.threads, cores)
    if path.stat().st_size < SMALL_MODEL:
        return 1
    return threads.for_language_model()


def _read_template(path: str | None) -> str | None:
    if path is None:
        return None
    try:
        return raw_files.read_bounded(path).decode()
    except OSError as error:
        raise files.unreadable(path, error) from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8 text, expected a Jinja template") from None
