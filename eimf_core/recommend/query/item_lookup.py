"""The items of a model as `recommend` looks them up: by id, by index and by title, each kept once read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from eimf_core.model_directory.model_items import ModelItems
from eimf_core.recommend.query.title_search import Match, Titles
from eimf_core.records import Item

MAX_PARTS = 6
"""Parts between commas that an id is put together from, at most."""
SHARE = 16
"""One id in so many looked up one by one, then all are read at once."""


class Items:
    """Look-ups in a catalogue, with the items of `new` behind its last index."""

    def __init__(self, catalogue: ModelItems, new: Iterable[Item] = ()) -> None:
        self._catalogue = catalogue
        self._items: dict[int, Item] = {}
        self._index: dict[str, int] = {}
        self._all_known = False
        self._titles: Titles | None = None
        self.new = 0
        for number, item in enumerate(new, start=1):
            self._items[len(catalogue) + number] = item
            self._index[item.item] = len(catalogue) + number
            self.new = number

    def __len__(self) -> int:
        return len(self._catalogue) + self.new

    def load(self) -> None:
        """Read all ids at once."""
        known = {entry.item: number for number, entry in enumerate(self._catalogue, start=1)}
        self._index = {**known, **self._index}
        self._all_known = True

    def index(self, item: str) -> int:
        """Index of an id, 0 when it is unknown."""
        found = self._index.get(item)
        if found is not None or self._all_known:
            return found or 0
        if len(self._index) > self.new + len(self._catalogue) // SHARE:
            self.load()
            return self._index.get(item, 0)
        return self._index.setdefault(item, self._catalogue.index(item))

    def indices(self, items: Sequence[str]) -> list[int]:
        """Indices of ids, 0 for each that is unknown."""
        try:
            return [self._index[item] for item in items]
        except KeyError:
            return [self.index(item) for item in items]

    def whole_ids(self, parts: Sequence[str]) -> list[str]:
        """Ids out of a list that was cut at every comma: parts that are an id only together are put together."""
        found: list[str] = []
        at = 0
        while at < len(parts):
            whole, end = parts[at], at + 1
            for last in range(min(len(parts), at + MAX_PARTS), at + 1, -1):
                joined = [comma.join(parts[at:last]) for comma in (",", ", ")]
                known = next((each for each in joined if self.index(each)), None)
                if known is not None and not all(self.indices(parts[at:last])):
                    whole, end = known, last
                    break
            found.append(whole)
            at = end
        return found

    def item(self, index: int) -> Item:
        """The item at an index."""
        found = self._items.get(index)
        if found is None:
            found = self._items[index] = self._catalogue.item(index)
        return found

    def all(self) -> Iterator[Item]:
        """All items in order of their index."""
        yield from self._catalogue
        for number in range(1, self.new + 1):
            yield self._items[len(self._catalogue) + number]

    def find_title(self, typed: str) -> Match:
        """The items that a typed title may mean."""
        if self._titles is None:
            new = (self._items[len(self._catalogue) + number].title for number in range(1, self.new + 1))
            self._titles = Titles([*self._catalogue.titles(), *new], lambda at: self.item(at + 1))
        return self._titles.find(typed)
