"""What a person at a terminal may type next, where it has to be looked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from eimf_cli import terminal
from eimf_core.errors import EimfError

if TYPE_CHECKING:
    from eimf_core.recommend.query.request import RecommendRequest


def ask(model: Path, *options: str) -> None:
    """A question to a model, about the item that most users had."""
    if not terminal.shows_next_steps():
        return
    from eimf_core.model_directory import artifact

    try:
        opened = artifact.open_model(model)
        item = opened.catalogue.item(max(range(1, len(opened.catalogue) + 1), key=lambda at: int(opened.counts[at])))
    except EimfError:
        return
    terminal.next_step("recommend", model, "--items", item.item, *options)


def explain(model: Path, request: RecommendRequest, line: bytes) -> None:
    """Say how to ask why the first item stands in an answer, where that was not asked yet.

    Args:
        model: the directory.
        request: what was asked.
        line: the answer, as JSON.
    """
    if not terminal.shows_next_steps() or not terminal.stdout_is_terminal() or request.explain is not None:
        return
    answer = orjson.loads(line)
    if answer["items"] and answer["interests"]:
        history = {"--user": request.user, "--sequences": request.sequences, "--text": request.text}
        asked = [part for option, value in history.items() if value is not None for part in (option, str(value))]
        asked += ["--items", ",".join(request.items)] if request.items else []
        asked += [part for title in request.like for part in ("--like", title)]
        terminal.next_step("recommend", model, *asked, "--explain", answer["items"][0]["item"])


def train(samples: Path, labels: Path) -> None:
    """Training with labels, on the data that the samples are of."""
    terminal.next_step("train", _data_of(samples), "--labels", labels, "-o", "model/")


def report(models: Sequence[Path], directory: Path) -> None:
    """A page about models."""
    terminal.next_step("eval", *models, directory, "--report", "report.html")


def _data_of(samples: Path) -> str:
    """The prepared directory that samples were chosen from, as their sidecar tells."""
    from eimf_core.io import provenance

    read = [Path(path) for path in provenance.inputs(samples)]
    return next((str(path.parent) for path in read if path.name == "sequences.jsonl" and path.exists()), "data/")
