"""Recommendation lines straight from columns.

A record for each item of each list costs more time than ranking it. What does not change from answer to
answer (an item's id and title, a rank, a name) is written once and kept; numbers are written many at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache, lru_cache
from itertools import islice
from operator import add
from typing import Any

from msgspec.json import encode as _encoded

from eimf_core.recommend.attribution import DIGITS
from eimf_core.recommend.query.item_lookup import Items
from eimf_core.recommend.results import RankedList, Result

CACHED = 1 << 14
"""Parts of a line that are kept once written: ranks, interests, shares, names."""


class ResultLines:
    """Writes results; one for all threads of a stream. `items` are those of the model."""

    def __init__(self, items: Items) -> None:
        self.items = items
        # of each item index: `"item":…,"title":…,"weight":`, and the same up to the score
        self._weighed = cache(lambda index: self._item_named(index) + b',"weight":')
        self._scored = cache(lambda index: self._item_named(index) + b',"score":')

    def in_order(self, results: Iterable[tuple[Sequence[int], Result]]) -> list[bytes]:
        """The lines of results.

        Args:
            results: as `Recommender.results` gives them.

        Returns:
            A line for each query, in their order.
        """
        made: dict[int, bytes] = {}
        for places, result in results:
            made |= zip(places, self.write(result), strict=True)
        return [made[at] for at in range(len(made))]

    def write(self, result: Result) -> list[bytes]:
        """The line of each query of a result, with its end."""
        scores = iter(_numbers([score for ranked in result.lists for score in ranked.scores]))
        known = (value for names in result.names or () for _, value in filter(None, names) if value is not None)
        similarities = iter(_numbers(list(known)))
        fallback = b"" if result.fallback is None else b',"fallback":%b' % _encoded(result.fallback)
        empty = {at: b',"empty":%b' % _encoded(why) for at, why in result.empty.items()}
        return [
            b'{"id":%b,"items":[%b],"interests":[%b],"unknown":%b%b%b%b}\n'
            % (
                _encoded(query.id),
                self._listed(ranked, scores),
                b"" if result.names is None else self._interests(result, at, similarities),
                _encoded(query.unknown) if query.unknown else b"[]",
                b',"ambiguous":%b' % _encoded(query.ambiguous) if query.ambiguous else b"",
                fallback,
                empty.get(at, b""),
            )
            for at, (query, ranked) in enumerate(zip(result.queries, result.lists, strict=True))
        ]

    def _listed(self, ranked: RankedList, scores: Iterator[bytes]) -> bytes:
        number = len(ranked.items)
        if not number:
            return b""
        ranks = ranked.ranks
        parts = [b"}"] * (3 * number + 1)
        parts[0] = b'{"rank":%d,' % ranks[0]
        parts[1::3] = map(self._scored, ranked.items)
        parts[2::3] = islice(scores, number)
        # what ends an item and begins the next is written once for both
        if ranked.interests:
            parts[3:-1:3] = map(_between_items, ranked.interests, ranks[1:])
            parts[-1] = b',"interest":%d}' % ranked.interests[-1]
        else:
            parts[3:-1:3] = [b'},{"rank":%d,' % rank for rank in ranks[1:]]
        return b"".join(parts)

    def _interests(self, result: Result, at: int, similarities: Iterator[bytes]) -> bytes:
        assert result.names is not None
        names, brought_by, text = result.names[at], result.lists[at].interests, result.queries[at].text
        shares = None if result.shares is None else result.shares[at]
        parts = []
        for number, named in enumerate(names):
            if named is None:
                continue
            name, similarity = named
            words = text if number == result.words else None
            parts.append(_interest(number, words, name, similarity is not None))
            if similarity is not None:
                parts.append(next(similarities))
            parts.append(_weight(brought_by.count(number), len(brought_by)))
            if shares is not None and words is None and shares[number]:
                items, of_items = zip(*shares[number], strict=True)
                parts += (b"{", b"},{".join(map(add, map(self._weighed, items), map(_share, of_items))), b"}]}")
            else:
                parts.append(b"]}")
        return b"".join(parts)[1:]

    def _item_named(self, index: int) -> bytes:
        item = self.items.item(index)
        return b'"item":%b,"title":%b' % (_encoded(item.item), _encoded(item.title))


def with_field(line: bytes, name: str, value: Any) -> bytes:
    """A line with one more field behind the others.

    Args:
        line: a JSON object, with its newline.
        name: of the field.
        value: what can be written as JSON.

    Returns:
        The line.
    """
    return b"%b,%b:%b}\n" % (line.removesuffix(b"}\n"), _encoded(name), _encoded(value))


def error_line(query_id: str, problem: str) -> bytes:
    """What stands in the place of an answer to a bad line."""
    return b'{"id":%b,"items":[],"interests":[],"unknown":[],"error":%b}\n' % (_encoded(query_id), _encoded(problem))


def _numbers(values: Sequence[float | None]) -> list[bytes]:
    return _encoded(values)[1:-1].split(b",") if values else []


@lru_cache(CACHED)
def _between_items(interest: int, rank: int) -> bytes:
    return b',"interest":%d},{"rank":%d,' % (interest, rank)


@lru_cache(CACHED)
def _interest(number: int, words: str | None, name: str | None, similar: bool) -> bytes:
    spoken = b"" if words is None else b',"words":%b' % _encoded(words)
    named = b"" if name is None else b',"name":%b' % _encoded(name)
    return b',{"index":%d%b%b%b' % (number, spoken, named, b',"similarity":' if similar else b"")


@lru_cache(CACHED)
def _weight(brought: int, listed: int) -> bytes:
    return b',"weight":%b,"anchors":[' % _encoded(round(brought / max(1, listed), DIGITS))


@lru_cache(CACHED)
def _share(share: float) -> bytes:
    return _encoded(share)
