"""Parts of a labelling run: together they are the whole, whatever the order of the samples."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from eimf_core import shards
from eimf_core.errors import ConfigError
from eimf_core.io import jsonl
from eimf_core.labeling import label
from eimf_core.labeling.config import LabelConfig
from eimf_core.records import HistoryItem, Sample
from tests.small_data import TASTES
from tests.unit.test_text import WordEncoder

TITLES = [title for titles in TASTES.values() for title in titles]


def write_samples(path: Path, numbers: list[int]) -> Path:
    made = []
    for number in numbers:
        history = [HistoryItem(item=f"i{at}", title=TITLES[(3 * number + at) % len(TITLES)]) for at in range(4)]
        made.append(
            Sample(key=f"{number:016x}", user=f"u{number}", cluster=0, cluster_size=9, distance=0, history=history)
        )
    jsonl.write(path, made)
    return path


def lines(path: Path) -> list[bytes]:
    """What does not depend on the clock, sorted."""
    made = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    return sorted(orjson.dumps({**line, "seconds": 0}) for line in made)


def test_parts_concatenate_to_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an engine that names by what is rare among all samples: a part has to know the others' titles."""
    monkeypatch.setattr(label, "open_encoder", lambda *_: WordEncoder())
    numbers = list(range(23))
    whole = write_samples(tmp_path / "samples.jsonl", numbers)
    label.label(whole, tmp_path / "whole.jsonl", LabelConfig(engine="keywords"))
    members: list[set[str]] = []
    for name, order in (("as-they-come", numbers), ("turned", numbers[::-1])):
        samples = write_samples(tmp_path / f"{name}.jsonl", order)
        parts = []
        for part in range(1, 5):
            output = tmp_path / f"{name}-{part}.jsonl"
            label.label(samples, output, LabelConfig(engine="keywords", shard=f"{part}/4"))
            parts.append(output.read_bytes())
            members.append({orjson.loads(line)["user"] for line in parts[-1].splitlines()})
        (tmp_path / "joined.jsonl").write_bytes(b"".join(parts))
        assert all(parts) and lines(tmp_path / "joined.jsonl") == lines(tmp_path / "whole.jsonl")
    assert members[:4] == members[4:]


def test_a_part_may_be_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label, "open_encoder", lambda *_: WordEncoder())
    samples = write_samples(tmp_path / "samples.jsonl", [1])
    counts = []
    for part in (1, 2):
        output = tmp_path / f"{part}.jsonl"
        counts.append(label.label(samples, output, LabelConfig(engine="keywords", shard=f"{part}/2")).labels)
        assert output.read_bytes().count(b"\n") == counts[-1]
    assert sorted(counts) == [0, 1]


@pytest.mark.parametrize("text", ["", "3", "0/8", "9/8", "1/0", "-1/8", "a/b", "1/2/3", "²/8", f"1/{'9' * 5000}"])
def test_a_part_that_is_none(text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--shard is '.*', expected a part and their number"):
        shards.parse(text)
