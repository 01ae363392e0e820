"""Which steps of a run are up to date: told by content, options and version, not by times."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from eimf_core.errors import ConfigError
from eimf_core.io import provenance
from eimf_core.pipeline import run_steps


@pytest.fixture
def step(tmp_path: Path) -> run_steps.RunStep:
    """A step with a folder and a pattern as inputs and one output, all there."""
    for name in ("logs/a.csv", "logs/b.csv", "folder/part/x.dat", "out/made.jsonl"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    inputs = (tmp_path / "logs" / "*.csv", tmp_path / "folder")
    return run_steps.RunStep("prepare", (), inputs, (tmp_path / "out" / "made.jsonl",))


def fresh(step: run_steps.RunStep, options: dict[str, Any]) -> bool:
    return run_steps.Records(step.outputs[0].parent).is_fresh(step, run_steps.origin_of(step, options))


def make(step: run_steps.RunStep, options: dict[str, Any]) -> None:
    run_steps.Records(step.outputs[0].parent).add(step, run_steps.origin_of(step, options))


def test_a_step_is_made_again_when_anything_it_is_made_from_has_changed(
    step: run_steps.RunStep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = tmp_path / "words.txt"
    words.write_text("a")
    (tmp_path / "model").mkdir()
    manifest = tmp_path / "model" / "manifest.json"
    manifest.write_text("{}")
    options = {"split": "temporal", "nested": {"file": str(words)}, "seed": 0, "init": str(tmp_path / "model")}
    assert not fresh(step, options)
    make(step, options)
    assert fresh(step, options)
    os.utime(tmp_path / "logs" / "a.csv", (2e9, 2e9))
    assert fresh(step, options) and not fresh(step, {**options, "seed": 1})
    for path in (tmp_path / "logs" / "a.csv", tmp_path / "folder" / "part" / "x.dat", words, manifest):
        content = path.read_text()
        path.write_text("other")
        assert not fresh(step, options)
        path.write_text(content)
        assert fresh(step, options)
    (tmp_path / "logs" / "c.csv").write_text("one more day")
    assert not fresh(step, options)
    make(step, options)
    monkeypatch.setattr(provenance, "versions", lambda: {"eimf": "99"})
    assert not fresh(step, options)


def test_an_output_that_is_gone_is_made_again_and_a_changed_one_is_kept(step: run_steps.RunStep) -> None:
    make(step, {})
    (made,) = step.outputs
    made.write_text("changed by hand")
    with pytest.raises(ConfigError, match=r"made.jsonl: was changed since eimf run made it"):
        fresh(step, {})
    made.unlink()
    assert not fresh(step, {})
    # a record that is broken counts for nothing
    made.write_text("x")
    (made.parent / ".steps" / "prepare.json").write_text("{")
    assert not fresh(step, {})


def test_the_plan(tmp_path: Path) -> None:
    logs, items = [Path("log.csv")], [Path("items.csv")]
    plain = run_steps.plan(logs, items, tmp_path, engine=None, test=False)
    assert [step.name for step in plain] == ["prepare", "train"] and "--labels" not in plain[1].arguments
    whole = run_steps.plan(logs, items, tmp_path, engine="categories", test=True)
    assert [step.name for step in whole] == ["prepare", "cluster", "label", "train", "eval"]
    # every step but the first reads what an earlier one wrote
    written: set[Path] = set()
    for step in whole:
        assert step.name == "prepare" or set(step.inputs) <= written
        written |= set(step.outputs)


@pytest.mark.parametrize(("engine", "given"), [("categories", True), ("keywords", False), ("llama-cpp", False)])
def test_an_engine_that_needs_the_catalogue_gets_it(engine: str, given: bool, tmp_path: Path) -> None:
    label = run_steps.plan([Path("log.csv")], [], tmp_path, engine=engine, test=False)[2]
    catalogue = ("--items", str(tmp_path / "data" / "items.jsonl"))
    assert (label.arguments[-2:] == catalogue) == given == ("--items" in label.arguments)


def test_labels_of_no_run_are_not_given_up(tmp_path: Path) -> None:
    def label() -> run_steps.RunStep:
        return run_steps.plan([Path("log.csv")], [], tmp_path, engine="llama-cpp", test=False)[2]

    assert label().discard and "--discard" not in label().arguments
    (tmp_path / "labels.jsonl").write_text("made by hand")
    assert not label().discard
    run_steps.Records(tmp_path).add(label(), "origin")
    assert label().discard and "--discard" not in label().arguments


def test_a_model_without_its_weights_is_made_again(tmp_path: Path) -> None:
    step = run_steps.plan([Path("log.csv")], [], tmp_path, engine=None, test=False)[-1]
    (tmp_path / "model").mkdir()
    for path in step.outputs:
        path.write_text(path.name)
    records = run_steps.Records(tmp_path)
    records.add(step, "origin")
    assert records.is_fresh(step, "origin")
    (tmp_path / "model" / "weights.safetensors").unlink()
    assert not records.is_fresh(step, "origin")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("-", "is a stream"),
        ("nowhere", "no such file"),
        ("no*", "no file has such a name"),
        ("ml-1m", "grouplens"),
        ("https://key:word@shop.example/log.csv", r"https://…@shop.example/log.csv: is an address"),
    ],
)
def test_inputs_that_are_none(tmp_path: Path, name: str, words: str) -> None:
    given = tmp_path / name if name.startswith("no") else Path(name)
    with pytest.raises(ConfigError, match=words):
        run_steps.origin_of(run_steps.RunStep("prepare", (), (given,), ()), {})
