"""The bundled labeler is the model of the prompt that label sends; cli/test_quickstart.py tests what it knows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import gguf
import orjson
import pytest

from eimf_core import resources
from eimf_core.labeling import prompts
from tests.conftest import ROOT

SHOP = ROOT / "examples" / "shop"


def lines(path: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def test_labeler_carries_the_prompt_that_it_was_trained_with() -> None:
    fields = gguf.GGUFReader(resources.labeler()).fields
    template, schema = (str(fields[f"eimf.prompt_{part}"].contents()) for part in ("template", "schema"))
    carried = prompts.parsed("carried", template, schema, called=("template", "schema"))
    assert carried.sha256 == prompts.load(str(ROOT / "examples" / "labeler_prompt.md")).sha256, (
        "examples/labeler_prompt.md or its schema changed: train the labeler again (examples/make_labeler.py)"
    )


def test_held_out_titles_are_three_in_ten() -> None:
    held_out = [line["holdout"] for line in lines(SHOP / "truth.items.jsonl")]
    assert 0.25 < sum(held_out) / len(held_out) < 0.35


@pytest.mark.slow
def test_the_script_makes_such_a_labeler(tmp_path: Path) -> None:
    """After two steps of training it knows nothing, but its file has the form and the tokens of the bundled one."""
    made = tmp_path / "new" / "labeler.gguf"
    command = [ROOT / "examples" / "make_labeler.py", "--steps", "2", "--check", "1", "--device", "cpu", "-o", made]
    subprocess.run([sys.executable, *map(str, command)], check=True, capture_output=True)
    new, bundled = gguf.GGUFReader(made), gguf.GGUFReader(resources.labeler())
    assert {name: field.contents() for name, field in new.fields.items()} == {
        name: field.contents() for name, field in bundled.fields.items()
    }
    assert [(t.name, t.shape.tolist(), t.tensor_type) for t in new.tensors] == [
        (t.name, t.shape.tolist(), t.tensor_type) for t in bundled.tensors
    ]
