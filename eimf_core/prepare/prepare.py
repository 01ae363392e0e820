"""The step `prepare`: raw logs and item text to a directory with sequences.jsonl and items.jsonl."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from eimf_core import files, jsonl, manifest
from eimf_core.errors import ConfigError, InputError
from eimf_core.prepare import (
    catalogue,
    engine,
    filters,
    flat,
    reading,
    registry,
    report,
    sources,
    splits,
    writing,
)
from eimf_core.prepare.config import PrepareConfig
from eimf_core.prepare.scans import Scan
from eimf_core.progress import SILENT, Reporter

SCRATCH = ".prepare.tmp"
SEQUENCES, ITEMS = "sequences.jsonl", "items.jsonl"


@dataclass(frozen=True)
class Prepared:
    """What came out, for whoever called."""

    directory: Path
    report: report.Report
    formats: list[str]
    without_text: list[str]


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
    found = registry.find_logs(logs, settings.format)
    described = registry.find_items(items, found)
    partition = None if users is None else read_partition(users)
    for one in found:
        reporter.note(f"{one.source.name}: read as {one.format.name}")
    for source, kind in described:
        reporter.note(f"{source.name}: item text, read as {kind.name}")
    scans = [(one.source, one.format.scan(one.source, settings)) for one in found]
    if settings.split == "temporal" and not all("time" in scan.has for _, scan in scans):
        raise ConfigError(
            f"{found[0].source.name}: has no times, which --split temporal needs; "
            "choose --split leave-one-out, by-user or none"
        )
    with output_folder(output) as scratch:
        log, steps = load(scratch, scans, settings, reporter)
        plan = splits.make(log, settings, partition)
        joined = catalogue.join(
            log.item_ids, catalogue.chain(kind.read(source, settings) for source, kind in described)
        )
        made = report.make(log, plan, steps, len(joined.without_text))
        jsonl.write(scratch / ITEMS, joined.items)
        writing.write_sequences(scratch / SEQUENCES, log, plan, reporter)
        inputs: list[str | Path] = [one.source.path for one in found]
        inputs += [source.path for source, _ in described] + ([users] if users else [])
        manifest.write(
            scratch / SEQUENCES,
            manifest.describe(
                command="prepare",
                arguments=dataclasses.asdict(settings),
                inputs=inputs,
                seed=settings.seed,
                facts={**plan.facts, "format": [one.format.name for one in found], "report": made.as_dict()},
            ),
        )
        publish(scratch, output)
    return Prepared(output, made, [one.format.name for one in found], joined.without_text)


def load(
    scratch: Path, scans: list[tuple[sources.Source, Scan]], settings: PrepareConfig, reporter: Reporter
) -> tuple[flat.Log, list[filters.Step]]:
    """Read and filter; the steps say what each filter removed."""
    connection = engine.connect(scratch, memory_limit=settings.memory_limit, threads=settings.threads)
    try:
        read = reading.read(connection, scans, reporter)
        if read.unit not in (None, "seconds"):
            reporter.note(f"times are in {read.unit}")
        log = flat.build(connection, scratch, has=read.has, reporter=reporter)
    finally:
        connection.close()
    steps = [filters.counted("read", log, log)]
    if settings.min_user > 1 or settings.min_item > 1:
        keep = filters.k_core(log, min_user=settings.min_user, min_item=settings.min_item)
        core = filters.select(log, keep)
        steps.append(filters.counted(f"at least {settings.min_user} a user, {settings.min_item} an item", log, core))
        log = core
    if not len(log):
        raise InputError("nothing is left after the filters; lower --min-user or --min-item", file=scans[0][0].name)
    return log, steps


def read_partition(path: Path) -> dict[str, str]:
    """User to split, from lines of `user split` or a table with these two columns."""
    names = {"train", "valid", "test"}
    partition: dict[str, str] = {}
    for number, line in sources.lines(path):
        cells = line.replace(",", "\t").split("\t") if "\t" in line or "," in line else line.split()
        if number == 1 and cells[-1:] and cells[-1] not in names and len(cells) == 2:
            continue
        if len(cells) != 2 or cells[1] not in names:
            raise InputError("is no user and one of train, valid, test", file=path, line=number)
        if partition.setdefault(cells[0], cells[1]) != cells[1]:
            raise InputError(f"user '{cells[0]}' is in two splits", file=path, line=number)
    return partition


@contextlib.contextmanager
def output_folder(output: Path) -> Iterator[Path]:
    """A scratch folder inside the output, which is locked; both are gone afterwards if they were not there."""
    if output.exists() and not output.is_dir():
        raise ConfigError(f"{output}: is a file, expected a directory to write")
    missing = [folder for folder in (output, *output.parents) if not folder.exists()]
    with files.locked(output / SEQUENCES):
        scratch = output / SCRATCH
        # what a killed run left behind
        shutil.rmtree(scratch, ignore_errors=True)
        try:
            scratch.mkdir()
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    for folder in missing:
        with contextlib.suppress(OSError):
            folder.rmdir()


def publish(scratch: Path, output: Path) -> None:
    """Move the finished files into place, so that a kill leaves the old set, none, or the new one."""
    sidecar = manifest.sidecar(SEQUENCES).name
    (output / SEQUENCES).unlink(missing_ok=True)
    for name in (ITEMS, sidecar, SEQUENCES):
        os.replace(scratch / name, output / name)
    handle = os.open(output, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
