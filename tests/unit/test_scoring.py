"""Labels against a truth: what counts as true, as found and as right, worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest

from eimf_core.errors import InputError
from eimf_core.io import jsonl
from eimf_core.labeling import scoring
from eimf_core.numeric.arrays import Floats
from eimf_core.records import HistoryItem, Item, Label, Sample, SemanticInterest, TrueInterest, TrueItem, TrueUser
from tests.unit.test_text import WordEncoder

THEMES = {"t": "tea", "y": "yarn", "f": "fish"}


class WideWords(WordEncoder):
    dimension = 256


def sample(user: str, items: str) -> Sample:
    history = [HistoryItem(item=item, title=item) for item in items.split()]
    return Sample(key=user, user=user, cluster=0, cluster_size=1, distance=0.0, history=history)


def label(user: str, *interests: tuple[str, str], **more: object) -> Label:
    made = [SemanticInterest(name=name, items=items.split()) for name, items in interests]
    settings = {"attempts": 1, "engine": "server", "model": "x", "prompt_sha256": "0", **more}
    return Label(
        key=user, request="", user=user, cluster=0, interests=made, items_by="model", seed=0, seconds=0.0,
        **settings,  # type: ignore[arg-type]
    )  # fmt: skip


def written(folder: Path, name: str, records: Sequence[object]) -> Path:
    jsonl.write(folder / name, records)  # type: ignore[arg-type]
    return folder / name


@pytest.fixture
def truth(tmp_path: Path) -> scoring.Truth:
    """a: tea (3) and yarn (2), one fish; b: fish; c: yarn by the items, but really after tea."""
    items = [TrueItem(item=f"{at}{n}", interest=theme) for at, theme in THEMES.items() for n in range(4)]
    users = [
        TrueUser(user=user, interests=[TrueInterest(name=name) for name in names.split()])
        for user, names in (("a", "tea yarn fish"), ("b", "fish unheard"), ("c", "tea"))
    ]
    samples = [sample("a", "t1 t2 t3 y1 y2 f1"), sample("b", "f1 f2 f1"), sample("c", "y1 y2 t1")]
    return scoring.truth(
        written(tmp_path, "samples", samples), written(tmp_path, "items", items), written(tmp_path, "users", users)
    )


def test_true_is_what_a_user_has_and_the_history_shows(truth: scoring.Truth) -> None:
    named = {user: {truth.names[at] for at in names} for user, names in truth.of_sample.items()}
    assert named == {"a": {"tea", "yarn"}, "b": {"fish"}, "c": set()}


def test_figures_by_hand(truth: scoring.Truth, tmp_path: Path) -> None:
    labels = [
        label("a", ("tea leaves", "t1 t2 y1"), ("black tea", "t3"), ("boats", "f1")),
        label("b", ("fish tank", "f1 f2"), attempts=2),
        label("c", ("tea", "t1")),
        label("stranger", ("tea", "t1")),
    ]
    found = scoring.score(written(tmp_path, "labels", labels), truth, WideWords())
    assert found.users == 2 and found.left_out == {"no sample": 1, "no true interest": 1}
    # found: tea of a (once, though two name it) and fish of b; true: tea, yarn, fish; named: 4
    assert (found.precision, found.recall) == (0.5, 0.6667)
    assert found.f1 == round(2 * 0.5 * (2 / 3) / (0.5 + 2 / 3), 4)
    assert found.first_try == 0.5 and found.errors == 0
    by_hand = [msgspec.structs.replace(each, prompt_sha256=None) for each in labels]
    assert scoring.score(written(tmp_path, "by-hand", by_hand), truth, WideWords()).first_try is None
    # t1 t2 t3 f1 f2 of seven; boats stands for nothing
    assert found.items_right == round(5 / 7, 4)
    # a's labels for b and b's for a find nothing
    assert found.by_chance == 0.0


@pytest.mark.parametrize(("cosine", "recall"), [(0.26, 1.0), (0.24, 0.0)])
def test_a_label_stands_for_a_true_interest_from_a_cosine_of_a_quarter_on(
    truth: scoring.Truth, tmp_path: Path, cosine: float, recall: float
) -> None:
    class Near(WordEncoder):
        def encode(self, texts: Sequence[str], *_: object) -> Floats:
            vectors = {"fish": [0.0, 1.0], "tank": [(1 - cosine**2) ** 0.5, cosine]}
            return np.array([vectors.get(text, [0.0, -1.0]) for text in texts], np.float32)

    found = scoring.score(written(tmp_path, "labels", [label("b", ("tank", "f1"))]), truth, Near())
    assert found.recall == recall


def test_chance_is_what_the_labels_of_all_others_find_whatever_the_order(truth: scoring.Truth, tmp_path: Path) -> None:
    everyone = scoring.Truth(truth.names, {**truth.of_sample, "c": {truth.names.index("tea")}}, truth.about)
    labels = [
        label("a", ("tea leaves", "t1"), ("yarn", "y1")),
        label("b", ("tea", "t1"), ("fish tank", "f1")),
        label("c", ("black tea", "t1"), ("yarn", "y1")),
    ]
    # of a's two b finds one and c both, of c's one a finds it and b does, b's fish finds nobody: 5 in 2 x 4
    for order in (labels, labels[::-1], labels[1:] + labels[:1]):
        assert scoring.score(written(tmp_path, "labels", order), everyone, WideWords()).by_chance == 0.625
    assert scoring.score(written(tmp_path, "labels", labels[:1]), everyone, WideWords()).by_chance == 0.0


def test_a_label_with_an_error_finds_nothing_and_is_counted(truth: scoring.Truth, tmp_path: Path) -> None:
    labels = [label("a", error="no answer"), label("b", ("fish", "f1"))]
    found = scoring.score(written(tmp_path, "labels", labels), truth, WideWords())
    assert (found.errors, found.first_try, found.precision, found.recall) == (1, 0.5, 1.0, 0.3333)
    nothing = scoring.score(written(tmp_path, "none", [label("a", error="no answer")]), truth, WideWords())
    assert (nothing.precision, nothing.recall, nothing.f1, nothing.items_right) == (0.0, 0.0, 0.0, None)


def test_categories_stand_in_where_they_hold_a_fifth_of_the_history(tmp_path: Path) -> None:
    items = [Item(item=f"i{at}", title="x", categories=["drama", "war"] if at < 3 else ["drama"]) for at in range(20)]
    samples = [sample("a", " ".join(f"i{at}" for at in range(20))), sample("b", "i0 i1 i5 i6"), sample("c", "i0 i9")]
    made = scoring.truth(written(tmp_path, "samples", samples), written(tmp_path, "items", items))
    named = {user: {made.names[at] for at in names} for user, names in made.of_sample.items()}
    assert named == {"a": {"drama"}, "b": {"drama", "war"}, "c": {"drama"}}


def test_nothing_to_compare_is_said(truth: scoring.Truth, tmp_path: Path) -> None:
    samples = written(tmp_path, "samples", [sample("a", "i0")])
    with pytest.raises(InputError, match="categories"):
        scoring.truth(samples, written(tmp_path, "items", [Item(item="i0", title="x")]))
    with pytest.raises(InputError, match="no label is of a user"):
        scoring.score(written(tmp_path, "labels", [label("stranger", ("tea", "t1"))]), truth, WideWords())
