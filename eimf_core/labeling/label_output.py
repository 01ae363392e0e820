"""Where labels go: a journal that becomes the output at the end, and what is taken over from earlier runs."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from eimf_core.errors import ConfigError, EimfError, counted
from eimf_core.io import files, jsonl, outputs
from eimf_core.labeling.requests import Labeler
from eimf_core.progress import Reporter, duration
from eimf_core.records import Label


class OtherLabelsError(ConfigError):
    """An output holds `count` labels that would be lost, and that are given up only with `discard`."""

    def __init__(self, output: Path, count: int, made: str = "") -> None:
        super().__init__(
            f"{output}: holds {counted(count, 'label')}{made}{_age(output)}, which would be lost; choose another -o, "
            f"or give --discard to give {'it' if count == 1 else 'them'} up"
        )
        self.count = count


def _age(output: Path) -> str:
    """When labels were last written, as far as the files tell it."""
    holding = [path.stat() for path in (output, jsonl.partial(output)) if path.is_file()]
    written = max((status.st_mtime for status in holding if status.st_size), default=None)
    return "" if written is None else f", the last written {duration(max(time.time() - written, 0))} ago"


def refuse_loss(output: Path, *, discard: bool) -> bool:
    """Hold labels back from being replaced by something else.

    Args:
        output: the file that is to be written.
        discard: whether labels may be given up.

    Returns:
        Whether it holds labels.

    Raises:
        OtherLabelsError: it does, and they may not be given up.
    """
    labels = [entry for entry in _finished(output) if entry.error is None]
    if labels and not discard:
        raise OtherLabelsError(output, len(labels))
    return bool(labels)


@dataclass
class LabelWriter:
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
def opened(output: str | Path, labeler: Labeler, reporter: Reporter, *, force: bool = False) -> Iterator[LabelWriter]:
    """Labels that are there already, and where new ones go; a file is finished when the block ends well.

    Args:
        output: the file, or "-" for stdout, of which nothing is taken over.
        labeler: whose requests are answered; its settings say whether other answers may be given up.
        reporter: hears what is given up.
        force: whether a file that no run of eimf wrote may be replaced.

    Yields:
        Where labels go, with those that are there already.

    Raises:
        OtherLabelsError: answers of other settings or samples would be lost.
        ConfigError: the output may not be written.
    """
    if str(output) == "-":
        with jsonl.writer("-", flush=True) as out:
            yield LabelWriter(out.write)
        return
    with files.locked(output):
        if not _finished(Path(output)):
            outputs.refuse_foreign([Path(output)], Path(output), force=force)
        outputs.remove_leftovers(Path(output))
        journal = jsonl.Journal(output, Label)
        try:
            refused = _asked_further(journal, labeler)
            journal = _keep_requested(journal, labeler, reporter)
            writer = LabelWriter(journal.append, journal.finished, refused)
            yield writer
            if writer.whole:
                _put_in_order(journal, list(labeler.requests))
                journal.finish()
        finally:
            journal.close()
            with contextlib.suppress(FileNotFoundError):
                if not journal.partial.stat().st_size:
                    journal.partial.unlink()


def _put_in_order(journal: jsonl.Journal, requests: Sequence[str]) -> None:
    """Labels in the order of their samples, whoever was done first."""
    place = {request: at for at, request in enumerate(requests)}
    found = list(jsonl.read(journal.partial, Label)) if place else []
    ordered = sorted(found, key=lambda label: place.get(label.request, len(place)))
    if ordered != found:
        jsonl.write(journal.partial, ordered)


def _keep_requested(journal: jsonl.Journal, labeler: Labeler, reporter: Reporter) -> jsonl.Journal:
    """A journal that holds exactly the finished labels that are wanted again, of the journal and of the output."""
    config, output = labeler.config, journal.path
    found = [*journal.finished, *_finished(output)]
    wanted: dict[str, Label] = {}
    for entry in found:
        again = entry.error is not None and (config.retry_errors or _is_open(entry, labeler))
        if entry.request in labeler.requests and not again:
            wanted.setdefault(entry.request, entry)
    others = {
        # those that were written by hand have no request
        entry.request or (entry.key, entry.user)
        for entry in found
        if entry.request not in labeler.requests and entry.error is None
    }
    if others and not config.discard:
        raise OtherLabelsError(output, len(others), " made with other settings or samples")
    if others:
        reporter.warn(f"{output}: {counted(len(others), 'label')} made with other settings or samples: discarded")
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
    """By request, the labels with an error that further attempts resume from: the latest of each."""
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
