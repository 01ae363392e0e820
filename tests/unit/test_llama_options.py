"""Options of the engine llama-cpp reach llama.cpp's own parameters, also those whose effect is not seen here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from eimf_core.errors import ConfigError
from eimf_core.labeling.config import LabelConfig
from eimf_core.labeling.engines import llama_cpp, llama_setup
from eimf_core.labeling.engines.base import Request
from eimf_core.labeling.engines.engine_registry import open_engine
from eimf_core.labeling.engines.llama_worker import LlamaWorker, WorkerSetup
from eimf_core.progress import SILENT
from eimf_core.records import HistoryItem, Sample
from tests.listening import Listening
from tests.tiny_gguf import Sizes, write_tiny_gguf

c = pytest.importorskip("llama_cpp")
SAMPLE = Sample(
    key="a" * 16, user="u", cluster=0, cluster_size=1, distance=0.0, history=[HistoryItem(item="i", title="Green Tea")]
)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_gguf(tmp_path_factory.mktemp("model") / "tiny.gguf")


def setup_of(model: Path, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> WorkerSetup:
    """What the worker is sent first."""
    sent: list[bytes] = []
    monkeypatch.setattr(llama_cpp.LlamaCpp, "_write", lambda self, line: sent.append(line))
    engine = open_engine(LabelConfig(model=str(model), **settings), [SAMPLE], lambda: pytest.fail(""), SILENT)
    engine.submit(Request(number=0, sample=SAMPLE, seed=0))
    engine.close()
    return msgspec.json.decode(sent[0], type=WorkerSetup)


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The parameters that llama.cpp gets for a model and a context."""
    seen: dict[str, Any] = {}
    load, init = c.llama_model_load_from_file, c.llama_init_from_model

    def loading(path: bytes, parameters: Any) -> Any:
        seen["gpu_layers"] = parameters.n_gpu_layers
        return load(path, parameters)

    def opening(model: Any, parameters: Any) -> Any:
        for name in ("n_ctx", "n_seq_max", "n_threads", "n_threads_batch", "flash_attn_type"):
            seen[name] = getattr(parameters, name)
        return init(model, parameters)

    monkeypatch.setattr(c, "llama_model_load_from_file", loading)
    monkeypatch.setattr(c, "llama_init_from_model", opening)
    yield seen


def test_every_option_arrives(tiny: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any]) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2, 5})
    setup = setup_of(tiny, monkeypatch, threads=3, gpu_layers=7, context=1280, parallel=5, prompt="names")
    LlamaWorker(setup, lambda message: None)
    assert given == {
        "gpu_layers": 7,
        "n_ctx": 5 * 1280,
        "n_seq_max": 5,
        "n_threads": 3,
        "n_threads_batch": 3,
        "flash_attn_type": c.LLAMA_FLASH_ATTN_TYPE_AUTO,
    }


def test_further_attempts_have_a_temperature_of_their_own(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[bytes] = []
    monkeypatch.setattr(llama_cpp.LlamaCpp, "_write", lambda self, line: sent.append(line))
    config = LabelConfig(model=str(tiny), seed=5, temperature=0.2, retry_temperature=0.9)
    engine = open_engine(config, [SAMPLE], lambda: pytest.fail(""), SILENT)
    for seed in (5, 6, 7):
        engine.submit(Request(number=0, sample=SAMPLE, seed=seed))
    engine.close()
    assert [msgspec.json.decode(line).get("temperature") for line in sent] == [None, 0.2, 0.9, 0.9]


def test_all_layers(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert setup_of(tiny, monkeypatch, gpu_layers=-1).gpu_layers == -1


def test_what_is_not_told_is_chosen(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], tmp_path: Path
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    setup = setup_of(tiny, monkeypatch, parallel=2)
    # one thread for a small model, no layer on a GPU, the context that the model was trained for up to a limit
    assert (setup.threads, setup.gpu_layers, setup.context) == (1, 0, 2048)
    LlamaWorker(setup, lambda message: None)
    assert given["gpu_layers"] == 0 and given["flash_attn_type"] == c.LLAMA_FLASH_ATTN_TYPE_DISABLED
    short = write_tiny_gguf(tmp_path / "short.gguf", sizes=Sizes(context=1200))
    assert setup_of(short, monkeypatch).context == 1200
    monkeypatch.setattr(llama_setup, "SMALL_MODEL", 0)
    assert setup_of(tiny, monkeypatch).threads == len(os.sched_getaffinity(0))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert setup_of(tiny, monkeypatch).threads == 1


def test_more_threads_than_cores_are_not_started(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3, 4})
    assert setup_of(tiny, monkeypatch, threads=999).threads == 2
    listening = Listening()
    config = LabelConfig(model=str(tiny), threads=3)
    open_engine(config, [SAMPLE], lambda: pytest.fail(""), listening).close()
    assert (
        len(listening.warnings) == 1 and "--threads 3" in listening.warnings[0] and "2 cores" in listening.warnings[0]
    )


def test_a_gpu_that_is_not_there_is_told_of(tiny: Path) -> None:
    if c.llama_supports_gpu_offload():
        pytest.skip("this llama.cpp has a GPU")
    listening = Listening()
    config = LabelConfig(model=str(tiny), prompt="names", gpu_layers=-1)
    engine = open_engine(config, [SAMPLE], lambda: pytest.fail(""), listening)
    for number in range(2):
        engine.submit(Request(number=number, sample=SAMPLE, seed=0))
        assert engine.take().error is None
    engine.close()
    assert len(listening.warnings) == 1 and "--gpu-layers" in listening.warnings[0]


def test_an_answer_that_leaves_no_room_for_a_prompt(tiny: Path) -> None:
    config = LabelConfig(model=str(tiny), context=500, max_tokens=500)
    with pytest.raises(ConfigError, match="--context 500 has no room"):
        open_engine(config, [SAMPLE], lambda: pytest.fail(""), SILENT)


def test_memory_that_runs_out_is_told_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    """llama.cpp says so first, and ends with a line that does not."""
    from eimf_core.labeling.engines import llama_model

    logged = ["control-looking token", "ggml_aligned_malloc: insufficient memory (attempted to allocate 596.53 MB)"]
    monkeypatch.setattr(llama_model, "_log", [*logged, "failed to load model"])
    assert llama_model.last_problem() == f"there is not enough memory: {logged[1]}"
    monkeypatch.setattr(llama_model, "_log", ["wrong shape", "failed to load model"])
    assert llama_model.last_problem() == "failed to load model"
