"""An opened model that answers in this process."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack

from eimf.paths import AnyPath, path_if, path_of
from eimf.query_values import ids, one_id, one_text, queries_of, read_query, texts, with_fields
from eimf.record_lists import Recommendations, read_answer
from eimf.reporting import named_as_arguments, reporter_or_quiet
from eimf.setting_types import RecommendSettings
from eimf.tables import lines_of
from eimf_core.progress import Reporter
from eimf_core.recommend.config import RecommendConfig
from eimf_core.setting_values import settings_of

if TYPE_CHECKING:
    from eimf_core.recommend.all_users import Written
    from eimf_core.recommend.query.request import RecommendRequest

BATCH = 256
"""Queries that are answered together."""


def open_model(
    path: AnyPath, *, only: Sequence[str] = (), only_items: AnyPath | None = None,
    exclude_items: AnyPath | None = None, new_items: Any = None,
    boost: Any = None, reporter: Reporter | None = None, **settings: Unpack[RecommendSettings],
) -> Model:  # fmt: skip
    """Open a model directory, without torch. Its files stay where they are and are read as answers need them.

    A directory that takes the place of this one as a whole, as `train` puts it there, changes nothing: what was opened
    is read on. Files that are written over in place are read as they are then: answers mix both models, and a file that
    becomes shorter ends the process. Copy a model to another name beside the old one, then rename both.

    Args:
        path: the directory that `train` wrote.
        only: conditions such as "category=Tea"; several are alternatives.
        only_items: a file of the ids that may be listed, one a line.
        exclude_items: a file of ids that are never listed.
        new_items: items that came after training: a file of Item lines, a frame with these columns, or a list of
            dictionaries.
        boost: items and the factors on their scores: a file, a frame with the columns item and factor, or a list of
            dictionaries.
        reporter: hears of remarks and warnings; without one warnings are Python's.
        settings: of `RecommendConfig`, for all queries, such as `k=20` or `diversity=0.3`.

    Returns:
        The model.

    Raises:
        ConfigError: for a path that is no directory, or settings that do not work.
        InputError: for items or factors that cannot be used.
        ModelError: for a model that is broken.

    >>> model = eimf.open_model("model/", k=3)
    >>> len(model.recommend(items=["S1200", "S1214"]))
    3
    """
    with named_as_arguments():
        made = settings_of(RecommendConfig, settings)
        request = {
            "only": texts(only, "only"), "only_items": path_if(only_items, "only_items"),
            "exclude_items": path_if(exclude_items, "exclude_items"),
        }  # fmt: skip
        tables = {"new_items": new_items, "boost": boost}
        return Model(path_of(path, "path"), made, request, tables, reporter_or_quiet(reporter))


class Model:
    """An opened model; `open_model` makes one. Threads may ask it at once."""

    def __init__(
        self, path: Path, settings: RecommendConfig, request: Mapping[str, Any], tables: Mapping[str, Any],
        reporter: Reporter,
    ) -> None:  # fmt: skip
        """`request`, and `tables` that may be in memory: further fields of `RecommendRequest` of `eimf_core`."""
        from eimf_core.recommend.session import Session

        self.path = path
        self._settings, self._reporter, self._fields = settings, reporter, request
        self._tables = {name: given for name, given in tables.items() if given is not None}
        # an empty history: each query is one that reports itself what it does not know
        with self._request(items=[]) as asked:
            self._session = Session(self.path, settings, asked, reporter=reporter)

    @contextlib.contextmanager
    def _request(self, **fields: Any) -> Iterator[RecommendRequest]:
        """A request with what holds for all queries; tables in memory are files while the block runs."""
        from eimf_core.recommend.query.request import RecommendRequest

        with contextlib.ExitStack() as stack:
            tables: dict[str, Any] = {
                name: stack.enter_context(lines_of(given, name)) for name, given in self._tables.items()
            }
            yield RecommendRequest(**fields, **self._fields, **tables)

    @property
    def backbone(self) -> str:
        """The backbone, or those of the members joined by +."""
        return self._session.model.config.backbone

    def __len__(self) -> int:
        """How many items the model ranks."""
        return self._session.model.config.items

    def __repr__(self) -> str:
        return f"Model({str(self.path)!r}: {self.backbone}, {len(self):,} items)"

    def recommend(
        self, *, items: Any = None, like: str | Sequence[str] | None = None, user: str | None = None,
        sequences: AnyPath | None = None, text: str | None = None, times: Any = None,
        events: Sequence[str] | None = None, exclude: Any = None, only: Any = None,
        seen: Literal["drop", "keep"] | None = None, diversity: float | None = None, k: int | None = None,
        explain: str | None = None,
    ) -> Recommendations:  # fmt: skip
        """What comes next after a history, for words, or for both; the fields of a Query.

        Args:
            items: ids of the history, oldest first; numbers are taken as text.
            like: titles, roughly, behind them in the history.
            user: whose history is read from `sequences`.
            sequences: the directory that `prepare` wrote.
            text: what is wanted, in plain words.
            times: of the `items`, unix seconds or dates.
            events: kinds of behaviour, one for each of the `items`.
            exclude: ids to leave out.
            only: the ids that may be listed.
            seen: whether items of the history are dropped from the list.
            diversity: weight of different categories against scores.
            k: how many items.
            explain: an item, by id or title, whose rank is explained.

        Returns:
            The items, best first.

        Raises:
            ConfigError: for words where the model knows none, or a user without `sequences`.
            InputError: for a title that may be several, and fields that do not go together.

        >>> model = eimf.open_model("model/")
        >>> found = model.recommend(items=["S1200", "S1214", "S1352"], k=2)
        >>> [item.rank for item in found], found.history.items
        ([1, 2], 3)
        >>> sorted(found.to_list()[0])
        ['interest', 'item', 'name', 'rank', 'score', 'title']
        >>> model.recommend(user="C0627", sequences="data/", k=1)[0].title in str(model.recommend(text="a gift"))
        False
        """
        from eimf_core.recommend.query.request import RecommendRequest

        with named_as_arguments():
            request = RecommendRequest(
                items=None if items is None else ids(items, "items"),
                like=texts(like, "like"),
                user=None if user is None else one_id(user, "user"),
                sequences=path_if(sequences, "sequences"),
                text=None if text is None else one_text(text, "text"),
            )
            others = {"times": times, "events": events, "seen": seen, "diversity": diversity, "k": k}
            of_ids = {"exclude": exclude, "only": only}
            others |= {name: None if given is None else ids(given, name) for name, given in of_ids.items()}
            query = with_fields(request.query(), others)
            item = None if explain is None else one_id(explain, "explain")
            return read_answer(self._session.line(query, explain=item))

    def recommend_many(self, queries: Iterable[Mapping[str, Any]]) -> Iterator[Recommendations]:
        """Answers to many queries, in order, some hundred computed together.

        Args:
            queries: each with the fields of a Query line: `history`, `titles`, `text`, `k` and so on.

        Raises:
            InputError: for a query with an unknown field, or one that cannot be answered; those before it are given.

        >>> model = eimf.open_model("model/")
        >>> [len(found) for found in model.recommend_many([{"history": ["S1200"], "k": 1}, {"history": [], "k": 2}])]
        [1, 2]
        """
        waiting = []
        with named_as_arguments():
            for number, query in enumerate(queries_of(queries), start=1):
                read = read_query(query, number)
                waiting.append(self._session.resolver.resolve(read, file="queries", line=number))
                if len(waiting) == BATCH:
                    yield from map(read_answer, self._session.lines(waiting))
                    waiting = []
            if waiting:
                yield from map(read_answer, self._session.lines(waiting))

    def similar(self, item: str) -> Recommendations:
        """The items nearest to one, by the cosine of their vectors; `k` is that of the opened model.

        Args:
            item: its id, or its title, roughly.

        Raises:
            InputError: there is no such item, or several have such a title.

        >>> eimf.open_model("model/", k=2).similar("S1200")[0].item != "S1200"
        True
        """
        with named_as_arguments():
            return read_answer(self._session.similar_line(one_id(item, "item")))

    def recommend_all(
        self, data: AnyPath, output: AnyPath, *, force: bool = False,
        reporter: Reporter | None = None,
    ) -> Written:  # fmt: skip
        """Write recommendations for all users of a prepared directory; an interrupted run resumes.

        The model directory is opened anew, so that a model which has taken its place is the one that answers.

        Args:
            data: the directory that `prepare` wrote.
            output: a file that ends in .parquet, .csv or .jsonl.
            force: whether a file that no run of eimf wrote may be replaced.
            reporter: hears of progress.

        Returns:
            How many users were answered, with how many recommendations.

        >>> eimf.open_model("model/", k=2).recommend_all("data/", "all.csv").answered.users > 1000
        True
        """
        from eimf_core.recommend import all_users

        heard = self._reporter if reporter is None else reporter
        with named_as_arguments(), self._request(all_users=path_of(data, "data")) as request:
            return all_users.write(
                self.path, self._settings, request, path_of(output, "output"), force=force, reporter=heard
            )
