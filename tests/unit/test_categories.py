"""The engine that reads no title: categories that items of a history share become interests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from eimf_core.errors import InputError
from eimf_core.io import jsonl
from eimf_core.labeling import answer_parser, prompts
from eimf_core.labeling.config import LabelConfig
from eimf_core.labeling.engines.base import Engine, Request
from eimf_core.labeling.engines.engine_registry import open_engine
from eimf_core.naming.terms import cut_at_word
from eimf_core.progress import SILENT
from eimf_core.records import HistoryItem, Item, Label, Sample
from tests.conftest import Eimf, one_error_line

CATALOGUE = {
    "pot": ["Home", "Kitchen", "Tea"],
    "cup": ["Home", "Kitchen", "Tea"],
    "pan": ["Home", "Kitchen"],
    "yarn": ["Home", "Crafts", "Knitting"],
    "loom": ["Home", "Crafts"],
    "lamp": ["Home"],
    "gift": [],
}


def write_catalogue(folder: Path, **more: list[str]) -> Path:
    items = [Item(item=name, title=name, categories=kinds) for name, kinds in {**CATALOGUE, **more}.items()]
    jsonl.write(folder / "items.jsonl", items)
    return folder / "items.jsonl"


def sample(*items: str) -> Sample:
    history = [HistoryItem(item=item, title=f"about {item}") for item in items]
    return Sample(key="0" * 16, user="u", cluster=0, cluster_size=1, distance=0.0, history=history)


def engine_for(samples: list[Sample], path: Path, max_interests: int) -> Engine:
    config = LabelConfig(engine="categories", items=str(path), max_interests=max_interests)
    return open_engine(config, samples, lambda: pytest.fail("no text to encode"), SILENT)


def interests(path: Path, *items: str, most: int = 4) -> list[dict[str, Any]]:
    engine = engine_for([sample(*items)], path, max_interests=most)
    engine.submit(Request(number=0, sample=sample(*items), seed=0))
    text = engine.take().text
    answer_parser.read(text, prompts.load("described").schema, count=len(items), max_interests=most, instructions="")
    found: list[dict[str, Any]] = orjson.loads(text)["interests"]
    return found


def test_the_most_specific_categories_that_two_items_share(tmp_path: Path) -> None:
    """Home, which all items have, says less than Tea; an interest holds all its items, an earlier one's too."""
    path = write_catalogue(tmp_path)
    found = interests(path, "pot", "yarn", "lamp", "loom", "cup", "gift")
    assert [(one["name"], one["items"]) for one in found] == [("Tea", [1, 5]), ("Crafts", [2, 4])]
    assert found[0]["description"] == "Items in Home, Kitchen, Tea."
    (first,) = interests(path, "pot", "yarn", "cup", "loom", most=1)
    assert first["name"] == "Crafts"
    several = interests(path, "pot", "pan", "cup", "yarn", "lamp")
    assert [(one["name"], one["items"]) for one in several] == [("Kitchen", [1, 2, 3]), ("Home", [1, 2, 3, 4, 5])]


def test_an_item_counts_once_and_only_where_no_earlier_interest_holds_it(tmp_path: Path) -> None:
    path = write_catalogue(tmp_path)
    assert [one["name"] for one in interests(path, "pot", "pot", "yarn", "loom")] == ["Crafts"]
    # nothing is left for Tea and Home beside Kitchen
    assert [one["name"] for one in interests(path, "pot", "cup", "pan")] == ["Kitchen"]


def test_the_latest_item_speaks_where_no_two_share_anything(tmp_path: Path) -> None:
    path = write_catalogue(tmp_path, soap=["Bath", "Soap"])
    found = interests(path, "soap", "yarn", "gift")
    assert [(one["name"], one["items"]) for one in found] == [("Knitting", [2])]


def test_names_fit_the_form_whatever_a_shop_calls_its_categories(tmp_path: Path) -> None:
    long = "Tools for people who like their categories as long as a sentence, or longer"
    path = write_catalogue(tmp_path, a=["x", "77", "Items", long], b=["Items", f"  {long}\n", "\x07"])
    (only,) = interests(path, "a", "b")
    assert only["name"] == "Tools for people who like their categories as"
    assert cut_at_word("1 " + "a" * 60, 48) == "1 " + "a" * 46


def test_the_most_items_are_the_latest(tmp_path: Path) -> None:
    path = write_catalogue(tmp_path, **{f"n{at}": ["Books"] for at in range(20)})
    (books,) = interests(path, *(f"n{at}" for at in range(20)))
    assert books["items"] == list(range(9, 21))


def test_no_categories_at_all(tmp_path: Path) -> None:
    path = write_catalogue(tmp_path)
    with pytest.raises(InputError, match="no item of the samples has categories"):
        engine_for([sample("gift")], path, max_interests=4)
    with pytest.raises(InputError, match="holds no item of the samples"):
        engine_for([sample("stranger")], path, max_interests=4)


def test_from_the_command_line(eimf: Eimf, tmp_path: Path) -> None:
    path, samples, out = write_catalogue(tmp_path), tmp_path / "samples.jsonl", tmp_path / "labels.jsonl"
    jsonl.write(samples, [sample("pot", "cup", "loom")])
    command = ("label", samples, "--engine", "categories")
    done = eimf(*command, "--items", path, "-o", out)
    assert done.returncode == 0 and b"1 user labelled" in done.stderr
    (label,) = jsonl.read(out, Label)
    assert (label.engine, label.model, label.items_by) == ("categories", "categories of items.jsonl", "model")
    assert [(one.name, one.items) for one in label.interests] == [("Tea", ["pot", "cup"])]
    assert "--items items.jsonl" in one_error_line(eimf(*command, "-o", tmp_path / "l"), 2)
    jsonl.write(samples, [sample("gift")])
    line = one_error_line(eimf(*command, "--items", path, "-o", tmp_path / "l"), 3)
    assert "items.jsonl" in line and "no item of the samples has categories" in line
    assert not (tmp_path / "l").exists()
