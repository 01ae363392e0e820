"""The files that `cluster` writes: samples, and a line for each cluster."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from eimf_core import dataset
from eimf_core.clustering import stdin_data
from eimf_core.clustering.cluster import cluster_users
from eimf_core.clustering.config import ClusterConfig
from eimf_core.io import jsonl, outputs, provenance
from eimf_core.progress import SILENT, Reporter
from eimf_core.records import Cluster


@dataclass(frozen=True)
class WrittenSamples:
    """What was written: `samples` of the `users` of the training lines, and the `clusters`, the largest first."""

    output: str | Path
    samples: int
    users: int
    clusters: list[Cluster]


def write(
    directory: str | Path, output: str | Path, settings: ClusterConfig, *, summary: str | Path | None = None,
    force: bool = False, reporter: Reporter = SILENT,
) -> WrittenSamples:  # fmt: skip
    """Choose representative users and write them, with what each cluster is about.

    Args:
        directory: that prepare wrote; "-" is both its files on stdin.
        output: of Sample lines; "-" is stdout.
        settings: of the choice.
        summary: a file for Cluster lines.
        force: whether files that no run of eimf wrote may be replaced.
        reporter: hears of progress and remarks.

    Returns:
        How many samples were written, and what the clusters are about.

    Raises:
        ConfigError, InputError, ModelError: as `cluster_users`, and for outputs that may not be written.
    """
    with (
        outputs.claimed([output, summary], inputs=dataset.files_of(Path(directory)), force=force) as places,
        stdin_data.directory(Path(directory)) as read,
    ):
        found = cluster_users(read, settings, reporter)
        sidecar = found.sidecar(settings)
        if summary is not None:
            jsonl.write(places[str(summary)], found.summaries)
            provenance.write(places[str(summary)], sidecar)
        count = jsonl.write(places[str(output)], found.samples())
        provenance.write(places[str(output)], sidecar)
    return WrittenSamples(output, count, int(found.facts["users"]), found.summaries)
