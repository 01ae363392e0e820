"""`label --items`: titles are shown with the categories that the catalogue knows of them."""

from __future__ import annotations

import os
from pathlib import Path

import orjson
import pytest
from msgspec.structs import replace

from eimf_core.io import files, jsonl, provenance
from eimf_core.labeling.history_text import (
    LONGEST_CATEGORIES,
    TITLE_LENGTH,
    CleanSample,
    clean_title,
    displayed_terms,
    displayed_title,
    read_samples,
)
from eimf_core.labeling.title_shortening import informative_words
from eimf_core.naming.distinctive_terms import TfIdf
from eimf_core.records import HistoryItem, Item, Sample
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
    one = Sample(key="0" * 16, user="u", cluster=0, cluster_size=1, distance=0.0, history=history)
    jsonl.write(tmp_path / "samples.jsonl", [one])
    return tmp_path / "samples.jsonl"


def warned(samples: Path, folder: Path, *items: Item) -> list[str]:
    """What is said of another catalogue."""
    jsonl.write(folder / "other.jsonl", items)
    reporter = Listening()
    read_samples(samples, str(folder / "other.jsonl"), reporter)
    return [message.partition(": ")[2] for message in reporter.warnings]


def test_categories_stand_beside_the_titles(samples: Path, catalogue: Path) -> None:
    reporter = Listening()
    (read,) = read_samples(samples, str(catalogue), reporter)
    found = read.sample
    assert [entry.title for entry in found.history] == [
        "The Great Greek — Greek, Restaurants", "Vivace — Italian, Restaurants", "Athena — Greek, Food", "Comet",
    ]  # fmt: skip
    assert [entry.item for entry in found.history] == ["a", "b", "c", "d"] and found.key == "0" * 16
    assert not reporter.warnings
    assert read.titles[0] == "The Great Greek" and read.categories[0] == ("Greek", "Restaurants")
    (plain,) = read_samples(samples, None, reporter)
    assert plain.sample.history[0].title == "The Great Greek"


def test_a_long_title_and_categories_leave_each_other_room() -> None:
    long = displayed_title(clean_title("word " * 100), ["Tea", "Garden"])
    assert long.startswith("word word") and long.endswith("… — Tea, Garden") and len(long) <= TITLE_LENGTH
    assert clean_title(long) == long
    path = displayed_title("Pot", [" ".join(["Home"] * 50), "Tea"])
    assert path.startswith("Pot — Home Home") and len(path) <= TITLE_LENGTH
    four = ["x" * 20, "y" * 20, "z" * 20, "tea"]
    assert displayed_title("Pot", [*four, "fifth"]) == "Pot — " + ", ".join(four)
    assert len(displayed_title(clean_title("w" * 200), four).partition(" — ")[2]) <= LONGEST_CATEGORIES


def test_what_is_said_already_is_not_said_again() -> None:
    assert displayed_title("Pot", ["pot", "Tea Time", "TEA TIME"]) == "Pot — Tea Time"
    assert displayed_title("", ["Tea"]) == "Tea" and displayed_title("Pot", []) == "Pot"


def test_titles_and_categories_are_cleaned_when_they_are_read(samples: Path, tmp_path: Path) -> None:
    history = [
        HistoryItem(item="a", title=" Pot\u202e\n "),
        HistoryItem(item="b", title=" Cup\x00"),
        HistoryItem(item="c", title="\u200b"),
    ]
    one = Sample(key="0" * 16, user="u", cluster=0, cluster_size=1, distance=0.0, history=history)
    jsonl.write(samples, [one])
    jsonl.write(
        tmp_path / "other.jsonl",
        [Item(item="a", title="Pot", categories=["\u200b", "Tea\nTime"]), Item(item="b", title="Cup")],
    )
    (read,) = read_samples(samples, str(tmp_path / "other.jsonl"), Listening())
    assert [entry.title for entry in read.sample.history] == ["Pot — Tea Time", "Cup", ""]
    assert read.titles == ["Pot", "Cup", ""]
    assert [line.title for line in read.short(9).lines] == ["Pot — Tea Time", "Cup"]
    assert read.short(1).members == [[1]] and [line.title for line in read.whole(9).lines] == ["Pot", "Cup"]


def history(tmp_path: Path, *entries: tuple[str, list[str]]) -> CleanSample:
    """A sample as cluster writes it, read again."""
    items = [HistoryItem(item=f"i{at}", title=title, categories=names) for at, (title, names) in enumerate(entries)]
    one = Sample(key="0" * 16, user="u", cluster=0, cluster_size=1, distance=0.0, history=items)
    jsonl.write(tmp_path / "with.jsonl", [one])
    (read,) = read_samples(tmp_path / "with.jsonl", None, Listening())
    return read


def test_samples_bring_categories_that_stand_beside_names(tmp_path: Path) -> None:
    read = history(tmp_path, ("Vivace", ["Food", "Italian", "Pasta"]), ("Athena", ["Greek"]))
    assert [entry.title for entry in read.sample.history] == ["Vivace — Food, Italian, Pasta", "Athena — Greek"]
    assert [line.title for line in read.short(9).lines] == ["Vivace — Italian, Pasta", "Athena — Greek"]
    assert [line.title for line in read.whole(9).lines] == ["Vivace", "Athena"]


def test_titles_that_say_what_things_are_need_no_categories(tmp_path: Path) -> None:
    read = history(tmp_path, ("Green Tea", ["Food"]), ("Tea Pot", ["Kitchen"]), ("", ["Books"]))
    assert [line.title for line in read.short(9).lines] == ["Green Tea", "Tea Pot", "Books"]


def test_titles_that_are_much_the_same_are_one_line(tmp_path: Path) -> None:
    titles = ("PLA 3D Printer Filament, Red", "Glue Stick", "PLA 3D Printer Filament (1 kg)", "Glue Stick")
    seen = history(tmp_path, *((title, []) for title in titles)).short(9)
    assert [line.title for line in seen.lines] == ["PLA 3D Printer Filament", "Glue Stick"]
    assert seen.members == [[0, 2], [1, 3]] and [line.item for line in seen.lines] == ["i2", "i3"]


@pytest.mark.parametrize(
    ("title", "short"),
    [
        ("Toy Story (1995)", "Toy Story"),
        ("Full Monty, The (1997)", "The Full Monty"),
        ("2001: A Space Odyssey (1968)", "2001: A Space Odyssey"),
        ("(500)", "(500)"),
        ("TEKTON 4325 3-Inch Utility Cut-Off Wheels, 5-Piece", "Utility Cut-Off Wheels"),
        ("Adult & Infant CPR Mask Combo Kit with 2 Valves, MCR Medical", "Adult & Infant CPR Mask Combo Kit"),
        ("eSUN 3D 1.75mm PETG Green Filament 1kg (2.2lb) for printers", "eSUN 3D PETG Green Filament for printers"),
        ("Red Oak Tea Box For Ten Old Men At Sea", "Red Oak Tea Box"),
        # a maker in front gives way to what it is, but not words before others that lead on
        (
            "Acme Professional Remarkable Washable Waterproof Creamy Mascara, Black 210",
            "Professional Remarkable Washable Waterproof Creamy Mascara",
        ),
        ("Elma and Pure Organic Virgin Cold Pressed Argan Oil", "Pure Organic Virgin Cold Pressed Argan Oil"),
        ("Argan Serum for Face Anti Aging Organic Skin Care", "Argan Serum for Face Anti Aging Organic"),
        ("Mortimer Beckett and the Secrets of Spooky Manor", "Mortimer Beckett and the Secrets of Spooky"),
        ("Nail Lamp Gel Curing Light Timer Dryer Spa Black Red Blue", "Nail Lamp Gel Curing Light Timer Dryer"),
        ("Desert Essence Organic Golden Jojoba Oil -- 4 fl oz", "Desert Essence Organic Golden Jojoba Oil"),
        ("1/2 3/4 5/6 7/8 9/10 11/12 13/14", "1/2 3/4 5/6 7/8 9/10 11/12 13/14"),
        ("\u8336" * 100, "\u8336" * 60),
    ],
)
def test_informative_words(title: str, short: str) -> None:
    assert informative_words(title) == short


def test_words_on_two_sides_of_a_border_are_no_pair() -> None:
    assert displayed_terms("Throwing Bat — Arts & Crafts, Clay") == [
        "throwing", "bat", "throwing bat", "arts", "crafts", "arts crafts", "clay",
    ]  # fmt: skip
    assert displayed_terms("Green Tea") == ["green", "tea", "green tea"]
    titles = ["Bat — Arts", "Old Bat — Arts", "Bat — Fish"]
    assert "bat arts" in TfIdf(titles).distinctive(titles[:2])
    assert "bat arts" not in TfIdf(titles, displayed_terms).distinctive(titles[:2])


def test_another_catalogue(samples: Path, tmp_path: Path, eimf: Eimf) -> None:
    assert warned(samples, tmp_path, *CATALOGUE) == []
    (lacking,) = warned(samples, tmp_path, CATALOGUE[0])
    assert lacking == "lacks 3 of 4 items of the samples; they are shown without categories"
    strange = [Item(item=item.item, title=f"Hose {item.item}", categories=["Garden"]) for item in CATALOGUE]
    assert "4 of 4 items have another title" in warned(samples, tmp_path, *strange)[0]
    bare = [Item(item=item.item, title=item.title) for item in CATALOGUE]
    assert warned(samples, tmp_path, *bare) == ["no item of the samples has categories; --items changes nothing"]
    jsonl.write(tmp_path / "other.jsonl", [Item(item="z", title="Z", categories=["Z"])])
    wrong = eimf("label", samples, "--engine", "keywords", "--items", tmp_path / "other.jsonl")
    assert "other.jsonl: holds no item of the samples" in one_error_line(wrong, 3)
    one_error_line(eimf("label", samples, "--engine", "keywords", "--items", tmp_path / "missing.jsonl"), 2)
    assert "--items is '-'" in one_error_line(eimf("label", samples, "--engine", "keywords", "--items", "-"), 2)


def test_interests_are_named_by_categories_too(samples: Path, catalogue: Path, eimf: Eimf, tmp_path: Path) -> None:
    (bare,) = map(orjson.loads, eimf("label", samples, "--engine", "keywords").stdout.splitlines())
    output = tmp_path / "labels.jsonl"
    assert eimf("label", samples, "--engine", "keywords", "--items", catalogue, "-o", output).returncode == 0
    (line,) = map(orjson.loads, output.read_bytes().splitlines())
    assert "restaurants" in " ".join(one["name"] for one in line["interests"])
    assert "restaurants" not in str(bare) and line["key"] == bare["key"] and line["request"] != bare["request"]
    assert "with categories" in line["model"]
    told = orjson.loads(provenance.sidecar(output).read_bytes())
    assert told["inputs"][str(catalogue)] == files.sha256(catalogue)
    (one,) = jsonl.read(samples, Sample)
    beside = [HistoryItem(item=item.item, title=item.title, categories=item.categories or None) for item in CATALOGUE]
    jsonl.write(samples, [replace(one, history=beside)])
    (brought,) = map(orjson.loads, eimf("label", samples, "--engine", "keywords").stdout.splitlines())
    for field in ("interests", "model", "request"):
        assert brought[field] == line[field]


def test_a_catalogue_from_a_pipe_is_read_once(samples: Path, catalogue: Path, eimf: Eimf, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, catalogue.read_bytes())
    os.close(writing)
    output, pipe = tmp_path / "labels.jsonl", f"/dev/fd/{reading}"
    done = eimf("label", samples, "--engine", "keywords", "--items", pipe, "-o", output)
    os.close(reading)
    assert done.returncode == 0, done.stderr
    told = orjson.loads(provenance.sidecar(output).read_bytes())
    assert told["inputs"] == {str(samples): files.sha256(samples), pipe: None}


def test_a_model_that_was_trained_on_titles_sees_no_categories(samples: Path, catalogue: Path, eimf: Eimf) -> None:
    done = eimf("label", samples, "--model", "bundled", "--items", catalogue, "--dry-run")
    assert "3. Athena\n" in orjson.loads(done.stdout.splitlines()[0])["prompt"]
    assert b"was trained on titles alone" in done.stderr
