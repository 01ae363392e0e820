"""Recommendations for all users of a prepared directory: lines as they are made, or rows in a file.

A file is made in parts of `PART` users, which lie in OUT.partial/ until the last one is there: a run that was
interrupted resumes after the parts that it finished. Users are answered in the same blocks however often that
happens and by however many threads, so that the same command makes the same bytes.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from eimf_core import shards
from eimf_core.errors import ConfigError
from eimf_core.io import files, jsonl, outputs, provenance
from eimf_core.progress import SILENT, Reporter
from eimf_core.recommend import user_blocks
from eimf_core.recommend.config import RecommendConfig
from eimf_core.recommend.output import file_formats, recommendation_lines
from eimf_core.recommend.query import user_histories
from eimf_core.recommend.query.request import RecommendRequest
from eimf_core.recommend.query.user_histories import Users
from eimf_core.recommend.session import Session
from eimf_core.recommend.user_blocks import QueryBlock
from eimf_core.records import AnsweredUsers, Query

PART = 4096
"""Users of a part: about a second of work, which is what an interruption costs."""


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes:
        answered: the totals over all users.
        made: users that this run answered; an earlier one did the others.
        seconds: of this run, from the first answer to the last.
    """

    answered: AnsweredUsers
    made: int
    seconds: float


def lines(
    path: str | Path, settings: RecommendConfig, request: RecommendRequest, *, reporter: Reporter = SILENT
) -> Iterator[bytes]:
    """Answer all users of a prepared directory.

    Args:
        path: the model directory.
        settings: hold for all users.
        request: which users.
        reporter: gets progress and remarks.

    Yields:
        Recommendation records as JSON lines, one a user in the order of the sequences file, several at a time.

    Raises:
        ConfigError: what is asked does not go together.
        ModelError: the model is broken.
        InputError: a line of the data is broken, or holds what `strict` forbids.
    """
    assert request.all_users is not None
    session = Session(path, settings, request, reporter=reporter)
    users = user_histories.all_users(request.all_users).part(shards.parse(settings.shard))
    reporter.begin("recommending", len(users))
    started, done = time.perf_counter(), 0
    with_unknown = 0
    blocks = _blocks(session, users, 0, as_tested=request.as_tested)
    with user_blocks.answers(session, blocks, recommendation_lines.encode, path, request, reporter) as answers:
        for made, answered in answers:
            yield made
            done += answered.users
            with_unknown += answered.with_unknown
            reporter.advance(answered.users, rate=_rate(done, started))
    reporter.end()
    _tell_unknown(with_unknown, reporter)


def write(
    model: str | Path,
    settings: RecommendConfig,
    request: RecommendRequest,
    output: Path,
    *,
    force: bool = False,
    reporter: Reporter = SILENT,
) -> Written:
    """Write the rows of all users to a file whose ending says the form.

    Args:
        model: the model directory.
        settings: hold for all users.
        request: which users.
        output: the file. Parts that other settings or inputs made start over.
        force: whether a file that no run of eimf wrote may be replaced.
        reporter: gets progress and remarks.

    Returns:
        How much was written, and how fast.

    Raises:
        ConfigError: what is asked does not go together, or the output may not be written.
        ModelError: the model is broken.
        InputError: a line of the data is broken, or holds what `strict` forbids.
    """
    if request.all_users is None:
        raise ConfigError("--output holds the rows of all users: it goes with --all-users; other answers go to stdout")
    if not request.all_users.exists():
        raise ConfigError(f"--all-users {request.all_users}: no such directory")
    form = file_formats.format_of(output)
    session = Session(model, settings, request, reporter=reporter)
    description = _description(model, settings, request)
    with (
        outputs.claimed([output], inputs=description["inputs"], force=force) as places,
        contextlib.closing(_Parts(output, description)) as parts,
    ):
        users = user_histories.all_users(request.all_users).part(shards.parse(settings.shard))
        reporter.begin("recommending", len(users), parts.users)
        if parts.users:
            reporter.note(f"{output}: resuming after {parts.users:,} of {len(users):,} users")
        started, before = time.perf_counter(), parts.users
        blocks = _blocks(session, users, before, as_tested=request.as_tested)
        made: list[tuple[Any, AnsweredUsers]] = []
        with user_blocks.answers(session, blocks, form.encode, model, request, reporter) as answers:
            for encoded, answered in answers:
                made.append((encoded, answered))
                done = parts.users + sum(of.users for _, of in made)
                reporter.advance(answered.users, rate=_rate(done - before, started))
                if done == len(users) or done % PART == 0:
                    form.write_part(parts.next_path, [part for part, _ in made])
                    parts.add(_total([of for _, of in made]))
                    made.clear()
        seconds = time.perf_counter() - started
        reporter.end()
        form.join(parts.paths, places[str(output)])
        provenance.write(places[str(output)], description)
        total = _total(parts.finished)
    parts.remove()
    _tell_unknown(total.with_unknown, reporter)
    return Written(total, total.users - before, seconds)


def _description(model: str | Path, settings: RecommendConfig, request: RecommendRequest) -> dict[str, Any]:
    """What the rows depend on: the sidecar of the output."""
    asked = {**vars(settings), **vars(request)}
    read = [request.only_items, request.exclude_items, request.new_items, request.boost]
    assert request.all_users is not None
    return provenance.describe(
        command="recommend",
        # who answers changes no answer
        arguments={
            "model": model,
            **{
                name: files.name_of(value) if isinstance(value, Path) else value
                for name, value in asked.items()
                if name not in ("threads", "ray")
            },
        },
        inputs=[
            user_histories.sequences_file(request.all_users),
            Path(model) / "manifest.json",
            *(path for path in read if path is not None),
        ],
    )


def _blocks(session: Session, users: Users, start: int, *, as_tested: bool) -> Iterator[QueryBlock]:
    """The queries of the users from number `start` on, none of them over the end of a part."""
    histories = users.histories(start, as_tested=as_tested)
    resolver = session.resolver.without_remarks()
    place = start
    while place < len(users):
        size = min(session.recommender.batch_size, PART - place % PART)
        block = [
            resolver.resolve(Query(id=line.user, history=line.items, times=line.times, events=line.events))
            for line in islice(histories, size)
        ]
        if not block:
            raise ConfigError(f"{users.file}: has changed while it was read; run the same command again")
        place += len(block)
        yield block


@dataclass
class _Parts:
    """The finished parts of an output, under its lock.

    Attributes:
        folder: where they lie.
        finished: what stands in each.
    """

    output: Path
    description: dict[str, Any]
    folder: Path = field(init=False)
    finished: list[AnsweredUsers] = field(init=False)

    def __post_init__(self) -> None:
        self.folder = jsonl.partial(self.output)
        origin = self.folder / "origin.json"
        wanted = orjson.dumps(self.description, default=str)
        try:
            if not origin.is_file() or origin.read_bytes() != wanted:
                if origin.is_file() or _is_a_beginning(self.folder):
                    shutil.rmtree(self.folder, ignore_errors=True)
                self.folder.mkdir(parents=True)
                with files.atomic(origin) as stream:
                    stream.write(wanted)
        except FileExistsError:
            raise ConfigError(f"{self.folder}: is in the way of the parts of {self.output}; remove it") from None
        except OSError as error:
            raise ConfigError(f"{self.folder}: cannot be written ({error.strerror})") from None
        self._journal = jsonl.Journal(self.folder / "parts.jsonl", AnsweredUsers)
        self.finished = self._journal.finished

    @property
    def users(self) -> int:
        """How many users the finished parts hold."""
        return sum(part.users for part in self.finished)

    @property
    def paths(self) -> list[Path]:
        """The finished parts, in order."""
        return [self._path(number) for number in range(len(self.finished))]

    @property
    def next_path(self) -> Path:
        """Where the next part goes."""
        return self._path(len(self.finished))

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06d}{self.output.suffix}"

    def add(self, answered: AnsweredUsers) -> None:
        """The next part is written."""
        self._journal.append(answered)
        self.finished.append(answered)

    def close(self) -> None:
        """Leave the finished parts for a later run; where there is none, nothing is left."""
        self._journal.close()
        if not self.finished:
            self.remove()

    def remove(self) -> None:
        """The output is there; its parts are not needed any more."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _total(parts: list[AnsweredUsers]) -> AnsweredUsers:
    names = AnsweredUsers.__struct_fields__
    return AnsweredUsers(**{name: sum(getattr(part, name) for part in parts) for name in names})


def _rate(users: int, started: float) -> str:
    return f"{users / max(time.perf_counter() - started, 1e-9):,.0f} users/s"


def _tell_unknown(users: int, reporter: Reporter) -> None:
    if users:
        have = "user has items" if users == 1 else "users have items"
        reporter.warn(f"{users:,} {have} that the model does not know; these are passed over")


def _is_a_beginning(folder: Path) -> bool:
    """Whether a folder holds nothing but what a kill leaves before its first file is whole."""
    return folder.is_dir() and all(path.name.startswith(".") for path in folder.iterdir())
