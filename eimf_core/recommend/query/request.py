"""What a command asks: a query of its own or Query lines, and what may be listed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from eimf_core.config import setting
from eimf_core.errors import ConfigError

if TYPE_CHECKING:
    from eimf_core.records import Query


@dataclass(frozen=True, kw_only=True)
class ListRequest:
    """What may be listed (see `item_filters.command_filters`), and the file of items that came after training."""

    exclude: list[str] = setting([], "Item ids to leave out.", group="data", metavar="A,B,C", ids=True)
    exclude_items: Path | None = setting(None, "Ids to leave out, one a line.", group="data", metavar="FILE")
    only_items: Path | None = setting(
        None, "Ids that may be listed, one a line, such as those in stock.", group="data", metavar="FILE"
    )
    only: list[str] = setting([], "Only items of a category; repeat for more.", group="data", metavar="category=NAME")
    new_items: Path | None = setting(None, "Items (JSON lines) that came after training.", group="data", metavar="FILE")


@dataclass(frozen=True, kw_only=True)
class QueryRequest(ListRequest):
    """The same for lists that follow a history, and the file of factors on scores (see `item_boosts`)."""

    boost: Path | None = setting(
        None, "CSV or JSON lines of item and factor, which multiplies the score: above 1 promotes.",
        group="data", metavar="FILE",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class RecommendRequest(QueryRequest):
    """What a command asks: a history from ids, titles or a user of `sequences`, words, or `queries`;
    or the histories of `all_users` of a prepared directory.

    The history of a user is all that is known, with `as_tested` what a test asks from. `items` without any
    are an empty history, which popularity answers; None is no history. `queries` is a file of Query lines, "-" for
    stdin; it is used when nothing else is asked. `explain` names an item by id or title.
    """

    items: list[str] | None = setting(None, "Item ids of the history, oldest first.", metavar="A,B,C", ids=True)
    like: list[str] = setting([], "A title, roughly; repeat for more.", metavar="TITLE")
    user: str | None = setting(None, "A user of the sequences file.", metavar="U")
    sequences: Path | None = setting(None, "Directory that prepare wrote, for the history of --user.", metavar="DIR")
    all_users: Path | None = setting(None, "Directory that prepare wrote: recommend for all its users.", metavar="DIR")
    as_tested: bool = setting(False, "End the histories of users before what a test asks for.", advanced=True)
    text: str | None = setting(None, "What is wanted, in plain words.", metavar="WORDS")
    queries: str | None = setting(
        None, "Query lines to answer; stdin when nothing else is asked.", metavar="FILE|-", advanced=True
    )
    explain: str | None = setting(None, "Say which interest would bring this item, and at which rank.", metavar="ITEM")

    def __post_init__(self) -> None:
        refuse_blank("--user", self.user)
        others = {
            "--items": self.items, "--like": self.like or None, "--user": self.user, "--sequences": self.sequences,
            "--text": self.text, "--queries": self.queries,
        }  # fmt: skip
        given = [option for option, value in others.items() if value is not None]
        if self.all_users is not None and given:
            raise ConfigError(
                f"--all-users asks for all users, {' and '.join(given)} for something else: leave one out"
            )
        if self.user is not None and self.sequences is None:
            raise ConfigError("--user needs --sequences data/, where the histories are")
        if self.sequences is not None and self.user is None:
            raise ConfigError("--sequences needs --user, whose history is read; --all-users data/ is for all users")
        if self.as_tested and self.histories is None:
            raise ConfigError("--as-tested is about histories of users: give --user and --sequences, or --all-users")
        if self.queries is not None and self.is_query:
            raise ConfigError("--queries does not go with a query on the command line")
        if self.explain is not None and not self.is_query:
            raise ConfigError("--explain needs a history on the command line, such as --items A,B,C")

    @property
    def histories(self) -> Path | None:
        """Where the histories of users are, if any are asked for: a prepared directory or its sequences file."""
        return self.sequences if self.all_users is None else self.all_users

    @property
    def is_query(self) -> bool:
        """Whether the command line holds a query itself; else Query lines are read."""
        return bool(self.like) or any(part is not None for part in (self.items, self.user, self.text))

    def query(self) -> Query:
        """The query of the command line."""
        from eimf_core.recommend.query import user_histories
        from eimf_core.records import Query

        history, titles = list(map(utf8, self.items or ())), list(map(utf8, self.like))
        times = events = None
        if self.user is not None and self.sequences is not None:
            line = user_histories.history_of(self.user, self.sequences, as_tested=self.as_tested)
            # what is added on the command line has no time, and is of no kind of behaviour
            times, events = (None, None) if history or titles else (line.times, line.events)
            history = [*line.items, *history]
        return Query(
            id=self.user,
            history=history,
            titles=titles,
            text=None if self.text is None else utf8(self.text),
            times=times,
            events=events,
            exclude=list(map(utf8, self.exclude)),
        )


def refuse_blank(option: str, value: str | list[str] | None) -> None:
    """ConfigError for an option that says nothing, as a variable of a script may: popularity is no answer to it."""
    said = [value] if isinstance(value, str) else value
    if said is not None and not (said and all(text.strip() for text in said)):
        raise ConfigError(
            f"{option} is empty; for the most popular items ask with an empty history on stdin: "
            """echo '{"history":[]}'"""
        )


def utf8(argument: str) -> str:
    """An argument of the command line with a question mark for each byte that is no UTF-8, so that it can be shown."""
    return argument.encode("utf-8", "replace").decode()
