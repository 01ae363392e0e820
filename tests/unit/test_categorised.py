"""`label --items`: titles are shown with the categories that the catalogue knows of them."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from eimf_core import jsonl
from eimf_core.records import HistoryItem, Item, Sample
from eimf_core.semantics.categorised import LONGEST_CATEGORIES, read_samples, told
from eimf_core.semantics.labeling_config import LabelConfig
from eimf_core.semantics.prompts import TITLE_LENGTH, clean_title
from tests.conftest import Eimf, one_error_line
from tests.listening import Listening

CATALOGUE = [
    Item(item="a", title="The Great Greek", categories=["Greek", "Restaurants"]),
    Item(item="b", title="Vivace", categories=["Italian", "Restaurants"]),
    Item(item="c", title="Athena", categories=["Greek", "Food"]),
    Item(item="d", title="Comet"),
]


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    jsonl.write(tmp_path / "items.jsonl", CATALOGUE)
    return tmp_path / "items.jsonl"


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    history = [HistoryItem(item=item.item, title=item.title) for item in CATALOGUE]
    history.append(HistoryItem(item="gone", title="Not in the catalogue"))
    one = Sample(key="0" * 16, user="u", cluster=0, cluster_size=1, distance=0.0, history=history)
    jsonl.write(tmp_path / "samples.jsonl", [one])
    return tmp_path / "samples.jsonl"


def test_categories_stand_beside_the_titles(samples: Path, catalogue: Path) -> None:
    reporter = Listening()
    (found,) = read_samples(samples, LabelConfig(engine="keywords", items=str(catalogue)), reporter)
    assert [entry.title for entry in found.history] == [
        "The Great Greek. Greek, Restaurants", "Vivace. Italian, Restaurants", "Athena. Greek, Food", "Comet",
        "Not in the catalogue",
    ]  # fmt: skip
    assert [entry.item for entry in found.history] == ["a", "b", "c", "d", "gone"] and found.key == "0" * 16
    assert not reporter.warnings
    for engine, items in (("keywords", None), ("categories", str(catalogue)), ("replay", str(catalogue))):
        (plain,) = read_samples(samples, LabelConfig(engine=engine, items=items), reporter)
        assert plain.history[0].title == "The Great Greek"


def test_a_long_title_leaves_room_for_categories() -> None:
    long = told("word " * 100, ["Tea", "Garden"])
    assert long.startswith("word word") and long.endswith("…. Tea, Garden") and len(long) <= TITLE_LENGTH
    assert clean_title(long) == long
    # a category that does not fit is left out, a shorter one after it is not
    assert told("Pot", ["x" * (LONGEST_CATEGORIES + 1), "Tea"]) == "Pot. Tea"
    assert told("Pot", ["pot", " ", "Tea\nTime", "Tea Time"]) == "Pot. Tea Time"
    assert told("", ["Tea"]) == "Tea" and told("Pot", []) == "Pot" and told(" Pot ", ["\u202e"]) == " Pot "


def test_a_catalogue_that_says_nothing(samples: Path, tmp_path: Path, eimf: Eimf) -> None:
    jsonl.write(tmp_path / "bare.jsonl", [Item(item="a", title="The Great Greek")])
    reporter = Listening()
    (found,) = read_samples(samples, LabelConfig(engine="keywords", items=str(tmp_path / "bare.jsonl")), reporter)
    assert found.history[0].title == "The Great Greek"
    assert "titles stand alone" in reporter.warnings[0]
    jsonl.write(tmp_path / "other.jsonl", [Item(item="z", title="Z", categories=["Z"])])
    wrong = eimf("label", samples, "--engine", "keywords", "--items", tmp_path / "other.jsonl")
    assert "other.jsonl: no item of the samples is there" in one_error_line(wrong, 3)
    one_error_line(eimf("label", samples, "--engine", "keywords", "--items", tmp_path / "missing.jsonl"), 2)


def test_interests_are_named_by_categories_too(samples: Path, catalogue: Path, eimf: Eimf) -> None:
    (bare,) = map(orjson.loads, eimf("label", samples, "--engine", "keywords").stdout.splitlines())
    done = eimf("label", samples, "--engine", "keywords", "--items", catalogue)
    (line,) = map(orjson.loads, done.stdout.splitlines())
    assert "restaurants" in " ".join(one["name"] for one in line["interests"])
    assert "restaurants" not in str(bare) and line["key"] == bare["key"] and line["request"] != bare["request"]


def test_prompts_show_them(samples: Path, catalogue: Path, eimf: Eimf) -> None:
    done = eimf("label", samples, "--model", "bundled", "--items", catalogue, "--dry-run")
    assert "Athena. Greek, Food" in orjson.loads(done.stdout.splitlines()[0])["prompt"]


def test_a_replay_reads_no_catalogue(samples: Path, catalogue: Path, eimf: Eimf, tmp_path: Path) -> None:
    before = tmp_path / "labels.jsonl"
    assert eimf("label", samples, "--engine", "keywords", "-o", before).returncode == 0
    again = eimf("label", samples, "--engine", "replay", "--replay", before, "--items", catalogue)
    assert b"asks no model: --items has no effect" in again.stderr and again.returncode == 0
