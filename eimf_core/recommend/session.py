"""`eimf recommend` and `eimf similar`: open a model, and answer one query or a stream of them in JSON lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import orjson

from eimf_core import artifact, jsonl
from eimf_core.errors import ConfigError, EimfError, InputError
from eimf_core.progress import SILENT, Reporter
from eimf_core.recommend import query_input
from eimf_core.recommend.config import ListConfig, RecommendConfig
from eimf_core.recommend.item_filters import command_filters
from eimf_core.recommend.item_lookup import Items
from eimf_core.recommend.query_resolution import QueryResolver, ResolvedQuery
from eimf_core.recommend.recommender import Recommender
from eimf_core.recommend.result_lines import error_line, with_explanation
from eimf_core.recommend.text_vectors import TextVectors, add_new_items, read_new_items
from eimf_core.records import Item, Query, Recommendation

Batch = list[ResolvedQuery | bytes]
"""Query lines that are answered together; for a bad line what stands in the place of its answer."""


@dataclass(frozen=True, kw_only=True)
class ListRequest:
    """What may be listed (see `item_filters.command_filters`), and the file of items that came after training."""

    exclude: Sequence[str] = ()
    only: Sequence[str] = ()
    only_items: Path | None = None
    exclude_items: Path | None = None
    new_items: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Request(ListRequest):
    """What a command asks: a history from ids, titles or a user of `sequences`, words, or `queries`.

    `items` without any are an empty history, which popularity answers; None is no history. `queries` is a
    file of Query lines, "-" for stdin; it is used when nothing else is asked. `explain` names an item by id or title.
    """

    items: Sequence[str] | None = None
    titles: Sequence[str] = ()
    user: str | None = None
    sequences: Path | None = None
    text: str | None = None
    queries: str | None = None
    explain: str | None = None

    def __post_init__(self) -> None:
        if (self.user is None) != (self.sequences is None):
            raise ConfigError("--user and --sequences go together")
        if self.queries is not None and self.is_query:
            raise ConfigError("--queries does not go with a query on the command line")
        if self.explain is not None and not self.is_query:
            raise ConfigError("--explain needs a history on the command line, such as --items A,B,C")

    @property
    def is_query(self) -> bool:
        """Whether the command line holds a query itself; else Query lines are read."""
        return bool(self.titles) or any(part is not None for part in (self.items, self.user, self.text))

    def query(self) -> Query:
        """The query of the command line."""
        history, titles = list(map(_utf8, self.items or ())), list(map(_utf8, self.titles))
        times = events = None
        if self.user is not None and self.sequences is not None:
            line = query_input.history_of(self.user, self.sequences)
            # what is added on the command line has no time, and is of no kind of behaviour
            times, events = (None, None) if history or titles else (line.times, line.events)
            history = [*line.items, *history]
        return Query(
            id=self.user,
            history=history,
            titles=titles,
            text=None if self.text is None else _utf8(self.text),
            times=times,
            events=events,
            exclude=list(map(_utf8, self.exclude)),
        )


def _utf8(argument: str) -> str:
    """An argument of the command line with a question mark for each byte that is no UTF-8, so that it can be shown."""
    return argument.encode("utf-8", "replace").decode()


def recommend(
    path: str | Path, settings: RecommendConfig, request: Request, *, reporter: Reporter = SILENT
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
    session = Session(path, settings, request, reporter=reporter)
    if request.is_query:
        yield session.line(request.query(), explain=request.explain)
    else:
        yield from session.stream(request.queries or "-")


def similar(
    path: str | Path, settings: ListConfig, item: str, request: ListRequest, *, reporter: Reporter = SILENT
) -> bytes:
    """The items nearest to one, which is given by id or title, as a JSON line; raises as `recommend`."""
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
    ) -> None:
        """Raises ConfigError for a path that is no directory and ModelError for a broken model."""
        request = request or ListRequest()
        # a query of the command line reports what it does not know itself
        single = isinstance(request, Request) and request.is_query
        self.model = artifact.open_model(path)
        text_vectors = TextVectors(self.model, settings.encoder)
        new: list[Item] = []
        if request.new_items is not None:
            new = read_new_items(request.new_items, self.model, reporter)
            add_new_items(self.model, new, text_vectors)
        self.items = Items(self.model.catalogue, new)
        filters = command_filters(
            self.items,
            only_items=request.only_items,
            exclude_items=request.exclude_items,
            exclude=() if single else self.items.whole_ids(list(map(_utf8, request.exclude))),
            only=request.only,
            strict=settings.strict,
            reporter=reporter,
        )
        self.recommender = Recommender(self.model, self.items, settings, filters=filters, reporter=reporter)
        self.resolver = QueryResolver(
            self.items,
            settings,
            seen=self.model.config.seen,
            text_vector=text_vectors.of_text,
            kinds=self.model.event_numbers,
            reporter=reporter,
            single=single,
        )
        self._reporter = reporter

    def ask(self, query: Query, *, explain: str | None = None) -> Recommendation:
        """The answer to one query as a record."""
        return msgspec.json.decode(self.line(query, explain=explain), type=Recommendation)

    def line(self, query: Query, *, explain: str | None = None) -> bytes:
        """The answer to one query; `explain` is an item, by id or title, whose rank is explained beside it."""
        resolved = self.resolver.resolve(query)
        result = self.recommender.result([resolved])
        (line,) = self.recommender.writer.write(result)
        if result.empty:
            self._reporter.warn(f"nothing can be recommended: {result.empty[0]}")
        if explain is None:
            return line
        from eimf_core.recommend.explain import explain as explained

        return with_explanation(line, explained(self.recommender, resolved, self.resolver.item_index(explain)))

    def similar_line(self, item: str) -> bytes:
        """The items nearest to one, which is given by id or title."""
        from eimf_core.recommend.explain import similar

        result = similar(self.recommender, self.resolver.item_index(item))
        if result.empty:
            self._reporter.warn(f"nothing is near: {result.empty[0]}")
        return self.recommender.writer.write(result)[0]

    def stream(self, path: str | Path) -> Iterator[bytes]:
        """Answers to the Query lines of a file or of stdin ("-"), in order, as soon as lines are there.

        What stands before a bad line is answered before its InputError is raised. With `on_error` "skip" a bad
        line's answer holds its error, and the InputError comes at the end.
        """
        from eimf_core import threads
        from eimf_core.recommend import thread_pipeline

        self.recommender.load()
        number = self.recommender.settings.threads or threads.default(thread_pipeline.MOST_WORKERS)
        return thread_pipeline.ordered(self._batches(path), self._answer, number)

    def _answer(self, batch: Batch) -> bytes:
        lines = iter(self.recommender.lines([entry for entry in batch if isinstance(entry, ResolvedQuery)]))
        return b"".join([next(lines) if isinstance(entry, ResolvedQuery) else entry for entry in batch])

    def _batches(self, path: str | Path) -> Iterator[Batch]:
        skip = self.recommender.settings.on_error == "skip"
        bad = total = 0
        first = ""
        for lines in query_input.available_lines(path, self.recommender.batch_size):
            batch: Batch = []
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


def _error_line(line: bytes, number: int, error: EimfError) -> bytes:
    """What stands in the place of an answer; under the line's id where it can be read."""
    try:
        query_id = orjson.loads(line)["id"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        query_id = None
    problem = str(error) if isinstance(error, InputError) else f"line {number}: {error}"
    return error_line(query_id if isinstance(query_id, str) else str(number), problem)
