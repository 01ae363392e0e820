"""The body of a request as queries: one, a JSON array of them, or JSON lines."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec
import orjson

from eimf_core.errors import InputError
from eimf_core.io import jsonl
from eimf_core.records import Query

QUERY = msgspec.json.Decoder(Query)
ARRAY = msgspec.json.Decoder(list[msgspec.Raw])
MAX_TITLES = 50
"""Titles of a query: each is looked for in all titles of the catalogue."""
LONGEST_TEXT = 2_000
"""Characters of words or of a title; encoders read the first few hundred."""


class ParsedBody(NamedTuple):
    """The queries of a body.

    Attributes:
        queries: in their order; each has an id.
        form: "one", "array" or "lines".
    """

    queries: list[Query]
    form: str


def read(body: bytes, most_items: int) -> ParsedBody:
    """Read a body.

    Args:
        body: as it came.
        most_items: that a list may be asked for.

    Raises:
        InputError: it holds no queries, in the words that the command line has for a bad line.
    """
    text = body.removeprefix(codecs.BOM_UTF8).strip()
    if text[:1] == b"[":
        return ParsedBody(list(_checked(_array(text), most_items, "query")), "array")
    first, _, rest = text.partition(b"\n")
    # an object that goes over several lines does not close on its first
    if rest and first.rstrip().endswith(b"}"):
        lines = [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
        return ParsedBody(list(_checked(lines, most_items, "line")), "lines")
    return ParsedBody(list(_checked([(1, text)], most_items, "")), "one")


def _array(text: bytes) -> Sequence[tuple[int, bytes]]:
    try:
        return [(number, bytes(part)) for number, part in enumerate(ARRAY.decode(text), start=1)]
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        pass
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InputError(f"{jsonl.not_json(error)}; expected Query objects in an array") from None
    raise InputError(f"more than {jsonl.DEEPEST} lists or objects within each other")


def _checked(parts: Sequence[tuple[int, bytes]], most_items: int, what: str) -> Iterator[Query]:
    if not parts:
        raise InputError("holds no Query")
    for number, part in parts:
        try:
            query = _query(part, number)
            _check(query, most_items)
        except InputError as error:
            place = f"{what} {number}: " if what else ""
            field = f"field '{error.field}': " if error.field else ""
            raise InputError(f"{place}{field}{error.problem}") from None
        yield query if query.id is not None else msgspec.structs.replace(query, id=str(number))


def _query(part: bytes, number: int) -> Query:
    try:
        return QUERY.decode(part)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        # slower, knows ids that are numbers, and says what is wrong
        return jsonl.decode(part, Query, file=None, number=number)


def _check(query: Query, most_items: int) -> None:
    """InputError for a query that would take much of the service for itself."""
    if query.k is not None and query.k > most_items:
        raise InputError(f"is {query.k}, expected at most {most_items} (--most-items)", field="k")
    titles = query.titles or ()
    if len(titles) > MAX_TITLES:
        raise InputError(f"has {len(titles):,} titles, expected at most {MAX_TITLES}", field="titles")
    for field, texts in (("text", [query.text or ""]), ("titles", titles)):
        longest = max(map(len, texts), default=0)
        if longest > LONGEST_TEXT:
            raise InputError(f"has {longest:,} characters, expected at most {LONGEST_TEXT:,}", field=field)
