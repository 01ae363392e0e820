"""`eimf label MODEL`: groups of items are named by an engine, and their names go with the model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import orjson
import pytest

from eimf_core import plugins
from eimf_core.errors import ConfigError, LabelError, ModelError
from eimf_core.labeling import group_labels
from eimf_core.labeling.config import LabelConfig
from eimf_core.labeling.requests import Labeler
from eimf_core.model_directory import artifact
from eimf_core.naming import interest_names
from eimf_core.naming.item_groups import ItemGroups
from eimf_core.plugins import Plugin
from eimf_core.records import HistoryItem, Item, Sample
from eimf_core.training import ensemble
from eimf_core.training import train as training
from tests.conftest import Eimf, one_error_line
from tests.openai_endpoint import Endpoint, reply
from tests.recommend_models import small_items, write_named_model
from tests.small_data import write_small_data
from tests.small_training import small_settings


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_named_model(tmp_path / "model", named=False)


def groups(model: Path) -> ItemGroups:
    return interest_names.groups_of(artifact.open_model(model))


def asked(model: Path) -> list[Sample]:
    return list(group_labels.samples(artifact.open_model(model), groups(model)))


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """Installs the engine `first-item`, which names a group after its first item; the items here get no name."""
    items: set[str] = set()

    def names(history: Sequence[HistoryItem]) -> dict[str, list[int]]:
        return {} if history[0].item in items else {f"all like {history[0].item}": [1]}

    plugin = Plugin("engines", "first-item", "tests:names", "tests", "1")
    monkeypatch.setattr(Plugin, "load", lambda self, check: names)
    monkeypatch.setattr(plugins, "_installed", lambda: (plugin,))
    yield items


def first_item(**changes: Any) -> LabelConfig:
    return LabelConfig(engine="first-item", **changes)


def test_groups_are_named_and_the_model_is_else_the_same(model: Path, silent: set[str]) -> None:
    before, samples = artifact.open_model(model), asked(model)
    assert len(samples) == len(groups(model))
    for sample in samples:
        members = groups(model).members(sample.cluster)[: group_labels.SHOWN].tolist()
        assert [entry.item for entry in sample.history] == [before.catalogue.item(index).item for index in members]
    summary = group_labels.name_groups(model, first_item())
    assert (summary.labels, summary.errors, summary.reused) == (len(samples), 0, 0)
    assert not group_labels.folder(model).exists()
    found = groups(model)
    for sample in samples:
        told = found.names[sample.cluster]
        assert (told.name, told.by) == (f"all like {sample.history[0].item}", "answer")
        assert told.answer is not None and told.answer.key == sample.key
    artifact.verify(model)
    after = artifact.open_model(model)
    files, others = before.provenance.pop("files"), after.provenance.pop("files")
    assert {name for name in files if files[name] != others[name]} == {"item_groups.safetensors"}
    described = after.provenance.pop("names")
    assert before.provenance == after.provenance
    assert (described["groups"], described["asked"], described["engine"]) == (len(found), len(found), "first-item")


def test_the_same_command_again_asks_nothing_and_other_settings_need_discard(model: Path, silent: set[str]) -> None:
    group_labels.name_groups(model, first_item())
    first = groups(model).names
    again = group_labels.name_groups(model, first_item())
    assert again.reused == again.labels and groups(model).names == first
    told = r"names made with other settings, which would be lost; give --discard to give them up$"
    with pytest.raises(ConfigError, match=f"model: holds [0-9]+ {told}"):
        group_labels.name_groups(model, LabelConfig(engine="keywords"))
    assert groups(model).names == first and not group_labels.folder(model).exists()
    with pytest.raises(ConfigError, match="needs --server"):
        group_labels.name_groups(model, LabelConfig(engine="server", discard=True))
    assert not group_labels.folder(model).exists(), "nothing was asked, nothing is left beside the model"
    made = group_labels.name_groups(model, LabelConfig(engine="keywords", discard=True))
    assert made.reused == 0 and all(name.by == "answer" for name in groups(model).names)
    assert [name.name for name in groups(model).names] != [name.name for name in first]


def test_an_interrupted_run_goes_on_where_it_was(
    model: Path, silent: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Labeler.labels
    before = groups(model).names

    def cut(self: Labeler, *arguments: Any) -> Any:
        for number, label in enumerate(whole(self, *arguments)):
            if number == 3:
                raise KeyboardInterrupt
            yield label

    with monkeypatch.context() as patched:
        patched.setattr(Labeler, "labels", cut)
        with pytest.raises(KeyboardInterrupt):
            group_labels.name_groups(model, first_item())
    assert groups(model).names == before
    assert group_labels.name_groups(model, first_item()).reused == 3
    assert all(name.by == "answer" for name in groups(model).names)


def test_too_many_failures_leave_the_model_as_it_is_and_keep_the_answers(model: Path, silent: set[str]) -> None:
    samples, before = asked(model), groups(model).names
    silent |= {sample.history[0].item for sample in samples[:2]}
    with pytest.raises(LabelError, match="2 of 9 "):
        group_labels.name_groups(model, first_item())
    assert groups(model).names == before
    summary = group_labels.name_groups(model, first_item(max_error_share="50%"))
    assert (summary.reused, summary.errors) == (9, 2)
    names = groups(model).names
    # those without an answer keep their words
    assert names[:2] == before[:2] and [name.by for name in names[2:]] == ["answer"] * 7


def test_a_model_that_was_written_anew_meanwhile_keeps_its_names(
    model: Path, silent: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Labeler.labels

    def replaced(self: Labeler, *arguments: Any) -> Any:
        yield from whole(self, *arguments)
        artifact.add_arrays(model, "index.safetensors", {"probes": np.ones(1, np.int64)}, {})

    with monkeypatch.context() as patched:
        patched.setattr(Labeler, "labels", replaced)
        with pytest.raises(ModelError, match="was written anew meanwhile; run the same command again"):
            group_labels.name_groups(model, first_item())
    assert group_labels.name_groups(model, first_item()).reused == 9


def test_groups_without_titles_are_not_asked_about(tmp_path: Path) -> None:
    items = [msgspec.structs.replace(item, title="") for item in small_items()]
    model = write_named_model(tmp_path / "model", items, named=False)
    with pytest.raises(ModelError, match="its items have no titles that could be named"):
        group_labels.name_groups(model, LabelConfig(engine="keywords"))
    assert not group_labels.folder(model).exists()
    same = [Item(item=item.item, title="Tea", categories=item.categories) for item in small_items()]
    assert all(len(sample.history) == 1 for sample in asked(write_named_model(tmp_path / "same", same, named=False)))


def test_an_older_model_and_a_damaged_one(eimf: Eimf, model: Path) -> None:
    manifest = orjson.loads((model / "manifest.json").read_bytes())
    (model / "item_groups.safetensors").unlink()
    del manifest["files"]["item_groups.safetensors"]
    (model / "manifest.json").write_bytes(orjson.dumps(manifest))
    done = eimf("label", model, "--engine", "keywords")
    assert done.returncode == 0 and b"9 groups of items named" in done.stderr
    content = (model / "item_groups.safetensors").read_bytes()
    (model / "item_groups.safetensors").write_bytes(content[:-1])
    assert "item_groups.safetensors" in one_error_line(eimf("label", model, "--engine", "keywords"), 4)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (("-o", "names.jsonl"), "names are kept in"),
        (("--max-interests", "2"), "--max-interests: a group of a model has one name"),
        (("--shard", "1/2"), "--shard: the groups of a model are named in one run"),
    ],
)
def test_options_that_do_not_go_with_a_model(eimf: Eimf, model: Path, option: tuple[str, str], said: str) -> None:
    assert said in one_error_line(eimf("label", model, "--engine", "keywords", *option), 2)
    assert not group_labels.folder(model).exists()


def test_a_dry_run_shows_the_prompts(eimf: Eimf, model: Path) -> None:
    done = eimf("label", model, "--engine", "server", "--server", "http://127.0.0.1:9/v1", "--model", "m", "--dry-run")
    lines = [orjson.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0 and len(lines) == 9 and "fits most of them" in lines[0]["prompt"]
    assert not group_labels.folder(model).exists()


def test_the_last_line_tells_which_answers_were_refused(eimf: Eimf, model: Path) -> None:
    def say(number: int, body: dict[str, Any]) -> Any:
        # the answer of the prompt's own example, once
        return reply(orjson.dumps({"interests": ["things to drink" if number else "running gear"]}).decode())

    server = Endpoint(say)
    done = eimf("label", model, "--engine", "server", "--server", server.url, "--model", "m")
    server.close()
    told = "9 groups of items named; 8 at the first attempt; of 10 answers refused: example 10%; "
    assert done.returncode == 0 and told in done.stderr.decode()


# -- names that outlive a training


@pytest.mark.slow
def test_a_warm_start_and_a_join_take_the_names_over(tmp_path: Path, silent: set[str]) -> None:
    data = write_small_data(tmp_path / "data")
    members = [tmp_path / "one", tmp_path / "two"]
    for path, backbone in zip(members, ("comirec-sa", "gru4rec"), strict=True):
        training.train(data, path, small_settings(backbone=backbone, epochs=1))
    group_labels.name_groups(members[0], first_item())
    wanted = names_by_item(members[0])
    training.train(data, tmp_path / "later", small_settings(epochs=1), init=members[0])
    ensemble.join_models(members, data, tmp_path / "joint")
    assert names_by_item(tmp_path / "later") == names_by_item(tmp_path / "joint") == wanted


def names_by_item(model: Path) -> dict[str, str | None]:
    opened, found = artifact.open_model(model), groups(model)
    return {item.item: found.names[of].name for item, of in zip(opened.catalogue, found.of[1:].tolist(), strict=True)}
