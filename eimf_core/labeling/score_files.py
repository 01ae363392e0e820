"""The file that `score` writes: how good each of several files of labels is, against one truth."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from eimf_core.errors import ConfigError
from eimf_core.io import jsonl, outputs, provenance
from eimf_core.labeling import scoring
from eimf_core.labeling.config import ScoreConfig
from eimf_core.records import LabelQuality
from eimf_core.text.loading import open_encoder

INTERESTS = 4
"""Of a label, about: it says how many texts there will be."""


def write(
    labels: Sequence[Path], output: Path | None, settings: ScoreConfig, *, samples: Path, truth: Path,
    force: bool = False,
) -> list[LabelQuality]:  # fmt: skip
    """Score files of labels, and write a line for each where it is wanted.

    Args:
        labels: files of Label lines.
        output: of LabelQuality lines, "-" for stdout; None: nowhere.
        settings: of the comparison.
        samples: that were labelled.
        truth: the interest or the categories of each item.
        force: whether a file that no run of eimf wrote may be replaced.

    Returns:
        The quality of each file, in their order.

    Raises:
        ConfigError: stdin is given twice, there is no such encoder, or the output may not be written.
        InputError: as `scoring.truth` and `scoring.score`.
    """
    read: list[str | Path] = [path for path in (samples, truth, settings.truth_users, *labels) if path is not None]
    if list(map(str, read)).count("-") > 1:
        raise ConfigError("'-' is given for several inputs, but stdin can be read only once; give a file")
    with outputs.claimed([output], inputs=read, force=force) as places:
        known = scoring.truth(samples, truth, settings.truth_users)
        encoder = open_encoder(settings.encoder, INTERESTS * len(known.of_sample) * len(labels) + len(known.names))
        found = [scoring.score(path, known, encoder) for path in labels]
        if output is not None:
            jsonl.write(places[str(output)], found)
            arguments = {"labels": labels, "samples": samples, "truth": truth, **dataclasses.asdict(settings)}
            described = provenance.describe(command="score", arguments=arguments, inputs=read)
            provenance.write(places[str(output)], described)
    return found
