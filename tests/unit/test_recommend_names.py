"""Names for what is recommended: groups of items, what they are called, and what a list is told to come from."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import orjson
import pytest

from eimf_core.errors import ModelError
from eimf_core.model_directory import artifact
from eimf_core.naming import group_names, interest_names, item_groups
from eimf_core.naming.group_names import named_groups
from eimf_core.naming.interest_names import Namer
from eimf_core.naming.item_groups import GroupName, ItemGroups
from eimf_core.naming.terms import item_terms, without_variants
from eimf_core.numeric.vectors import unit_rows
from eimf_core.recommend import attribution, interest_splitting
from eimf_core.recommend.results import RankedList
from eimf_core.records import Item, SemanticInterest
from tests.recommend_models import write_named_model

KINDS = ("kettle", "hammock", "violin", "cactus", "anchor", "candle")
TALK = ("blue", "large", "new", "classic")
NOTHING = np.zeros((0, 8), np.float32)


def grouped(each: int = 40) -> tuple[list[Item], np.ndarray]:  # type: ignore[type-arg]
    """Items of six kinds on six axes; each title holds the word of its kind and words that all kinds share."""
    rng = np.random.default_rng(0)
    items, vectors = [], [np.zeros(8)]
    for axis, word in enumerate(KINDS):
        for at in range(each):
            items.append(
                Item(item=f"{word}-{at}", title=f"The {TALK[at % 4].title()} {word.title()} with {TALK[at % 3]}")
            )
            vectors.append(np.eye(8)[axis] + rng.normal(size=8) * 0.1)
    return items, np.array(vectors, np.float32)


def groups_of_kinds(*names: str | None) -> ItemGroups:
    """A group of three items on an axis for each name."""
    width = len(names)
    of = np.repeat(np.arange(-1, width), [1, *[3] * width]).astype(np.int32)
    near = np.linspace(1, 0.7, len(of)).astype(np.float32)
    return ItemGroups(of, near, np.eye(width, dtype=np.float32), [GroupName(name=name) for name in names])


def test_groups_take_the_words_that_tell_them_from_the_others() -> None:
    items, vectors = grouped()
    made = named_groups(len(items), lambda index: items[index - 1], vectors, None, [], NOTHING)
    assert len(made) <= item_groups.number(len(items))
    namer = Namer(made, 0.5)
    for at, item in enumerate(items, start=1):
        name, near = namer.of_items([at])
        assert name is not None and item.item.split("-")[0] in name.split(", "), item
        assert near == pytest.approx(float(made.centres[made.of[at]] @ unit_rows(vectors[at])), abs=1e-4)
    # where nothing lies there is no name
    assert [name for name, _ in namer.of_vectors(-np.eye(8, dtype=np.float32))] == [None] * 8
    again = named_groups(len(items), lambda index: items[index - 1], vectors, None, [], NOTHING)
    assert again.names == made.names and np.array_equal(again.centres, made.centres)


@pytest.mark.parametrize(("cosine", "name"), [(0.41, "chamber music"), (0.39, None)])
def test_a_label_names_a_group_from_a_cosine_of_four_tenths_on(cosine: float, name: str | None) -> None:
    vector = np.array([[cosine, 0, (1 - cosine**2) ** 0.5]], np.float32)
    groups = groups_of_kinds("a", "b", None)
    groups = ItemGroups(groups.of, groups.near, np.eye(3, dtype=np.float32)[:2], groups.names[:2])
    assert group_names.labels(groups, [SemanticInterest(name="chamber music")], vector) == [name, None]


def test_groups_take_the_names_of_labels_that_are_near_and_words_elsewhere() -> None:
    items, vectors = grouped()
    label = np.eye(8, dtype=np.float32)[[2]]
    interests = [SemanticInterest(name="chamber music")]
    made = named_groups(len(items), lambda index: items[index - 1], vectors, None, interests, label)
    for at, item in enumerate(items, start=1):
        told = made.names[made.of[at]]
        assert (told.name == "chamber music") == (told.by == "labels") == item.item.startswith("violin"), item


def test_the_members_of_a_group_come_by_their_distance() -> None:
    items, vectors = grouped()
    made = item_groups.group(len(items), vectors, None)
    members = [made.members(at) for at in range(len(made))]
    assert sorted(np.concatenate(members).tolist()) == list(range(1, len(items) + 1))
    assert all(np.all(np.diff(made.near[own]) <= 0) for own in members)


def test_names_stay_with_their_items_when_vectors_change() -> None:
    items, vectors = grouped()
    made = item_groups.group(len(items), vectors, None)
    made = made.named([GroupName(name=f"group {at}", by="answer") for at in range(len(made))])
    # the space is turned, a third of the items is gone, and two are new
    turned = vectors @ np.linalg.qr(np.random.default_rng(1).normal(size=(8, 8)))[0].astype(np.float32)
    places = np.where(np.arange(len(items)) % 3 > 0, np.cumsum(np.arange(len(items)) % 3 > 0), 0)
    kept = np.flatnonzero(places)
    today = np.concatenate([turned[:1], turned[kept + 1], turned[[1, 200]]])
    found = item_groups.transferred(made, places, today, None)
    assert found is not None
    before = [made.names[made.of[at + 1]].name for at in kept] + [made.names[made.of[at]].name for at in (1, 200)]
    assert [found.names[at].name for at in found.of[1:]] == before
    # where most items are new the groups are made anew
    assert item_groups.transferred(made, np.where(np.arange(len(items)) < 20, places, 0), today, None) is None
    today[3] = np.nan
    assert item_groups.transferred(made, places, today, None) is None


def test_a_model_brings_its_groups_and_an_older_one_finds_the_same(tmp_path: Path) -> None:
    path = write_named_model(tmp_path / "model", named=False)
    brought = artifact.open_model(path)
    assert brought.item_groups is not None
    shutil.copytree(path, tmp_path / "older")
    (tmp_path / "older" / item_groups.PART).unlink()
    manifest = orjson.loads((path / "manifest.json").read_bytes())
    del manifest["files"][item_groups.PART]
    (tmp_path / "older" / "manifest.json").write_bytes(orjson.dumps(manifest))
    # a file of names that older versions wrote is passed over
    artifact.add_arrays(tmp_path / "older", "words.safetensors", {"of": np.zeros(3, np.int32)}, {})
    older = artifact.open_model(tmp_path / "older")
    assert older.item_groups is None
    namer, same = interest_names.open_namer(brought, 0.3), interest_names.open_namer(older, 0.3)
    assert namer.names == same.names and np.array_equal(namer.name_of, same.name_of)
    name, _ = namer.of_items([brought.catalogue.index("yarn-1")])
    assert name is not None and "yarn" in name.split(", ")


def test_a_model_that_brings_groups_reads_no_titles_for_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = artifact.open_model(write_named_model(tmp_path / "model", named=False))
    monkeypatch.setattr(type(model.catalogue), "item", lambda *_: pytest.fail("an item was read"))
    assert interest_names.open_namer(model, 0.3).of_items([1, 2])


@pytest.mark.parametrize("change", ["of", "near", "centres", "names", "number"])
def test_groups_that_do_not_fit_are_told_in_one_line(tmp_path: Path, change: str) -> None:
    path = write_named_model(tmp_path / "model", named=False)
    brought = artifact.open_model(path).item_groups
    assert brought is not None
    arrays = {**brought}
    if change == "number":
        arrays["of"] = arrays["of"] + 99
    else:
        arrays[change] = arrays[change][:-1]
    artifact.add_arrays(path, item_groups.PART, arrays, {})
    with pytest.raises(ModelError, match=r"item_groups\.safetensors holds no groups of its items; train it again"):
        interest_names.open_namer(artifact.open_model(path), 0.3)


def test_vectors_that_are_no_numbers_give_no_names_and_no_error() -> None:
    items, vectors = grouped(2)
    vectors[3] = np.nan
    made = named_groups(len(items), lambda index: items[index - 1], vectors, None, [], NOTHING)
    assert made.names == [] and Namer(made, 0).of_vectors(vectors[:2]) == [(None, None), (None, None)]
    assert Namer(made, 0).of_items([1, 2]) == (None, 0.0)
    back = ItemGroups.from_arrays(made.arrays(), len(items), 8)
    assert back.names == [] and back.centres.shape == (0, 8)


def test_items_after_training_join_the_nearest_group(tmp_path: Path) -> None:
    model = artifact.open_model(write_named_model(tmp_path / "model"))
    yarn = model.catalogue.index("yarn-2")
    model.append_items(model.vectors[[yarn]])
    namer = interest_names.open_namer(model, 0.3)
    assert namer.of_items([len(model.vectors) - 1]) == namer.of_items([yarn])


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


def test_a_group_without_common_words_has_no_name() -> None:
    items = [Item(item=str(at), title=f"{'abcdefghij'[at] * 4}") for at in range(10)]
    groups = ItemGroups(
        np.repeat([-1, 0, 1], [1, 5, 5]).astype(np.int32), np.ones(11, np.float32), np.eye(2, dtype=np.float32),
        [GroupName()] * 2,
    )  # fmt: skip
    assert group_names.words(groups, lambda index: items[index - 1]) == [None, None]


# -- what one list is told to come from


def split(
    items: list[int], sources: list[int], namer: Namer
) -> tuple[list[int], list[tuple[str | None, float | None]]]:
    (ranked,), split = interest_splitting.split_by_name([RankedList(items, [0.0] * len(items), sources)], namer, 2, [2])
    (names,) = interest_splitting.names_of(split, namer, [{}])
    return ranked.interests, [name or (None, None) for name in names]


def test_an_interest_is_split_by_the_names_of_what_it_brings() -> None:
    namer = Namer(groups_of_kinds("tea", "yarn", "Tea", None), 0.0)
    numbers, names = split([1, 4, 7, 2, 10, 11], [0, 0, 1, 1, 1, 0], namer)
    # tea of both interests is one; what has no name stays with its interest
    assert numbers == [0, 2, 0, 0, 1, 3]
    assert [name for name, _ in names] == ["tea", None, "yarn", None]
    assert names[0][1] == pytest.approx(namer.near[[1, 7, 2]].mean(), abs=1e-4)


def test_what_lies_too_far_from_its_group_has_no_name() -> None:
    groups = groups_of_kinds("tea", "yarn")
    namer = Namer(groups, float(groups.near[5]))
    numbers, names = split([1, 5, 6], [0, 0, 0], namer)
    assert numbers == [0, 2, 3] and [name for name, _ in names] == ["tea", None, "yarn", None]


def test_the_words_of_a_query_stay_whole() -> None:
    namer = Namer(groups_of_kinds("tea", "yarn"), 0.0)
    (ranked,), split = interest_splitting.split_by_name(
        [RankedList([1, 4, 2, 5], [0] * 4, [2, 2, 0, 0])], namer, 2, [3]
    )
    assert ranked.interests == [2, 2, 0, 3]
    (names,) = interest_splitting.names_of(split, namer, [{2: ("wool", 0.5)}])
    assert [name and name[0] for name in names] == ["tea", None, "wool", "yarn"]


def test_a_part_owes_to_the_items_of_the_history_that_are_like_it() -> None:
    namer = Namer(groups_of_kinds("tea", "yarn", "fish"), 0.0)
    attention = np.array([[[0.6, 0.3, 0.1], [0.2, 0.2, 0.6]]], np.float32)
    history = [np.array([1, 4, 7])]
    ranked = RankedList([2, 5, 8], [0.0] * 3, [0, 0, 1])
    _, split = interest_splitting.split_by_name([ranked], namer, 2, [2])
    (tea, fish, yarn) = interest_splitting.shares(split, attention, history, namer, None, 0.0)[0]
    assert tea[0] == (1, 1.0) and yarn[0] == (4, 1.0)
    assert fish[0] == (7, 1.0)
    # what has no name owes to what its interest attends to
    namer.name_of = np.full_like(namer.name_of, -1)
    _, split = interest_splitting.split_by_name([ranked], namer, 2, [2])
    (told, _) = interest_splitting.shares(split, attention, history, namer, None, 0.0)[0]
    assert [(item, round(share, 4)) for item, share in told] == [(1, 0.6), (4, 0.3), (7, 0.1)]


def test_shares_are_the_same_whatever_is_asked_beside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attribution, "DIGITS", 16)
    namer = Namer(groups_of_kinds("tea", "yarn", "fish"), 0.0)
    rng = np.random.default_rng(4)
    items = len(namer.name_of) - 1
    history = [rng.integers(1, items + 1, size=size) for size in rng.integers(1, 60, size=40)]
    attention = np.zeros((40, 4, max(map(len, history))), np.float32)
    for own, items_of in zip(attention, history, strict=True):
        own[:, : len(items_of)] = rng.random((4, len(items_of)))
    listed = [rng.integers(1, items + 1, size=6).tolist() for _ in history]
    lists = [RankedList(own, [0.0] * 6, rng.integers(0, 4, size=6).tolist()) for own in listed]
    _, split = interest_splitting.split_by_name(lists, namer, 4, [4] * 40)
    together = interest_splitting.shares(split, attention, history, namer, None, 0.0)
    for row, own in enumerate(history):
        one = slice(row, row + 1)
        alone = interest_splitting.shares(split[one], attention[one, :, : len(own)], history[one], namer, None, 0.0)
        assert alone == together[one]


def test_a_catalogue_has_a_group_for_fourteen_items_a_small_one_more_a_large_one_fewer() -> None:
    assert [item_groups.number(items) for items in (0, 5, 24, 1_200, 100_000)] == [1, 4, 9, 85, 256]
