"""Every setting of `label` does something: it changes the request of a label, or what stands in the table below it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest

from eimf_core.errors import ConfigError, LabelError, ModelError
from eimf_core.io import jsonl
from eimf_core.io.hub import HubFile
from eimf_core.labeling import label as labeling
from eimf_core.labeling.config import LabelConfig
from eimf_core.labeling.dry_run import dry_run
from eimf_core.labeling.engines import llama_setup, named_models, server_pool
from eimf_core.labeling.engines.base import Request
from eimf_core.labeling.engines.engine_registry import engine_class, open_engine
from eimf_core.labeling.history_text import read_samples
from eimf_core.labeling.requests import Labeler
from eimf_core.progress import SILENT
from eimf_core.records import BatchRequest, HistoryItem, Item, Label, Sample
from eimf_core.text.similarity import TitleVectors
from tests import workers_here
from tests.conftest import Eimf
from tests.openai_endpoint import Endpoint, reply
from tests.tiny_gguf import CHATML, write_tiny_gguf
from tests.unit.test_text import WordEncoder

pytest.importorskip("llama_cpp")
URL = "http://127.0.0.1:1/v1"
TITLES = ("Green Tea", "Wool Yarn", "Tea Pot")
GOOD = '{"interests": [{"name": "tea", "description": "Drinks tea every day.", "items": [1, 3]}]}'
LOCAL: dict[str, Any] = {"model": "tiny.gguf", "prompt": "general"}
SERVER: dict[str, Any] = {"engine": "server", "prompt": "described", "server": [URL]}

# what changes the hash of a request, beside the settings it starts from
REQUEST: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "engine": (LOCAL, {"engine": "keywords"}),
    "model": (LOCAL, {"model": "other.gguf"}),
    "prompt": (LOCAL, {"prompt": "movies"}),
    "items": (LOCAL, {"items": "items.jsonl"}),
    "max_interests": (LOCAL, {"max_interests": 2}),
    "language": (LOCAL, {"language": "Dutch"}),
    "max_titles": (LOCAL, {"max_titles": 1}),
    "encoder": (LOCAL | {"prompt": "names"}, {"encoder": "other"}),
    "seed": (LOCAL, {"seed": 1}),
    "server": (SERVER, {"server": ["http://127.0.0.1:2/v1"]}),
    "chat_template": (LOCAL, {"chat_template": "template.jinja"}),
    "max_tokens": (LOCAL, {"max_tokens": 300}),
    "temperature": (LOCAL, {"temperature": 0.5}),
    "retry_temperature": (LOCAL, {"retry_temperature": 0.5}),
    "context": (LOCAL, {"context": 1024}),
}
OTHERWISE = {
    "hf_repo": "the hash of the file counts, not where it came from",
    "hf_file": "likewise",
    "attempts": "says when to give up",
    "timeout": "says when to give up",
    "retries": "says when to give up",
    "max_error_share": "says how the run ends",
    "keep_going": "says when to give up",
    "retry_errors": "says which labels are made anew",
    "discard": "says which labels are given up",
    "dry_run": "makes no labels",
    "allow_remote": "allows a server or refuses it",
    "results": "are answers to requests",
    "shard": "says which users are labelled",
    "parallel": "speed alone",
    "gpu_layers": "speed alone",
    "threads": "speed alone",
    "ray": "says who asks",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("settings")
    write_tiny_gguf(made / "tiny.gguf")
    raw = bytearray((made / "tiny.gguf").read_bytes())
    raw[-1] ^= 1
    (made / "other.gguf").write_bytes(raw)
    (made / "template.jinja").write_text(CHATML + " ")
    history = [HistoryItem(item=f"i{at}", title=title) for at, title in enumerate(TITLES)]
    one = Sample(key="a" * 16, user="u", cluster=0, cluster_size=1, distance=0.0, history=history)
    jsonl.write(made / "samples.jsonl", [one])
    jsonl.write(
        made / "items.jsonl", [Item(item=f"i{at}", title=t, categories=["Shop"]) for at, t in enumerate(TITLES)]
    )
    for number, name in enumerate("ab"):
        label = Label(
            key="a" * 16, request="r", user="u", cluster=0, interests=[], items_by="model", engine="server", model="m",
            seed=number, attempts=1, seconds=0.0,
        )  # fmt: skip
        jsonl.write(made / f"{name}.jsonl", [label])
    return made


def settings(folder: Path, **changes: Any) -> LabelConfig:
    """Names of files are those in the folder."""
    return LabelConfig(
        **{
            name: str(folder / value) if isinstance(value, str) and (folder / value).is_file() else value
            for name, value in changes.items()
        }
    )


@dataclass
class Opened:
    """An engine, and the request of the one sample."""

    engine: Any
    request: str


def opened(folder: Path, **changes: Any) -> Opened:
    config = settings(folder, **changes)
    catalogue = config.items if engine_class(config.engine).reads_titles else None
    samples = read_samples(folder / "samples.jsonl", catalogue, SILENT)
    encoder = WordEncoder()
    encoder.identity = str(config.encoder)
    vectors = TitleVectors(TITLES, encoder)
    engine = open_engine(config, [sample.sample for sample in samples], lambda: vectors, SILENT)
    (request,) = Labeler(engine, config, lambda: vectors, samples).requests
    engine.close()
    return Opened(engine, request)


def test_every_setting_stands_in_one_table() -> None:
    named = [*REQUEST, *OTHERWISE]
    assert sorted(named) == sorted(field.name for field in fields(LabelConfig))


def test_the_help_shows_at_most_twenty_options(eimf: Eimf) -> None:
    shown = [line for line in eimf("label", "--help").stdout.decode().splitlines() if line.startswith("  -")]
    assert 10 < len(shown) <= 20


@pytest.mark.parametrize("name", REQUEST)
def test_it_changes_the_request(folder: Path, name: str) -> None:
    base, change = REQUEST[name]
    assert opened(folder, **base).request == opened(folder, **base).request != opened(folder, **base | change).request


def test_the_encoder_that_is_named_is_opened(folder: Path, tmp_path: Path) -> None:
    config = LabelConfig(engine="keywords", encoder="./no-encoder")
    with pytest.raises(ConfigError, match="no-encoder"):
        labeling.label(folder / "samples.jsonl", tmp_path / "labels.jsonl", config)


def test_a_request_is_what_it_was_in_earlier_versions(folder: Path) -> None:
    """Labels that were made with them are known again; a change here makes all of them anew."""
    found = opened(folder, **SERVER, model="m", language="Dutch").request
    assert found == "4e92ac5261f278657fad27063a1cb8df3e2578b44f17d9df803a3ed9880fab01"


# -- the others


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    """Fails at first, is slow then, and answers at last."""
    monkeypatch.setattr(server_pool, "FIRST_PAUSE", 0.01)

    def say(number: int, body: dict[str, Any]) -> Any:
        if number == 0:
            return 503, {}, {"error": "busy"}
        if number == 1:
            time.sleep(0.5)
        return reply(GOOD)

    made = Endpoint(say)
    yield made
    made.close()


@dataclass
class Trial:
    """What a probe has at hand; `go` labels the one sample through the endpoint and gives its label."""

    folder: Path
    output: Path
    endpoint: Endpoint
    monkeypatch: pytest.MonkeyPatch

    def go(self, **changes: Any) -> Label:
        config = settings(
            self.folder, **{"engine": "server", "prompt": "described", "server": [self.endpoint.url]} | changes
        )
        labeling.label(self.folder / "samples.jsonl", self.output, config)
        (made,) = jsonl.read(self.output, Label)
        return made


def keep_going(trial: Trial, name: str) -> None:
    """Eight users are more than this folder has: `test_labeling` follows it."""
    first = trial.go()
    assert trial.go(keep_going=True) == first


def hub(trial: Trial, name: str) -> None:
    fetched: list[tuple[str, str]] = []

    def fetch(repository: str, file: str, *_: Any, **__: Any) -> HubFile:
        fetched.append((repository, file))
        return HubFile(trial.folder / "tiny.gguf", None, None)

    trial.monkeypatch.setattr(named_models.hub, "fetch_file", fetch)
    given = {"hf_repo": "a/b", "hf_file": "c.gguf"}
    requests = {opened(trial.folder, **given | change).request for change in ({}, {name: "other"})}
    assert fetched == [tuple(given.values()), tuple((given | {name: "other"}).values())] and len(requests) == 1


def attempts(trial: Trial, name: str) -> None:
    made = trial.go(retries=0, attempts=1, max_error_share="1")
    assert made.attempts == 1 and made.error == "HTTP 503: busy"
    assert trial.go(retries=0, attempts=2, discard=True, retry_errors=True).error is None


def timeout(trial: Trial, name: str) -> None:
    with pytest.raises(ModelError, match="timed out"):
        trial.go(retries=0, timeout=0.1, attempts=2)
    assert trial.go(retries=0).error is None


def retries(trial: Trial, name: str) -> None:
    assert trial.go(retries=1).attempts == 1 and len(trial.endpoint.bodies) == 2


def max_error_share(trial: Trial, name: str) -> None:
    with pytest.raises(LabelError, match="--max-error-share"):
        trial.go(retries=0, attempts=1)
    assert trial.go(retries=0, attempts=1, max_error_share="100%").error


def retry_errors(trial: Trial, name: str) -> None:
    assert trial.go(retries=0, attempts=1, max_error_share="1").error
    assert trial.go(retries=0, attempts=1, max_error_share="1").error
    assert trial.go(retries=0, attempts=1, retry_errors=True).error is None


def discard(trial: Trial, name: str) -> None:
    first = trial.go()
    with pytest.raises(ConfigError, match="--discard"):
        trial.go(seed=1)
    assert trial.go(seed=1, discard=True).request != first.request


def dry(trial: Trial, name: str) -> None:
    totals = dry_run(trial.folder / "samples.jsonl", "-", settings(trial.folder, **SERVER, dry_run=True), SILENT)
    assert totals.prompts == 1 and not trial.endpoint.bodies
    engine = opened(trial.folder, **SERVER, dry_run=True).engine
    (sample,) = read_samples(trial.folder / "samples.jsonl", None, SILENT)
    engine.submit(Request(number=0, sample=sample.sample, seed=0))
    assert engine.take().text.endswith("1. Green Tea\n2. Wool Yarn\n3. Tea Pot")


def allow_remote(trial: Trial, name: str) -> None:
    away = {"engine": "server", "server": ["http://192.0.2.1/v1"]}
    with pytest.raises(ConfigError, match="--allow-remote"):
        opened(trial.folder, **away)
    assert opened(trial.folder, **away, allow_remote=True).request


def worker(trial: Trial, name: str) -> None:
    """What the worker is set up with; tests of the engine follow it into llama.cpp."""
    trial.monkeypatch.setattr(llama_setup.threads, "cores", lambda: 8)
    before, after = opened(trial.folder, **LOCAL), opened(trial.folder, **LOCAL, **{name: 3})
    assert getattr(before.engine._setup, name) != getattr(after.engine._setup, name) == 3
    assert before.request == after.request


def results(trial: Trial, name: str) -> None:
    asked = settings(trial.folder, engine="batch", model="m", prompt="described")
    assert labeling.label(trial.folder / "samples.jsonl", trial.output, asked).unanswered == 1
    (request,) = jsonl.read(trial.output.with_suffix(".requests.jsonl"), BatchRequest)
    result = {"custom_id": request.custom_id, "response": {"status_code": 200, "body": reply(GOOD)}}
    given = trial.output.with_name("results.jsonl")
    given.write_bytes(orjson.dumps(result))
    answered = replace(asked, results=[str(given)])
    assert labeling.label(trial.folder / "samples.jsonl", trial.output, answered).errors == 0
    assert opened(trial.folder, **vars(asked)).request == opened(trial.folder, **vars(answered)).request


def shard(trial: Trial, name: str) -> None:
    trial.endpoint.bodies += [{}, {}]
    whole = trial.go()
    trial.output.unlink()
    made: list[Label] = []
    for part in ("1/2", "2/2"):
        output = trial.output.with_suffix(f".{part[0]}")
        config = settings(trial.folder, **SERVER | {"server": [trial.endpoint.url]}, shard=part)
        labeling.label(trial.folder / "samples.jsonl", output, config)
        made += [jsonl.decode(line, Label, file="", number=1) for line in output.read_bytes().splitlines()]
    assert [label.request for label in made] == [whole.request]


def ray(trial: Trial, name: str) -> None:
    """A worker asks the same model about the same and gets the same label."""
    started = workers_here.use(trial.monkeypatch)
    made = []
    for asked in ({}, {name: "local"}):
        # by its own path, as the worker may have another folder
        trial.monkeypatch.chdir(trial.folder)
        config = settings(Path(), **LOCAL, **asked, keep_going=True, max_error_share="1", discard=True, parallel=1)
        labeling.label("samples.jsonl", trial.output, config)
        made.append([replace_seconds(label) for label in jsonl.read(trial.output, Label)])
        trial.output.unlink()
    assert started == ["local"] and made[0] == made[1] and len(made[0]) == 1


def replace_seconds(label: Label) -> Label:
    """A label without the time that it took."""
    return msgspec.structs.replace(label, seconds=0.0)


PROBES: dict[str, Callable[[Trial, str], None]] = {
    "hf_repo": hub, "hf_file": hub, "attempts": attempts, "timeout": timeout, "retries": retries,
    "max_error_share": max_error_share, "retry_errors": retry_errors, "keep_going": keep_going, "discard": discard,
    "dry_run": dry,
    "allow_remote": allow_remote, "results": results, "shard": shard,
    "parallel": worker, "gpu_layers": worker, "threads": worker, "ray": ray,
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERWISE)
def test_it_does_what_it_is_for(
    folder: Path, tmp_path: Path, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    PROBES[name](Trial(folder, tmp_path / "labels.jsonl", endpoint, monkeypatch), name)
