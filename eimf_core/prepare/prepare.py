"""The step `prepare`: raw logs and item text to a directory with sequences.jsonl and items.jsonl."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eimf_core import jsonl, provenance
from eimf_core.errors import ConfigError, InputError
from eimf_core.prepare import (
    duckdb_session,
    filters,
    item_catalogue,
    log_arrays,
    log_files,
    log_reader,
    registry,
    report,
    sequence_writer,
    splits,
)
from eimf_core.prepare.config import PrepareConfig
from eimf_core.prepare.formats import item_tables, ready_sequences
from eimf_core.prepare.formats.base import ItemFormat
from eimf_core.prepare.log_files import Source
from eimf_core.prepare.output_directory import ITEMS, REJECTS, SEQUENCES, output_folder, publish
from eimf_core.prepare.raw_text import shortened
from eimf_core.prepare.registry import Found
from eimf_core.prepare.rejects import Rejects, collected
from eimf_core.prepare.scans import Delimited, JsonLines, Parquet, Scan, UserLines
from eimf_core.prepare.user_split import read_partition
from eimf_core.progress import SILENT, Reporter
from eimf_core.records import Item

NAMED = 1000
"""Items without text that the sidecar names."""
NEEDED = frozenset({"time", "event"})


@dataclass(frozen=True)
class Prepared:
    """What came out: the report, ids without text, where bad rows went, what the sidecar says of split and times."""

    directory: Path
    report: report.Report
    without_text: list[str]
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
class Loaded:
    """The filtered log, the unit of its times, what the filters did, items that the log itself describes."""

    log: log_arrays.Log
    unit: str | None
    steps: list[filters.Step]
    items: list[Item]


def prepare(
    logs: Sequence[Path],
    output: Path,
    settings: PrepareConfig,
    *,
    items: Sequence[Path] = (),
    users: Path | None = None,
    reporter: Reporter = SILENT,
) -> Prepared:
    """Read logs, filter, split and write; the old output stays until the new one is complete.

    `users`: a partition for by-user made elsewhere. Raises ConfigError for paths and settings that
    do not work and InputError for data that does not.
    """
    if users is not None and settings.split != "by-user":
        raise ConfigError(f"--users goes with --split by-user, not with {settings.split}")
    for name in ("valid_share", "test_share"):
        if users is not None and settings.is_told(name):
            raise ConfigError(f"--{name.replace('_', '-')} has no effect beside --users; leave it out")
    with output_folder(output) as scratch:
        found = registry.find_logs(logs, settings, scratch)
        described = registry.find_items(items, found, settings)
        for log in found:
            reporter.note(f"{log.source.name}: read as {log.format.name}")
        for source, kind in described:
            reporter.note(f"{source.name}: item text, read as {kind.name}")
            if kind.warning:
                reporter.warn(f"{source.name}: {kind.warning}")
        partition = None if users is None else read_partition(users)
        with collected(scratch / REJECTS if settings.on_error == "skip" else None) as rejects:
            if any(log.format.name == "sequences" for log in found):
                made, joined, facts = _pass_through(scratch, found, described, settings, rejects)
            else:
                made, joined, facts = _from_log(scratch, found, described, settings, partition, rejects, reporter)
        jsonl.write(scratch / ITEMS, joined.items)
        formats = sorted({log.format.name for log in found})
        inputs = [log.source.path for log in found if log.source.name != "-"]
        inputs += [source.path for source, _ in described] + ([users] if users else [])
        provenance.write(
            scratch / SEQUENCES,
            provenance.describe(
                command="prepare",
                arguments={"logs": [str(log) for log in logs], **dataclasses.asdict(settings)},
                inputs=list(inputs),
                seed=settings.seed,
                facts={
                    **facts,
                    "format": formats,
                    "report": made.as_dict(),
                    "without_text": joined.without_text[:NAMED],
                },
            ),
        )
        publish(scratch, output)
    untitled = any(kind.warning for _, kind in described)
    if described and not untitled and len(joined.without_text) == len(joined.items):
        reporter.warn("no item of the log has a title in the item files; are these the same ids?")
    for warning in report.warnings(made, facts["split"], () if users else settings.left_empty()):
        reporter.warn(warning)
    bad_rows = output / REJECTS
    return Prepared(output, made, joined.without_text, bad_rows if bad_rows.exists() else None, facts, formats)


def _from_log(
    scratch: Path,
    found: list[Found],
    described: list[tuple[Source, ItemFormat]],
    settings: PrepareConfig,
    partition: dict[str, str] | None,
    rejects: Rejects,
    reporter: Reporter,
) -> tuple[report.Report, item_catalogue.Catalogue, dict[str, Any]]:
    """Read, filter, split and write the sequences."""
    scans = scans_of(found, settings, scratch, rejects)
    in_log = frozenset[str]().union(*(scan.has for _, scan in scans))
    item_tables.check_told(settings, in_log, described)
    loaded = load(scratch, scans, settings, rejects, reporter)
    log = loaded.log
    plan = splits.make(log, settings, partition)
    texts = itertools.chain(item_catalogue.described(described, settings, rejects), loaded.items)
    joined = item_catalogue.join(log.item_ids, texts, settings.text_length)
    sequence_writer.write_sequences(scratch / SEQUENCES, log, plan, reporter)
    made = report.make(
        log,
        plan,
        loaded.steps,
        rejected=rejects.reasons,
        without_text=len(joined.without_text),
        not_in_log=joined.not_in_log,
    )
    return made, joined, {**plan.facts, "times": loaded.unit}


def scans_of(found: list[Found], settings: PrepareConfig, scratch: Path, rejects: Rejects) -> list[tuple[Source, Scan]]:
    """How each log file is read; files of a kind whose rows overlap become one first."""
    whole = {kind.name for kind in (log.format for log in found) if kind.convert is not None}
    made = []
    for log in found:
        if log.format.name not in whole:
            made.append((log.source, log.format.scan(log.source, settings)))
    for name in sorted(whole):
        group = [log for log in found if log.format.name == name]
        assert group[0].format.convert is not None
        path = group[0].format.convert([log.source for log in group], scratch, rejects)
        source = dataclasses.replace(group[0].source, path=path)
        made.append((source, group[0].format.scan(source, settings)))
    timeless = [source for source, scan in made if "time" not in scan.has]
    if settings.split == "temporal" and timeless:
        # a file that is cut off is to be had again first
        for source, _ in made:
            log_files.refuse_broken(source)
        raise ConfigError(
            f"{timeless[0].name}: has no times, which --split temporal needs; "
            "choose --split leave-one-out, by-user or none, or name their column with --time-column"
        )
    return made


def load(
    scratch: Path, scans: list[tuple[Source, Scan]], settings: PrepareConfig, rejects: Rejects, reporter: Reporter
) -> Loaded:
    """Read and filter; the steps say what each filter removed."""
    wanted = NEEDED | ({"rating"} if settings.min_rating is not None else set())
    for source, scan in scans:
        if isinstance(scan, Delimited | JsonLines | Parquet):
            said = ", ".join(f"{field} {column}" for field, column in scan.fields.items())
            reporter.note(f"{source.name}: columns: {said}")
        if isinstance(scan, Delimited | UserLines) and scan.first:
            is_what = "is a header, not data" if scan.header else "is data, not a header"
            reporter.note(f"{source.name}: the first line ({shortened(scan.first, 80)}) {is_what}")
    with duckdb_session.connected(scratch, memory_limit=settings.memory_limit, threads=settings.threads) as connection:
        read = log_reader.read(connection, scans, reporter, scratch=scratch, wanted=wanted, rejects=rejects)
        if read.unit:
            reporter.note(f"times are {read.unit}")
        conditions = filters.conditions(settings, read.has)
        if settings.event:
            filters.check_events(connection, settings.event)
        steps = filters.count_conditions(connection, conditions) if conditions else []
        if steps and not steps[-1].interactions:
            raise _nothing_left(steps, scans[0][0])
        log = log_arrays.build(connection, scratch, has=read.has, where=list(conditions.values()), reporter=reporter)
    if not steps:
        steps = [filters.Step("read", 0, len(log.user_ids), len(log.item_ids), len(log))]
    log, more = filters.apply(log, settings)
    steps += more
    if not len(log):
        raise _nothing_left(steps, scans[0][0])
    return Loaded(log, read.unit, steps, read.items)


def _nothing_left(steps: list[filters.Step], source: Source) -> InputError:
    said = "; ".join(f"{step.name}: {step.interactions:,}" for step in steps)
    return InputError(f"nothing is left after the filters ({said}); loosen the last of them", file=source.name)


def _pass_through(
    scratch: Path,
    found: list[Found],
    described: list[tuple[Source, ItemFormat]],
    settings: PrepareConfig,
    rejects: Rejects,
) -> tuple[report.Report, item_catalogue.Catalogue, dict[str, Any]]:
    """Ready Sequence lines, checked and written again."""
    if len({log.format.name for log in found}) > 1:
        raise ConfigError("ready Sequence lines and raw logs cannot be mixed")
    ready_sequences.check_settings(settings)
    item_tables.check_told(settings, frozenset(), described)
    lines = ready_sequences.Ready()
    jsonl.write(scratch / SEQUENCES, ready_sequences.checked([log.source for log in found], lines, rejects))
    texts = item_catalogue.described(described, settings, rejects)
    joined = item_catalogue.join(sorted(lines.codes), texts, settings.text_length)
    return lines.report(rejects, len(joined.without_text), joined.not_in_log), joined, lines.facts()
