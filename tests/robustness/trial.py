"""One input and what became of it: a command runs on it in a process of its own, within bounds of time and memory.

A `Kind` knows how to make good inputs and how to change a copy of them; a `Trial` is one changed copy, and runs
commands on it. Whatever the input, a command ends with one of the documented codes, says so in one line, touches no
other file and leaves nothing behind. What does not hold is a `Fault`.
"""

from __future__ import annotations

import os
import random
import stat
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests import in_process

CODES = (0, 2, 3, 4)
LONGEST_LINE = 2_100
MAX_STDERR = 200_000
KEPT = (".cache", ".checkpoint", ".partial", ".requests.jsonl", ".requests.jsonl.meta.json")
"""How names end that a command keeps for a later run, whatever its own end: text vectors, what an interrupted training
or labelling goes on from, and the requests of a batch."""
ENVIRONMENT = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "NO_COLOR": "1", "COLUMNS": "120", "no_proxy": "*"}


class Fault(Exception):  # noqa: N818 (the word of this folder)
    """What must not happen, in one line."""


@dataclass(frozen=True)
class Kind:
    """A kind of input.

    Attributes:
        name: one word.
        share: how many of a thousand inputs are of this kind.
        make: writes good inputs into an empty folder, once; works in a process of its own.
        trial: changes a copy of the folder and runs commands on it.
        modules: what the commands import, so that it is there before processes are forked.
        seconds: of the processor that one trial may take.
    """

    name: str
    share: int
    make: Callable[[Path], None]
    trial: Callable[[Trial], None]
    modules: tuple[str, ...] = ()
    seconds: int = 10


@dataclass
class Trial:
    """A copy of the good inputs in `folder`, to be changed with `rng`; `codes` are the exit codes of its commands."""

    folder: Path
    rng: random.Random
    codes: list[int] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)

    def eimf(
        self,
        *arguments: object,
        stdin: bytes = b"",
        outputs: Sequence[str] = (),
        kept: Sequence[str] = (),
        codes: Sequence[int] = CODES,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command in the folder and look at all that it did.

        Args:
            outputs: names in the folder of what it may write.
            kept: those of them that may stay whatever its end, since the same command goes on from there.
            codes: the exit codes that may be.

        Raises:
            Fault: for anything that no input may bring about.
        """
        self.commands.append(" ".join(map(repr, map(str, arguments))))
        before = dict(_seen(self.folder))
        temporary = self.folder.with_name("tmp")
        environment = {key: value for key, value in os.environ.items() if not key.startswith("EIMF_")}
        environment |= {**ENVIRONMENT, "TMPDIR": str(temporary)}
        environment.pop("FORCE_COLOR", None)
        done = in_process.eimf(arguments, stdin=stdin, cwd=self.folder, environment=environment)
        self.codes.append(done.returncode)
        _check_words(done, codes)
        self._check_files(before, done.returncode, outputs, kept)
        if left := sorted(os.listdir(temporary)):
            raise Fault(f"left in TMPDIR: {left}")
        return done

    def expect(self, holds: bool, problem: str) -> None:
        """Raise a Fault unless it holds."""
        if not holds:
            raise Fault(problem)

    def _check_files(self, before: dict[str, object], code: int, outputs: Sequence[str], kept: Sequence[str]) -> None:
        # what is written through a link lies where the link leads
        places = [
            os.path.relpath(os.path.realpath(self.folder / name), os.path.realpath(self.folder)) for name in outputs
        ]
        allowed = [each for name in (*outputs, *places) for each in (name, f"{name}.meta.json")]
        after = dict(_seen(self.folder))
        for name in sorted(before.keys() | after.keys()):
            if before.get(name) == after.get(name) or any(part.endswith(KEPT) for part in Path(name).parts):
                continue
            ours = any(name == each or name.startswith(f"{each}/") for each in allowed)
            if name.endswith(".partial") and ours:
                continue
            if name not in after:
                raise Fault(f"{name!r} was removed")
            if name in before:
                if not ours or code:
                    raise Fault(f"{name!r} was changed (exit {code})")
            elif not ours:
                raise Fault(f"{name!r} was left behind (exit {code})")
            elif code in (2, 3) and not name.startswith(tuple(kept)):
                raise Fault(f"{name!r} was written in spite of exit {code}")


def _seen(folder: Path) -> Iterator[tuple[str, object]]:
    """All that lies in a folder, by name, and what changes where it is written to."""
    for place, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = os.path.join(place, name)
            found = os.lstat(path)
            shown = os.path.relpath(path, folder)
            yield shown, "folder" if stat.S_ISDIR(found.st_mode) else (found.st_ino, found.st_size, found.st_mtime_ns)


def _check_words(done: subprocess.CompletedProcess[bytes], codes: Sequence[int]) -> None:
    """What a command says: nothing of Python, one line about an error, no line that is long or steers a terminal."""
    text = done.stderr.decode("utf-8", "replace")
    lines = text.split("\n")
    errors = [line for line in lines if line.startswith("eimf: ") and not line.startswith("eimf: warning")]
    if done.returncode not in codes:
        raise Fault(f"exit {done.returncode}: {' / '.join(lines)[-600:]}")
    if "Traceback" in text or "RuntimeWarning" in text:
        raise Fault(f"words of Python: {text[-600:]}")
    if len(errors) != (done.returncode != 0):
        raise Fault(f"exit {done.returncode} with {len(errors)} lines of errors: {text[-600:]}")
    if len(text) > MAX_STDERR or max(map(len, lines)) > LONGEST_LINE:
        raise Fault(f"{len(text)} characters on stderr, the longest line has {max(map(len, lines))}")
    if any(not char.isprintable() for line in lines for char in line):
        raise Fault(f"control characters on stderr: {text[-600:]!r}")
