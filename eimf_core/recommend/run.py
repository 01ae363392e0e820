"""`eimf recommend`: opens a model and answers one query, or a stream of them.

`recommend` is what the command calls. `Session` holds the opened model; `ask` answers one query,
`stream` the lines of a file or of stdin.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from eimf_core import artifact, jsonl
from eimf_core.errors import ConfigError, InputError
from eimf_core.progress import SILENT, Reporter
from eimf_core.recommend import stream
from eimf_core.recommend.asking import Asked, Reader
from eimf_core.recommend.catalogue import Items
from eimf_core.recommend.config import RecommendConfig
from eimf_core.recommend.engine import Recommender
from eimf_core.recommend.history import history_of
from eimf_core.recommend.words import Words
from eimf_core.records import Query, Recommendation


@dataclass(frozen=True)
class Request:
    """What a command asks: a history from ids, titles or a user of `sequences`, words, or `queries`.

    `queries` is a file of Query lines, "-" for stdin; it is used when nothing else is asked.
    """

    items: list[str] = field(default_factory=list)
    titles: list[str] = field(default_factory=list)
    user: str | None = None
    sequences: Path | None = None
    text: str | None = None
    queries: str | None = None

    def __post_init__(self) -> None:
        if (self.user is None) != (self.sequences is None):
            raise ConfigError("--user and --sequences go together")
        if self.is_query and self.queries is not None:
            raise ConfigError("--queries does not go with a query on the command line")

    @property
    def is_query(self) -> bool:
        """Whether the command line holds a query itself."""
        return bool(self.items or self.titles or self.user is not None or self.text is not None)

    def query(self) -> Query:
        """The query of the command line."""
        history = list(self.items)
        if self.user is not None and self.sequences is not None:
            history = [*history_of(self.user, self.sequences), *history]
        return Query(id=self.user, history=history, titles=self.titles, text=self.text)


def recommend(
    path: str | Path, settings: RecommendConfig, request: Request, *, reporter: Reporter = SILENT
) -> Iterator[list[Recommendation]]:
    """Answers to what is asked, as soon as they are known.

    Raises ConfigError, ModelError, and InputError for a line that is no query or what `strict` forbids.
    """
    session = Session(path, settings, reporter=reporter, single=request.is_query)
    if request.is_query:
        yield [session.ask(request.query())]
    else:
        yield from session.stream(request.queries or "-")


class Session:
    """An opened model with the settings of a command."""

    def __init__(
        self, path: str | Path, settings: RecommendConfig, *, reporter: Reporter = SILENT, single: bool = True
    ) -> None:
        """`single`: one query, where an ambiguous title is an error.

        Raises ConfigError for a path that is no directory and ModelError for a broken model.
        """
        self.model = artifact.open_model(path)
        self.items = Items(self.model.catalogue)
        self.recommender = Recommender(self.model, self.items, settings)
        self._reader = Reader(
            self.items,
            settings,
            seen=self.model.config.seen,
            place_of=Words(self.model, settings.encoder).place,
            reporter=reporter,
            single=single,
        )

    def ask(self, query: Query) -> Recommendation:
        """The answer to one query."""
        return self.recommender.answer([self._reader.read(query)])[0]

    def stream(self, path: str | Path) -> Iterator[list[Recommendation]]:
        """Answers to the Query lines of a file or of stdin ("-"), in order, as soon as lines are there.

        What stands before a bad line is answered before its InputError is raised.
        """
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
                yield self.recommender.answer(asked)
            if problem is not None:
                raise problem
