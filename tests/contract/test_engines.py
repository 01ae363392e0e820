"""What every engine has to keep: one answer a question, in the schema, the same for the same seed.

The same tests pass for each: a random GGUF model in two forms of prompt, the bundled labeler, a small HTTP
server, llama-cpp-python's own server with the bundled labeler behind it, files of a batch, keywords and categories.
"""

from __future__ import annotations

import ast
import random
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import msgspec
import orjson
import pytest

from eimf_core import resources
from eimf_core.io import jsonl
from eimf_core.labeling import answer_parser, prompts
from eimf_core.labeling import label as labeling
from eimf_core.labeling.config import EngineName, LabelConfig
from eimf_core.labeling.engines import server_pool, unused_settings
from eimf_core.labeling.engines.base import Answer, Engine, Request
from eimf_core.labeling.engines.engine_registry import engine_class, open_engine
from eimf_core.labeling.history_text import CleanSample, clean_title
from eimf_core.progress import SILENT
from eimf_core.records import HistoryItem, Item, Label, Sample
from eimf_core.text.loading import open_encoder
from eimf_core.text.similarity import TitleVectors
from tests.conftest import ROOT
from tests.openai_endpoint import Endpoint, reply
from tests.tiny_gguf import write_tiny_gguf

TITLES = [item.title for item in jsonl.read(ROOT / "examples" / "shop" / "items.jsonl", Item)][:400:9]
UNWANTED = "\U0001f375" * 120  # 480 bytes: hundreds of tokens where no token stands for it


def sample(number: int, titles: list[str]) -> Sample:
    history = [HistoryItem(item=f"i{at}", title=clean_title(title)) for at, title in enumerate(titles)]
    key = f"{number:016x}"
    return Sample(key=key, user=f"secret-{number}", cluster=0, cluster_size=12, distance=0.1, history=history)


def samples(count: int = 12) -> list[Sample]:
    return [sample(n, [TITLES[(n * 5 + at) % len(TITLES)] for at in range(2 + n % 9)]) for n in range(count)]


# -- the engines


@dataclass(frozen=True)
class Case:
    """An engine by its settings, and a sample that it cannot answer.

    `of_five` are the settings for four samples and the hopeless one, where they are others.
    """

    config: LabelConfig
    hopeless: Sample
    of_five: LabelConfig | None = None

    def open(self) -> Engine:
        asked = [*samples(), self.hopeless]
        titles = [entry.title for sample in asked for entry in sample.history]
        return open_engine(self.config, asked, lambda: TitleVectors(titles, open_encoder(texts=len(titles))), SILENT)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_gguf(tmp_path_factory.mktemp("model") / "tiny.gguf")


def llama_case(model: str, prompt: str, **settings: Any) -> Case:
    pytest.importorskip("llama_cpp")
    return Case(LabelConfig(model=model, prompt=prompt, **settings), sample(99, [UNWANTED]))


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    """Answers that follow the titles and the seed; one history it refuses."""

    def say(number: int, body: dict[str, Any]) -> Any:
        listed = body["messages"][-1]["content"].split("\n")
        if UNWANTED[:9] in listed[0]:
            return 422, {}, {"error": "cannot be read"}
        chosen = random.Random(f"{listed} {body['seed']}").sample(range(len(listed)), k=min(len(listed), 3))
        told = [
            {"name": f"kind {at + 1}: {listed[at].split()[1][:20]}", "description": "Likes this.", "items": [at + 1]}
            for at in chosen
        ]
        return reply(orjson.dumps({"interests": told}).decode())

    made = Endpoint(say)
    yield made
    assert not any(b"secret" in orjson.dumps(body) for body in made.bodies)
    made.close()


@pytest.fixture(scope="module")
def llama_server() -> Iterator[str]:
    """llama-cpp-python's own server, a process that serves the bundled labeler; its address."""
    if any(find_spec(needed) is None for needed in ("llama_cpp", "fastapi", "uvicorn", "sse_starlette")):
        pytest.skip("llama-cpp-python[server] is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "llama_cpp.server", "--host", "127.0.0.1", "--port", str(port), "--n_threads", "1"]
    process = subprocess.Popen(
        [*command, "--model", str(resources.labeler()), "--n_ctx", "1024"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}/v1"
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"{address}/models", timeout=5):
                    break
            except OSError:
                assert process.poll() is None and time.monotonic() < deadline
                time.sleep(0.1)
        yield address
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place in a history is an item here; one item in three has no category."""
    path = tmp_path_factory.mktemp("catalogue") / "items.jsonl"
    kinds = ([], ["Home", "Kitchen"], ["Home", "Garden"])
    jsonl.write(path, [Item(item=f"i{at}", title="t", categories=kinds[at % 3]) for at in range(12)])
    return path


BATCH = LabelConfig(engine="batch", model="m", prompt="described")


def shortened(entry: Sample) -> Sample:
    """As label asks about it."""
    clean = CleanSample(entry, [each.title for each in entry.history], [()] * len(entry.history))
    return msgspec.structs.replace(entry, history=clean.short(16).lines)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Results of many attempts for each sample, and of five; refusals of the one that cannot be answered."""
    engine: Any = open_engine(BATCH, [], lambda: pytest.fail("no text to encode"), SILENT)
    lines: dict[str, bytes] = {}
    asked = [sample(99, [UNWANTED]), *samples()]
    for entry in [*map(shortened, asked[:5]), *asked]:
        for seed in range(70):
            request = Request(number=0, sample=entry, seed=seed)
            shown = random.Random(f"{entry.key} {seed}").choice(range(len(entry.history)))
            told = {"name": f"kind {shown + 1}", "description": "Likes this.", "items": [shown + 1]}
            body = reply(orjson.dumps({"interests": [told]}).decode())
            response = {"status_code": 200, "body": body}
            if entry.history[0].title.startswith(UNWANTED[:9]):
                response = {"status_code": 422, "body": {"error": {"message": "cannot be read"}}}
            name = engine.custom_id(request)
            lines[name] = orjson.dumps({"custom_id": name, "response": response, "error": None})
    folder = tmp_path_factory.mktemp("batch")
    (folder / "all.jsonl").write_bytes(b"\n".join(lines.values()))
    (folder / "five.jsonl").write_bytes(b"\n".join(list(lines.values())[: 5 * 70]))
    return [folder / "all.jsonl", folder / "five.jsonl"]


CASES = {
    "llama-cpp": "llama-cpp",
    "llama-cpp general": "llama-cpp",
    "bundled": "llama-cpp",
    "server": "server",
    "llama-cpp-python's server": "server",
    "batch": "batch",
    "keywords": "keywords",
    "categories": "categories",
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Case:
    monkeypatch.setattr(server_pool, "FIRST_PAUSE", 0.01)

    def given(name: str) -> str:
        found = request.getfixturevalue(name)
        return found.url if isinstance(found, Endpoint) else str(found)

    if request.param == "batch":
        batches = [replace(BATCH, results=[str(path)]) for path in request.getfixturevalue("results")]
    makers: dict[str, Callable[[], Case]] = {
        "llama-cpp": lambda: llama_case(given("tiny"), "names", parallel=4, temperature=0.9, context=480),
        "llama-cpp general": lambda: llama_case(
            given("tiny"), "general", parallel=4, temperature=0.9, context=1350, max_tokens=900
        ),
        "bundled": lambda: llama_case("bundled", "names", context=700),
        "server": lambda: Case(
            LabelConfig(engine="server", server=[given("endpoint")], prompt="described", parallel=4),
            sample(99, [UNWANTED]),
        ),
        "llama-cpp-python's server": lambda: Case(
            LabelConfig(engine="server", server=[given("llama_server")], prompt="names", parallel=2),
            sample(99, [UNWANTED] * 3),
        ),
        "batch": lambda: Case(batches[0], sample(99, [UNWANTED]), of_five=batches[1]),
        "keywords": lambda: Case(LabelConfig(engine="keywords"), sample(99, ["", " "])),
        "categories": lambda: Case(LabelConfig(engine="categories", items=given("catalogue")), sample(99, TITLES[:1])),
    }
    return makers[request.param]()


def answer_all(engine: Engine, seed: int = 0, asked: list[Sample] | None = None) -> dict[int, Answer]:
    given: dict[int, Answer] = {}
    waiting = [Request(number=n, sample=entry, seed=seed + n) for n, entry in enumerate(asked or samples())]
    open_questions = 0
    while waiting or open_questions:
        while waiting and open_questions < engine.parallel:
            engine.submit(waiting.pop(0))
            open_questions += 1
        answer = engine.take()
        assert answer.number not in given
        given[answer.number] = answer
        open_questions -= 1
    return given


# -- what all of them keep


def test_every_engine_has_a_case() -> None:
    assert set(CASES.values()) == set(get_args(EngineName))


@pytest.mark.parametrize("name", get_args(EngineName))
def test_an_engine_is_a_file_of_its_name_and_tells_what_it_needs(name: EngineName) -> None:
    engine = engine_class(name)
    assert engine.name == name and engine.__module__ == f"eimf_core.labeling.engines.{name.replace('-', '_')}"
    for told in (engine.uses_prompt, engine.reads_titles, engine.needs_catalogue):
        assert isinstance(told, bool)


def test_nobody_compares_the_names_of_engines() -> None:
    for path in [*(ROOT / "eimf_core").rglob("*.py"), *(ROOT / "eimf_cli").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare):
                words = {inner.value for inner in ast.walk(node) if isinstance(inner, ast.Constant)}
                assert not words & {"llama-cpp", "keywords", "batch"}, f"{path}:{node.lineno}"


def test_every_question_gets_one_usable_answer(case: Case) -> None:
    engine = case.open()
    given = answer_all(engine)
    engine.close()
    assert sorted(given) == list(range(12))
    for number, answer in given.items():
        shown = samples()[number].history[answer.trimmed :]
        assert answer.error is None and answer.seconds > 0
        found = answer_parser.read(
            answer.text,
            engine.prompt.schema,
            count=len(shown),
            max_interests=case.config.max_interests,
            instructions="",
        )
        assert found
        assert not engine.uses_prompt or answer.tokens["answer"] > 0 < answer.tokens["prompt"]


@pytest.mark.slow
def test_the_same_seed_gives_the_same_answers(case: Case) -> None:
    """Seeds other than the run's own are those of further tries, which are drawn where a model answers."""
    runs = []
    for seed in (0, 0, 50):
        engine = case.open()
        runs.append({number: answer.text for number, answer in answer_all(engine, seed).items()})
        engine.close()
    assert runs[0] == runs[1]
    assert (runs[0] != runs[2]) == engine.uses_prompt


def test_settings_are_plain_and_the_same_each_time(case: Case) -> None:
    first, second = case.open(), case.open()
    assert orjson.dumps(first.settings) == orjson.dumps(second.settings)
    assert (first.name, first.model, first.model_sha256) == (second.name, second.model, second.model_sha256)
    assert first.name == case.config.engine and first.model and first.parallel >= 1
    first.close()
    second.close()


def test_an_engine_says_which_settings_it_uses(case: Case) -> None:
    """What it reads of them, and nothing else but what `label` looks at for it."""
    read: set[str] = set()

    class Watched(LabelConfig):
        def __getattribute__(self, name: str) -> Any:
            read.add(name)
            return super().__getattribute__(name)

    config = Watched(**vars(case.config))
    read.clear()
    engine = replace(case, config=config).open()
    answer_all(engine)
    engine.close()
    own = read & vars(case.config).keys() - unused_settings.OF_EVERY_RUN
    said = unused_settings.used_by(engine_class(case.config.engine))
    assert said is not None and own <= said
    assert said - own <= {"items", "encoder", "max_titles", "attempts", "keep_going", "hf_file"}


def test_a_question_without_an_answer_costs_itself_alone(case: Case) -> None:
    engine = case.open()
    given = answer_all(engine, asked=[*samples(3), case.hopeless, *samples(5)[3:]])
    engine.close()
    assert [number for number, answer in sorted(given.items()) if answer.error is not None] == [3]
    assert given[3].error and "\n" not in given[3].error


def test_closed_at_any_time(case: Case) -> None:
    engine = case.open()
    engine.close()
    engine = case.open()
    for number, entry in enumerate(samples()[: engine.parallel]):
        engine.submit(Request(number=number, sample=entry, seed=0))
    engine.close()
    engine.close()


def test_labels_from_samples_and_nothing_is_asked_twice(case: Case, tmp_path: Path) -> None:
    config = replace(case.of_five or case.config, max_error_share="50%")
    jsonl.write(tmp_path / "samples.jsonl", [*samples(4), case.hopeless])
    first = labeling.label(tmp_path / "samples.jsonl", tmp_path / "labels.jsonl", config)
    made = {label.user: label for label in jsonl.read(tmp_path / "labels.jsonl", Label)}
    assert (first.labels, first.errors, first.reused) == (5, 1, 0)
    assert made.pop(case.hopeless.user).interests == []
    for entry in samples(4):
        label = made[entry.user]
        assert label.key == entry.key and label.engine == config.engine and label.error is None
        assert label.interests and all(interest.name and interest.items for interest in label.interests)
        shown = {item.item for item in entry.history}
        assert all(set(interest.items) <= shown for interest in label.interests)
        by_model = config.prompt != "names" and config.engine != "keywords"
        assert label.items_by == ("model" if by_model else "similarity")
        assert (label.prompt_sha256 is not None) == engine_class(config.engine).uses_prompt
    again = labeling.label(tmp_path / "samples.jsonl", tmp_path / "labels.jsonl", config)
    assert again.reused == again.labels == 5


# -- llama.cpp alone


@pytest.mark.slow
def test_a_batch_answers_as_one_at_a_time_does(tiny: Path) -> None:
    """Slots, shared beginning and refilling leak nothing from one user to another."""
    pytest.importorskip("llama_cpp")
    texts = []
    for parallel in (1, 5):
        config = LabelConfig(model=str(tiny), prompt="names", parallel=parallel, max_interests=2, temperature=0.5)
        engine = open_engine(config, samples(), lambda: pytest.fail("no text to encode"), SILENT)
        texts.append({number: answer.text for number, answer in answer_all(engine).items()})
        engine.close()
    assert len(set(texts[0].values())) > 6
    # the same sums in another order may now and then tip the balance between two tokens
    assert sum(texts[0][number] == texts[1][number] for number in texts[0]) >= 10


def test_what_every_answer_begins_with_is_read_and_not_written(tiny: Path) -> None:
    """One step reads the prompt with it and writes the first token behind it."""
    pytest.importorskip("llama_cpp")
    from eimf_core.labeling.engines import llama_setup, llama_worker

    config = LabelConfig(model=str(tiny), prompt="names", parallel=1, threads=1, max_tokens=60)
    worker = llama_worker.LlamaWorker(llama_setup.worker_setup(tiny, {}, prompts.load("names"), config, SILENT), print)
    assert worker._batch is not None
    worker._start(worker._batch, {"number": 0, "titles": ["Green Tea"], "seed": 0, "temperature": 0.0})
    generation = worker._batch._slots[0]
    assert generation is not None and not worker._batch.step()
    assert generation.written.startswith(b'{"interests": ["') and generation.count == len(worker._opening) + 1


@pytest.mark.slow
def test_a_worker_that_dies_before_it_is_written_to(tiny: Path) -> None:
    """What it never took is asked again in the next; the broken pipe is nobody else's business."""
    pytest.importorskip("llama_cpp")
    config = LabelConfig(model=str(tiny), prompt="names", parallel=2)
    engine = open_engine(config, samples(), lambda: pytest.fail("no text to encode"), SILENT)
    engine.submit(Request(number=0, sample=samples()[0], seed=0))
    engine.take()
    process = engine._process  # type: ignore[attr-defined]
    process.kill()
    process.wait()
    for number in (1, 2):
        engine.submit(Request(number=number, sample=samples()[number], seed=0))
    answers_given = [engine.take(), engine.take()]
    assert sorted(answer.number for answer in answers_given) == [1, 2]
    assert all(answer.error is None and answer.crashes == 1 for answer in answers_given)
    engine.close()


@pytest.mark.slow
def test_a_question_that_kills_every_worker_costs_its_own_answer(tiny: Path) -> None:
    pytest.importorskip("llama_cpp")
    config = LabelConfig(model=str(tiny), prompt="names", parallel=3)
    engine = open_engine(config, samples(), lambda: pytest.fail("no text to encode"), SILENT)
    send = engine._send  # type: ignore[attr-defined]

    def deadly(request: Request) -> None:
        send(request)
        if request.number == 1:
            engine._process.kill()  # type: ignore[attr-defined]

    engine._send = deadly  # type: ignore[attr-defined]
    given = answer_all(engine)
    assert [number for number, answer in given.items() if answer.error is not None] == [1]
    assert given[1].final and "SIGKILL, which the system sends where memory runs out" in (given[1].error or "")
    engine.close()
