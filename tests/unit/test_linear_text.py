"""What reads text from outside takes time that grows with its length, not with a power of it.

Each text would take minutes otherwise; the limit is far above what is needed.
"""

from __future__ import annotations

import faulthandler
from collections.abc import Callable, Iterator

import pytest

from eimf_core.labeling import answer_parser, answer_text, prompts
from eimf_core.naming import terms
from eimf_core.prepare import containers, csv_cells, raw_text, rejects, time_forms, value_parsing
from eimf_core.recommend.query import title_search

MANY = 200_000
SECONDS = 60


@pytest.fixture(autouse=True)
def limit() -> Iterator[None]:
    """A regular expression hears no signal while it runs, so the process ends, with a traceback."""
    faulthandler.dump_traceback_later(SECONDS, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


def answer(text: str) -> None:
    with pytest.raises(answer_parser.UnusableError):
        answer_parser.read(text, prompts.load("described").schema, count=1, max_interests=2, instructions="")


READERS: dict[str, Callable[[str], object]] = {
    "answer": answer,
    "object": lambda text: answer_text.object_in(text[: answer_text.LONGEST_SEARCHED], ["interests"]),
    "title": title_search.without_year,
    "words": terms.title_terms,
    "html": raw_text.without_html,
    "categories": raw_text.split_categories,
    "reason": rejects._unquoted,
    "time": value_parsing.is_missing,
    "date": time_forms.tidied,
    "sql": lambda text: containers.SQL.match(text.encode()),
    "xml": lambda text: containers.XML.match(text.encode()),
    "row": lambda text: csv_cells._repaired(text, ",", '"', 3),
}
PIECES = (
    "\n",
    " ",
    "\t",
    "a'",
    "<script",
    "<style ",
    "<!--",
    "</script ",
    "--  \n",
    "/* */ ",
    "<",
    "& ",
    " is '",
    "', ",
    '" ',
    "1999 ",
    "9",
    "{",
    '{"a":',
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("reader", "start"),
    [(reader, start) for reader in READERS for start in ("", '"')]
    + [(reader, start) for reader in ("answer", "object", "categories") for start in ("```json", "<think>", "[")],
)
def test_long_texts_are_read_in_linear_time(reader: str, start: str) -> None:
    for piece in PIECES:
        READERS[reader](start + piece * (MANY // len(piece)) + "x")


def test_years_and_scripts_are_taken_off_as_before() -> None:
    assert title_search.without_year("Heat  (1995) ") == "heat"
    assert title_search.without_year("Blade Runner 2049") == "blade runner"
    assert title_search.without_year("1984") == "1984"
    assert title_search.without_year("Model X1999") == "model x1999"
    assert raw_text.without_html("a<SCRIPT x>b</b></script >c<!-- d --><i>e</i> <style>f <script>g").split() == [
        "a", "c", "e", "f", "g",
    ]  # fmt: skip
    numbered = f"a &#{'9' * 5000}; b"
    assert raw_text.without_html(numbered) == numbered
    assert rejects._unquoted("time is 'it is 'x', y', expected a number") == "time expected a number"
