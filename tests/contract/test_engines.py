"""What every engine has to keep: one answer a question, in the schema, the same for the same seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from eimf_core.progress import SILENT
from eimf_core.records import HistoryItem, Sample
from eimf_core.semantics import answers, prompts, text
from eimf_core.semantics.engines.base import Answer, Ask, Engine
from eimf_core.semantics.engines.opening import open_engine
from eimf_core.semantics.labeling_config import LabelConfig
from eimf_core.semantics.similarity import TitleVectors
from tests.small_data import TASTES
from tests.tiny_gguf import write_tiny_gguf

TITLES = [title for titles in TASTES.values() for title in titles]


def samples(count: int = 12) -> list[Sample]:
    made = []
    for number in range(count):
        titles = [TITLES[(number * 5 + at) % len(TITLES)] for at in range(2 + number % 9)]
        history = [HistoryItem(item=f"i{at}", title=title) for at, title in enumerate(titles)]
        made.append(
            Sample(key=f"{number:016x}", user=f"u{number}", cluster=0, cluster_size=12, distance=0.1, history=history)
        )
    return made


Opener = Callable[[], tuple[Engine, prompts.Prompt, LabelConfig]]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_gguf(tmp_path_factory.mktemp("model") / "tiny.gguf")


@pytest.fixture(params=["llama-cpp", "llama-cpp described", "keywords"])
def opener(request: pytest.FixtureRequest) -> Iterator[Opener]:
    """Opens the engine anew, with the same settings each time."""
    name, _, prompt = request.param.partition(" ")
    settings: dict[str, object] = {}
    if name == "llama-cpp":
        pytest.importorskip("llama_cpp")
        model = str(request.getfixturevalue("tiny"))
        settings = {"model": model, "prompt": prompt or "names", "parallel": 4, "temperature": 0.9, "max_tokens": 900}
    if name == "keywords":
        pytest.importorskip("eimf_core.semantics.engines.keywords")
    opened: list[Engine] = []

    def go() -> tuple[Engine, prompts.Prompt, LabelConfig]:
        config = LabelConfig(engine=name, **settings)  # type: ignore[arg-type]
        engine, form = open_engine(config, samples(), lambda: TitleVectors(samples(), text.open_encoder()), SILENT)
        opened.append(engine)
        return engine, form, config

    yield go
    for engine in opened:
        engine.close()


def answer_all(engine: Engine, seed: int = 0) -> dict[int, Answer]:
    given: dict[int, Answer] = {}
    waiting = [Ask(number=number, sample=entry, seed=seed + number) for number, entry in enumerate(samples())]
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


def test_every_question_gets_one_usable_answer(opener: Opener) -> None:
    engine, prompt, config = opener()
    given = answer_all(engine)
    assert sorted(given) == list(range(12))
    for number, answer in given.items():
        shown = samples()[number].history[answer.trimmed :]
        assert answer.error is None and answer.seconds > 0
        found = answers.read(
            answer.text, prompt.schema, count=len(shown), max_interests=config.max_interests, instructions=""
        )
        assert found
        assert not engine.uses_prompt or answer.tokens["answer"] > 0 < answer.tokens["prompt"]


def test_the_same_seed_gives_the_same_answers(opener: Opener) -> None:
    runs = []
    for _ in range(2):
        engine, _, _ = opener()
        runs.append({number: answer.text for number, answer in answer_all(engine).items()})
        engine.close()
    assert runs[0] == runs[1]
    engine, _, _ = opener()
    assert engine.name == "keywords" or {n: a.text for n, a in answer_all(engine, seed=50).items()} != runs[0]


def test_settings_are_plain_and_the_same_each_time(opener: Opener) -> None:
    import orjson

    first, second = opener()[0], opener()[0]
    assert orjson.dumps(first.settings) == orjson.dumps(second.settings)
    assert (first.name, first.model, first.model_sha256) == (second.name, second.model, second.model_sha256)


def test_closed_at_any_time(opener: Opener) -> None:
    engine, _, _ = opener()
    engine.close()
    engine, _, _ = opener()
    for number, entry in enumerate(samples()[: engine.parallel]):
        engine.submit(Ask(number=number, sample=entry, seed=0))
    engine.close()
    engine.close()


def test_a_batch_answers_as_one_at_a_time_does(tiny: Path) -> None:
    """Slots, shared beginning and refilling leak nothing from one user to another."""
    pytest.importorskip("llama_cpp")
    texts = []
    for parallel in (1, 5):
        config = LabelConfig(model=str(tiny), prompt="names", parallel=parallel, max_interests=2, temperature=0.5)
        engine, _ = open_engine(config, samples(), lambda: pytest.fail("no text to encode"), SILENT)
        texts.append({number: answer.text for number, answer in answer_all(engine).items()})
        engine.close()
    assert len(set(texts[0].values())) > 6
    # the same sums in another order may now and then tip the balance between two tokens
    assert sum(texts[0][number] == texts[1][number] for number in texts[0]) >= 10


def test_a_worker_that_dies_before_it_is_written_to(tiny: Path) -> None:
    """What it never took is asked again in the next; the broken pipe is nobody else's business."""
    pytest.importorskip("llama_cpp")
    config = LabelConfig(model=str(tiny), prompt="names", parallel=2)
    engine, _ = open_engine(config, samples(), lambda: pytest.fail("no text to encode"), SILENT)
    engine.submit(Ask(number=0, sample=samples()[0], seed=0))
    engine.take()
    process = engine._process  # type: ignore[attr-defined]
    process.kill()
    process.wait()
    for number in (1, 2):
        engine.submit(Ask(number=number, sample=samples()[number], seed=0))
    answers_given = [engine.take(), engine.take()]
    assert sorted(answer.number for answer in answers_given) == [1, 2]
    assert all(answer.error is None and answer.crashes == 1 for answer in answers_given)
    engine.close()


def test_a_question_that_kills_every_worker_costs_its_own_answer(tiny: Path) -> None:
    pytest.importorskip("llama_cpp")
    config = LabelConfig(model=str(tiny), prompt="names", parallel=3)
    engine, _ = open_engine(config, samples(), lambda: pytest.fail("no text to encode"), SILENT)
    send = engine._send  # type: ignore[attr-defined]

    def deadly(ask: Ask) -> None:
        send(ask)
        if ask.number == 1:
            engine._process.kill()  # type: ignore[attr-defined]

    engine._send = deadly  # type: ignore[attr-defined]
    given = answer_all(engine)
    assert [number for number, answer in given.items() if answer.error is not None] == [1]
    assert given[1].final and "SIGKILL" in (given[1].error or "")
    engine.close()
