"""`eimf cluster`: a prepared directory to representative users, a few per cluster."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eimf_cli import progress_bars, terminal
from eimf_cli.options import Force, step
from eimf_core.clustering.config import ClusterConfig
from eimf_core.errors import counted

if TYPE_CHECKING:
    from eimf_core.records import Cluster, HistoryItem

app = typer.Typer(rich_markup_mode=None, add_completion=False)
SHOWN = 10
"""Clusters that are shown; --summary has all."""
TITLE_LENGTH = 48


@step(app, example="eimf cluster data/ --budget 10% -o samples.jsonl", settings=ClusterConfig)
def cluster(
    *,
    directory: Annotated[
        Path, typer.Argument(metavar="DIR|-", help="Directory that prepare wrote; - is both its files on stdin.")
    ],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE|-", help="Write Sample lines here; - is stdout.")
    ] = "-",
    summary: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a Cluster line per cluster here, as shown on stderr.")
    ] = None,
    force: Force = False,
    settings: ClusterConfig,
) -> None:
    """Cluster users by the text of their items and choose representative ones for label to describe.

    Item text is encoded once and kept in DIR/.cache. Only training lines count. The
    representative users of a cluster are those nearest to its centre with rich histories, none nearly
    repeating another.

    With --clusters auto, numbers from 2 to 128 are tried on a sample of users; the fewest clusters are
    taken that bring held-out users to 90 % of the best mean cosine to their nearest centre.
    """
    from eimf_core.clustering import sample_files

    done = sample_files.write(
        directory, output, settings, summary=summary, force=force, reporter=progress_bars.TerminalReporter()
    )
    _table(done.clusters)
    place = "" if output == "-" else f"{output}: "
    clusters = counted(len(done.clusters), "cluster")
    terminal.info(f"{place}{done.samples:,} representative users of {done.users:,} in {clusters}")
    if output != "-":
        terminal.next_step("label", output, "--engine", "keywords", "-o", "labels.jsonl")


def _table(summaries: list[Cluster]) -> None:
    rows = [
        (line.cluster, line.size, line.samples, ", ".join(line.words), "; ".join(map(_short, line.items[:3])))
        for line in summaries[:SHOWN]
    ]
    more = f" (the {SHOWN} largest of {len(summaries)}; --summary FILE has all)" if len(summaries) > SHOWN else ""
    terminal.table(
        f"clusters{more}", ["cluster", "users", "chosen", "distinctive words", "nearest items"], rows, to_stderr=True
    )


def _short(item: HistoryItem) -> str:
    from eimf_core.text_cleaning import shortened

    return shortened(item.title, TITLE_LENGTH)
