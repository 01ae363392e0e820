"""The last line of a command that ran with -v: versions, seed, time and memory."""

from __future__ import annotations

import contextlib
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from platform import python_version
from typing import Any

PACKAGES = {
    "numpy": "numpy", "torch": "torch", "onnxruntime": "onnxruntime", "duckdb": "duckdb", "sklearn": "scikit-learn",
    "sentence_transformers": "sentence-transformers", "llama_cpp": "llama-cpp-python",
}  # fmt: skip


def run_summary(seconds: float, seed: Any) -> str:
    """One line.

    Args:
        seconds: wall-clock time of the command.
        seed: its seed, None where nothing is drawn.
    """
    versions = [f"eimf {installed('eimf')}", f"Python {python_version()}"]
    versions += [f"{package} {installed(package)}" for module, package in PACKAGES.items() if module in sys.modules]
    drawn = "" if seed is None else f"seed {seed}; "
    return f"{', '.join(versions)}; {drawn}{seconds:.1f} s, {_used()}"


def _used() -> str:
    """Processor time and memory, of the processes that were started too where the system tells."""
    with contextlib.suppress(ImportError):
        import resource

        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        cpu = sum(each.ru_utime + each.ru_stime for each in used)
        unit = 1 if sys.platform == "darwin" else 1024
        peak = max(each.ru_maxrss for each in used) * unit / 2**20
        return f"{cpu:.1f} s of CPU time, {peak:,.0f} MiB of memory at most"
    # Windows
    return f"{time.process_time():.1f} s of CPU time"


def installed(package: str) -> str:
    """The version of a package."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "from source"
