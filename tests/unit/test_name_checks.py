"""Names that are no interests: titles, the prompt's example, numbers, foreign scripts, loops and cut ones."""

from __future__ import annotations

import pytest

from eimf_core.labeling.name_checks import History, Instructions, rejection_reason
from tests.unit.test_labeling import TITLES

INSTRUCTIONS = Instructions(
    ["garden ponds", "model railways"], ["Things that were chosen:", "1. Pond Liner", "- Signal Lamp 9.5"], 24
)
STAR_WARS = "Star Wars: Episode V - The Empire Strikes Back (1980)"


def verdict(name: str, *titles: str, categories: frozenset[str] = frozenset(), language: str = "") -> str | None:
    return rejection_reason(name, History(titles or TITLES, categories, language), INSTRUCTIONS)


@pytest.mark.parametrize(
    ("name", "titles", "reason"),
    [
        ("green tea", (), "title"),
        ("The Tea Pot", (), "title"),
        ("Chord Book Kestrel Yard", ("Chord Book (Kestrel Yard)",), "title"),
        ("slim chord book — Music", ("Slim Chord Book (Kestrel Yard)",), "title"),
        ("Star Wars", ("Star Wars (1977)", "Fargo (1996)"), "title"),
        # what several have in common is none of them
        ("3D printer filament", ("PLA 3D Printer Filament, Red", "PETG 3D printer filament, 1 kg"), None),
        ("tea", (), None),
        ("knitting", (), None),
        # parts of titles, and of names
        ("Empire Strikes Back", (STAR_WARS,), "title"),
        ("Star Wars", (STAR_WARS, "Fargo (1996)"), "title"),
        ("Star Wars", (STAR_WARS, "Star Wars (1977)"), None),
        ("Western", ("Maverick - Western", "Fargo"), None),
        ("crime, Star Wars", ("Star Wars (1977)",), "title"),
        ("crime, tea for two", ("Star Wars (1977)",), None),
        # the prompt's example
        ("garden ponds", (), "example"),
        ("Garden Ponds", ("Pond Pump",), "example"),
        ("Garden Ponds", ("Pond Pump", "Gardener's Hat"), None),
        ("pond liners", ("Pond Pump",), "example"),
        ("signal lamps", (), "example"),
        ("signal flags", (), None),
        ("tea, model trains", (), "example"),
        ("model trains", (), "example"),
        # numbers of a list
        ("13. 11. Bad Boys", (), "number"),
        ("13.11. Bad Boys", (), "number"),
        ("2) tea", (), "number"),
        ("1.75 mm filament", (), None),
        ("3.5 mm jacks", (), None),
        ("16:9 screens", (), None),
        ("3D printing", (), None),
        ("1940s crime films", (), None),
        ("\u8336 tea", (), "script"),
        ("\u8336", ("\u7eff\u8336", "\u8336\u58f6"), None),
        # loops, and what the schema cut
        ("dunmarra_dunmarra", (), "repetition"),
        ("Floating, Foam, Foam", (), "repetition"),
        ("face-to-face talks", (), None),
        ("cha cha and tango", (), None),
        ("z" * 23, (), None),
        ("z" * 24, (), "length"),
    ],
)
def test_names_that_are_no_interests(name: str, titles: tuple[str, ...], reason: str | None) -> None:
    assert verdict(name, *titles) == reason


@pytest.mark.parametrize("name", ["green tea", "Star Wars", "drinks, green tea", "Foam & Foam Rubber", "pond liner"])
def test_a_category_of_the_items_is_never_refused(name: str) -> None:
    titles = ("Green Tea", STAR_WARS)
    assert verdict(name, *titles) is not None
    categories = frozenset({"green tea", "star wars", "foam & foam rubber", "pond liner"})
    assert verdict(name, *titles, categories=categories) is None


@pytest.mark.parametrize(
    ("name", "language", "fits"),
    [
        ("\u0447\u0430\u0439", "Russian", True),
        ("\u0447\u0430\u0439 Lipton", "russian", True),
        ("tea", "Russian", False),
        ("\u0447\u0430\u0439", "\u0440\u0443\u0441\u0441\u043a\u0438\u0439", True),
        ("tea", "\u0440\u0443\u0441\u0441\u043a\u0438\u0439", False),
        ("\u0447\u0430\u0439", "German", False),
        ("Gr\u00fcner Tee", "German", True),
        ("Gr\u00fcner Tee", "Deutsch", True),
        ("\u010daj", "Serbian", True),
        ("\u0447\u0430\u0458", "Serbian", True),
        ("\u8336", "Simplified Chinese", True),
        ("\u8336", "Mandarin", True),
        ("\u8336", "zh-CN", True),
        ("\u8336", "\u4e2d\u6587", True),
        ("tea", "zh", False),
        ("\u304a\u8336", "Japanese", True),
        # with a mark of length, and one of repetition
        ("\u30b3\u30fc\u30d2\u30fc", "Japanese", True),
        ("\u4eba\u3005", "\u65e5\u672c\u8a9e", True),
        ("\u0c9a\u0cb9\u0cbe", "Kannada", True),
        ("\u0a1a\u0a3e\u0a39", "Punjabi", True),
        # of a language that is not known nothing is said
        ("\u0447\u0430\u0439", "Klingon", True),
        ("tea", "Klingon", True),
    ],
)
def test_names_in_the_script_of_the_language(name: str, language: str, fits: bool) -> None:
    assert (verdict(name, language=language) is None) == fits


def test_titles_in_kana_may_have_names_in_chinese_characters() -> None:
    assert verdict("\u98f2\u6599", "\u30b3\u30fc\u30d2\u30fc") is None
