"""What a labelling run would send: each prompt with its length, and a guess of the time, without running a model."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eimf_core import jsonl
from eimf_core.errors import ConfigError
from eimf_core.labeling import shard
from eimf_core.labeling.answer_length import LETTERS_A_TOKEN
from eimf_core.labeling.config import LabelConfig
from eimf_core.labeling.engines.base import Engine, Request
from eimf_core.labeling.engines.registry import engine_class, open_engine
from eimf_core.labeling.history_text import CleanSample, read_samples
from eimf_core.labeling.requests import NO_TITLES
from eimf_core.progress import Reporter
from eimf_core.records import Record


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


def dry_run(samples_path: str | Path, config: LabelConfig, reporter: Reporter) -> Totals:
    """Write the prompts of a run to stdout, one JSON line each, in the order of the samples.

    Args:
        config: with `dry_run` set.

    Raises:
        ConfigError: for an engine that sends no prompts.
    """
    if not engine_class(config.engine).uses_prompt:
        raise ConfigError(f"--dry-run: --engine {config.engine} sends no prompts")
    samples = shard.of(read_samples(samples_path, config.items, reporter), shard.parse(config.shard))
    engine = open_engine(config, [sample.sample for sample in samples], _no_vectors, reporter)
    texts, tokens = [], 0
    with contextlib.closing(engine), jsonl.writer("-") as out:
        for preview in _previews(engine, samples, config):
            out.write(preview)
            texts.append(preview.prompt)
            tokens += preview.tokens
        first, last = min(texts, default=""), max(texts, default="")
        same = next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
        shared = same // LETTERS_A_TOKEN
        # read once for all
        read = max(tokens - shared * (len(texts) - 1), 0)
        return Totals(len(texts), tokens, shared, engine.expected_seconds(read, len(texts)))


def _previews(engine: Engine, samples: list[CleanSample], config: LabelConfig) -> Iterator[Preview]:
    for number, whole in enumerate(samples):
        sample = whole.latest(config.max_titles).sample
        titles, left_out = len(sample.history), len(whole.raw_titles) - len(sample.history)
        if not titles:
            yield Preview(user=sample.user, titles=0, trimmed=left_out, tokens=0, prompt="", error=NO_TITLES)
            continue
        engine.submit(Request(number=number, sample=sample, seed=config.seed))
        answer = engine.take()
        yield Preview(
            user=sample.user,
            titles=titles - answer.trimmed,
            trimmed=left_out + answer.trimmed,
            tokens=answer.tokens.get("prompt", 0),
            prompt=answer.text,
            error=answer.error,
        )


def _no_vectors() -> Any:
    raise ConfigError("--dry-run encodes no text")
