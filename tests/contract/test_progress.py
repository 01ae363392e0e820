"""Long work tells its total and advances batch by batch up to it, so that the time left on a terminal is true."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from eimf_core.evaluation import measure
from eimf_core.evaluation.config import EvalConfig
from eimf_core.evaluation.evaluate import evaluate
from eimf_core.labeling import label
from eimf_core.labeling.config import LabelConfig
from eimf_core.progress import Reporter
from eimf_core.recommend import all_users, item_scores
from eimf_core.recommend.config import RecommendConfig
from eimf_core.recommend.query.request import RecommendRequest
from eimf_core.text import encoder
from tests.openai_endpoint import write_samples
from tests.recommend_models import write_named_model
from tests.small_data import write_small_data

USERS = 60


class Counting(Reporter):
    """`works` are name, total, and the amounts and figures of each advance."""

    def __init__(self) -> None:
        self.works: list[tuple[str, int | None, list[tuple[int, dict[str, str]]]]] = []
        self._open: list[int] = []

    def begin(self, what: str, total: int | None = None, done: int = 0) -> None:
        self._open.append(len(self.works))
        self.works.append((what, total, []))

    def advance(self, amount: int = 1, **figures: str) -> None:
        self.works[self._open[-1]][2].append((amount, figures))

    def end(self) -> None:
        self._open.pop()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("progress")
    (folder / "data").mkdir()
    write_small_data(folder / "data", users=USERS)
    write_named_model(folder / "model")
    return folder


def rank(folder: Path, reporter: Reporter) -> None:
    evaluate([folder / "model"], folder / "data", EvalConfig(k=[5], baselines="none"), reporter=reporter)


def recommend(folder: Path, reporter: Reporter) -> None:
    list(
        all_users.lines(
            folder / "model", RecommendConfig(), RecommendRequest(all_users=folder / "data"), reporter=reporter
        )
    )


def write_rows(folder: Path, reporter: Reporter) -> None:
    request = RecommendRequest(all_users=folder / "data")
    all_users.write(folder / "model", RecommendConfig(), request, folder / "rows.csv", reporter=reporter)


def ask(folder: Path, reporter: Reporter) -> None:
    config = LabelConfig(engine="keywords")
    label.label(write_samples(folder, USERS), folder / "labels.jsonl", config, reporter=reporter)


def encode(folder: Path, reporter: Reporter) -> None:
    texts = [f"title {at}" for at in range(USERS)]
    made: Any = SimpleNamespace(name="MiniLM", dimension=2)
    encoder.encode_distinct(made, texts, texts, lambda batch: np.ones((len(batch), 2), np.float32), reporter)


@pytest.mark.parametrize(
    ("work", "said", "beside"),
    [
        (rank, "ranking with", None),
        (recommend, "recommending", "rate"),
        (write_rows, "recommending", "rate"),
        (ask, "labelling", "s/user"),
        (encode, "encoding text with MiniLM", None),
    ],
)
def test_work_advances_by_batches_up_to_its_total(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    work: Callable[[Path, Reporter], None],
    said: str,
    beside: str | None,
) -> None:
    monkeypatch.setattr(measure, "block_size", lambda width: 16)
    monkeypatch.setattr(item_scores, "LARGEST_BATCH", 16)
    heard = Counting()
    work(folder, heard)
    (total, steps), *_ = [(total, steps) for what, total, steps in heard.works if what.startswith(said)]
    assert total == sum(amount for amount, _ in steps) and len(steps) >= 2
    assert beside is None or all(figures.get(beside) for _, figures in steps)
