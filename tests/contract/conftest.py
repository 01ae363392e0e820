"""Servers of the tests of engines."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from eimf_core.labeling.engines import server_pool
from tests.openai_endpoint import Endpoint, Say, Serve


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Start an endpoint that says what a function tells; pauses between tries are short."""
    monkeypatch.setattr(server_pool, "FIRST_PAUSE", 0.01)
    started: list[Endpoint] = []

    def go(say: Say) -> Endpoint:
        started.append(Endpoint(say))
        return started[-1]

    yield go
    for endpoint in started:
        endpoint.close()
