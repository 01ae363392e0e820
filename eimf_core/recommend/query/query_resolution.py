"""From a Query to what the model works with: item indices, a vector for the words, what may be listed.

Ids and titles that are not found are collected as unknown, with a remark; whether that is an error
is for the settings to say.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from eimf_core.errors import InputError
from eimf_core.numeric.arrays import Floats, Ints
from eimf_core.progress import SILENT, Reporter
from eimf_core.recommend.config import RecommendConfig
from eimf_core.recommend.query.item_lookup import Items
from eimf_core.recommend.query.title_search import Match, plain
from eimf_core.records import Query, ResolvedItem

NOTHING: Ints = np.zeros(0, dtype=np.int64)
DAY = 86_400
"""Seconds of a day."""
SHOWN = 10
"""Equally good titles that are listed."""


class UnknownItemError(InputError):
    """What is neither the id of an item nor like any title."""


@dataclass(slots=True)
class ResolvedQuery:
    """A query as the model takes it.

    `history` (n,) are indices of known items, oldest first, `times` (n,) their times and `events` (n,) their
    kinds of behaviour, if known; `text_vector` (d,) is the vector of the `text` in the item space or None;
    `seen`, what of the history may not be listed, `excluded` and `only` are indices; `ambiguous` are the first of the
    items that a title may be, by what was typed.
    """

    id: str
    history: Ints
    times: npt.NDArray[np.float64] | None
    events: Ints | None
    text_vector: Floats | None
    text: str | None
    unknown: list[str]
    excluded: Ints
    only: Ints | None
    seen: Ints
    diversity: float
    k: int
    ambiguous: dict[str, list[ResolvedItem]] = field(default_factory=dict)


class QueryResolver:
    """Turns queries into resolved ones.

    `text_vector` gives the vector of a text (d,); `kinds` are the kinds of behaviour of the model; `single`
    tells a query from the command line, where an ambiguous title is an error, from one of many; `now` (unix seconds)
    is the end of the data, from which `repeat_after` counts.
    """

    def __init__(
        self,
        items: Items,
        settings: RecommendConfig,
        *,
        seen: str,
        text_vector: Callable[[str], Floats],
        kinds: Mapping[str, int],
        reporter: Reporter,
        single: bool,
        now: float | None = None,
    ) -> None:
        self._items = items
        self._settings = settings
        self._keep_seen = (settings.seen or seen) == "keep"
        self._text_vector = text_vector
        self._kinds = kinds
        self._unknown_events: set[str] = set()
        self._reporter = reporter
        self._single = single
        days = settings.repeat_after
        self._again_before = None if now is None or days is None else now - days * DAY

    def without_remarks(self) -> QueryResolver:
        """One that leaves remarks on what is unknown to others."""
        made = copy.copy(self)
        made._reporter = SILENT
        return made

    def resolve(self, query: Query, *, file: object = None, line: int | None = None) -> ResolvedQuery:
        """Look up everything that a query names.

        Args:
            query: what is asked.
            file, line: where it stands, for errors; the line is its id when it has none.

        Returns:
            The query by item indices.

        Raises:
            InputError: it asks nothing, or what `strict` forbids.
            ConfigError: it asks by words, and the model knows none.
        """
        if query.history is None and query.titles is None and query.text is None:
            raise InputError("has none of history, titles and text", file=file, line=line)
        settings = self._settings
        name = query.id if query.id is not None else str(line if line is not None else 1)
        if self._single:
            # what was typed was cut at every comma
            typed, exclude = (self._items.whole_ids(ids) for ids in (query.history or [], query.exclude))
            query = msgspec.structs.replace(query, history=typed or query.history, exclude=exclude)
        unknown: list[str] = []
        ambiguous: dict[str, list[ResolvedItem]] = {}
        history = self._indices(query.history or [], unknown)
        for title in query.titles or []:
            if index := self._index_of_title(title, ambiguous, file=file, line=line):
                history.append(index)
            else:
                unknown.append(title)
        excluded = self._indices(query.exclude, unknown) if query.exclude else []
        only = None if query.only is None else self._indices(query.only, unknown)
        if unknown:
            unknown = list(dict.fromkeys(unknown))
            nothing = not history and not (query.text or "").strip()
            self._report(unknown, query, name, nothing=nothing, file=file, line=line)
        vector = None
        if query.text is not None and query.text.strip():
            vector = self._text_vector(query.text)
        k, diversity = query.k, query.diversity
        if k is not None and k < 1:
            raise InputError(f"is {k}, expected at least 1", file=file, line=line, field="k")
        if diversity is not None and not 0 <= diversity < float("inf"):
            raise InputError(f"is {diversity}, expected 0 or more", file=file, line=line, field="diversity")
        known, times = np.array(history, dtype=np.int64), self._times(query, file=file, line=line)
        return ResolvedQuery(
            id=name,
            history=known,
            times=times,
            events=self._events(query, file=file, line=line),
            text_vector=vector,
            text=None if vector is None else query.text,
            unknown=unknown,
            excluded=np.array(excluded, dtype=np.int64) if excluded else NOTHING,
            only=None if only is None else np.array(only, dtype=np.int64),
            seen=self._seen(query, known, times),
            diversity=settings.diversity if diversity is None else diversity,
            k=settings.k if k is None else k,
            ambiguous=ambiguous,
        )

    def _seen(self, query: Query, history: Ints, times: npt.NDArray[np.float64] | None) -> Ints:
        """What of a history may not be listed again."""
        if self._again_before is not None:
            return history if times is None else history[times > self._again_before]
        return NOTHING if (self._keep_seen if query.seen is None else query.seen == "keep") else history

    def _times(self, query: Query, *, file: object, line: int | None) -> npt.NDArray[np.float64] | None:
        """The times of the known items of a history; None where titles, which have none, stand beside it."""
        if query.times is None or query.titles:
            return None
        return np.array(self._of_known_items(query, "times", query.times, file=file, line=line), dtype=np.float64)

    def _events(self, query: Query, *, file: object, line: int | None) -> Ints | None:
        """The kinds of behaviour of the known items, 0 for one that the model has not learned; None as with times."""
        if query.events is None or query.titles:
            return None
        known = self._of_known_items(query, "events", query.events, file=file, line=line)
        unknown = set(known) - self._unknown_events - set(self._kinds)
        if self._kinds and unknown and self._reporter is not SILENT:
            self._unknown_events |= unknown
            learned = first_names(list(self._kinds))
            self._reporter.warn(f"unknown events: {first_names(sorted(unknown))}; the model has learned {learned}")
        return np.array([self._kinds.get(kind, 0) for kind in known], dtype=np.int64)

    def _of_known_items(
        self, query: Query, field: str, given: Sequence[Any], *, file: object, line: int | None
    ) -> list[Any]:
        """The entries of a field for the known items of a history; InputError where their numbers differ."""
        history = query.history or []
        if len(given) != len(history):
            raise InputError(f"has {len(given)} entries for {len(history)} items", file=file, line=line, field=field)
        return [entry for item, entry in zip(history, given, strict=True) if self._items.index(item)]

    def item_index(self, item: str) -> int:
        """Index of an item by id or title; InputError for a title of several, UnknownItemError when it is neither."""
        if index := self._items.index(item):
            return index
        match = self._items.find_title(item)
        if len(match.found) == 1 or (match.found and self._settings.first_match):
            return self._taken(item, match, always=True)
        if match.found:
            raise InputError(_ambiguous(item, match))
        near = f"; nearest are {_titles_of(match)}" if match.nearest else ""
        raise UnknownItemError(f"no item has the id or a title like '{item}'{near}")

    def _indices(self, ids: Sequence[str], unknown: list[str]) -> list[int]:
        """Ints of the known ids; the others join `unknown`."""
        found = self._items.indices(ids)
        if 0 in found:
            unknown += [item for item, at in zip(ids, found, strict=True) if not at]
            found = [at for at in found if at]
        return found

    def _index_of_title(
        self, typed: str, ambiguous: dict[str, list[ResolvedItem]], *, file: object, line: int | None
    ) -> int:
        """Index of the item with a title like this; 0, with a remark, when there is none. One of several items joins
        `ambiguous`."""
        match = self._items.find_title(typed)
        if not match.found:
            near = f"; nearest are {_titles_of(match)}" if match.nearest else ""
            self._reporter.warn(str(InputError(f"no title is like '{typed}'{near}", file=file, line=line)))
            return 0
        if len(match.found) > 1 and not self._settings.first_match:
            problem = InputError(_ambiguous(typed, match), file=file, line=line)
            if self._single or self._settings.strict:
                raise problem
            self._reporter.warn(str(problem))
            ambiguous[typed] = [ResolvedItem(item=item.item, title=item.title) for item in match.found[:SHOWN]]
            return 0
        return self._taken(typed, match)

    def _taken(self, typed: str, match: Match, *, always: bool = False) -> int:
        """The index of the best title, with a remark where it is not what was typed, or one of several.

        Many lines that leave out years would give as many remarks: of these it is told where `always` is.
        """
        item = match.found[0]
        longer = (always or self._single) and plain(item.title) != plain(typed)
        if not match.exact or len(match.found) > 1 or longer:
            self._reporter.note(f"'{typed}' is taken for '{item.title}' ({item.item})")
        return self._items.index(item.item)

    def _report(
        self, unknown: list[str], query: Query, name: str, *, nothing: bool, file: object, line: int | None
    ) -> None:
        known_ids = [item for item in unknown if item not in (query.titles or [])]
        if self._settings.strict:
            raise InputError(f"unknown: {first_names(unknown)}", file=file, line=line)
        if known_ids:
            whose = "" if self._single else f"{name}: "
            popular = "; no id of the history is known, so that the most popular items are listed" if nothing else ""
            self._reporter.warn(f"{whose}unknown items: {first_names(known_ids)}{popular}")


def _ambiguous(typed: str, match: Match) -> str:
    return f"'{typed}' may be {_titles_of(match)}; say which by its id or with more words, or take --first-match"


def first_names(names: Sequence[str]) -> str:
    """The first names of many, and how many more there are."""
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def _titles_of(match: Match) -> str:
    items = match.found or match.nearest
    titles = ", ".join(f"'{item.title}' ({item.item})" for item in items[:SHOWN])
    more = max(0, len(items) - SHOWN) + match.others
    return titles + (f" and {more:,} more" if more else "")
