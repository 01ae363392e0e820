"""The output directory: a locked scratch folder inside it, and files that take their places at the end."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from eimf_core import interrupts
from eimf_core.errors import ConfigError
from eimf_core.io import files, outputs, provenance, system_files

SCRATCH = ".prepare.tmp"
SEQUENCES, ITEMS, REJECTS = "sequences.jsonl", "items.jsonl", "rejects.jsonl"


@contextlib.contextmanager
def output_folder(output: Path, *, force: bool) -> Iterator[Path]:
    """A scratch folder inside the output, which is locked; both are gone afterwards if they were not there.

    Raises:
        ConfigError: where the output is a directory of other files, such as the current one, or holds files of these
            names that no run of eimf wrote, unless `force`.
    """
    outputs.refuse_common_folder(output)
    if output.exists() and not output.is_dir():
        raise ConfigError(f"{output}: is a file, expected a directory to write")
    with files.locked(output / SEQUENCES):
        scratch = output / SCRATCH
        written = [output / name for name in (SEQUENCES, ITEMS, REJECTS)]
        outputs.refuse_foreign(written, written[0], force=force, scratch=[scratch])
        # what a killed run left behind
        shutil.rmtree(scratch, ignore_errors=True)
        try:
            scratch.mkdir()
            yield scratch
        finally:
            with interrupts.deferred():
                shutil.rmtree(scratch, ignore_errors=True)


def publish(scratch: Path, output: Path) -> None:
    """Move the finished files into place, so that a kill leaves the old set, none, or the new one.

    `sequences.jsonl` goes first and comes last: without it there is no data set. The sidecar that describes a file
    is there as long as the file, in its place or in the scratch folder.
    """
    sidecar = provenance.sidecar(SEQUENCES).name
    with interrupts.deferred():
        (output / SEQUENCES).unlink(missing_ok=True)
        if not (scratch / REJECTS).exists():
            (output / REJECTS).unlink(missing_ok=True)
        for name in (REJECTS, ITEMS, sidecar, SEQUENCES):
            if (scratch / name).exists():
                system_files.sync(scratch / name)
                os.replace(scratch / name, output / name)
        system_files.sync(output)
