"""Figures of the service in the text form that Prometheus reads, those of all its processes together.

Source: Prometheus, Exposition formats, text format 0.0.4.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import orjson

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the histogram of seconds."""
PREFIX = "eimf_"
GAUGES = {
    "queries_waiting": "Queries that wait to be answered.",
    "connections": "Connections that are open.",
    "old_model": "1 while a newer model cannot be taken and the one before keeps serving, otherwise 0.",
}
CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Counts of one process, made in the thread of the event loop."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, int]] = Counter()
        self.refused: Counter[str] = Counter()
        self.queries = self.batches = 0
        self.reloads = self.failed_reloads = 0
        self._buckets: dict[str, list[int]] = {}
        self._seconds: dict[str, float] = {}

    def request(self, path: str, status: int, seconds: float) -> None:
        """Count a request that was answered.

        Args:
            path: one of the service's paths, or "other".
            status: of HTTP.
            seconds: from its head to its answer.
        """
        self.requests[path, status] += 1
        counts = self._buckets.get(path)
        if counts is None:
            counts = self._buckets[path] = [0] * (len(BUCKETS) + 1)
        counts[bisect_left(BUCKETS, seconds)] += 1
        self._seconds[path] = self._seconds.get(path, 0.0) + seconds

    def batch(self, queries: int) -> None:
        """Some queries were answered together."""
        self.batches += 1
        self.queries += queries

    def encoded(self, gauges: Mapping[str, float]) -> bytes:
        """All that was counted, and figures of this moment, for another process.

        Args:
            gauges: by the names of GAUGES.

        Returns:
            What `add` reads.
        """
        counted = [[path, status, count] for (path, status), count in self.requests.items()]
        numbers = [self.queries, self.batches, self.reloads, self.failed_reloads]
        return orjson.dumps([counted, self.refused, numbers, self._buckets, self._seconds, gauges])

    def add(self, encoded: bytes) -> dict[str, float]:
        """Count what another process counted; its figures of the moment."""
        counted, refused, numbers, buckets, seconds, gauges = orjson.loads(encoded)
        for path, status, count in counted:
            self.requests[path, status] += count
        self.refused.update(refused)
        self.queries += numbers[0]
        self.batches += numbers[1]
        self.reloads += numbers[2]
        self.failed_reloads += numbers[3]
        for path, counts in buckets.items():
            before = self._buckets.get(path, [0] * len(counts))
            self._buckets[path] = [one + other for one, other in zip(before, counts, strict=True)]
            self._seconds[path] = self._seconds.get(path, 0.0) + seconds[path]
        return dict(gauges)

    def text(self, gauges: Mapping[str, float], model: Mapping[str, str], loaded: float) -> bytes:
        """All figures.

        Args:
            gauges: figures of this moment, by the names of GAUGES.
            model: labels of the model that serves.
            loaded: when it was opened, in unix seconds.

        Returns:
            The text form of Prometheus, in UTF-8.
        """
        return ("\n".join(self._lines(gauges, model, loaded)) + "\n").encode()

    def _lines(self, gauges: Mapping[str, float], model: Mapping[str, str], loaded: float) -> Iterator[str]:
        yield from _head("requests_total", "counter", "Requests by path and status.")
        for (path, status), count in sorted(self.requests.items()):
            yield f'{PREFIX}requests_total{{path="{path}",status="{status}"}} {count}'
        yield from _head("errors_total", "counter", "Requests that failed here: status 500 and above.")
        yield f"{PREFIX}errors_total {sum(count for (_, status), count in self.requests.items() if status >= 500)}"
        yield from _head("request_duration_seconds", "histogram", "From the head of a request to its answer.")
        for path, counts in sorted(self._buckets.items()):
            total = 0
            for bound, count in zip((*BUCKETS, "+Inf"), counts, strict=True):
                total += count
                yield f'{PREFIX}request_duration_seconds_bucket{{path="{path}",le="{bound}"}} {total}'
            yield f'{PREFIX}request_duration_seconds_sum{{path="{path}"}} {self._seconds[path]:.6f}'
            yield f'{PREFIX}request_duration_seconds_count{{path="{path}"}} {total}'
        yield from _head("refused_total", "counter", "Connections that were ended, by reason.")
        for reason, count in sorted(self.refused.items()):
            yield f'{PREFIX}refused_total{{reason="{reason}"}} {count}'
        for name, value, help in (
            ("queries_total", self.queries, "Queries answered."),
            ("batches_total", self.batches, "Batches that they were answered in."),
            ("reloads_total", self.reloads, "Models taken in the place of another."),
            ("failed_reloads_total", self.failed_reloads, "Models that could not be taken."),
        ):
            yield from _head(name, "counter", help)
            yield f"{PREFIX}{name} {value}"
        for name, number in gauges.items():
            yield from _head(name, "gauge", GAUGES[name])
            yield f"{PREFIX}{name} {number:g}"
        yield from _head("model_loaded_timestamp_seconds", "gauge", "When the model was opened.")
        yield f"{PREFIX}model_loaded_timestamp_seconds {loaded:.3f}"
        yield from _head("model_info", "gauge", "The model that serves.")
        labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in model.items())
        yield f"{PREFIX}model_info{{{labels}}} 1"


def together(own: Metrics, gauges: Mapping[str, float], others: Iterable[bytes]) -> tuple[Metrics, dict[str, float]]:
    """What several processes counted.

    Args:
        own: of this process.
        gauges: its figures of this moment.
        others: of the others, as `Metrics.encoded` gives them.

    Returns:
        The sums. A model is old where it is so in any of them.
    """
    total, moment = Metrics(), dict(gauges)
    total.add(own.encoded(gauges))
    for encoded in others:
        for name, number in total.add(encoded).items():
            moment[name] = max(moment[name], number) if name == "old_model" else moment[name] + number
    return total, moment


def _head(name: str, kind: str, help: str) -> Iterator[str]:
    yield f"# HELP {PREFIX}{name} {help}"
    yield f"# TYPE {PREFIX}{name} {kind}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
