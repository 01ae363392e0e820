"""The step `prepare`: raw logs and item text to a directory with sequences.jsonl and items.jsonl."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import itertools
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eimf_core.config import setting_error
from eimf_core.errors import ConfigError
from eimf_core.io import files, jsonl, outputs, provenance
from eimf_core.prepare import (
    column_warnings,
    input_discovery,
    item_catalogue,
    log_loading,
    log_sources,
    numeric_ids,
    order_status,
    ready_sequences,
    remote,
    report,
    sequence_writer,
    splits,
)
from eimf_core.prepare.columns import shortened_names
from eimf_core.prepare.config import PrepareConfig
from eimf_core.prepare.formats.base import ItemFile, LogFile
from eimf_core.prepare.item_catalogue import Catalogue
from eimf_core.prepare.log_files import Source
from eimf_core.prepare.memory_tables import MemoryTable
from eimf_core.prepare.output_directory import ITEMS, REJECTS, SEQUENCES, output_folder, publish
from eimf_core.prepare.rejects import Rejects
from eimf_core.prepare.user_split import read_partition
from eimf_core.progress import SILENT, Reporter

MAX_NAMED = 1000
"""Items without text that the sidecar names."""


@dataclass(frozen=True)
class Prepared:
    """What came out: the report, ids without text, where bad rows went, what the sidecar says of split and times."""

    directory: Path
    report: report.Report
    without_text: list[str] = field(repr=False)
    rejects: Path | None
    facts: dict[str, Any]
    formats: list[str]

    def as_dict(self) -> dict[str, Any]:
        """All of it, for machines."""
        return {
            "format": self.formats,
            **self.facts,
            **self.report.as_dict(),
            "without_text": self.without_text,
            "rejects": None if self.rejects is None else str(self.rejects),
        }


@dataclass(frozen=True)
class _Job:
    """What a preparation works on, and where it writes."""

    scratch: Path
    logs: list[LogFile]
    items: list[ItemFile]
    users: Path | None
    config: PrepareConfig
    reporter: Reporter

    @property
    def inputs(self) -> list[Path]:
        """The files that are read; stdin and tables in memory, which are copied to the scratch folder, left out."""
        read = [source.given_path for source in self._sources if self.scratch not in source.given_path.parents]
        return list(dict.fromkeys([*read, *([self.users] if self.users else [])]))

    @property
    def _sources(self) -> list[Source]:
        return [log.source for log in self.logs] + [file.source for file in self.items]

    @contextlib.contextmanager
    def named(self) -> Iterator[None]:
        """Errors of copies in the scratch folder, such as unpacked ones, name the file that was given."""
        with contextlib.ExitStack() as stack:
            for source in self._sources:
                stack.enter_context(files.shown_as(source.path, source.name))
            yield


_Written = tuple[report.Report, Catalogue, dict[str, Any]]
"""The report on sequences that were written, their items, and the facts for the sidecar."""


@contextlib.contextmanager
def _garbage_collection_paused() -> Iterator[None]:
    """Python does not look in the block for objects that hold each other: there are none among millions of items."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@_garbage_collection_paused()
def prepare(
    logs: Sequence[Path | MemoryTable],
    output: Path,
    config: PrepareConfig,
    *,
    items: Sequence[Path | MemoryTable] = (),
    users: Path | None = None,
    force: bool = False,
    reporter: Reporter = SILENT,
) -> Prepared:
    """Read logs, filter, split and write; the old output stays until the new one is complete.

    Args:
        logs: log files, patterns, published folders, "-" for stdin, or tables in memory.
        output: the directory to write.
        config: the settings.
        items: files with item text; by default those that are published beside the logs.
        users: a partition of the users made elsewhere, for the by-user split.
        force: whether files in the directory that no run of eimf wrote may be replaced.
        reporter: told of progress, remarks and warnings.

    Returns:
        What came out: the report, ids without text, where bad rows went.

    Raises:
        ConfigError: for paths and settings that do not work.
        InputError: for data that does not.
    """
    if users is not None:
        _check_partition_settings(config)
    written_files = [output / name for name in (SEQUENCES, ITEMS, REJECTS)]
    named = [each for each in (*logs, *items) if isinstance(each, Path)]
    outputs.refuse_inputs(written_files, [*named, users])
    with output_folder(output, force=force) as scratch:
        found = input_discovery.find_logs(logs, config, scratch)
        job = _Job(scratch, found, input_discovery.find_items(items, found, config, scratch), users, config, reporter)
        outputs.refuse_inputs(written_files, job.inputs)
        _note_formats(job)
        _note_unread(job, logs)
        with job.named(), contextlib.closing(_rejects(scratch / REJECTS, config)) as rejects:
            ready = any(log.format.name == "sequences" for log in found)
            written, catalogue, facts = (_pass_through if ready else _from_log)(job, rejects)
        jsonl.write(scratch / ITEMS, catalogue.items)
        formats = sorted({log.format.name for log in found})
        without_text = catalogue.without_text[:MAX_NAMED]
        in_sidecar = {**facts, "format": formats, "report": written.as_dict(), "without_text": without_text}
        _write_sidecar(job, logs, in_sidecar)
        publish(scratch, output)
    _warn(job, written, catalogue, facts["split"])
    bad_rows = output / REJECTS
    return Prepared(output, written, catalogue.without_text, bad_rows if bad_rows.exists() else None, facts, formats)


def _rejects(path: Path, config: PrepareConfig) -> Rejects:
    return Rejects(path if config.on_error == "skip" else None, with_text=not config.hash_users)


def _check_partition_settings(config: PrepareConfig) -> None:
    """ConfigError for settings that a partition made elsewhere leaves without effect."""
    if config.split != "by-user":
        raise ConfigError(f"--users goes with --split by-user, not with {config.split}")
    for name in ("valid_share", "test_share"):
        if config.is_set(name):
            raise setting_error(name, "has no effect beside --users; leave it out")


def _note_formats(job: _Job) -> None:
    for log in job.logs:
        job.reporter.note(f"{log.source.name}: read as {log.format.name}")
    for file in job.items:
        job.reporter.note(file.remark())
        if file.untitled:
            job.reporter.warn(
                f"{file.source.name}: no column is recognised as the title among {shortened_names(file.columns)}; name "
                "it with --items-title-column"
            )


def _note_unread(job: _Job, arguments: Sequence[Path | MemoryTable]) -> None:
    """Say what lies in the folders and beside the parts of a split that are named, and is not read."""
    for remark in log_sources.unread(arguments, job.inputs):
        job.reporter.note(remark)
    for warning in log_sources.parts_left_out(job.inputs):
        job.reporter.warn(warning)


def _warn(job: _Job, written: report.Report, catalogue: Catalogue, split: str) -> None:
    untitled = any(file.untitled for file in job.items)
    if job.items and not untitled and len(catalogue.without_text) == len(catalogue.items):
        of_table = f", the item files {catalogue.other}" if catalogue.other else ""
        columns = any(file.columns for file in job.items)
        way = "; name the column of the same ids with --items-item-column or --item-column" if columns else ""
        job.reporter.warn(
            f"no item of the log has a title in the item files: the log has ids such as {catalogue.without_text[0]}"
            f"{of_table}{way}"
        )
    kind = "users" if job.users else split
    for warning in report.warnings(written, kind, () if job.users else job.config.empty_splits()):
        job.reporter.warn(warning)


def _write_sidecar(job: _Job, logs: Sequence[Path | MemoryTable], facts: dict[str, Any]) -> None:
    description = provenance.describe(
        command="prepare",
        arguments={"logs": [remote.redacted(str(log)) or str(log) for log in logs], **dataclasses.asdict(job.config)},
        inputs=[path for path in job.inputs if not remote.address(path)],
        seed=job.config.seed,
        facts=facts,
    )
    # what is fetched is not hashed
    description["inputs"] |= {address: None for path in job.inputs if (address := remote.redacted(path))}
    provenance.write(job.scratch / SEQUENCES, description, beside=[job.scratch / name for name in (ITEMS, REJECTS)])


def _from_log(job: _Job, rejects: Rejects) -> _Written:
    """Read, filter, split and write the sequences."""
    partition = None if job.users is None else read_partition(job.users, job.scratch)
    scans, unused = log_loading.scans_of(
        job.logs, job.config, job.scratch, rejects, titles=all(file.untitled for file in job.items)
    )
    input_discovery.check_text_columns(job.config, frozenset[str]().union(*(scan.has for _, scan in scans)), job.items)
    loaded = log_loading.load(job.scratch, scans, unused, job.config, rejects, job.reporter)
    log = loaded.log
    if partition is not None:
        known = set(log.user_ids)
        partition = {_called(user, known, job.config): split for user, split in partition.items()}
    plan = splits.plan_split(log, job.config, partition)
    texts = itertools.chain(item_catalogue.read_items(job.items, rejects), loaded.items)
    catalogue = item_catalogue.join(log.item_ids, texts, job.config.text_length)
    sequence_writer.write_sequences(job.scratch / SEQUENCES, log, plan, job.reporter)
    made = report.make_report(
        log, plan, loaded.steps, rejected=rejects.reasons, catalogue=catalogue, ordered_by=loaded.ordered_by
    )
    for warning in column_warnings.time_warnings(scans, unused, made.equal_times):
        job.reporter.warn(warning)
    all_lack = len(catalogue.without_text) == len(catalogue.items)
    if not any(file.untitled for file in job.items) and not (job.items and all_lack):
        for warning in column_warnings.title_warnings(catalogue, job.items, unused):
            job.reporter.warn(warning)
    notes, warnings = order_status.remarks(loaded.status_columns, job.config)
    for note in notes:
        job.reporter.note(note)
    for warning in warnings:
        job.reporter.warn(warning)
    made = dataclasses.replace(
        made, first_rows=_first_rows(loaded, catalogue, job.config), states=loaded.status_columns
    )
    return made, catalogue, {**plan.facts, "times": loaded.unit}


def _names(user: str, config: PrepareConfig) -> list[str]:
    """What the log may call a user."""
    return [numeric_ids.hashed(name) if config.hash_users else name for name in (user, numeric_ids.whole(user))]


def _called(user: str, known: Container[str], config: PrepareConfig) -> str:
    """What the log calls a user."""
    first, second = _names(user, config)
    return first if first in known else second


def _first_rows(loaded: log_loading.Loaded, catalogue: Catalogue, config: PrepareConfig) -> list[dict[str, Any]]:
    """The first rows as they were understood, for the report."""
    # of all users and items, which may be millions, only these
    users = {name for user, *_ in loaded.first_rows for name in _names(user, config)}.intersection(loaded.log.user_ids)
    wanted = {each for _, name, *_ in loaded.first_rows for each in (name, numeric_ids.whole(name))}
    items = {item.item: item for item in catalogue.items if item.item in wanted}
    found = []
    for user, name, time, event in loaded.first_rows:
        name = name if name in items else numeric_ids.whole(name)
        item = items.get(name)
        found.append(
            {
                "user": _called(user, users, config),
                "item": name,
                "time": time,
                "event": event,
                "title": item.title if item and item.title != name else None,
                "categories": item.categories if item else [],
            }
        )
    return found


def _pass_through(job: _Job, rejects: Rejects) -> _Written:
    """Check ready Sequence lines and write them again."""
    if len({log.format.name for log in job.logs}) > 1:
        raise ConfigError("ready Sequence lines and raw logs cannot be mixed")
    ready_sequences.check_settings(job.config)
    input_discovery.check_text_columns(job.config, frozenset(), job.items)
    lines = ready_sequences.SequenceStatistics()
    sources = [log.source for log in job.logs]
    jsonl.write(job.scratch / SEQUENCES, ready_sequences.checked_lines(sources, lines, rejects))
    texts = item_catalogue.read_items(job.items, rejects)
    catalogue = item_catalogue.join(sorted(lines.item_codes), texts, job.config.text_length)
    return lines.report(rejects.reasons, catalogue), catalogue, lines.facts()
