"""Every setting of `score` does something: another value gives other figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from eimf_core.errors import ConfigError
from eimf_core.io import jsonl, provenance
from eimf_core.labeling import score_files
from eimf_core.labeling.config import ScoreConfig
from eimf_core.records import LabelQuality, TrueInterest, TrueItem, TrueUser
from tests.conftest import Eimf
from tests.unit.test_scoring import THEMES, WideWords, label, sample, written

OTHER: dict[str, Any] = {"truth_users": "users", "encoder": "another"}


class Everything(WideWords):
    """Of this encoder all texts are alike."""

    def encode(self, texts: Sequence[str], *_: Any) -> Any:
        return np.ones((len(texts), 4), dtype=np.float32) / 2


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    items = [TrueItem(item=f"{at}{n}", interest=theme) for at, theme in THEMES.items() for n in range(4)]
    written(tmp_path, "items", items)
    written(tmp_path, "users", [TrueUser(user="a", interests=[TrueInterest(name="tea")])])
    written(tmp_path, "samples", [sample("a", "t1 t2 y1 y2"), sample("b", "f1 f2")])
    written(tmp_path, "labels", [label("a", ("yarn", "y1 y2")), label("b", ("fish", "f1 f2"))])
    monkeypatch.setattr(score_files, "open_encoder", lambda name, texts: Everything() if name else WideWords())
    return tmp_path


def scored(folder: Path, output: Path | None = None, **changed: Any) -> list[LabelQuality]:
    if "truth_users" in changed:
        changed["truth_users"] = folder / changed["truth_users"]
    settings = ScoreConfig(**changed)
    return score_files.write([folder / "labels"], output, settings, samples=folder / "samples", truth=folder / "items")


@pytest.mark.parametrize("name", [field.name for field in fields(ScoreConfig)])
def test_another_value_gives_other_figures(folder: Path, name: str) -> None:
    assert scored(folder) == scored(folder) != scored(folder, **{name: OTHER[name]})


@pytest.mark.parametrize("name", [field.name for field in fields(ScoreConfig)])
def test_a_setting_is_an_option_and_a_key_of_a_file(folder: Path, name: str, eimf: Eimf) -> None:
    asked = ("score", "labels", "--samples", "samples", "--truth", "items")
    (folder / "score.toml").write_text(f"[score]\n{name} = '{OTHER[name]}'\n")
    option = f"--{name.replace('_', '-')}"
    lines = [eimf(*asked, *given, cwd=folder) for given in ((), (option, OTHER[name]), ("--config", "score.toml"))]
    plain, typed, of_file = ([orjson.loads(line) for line in done.stdout.splitlines()] for done in lines)
    assert len(plain) == 1 and plain != typed == of_file
    shown = eimf(*asked, "--config", "score.toml", "--show-config", cwd=folder)
    assert orjson.loads(shown.stdout)[name] == OTHER[name]


def test_what_was_scored_stands_beside_the_figures(folder: Path) -> None:
    output = folder / "quality"
    found = scored(folder, output, encoder="another")
    assert list(jsonl.read(output, LabelQuality)) == found
    described = orjson.loads(provenance.sidecar(output).read_bytes())
    assert described["arguments"]["encoder"] == "another" and len(described["inputs"]) == 3


def test_stdin_is_read_only_once(folder: Path) -> None:
    with pytest.raises(ConfigError, match="'-' is given for several inputs"):
        score_files.write([Path("-")], None, ScoreConfig(), samples=Path("-"), truth=folder / "items")
