"""What a labelling run would send: each prompt with its length, and a guess of the time, without running a model."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eimf_core import jsonl, resources, threads
from eimf_core.errors import ConfigError
from eimf_core.labeling import prompts
from eimf_core.labeling.answer_length import longest_answer
from eimf_core.labeling.config import BUNDLED, LabelConfig
from eimf_core.labeling.engines.base import Ask
from eimf_core.labeling.engines.factory import open_engine
from eimf_core.labeling.history_text import read_samples
from eimf_core.labeling.requests import NO_TITLES, shown_part
from eimf_core.progress import Reporter
from eimf_core.records import Record

# bytes of weights that a core gets through in a second, per token read or written, as measured with a
# model of 100M parameters (tests/benchmarks/label_speed.py); small models are held up by other things
READ_RATE, WRITE_RATE, MOST_TOKENS = 40e9, 14e9, 2000.0
LETTERS_A_TOKEN = 4


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
    """Write the prompts of a run to stdout, one JSON line each; no other file is touched."""
    texts, tokens = [], 0
    with jsonl.writer("-") as out:
        for shown in previews(samples_path, config, reporter):
            out.write(shown)
            texts.append(shown.prompt)
            tokens += shown.tokens
    first, last = min(texts), max(texts)
    same = next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    shared = same // LETTERS_A_TOKEN
    return Totals(len(texts), tokens, shared, _guessed_seconds(config, tokens, len(texts), shared))


def previews(samples_path: str | Path, config: LabelConfig, reporter: Reporter) -> Iterator[Preview]:
    """The prompts of a run, in the order of the samples; ConfigError for an engine that sends none."""
    if config.engine not in ("llama-cpp", "server"):
        raise ConfigError(f"--dry-run: the engine {config.engine} sends no prompts")
    samples = read_samples(samples_path, config, reporter)
    engine, prompt = open_engine(config, samples, _no_vectors, reporter)
    with contextlib.closing(engine):
        for number, sample in enumerate(samples):
            shown = shown_part(sample, config.max_titles)
            titles = [entry.title for entry in shown.history]
            left_out = len(sample.history) - len(titles)
            if not titles:
                yield Preview(user=sample.user, titles=0, trimmed=left_out, tokens=0, prompt="", error=NO_TITLES)
                continue
            if config.engine == "server":
                messages = prompts.render(
                    prompt, len(titles), max_interests=config.max_interests, language=config.language
                )
                text = "\n\n".join(message["content"] for message in prompts.plain(messages, titles))
                tokens = len(text) // LETTERS_A_TOKEN
                yield Preview(user=sample.user, titles=len(titles), trimmed=left_out, tokens=tokens, prompt=text)
                continue
            engine.submit(Ask(number=number, sample=shown, seed=config.seed))
            answer = engine.take()
            yield Preview(
                user=sample.user,
                titles=len(titles) - answer.trimmed,
                trimmed=left_out + answer.trimmed,
                tokens=answer.tokens.get("prompt", 0),
                prompt=answer.text,
                error=answer.error,
            )


def _guessed_seconds(config: LabelConfig, prompt_tokens: int, users: int, shared: int) -> float | None:
    """A rough guess of the time of a run on this machine's cores; None for a server's.

    `shared` tokens of each prompt are read once. Answers are taken to be half as long as they may be.
    """
    if config.engine != "llama-cpp" or config.model is None:
        return None
    path = resources.labeler() if config.model == BUNDLED else Path(config.model)
    size = path.stat().st_size
    cores = config.threads or threads.cores()
    schema = prompts.load(config.prompt or prompts.GENERAL).schema
    answers = users * (config.max_tokens or longest_answer(schema, config.max_interests)) / 2
    read = max(prompt_tokens - shared * (users - 1), 0) / min(cores * READ_RATE / size, 4 * MOST_TOKENS)
    return read + answers / min(cores * WRITE_RATE / size, MOST_TOKENS)


def _no_vectors() -> Any:
    raise ConfigError("--dry-run encodes no text")
