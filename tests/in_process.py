"""The command line in this process: what `python -m eimf_cli ARGUMENTS` would write, and its exit code."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from unittest import mock

from eimf_cli import exit_codes, main, startup_notice

LIBRARIES = ("MKL_CBWR", "OMP_WAIT_POLICY")
"""Set when eimf_core.training is imported, which in this process was before; libraries read them at their first use."""


def _read_late() -> dict[str, str]:
    return {name: os.environ[name] for name in LIBRARIES if name in os.environ}


def eimf(
    arguments: Sequence[object], *, stdin: bytes, cwd: Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[bytes]:
    """Run `eimf ARGUMENTS`; standard streams, environment and working directory are as before afterwards."""
    command = [str(argument) for argument in arguments]
    with contextlib.ExitStack() as stack:
        typed, out, err = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(3))
        typed.write(stdin)
        typed.seek(0)
        stack.enter_context(mock.patch.dict(os.environ, {**_read_late(), **environment}, clear=True))
        stack.enter_context(contextlib.chdir(cwd))
        stack.enter_context(mock.patch.object(sys, "stdin", io.TextIOWrapper(typed, encoding="utf-8")))
        stack.enter_context(contextlib.redirect_stdout(io.TextIOWrapper(out, encoding="utf-8")))
        stack.enter_context(contextlib.redirect_stderr(io.TextIOWrapper(err, encoding="utf-8")))
        # whether a busy machine takes two seconds must not change what is said
        stack.enter_context(mock.patch.object(startup_notice, "SECONDS", 3600.0))
        outcome = main.execute(command)
        exit_codes.report(outcome)
        sys.stdout.flush()
        sys.stderr.flush()
        written = []
        for stream in (out, err):
            stream.seek(0)
            written.append(stream.read())
    return subprocess.CompletedProcess(["eimf", *command], outcome.code, *written)
