"""The request hash of a label: a change of whatever shapes an answer is another label, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from eimf_core import resources
from eimf_core.labeling.config import LabelConfig
from eimf_core.labeling.engines.engine_registry import open_engine
from eimf_core.labeling.history_text import CleanSample, clean_title
from eimf_core.labeling.requests import Labeler
from eimf_core.progress import SILENT
from eimf_core.records import HistoryItem, Sample
from tests.tiny_gguf import CHATML, write_tiny_gguf

TITLES = ("Green Tea", "Yarn", "Tea Pot")


def sample(key: str = "a" * 16, titles: tuple[str, ...] = TITLES, user: str = "u") -> Sample:
    history = [HistoryItem(item=f"i{at}", title=title) for at, title in enumerate(titles)]
    return Sample(key=key, user=user, cluster=0, cluster_size=1, distance=0.0, history=history)


def clean(asked: Sample) -> CleanSample:
    history = [HistoryItem(item=entry.item, title=clean_title(entry.title)) for entry in asked.history]
    titles = [entry.title for entry in history]
    return CleanSample(msgspec.structs.replace(asked, history=history), titles, [()] * len(titles))


class Encoder:
    """Stands in for vectors and their encoder: a request needs no more than what they are called."""

    def __init__(self, name: str) -> None:
        self.encoder = self
        self.name = self.identity = name


@pytest.fixture
def model(tmp_path: Path) -> Path:
    pytest.importorskip("llama_cpp")
    return write_tiny_gguf(tmp_path / "tiny.gguf")


@pytest.fixture
def form(tmp_path: Path) -> Path:
    """A prompt of one's own."""
    path = tmp_path / "mine.md"
    path.write_text("Name {{ max_interests }} interests in {{ language }}.\n---\n{{ titles }}")
    path.with_suffix(".schema.json").write_bytes((resources.prompts() / "general.schema.json").read_bytes())
    return path


Ask = Callable[..., str]


@pytest.fixture
def request_of(model: Path, form: Path) -> Ask:
    def ask(asked: Sample | None = None, encoder: str = "e", **settings: Any) -> str:
        config = LabelConfig(**({"model": str(model), "prompt": str(form)} | settings))
        vectors: Any = Encoder(encoder)
        engine = open_engine(config, [], lambda: vectors, SILENT)
        (found,) = Labeler(engine, config, lambda: vectors, [clean(asked or sample())]).requests
        engine.close()
        return found

    return ask


@pytest.mark.parametrize(
    "other",
    [
        sample(key="b" * 16),
        sample(titles=("Green Tea", "Yarn", "Tea Pots")),
        sample(titles=("Yarn", "Green Tea", "Tea Pot")),
    ],
)
def test_another_sample_is_another_request(request_of: Ask, other: Sample) -> None:
    assert request_of() == request_of() != request_of(other)
    assert request_of() == request_of(sample(user="other"))  # the key tells users apart
    assert request_of() == request_of(encoder="other")  # asked for nothing here


def test_the_text_of_the_prompt(request_of: Ask, form: Path) -> None:
    before = request_of()
    form.write_text(form.read_text().replace("interests", "tastes"))
    assert request_of() != before


def test_the_schema(request_of: Ask, form: Path) -> None:
    before = request_of()
    schema = form.with_suffix(".schema.json")
    schema.write_text(schema.read_text().replace("48", "40"))
    assert request_of() != before


def test_the_chat_template(request_of: Ask, tmp_path: Path) -> None:
    (tmp_path / "template.jinja").write_text(CHATML)
    (tmp_path / "other.jinja").write_text(CHATML + " ")
    given = {request_of(chat_template=str(tmp_path / name)) for name in ("template.jinja", "other.jinja")}
    assert len(given | {request_of()}) == 3


def test_the_bytes_of_the_model_and_not_its_name(request_of: Ask, model: Path) -> None:
    before = request_of()
    other = model.with_name("other.gguf")
    other.write_bytes(model.read_bytes())
    assert request_of(model=str(other)) == before
    raw = bytearray(model.read_bytes())
    raw[-1] ^= 1  # one bit of one weight
    model.write_bytes(raw)
    assert request_of() != before


def test_the_encoder_where_similarity_assigns_the_items(request_of: Ask) -> None:
    assert request_of(prompt="names", encoder="one") != request_of(prompt="names", encoder="other")


def test_the_name_of_a_servers_model_or_else_its_address(request_of: Ask) -> None:
    """Where a model with a name is served from does not matter, so that another server may go on."""
    here: dict[str, Any] = {"engine": "server", "server": ["http://127.0.0.1:1/v1"], "model": None}
    there = here | {"server": ["http://127.0.0.1:2/v1"]}
    assert len({request_of(**here), request_of(**there), request_of(**here | {"model": "m"})}) == 3
    named = {request_of(**each | {"model": "m"}) for each in (here, there)}
    assert len(named) == 1 and request_of(**here | {"model": "n"}) not in named
