"""Blocks of users answered: by processes of this machine, or by those of `ray_map`."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from eimf_core.errors import ModelError
from eimf_core.io import files
from eimf_core.progress import SILENT, Reporter
from eimf_core.ray_cluster.ray_map import RayWorkers
from eimf_core.recommend.config import RecommendConfig
from eimf_core.recommend.output.file_formats import Encode
from eimf_core.recommend.query.query_resolution import ResolvedQuery
from eimf_core.recommend.query.request import RecommendRequest
from eimf_core.recommend.session import Session
from eimf_core.records import AnsweredUsers

QueryBlock = list[ResolvedQuery]
Answered = tuple[Any, AnsweredUsers]
"""What was made of a block, and what its users got."""
BUNDLE = 512
"""Users that a process is given at a time."""


@contextlib.contextmanager
def answers(
    session: Session,
    blocks: Iterator[QueryBlock],
    encode: Encode,
    model: str | Path,
    request: RecommendRequest,
    reporter: Reporter = SILENT,
) -> Iterator[Iterator[Answered]]:
    """The answers to blocks, in order.

    Args:
        session: the opened model; its settings say who answers.
        blocks: of users.
        encode: makes of answers what is wanted.
        model: its directory.
        request: what may be listed.
        reporter: gets remarks.

    Returns:
        A context, in which the answers to blocks come one by one.
    """
    settings = session.recommender.settings
    if settings.ray is None:
        yield session.side_by_side(blocks, _answerer(session, encode))
        return
    here = Path(model).absolute()
    with RayWorkers(
        settings.ray,
        open_worker,
        here,
        _identity(here),
        settings,
        _with_absolute_paths(request),
        encode,
        reporter=reporter,
    ) as workers:
        yield (answered for bundle in workers.ordered(_bundles(blocks)) for answered in bundle)


def open_worker(
    model: Path, identity: str, settings: RecommendConfig, request: RecommendRequest, encode: Encode
) -> Callable[[list[QueryBlock]], list[Answered]]:
    """In a worker: what answers a bundle of blocks; raises ModelError where the model is another one."""
    session = Session(model, settings, request)
    if _identity(model) != identity:
        raise ModelError(f"{model}: on {socket.gethostname()} another model lies there; share one folder or copy it")
    session.recommender.load()
    answer = _answerer(session, encode)
    return lambda bundle: [answer(block) for block in bundle]


def _identity(model: Path) -> str:
    return files.sha256(model / "manifest.json")


def _with_absolute_paths(request: RecommendRequest) -> RecommendRequest:
    """The request as a worker reads it, whose current folder is another one."""
    paths: dict[str, Any] = {name: value.absolute() for name, value in vars(request).items() if isinstance(value, Path)}
    return dataclasses.replace(request, **paths)


def _bundles(blocks: Iterator[QueryBlock]) -> Iterator[list[QueryBlock]]:
    bundle: list[QueryBlock] = []
    for block in blocks:
        bundle.append(block)
        if sum(map(len, bundle)) >= BUNDLE:
            yield bundle
            bundle = []
    if bundle:
        yield bundle


def _answerer(session: Session, encode: Encode) -> Callable[[QueryBlock], Answered]:
    """What answers a block of users."""

    def answer(block: QueryBlock) -> Answered:
        results = list(session.recommender.results(block))
        lists = [ranked for _, result in results for ranked in result.lists]
        answered = AnsweredUsers(
            users=len(block),
            rows=sum(len(ranked.items) for ranked in lists),
            empty=sum(not ranked.items for ranked in lists),
            popular=sum(len(places) for places, result in results if result.fallback is not None),
            with_unknown=sum(bool(query.unknown) for query in block),
        )
        return encode(results, session.writer), answered

    return answer
