"""Labels for samples: ask an engine, check each answer, ask again or record the error, and keep what is finished.

Every finished label is written and flushed at once to `OUTPUT.partial`, which becomes the output at
the end. The same command run again goes on with what is missing; a label is taken over when its
`request` is the same, so that another model, prompt or setting means new labels. Answers that would be lost so are
given up only with `force`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eimf_core import files, jsonl, outputs, provenance
from eimf_core.errors import ConfigError, EimfError, LabelError
from eimf_core.labeling import batch_requests, first_users, history_text, shard
from eimf_core.labeling.config import LabelConfig
from eimf_core.labeling.engines.registry import engine_class, open_engine, reads_catalogue
from eimf_core.labeling.history_text import CleanSample
from eimf_core.labeling.requests import Labeler, Tally
from eimf_core.progress import SILENT, Reporter
from eimf_core.records import Label
from eimf_core.text.cache import CACHE
from eimf_core.text.loading import open_encoder
from eimf_core.text.similarity import TitleVectors


class OtherLabelsError(ConfigError):
    """An output holds `count` labels made with other settings or samples, which would be lost without `force`."""

    def __init__(self, output: Path, count: int) -> None:
        super().__init__(
            f"{output}: holds {count} labels made with other settings or samples, which would be lost; "
            "choose another -o, or give --force"
        )
        self.count = count


@dataclass(frozen=True)
class Summary:
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
    refused: dict[str, int]
    answer_tokens: int
    seconds: float
    first_error: str | None
    unanswered: int = 0
    further: int = 0
    requests: str | None = None


def label(samples_path: str | Path, output: str | Path, config: LabelConfig, *, reporter: Reporter = SILENT) -> Summary:
    """Label all samples of a file ("-" is stdin) to a file or stdout ("-").

    Raises:
        ConfigError: where answers that another run gave would be discarded, and `config.force` is not set.
        LabelError: when more samples than the settings allow have no label; the output is complete all the same,
            with the reason in each line's `error`. Also after the first users, when most of them have none or most
            names are titles, unless `config.keep_going`; what was answered is kept for a later run.
    """
    began = time.perf_counter()
    part = shard.parse(config.shard)
    engine_kind = engine_class(config.engine)
    requests = batch_requests.path(output) if engine_kind.answers_later else None
    written = [Path(path) for path in (output, requests) if path is not None and str(path) != "-"]
    outputs.refuse_inputs(written, (samples_path, *_files_of(config)))
    catalogue = config.items if engine_kind.reads_titles else None
    samples = _distinct_samples(history_text.read_samples(samples_path, catalogue, reporter), samples_path, reporter)
    entries = [entry for sample in samples for entry in sample.sample.history]
    items, cache = len({entry.item for entry in entries}), _cache(samples_path, output)
    # an encoder is opened only where similarity is needed
    vectors = functools.cache(
        lambda: TitleVectors((entry.title for entry in entries), open_encoder(config.encoder, items), cache, reporter)
    )
    engine = open_engine(config, [sample.sample for sample in samples], vectors, reporter)
    labeler = Labeler(engine, config, vectors, shard.of(samples, part))
    inputs = [samples_path, *([config.items] if config.items is not None and reads_catalogue(engine_kind) else [])]
    inputs += config.results if engine_kind.answers_later else []
    with contextlib.closing(engine), _sink(output, labeler, reporter) as sink:
        kept = sink.kept
        done = {entry.request for entry in kept}
        missing = [request for request in labeler.requests if request not in done]
        if kept:
            reporter.note(f"{output}: {len(kept)} labels are kept from an earlier run, {len(missing)} to go")
        if requests is not None:
            batch_requests.refuse_foreign(requests, force=config.force)
            engine.expect(labeler.first_questions())
        new, answer_tokens = _ask(labeler, missing, sink, reporter)
        summary = _summary([*kept, *new], len(kept), labeler.tally, answer_tokens, time.perf_counter() - began)
        if requests is not None:
            unanswered = len(missing) - len(new)
            sink.whole = not unanswered
            describe = functools.partial(_provenance, inputs, labeler, summary)
            left = batch_requests.leave(requests, engine, describe, unanswered=unanswered, results=bool(config.results))
            summary = dataclasses.replace(
                summary, unanswered=unanswered, further=left - unanswered, requests=str(requests) if left else None
            )
    if summary.unanswered:
        return summary
    provenance.write(output, _provenance(inputs, labeler, summary))
    if summary.errors > config.error_share * summary.labels:
        raise LabelError(
            f"{summary.errors} of {summary.labels} users have no label, more than --max-error-share "
            f"{config.max_error_share} allows (the first: {summary.first_error}); "
            f"{summary.requests or '--retry-errors'} asks again"
        )
    return summary


def _files_of(config: LabelConfig) -> list[str]:
    """The files that the settings may name; a name of a model or a prompt is no file, and does no harm."""
    schema = config.prompt and f"{config.prompt.removesuffix('.md')}.schema.json"
    named = (
        config.model, config.items, config.replay, config.chat_template, config.prompt, schema, *config.results
    )  # fmt: skip
    return [path for path in named if path is not None]


def _distinct_samples(samples: Iterable[CleanSample], path: str | Path, reporter: Reporter) -> list[CleanSample]:
    found: dict[str, CleanSample] = {}
    repeated = 0
    for sample in samples:
        repeated += sample.sample.key in found
        found.setdefault(sample.sample.key, sample)
    if repeated:
        reporter.warn(f"{path}: {repeated} samples with the key of an earlier one are left out")
    return list(found.values())


def _cache(samples_path: str | Path, output: str | Path) -> Path | None:
    """Title vectors are kept beside the samples, or the output when those come from stdin."""
    for path in (samples_path, output):
        if str(path) != "-":
            return Path(path).parent / CACHE
    return None


# -- writing


@dataclass
class _Sink:
    """Where labels go.

    Attributes:
        write: takes a label.
        kept: labels that are there already.
        refused: by request, those with an error that is asked about further.
        whole: whether the output is finished at the end.
    """

    write: Callable[[Label], None]
    kept: list[Label] = field(default_factory=list)
    refused: dict[str, Label] = field(default_factory=dict)
    whole: bool = True


@contextlib.contextmanager
def _sink(output: str | Path, labeler: Labeler, reporter: Reporter) -> Iterator[_Sink]:
    """Labels that are there already, and where new ones go; a file is finished when the block ends well."""
    if str(output) == "-":
        with jsonl.writer("-", flush=True) as out:
            yield _Sink(out.write)
        return
    with files.locked(output):
        if not _finished(Path(output)):
            outputs.refuse_foreign([Path(output)], Path(output), force=labeler.config.force)
        outputs.remove_leftovers(Path(output))
        journal = jsonl.Journal(output, Label)
        try:
            refused = _asked_further(journal, labeler)
            journal = _keep_requested(journal, labeler, reporter)
            sink = _Sink(journal.append, journal.finished, refused)
            yield sink
            if sink.whole:
                journal.finish()
        finally:
            journal.close()
            with contextlib.suppress(FileNotFoundError):
                if not journal.partial.stat().st_size:
                    journal.partial.unlink()


def _keep_requested(journal: jsonl.Journal, labeler: Labeler, reporter: Reporter) -> jsonl.Journal:
    """A journal that holds exactly the finished labels that are wanted again, of the journal and of the output."""
    config, output = labeler.config, journal.path
    found = [*journal.finished, *_finished(output)]
    wanted: dict[str, Label] = {}
    for entry in found:
        again = entry.error is not None and (config.retry_errors or _is_open(entry, labeler))
        if entry.request in labeler.requests and not again:
            wanted.setdefault(entry.request, entry)
    others = {entry.request for entry in found if entry.request not in labeler.requests and entry.error is None}
    if others and not config.force:
        raise OtherLabelsError(output, len(others))
    if others:
        reporter.warn(f"{output}: {len(others)} labels made with other settings or samples are discarded")
    if list(wanted.values()) != journal.finished:
        journal.close()
        jsonl.write(journal.partial, wanted.values())
        journal = jsonl.Journal(output, Label)
    return journal


def _is_open(label: Label, labeler: Labeler) -> bool:
    """Whether a refused answer is asked about further, in a later run."""
    engine, config = labeler.engine, labeler.config
    return engine.answers_later and label.error is not None and label.attempts < config.attempts


def _asked_further(journal: jsonl.Journal, labeler: Labeler) -> dict[str, Label]:
    """By request, the labels with an error that further attempts go on from: the latest of each."""
    found = [entry for entry in [*journal.finished, *_finished(journal.path)] if _is_open(entry, labeler)]
    return {entry.request: entry for entry in sorted(found, key=lambda entry: entry.attempts)}


def _finished(output: Path) -> list[Label]:
    """The labels of an earlier run that came to its end; none when the file is something else."""
    if not output.is_file():
        return []
    try:
        return list(jsonl.read(output, Label))
    except EimfError:
        return []


# -- the run and its report


def _ask(labeler: Labeler, missing: Sequence[str], sink: _Sink, reporter: Reporter) -> tuple[list[Label], int]:
    """Ask for labels and write each at once; returns them and the tokens that a model wrote for them."""
    new: list[Label] = []
    answer_tokens = failed = 0
    began = time.perf_counter()
    reporter.begin("labelling", len(labeler.requests), len(labeler.requests) - len(missing))
    try:
        for entry in labeler.labels(missing, sink.refused):
            sink.write(entry)
            new.append(entry)
            failed += entry.error is not None
            if labeler.engine.uses_prompt:  # a replayed label repeats what its model once took
                answer_tokens += entry.tokens.get("answer", 0)
            took = (time.perf_counter() - began) / len(new)
            reporter.advance(1, failed=str(failed), **{"s/user": f"{took:.2g}" if took < 10 else f"{took:.0f}"})
            if len(new) == first_users.FIRST and first_users.are_judged(labeler.engine, labeler.config):
                problem = first_users.problem(labeler.engine.model, new, labeler.tally)
                if problem is not None:
                    raise LabelError(problem)
    finally:
        reporter.end()
    return new, answer_tokens


def _summary(labels: Sequence[Label], reused: int, tally: Tally, answer_tokens: int, seconds: float) -> Summary:
    errors = [entry.error for entry in labels if entry.error is not None]
    return Summary(
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


def _provenance(inputs: list[str | Path], labeler: Labeler, summary: Summary) -> dict[str, Any]:
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
