"""Results of requests in the OpenAI batch form: output and error files, each line checked.

Both OpenAI's files and those of vLLM's batch runner are read. A line that cannot be used is remembered with its file
and number, and told at the end, so that it costs no answer of the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from eimf_core.errors import InputError, counted
from eimf_core.io import files, jsonl
from eimf_core.labeling.engines import server_reply
from eimf_core.labeling.engines.server_reply import Reply, excerpt, words_of


@dataclass(frozen=True)
class BatchResult:
    """What came of one request.

    Attributes:
        reply: its answer, or an error.
        file, line: where it stands.
        refused: status and words of a request that was refused.
    """

    reply: Reply
    file: str
    line: int
    refused: tuple[int, str] | None = None


@dataclass
class BatchResults:
    """The results by custom_id, the first line that is none, and how many more there are."""

    found: dict[str, BatchResult] = field(default_factory=dict)
    first: InputError | None = None
    more: int = 0

    def add_problem(self, problem: InputError) -> None:
        """Keep what is wrong with the first of the lines that cannot be used, and count the others."""
        if self.first is None:
            self.first = problem
        else:
            self.more += 1

    def problem(self) -> InputError | None:
        """The first problem, with the number of the others."""
        first = self.first
        if first is None:
            return None
        also = f"; {counted(self.more, 'more line')} cannot be used" if self.more else ""
        return InputError(f"{first.problem}{also}", file=first.file, line=first.line, field=first.field)


def read(paths: Sequence[str | Path]) -> BatchResults:
    """The results in some files.

    Raises:
        ConfigError: for a file that cannot be opened.
        InputError: for one whose compression is broken, or with a line of impossible length.
    """
    results = BatchResults()
    for path in paths:
        with files.open_bytes(path) as stream:
            for number, line in jsonl.numbered_lines(stream, path):
                if line.strip():
                    _take(results, line, str(path), number)
    return results


def _take(results: BatchResults, line: bytes, path: str, number: int) -> None:
    def refuse(problem: str, name: str | None = None) -> None:
        results.add_problem(InputError(problem, file=path, line=number, field=name))

    try:
        raw = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return refuse(f"{jsonl.not_json(error)}; expected a result of a batch")
    name = raw.get("custom_id") if isinstance(raw, dict) else None
    if not isinstance(name, str):
        return refuse("is missing in a result of a batch", "custom_id")
    if "body" in raw and "response" not in raw:
        return refuse("is a request, expected the result of one: run the file and give its output")
    earlier = results.found.get(name)
    if earlier is not None:
        return refuse(f"'{excerpt(name, 80)}' is there already, at {earlier.file}:{earlier.line}", "custom_id")
    reply, refused = _reply(raw)
    results.found[name] = BatchResult(reply, path, number, refused)


def _reply(raw: dict[str, Any]) -> tuple[Reply, tuple[int, str] | None]:
    """The reply of a result, and status and words where the request was refused."""
    response = raw.get("response")
    response = response if isinstance(response, dict) else {}
    status, body = response.get("status_code"), response.get("body")
    if raw.get("error") or (isinstance(status, int) and status != 200):
        problem = raw.get("error") or body
        words = words_of(problem)
        code = problem.get("code") if isinstance(problem, dict) else None
        said = f"HTTP {status}" if isinstance(status, int) else excerpt(code or "error", 40)
        return Reply(error=f"{said}: {words}"), (status if isinstance(status, int) else 0, words)
    reply = server_reply.read(body.encode()) if isinstance(body, str) else server_reply.of_completion(body)
    return reply, ((200, reply.refused) if reply.refused else None)
