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

from eimf_core import artifact, jsonl
from eimf_core.errors import ConfigError, InputError
from eimf_core.progress import SILENT, Reporter
from eimf_core.recommend import filters, stream
from eimf_core.recommend.asking import Asked, Reader
from eimf_core.recommend.catalogue import Items
from eimf_core.recommend.config import RecommendConfig
from eimf_core.recommend.engine import Recommender
from eimf_core.recommend.history import history_of
from eimf_core.recommend.words import Words
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
        history, titles, times = list(map(_utf8, self.items or ())), list(map(_utf8, self.titles)), None
        if self.user is not None and self.sequences is not None:
            line = history_of(self.user, self.sequences)
            # what is added on the command line has no time
            times = None if history or titles else line.times
            history = [*line.items, *history]
        return Query(
            id=self.user,
            history=history,
            titles=titles,
            text=None if self.text is None else _utf8(self.text),
            times=times,
            exclude=list(self.exclude),
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
        allowed = filters.allowed(
            self.items,
            only_items=request.only_items,
            exclude_items=request.exclude_items,
            only=request.only,
            reporter=reporter,
        )
        self.recommender = Recommender(self.model, self.items, settings, allowed=allowed, reporter=reporter)
        self._reader = Reader(
            self.items,
            settings,
            seen=self.model.config.seen,
            place_of=words.place,
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
        if explain is None:
            return answer
        from eimf_core.recommend.explain import explain as explained

        reasons = explained(self.recommender, asked, self._reader.one(explain))
        return msgspec.structs.replace(answer, explain=reasons)

    def similar(self, item: str) -> Recommendation:
        """The items nearest to one, which is given by id or title."""
        from eimf_core.recommend.explain import similar

        return similar(self.recommender, self._reader.one(item), self.recommender.settings.k)

    def stream(self, path: str | Path) -> Iterator[list[Recommendation]]:
        """Answers to the Query lines of a file or of stdin ("-"), in order, as soon as lines are there.

        What stands before a bad line is answered before its InputError is raised.
        """
        return self._worked_on(path, self.recommender.answer)

    def stream_lines(self, path: str | Path) -> Iterator[bytes]:
        """The answers of `stream` as JSON lines."""
        return self._worked_on(path, lambda asked: b"".join(self.recommender.lines(asked)))

    def _worked_on(self, path: str | Path, work: Callable[[list[Asked]], R]) -> Iterator[R]:
        from eimf_core.recommend import pipeline

        self.recommender.prepare()
        return pipeline.ordered(self._asked(path), work, pipeline.workers(self.recommender.settings.threads))

    def _asked(self, path: str | Path) -> Iterator[list[Asked]]:
        for lines in stream.ready(path, self.recommender.batch_size):
            asked: list[Asked] = []
            problem: InputError | None = None
            for number, line in lines:
                try:
                    query = jsonl.decode(line, Query, file=path, number=number)
                    asked.append(self._reader.read(query, file=path, line=number))
                except InputError as error:
                    problem = error
                    break
            if asked:
                yield asked
            if problem is not None:
                raise problem
