"""Engine `llama-cpp`: a GGUF model, run by llama.cpp in a worker process that may crash.

When the worker ends, what it was answering is asked again in a new one, one request at a time, until
each is answered or has ended a worker alone: a crash costs at most the answer that caused it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, ClassVar

import msgspec
import orjson

from eimf_core.errors import ModelError
from eimf_core.io import files
from eimf_core.labeling.config import BUNDLED, LabelConfig
from eimf_core.labeling.engines import gguf_file, llama_setup
from eimf_core.labeling.engines.base import OF_PROMPTS, Answer, Engine, Request
from eimf_core.progress import Reporter
from eimf_core.records import Sample
from eimf_core.text.similarity import TitleVectors

EXITS_IN_A_ROW = 5
# words of titles cut into shorter pieces than this, in bytes on average, are words that the model never learnt:
# known words have 3 to 5 bytes a token, names 2, text of a script or subject that it does not know less
KNOWN_PIECE, ENOUGH_TITLES = 2.5, 300
# bytes of weights that a core gets through in a second, per token read or written, as measured with a
# model of 100M parameters (tests/benchmarks/label_speed.py); small models are held up by other things
READ_RATE, WRITE_RATE, MAX_TOKENS = 40e9, 14e9, 2000.0
INSTALL = (
    '--engine llama-cpp needs llama-cpp-python; run: pip install "eimf[llama]", which needs a C++ compiler such as g++ '
    "(or use --engine server or keywords)"
)
PORTABLE_BUILD = "CMAKE_ARGS=-DGGML_NATIVE=OFF pip install --force-reinstall --no-deps --no-cache-dir llama-cpp-python"


class LlamaCpp(Engine):
    """Requests answered by a GGUF file. The worker starts with the first request."""

    name: ClassVar[str] = "llama-cpp"
    uses: ClassVar[frozenset[str] | None] = OF_PROMPTS | {
        "keep_going", "hf_repo", "hf_file", "chat_template", "parallel", "gpu_layers", "context", "threads",
    }  # fmt: skip
    ray_module: ClassVar[str | None] = f"{__package__}.llama_ray"

    def __init__(
        self, config: LabelConfig, samples: Sequence[Sample], vectors: Callable[[], TitleVectors], reporter: Reporter
    ) -> None:
        if find_spec("llama_cpp") is None:
            raise ModelError(INSTALL)
        file = llama_setup.model_file(config, reporter)
        path = file.path
        metadata = gguf_file.read_metadata(path)
        self.model = BUNDLED if config.model == BUNDLED else path.name
        called = config.model or path.name
        self.prompt = llama_setup.prompt_for(config.prompt, metadata, called, reporter)
        self.whole_titles = gguf_file.TRAINED_PROMPT[0] in metadata
        if config.items and self.whole_titles:
            reporter.warn(f"without effect, since {called} was trained on titles alone: --items")
        self.model_source = file.source
        if not config.dry_run:
            self.model_sha256 = files.sha256(path)
            file.check(self.model_sha256)
        self.parallel = config.parallel
        self._reporter = reporter
        self._config = config
        self._setup = llama_setup.worker_setup(path, metadata, self.prompt, config, reporter)
        template = self._setup.chat_template
        self.settings = {
            "temperature": config.temperature,
            "retry_temperature": config.retry_temperature,
            "context": self._setup.context,
            "max_tokens": self._setup.max_tokens,
            "chat_template": hashlib.sha256(template.encode()).hexdigest() if template else None,
        }
        self._open: dict[int, Request] = {}
        self._suspects: list[int] = []  # requests that were in a worker when it ended; the first is asked now
        self._crashes: dict[int, int] = {}
        self._exits = 0  # of workers in a row, without an answer between
        self._warned = False  # of a GPU that is not there
        self._title_bytes = self._title_tokens = 0  # seen, until there are enough to judge by
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None

    # -- the engine's protocol

    def submit(self, request: Request) -> None:
        self._open[request.number] = request
        if not self._suspects:
            self._send(request)

    def take(self) -> Answer:
        while True:
            assert self._process is not None and self._process.stdout is not None
            line = self._process.stdout.readline()
            if not line.endswith(b"\n"):
                answer = self._after_exit()
                if answer is not None:
                    return answer
                continue
            message = orjson.loads(line)
            if "failed" in message:
                path = self._setup.path
                raise ModelError(f"{path}: {message['failed'].removeprefix(f'{path}: ')}")
            if message.get("offloads") is False and self._config.gpu_layers and not self._warned:
                self._warned = True
                self._reporter.warn(
                    "--gpu-layers: without effect, since llama.cpp finds no GPU or was built without support"
                )
            if "number" in message:
                self._exits = 0
                self._warn_of_unknown_words(message)
                return self._finish(msgspec.convert(message, Answer))

    def expected_seconds(self, read: int, answers: int) -> float | None:
        """By the size of the file and the cores; answers are taken to be half as long as they may be."""
        size, cores = Path(self._setup.path).stat().st_size, self._setup.threads
        written = answers * self._setup.max_tokens / 2
        return read / min(cores * READ_RATE / size, 4 * MAX_TOKENS) + written / min(
            cores * WRITE_RATE / size, MAX_TOKENS
        )

    def _warn_of_unknown_words(self, message: dict[str, Any]) -> None:
        """Warn once of a model that cuts the titles to pieces: their words are strange to it."""
        if self._title_bytes > ENOUGH_TITLES or "title_tokens" not in message:
            return
        self._title_bytes += message["title_bytes"]
        self._title_tokens += message["title_tokens"]
        if ENOUGH_TITLES < self._title_bytes < KNOWN_PIECE * self._title_tokens:
            toy = "; it is a toy for the example shop: use an instruct model" if self.model == BUNDLED else ""
            self._reporter.warn(
                f"{self.model}: reads the words of these titles in pieces of "
                f"{self._title_bytes / self._title_tokens:.1f} letters on average, so they are new to it; do not trust "
                f"its labels{toy}"
            )

    def close(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                # closing writes what a dead worker has not taken, which must not look like a reader gone away
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()
            assert self._log is not None
            self._log.close()

    # -- the worker

    def _start(self) -> None:
        self.close()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (closed by close)
        environment = {"OMP_WAIT_POLICY": "passive", **os.environ}
        environment["PYTHONPATH"] = os.pathsep.join(entry for entry in sys.path if entry)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "eimf_core.labeling.engines.llama_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=environment,
            start_new_session=True,
            bufsize=-1,
        )
        self._write(msgspec.json.encode(self._setup))

    def _send(self, request: Request) -> None:
        if self._process is None:
            self._start()
        first = request.seed == self._config.seed
        message = {
            "number": request.number,
            "titles": [entry.title for entry in request.sample.history],
            "hint": request.hint,
            "seed": request.seed,
            "temperature": self._config.temperature if first else self._config.retry_temperature,
        }
        self._write(orjson.dumps(message))

    def _write(self, line: bytes) -> None:
        assert self._process is not None and self._process.stdin is not None
        try:
            self._process.stdin.write(line + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # the worker has died; take() finds out

    def _after_exit(self) -> Answer | None:
        """Go on with another worker; an answer where it is clear which request ended the one before."""
        reason = self._exit_reason()
        self.close()
        if reason.startswith(signal.SIGILL.name):
            raise ModelError(
                "llama.cpp was built with instructions that this processor or its virtual machine refuses (SIGILL); "
                f"build it without them: {PORTABLE_BUILD}"
            )
        self._exits += 1
        if self._exits > EXITS_IN_A_ROW:
            raise ModelError(f"{self._setup.path}: llama.cpp crashed {self._exits} times in a row ({reason})")
        for number in self._suspects[:1] or self._open:
            self._crashes[number] = self._crashes.get(number, 0) + 1
        if self._suspects:
            return self._finish(
                Answer(self._suspects[0], error=f"llama.cpp crashed at this prompt ({reason})", final=True)
            )
        self._suspects = list(self._open)
        self._reporter.warn(f"llama.cpp crashed ({reason}); restarting it with one prompt at a time")
        self._send(self._open[self._suspects[0]])
        return None

    def _finish(self, answer: Answer) -> Answer:
        """Take an answered request off the list, and send what waited for it."""
        self._open.pop(answer.number)
        if self._suspects:
            del self._suspects[0]
            waiting = self._suspects[:1] or list(self._open)
            for number in waiting:
                self._send(self._open[number])
        return replace(answer, crashes=self._crashes.pop(answer.number, 0))

    def _exit_reason(self) -> str:
        assert self._process is not None and self._log is not None
        code = self._process.wait()
        self._log.seek(0)
        last = self._log.read()[-4000:].decode("utf-8", "replace").strip().rsplit("\n", 1)[-1][:160]
        reason = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        if code == -signal.SIGKILL:
            reason += ", which the system sends where memory runs out"
        return f"{reason}: {last}" if last else reason


ENGINE = LlamaCpp
