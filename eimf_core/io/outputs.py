"""The outputs of a command: what may be written over, and how several files appear together.

One rule for all steps. An output, or the sidecar beside it, is never a file that the command reads, whatever name
either has. A file that no run of eimf wrote, or that was changed since, is replaced only with `force`. A sidecar
holds the hash of its output, so that both are told apart from other files.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from eimf_core import interrupts
from eimf_core.errors import ConfigError
from eimf_core.io import files, jsonl, provenance

Given = str | Path | None


@contextlib.contextmanager
def claimed(
    outputs: Iterable[Given], *, inputs: Iterable[Given] = (), force: bool = False
) -> Iterator[Mapping[str, Path]]:
    """Lock outputs, and put all of them in their places when the block ends without an exception.

    Args:
        outputs: files to write, or "-"; None is passed over.
        inputs: what the command reads.
        force: whether files that no run of eimf wrote may be replaced.

    Yields:
        For each output, as it was given, where the block writes it and its sidecar: a scratch folder, but for
        stdout, a device or a pipe.

    Raises:
        ConfigError: for an output that may not be replaced, is written by another process, or is named twice.
    """
    given = [str(path) for path in outputs if path is not None]
    if given.count("-") > 1:
        raise ConfigError("'-' is given for two outputs, which would be mixed on stdout; give files")
    wanted = [Path(path) for path in given if path != "-"]
    places = {path: Path(path) for path in given}
    refuse_inputs(wanted, inputs)
    with contextlib.ExitStack() as stack:
        for path in wanted:
            stack.enter_context(files.locked(path))
        written = [path for path in wanted if not files.is_device(path)]
        for path in written:
            refuse_foreign([path], path, force=force)
            remove_leftovers(path)
            places[str(path)] = stack.enter_context(files.temporary_folder(path)) / path.name
        yield places
        publish([(places[str(path)], path) for path in written])


def publish(moved: Iterable[tuple[Path, Path]]) -> None:
    """Put finished files in their places, one right after the other, then their sidecars where there are any.

    A kill in between leaves the sidecar in the scratch folder, where `refuse_foreign` finds it.
    """
    pairs = [(source, target) for source, target in moved if source.exists()]
    with interrupts.deferred():
        for source, target in pairs:
            os.replace(source, files.resolved(target))
        for source, target in pairs:
            described = provenance.sidecar(source)
            if described.exists():
                with files.atomic(provenance.sidecar(target)) as stream:
                    stream.write(described.read_bytes())


def remove_leftovers(path: Path) -> None:
    """Remove temporary files that a killed run left of an output, its sidecar and its journal; under its lock."""
    for each in (path, provenance.sidecar(path), jsonl.partial(path)):
        files.remove_leftovers(each)


def refuse_common_folder(path: str | Path) -> None:
    """ConfigError for an output directory that is the root, the home directory or the current one."""
    common = {
        "/": "the root directory",
        os.path.expanduser("~"): "your home directory",
        ".": "the current directory",
    }
    found = {files.resolved(place): what for place, what in common.items()}.get(files.resolved(path))
    if found:
        raise ConfigError(f"{path}: is {found}, where other files lie; give the output a directory of its own")


def refuse_inputs(outputs: Iterable[str | Path], inputs: Iterable[Given]) -> None:
    """ConfigError where an output or its sidecar is a file that is read, is named twice, or is a directory."""
    read = {identity for path in inputs if path is not None and str(path) != "-" for identity in _identities(path)}
    taken: dict[object, str | Path] = {}
    for output in outputs:
        if files.is_device(output):
            continue
        if not Path(output).name or Path(output).is_dir():
            raise ConfigError(f"{output}: is a directory, expected a file to write")
        for path in (output, provenance.sidecar(output)):
            for identity in _identities(path):
                if identity in read:
                    raise ConfigError(f"{path}: is an input and would be overwritten; choose another output")
                if taken.setdefault(identity, output) is not output:
                    raise ConfigError(f"{path}: would be written twice; give each output its own file")


def _identities(path: str | Path) -> list[object]:
    """What tells whether two names are one file: the place that they lead to and, of a file, device and inode."""
    try:
        status = os.stat(path)
    except OSError:
        return [files.resolved(path)]
    return [files.resolved(path), (status.st_dev, status.st_ino)]


def refuse_foreign(outputs: Iterable[Path], main: Path, *, force: bool, scratch: Iterable[Path] = ()) -> None:
    """ConfigError for a file to be replaced that is no earlier run's, unless `force`.

    Args:
        outputs: the files to write, those of them that are there; an empty one holds nothing to lose.
        main: the output whose sidecar describes them all.
        force: whether they may be replaced all the same.
        scratch: folders of an earlier run that was killed, beside those that `files.temporary_folder` makes.
    """
    if force:
        return
    sidecar = provenance.sidecar(main)
    # the last run may have been killed between its output and its sidecar
    killed = [folder / sidecar.name for folder in (*files.temporary_entries(main), *scratch)]
    described = [found for path in (sidecar, *killed) if (found := provenance.hashes(path)) is not None]
    way = "choose another output, or give --force to replace it"
    if sidecar.exists() and provenance.hashes(sidecar) is None:
        raise ConfigError(f"{sidecar}: is there already, and no run of eimf wrote it; {way}")
    for path in outputs:
        if not path.exists() or not path.stat().st_size:
            continue
        if not described:
            raise ConfigError(f"{path}: is there already, and no run of eimf wrote it; {way}")
        # the sidecars of earlier versions held no hashes
        if all(described) and not any(files.sha256(path) in each.values() for each in described):
            raise ConfigError(f"{path}: was changed since eimf wrote it; {way}")
