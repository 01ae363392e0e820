"""Engine `llama-cpp`: a GGUF model, run by llama.cpp in a worker process that may die.

When the worker dies, what it was answering is asked again in a new one, one question at a time, until
each is answered or has brought a worker down alone: a crash costs at most the answer that caused it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

import msgspec
import orjson

from eimf_core import files, threads
from eimf_core.errors import ConfigError, ModelError
from eimf_core.labeling import prompts
from eimf_core.labeling.answer_length import longest_answer
from eimf_core.labeling.config import BUNDLED, LabelConfig
from eimf_core.labeling.engines.base import Answer, Ask
from eimf_core.labeling.engines.llama_worker import Setup
from eimf_core.progress import SILENT, Reporter

MOST_CONTEXT = 2048
SMALL_MODEL = 32 << 20  # bytes: below, a second thread costs more than it brings
DEATHS_IN_A_ROW = 5
# titles cut into shorter pieces than this, in bytes on average, are made of words the model never learnt:
# words cost 3 to 5 bytes a token, numbers and names 2, text of a script or subject it does not know less
KNOWN_PIECE, ENOUGH_TITLES = 2.0, 300
INSTALL = 'the engine llama-cpp needs llama-cpp-python; run: pip install "eimf[llama]" (or choose --engine keywords)'


def check_installed() -> None:
    """ModelError when llama-cpp-python is not there."""
    if find_spec("llama_cpp") is None:
        raise ModelError(INSTALL)


class LlamaCpp:
    """Questions answered by a GGUF file."""

    name = "llama-cpp"
    uses_prompt = True

    def __init__(
        self,
        path: Path,
        metadata: dict[str, Any],
        prompt: prompts.Prompt,
        config: LabelConfig,
        reporter: Reporter = SILENT,
        *,
        dry: bool = False,
    ) -> None:
        """`metadata` is that of the file (see `llama_file`). The worker starts with the first question.

        A `dry` engine answers with the text of the prompt and its tokens, and runs no model.
        """
        check_installed()
        self.model = BUNDLED if config.model == BUNDLED else path.name
        self.model_sha256: str | None = None if dry else files.sha256(path)
        self.parallel = config.parallel
        self._reporter = reporter
        self._config = config
        template = _read_template(config.chat_template)
        self._setup = Setup(
            path=str(path),
            prompt=prompt,
            max_interests=config.max_interests,
            language=config.language,
            chat_template=template,
            context=_context(config, metadata),
            max_tokens=config.max_tokens or longest_answer(prompt.schema, config.max_interests),
            parallel=config.parallel,
            threads=_threads(config, path, reporter),
            gpu_layers=config.gpu_layers,
            dry=dry,
        )
        if self._setup.max_tokens >= self._setup.context:
            raise ConfigError(
                f"--context {self._setup.context} leaves no room beside --max-tokens {self._setup.max_tokens}"
            )
        if template is None and "tokenizer.chat_template" not in metadata:
            reporter.warn(f"{path}: has no chat template; the prompt is sent as plain text (--chat-template gives one)")
        self.settings: dict[str, Any] = {
            "temperature": config.temperature,
            "retry_temperature": config.retry_temperature,
            "context": self._setup.context,
            "max_tokens": self._setup.max_tokens,
            "chat_template": hashlib.sha256(template.encode()).hexdigest() if template else None,
        }
        self._open: dict[int, Ask] = {}
        self._suspects: list[int] = []  # questions that were in a worker when it died; the first is asked now
        self._crashes: dict[int, int] = {}
        self._deaths = 0  # in a row, without an answer between
        self._warned = False  # of a GPU that is not there
        self._title_bytes = self._title_tokens = 0  # seen, until there are enough to judge by
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None

    # -- the engine's protocol

    def submit(self, ask: Ask) -> None:
        self._open[ask.number] = ask
        if not self._suspects:
            self._send(ask)

    def take(self) -> Answer:
        while True:
            line = self._process.stdout.readline() if self._process and self._process.stdout else b""
            if not line.endswith(b"\n"):
                answer = self._mourn()
                if answer is not None:
                    return answer
                continue
            message = orjson.loads(line)
            if "failed" in message:
                raise ModelError(f"{self._setup.path}: {message['failed']}")
            if message.get("offloads") is False and self._config.gpu_layers and not self._warned:
                self._warned = True
                self._reporter.warn("--gpu-layers does nothing: this llama.cpp has no GPU that it can use")
            if "number" in message:
                self._deaths = 0
                self._notice(message)
                return self._conclude(msgspec.convert(message, Answer))

    def _notice(self, message: dict[str, Any]) -> None:
        """Warn once of a model that cuts the titles to pieces: their words are strange to it."""
        if self._title_bytes > ENOUGH_TITLES or "title_tokens" not in message:
            return
        shown = self._open[message["number"]].sample.history[message["trimmed"] :]
        self._title_bytes += sum(len(prompts.clean_title(entry.title).encode()) for entry in shown)
        self._title_tokens += message["title_tokens"]
        if ENOUGH_TITLES < self._title_bytes < KNOWN_PIECE * self._title_tokens:
            toy = " (it is the toy of the example shop; take an instruct model)" if self.model == BUNDLED else ""
            self._reporter.warn(
                f"{self.model}: cuts these titles into pieces of {self._title_bytes / self._title_tokens:.1f} letters "
                f"and can hardly know their words; do not trust its labels{toy}"
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
        if self._log is not None:
            self._log.close()
            self._log = None

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

    def _send(self, ask: Ask) -> None:
        if self._process is None:
            self._start()
        first = ask.seed == self._config.seed
        question = {
            "number": ask.number,
            "titles": [entry.title for entry in ask.sample.history],
            "seed": ask.seed,
            "temperature": self._config.temperature if first else self._config.retry_temperature,
        }
        self._write(orjson.dumps(question))

    def _write(self, line: bytes) -> None:
        assert self._process is not None and self._process.stdin is not None
        try:
            self._process.stdin.write(line + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # the worker has died; take() finds out

    def _mourn(self) -> Answer | None:
        """The worker has died: go on with another, and give an answer where it is clear what brought it down."""
        how = self._how_it_died()
        self.close()
        self._deaths += 1
        if self._deaths > DEATHS_IN_A_ROW:
            raise ModelError(f"{self._setup.path}: llama.cpp has ended {self._deaths} times in a row ({how})")
        for number in self._suspects[:1] or self._open:
            self._crashes[number] = self._crashes.get(number, 0) + 1
        if self._suspects:
            return self._conclude(
                Answer(self._suspects[0], error=f"llama.cpp ended at this question ({how})", final=True)
            )
        self._suspects = list(self._open)
        self._reporter.warn(f"llama.cpp ended ({how}); open questions are asked again, one at a time")
        self._send(self._open[self._suspects[0]])
        return None

    def _conclude(self, answer: Answer) -> Answer:
        """Strike out an answered question, and send what waited for it."""
        self._open.pop(answer.number)
        if self._suspects:
            del self._suspects[0]
            waiting = self._suspects[:1] or list(self._open)
            for number in waiting:
                self._send(self._open[number])
        return replace(answer, crashes=self._crashes.pop(answer.number, 0))

    def _how_it_died(self) -> str:
        if self._process is None:
            return "no worker"
        code = self._process.wait()
        said = b""
        if self._log is not None:
            self._log.seek(0)
            said = self._log.read()[-4000:]
        last = said.decode("utf-8", "replace").strip().rsplit("\n", 1)[-1][:160]
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return f"{how}: {last}" if last else how


def _context(config: LabelConfig, metadata: dict[str, Any]) -> int:
    trained = metadata.get(f"{metadata.get('general.architecture')}.context_length")
    if config.context:
        return config.context
    return min(int(trained), MOST_CONTEXT) if trained else MOST_CONTEXT


def _threads(config: LabelConfig, path: Path, reporter: Reporter) -> int:
    cores = threads.cores()
    if config.threads > cores:
        # they would wait for each other, spinning: an answer can take hours
        reporter.warn(f"--threads {config.threads}: there are no more than {cores} cores, so many are used")
    if config.threads:
        return min(config.threads, cores)
    if path.stat().st_size < SMALL_MODEL:
        return 1
    return threads.default(cores)


def _read_template(path: str | None) -> str | None:
    if path is None:
        return None
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error})") from None
