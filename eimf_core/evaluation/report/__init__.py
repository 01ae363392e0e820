"""One self-contained HTML page of an evaluation: tables, plots as inline SVG, examples.

The page loads nothing: no script, no font, no image from elsewhere, and its own policy forbids
them. Everything that comes from data is escaped, by jinja2 in the page and by matplotlib in plots.

`content` puts together what stands on it: `tables`, `plots`, `run_facts` (how to do it again), `sampled_users` and
`interest_map` (a model from inside) and `unrecommended_items`.
"""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

from eimf_core.evaluation.evaluate import Evaluation
from eimf_core.evaluation.report import content
from eimf_core.io import files
from eimf_core.progress import SILENT, Reporter
from eimf_core.text_cleaning import INVISIBLE, JOINERS

PAGE = Path(__file__).with_name("page.html")


def write(
    path: str | Path, evaluation: Evaluation, sidecar: dict[str, Any], command: str, *, reporter: Reporter = SILENT
) -> None:
    """Write the page whole or not at all.

    Args:
        path: the file.
        evaluation: what was measured.
        sidecar: its provenance, from `Evaluation.sidecar`.
        command: the command line that makes the page again, for people to read.
        reporter: hears of progress.
    """
    reporter.begin("drawing the report")
    try:
        page = render(evaluation, sidecar, command)
    finally:
        reporter.end()
    with files.atomic(path) as stream:
        # an id may hold half a surrogate pair, which no UTF-8 file can
        stream.write(page.encode("utf-8", "replace"))


def render(evaluation: Evaluation, sidecar: dict[str, Any], command: str) -> str:
    """The page of a report.

    Args:
        evaluation: what was measured.
        sidecar: its provenance.
        command: the command line that makes the page again.

    Returns:
        HTML as text, without invisible characters of item texts.
    """
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(PAGE.read_text(encoding="utf-8"))
    return printable(template.render(content.page(evaluation, sidecar, command)))


def printable(page: str) -> str:
    """The page with U+FFFD for what neither a terminal nor a reader should meet: controls and marks of direction."""
    kept = f"\n\t{JOINERS}"
    hidden = {char for char in set(page) if unicodedata.category(char) in INVISIBLE and char not in kept}
    return page.translate({ord(char): "\ufffd" for char in hidden})
