"""The page is filled in, and is plain text to whatever shows it; `cli/test_report.py` looks at it in full."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import jinja2
import pytest
from jinja2 import meta

from eimf_core import dataset
from eimf_core.evaluation import report
from eimf_core.evaluation.config import EvalConfig
from eimf_core.evaluation.evaluate import evaluate
from eimf_core.evaluation.report import content
from tests.small_data import write_small_data
from tests.small_models import taste_vectors, write_small_model


def test_controls_and_marks_of_direction_do_not_reach_the_page() -> None:
    page = "<p>a\x1b[31m\x00b\u202ec\u2067\ufeff</p>\n\t\u200dé"
    assert report.printable(page) == "<p>a�[31m�b�c��</p>\n\t\u200dé"
    assert report.printable("<p>é</p>\n") == "<p>é</p>\n"


def test_the_page_is_filled_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    items = dataset.load_items(write_small_data(tmp_path / "data", users=12) / "items.jsonl")
    model = write_small_model(tmp_path / "model", items, taste_vectors(items, seed=1))
    settings = EvalConfig(k=[5], metrics=["ndcg"], resamples=100)
    evaluation = evaluate([model], tmp_path / "data", settings)
    values = content.page(evaluation, evaluation.sidecar(asdict(settings)), "eimf eval model data")
    monkeypatch.setattr(content, "page", lambda *_: values)
    page = report.render(evaluation, {}, "")
    assert "<h2>Comparison in NDCG@5</h2>" in page and "<pre>eimf eval model data</pre>" in page
    # those of parts that this page lacks too
    assert meta.find_undeclared_variables(jinja2.Environment().parse(report.PAGE.read_text("utf-8"))) == values.keys()
