"""`eimf prepare` as people run it: the bundled shop, published sets, what comes out is what the steps read."""

from __future__ import annotations

from pathlib import Path

import pytest

from eimf_core import dataset, jsonl
from eimf_core.records import Sequence
from tests.conftest import ROOT, Eimf

SHOP = ROOT / "examples" / "shop"


def test_shop_is_split_by_time(eimf: Eimf, tmp_path: Path) -> None:
    done = eimf("prepare", SHOP / "interactions.csv", "--items", SHOP / "items.jsonl", "-o", tmp_path / "data")
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout == b""
    data = dataset.load(tmp_path / "data", ("train", "valid", "test"))
    assert len(data.vocab) == 432
    assert data.protocol == "temporal/next"
    assert sum(len(part) for part in data.splits["train"].users) and data.splits["train"].times is not None
    valid_from, test_from = data.facts["valid_from"], data.facts["test_from"]
    for line in jsonl.read(tmp_path / "data" / "sequences.jsonl", Sequence):
        assert line.times == sorted(line.times or [])
        if line.split == "train":
            assert line.times[-1] < valid_from < test_from
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == [
        "items.jsonl", "sequences.jsonl", "sequences.jsonl.meta.json",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "options", "users", "items", "interactions", "without_text"),
    [
        ("ml-100k", [], 943, 1682, 100_000, 1),
        ("ml-1m/sequences.tsv.gz", ["--split", "none"], 6040, 3416, 999_611, 0),
        ("ml-1m/ml-1m.txt.gz", ["--split", "none"], 6040, 3416, 999_611, 0),
        ("amazon-beauty-2014", ["--split", "leave-one-out"], 22_363, 12_101, 198_502, 7),
        ("amazon-giftcards-2018-raw", [], 458, 148, 2972, 0),
    ],
)
def test_published_counts(
    eimf: Eimf,
    tmp_path: Path,
    real_data: Path,
    name: str,
    options: list[str],
    users: int,
    items: int,
    interactions: int,
    without_text: int,
) -> None:
    done = eimf("prepare", real_data / name, *options, "-o", tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    data = dataset.load(tmp_path, ("train", "valid", "test"))
    read = data.facts["report"]["steps"][0]
    assert (read["users"], read["items"], read["interactions"]) == (users, items, interactions)
    assert len(data.vocab) == items
    assert sum(item.title == item.item for item in data.items) == without_text


def test_leave_one_out_of_beauty(eimf: Eimf, tmp_path: Path, real_data: Path) -> None:
    import gzip

    eimf("prepare", real_data / "amazon-beauty-2014", "--split", "leave-one-out", "-o", tmp_path)
    with gzip.open(real_data / "amazon-beauty-2014" / "user_sequence.txt.gz", "rt") as stream:
        history = {user: items for user, *items in map(str.split, stream)}
    lines = list(jsonl.read(tmp_path / "sequences.jsonl", Sequence))
    assert len(lines) == 3 * len(history)
    for line in lines:
        cut = {"train": -2, "valid": -2, "test": -1}[line.split]
        assert line.items == history[line.user][:cut]
        expected = [] if line.split == "train" else history[line.user][cut:][:1]
        assert line.targets == expected
