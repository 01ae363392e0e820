"""Templates written by others, rendered in a process with bounds of time and memory.

A template is a small program: that of a model's file or of `--prompt FILE` may loop for ever or ask for all memory.
The sandbox of Jinja keeps it from doing anything else. The process is this module; it starts with the first template,
reads a line of JSON for each and answers with one, and ends with its parent.
"""

from __future__ import annotations

import contextlib
import datetime
import importlib.util
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import orjson

from eimf_core.errors import ConfigError, ModelError

SECONDS = 2
"""Processor time for one template; that of a usual model takes a millisecond."""
MEMORY = 256 << 20
LONGEST = 4 << 20
"""Characters that a template may become."""
# chat templates may ask for the date, of which an answer must not depend, and mark what trainers look at
_DAY = datetime.date(2024, 7, 26)
_GENERATION = re.compile(r"({%-?\s*)(end)?generation(\s*-?%})")


def render(source: str, values: dict[str, Any], name: str, *, trusted: bool = False) -> str:
    """A template with its values filled in.

    Args:
        source: of Jinja; it may call what chat templates expect (`raise_exception`, `strftime_now`).
        values: plain data by name.
        name: for errors.
        trusted: whether it is our own, which is rendered at once.

    Returns:
        The text.

    Raises:
        ConfigError: for a template with an error, also one that it raises itself.
        ModelError: for one that takes more than `SECONDS`, `MEMORY` or `LONGEST`.
    """
    if not trusted and not importlib.util.find_spec("resource"):
        raise ConfigError(
            f"{name}: is a template, which is rendered only where the system can bound a process (Linux, macOS); "
            "--engine keywords, categories and server render none of others"
        )
    answer = rendered(source, values) if trusted else _process.ask({"source": source, "values": values})
    if "bound" in answer:
        raise ModelError(f"{name}: cannot be rendered ({answer['bound']}); use another")
    if "error" in answer:
        raise ConfigError(f"{name}: cannot be rendered ({answer['error'][:500]})")
    return str(answer["text"])


def rendered(source: str, values: dict[str, Any]) -> dict[str, str]:
    """The "text" of a template, or why there is none: an "error" in it, or a "bound" that it breaks."""
    from jinja2.exceptions import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, autoescape=False, extensions=["jinja2.ext.loopcontrols"]
    )
    source = _GENERATION.sub(lambda found: f"{found[1]}{'endif' if found[2] else 'if true'}{found[3]}", source)
    environment.globals.update(raise_exception=_refuse, strftime_now=_DAY.strftime)
    try:
        text = environment.from_string(source).render(**values)
    except MemoryError:
        return {"bound": f"it takes more than {MEMORY >> 20} MiB"}
    except RecursionError:
        return {"bound": "it calls itself without end, or is nested too deeply"}
    except (TemplateError, ValueError, TypeError, ArithmeticError, LookupError, AttributeError) as error:
        return {"error": " ".join(str(error).split()) or type(error).__name__}
    if len(text) > LONGEST:
        return {"bound": f"it becomes longer than {LONGEST:,} characters"}
    # what JSON cannot hold
    return {"text": text.encode("utf-8", "replace").decode()}


def _refuse(message: str) -> None:
    raise ValueError(message)


class _Process:
    """The process that renders, for all threads of this one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: subprocess.Popen[bytes] | None = None

    def ask(self, question: dict[str, Any]) -> dict[str, str]:
        """What `rendered` gives for a question; a "bound" where the process ended over it."""
        with self._lock:
            if self._running is None or self._running.poll() is not None:
                self._running = self._start()
            process = self._running
            assert process.stdin is not None and process.stdout is not None
            line = b""
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(orjson.dumps(question, option=orjson.OPT_APPEND_NEWLINE))
                process.stdin.flush()
                line = process.stdout.readline()
            if not line.endswith(b"\n"):
                process.kill()
                process.wait()
                return {"bound": f"it takes more than {SECONDS} s or {MEMORY >> 20} MiB"}
            answer: dict[str, str] = orjson.loads(line)
            return answer

    def _start(self) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "eimf_core.labeling.templates"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )


_process = _Process()


def main() -> None:
    """Answer questions from stdin on stdout until stdin ends."""
    import resource

    rendered("{{ 1 }}", {})  # imports Jinja before memory counts
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if sys.platform == "linux" else 0
    if pages:
        size = pages * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (size, size))
    for line in sys.stdin.buffer:
        resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + SECONDS + 1, resource.RLIM_INFINITY))
        question = orjson.loads(line)
        answer = rendered(question["source"], question["values"])
        sys.stdout.buffer.write(orjson.dumps(answer, option=orjson.OPT_APPEND_NEWLINE))
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
