"""What arguments stand for: files, patterns, stdin, folders and archives, each unpacked and looked into."""

from __future__ import annotations

import contextlib
import dataclasses
import glob
import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from eimf_core.config import option_name
from eimf_core.errors import ConfigError, InputError
from eimf_core.prepare import archives, containers, log_files, preamble, remote
from eimf_core.prepare.columns import shortened_names
from eimf_core.prepare.config import PrepareConfig
from eimf_core.prepare.formats.base import files_matching
from eimf_core.prepare.header import separates
from eimf_core.prepare.log_files import Source
from eimf_core.prepare.memory_tables import MemoryTable

SPLITS = ("train", "valid", "test")
PART = re.compile(r"(.+)\.(train|valid|test)\.inter(\.gz|\.zst)?")


Kind = Callable[[Source], str | None]


def sources(
    argument: Path | MemoryTable, published: Sequence[str], kind: Kind, config: PrepareConfig, scratch: Path
) -> Iterator[Source]:
    """The log files that an argument stands for.

    Args:
        argument: a file, a pattern, "-", a folder or an archive, or a table in memory.
        published: names of logs in a folder, several in one string belong together; the first that is there counts.
        kind: tells the kind of a published log from what stands in it, where none has such a name.
        config: the settings.
        scratch: where stdin and what is unpacked lie.

    Yields:
        A file that was looked into.

    Raises:
        ConfigError: for a folder or an archive without such a log, and for a path that cannot be opened.
        InputError: for a file that is empty, broken or no text.
    """
    if isinstance(argument, MemoryTable):
        for option in filter(config.is_set, ("format", "separator", "skip_lines")):
            raise ConfigError(f"{option_name(option)} does not go with {argument.name}, which is a table already")
        yield _in_memory(argument, scratch)
        return
    if argument.is_dir():
        for path in _in_folder(argument, argument, published, kind):
            yield _source(path, path, str(path), config, scratch)
        return
    for path in [argument] if remote.address(argument) else log_files.expand(argument, scratch):
        name = "-" if str(argument) == "-" else remote.redacted(path) or str(path)
        inside = containers.readable(path, scratch, name)
        if not inside.is_dir():
            yield _source(path, inside, name, config, scratch)
            continue
        for member in _in_folder(inside, path, published, kind):
            found = _source(path, member, f"{name}/{member.relative_to(inside)}", config, scratch)
            yield dataclasses.replace(found, folder=member.parent)


def _in_memory(table: MemoryTable, scratch: Path) -> Source:
    """A table in memory as a file in the scratch folder."""
    found = log_files.probe(table.written(containers.fresh_folder(scratch)), table.name)
    return dataclasses.replace(found, advice=table.advice)


def item_source(path: Path | MemoryTable, config: PrepareConfig, scratch: Path, log: Source | None = None) -> Source:
    """An item file, looked into; raises as `sources`, and ConfigError for an archive of several files.

    Args:
        path: the file.
        config, scratch: as in `sources`.
        log: the log that it lies beside, where it was not named.

    Returns:
        The file.
    """
    if isinstance(path, MemoryTable):
        return _in_memory(path, scratch)
    packed = log is not None and log.folder is not None
    here = remote.redacted(path) or str(path)
    name = str(log.given / path.name) if log is not None and log.given is not None and packed else here
    inside = containers.readable(path, scratch, name)
    if inside.is_dir():
        held = shortened_names([str(each.relative_to(inside)) for each in archives.members(inside)])
        raise ConfigError(f"{path}: holds several files ({held}); unpack it and name the one with the titles")
    given = log.given if log is not None and packed else path
    found = dataclasses.replace(log_files.probe(inside, name, wanted="items with titles"), given=given)
    if config.separator is not None and separates(config.separator, found):
        found = dataclasses.replace(found, separator=config.separator)
    return preamble.skip(found)


def unread(arguments: Sequence[Path | MemoryTable], read: Sequence[Path]) -> Iterator[str]:
    """Remarks on what lies in the folders that were named, and was not read."""
    known = {os.path.realpath(path) for path in read}
    for folder in (each for each in arguments if isinstance(each, Path) and each.is_dir()):
        others = [path for path in sorted(folder.iterdir()) if path.is_file() and path.name[0] != "."]
        left = [path.name for path in others if os.path.realpath(path) not in known]
        if left:
            yield f"{folder}: not read: {shortened_names(left)}"


def parts_left_out(read: Sequence[Path]) -> Iterator[str]:
    """Warnings of the other parts of a split whose file was named, and which were not read."""
    known = {os.path.realpath(path) for path in read}
    for path in read:
        part = PART.fullmatch(path.name)
        if not part:
            continue
        beside = files_matching(path.parent, [f"{glob.escape(part[1])}.{name}.inter" for name in SPLITS])
        left = [other.name for other in beside if os.path.realpath(other) not in known]
        if left:
            others = " and ".join(left)
            yield f"{path}: is one part of a split; {others} beside it not read; name the folder to read all"
            return


def _source(given: Path, path: Path, name: str, config: PrepareConfig, scratch: Path) -> Source:
    readable = containers.readable(path, scratch, name) if path != given or given.parent != scratch else path
    found = dataclasses.replace(log_files.probe(readable, name, skip=config.skip_lines), given=given)
    if found.parquet and config.skip_lines:
        raise ConfigError(f"--skip-lines does not go with a log of the kind parquet, which {name} is")
    if config.separator is not None:
        found = dataclasses.replace(found, separator=config.separator)
    return found if config.skip_lines else preamble.skip(found)


def _in_folder(folder: Path, given: Path, published: Sequence[str], kind: Kind) -> list[Path]:
    for group in published:
        patterns = group.split()
        out = {path for each in patterns if each.startswith("-") for path in files_matching(folder, (each[1:],))}
        each = [files_matching(folder, (pattern,)) for pattern in patterns if not pattern.startswith("-")]
        found = [[path for path in paths if path not in out] for paths in each]
        if all(found):
            return [path for paths in found for path in paths]
    of_kind: dict[str, list[Path]] = {}
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        with contextlib.suppress(ConfigError, InputError):
            if name := kind(log_files.probe(path)):
                of_kind.setdefault(name, []).append(path)
    if len(of_kind) == 1:
        return next(iter(of_kind.values()))
    held = shortened_names([str(path.relative_to(folder)) for path in archives.members(folder)])
    if not held:
        raise ConfigError(f"{given}: holds no file; give the log, or the folder or archive that it lies in")
    what = "name the log file itself" if folder == given else "unpack it and name the log file itself"
    what += f", or several by a pattern in quotes, such as '{given}/*.csv'" if folder == given else ""
    raise ConfigError(f"{given}: holds none of the logs that are known by name, but {held}; {what}")
