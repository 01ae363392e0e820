"""`eimf recommend` and `eimf similar`: open a model, and answer one query or a stream of them in JSON lines."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import orjson

from eimf_core.config import setting_error
from eimf_core.errors import ConfigError, EimfError, InputError
from eimf_core.io import jsonl
from eimf_core.model_directory import artifact
from eimf_core.progress import SILENT, Reporter
from eimf_core.recommend import item_boosts
from eimf_core.recommend.config import ListConfig, RecommendConfig
from eimf_core.recommend.item_filters import command_filters
from eimf_core.recommend.output.result_lines import ResultLines, error_line, with_field
from eimf_core.recommend.query import query_input, user_histories
from eimf_core.recommend.query.item_lookup import Items
from eimf_core.recommend.query.query_resolution import QueryResolver, ResolvedQuery
from eimf_core.recommend.query.request import ListRequest, QueryRequest, RecommendRequest, utf8
from eimf_core.recommend.query.text_vectors import TextVectors, add_new_items, read_new_items
from eimf_core.recommend.recommender import Recommender
from eimf_core.records import Item, Query, ResolvedHistory, ResolvedItem

P = TypeVar("P")
R = TypeVar("R")
SHOWN = 10
"""Items of a history that are named, the latest."""
QueryBatch = list[ResolvedQuery | bytes]
"""Query lines that are answered together; for a bad line what stands in the place of its answer."""


def recommend(
    path: str | Path, settings: RecommendConfig, request: RecommendRequest, *, reporter: Reporter = SILENT
) -> Iterator[bytes]:
    """Answer what is asked, as soon as the answers are known.

    Args:
        path: the model directory.
        settings: hold for all queries.
        request: the query, or where Query lines stand.
        reporter: gets remarks.

    Yields:
        One or more JSON lines of Recommendation records at a time.

    Raises:
        ConfigError: what is asked does not go together, or not with this model.
        ModelError: the model is broken.
        InputError: a line is no query, or holds what `strict` forbids.
    """
    for name in ("shard", "ray"):
        if getattr(settings, name) is not None:
            raise setting_error(name, "goes with --all-users")
    session = Session(path, settings, request, reporter=reporter)
    if request.is_query:
        yield session.line(request.query(), explain=request.explain, as_tested=request.as_tested)
    else:
        yield from session.stream(request.queries or "-")


def similar(
    path: str | Path, settings: ListConfig, item: str, request: ListRequest, *, reporter: Reporter = SILENT
) -> bytes:
    """The items whose vectors are nearest to that of one item, by cosine.

    Args:
        path: the model directory.
        settings: how many are listed, and what holds for all lists.
        item: an id, or a title roughly.
        request: what may be listed.
        reporter: gets remarks.

    Returns:
        A Recommendation record as a JSON line, whose id is that of the item.

    Raises:
        ConfigError: what is asked does not go together, or not with this model.
        ModelError: the model is broken.
        InputError: there is no such item.
    """
    return Session(path, RecommendConfig(**vars(settings)), request, reporter=reporter).similar_line(item)


class Session:
    """An opened model with the settings of a command."""

    def __init__(
        self,
        path: str | Path,
        settings: RecommendConfig,
        request: ListRequest | None = None,
        *,
        reporter: Reporter = SILENT,
        private: bool = False,
    ) -> None:
        """`private` as in `artifact.open_model`; ConfigError for a path that is no directory, ModelError for a broken
        model."""
        request = request or ListRequest()
        # a query of the command line reports what it does not know itself
        single = isinstance(request, RecommendRequest) and request.is_query
        began = time.perf_counter()
        self.model = artifact.open_model(path, private=private)
        self.text_vectors = TextVectors(self.model, settings.encoder)
        new: list[Item] = []
        if request.new_items is not None:
            new = read_new_items(request.new_items, self.model, reporter)
            add_new_items(self.model, new, self.text_vectors)
        self.items = Items(self.model.catalogue, new)
        filters = command_filters(
            self.items,
            only_items=request.only_items,
            exclude_items=request.exclude_items,
            exclude=() if single else self.items.whole_ids(list(map(utf8, request.exclude))),
            only=request.only,
            strict=settings.strict,
            reporter=reporter,
        )
        boosts = None
        if isinstance(request, QueryRequest) and request.boost is not None:
            boosts = item_boosts.read(request.boost, self.items, strict=settings.strict, reporter=reporter)
        self.recommender = Recommender(
            self.model, self.items, settings, filters=filters, boosts=boosts, reporter=reporter
        )
        self.resolver = QueryResolver(
            self.items,
            settings,
            seen=self.model.config.seen,
            text_vector=self.text_vectors.of_text,
            kinds=self.model.event_numbers,
            reporter=reporter,
            single=single,
            now=_end_of_data(settings, request),
        )
        self.writer = ResultLines(self.items)
        self._reporter = reporter
        reporter.debug(f"{path}: opened in {time.perf_counter() - began:.2f} s")

    def lines(self, queries: Sequence[ResolvedQuery]) -> list[bytes]:
        """Answer queries.

        Args:
            queries: of any kind.

        Returns:
            A Recommendation record as a JSON line for each, in their order.
        """
        return self.writer.in_order(self.recommender.results(queries))

    def line(self, query: Query, *, explain: str | None = None, as_tested: bool = False) -> bytes:
        """The answer to one query, with what its history was understood as.

        Args:
            query: what is asked.
            explain: an item, by id or title, whose rank is explained beside it.
            as_tested: whether the history ends where a test asks, to be told with it.

        Returns:
            A Recommendation record as a JSON line.
        """
        resolved = self.resolver.resolve(query)
        result = self.recommender.result([resolved])
        (line,) = self.writer.write(result)
        if result.empty:
            self._reporter.warn(f"nothing can be recommended: {result.empty[0]}")
        if len(resolved.history):
            line = with_field(line, "history", self._resolved_history(resolved, as_tested))
        if explain is None:
            return line
        from eimf_core.recommend.explain import explain as explained

        return with_field(line, "explain", explained(self.recommender, resolved, self.resolver.item_index(explain)))

    def _resolved_history(self, query: ResolvedQuery, as_tested: bool) -> ResolvedHistory:
        latest = [self.items.item(index) for index in query.history[-SHOWN:].tolist()]
        return ResolvedHistory(
            items=len(query.history),
            read=min(len(query.history), self.model.config.max_length),
            latest=[ResolvedItem(item=item.item, title=item.title) for item in latest],
            until=None if query.times is None else float(query.times[-1]),
            as_tested=as_tested,
        )

    def similar_line(self, item: str, k: int | None = None) -> bytes:
        """The items nearest to one, which is given by id or title; `k` of them, or as the settings say."""
        from eimf_core.recommend.explain import similar

        result = similar(self.recommender, self.resolver.item_index(item), k)
        if result.empty:
            self._reporter.warn(f"nothing is near: {result.empty[0]}")
        return self.writer.write(result)[0]

    def stream(self, path: str | Path) -> Iterator[bytes]:
        """Answers to the Query lines of a file or of stdin ("-"), in order, as soon as lines are there.

        What stands before a bad line is answered before its InputError is raised. With `on_error` "skip" a bad
        line's answer holds its error, and the InputError comes at the end.
        """
        return self.side_by_side(self._batches(path), self._answer)

    def side_by_side(self, parts: Iterator[P], work: Callable[[P], R]) -> Iterator[R]:
        """The work on each part, in order, by as many processes as the settings say."""
        from eimf_core import threads
        from eimf_core.recommend import process_pipeline

        self.recommender.load()
        number = self.recommender.settings.threads or threads.for_answers()
        return process_pipeline.ordered(parts, work, number)

    def _answer(self, batch: QueryBatch) -> bytes:
        lines = iter(self.lines([entry for entry in batch if isinstance(entry, ResolvedQuery)]))
        return b"".join([next(lines) if isinstance(entry, ResolvedQuery) else entry for entry in batch])

    def _batches(self, path: str | Path) -> Iterator[QueryBatch]:
        skip = self.recommender.settings.on_error == "skip"
        bad = total = 0
        first = ""
        for lines in query_input.available_lines(path, self.recommender.batch_size):
            batch: QueryBatch = []
            problem: EimfError | None = None
            for number, line in lines:
                total += 1
                try:
                    query = jsonl.decode(line, Query, file=path, number=number)
                    batch.append(self.resolver.resolve(query, file=path, line=number))
                except (InputError, ConfigError) as error:
                    # a model that knows no words refuses them with a ConfigError
                    if not skip:
                        problem = error
                        break
                    bad, first = bad + 1, first or str(error)
                    batch.append(_error_line(line, number, error))
            if batch:
                yield batch
            if problem is not None:
                raise problem
        if bad:
            raise InputError(f"{bad:,} of {total:,} lines got an error in place of an answer, the first: {first}")


def _end_of_data(settings: RecommendConfig, request: ListRequest) -> float | None:
    """The time from which `repeat_after` counts; None where it is not asked for."""
    if settings.repeat_after is None:
        return None
    histories = request.histories if isinstance(request, RecommendRequest) else None
    if histories is None:
        raise setting_error(
            "repeat_after", "needs to know when: it goes with --user and --sequences, or with --all-users"
        )
    return user_histories.end_of_data(histories)


def _error_line(line: bytes, number: int, error: EimfError) -> bytes:
    """What stands in the place of an answer; under the line's id where it can be read."""
    try:
        query_id = orjson.loads(line)["id"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        query_id = None
    problem = str(error) if isinstance(error, InputError) else f"line {number}: {error}"
    return error_line(query_id if isinstance(query_id, str) else str(number), problem)
