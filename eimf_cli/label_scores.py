"""`eimf label SAMPLES --score LABELS`: how many true interests labels recover, several files side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from eimf_cli import terminal
from eimf_core import files, jsonl
from eimf_core.errors import ConfigError

COLUMNS = ("labels", "engine", "users", "first try", "precision", "recall", "f1", "by chance", "items right")


def show(
    samples: Path, labels: Sequence[Path], items: Path | None, users: Path | None, encoder: str | None, output: Path
) -> None:
    """A table, and LabelQuality lines to `output` unless that is the terminal."""
    if items is None:
        raise ConfigError("--score needs --truth FILE: items with an interest or categories, such as items.jsonl")
    files.refuse_input_as_output(output, (samples, items, users, *labels))
    from eimf_core.labeling import scoring
    from eimf_core.text.loading import open_encoder

    truth = scoring.truth(samples, items, users)
    # about four interests a label, and the true names
    opened = open_encoder(encoder, 4 * len(truth.of_sample) * len(labels) + len(truth.names))
    scores = [scoring.score(path, truth, opened) for path in labels]
    on_screen = str(output) == "-" and terminal.stdout_is_terminal()
    if str(output) != "-":
        with files.locked(output):
            jsonl.write(output, scores)
    elif not on_screen:
        jsonl.write("-", scores)
    rows = [
        (s.labels, s.engine, s.users, s.first_try, s.precision, s.recall, s.f1, s.by_chance, s.items_right)
        for s in scores
    ]
    terminal.table("true interests recovered", COLUMNS, rows, to_stderr=not on_screen)
