"""Labels for samples: ask an engine, check each answer, ask again or record the error, and keep what is finished.

Every finished label is written and flushed at once to `OUTPUT.partial`, which becomes the output at
the end. The same command run again resumes with what is missing; a label is taken over when its
`request` is the same, so that another model, prompt or setting means new labels. Answers that would be lost so are
given up only with `discard`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eimf_core import shards
from eimf_core.errors import LabelError, counted
from eimf_core.io import outputs, provenance
from eimf_core.labeling import batch_requests, early_stop, history_text, label_output, shard
from eimf_core.labeling.config import LabelConfig
from eimf_core.labeling.engines import unused_settings
from eimf_core.labeling.engines.engine_registry import chosen_class, open_engine, reads_catalogue
from eimf_core.labeling.history_text import CleanSample
from eimf_core.labeling.label_output import LabelWriter
from eimf_core.labeling.name_checks import Reason
from eimf_core.labeling.requests import Labeler, Tally
from eimf_core.progress import SILENT, Reporter
from eimf_core.records import Label
from eimf_core.text.cache import CACHE
from eimf_core.text.loading import open_encoder
from eimf_core.text.similarity import TitleVectors


@dataclass(frozen=True)
class LabelSummary:
    """What came out. `reused` labels were finished before; `first_try` counts answers used at once.

    Of an engine that answers later, `unanswered` counts the users that have no answer yet, so that the output is not
    finished, and `further` the requests to ask again about users whose answers were refused; `requests` is the file
    of both, where there are any.

    Of the `answers` that were given in this run, `refused` counts those that could not be used, by reason.
    """

    labels: int
    reused: int
    errors: int
    first_try: int
    answers: int
    refused: dict[Reason, int]
    answer_tokens: int
    seconds: float
    first_error: str | None
    unanswered: int = 0
    further: int = 0
    requests: str | None = None


def label(
    samples_path: str | Path, output: str | Path, config: LabelConfig, *, force: bool = False,
    given: Collection[str] | None = None, reporter: Reporter = SILENT,
) -> LabelSummary:  # fmt: skip
    """Label all samples of a file.

    Args:
        samples_path: the samples; "-" is stdin.
        output: the labels; "-" is stdout. An engine that answers later leaves its requests beside it.
        config: which engine is asked, and how.
        force: whether a file that no run of eimf wrote may be replaced.
        given: the settings that were asked for in so many words, None: all that differ from their defaults. One of
            these that the engine does not use is refused, others are warned of.
        reporter: hears of progress and remarks.

    Returns:
        What came out, labels of earlier runs included.

    Raises:
        ConfigError: where answers that another run gave would be discarded, and `config.discard` is not set, and for
            settings that the engine does not use.
        InputError: samples, or results of requests, that cannot be read.
        LabelError: when more samples than the settings allow have no label; the output is complete all the same,
            with the reason in each line's `error`. Also after the first users, when the first answer was refused for
            most of them, unless `config.keep_going`; what was answered is kept, and counts in a later run.
    """
    began = time.perf_counter()
    unused_settings.check(config, given, reporter)
    labeler, inputs = _open(samples_path, output, config, reporter)
    with contextlib.closing(labeler.engine), label_output.opened(output, labeler, reporter, force=force) as writer:
        done = {entry.request for entry in writer.kept}
        missing = [request for request in labeler.requests if request not in done]
        if writer.kept:
            kept = counted(len(writer.kept), "label")
            reporter.note(f"{output}: {kept} kept from an earlier run, {len(missing):,} to go")
        if labeler.engine.answers_later:
            batch_requests.refuse_foreign(batch_requests.path(output), force=force)
            labeler.engine.expect(labeler.first_questions())
        new, answer_tokens = _ask(labeler, missing, writer, reporter)
        labels = [*writer.kept, *new]
        summary = _summary(labels, len(writer.kept), labeler.tally, answer_tokens, time.perf_counter() - began)
        if labeler.engine.answers_later:
            summary = _leave_requests(batch_requests.path(output), labeler, inputs, summary, len(missing) - len(new))
            writer.whole = not summary.unanswered
    if summary.unanswered:
        return summary
    provenance.write(output, _provenance(inputs, labeler, summary))
    _refuse_errors(summary, labeler)
    return summary


def _open(
    samples_path: str | Path, output: str | Path, config: LabelConfig, reporter: Reporter
) -> tuple[Labeler, list[str | Path]]:
    """What asks an engine about the samples, and the files that were read for it."""
    part = shards.parse(config.shard)
    kind = chosen_class(config)
    written = [output, *([batch_requests.path(output)] if kind.answers_later else [])]
    outputs.refuse_inputs([Path(path) for path in written if str(path) != "-"], (samples_path, *_files_of(config)))
    catalogue = config.items if kind.reads_titles else None
    samples = _distinct_samples(history_text.read_samples(samples_path, catalogue, reporter), samples_path, reporter)
    entries = [entry for sample in samples for entry in sample.sample.history]
    items, cache = len({entry.item for entry in entries}), _cache(samples_path, output)
    # an encoder is opened only where similarity is needed
    vectors = functools.cache(
        lambda: TitleVectors((entry.title for entry in entries), open_encoder(config.encoder, items), cache, reporter)
    )
    engine = open_engine(config, [sample.sample for sample in samples], vectors, reporter)
    inputs = [samples_path, *([config.items] if config.items is not None and reads_catalogue(kind) else [])]
    inputs += config.results if kind.answers_later else []
    return Labeler(engine, config, vectors, shard.select(samples, part)), inputs


def _leave_requests(
    path: Path, labeler: Labeler, inputs: list[str | Path], summary: LabelSummary, unanswered: int
) -> LabelSummary:
    """Write the requests that an engine has no answers to, and add them to the summary."""
    describe = functools.partial(_provenance, inputs, labeler, summary)
    results = bool(labeler.config.results)
    left = batch_requests.leave(path, labeler.engine, describe, unanswered=unanswered, results=results)
    return dataclasses.replace(
        summary, unanswered=unanswered, further=left - unanswered, requests=str(path) if left else None
    )


def _refuse_errors(summary: LabelSummary, labeler: Labeler) -> None:
    """LabelError where more samples than the settings allow have no label."""
    allowed = labeler.config.error_share
    if summary.errors <= allowed * summary.labels:
        return
    way_out = f"{summary.requests or '--retry-errors'} asks again"
    if not labeler.engine.uses_prompt:
        way_out = f"engine {labeler.engine.name} would answer the same again: allow more, or use another engine"
    raise LabelError(
        f"{summary.errors} of {summary.labels} users have no label, more than --max-error-share {allowed} allows "
        f"(the first: {summary.first_error}); {way_out}"
    )


def _files_of(config: LabelConfig) -> list[str]:
    """The files that the settings may name; a name of a model or a prompt is no file, and does no harm."""
    schema = config.prompt and f"{config.prompt.removesuffix('.md')}.schema.json"
    named = (config.model, config.items, config.chat_template, config.prompt, schema, *config.results)
    return [path for path in named if path is not None]


def _distinct_samples(samples: Iterable[CleanSample], path: str | Path, reporter: Reporter) -> list[CleanSample]:
    found: dict[str, CleanSample] = {}
    repeated = 0
    for sample in samples:
        repeated += sample.sample.key in found
        found.setdefault(sample.sample.key, sample)
    if repeated:
        reporter.warn(f"{path}: {counted(repeated, 'sample')} with the key of an earlier one left out")
    return list(found.values())


def _cache(samples_path: str | Path, output: str | Path) -> Path | None:
    """Title vectors are kept beside the samples, or the output when those come from stdin."""
    for path in (samples_path, output):
        if str(path) != "-":
            return Path(path).parent / CACHE
    return None


def _ask(labeler: Labeler, missing: Sequence[str], writer: LabelWriter, reporter: Reporter) -> tuple[list[Label], int]:
    """Ask for labels and write each at once; returns them and the tokens that a model wrote for them."""
    new: list[Label] = []
    answer_tokens = failed = 0
    began = time.perf_counter()
    if missing and len(writer.kept) >= early_stop.FIRST_USERS:
        _stop_early(labeler, writer.kept, new)
    reporter.begin("labelling", len(labeler.requests), len(labeler.requests) - len(missing))
    try:
        for entry in labeler.labels(missing, writer.refused):
            writer.write(entry)
            new.append(entry)
            failed += entry.error is not None
            answer_tokens += entry.tokens.get("answer", 0)
            took = (time.perf_counter() - began) / len(new)
            reporter.advance(1, failed=str(failed), **{"s/user": f"{took:.2g}" if took < 10 else f"{took:.0f}"})
            if len(writer.kept) + len(new) == early_stop.FIRST_USERS:
                _stop_early(labeler, writer.kept, new)
    finally:
        reporter.end()
    return new, answer_tokens


def _stop_early(labeler: Labeler, kept: Sequence[Label], new: Sequence[Label]) -> None:
    """LabelError where the first users show that a model is too small."""
    if early_stop.applies(labeler.engine, labeler.config):
        problem = early_stop.problem(labeler.engine.model, kept, new, labeler.tally)
        if problem is not None:
            raise LabelError(problem)


def _summary(labels: Sequence[Label], reused: int, tally: Tally, answer_tokens: int, seconds: float) -> LabelSummary:
    errors = [entry.error for entry in labels if entry.error is not None]
    return LabelSummary(
        labels=len(labels),
        reused=reused,
        errors=len(errors),
        first_try=sum(entry.error is None and entry.attempts == 1 for entry in labels),
        answers=tally.answers,
        refused=dict(tally.refused.most_common()),
        answer_tokens=answer_tokens,
        seconds=seconds,
        first_error=errors[0] if errors else None,
    )


def _provenance(inputs: list[str | Path], labeler: Labeler, summary: LabelSummary) -> dict[str, Any]:
    engine = labeler.engine
    return provenance.describe(
        command="label",
        arguments=dataclasses.asdict(labeler.config),
        inputs=inputs,
        seed=labeler.config.seed,
        facts={
            "engine": engine.name,
            "model": engine.model,
            "model_sha256": engine.model_sha256,
            "model_source": engine.model_source,
            "prompt": engine.prompt.name if engine.uses_prompt else None,
            "prompt_sha256": engine.prompt.sha256 if engine.uses_prompt else None,
            "settings": engine.settings,
            "parallel": engine.parallel,
            **dataclasses.asdict(summary),
        },
    )
