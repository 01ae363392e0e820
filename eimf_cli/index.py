"""Building an index and saying what it finds, for `train` and `recommend`."""

from __future__ import annotations

from pathlib import Path

from eimf_cli import terminal


def build(model: Path, *, verify: bool = False) -> None:
    """Put an index into a model directory and print its recall against exact search; `verify` it first."""
    from eimf_core import artifact
    from eimf_core.recommend.build_index import K, build_index

    if verify:
        artifact.verify(model)
    built = build_index(model, reporter=terminal.TerminalReporter())
    terminal.info(
        f"{model}: {built.probes:,} of {built.lists:,} lists are looked into, {built.share:.1%} of the items; "
        f"recall@{K} against exact search {built.recall:.3f}"
    )
