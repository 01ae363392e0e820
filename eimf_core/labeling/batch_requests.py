"""The file of requests that an engine which answers later leaves beside the labels: `labels.requests.jsonl`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from eimf_core.errors import ConfigError, InputError
from eimf_core.io import files, jsonl, outputs, provenance
from eimf_core.labeling.engines.base import Engine

KEPT = "what was answered is kept"


def path(output: str | Path) -> Path:
    """Where the requests of an output lie; ConfigError for stdout, which has no place beside it."""
    if str(output) == "-":
        raise ConfigError("--engine batch needs -o FILE: the requests are written beside it")
    target = Path(output)
    return target.with_name(f"{target.name.removesuffix('.gz').removesuffix('.jsonl')}.requests.jsonl")


def leave(
    requests: Path, engine: Engine, describe: Callable[[], dict[str, Any]], *, unanswered: int, results: bool
) -> int:
    """Write what an engine has no answers to; without any, requests of an earlier run are removed.

    Args:
        requests: the file to write.
        engine: after it was asked everything.
        describe: gives the content of the sidecar.
        unanswered: how many users have no first answer.
        results: whether results were given.

    Returns:
        The number of requests.

    Raises:
        InputError: for results that belong to no request or cannot be read, and where some are missing.
    """
    left = engine.left()
    if left:
        jsonl.write(requests, left)
        provenance.write(requests, describe())
    else:
        for old in (requests, provenance.sidecar(requests)):
            old.unlink(missing_ok=True)
    problem = engine.problem()
    if problem is not None:
        raise InputError(f"{problem.problem}; {KEPT}", file=problem.file, line=problem.line, field=problem.field)
    if unanswered and results:
        others = f" and for {unanswered - 1:,} more" if unanswered > 1 else ""
        raise InputError(
            f"--results holds no result for this request{others}; {KEPT}: run the requests of this file, and give "
            "their results", file=requests, line=1,
        )  # fmt: skip
    return len(left)


def refuse_foreign(requests: Path, *, force: bool) -> None:
    """ConfigError where the file is no earlier run's, unless `force`."""
    outputs.refuse_foreign([requests], requests, force=force)
    files.remove_leftovers(requests)
