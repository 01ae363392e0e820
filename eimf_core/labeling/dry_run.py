"""What a labelling run would send: each prompt with its length, and a guess of the time, without running a model."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from eimf_core import shards
from eimf_core.errors import ConfigError, LabelError
from eimf_core.io import jsonl, outputs, provenance
from eimf_core.labeling import label_output, shard
from eimf_core.labeling.answer_length import LETTERS_A_TOKEN
from eimf_core.labeling.config import LabelConfig
from eimf_core.labeling.engines import unused_settings
from eimf_core.labeling.engines.base import Engine, Request
from eimf_core.labeling.engines.engine_registry import chosen_class, open_engine
from eimf_core.labeling.history_text import CleanSample, read_samples
from eimf_core.labeling.requests import NO_TITLES, prompt_history
from eimf_core.progress import Reporter
from eimf_core.records import Record

DRY = "dry_run"  # the fact of a sidecar that tells prompts from labels


class Preview(Record, frozen=True, kw_only=True):
    """One prompt, `tokens` long: counted, or a guess where only a server could count them."""

    user: str
    titles: int
    trimmed: int
    tokens: int
    prompt: str
    error: str | None = None


@dataclass(frozen=True)
class Totals:
    """What a run would take. The first `shared` tokens (a guess) are the same in all prompts."""

    prompts: int
    tokens: int
    shared: int
    seconds: float | None


def dry_run(
    samples_path: str | Path, output: str | Path, config: LabelConfig, reporter: Reporter, *, force: bool = False,
    given: Collection[str] | None = None,
) -> Totals:  # fmt: skip
    """Write the prompts of a run, one JSON line each, in the order of the samples.

    Args:
        samples_path: a file of Sample lines, or "-".
        output: a file, or "-"; one that is no earlier dry run's is replaced only with `force`, and labels with
            `config.discard`.
        config: with `dry_run` set.
        reporter: receives warnings.
        force, given: as of `label.label`.

    Returns:
        How many prompts, their tokens, and how long the run would take.

    Raises:
        ConfigError: for an engine that sends no prompts, for settings that it does not use, and for an output that may
            not be replaced.
        LabelError: where not one user has a prompt that fits; what was written tells why for each.
    """
    if not chosen_class(config).uses_prompt:
        raise ConfigError(f"--dry-run: --engine {config.engine} sends no prompts")
    unused_settings.check(config, given, reporter)
    samples = shard.select(read_samples(samples_path, config.items, reporter), shards.parse(config.shard))
    if str(output) != "-" and not label_output.refuse_loss(Path(output), discard=config.discard):
        _refuse_others(output, force=force)
    engine = open_engine(config, [sample.sample for sample in samples], _no_vectors, reporter)
    previews = []
    with contextlib.closing(engine), outputs.claimed([output], inputs=[samples_path], force=force) as places:
        with jsonl.writer(places[str(output)]) as out:
            for preview in _previews(engine, samples, config):
                out.write(preview)
                previews.append(preview)
        provenance.write(places[str(output)], _provenance(samples_path, config))
        if previews and all(preview.error is not None for preview in previews):
            problem = f"no prompt for any of {len(previews)} users (the first: {previews[0].error})"
        else:
            problem = None
        texts, tokens = [preview.prompt for preview in previews], sum(preview.tokens for preview in previews)
        first, last = min(texts, default=""), max(texts, default="")
        same = next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
        shared = same // LETTERS_A_TOKEN
        # read once for all
        read = max(tokens - shared * (len(texts) - 1), 0)
        totals = Totals(len(texts), tokens, shared, engine.expected_seconds(read, len(texts)))
    if problem is not None:
        raise LabelError(problem)
    return totals


def _refuse_others(output: str | Path, *, force: bool) -> None:
    """ConfigError for a file that an earlier run wrote and that holds something else, such as samples."""
    if force or not provenance.sidecar(output).exists():
        return
    if not provenance.read_facts(output).get(DRY):
        way = "choose another -o, or give --force to replace it"
        raise ConfigError(f"{output}: holds something else than prompts; {way}")


def _provenance(samples_path: str | Path, config: LabelConfig) -> dict[str, Any]:
    return provenance.describe(
        command="label",
        arguments=dataclasses.asdict(config),
        inputs=[samples_path],
        seed=config.seed,
        facts={DRY: True},
    )


def _previews(engine: Engine, samples: list[CleanSample], config: LabelConfig) -> Iterator[Preview]:
    for number, whole in enumerate(samples):
        seen = prompt_history(whole, engine, config)
        entries = len(whole.titles)
        if not seen.lines:
            yield Preview(user=whole.sample.user, titles=0, trimmed=entries, tokens=0, prompt="", error=NO_TITLES)
            continue
        sample = msgspec.structs.replace(whole.sample, history=seen.lines)
        engine.submit(Request(number=number, sample=sample, seed=config.seed))
        answer = engine.take()
        yield Preview(
            user=sample.user,
            titles=len(seen.lines) - answer.trimmed,
            trimmed=entries - sum(map(len, seen.members[answer.trimmed :])),
            tokens=answer.tokens.get("prompt", 0),
            prompt=answer.text,
            error=answer.error,
        )


def _no_vectors() -> Any:
    raise ConfigError("--dry-run encodes no text")
