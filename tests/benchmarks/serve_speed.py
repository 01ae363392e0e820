"""How many single queries a second `eimf serve` answers, and how long one waits: a client on loopback, whole processes.

    python -m tests.benchmarks.serve_speed [--items 12000] [--dimension 64] [--backbone comirec-sa+narm] [--seconds 10]
        [--connections 64] [--rate 1000] [--workers N]

Makes a model as `recommend_speed` does, starts `eimf serve` and a client, each a process of its own, and prints two
lines. At most: every connection asks again as soon as it has its answer. At a rate: queries arrive at random moments,
so many a second, and the time of each counts from the moment it arrived, whether a connection was free then or not.
Connections are kept. The CPU seconds of server and client stand beside, since both take of the same processors.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from eimf_core.training.config import DEFAULT
from tests.benchmarks.recommend_speed import HISTORY, made

QUERIES = 4096
WARM = 1.0
"""Seconds at the start that are not counted."""


class Connection(asyncio.Protocol):
    """One kept connection: a request at a time."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._held = b""
        self._due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._client.free(self)

    def ask(self, request: bytes, due: float) -> None:
        self._due = due
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._held += data
        head, end, body = self._held.partition(b"\r\n\r\n")
        if not end:
            return
        at = head.index(b"content-length: ") + 16
        if len(body) < int(head[at:].split(b"\r", 1)[0]):
            return
        self._client.answered(head[9:12], time.perf_counter() - self._due)
        self._held = b""
        self._client.free(self)


class Client:
    """Asks queries over kept connections, at a rate or as fast as they are answered."""

    def __init__(self, requests: list[bytes], rate: float, seconds: float) -> None:
        self._requests, self._rate, self._seconds = requests, rate, seconds
        self._free: deque[Connection] = deque()
        self._due: deque[float] = deque()
        self._asked = 0
        self._began = self._cpu = 0.0
        self.times: list[float] = []
        self.failed = 0

    def free(self, connection: Connection) -> None:
        """A connection has nothing to do."""
        if not self._began:
            self._free.append(connection)
        elif not self._rate:
            self._ask(connection, time.perf_counter())
        elif self._due:
            self._ask(connection, self._due.popleft())
        else:
            self._free.append(connection)

    def _ask(self, connection: Connection, due: float) -> None:
        connection.ask(self._requests[self._asked % len(self._requests)], due)
        self._asked += 1

    def answered(self, status: bytes, seconds: float) -> None:
        """An answer is there, so long after its query was due."""
        now = time.perf_counter() - self._began
        if WARM <= now <= self._seconds:
            self.times.append(seconds)
        self.failed += status != b"200"

    async def run(self, port: int, connections: int) -> dict[str, float]:
        """Connect, ask for so many seconds, and say how it went."""
        loop = asyncio.get_running_loop()
        for _ in range(connections):
            await loop.create_connection(lambda: Connection(self), "127.0.0.1", port)
        self._began = time.perf_counter()
        if self._rate:
            await self._arrivals()
        else:
            for connection in list(self._free):
                self.free(connection)
            await asyncio.sleep(self._seconds)
        times = np.array(self.times) * 1000
        counted = self._seconds - WARM
        return {
            "rate": len(times) / counted,
            "failed": self.failed,
            **{f"p{share}": float(np.percentile(times, share)) for share in (50, 95, 99)},
            "most": float(times.max()),
            "cpu": time.process_time(),
        }

    async def _arrivals(self) -> None:
        rng = np.random.default_rng(0)
        due = self._began
        while due < self._began + self._seconds:
            due += rng.exponential(1 / self._rate)
            wait = due - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            if self._free:
                self._ask(self._free.popleft(), due)
            else:
                self._due.append(due)


def requests(items: int) -> list[bytes]:
    """Requests with a history each."""
    rows = np.random.default_rng(1).integers(1, items + 1, size=(QUERIES, HISTORY))
    bodies = [orjson.dumps({"history": [f"B{item:09}" for item in row]}) for row in rows]
    head = (
        b"POST /recommend HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    )
    return [head % len(body) + body for body in bodies]


def ask(port: int, items: int, connections: int, rate: float, seconds: float) -> dict[str, float]:
    """What the client process does."""
    with contextlib.suppress(ImportError):
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    return asyncio.run(Client(requests(items), rate, seconds).run(port, connections))


def cpu_of(process: int) -> float:
    """CPU seconds of another process and those that it started, so far (Linux)."""
    total = 0
    for each in [str(process), *Path(f"/proc/{process}/task/{process}/children").read_text().split()]:
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=12_000)
    parser.add_argument("--dimension", type=int, default=64, help="of each member")
    parser.add_argument("--backbone", default=DEFAULT, help="a backbone, or several joined by +")
    parser.add_argument("--model", type=Path, help="a model that is there, made by recommend_speed --write")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--rate", type=float, default=1000.0, help="queries a second of the second line")
    parser.add_argument("--workers", type=int, help="processes of the server")
    parser.add_argument("--ask", type=int, metavar="PORT", help="only ask, at --rate; 0 as fast as it goes")
    arguments = parser.parse_args()
    if arguments.ask:
        done = ask(arguments.ask, arguments.items, arguments.connections, arguments.rate, arguments.seconds)
        sys.stdout.write(orjson.dumps(done).decode())
        return
    with tempfile.TemporaryDirectory() as folder:
        model = arguments.model or made(
            Path(folder) / "model", arguments.items, arguments.dimension, backbone=arguments.backbone, neighbours=50
        )
        command = [sys.executable, "-m", "eimf_cli", "serve", str(model), "--port", "0"]
        command += ["--workers", str(arguments.workers)] if arguments.workers else []
        server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        try:
            assert server.stderr is not None
            found = next(filter(None, (re.search(r"http://127\.0\.0\.1:(\d+)", line) for line in server.stderr)), None)
            assert found, "the server did not start"
            for rate, what in ((0.0, "at most"), (arguments.rate, f"{arguments.rate:,.0f} a second")):
                before = cpu_of(server.pid)
                client = [sys.executable, "-m", "tests.benchmarks.serve_speed", "--ask", found[1], "--rate", str(rate)]
                client += ["--items", str(arguments.items), "--connections", str(arguments.connections)]
                client += ["--seconds", str(arguments.seconds)]
                done = orjson.loads(subprocess.run(client, check=True, stdout=subprocess.PIPE).stdout)
                asked = done["rate"] * arguments.seconds
                used = (cpu_of(server.pid) - before) / asked
                print(
                    f"{what:<16} {done['rate']:7,.0f} queries/s, ms: p50 {done['p50']:.1f}, p95 {done['p95']:.1f}, "
                    f"p99 {done['p99']:.1f}, most {done['most']:.1f}; failed {done['failed']:.0f}; CPU us a query: "
                    f"server {used * 1e6:.0f}, client {done['cpu'] / asked * 1e6:.0f}",
                    flush=True,
                )
        finally:
            server.terminate()
            server.wait(30)


if __name__ == "__main__":
    main()
