"""Titles typed by hand find their item, are said to be ambiguous, or get the nearest ones."""

from __future__ import annotations

import pytest

from eimf_core.recommend.query.title_search import FEW, MAX_MATCHES, Titles, all_plain, plain
from eimf_core.records import Item

TITLES = [
    "Toy Story (1995)",
    "Toy Story 2 (1999)",
    "Heat (1995)",
    "Heathers (1989)",
    "Shawshank Redemption, The (1994)",
    "Cinderella (1950)",
    "Cinderella (1997)",
    "Amélie (Fabuleux destin d'Amélie Poulain, Le) (2001)",
    "2001: A Space Odyssey (1968)",
    "Rich Shade Hair Oil for Fine Hair, 33.8 Ounce",
    "Rich Shade Hair Spray for Fine Hair, 12 Ounce",
    "1984 (1956)",
    "Seven (Se7en) (1995)",
    "Seven Years in Tibet (1997)",
    "Magnificent Seven, The (1954)",
    "Professional, The (a.k.a. Leon: The Professional) (1994)",
    "Confessional, The (Le Confessionnal) (1995)",
    "The The",
    "",
]


@pytest.fixture(scope="module")
def titles() -> Titles:
    return titles_of(TITLES)


def titles_of(titles: list[str]) -> Titles:
    return Titles(titles, lambda at: Item(item=str(at), title=titles[at]))


def found(titles: Titles, typed: str) -> list[str]:
    return [item.title for item in titles.find(typed).found]


@pytest.mark.parametrize(
    ("typed", "title"),
    [
        ("Toy Story (1995)", "Toy Story (1995)"),
        ("toy story", "Toy Story (1995)"),
        ("TOY STORY 1995", "Toy Story (1995)"),
        ("toy stroy", "Toy Story (1995)"),
        ("toy story 2", "Toy Story 2 (1999)"),
        ("heat", "Heat (1995)"),
        ("the shawshank redemption", "Shawshank Redemption, The (1994)"),
        ("shawshank", "Shawshank Redemption, The (1994)"),
        ("amelie fabuleux", "Amélie (Fabuleux destin d'Amélie Poulain, Le) (2001)"),
        ("2001 a space odyssey", "2001: A Space Odyssey (1968)"),
        ("cinderella 1997", "Cinderella (1997)"),
        ("rich shade oil", "Rich Shade Hair Oil for Fine Hair, 33.8 Ounce"),
        ("1984", "1984 (1956)"),
        ("seven", "Seven (Se7en) (1995)"),
        ("the professional", "Professional, The (a.k.a. Leon: The Professional) (1994)"),
        ("the the", "The The"),
    ],
)
def test_finds(titles: Titles, typed: str, title: str) -> None:
    assert found(titles, typed) == [title]


def test_several_are_all_given(titles: Titles) -> None:
    assert found(titles, "cinderella") == ["Cinderella (1950)", "Cinderella (1997)"]
    assert len(found(titles, "rich shade hair")) == 2


def test_two_that_are_about_as_near_are_both_given() -> None:
    alike = titles_of(["Mountain Climbing Ropes Blue", "Mountain Climbing Ropes Blues", "Tent"])
    assert len(found(alike, "mountan climbing ropes blue")) == 2


@pytest.mark.parametrize("typed", ["zebra crossing", "", "?!", "heat wave of 1976"])
def test_nothing_near(titles: Titles, typed: str) -> None:
    match = titles.find(typed)
    assert match.found == [] and len(match.nearest) in (0, 3)


def test_the_nearest_are_near(titles: Titles) -> None:
    assert "Heat (1995)" in [item.title for item in titles.find("heat wave of 1976").nearest]


def test_of_a_long_text_the_first_words_count() -> None:
    name = " ".join(f"{first}{second}at" for first in "bchmprst" for second in "aiou")
    long = titles_of([name, "Tent"])
    assert len(name.split()) == 32 and found(long, f"{name} {'zzzzzz ' * 32}") == [name]


def test_exactly_says_whether_spelling_was_bent(titles: Titles) -> None:
    assert titles.find("toy story").exact and not titles.find("toy stroy").exact


def test_plain() -> None:
    assert plain("L'Été à Paris!") == "ete a paris"
    assert plain("Straße") == "strasse"
    assert plain("Usual Suspects, The") == "usual suspects" == plain("The Usual Suspects")
    assert plain("The") == "the"
    assert plain("Ünï-cödé №5") == "uni code no5"


def test_a_catalogue_without_words() -> None:
    assert titles_of(["—"]).find("tea").found == []


def test_all_at_once_as_one_by_one() -> None:
    odd = [
        *TITLES,
        "Usual Suspects, The",
        "Straße",
        "A  b_c-d",
        "two\nlines",
        "L'Été",
        "\x00\x1f!",
        "The",
        "İstanbul",
        "é",
    ]
    assert all_plain(odd) == [plain(title) for title in odd]
    assert all_plain([]) == [] and all_plain(["É"]) == ["e"]


def test_very_many_matches_are_counted() -> None:
    match = titles_of([f"Green Tea {at}" for at in range(300)]).find("gren tea")
    assert len(match.found) == MAX_MATCHES and match.others == 300 - MAX_MATCHES and not match.exact
    match = titles_of(["Green Tea"] * 120).find("green tea")
    assert len(match.found) == MAX_MATCHES and match.others == 120 - MAX_MATCHES and match.exact


def test_tables_find_what_going_through_all_titles_finds() -> None:
    for typed in [
        "Heat (1995)",
        "toy story 1995",
        "the shawshank redemption",
        "cinderella",
        "1984",
        "the the",
        "Zebra",
    ]:
        first, later = titles_of(TITLES), titles_of(TITLES)
        later._looked_up = FEW
        assert first.find(typed) == later.find(typed)
        assert not first._tables and later._tables
