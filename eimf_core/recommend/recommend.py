"""`eimf recommend`: opens a model and answers one query, or a stream of them.

`recommend` is what the command calls. `Session` holds the opened model; `ask` answers one query,
`stream` the lines of a file or of stdin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec
import orjson

from eimf_core import artifact, jsonl
from eimf_core.errors import ConfigError, EimfError, InputError
from eimf_core.progress import SILENT, Reporter
from eimf_core.recommend import item_filters
from eimf_core.recommend import query_stream as stream
from eimf_core.recommend.config import RecommendConfig
from eimf_core.recommend.item_lookup import Items
from eimf_core.recommend.query_resolution import Asked, Reader
from eimf_core.recommend.recommender import Recommender
from eimf_core.recommend.text_queries import Words
from eimf_core.recommend.user_history import history_of
from eimf_core.records import Item, Query, Recommendation

R = TypeVar("R")


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a command asks: a history from ids, titles or a user of `sequences`, words, or `queries`.

    `items` without any are an empty history, which popularity answers; None is no history. `queries` is a
    file of Query lines, "-" for stdin; it is used when nothing else is asked. `explain` and `similar` name
    an item by id or title. The files say what may be listed (see `filters.allowed`) and which items came
    after training.
    """

    items: Sequence[str] | None = None
    titles: Sequence[str] = ()
    user: str | None = None
    sequences: Path | None = None
    text: str | None = None
    queries: str | None = None
    exclude: Sequence[str] = ()
    explain: str | None = None
    similar: str | None = None
    only_items: Path | None = None
    exclude_items: Path | None = None
    only: Sequence[str] = ()
    new_items: Path | None = None
    verify: bool = False

    def __post_init__(self) -> None:
        if (self.user is None) != (self.sequences is None):
            raise ConfigError("--user and --sequences go together")
        if self.queries is not None and (self.is_query or self.similar is not None):
            raise ConfigError("--queries does not go with a query on the command line")
        if self.similar is not None and (self.is_query or self.explain is not None):
            raise ConfigError("--similar takes no history; ask without it")
        if self.explain is not None and not self.is_query:
            raise ConfigError("--explain needs a history on the command line, such as --items A,B,C")

    @property
    def is_query(self) -> bool:
        """Whether the command line holds a query itself."""
        return bool(self.titles) or any(part is not None for part in (self.items, self.user, self.text))

    @property
    def is_stream(self) -> bool:
        """Whether Query lines are to be read."""
        return not self.is_query and self.similar is None and (self.queries is not None or not self.verify)

    def query(self) -> Query:
        """The query of the command line."""
        history, titles = list(map(_utf8, self.items or ())), list(map(_utf8, self.titles))
        times = events = None
        if self.user is not None and self.sequences is not None:
            line = history_of(self.user, self.sequences)
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
    """An argument of the command line with a question mark for each byte that is no UTF-8: it may be told again."""
    return argument.encode("utf-8", "replace").decode()


def recommend(
    path: str | Path, settings: RecommendConfig, request: Request, *, reporter: Reporter = SILENT
) -> Iterator[list[Recommendation]]:
    """Answers to what is asked, as soon as they are known.

    Raises ConfigError, ModelError, and InputError for a line that is no query or what `strict` forbids.
    """
    session = Session(path, settings, request, reporter=reporter)
    if request.is_stream:
        yield from session.stream(request.queries or "-")
    else:
        yield session.answers(request)


def recommend_lines(
    path: str | Path, settings: RecommendConfig, request: Request, *, reporter: Reporter = SILENT
) -> Iterator[bytes]:
    """As `recommend`, but the answers are JSON lines, one or more at once."""
    session = Session(path, settings, request, reporter=reporter)
    if request.is_stream:
        yield from session.stream_lines(request.queries or "-")
    else:
        yield from (msgspec.json.encode(answer) + b"\n" for answer in session.answers(request))


class Session:
    """An opened model with the settings of a command."""

    def __init__(
        self,
        path: str | Path,
        settings: RecommendConfig,
        request: Request | None = None,
        *,
        reporter: Reporter = SILENT,
    ) -> None:
        """Raises ConfigError for a path that is no directory and ModelError for a broken model."""
        request = request or Request(queries="-")
        if request.verify:
            artifact.verify(path)
            reporter.note(f"{path}: every file is as training wrote it")
        self.model = artifact.open_model(path)
        words = Words(self.model, settings.encoder)
        new: list[Item] = []
        if request.new_items is not None:
            # what only some queries need is imported when it is needed: a short command should feel instant
            from eimf_core.recommend import new_items

            new = new_items.read(request.new_items, self.model, reporter)
            new_items.add(self.model, new, words)
        self.items = Items(self.model.catalogue, new)
        allowed = item_filters.allowed(
            self.items,
            only_items=request.only_items,
            exclude_items=request.exclude_items,
            # a query of the command line reports what it does not know itself
            exclude=() if request.is_query else list(map(_utf8, request.exclude)),
            only=request.only,
            strict=settings.strict,
            reporter=reporter,
        )
        self.recommender = Recommender(self.model, self.items, settings, filters=allowed, reporter=reporter)
        self._reporter = reporter
        self._skip = settings.on_error == "skip"
        self._reader = Reader(
            self.items,
            settings,
            seen=self.model.config.seen,
            place_of=words.place,
            kinds=self.model.event_numbers,
            reporter=reporter,
            single=request.is_query,
        )

    def answers(self, request: Request) -> list[Recommendation]:
        """What a command line asks that is no stream; nothing when it only verifies."""
        if request.similar is not None:
            return [self.similar(request.similar)]
        return [self.ask(request.query(), explain=request.explain)] if request.is_query else []

    def ask(self, query: Query, *, explain: str | None = None) -> Recommendation:
        """The answer to one query; `explain` is an item, by id or title, whose place is explained beside it."""
        asked = self._reader.read(query)
        (answer,) = self.recommender.answer([asked])
        if answer.empty is not None:
            self._reporter.warn(f"nothing can be recommended: {answer.empty}")
        if explain is None:
            return answer
        from eimf_core.recommend.explain import explain as explained

        reasons = explained(self.recommender, asked, self._reader.one(explain))
        return msgspec.structs.replace(answer, explain=reasons)

    def similar(self, item: str) -> Recommendation:
        """The items nearest to one, which is given by id or title."""
        from eimf_core.recommend.explain import similar

        answer = similar(self.recommender, self._reader.one(item), self.recommender.settings.k)
        if answer.empty is not None:
            self._reporter.warn(f"nothing is near: {answer.empty}")
        return answer

    def stream(self, path: str | Path) -> Iterator[list[Recommendation]]:
        """Answers to the Query lines of a file or of stdin ("-"), in order, as soon as lines are there.

        What stands before a bad line is answered before its InputError is raised. With `on_error` "skip" a bad
        line's answer holds its error, and the InputError comes at the end.
        """

        def answered(lines: list[Line]) -> list[Recommendation]:
            return _in_place(lines, self.recommender.answer, lambda failed: failed)

        return self._worked_on(path, answered)

    def stream_lines(self, path: str | Path) -> Iterator[bytes]:
        """The answers of `stream` as JSON lines."""

        def answered(lines: list[Line]) -> bytes:
            made: list[bytes] = _in_place(lines, self.recommender.lines, lambda bad: msgspec.json.encode(bad) + b"\n")
            return b"".join(made)

        return self._worked_on(path, answered)

    def _worked_on(self, path: str | Path, work: Callable[[list[Line]], R]) -> Iterator[R]:
        from eimf_core.recommend import thread_pipeline

        self.recommender.prepare()
        return thread_pipeline.ordered(
            self._asked(path), work, thread_pipeline.workers(self.recommender.settings.threads)
        )

    def _asked(self, path: str | Path) -> Iterator[list[Line]]:
        bad = total = 0
        first = ""
        for lines in stream.ready(path, self.recommender.batch_size):
            asked: list[Line] = []
            problem: EimfError | None = None
            for number, line in lines:
                total += 1
                try:
                    query = jsonl.decode(line, Query, file=path, number=number)
                    asked.append(self._reader.read(query, file=path, line=number))
                except (InputError, ConfigError) as error:
                    # words that the model does not know are told by a ConfigError
                    if not self._skip:
                        problem = error
                        break
                    bad, first = bad + 1, first or str(error)
                    asked.append(_failed(line, number, error))
            if asked:
                yield asked
            if problem is not None:
                raise problem
        if bad:
            raise InputError(f"{bad:,} of {total:,} lines got an error in place of an answer, the first: {first}")


Line = Asked | Recommendation
"""A Query line as it is worked on: what it asks, or an answer that says what is wrong with it."""


def _failed(line: bytes, number: int, error: EimfError) -> Recommendation:
    """What stands in the place of an answer; under the line's id where it can be read."""
    try:
        name = orjson.loads(line)["id"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        name = None
    told = str(error) if isinstance(error, InputError) else f"line {number}: {error}"
    return Recommendation(id=name if isinstance(name, str) else str(number), items=[], interests=[], error=told)


def _in_place(
    lines: list[Line], answer: Callable[[Sequence[Asked]], list[R]], failed: Callable[[Recommendation], R]
) -> list[R]:
    """The answers to what is asked, and what failed where it stands."""
    asked = [line for line in lines if isinstance(line, Asked)]
    if len(asked) == len(lines):
        return answer(asked)
    answers = iter(answer(asked))
    return [next(answers) if isinstance(line, Asked) else failed(line) for line in lines]
