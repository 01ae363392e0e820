"""The baselines against their definitions worked out by plain loops, and the file they are kept in."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from eimf_core import dataset
from eimf_core.dataset import Dataset
from eimf_core.evaluation import baselines
from eimf_core.evaluation.baselines import item_based
from eimf_core.evaluation.baselines.popularity import RecentPopularity
from eimf_core.io import jsonl
from eimf_core.numeric.arrays import Arrays
from eimf_core.progress import Reporter
from eimf_core.records import Item
from eimf_core.records import Sequence as Line

WIDTH = 13  # 12 items and padding; item 12 is never bought


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    rng = np.random.default_rng(3)
    lines = []
    for user in range(40):
        bought = [f"i{at}" for at in rng.choice(11, size=int(rng.integers(2, 15)), p=np.arange(11, 0, -1) / 66) + 1]
        lines.append(Line(user=f"u{user}", split="train", items=bought))
    jsonl.write(tmp_path / "items.jsonl", [Item(item=f"i{at}", title=f"Item {at}") for at in range(1, WIDTH)])
    jsonl.write(tmp_path / "sequences.jsonl", lines)
    return dataset.load(tmp_path, ("train",))


def lines_of(data: Dataset) -> list[list[int]]:
    train = data.splits["train"]
    return [train.history(user).tolist() for user in range(len(train))]


def ranked(scores: np.ndarray, seen: set[int] = frozenset()) -> list[int]:  # type: ignore[assignment]
    return [int(item) for item in np.argsort(-scores, kind="stable") if item and item not in seen]


def test_item_knn_is_the_sum_of_cosines(data: Dataset) -> None:
    owners = {item: {u for u, line in enumerate(lines_of(data)) if item in line} for item in range(1, WIDTH)}
    history = np.array([3, 7, 7, 1])
    scores = item_based.ItemKnn(data, item_based.fit_item_knn(data)).score([history]).values[0]
    assert scores[0] == -np.inf
    for item in range(1, WIDTH - 1):
        expected = sum(
            len(owners[item] & owners[other]) / math.sqrt(len(owners[item]) * len(owners[other]))
            for other in {3, 7, 1} - {item}
        )
        assert scores[item] == pytest.approx(expected, rel=1e-5)
    assert scores[12] < 0, "nobody has it: behind all others"


def test_item_knn_keeps_the_nearest_and_blocks_change_nothing(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = item_based.fit_item_knn(data)
    monkeypatch.setattr(item_based, "MAX_PAIRS", 1)
    for name, array in item_based.fit_item_knn(data).items():
        np.testing.assert_array_equal(array, whole[name])
    monkeypatch.setattr(item_based, "NEIGHBOURS", 2)
    cut = item_based.fit_item_knn(data)
    assert np.diff(cut["indptr"]).max() == 2
    best = np.sort(whole["data"][whole["indptr"][3] : whole["indptr"][4]])[-2:]
    np.testing.assert_array_equal(np.sort(cut["data"][cut["indptr"][3] : cut["indptr"][4]]), best)


def test_last_item_is_counted_in_blocks_that_change_nothing(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = item_based.fit_last_item(data)
    monkeypatch.setattr(item_based, "ITEMS_AT_ONCE", 3)
    for name, array in item_based.fit_last_item(data).items():
        np.testing.assert_array_equal(array, whole[name])
        assert array.dtype == whole[name].dtype


def test_last_item_counts_what_follows(data: Dataset) -> None:
    follows: Counter[int] = Counter()
    for line in lines_of(data):
        for at, item in enumerate(line):
            for distance, after in enumerate(line[at + 1 : at + 1 + item_based.WINDOW], start=1):
                if item == 4 and after != item:
                    follows[after] += 1 / distance  # type: ignore[assignment]
    scores = item_based.LastItem(data, item_based.fit_last_item(data)).score([np.array([9, 2, 4])]).values[0]
    assert follows
    for item, expected in follows.items():
        assert scores[item] == pytest.approx(expected, rel=1e-5)
    never = [item for item in range(1, WIDTH) if item not in follows]
    popularity = data.counts()
    assert ranked(scores)[len(follows) :] == sorted(never, key=lambda item: (-popularity[item], item))


def test_ease_is_the_closed_form(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(item_based, "EASE_PENALTY", 7.0)
    bought = np.zeros((40, WIDTH))
    for user, line in enumerate(lines_of(data)):
        bought[user, line] = 1
    weights = item_based.fit_ease(data)["weights"]
    # each column is a ridge regression of one item on the others
    for item in range(1, WIDTH - 1):
        others = [at for at in range(WIDTH) if at != item]
        left = bought[:, others]
        solved = np.linalg.solve(left.T @ left + 7 * np.eye(WIDTH - 1), left.T @ bought[:, item])
        np.testing.assert_allclose(weights[others, item], solved, atol=1e-5)
        assert weights[item, item] == 0
    system = item_based.Ease(data, {"weights": weights})
    scores = system.score([np.array([2, 5, 5])]).values[0]
    np.testing.assert_allclose(scores[1:], (weights[2] + weights[5])[1:], rtol=1e-5)
    unknown = system.score([np.array([12])]).values[0]
    assert ranked(unknown)[0] == int(np.argmax(data.counts()))


def test_ease_trusts_what_two_hundred_users_share_by_half(tmp_path: Path) -> None:
    jsonl.write(tmp_path / "items.jsonl", [Item(item=item, title="x") for item in "ab"])
    jsonl.write(
        tmp_path / "sequences.jsonl", [Line(user=f"u{at}", split="train", items=["a", "b"]) for at in range(200)]
    )
    weights = item_based.fit_ease(dataset.load(tmp_path, ("train",)))["weights"]
    np.testing.assert_allclose(weights, [[0, 0, 0], [0, 0, 0.5], [0, 0.5, 0]], atol=1e-6)


def test_ease_mirrors_large_tables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    jsonl.write(tmp_path / "items.jsonl", [Item(item=f"i{at}", title="x") for at in range(1, 1101)])
    lines = [
        Line(user=f"u{at}", split="train", items=[f"i{item + 1}" for item in rng.choice(1100, 20)]) for at in range(300)
    ]
    jsonl.write(tmp_path / "sequences.jsonl", lines)
    small = dataset.load(tmp_path, ("train",))
    users = item_based.interactions(small.splits["train"], 1101).toarray().astype(np.float64)
    inverse = np.linalg.inv(users.T @ users + item_based.EASE_PENALTY * np.eye(1101))
    expected = inverse / -np.diag(inverse)
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(item_based.fit_ease(small)["weights"], expected, atol=1e-6)


def test_recent_popularity_with_and_without_times(tmp_path: Path) -> None:
    jsonl.write(tmp_path / "items.jsonl", [Item(item=f"i{at}", title="x") for at in range(1, 5)])
    lines = [Line(user=f"u{at}", split="train", items=["i1"] * 9 + ["i2"]) for at in range(5)]
    jsonl.write(tmp_path / "sequences.jsonl", lines)
    assert ranked(RecentPopularity(dataset.load(tmp_path, ("train",))).score([np.array([1])]).values[0]) == [
        2, 1, 3, 4,
    ]  # fmt: skip
    # the first user's purchases are the newest of all
    timed = [
        Line(user=line.user, split="train", items=line.items, times=[float(1000 * (at == 0) + n) for n in range(10)])
        for at, line in enumerate(lines)
    ]
    jsonl.write(tmp_path / "sequences.jsonl", timed)
    scores = RecentPopularity(dataset.load(tmp_path, ("train",))).score([np.array([1])]).values[0]
    assert scores[1] == 4 and scores[2] == 1, "five of fifty: i1 four times, i2 once"


def test_kept_beside_the_data_until_the_training_lines_change(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    first = [system.score([np.array([1, 2])]).values for system in baselines.fit(data, "fast")]
    kept = sorted(path.name.split("-2")[0] for path in (data.directory / ".cache").iterdir())
    assert len(kept) == 3

    def refuse(_: Dataset) -> Arrays:
        raise AssertionError("was fitted again")

    for kind in (item_based.ItemKnn, item_based.LastItem, item_based.Ease):
        monkeypatch.setattr(kind, "fit", staticmethod(refuse))
    for before, system in zip(first, baselines.fit(data, "fast"), strict=True):
        np.testing.assert_array_equal(system.score([np.array([1, 2])]).values, before)
    more = Line(user="new", split="train", items=["i1", "i2"])
    with (data.directory / "sequences.jsonl").open("ab") as stream:
        stream.write(jsonl.encode(more))
    with pytest.raises(AssertionError, match="again"):
        baselines.fit(dataset.load(data.directory, ("train",)), "fast")


def test_a_damaged_file_is_made_again(data: Dataset) -> None:
    baselines.fit(data, "fast")
    path = next((data.directory / ".cache").glob("baseline-ease-*"))
    whole = path.read_bytes()
    for broken in (b"", b"hello", whole[: len(whole) // 2]):
        path.write_bytes(broken)
        baselines.fit(data, "fast")
        assert path.read_bytes() == whole


class Heard(Reporter):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, message: str) -> None:
        self.lines.append(message)

    warn = note


def test_choices(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    assert baselines.fit(data, "none") == []
    monkeypatch.setattr(item_based.Ease, "largest_catalogue", {"fast": 5, "all": 20})
    heard = Heard()
    assert [system.name for system in baselines.fit(data, "fast", heard)] == [
        "popularity", "recent-popularity", "last-item", "item-knn",
    ]  # fmt: skip
    assert "ease left out" in heard.lines[0] and "--baselines all" in heard.lines[0]
    assert [system.name for system in baselines.fit(data, "all")][-1] == "ease"


def test_a_folder_that_cannot_be_written_is_no_obstacle(data: Dataset) -> None:
    (data.directory / ".cache").write_text("in the way")
    heard = Heard()
    assert len(baselines.fit(data, "fast", heard)) == 5
    assert len(heard.lines) == 3 and "cannot be cached" in heard.lines[0]
