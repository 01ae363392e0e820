"""A published set that is asked for by name is told where it is, what is wanted of it, and on which terms."""

from __future__ import annotations

from pathlib import Path

import pytest

from eimf_core.prepare import published_sets
from tests.conftest import Eimf, one_error_line


@pytest.mark.parametrize("name", ["ml-100k", "ML_100K", "movielens-100k", "MovieLens 100k", "ml-100k/"])
def test_a_set_that_is_not_there_is_told_where_it_is(eimf: Eimf, tmp_path: Path, name: str) -> None:
    line = one_error_line(eimf("prepare", name, "-o", "data", cwd=tmp_path), 2)
    assert (
        "no such file or folder; MovieLens 100K is published at grouplens.org/datasets/movielens (research use" in line
    )
    assert "get u.data and u.item" in line and "eimf prepare" in line and not (tmp_path / "data").exists()


@pytest.mark.parametrize(("name", "words"), [("log.csv", ""), ("ml-200k", "; did you mean ml-"), ("books/x", "")])
def test_other_names_say_nothing_of_published_sets(name: str, words: str) -> None:
    said = published_sets.hint(name)
    assert said.startswith(words) and "published" not in said


@pytest.mark.parametrize(("name", "title"), [("amazon-books", "Amazon reviews 2023"), ("yelp2018", "Yelp")])
def test_a_part_of_a_set_is_found_by_the_name_of_the_set(name: str, title: str) -> None:
    assert title in published_sets.hint(name)
    assert not published_sets.hint(f"{name}.csv") and not published_sets.hint(f"in/{name}")


def test_every_set_is_told_in_full() -> None:
    for name, entry in published_sets.SETS.items():
        assert all(entry) and "://" not in entry.place
        assert entry.title in published_sets.hint(name) and entry.terms in published_sets.hint(name)
