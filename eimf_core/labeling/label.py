"""Labels for samples: ask an engine, check each answer, ask again or record the error, and lose nothing.

Every finished label is written and flushed at once to `OUTPUT.partial`, which becomes the output at
the end. The same command run again goes on with what is missing; a label is taken over when its
`request` is the same, so that another model, prompt or setting means new labels.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eimf_core import files, jsonl, provenance
from eimf_core.errors import EimfError, LabelError
from eimf_core.labeling import history_text
from eimf_core.labeling.config import LabelConfig
from eimf_core.labeling.engines.factory import open_engine
from eimf_core.labeling.requests import Work
from eimf_core.progress import SILENT, Reporter
from eimf_core.records import Label, Sample
from eimf_core.text.cache import CACHE
from eimf_core.text.loading import open_encoder
from eimf_core.text.similarity import TitleVectors


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
    files.refuse_input_as_output(
        output, (samples_path, config.model, config.items, config.replay, config.chat_template)
    )
    samples = _distinct(history_text.read_samples(samples_path, config, reporter), reporter)
    cache = _cache(samples_path, output)
    # an encoder is opened only where similarity is needed
    titles = len({entry.item for sample in samples for entry in sample.history})
    vectors = functools.cache(lambda: TitleVectors(samples, open_encoder(config.encoder, titles), cache, reporter))
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
    provenance.write(output, _provenance(samples_path, work, summary))
    if summary.errors > config.error_share * summary.labels:
        raise LabelError(
            f"{summary.errors} of {summary.labels} samples have no label, more than --max-error-share "
            f"{config.max_error_share} allows; the first: {summary.first_error}"
        )
    return summary


def _distinct(samples: Iterable[Sample], reporter: Reporter) -> list[Sample]:
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
            return Path(path).parent / CACHE
    return None


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
    strangers = sum(entry.request not in work.requests for entry in found)
    if strangers:
        source = journal.partial if journal.finished else output
        reporter.warn(f"{source}: {strangers} labels of other settings or samples are left out and will be gone")
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
    return provenance.describe(
        command="label",
        arguments=dataclasses.asdict(work.config),
        inputs=[samples_path, *work.config.catalogue],
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
