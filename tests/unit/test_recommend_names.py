"""Names for interests: by labels, and by words that the model directory brings or that are worked out."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import orjson
import pytest

from eimf_core import artifact
from eimf_core.errors import ModelError
from eimf_core.naming import interest_names
from eimf_core.naming.terms import item_terms, without_variants
from eimf_core.naming.word_names import DIRECTIONS, WordNames, word_names
from eimf_core.records import Item
from eimf_core.vectors import unit_rows
from tests.recommend_models import write_named_model

GROUPS = ("kettle", "hammock", "violin", "cactus", "anchor", "candle")
TALK = ("blue", "large", "new", "classic")


def grouped(each: int = 40) -> tuple[list[Item], np.ndarray]:  # type: ignore[type-arg]
    """Items of six groups on six axes; each title holds the word of its group and words that all groups share."""
    rng = np.random.default_rng(0)
    items, vectors = [], [np.zeros(8)]
    for axis, word in enumerate(GROUPS):
        for at in range(each):
            items.append(
                Item(item=f"{word}-{at}", title=f"The {TALK[at % 4].title()} {word.title()} with {TALK[at % 3]}")
            )
            vectors.append(np.eye(8)[axis] + rng.normal(size=8) * 0.1)
    return items, np.array(vectors, np.float32)


def test_directions_take_the_words_that_tell_them_from_the_others() -> None:
    items, vectors = grouped()
    made = word_names(len(items), lambda index: items[index - 1], vectors, None)
    names = interest_names.Namer(made.names, made.directions, made.of, made.means, 0.5)
    found = names.names(np.eye(8, dtype=np.float32)[:6] * 3)
    assert [(name or "").split(", ")[0] for name, _ in found] == list(GROUPS)
    assert all(similarity is not None and similarity > 0.5 for _, similarity in found)
    # where nothing lies there is no name
    assert [name for name, _ in names.names(-np.eye(8, dtype=np.float32))] == [None] * 8


def test_no_two_names_hold_the_same_words() -> None:
    rng = np.random.default_rng(2)
    items = [
        Item(item=f"{at}", title=" ".join(rng.permutation(["alpha", "beta", "gamma", "delta"]))) for at in range(300)
    ]
    vectors = rng.normal(size=(301, 6)).astype(np.float32)
    items += [Item(item=f"x{at}", title="other words of all kinds") for at in range(300)]
    vectors = np.concatenate([vectors, rng.normal(size=(300, 6)).astype(np.float32)])
    made = word_names(600, lambda index: items[index - 1], vectors, np.ones(601, np.float32))
    assert len({frozenset(name.split(", ")) for name in made.names}) == len(made.names) > 1
    assert len(made.of) <= min(600, DIRECTIONS) and set(made.of.tolist()) == set(range(len(made.names)))
    np.testing.assert_allclose(np.linalg.norm(made.means, axis=1), 1, rtol=1e-5)


def test_means_are_those_of_all_items_that_carry_the_words() -> None:
    items, vectors = grouped()
    made = word_names(len(items), lambda index: items[index - 1], vectors, None)
    for name, mean in zip(made.names, made.means, strict=True):
        carrying = [at for at, item in enumerate(items, start=1) if set(item_terms(item)) & set(name.split(", "))]
        np.testing.assert_allclose(
            mean, unit_rows(unit_rows(vectors)[carrying].sum(axis=0, keepdims=True))[0], atol=1e-5
        )


def test_a_model_without_labels_brings_its_words_and_an_older_one_finds_the_same(tmp_path: Path) -> None:
    path = write_named_model(tmp_path / "model", named=False)
    brought = artifact.open_model(path)
    assert brought.words is not None and len(brought.words["directions"])
    shutil.copytree(path, tmp_path / "older")
    (tmp_path / "older" / "words.safetensors").unlink()
    manifest = orjson.loads((path / "manifest.json").read_bytes())
    del manifest["files"]["words.safetensors"]
    (tmp_path / "older" / "manifest.json").write_bytes(orjson.dumps(manifest))
    older = artifact.open_model(tmp_path / "older")
    assert older.words is None
    interests = brought.vectors[1:]
    names = interest_names.open_namer(brought, 0.3).names(interests)
    assert names == interest_names.open_namer(older, 0.3).names(interests)
    assert names[brought.catalogue.index("yarn-1") - 1][0].split(", ")[0] == "yarn"  # type: ignore[union-attr]
    assert artifact.open_model(write_named_model(tmp_path / "labelled")).words is None


def test_a_model_that_brings_words_reads_no_titles_for_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = artifact.open_model(write_named_model(tmp_path / "model", named=False))
    monkeypatch.setattr(type(model.catalogue), "item", lambda *_: pytest.fail("an item was read"))
    assert interest_names.open_namer(model, 0.3).names(model.vectors[1:3])


@pytest.mark.parametrize("change", ["of", "directions", "means", "names"])
def test_words_that_do_not_fit_are_told_in_one_line(tmp_path: Path, change: str) -> None:
    path = write_named_model(tmp_path / "model", named=False)
    brought = artifact.open_model(path).words
    assert brought is not None
    arrays = {**brought}
    arrays[change] = arrays[change][:-1] if change != "of" else arrays[change] + len(arrays["means"])
    artifact.add_arrays(path, "words.safetensors", arrays, {})
    with pytest.raises(ModelError, match=r"words\.safetensors holds no names for this model"):
        interest_names.open_namer(artifact.open_model(path), 0.3)


def test_vectors_that_are_no_numbers_give_no_names_and_no_error() -> None:
    items, vectors = grouped(2)
    vectors[3] = np.nan
    made = word_names(len(items), lambda index: items[index - 1], vectors, None)
    assert made.names == [] and interest_names.Namer(made.names, made.directions, made.of, made.means, 0).names(
        vectors[:2]
    ) == [
        (None, None),
        (None, None),
    ]
    back = WordNames.from_arrays(made.arrays(), 8)
    assert back.names == [] and back.directions.shape == (0, 8)


def test_names_hold_no_joining_words_and_no_word_twice() -> None:
    assert item_terms(Item(item="1", title="The Lord of the Rings and the Two Towers", categories=["The Arts"])) == [
        "The Arts",
        "lord",
        "rings",
        "towers",
    ]
    assert without_variants(["Plates", "konad", "plate", "konads", "stamping", "x"], 3) == [
        "Plates",
        "konad",
        "stamping",
    ]
    assert without_variants(["one"], 3) == ["one"]


def test_the_items_with_its_words_count_half_as_much_as_a_direction() -> None:
    """Of two directions the one whose items lie near to the interest wins, by so much."""
    directions = np.array([[1, 0, 0], [0, 1, 0]], np.float32)
    means = np.array([[0, 0, 1], [0, 1, 0]], np.float32)

    class Model:
        name, factors = "model", SimpleNamespace(naming_width=3)
        words = WordNames(["far", "near"], directions, np.arange(2, dtype=np.int32), means).arrays()

    def names(first: float) -> list[str | None]:
        interest = np.array([[first, 1, 0]], np.float32)
        return [name for name, _ in interest_names.namer_by_words(Model, -1).names(interest)]  # type: ignore[arg-type]

    # the cosine with `near` counts 1 + 0.5 times, that with `far` once
    assert names(1.45) == ["near"] and names(1.55) == ["far"]
