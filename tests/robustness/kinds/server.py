"""What a server says to `label --engine server`, byte by byte, and files of results for `label --engine batch`."""

from __future__ import annotations

import contextlib
import json
import random
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from eimf_core.io import jsonl
from eimf_core.labeling.engines import server_pool
from eimf_core.records import HistoryItem, Label, Sample
from eimf_core.text_cleaning import clean
from tests import in_process
from tests.robustness import mutations
from tests.robustness.kinds import lines
from tests.robustness.trial import Kind, Trial

USERS = 3
LONGEST_ERROR = 400
"""Characters of the error of a label: what a server says is cut."""
GOOD = '{"interests": [{"name": "hot drinks", "items": [1, 2]}]}'
TEXTS = (
    GOOD, f"```json\n{GOOD}\n```", f"<think>so</think>{GOOD}", "<think>", f"Here: {GOOD} and {{more}}", "", "{", "{" * 9_000, '{"interests":' * 3_000,
    "```json" + "\n" * 50_000, GOOD[:40], "[" * 9_000, GOOD.replace("hot", "\u202ehot\x1b[2J"), GOOD.replace("1, 2", "9" * 400), GOOD * 99, "\ud800",
)  # fmt: skip
STATUSES = (100, 101, 200, 201, 204, 206, 299, 300, 301, 302, 304, 307, 308, 400, 401, 403, 404, 405, 408, 413, 415, 422, 429, 499, 500, 501, 502, 503, 504, 599, 0, 99, 999, -1)  # fmt: skip
WORDS = (
    "response_format json_schema is not supported", "Unsupported parameter: 'max_tokens'", "temperature: unknown", "The model `m` does not exist",
    "maximum context length is 9", "\x1b[2J\r\neimf: fine", "é\u202e" * 999, "x" * 99_999, "seed: Extra inputs are not permitted", "",
)  # fmt: skip
HEADERS = (
    b"Content-Length: 5", b"Content-Length: -1", b"Content-Length: 99999999999999999999", b"Content-Length: x", b"Transfer-Encoding: chunked",
    b"Content-Encoding: gzip", b"Retry-After: 0", b"Retry-After: -5", b"Retry-After: \xc2\xb2", b"Retry-After: 1e9", b"Retry-After: " + b"9" * 400,
    b"Location: http://192.0.2.1/\x1b[2J", b"Location: //", b"Location: file:///etc/passwd", b"Connection: upgrade", b"X: " + b"y" * 70_000,
    b"Set-Cookie: a", b": ", b"no colon", b" folded", b"\x00", b"WWW-Authenticate: Digest realm=", b"Content-Type: text/html; charset=\xff",
)  # fmt: skip


def make(folder: Path) -> None:
    """Samples, settings that wait for nothing long, and results of a batch."""
    history = [HistoryItem(item=f"i{at}", title=f"Tea number {at}") for at in range(3)]
    made = [
        Sample(key=f"{at:016x}", user=f"u{at}", cluster=0, cluster_size=3, distance=0, history=history)
        for at in range(USERS)
    ]
    jsonl.write(folder / "samples.jsonl", made)
    (folder / "eimf.toml").write_text("[label]\ntimeout = 0.5\nretries = 1\nattempts = 2\n")
    done = in_process.eimf([*BATCH, "-o", "labels.jsonl"], stdin=b"", cwd=folder, environment={})
    assert done.returncode == 0, done.stderr
    requests = [json.loads(line) for line in (folder / "labels.requests.jsonl").read_bytes().splitlines()]
    results = [
        {"id": "b", "custom_id": each["custom_id"], "response": {"status_code": 200, "body": _completion(GOOD)}, "error": None}
        for each in requests
    ]  # fmt: skip
    results.append({**results[0], "response": None, "error": {"code": "batch_expired", "message": "expired"}})
    (folder / "results.jsonl").write_bytes(b"".join(json.dumps(each).encode() + b"\n" for each in results[:USERS]))
    (folder / "errors.jsonl").write_bytes(json.dumps(results[-1]).encode() + b"\n")
    command = [*BATCH, "--results", "results.jsonl", "-o", "labels.jsonl"]
    done = in_process.eimf(command, stdin=b"", cwd=folder, environment={})
    assert done.returncode == 0 and b"3 users labelled" in done.stderr, done.stderr
    for each in folder.glob("labels.*"):
        each.unlink()


BATCH = ("label", "samples.jsonl", "--engine", "batch", "--model", "m", "--prompt", "general")


def _completion(text: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {"id": "c", "choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 5}}


# -- what a server says


def _body(rng: random.Random) -> bytes:
    what = rng.randrange(8)
    if what == 0:
        return rng.choice(
            (b"", b"<html>login</html>", b"\xff\xfe", b"null", b"[]", b"1e999", b'"' * 3, rng.randbytes(99))
        )
    if what == 1:
        return json.dumps(rng.choice(({"error": {"message": rng.choice(WORDS)}}, {"error": rng.choice(WORDS)}, {"detail": [{"msg": rng.choice(WORDS)}]}, mutations.odd(rng)))).encode()  # fmt: skip
    value = _completion(rng.choice(TEXTS))
    message = value["choices"][0]["message"]
    if rng.random() < 0.2:
        message[rng.choice(("reasoning_content", "reasoning", "refusal"))] = rng.choice((*TEXTS, *mutations.TEXTS))
    if rng.random() < 0.2:
        message["content"] = rng.choice(
            (None, [{"type": "text", "text": GOOD}], [{"text": None}], [[]], mutations.odd(rng))
        )
    if rng.random() < 0.2:
        value["choices"][0]["finish_reason"] = rng.choice(("length", "content_filter", None, 5))
    for _ in range(rng.choice((0, 0, 1, 3))):
        value = mutations.of_value(value, rng)
    raw = json.dumps(value).encode()
    return mutations.of_bytes(raw, rng) if what == 2 else raw


def _reply(rng: random.Random) -> bytes:
    body = _body(rng)
    status = 200 if rng.random() < 0.5 else rng.choice(STATUSES)
    headers = [b"Content-Type: application/json"]
    if rng.random() < 0.85:
        headers.append(b"Content-Length: %d" % len(body))
    headers += rng.sample(HEADERS, rng.choice((0, 0, 0, 1, 2)))
    if rng.random() < 0.03:
        headers += [b"X-%d: y" % at for at in range(rng.choice((90, 300)))]
    if rng.random() < 0.1:
        headers.append(b"Transfer-Encoding: chunked")
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body) + rng.choice((0, 0, -1, 5, 1 << 62)), body)
    start = b"" if rng.random() < 0.9 else b"HTTP/1.1 100 Continue\r\n\r\n" * rng.choice((1, 3, 500))
    raw = start + b"HTTP/1.1 %d OK\r\n" % status + b"\r\n".join(headers) + b"\r\n\r\n" + body
    return mutations.of_bytes(raw, rng) if rng.random() < 0.25 else raw


@contextlib.contextmanager
def _speaking(rng: random.Random) -> Iterator[int]:
    """A server whose replies are drawn beforehand, so that they do not depend on the order of threads; its port."""
    replies = [_reply(rng) for _ in range(8)]
    ways = [rng.choice(("whole",) * 12 + ("drip", "half", "reset", "silent", "deaf")) for _ in replies]
    if rng.random() < 0.2:
        # most of the ways that a run can take begin after a good answer
        good = json.dumps(_completion(GOOD)).encode()
        replies[0], ways[0] = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(good) + good, "whole"
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            for at in range(1_000_000):
                peer, _ = listening.accept()
                threading.Thread(
                    target=_say, args=(peer, replies[at % len(replies)], ways[at % len(ways)]), daemon=True
                ).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with listening:
        yield listening.getsockname()[1]
        # a thread in accept() keeps the port, and a copy of the descriptor, alive
        with contextlib.suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def _say(peer: socket.socket, reply: bytes, way: str) -> None:
    with contextlib.suppress(OSError), peer:
        peer.settimeout(5)
        if way != "deaf":
            _read_request(peer)
        if way == "reset":
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return
        if way == "silent":
            time.sleep(1)
        for at in range(0, len(reply), 40) if way == "drip" else ():
            peer.sendall(reply[at : at + 40])
            time.sleep(0.05)
        if way != "drip":
            peer.sendall(reply[: len(reply) // 2] if way == "half" else reply)


def _read_request(peer: socket.socket) -> None:
    raw = b""
    while b"\r\n\r\n" not in raw:
        part = peer.recv(1 << 16)
        if not part:
            return
        raw += part
    head, _, body = raw.partition(b"\r\n\r\n")
    wanted = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)  # fmt: skip
    while len(body) < wanted and (part := peer.recv(1 << 16)):
        body += part


def _replies(trial: Trial) -> None:
    with (
        _speaking(trial.rng) as port,
        mock.patch.object(server_pool, "FIRST_PAUSE", 0.01),
        mock.patch.object(server_pool, "LONGEST_PAUSE", 0.02),
    ):
        trial.eimf(
            "label", "samples.jsonl", "--engine", "server", "--server", f"http://127.0.0.1:{port}/v1", "--config",
            "eimf.toml", "--max-error-share", "100%", "--prompt", "general", "-o", "labels.jsonl", outputs=["labels.jsonl"], codes=(0, 4),
        )  # fmt: skip
    _check_labels(trial)


def _check_labels(trial: Trial) -> None:
    """What was written are labels; what a server said stands in them cut and clean, and nothing stands there twice."""
    for name in ("labels.jsonl", "labels.jsonl.partial"):
        path = trial.folder / name
        if not path.is_file():
            continue
        found = [jsonl.decode(line, Label, file=name, number=0) for line in path.read_bytes().splitlines()]
        users = [label.user for label in found]
        trial.expect(len(set(users)) == len(users), f"users twice in {name}: {users}")
        for label in found:
            error = label.error or ""
            trial.expect(clean(error) == error and len(error) <= LONGEST_ERROR, f"an error of {error[:500]!r}")
            items = {item for interest in label.interests for item in interest.items}
            trial.expect(items <= {"i0", "i1", "i2"}, f"items that are none of the history: {items}")
            trial.expect(bool(label.interests) != bool(error), f"neither interests nor an error: {label}")


# -- results of a batch


def _results(trial: Trial) -> None:
    rng = trial.rng
    name = rng.choice(("results.jsonl", "results.jsonl", "errors.jsonl"))
    mutations.change(trial.folder / name, rng, mutations.of_lines)
    given = (
        ["results.jsonl"]
        if name == "results.jsonl"
        else rng.choice((["errors.jsonl"], ["results.jsonl", "errors.jsonl"]))
    )
    results = [part for path in given for part in ("--results", path)]
    command = (*BATCH, *results, "--max-error-share", "100%", "-o", "labels.jsonl")
    done = trial.eimf(*command, outputs=["labels.jsonl"])
    _check_labels(trial)
    kept = _count(trial.folder / "labels.jsonl") + _count(trial.folder / "labels.jsonl.partial")
    asked = _count(trial.folder / "labels.requests.jsonl")
    if done.returncode == 0 or kept:
        trial.expect(kept + asked >= USERS, f"{kept} labels and {asked} requests of {USERS} users")


def _count(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.is_file() else 0


MODULES = (*lines.MODULES, "eimf_core.labeling.engines.server", "eimf_core.labeling.engines.batch")
KINDS = [
    Kind("server-replies", 60, make, _replies, modules=MODULES),
    Kind("batch-results", 30, make, _results, modules=MODULES),
]
