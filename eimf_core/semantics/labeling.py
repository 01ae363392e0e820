"""Labels for samples: ask an engine, check each answer, ask again or record the error, and lose nothing.

Every finished label is written and flushed at once to `OUTPUT.partial`, which becomes the output at
the end. The same command run again goes on with what is missing; a label is taken over when its
`request` is the same, so that another model, prompt or setting means new labels.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from eimf_core import files, jsonl, manifest
from eimf_core.errors import EimfError, LabelError
from eimf_core.progress import SILENT, Reporter
from eimf_core.records import Label, Sample, SemanticInterest
from eimf_core.semantics import answers, prompts, text
from eimf_core.semantics.engines.base import Answer, Ask, Engine
from eimf_core.semantics.engines.opening import open_engine
from eimf_core.semantics.labeling_config import LabelConfig
from eimf_core.semantics.similarity import TitleVectors, assign


@dataclass(frozen=True)
class Summary:
    """What came out. `reused` labels were finished before; `first_try` counts answers used at once."""

    labels: int
    reused: int
    errors: int
    first_try: int
    answer_tokens: int
    seconds: float
    first_error: str | None


def label(samples_path: str | Path, output: str | Path, config: LabelConfig, *, reporter: Reporter = SILENT) -> Summary:
    """Label all samples of a file ("-" is stdin) to a file or stdout ("-").

    Raises LabelError when more samples than the settings allow have no label; the output is complete
    all the same, with the reason in each line's `error`.
    """
    began = time.perf_counter()
    samples = _distinct(jsonl.read(samples_path, Sample), reporter)
    cache = _cache(samples_path, output)
    # an encoder is opened only where similarity is needed
    vectors = functools.cache(lambda: TitleVectors(samples, text.open_encoder(config.encoder), cache, reporter))
    engine, prompt = open_engine(config, samples, vectors, reporter)
    work = Work(engine, prompt, config, vectors, samples)
    with contextlib.closing(engine), _sink(output, work, config, reporter) as (kept, write):
        labels = list(kept)
        done = {entry.request for entry in kept}
        missing = [asked for asked in work.requests.items() if asked[0] not in done]
        if kept:
            reporter.note(f"{output}: {len(kept)} labels are there already, {len(missing)} to go")
        for made in _with_progress(work.answer(missing), len(work.requests), len(kept), reporter):
            write(made)
            labels.append(made)
    summary = _summary(labels, len(kept), time.perf_counter() - began)
    manifest.write(output, _provenance(samples_path, work, summary))
    if summary.errors > config.error_share * summary.labels:
        raise LabelError(
            f"{summary.errors} of {summary.labels} samples have no label, more than --max-error-share "
            f"{config.max_error_share} allows; the first: {summary.first_error}"
        )
    return summary


def _distinct(samples: Iterator[Sample], reporter: Reporter) -> list[Sample]:
    found: dict[str, Sample] = {}
    repeated = 0
    for sample in samples:
        repeated += sample.key in found
        found.setdefault(sample.key, sample)
    if repeated:
        reporter.warn(f"{repeated} samples left out: their key is there already")
    return list(found.values())


def _cache(samples_path: str | Path, output: str | Path) -> Path | None:
    """Title vectors are kept beside the samples, or the output when those come from stdin."""
    for path in (samples_path, output):
        if str(path) != "-":
            return Path(path).parent / text.CACHE
    return None


# -- asking


@dataclass
class _Asked:
    """A sample that is being asked about, and what its tries have cost so far."""

    request: str
    sample: Sample
    trimmed: int
    attempts: int = 0
    seconds: float = 0.0
    tokens: dict[str, int] = dataclasses.field(default_factory=dict)


class Work:
    """Everything that turns samples into labels. `requests` maps the hash of each request to its sample."""

    def __init__(
        self,
        engine: Engine,
        prompt: prompts.Prompt,
        config: LabelConfig,
        vectors: Callable[[], TitleVectors],
        samples: Sequence[Sample],
    ) -> None:
        self.engine = engine
        self.prompt = prompt
        self.config = config
        self._vectors = vectors
        self._instructions = prompts.render(prompt, 1, max_interests=config.max_interests, language=config.language)[0][
            "content"
        ]
        self._by_similarity = engine.uses_prompt and not prompt.asks_for_items
        self.requests = {self._request(sample): sample for sample in samples}

    def _request(self, sample: Sample) -> str:
        shown = self._shown(sample)
        content: dict[str, Any] = {
            "key": sample.key,
            "engine": self.engine.name,
            "model": self.engine.model_sha256 or self.engine.model,
            "settings": self.engine.settings,
            "seed": self.config.seed,
            "max_interests": self.config.max_interests,
            "titles": [entry.title for entry in shown.history],
        }
        if self.engine.uses_prompt:
            messages = prompts.render(
                self.prompt,
                len(shown.history),
                max_interests=self.config.max_interests,
                language=self.config.language,
            )
            content["messages"] = messages
            content["schema"] = self.prompt.schema
        if self._by_similarity:
            content["encoder"] = self._vectors().encoder.identity
        return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()

    def _shown(self, sample: Sample) -> Sample:
        return shown_part(sample, self.config.max_titles) if self.engine.uses_prompt else sample

    def answer(self, missing: Sequence[tuple[str, Sample]]) -> Iterator[Label]:
        """Labels in the order in which they are done."""
        waiting = deque(missing)
        asked: dict[int, _Asked] = {}
        number = 0
        while waiting or asked:
            while waiting and len(asked) < self.engine.parallel:
                request, sample = waiting.popleft()
                shown = self._shown(sample)
                state = _Asked(request, shown, len(sample.history) - len(shown.history))
                if not shown.history:
                    yield self._label(state, [], "the history has no titles")
                    continue
                asked[number] = state
                self.engine.submit(Ask(number=number, sample=shown, seed=self.config.seed))
                number += 1
            if not asked:
                continue
            answer = self.engine.take()
            state = asked[answer.number]
            label = self._judge(state, answer)
            if label is None:
                seed = self.config.seed + state.attempts
                self.engine.submit(Ask(number=answer.number, sample=state.sample, seed=seed))
            else:
                del asked[answer.number]
                yield label

    def _judge(self, state: _Asked, answer: Answer) -> Label | None:
        """The label that an answer gives, or None when it is worth asking again."""
        state.attempts += 1 + answer.crashes
        state.seconds += answer.seconds
        for what, count in answer.tokens.items():
            state.tokens[what] = state.tokens.get(what, 0) + count
        error = answer.error
        if error is None:
            shown = _with_history(state.sample, state.sample.history[answer.trimmed :])
            try:
                found = answers.read(
                    answer.text,
                    self.prompt.schema,
                    count=len(shown.history),
                    max_interests=self.config.max_interests,
                    instructions=self._instructions if self.engine.uses_prompt else "",
                )
            except answers.UnusableError as problem:
                error = str(problem)
            else:
                state.trimmed += answer.trimmed
                return self._label(state, self._interests(shown, found), None, answer.items_by)
        if answer.final or state.attempts >= self.config.attempts:
            return self._label(state, [], error)
        return None

    def _interests(self, shown: Sample, found: Sequence[answers.Interest]) -> list[SemanticInterest]:
        numbers = [[number - 1 for number in interest.numbers] for interest in found]
        if self._by_similarity:
            names = self._vectors().encoder.encode([interest.name for interest in found])
            numbers = assign(names, self._vectors().of([entry.title for entry in shown.history]))
        return [
            SemanticInterest(
                name=interest.name,
                description=interest.description,
                items=list(dict.fromkeys(shown.history[at].item for at in places)),
            )
            for interest, places in zip(found, numbers, strict=True)
        ]

    def _label(
        self, state: _Asked, interests: list[SemanticInterest], error: str | None, items_by: Any = None
    ) -> Label:
        by_model = self.engine.uses_prompt and self.prompt.asks_for_items
        return Label(
            key=state.sample.key,
            request=state.request,
            user=state.sample.user,
            cluster=state.sample.cluster,
            interests=interests,
            items_by=items_by or ("model" if by_model else "similarity"),
            engine=self.engine.name,
            model=self.engine.model,
            model_sha256=self.engine.model_sha256,
            prompt_sha256=self.prompt.sha256 if self.engine.uses_prompt else None,
            seed=self.config.seed + max(state.attempts - 1, 0),
            attempts=state.attempts,
            seconds=round(state.seconds, 4),
            tokens=state.tokens,
            trimmed=state.trimmed or None,
            error=error,
        )


def shown_part(sample: Sample, most: int) -> Sample:
    """The sample with the part of its history that a prompt shows: the latest `most` items with a title."""
    history = [entry for entry in sample.history if prompts.clean_title(entry.title)]
    return _with_history(sample, history[-most:])


def _with_history(sample: Sample, history: list[Any]) -> Sample:
    return Sample(
        key=sample.key,
        user=sample.user,
        cluster=sample.cluster,
        cluster_size=sample.cluster_size,
        distance=sample.distance,
        history=history,
    )


# -- writing


@contextlib.contextmanager
def _sink(
    output: str | Path, work: Work, config: LabelConfig, reporter: Reporter
) -> Iterator[tuple[list[Label], Callable[[Label], None]]]:
    """Labels that are there already, and where new ones go; a file is finished when the block ends well."""
    if str(output) == "-":
        with jsonl.writer("-", flush=True) as out:
            yield [], out.write
        return
    with files.locked(output):
        journal = _journal(Path(output), work, config, reporter)
        try:
            yield journal.finished, journal.append
            journal.finish()
        finally:
            journal.close()
            with contextlib.suppress(FileNotFoundError):
                if not journal.partial.stat().st_size:
                    journal.partial.unlink()


def _journal(output: Path, work: Work, config: LabelConfig, reporter: Reporter) -> jsonl.Journal:
    """A journal that holds exactly the finished labels that are wanted again."""
    journal = jsonl.Journal(output, Label)
    found = journal.finished or _finished(output)
    wanted: dict[str, Label] = {}
    for entry in found:
        if entry.request in work.requests and not (config.retry_errors and entry.error is not None):
            wanted.setdefault(entry.request, entry)
    if journal.finished and len(wanted) < len(found):
        reporter.warn(f"{journal.partial}: {len(found) - len(wanted)} labels of other settings or samples are left out")
    if list(wanted.values()) != journal.finished:
        journal.close()
        jsonl.write(journal.partial, wanted.values())
        journal = jsonl.Journal(output, Label)
    return journal


def _finished(output: Path) -> list[Label]:
    """The labels of an earlier run that came to its end; none when the file is something else."""
    if not output.is_file():
        return []
    try:
        return list(jsonl.read(output, Label))
    except EimfError:
        return []


# -- telling


def _with_progress(labels: Iterator[Label], total: int, done: int, reporter: Reporter) -> Iterator[Label]:
    began = time.perf_counter()
    reporter.begin("labelling", total)
    reporter.advance(done)
    tokens = count = 0
    try:
        for made in labels:
            count += 1
            tokens += made.tokens.get("answer", 0)
            passed = max(time.perf_counter() - began, 1e-9)
            yield made
            reporter.advance(1, **{"users/min": f"{60 * count / passed:.0f}", "tokens/s": f"{tokens / passed:.0f}"})
    finally:
        reporter.end()


def _summary(labels: Sequence[Label], reused: int, seconds: float) -> Summary:
    errors = [entry.error for entry in labels if entry.error is not None]
    return Summary(
        labels=len(labels),
        reused=reused,
        errors=len(errors),
        first_try=sum(entry.error is None and entry.attempts == 1 for entry in labels),
        answer_tokens=sum(entry.tokens.get("answer", 0) for entry in labels[reused:]),
        seconds=seconds,
        first_error=errors[0] if errors else None,
    )


def _provenance(samples_path: str | Path, work: Work, summary: Summary) -> dict[str, Any]:
    return manifest.describe(
        command="label",
        arguments=dataclasses.asdict(work.config),
        inputs=[samples_path],
        seed=work.config.seed,
        facts={
            "engine": work.engine.name,
            "model": work.engine.model,
            "model_sha256": work.engine.model_sha256,
            "prompt": work.prompt.name if work.engine.uses_prompt else None,
            "prompt_sha256": work.prompt.sha256 if work.engine.uses_prompt else None,
            "settings": work.engine.settings,
            "parallel": work.engine.parallel,
            **dataclasses.asdict(summary),
        },
    )
