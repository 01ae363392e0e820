"""`--refit`: what the validation split chose is trained again, on validation lines as well."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from eimf_core import dataset
from eimf_core.errors import ConfigError, InputError
from eimf_core.evaluation.config import EvalConfig
from eimf_core.evaluation.evaluate import evaluate
from eimf_core.io import jsonl
from eimf_core.model_directory import artifact
from eimf_core.records import Sequence
from eimf_core.training import ensemble, member_weights, plan, refit
from eimf_core.training import train as training
from eimf_core.training.config import TrainConfig
from tests.listening import Listening
from tests.small_data import write_small_data
from tests.small_training import small_settings
from tests.unit.test_label_training import labels_of


def merged(folder: Path, target: Path) -> Path:
    """The same data with the lines that --refit trains on, made line by line."""
    lines = list(jsonl.read(folder / "sequences.jsonl", Sequence))
    valid = {line.user: line for line in lines if line.split == "valid"}
    trained = [line.user for line in lines if line.split == "train"]
    made = []
    for line in [line for line in lines if line.split == "train"] + list(valid.values()):
        if line.split == "valid" and line.user in trained:
            continue
        whole = valid.get(line.user, line)
        made.append(
            Sequence(
                user=line.user,
                split="train",
                items=[*whole.items, *whole.targets],
                times=None if whole.times is None else [*whole.times, *(whole.target_times or [])],
                events=None if whole.events is None else [*whole.events, *(whole.target_events or [])],
                targets=[],
            )
        )
    target.mkdir()
    jsonl.write(target / "sequences.jsonl", [*made, *(line for line in lines if line.split == "test")])
    shutil.copy(folder / "items.jsonl", target)
    return target


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Some users have no validation line, one has no training line."""
    (tmp_path / "data").mkdir()
    made = write_small_data(tmp_path / "data", times=True, events=True)
    lines = list(jsonl.read(made / "sequences.jsonl", Sequence))
    left = [
        line
        for line in lines
        if (line.user, line.split) not in (("user-3", "valid"), ("user-9", "valid"), ("user-7", "train"))
    ]
    jsonl.write(made / "sequences.jsonl", left)
    return made


def test_training_lines_go_on_to_the_end_of_validation(folder: Path, tmp_path: Path) -> None:
    found = refit.with_validation(dataset.load(folder))
    by_hand = dataset.load(merged(folder, tmp_path / "merged"))
    ours, theirs = found.splits["train"], by_hand.splits["train"]
    assert ours.users == theirs.users and ours.users[-1] == "user-7" and len(found.splits["valid"]) == 0
    for name in ("offsets", "items", "target_offsets", "targets", "times", "events"):
        assert np.array_equal(getattr(ours, name), getattr(theirs, name)), name
    assert found.event_names == by_hand.event_names


@pytest.mark.parametrize("backbone", ["comirec-sa", pytest.param("comirec-sa+sasrec", marks=pytest.mark.slow)])
def test_it_is_what_epochs_from_does_by_hand(folder: Path, tmp_path: Path, backbone: str) -> None:
    wanted = small_settings(backbone=backbone, epochs=3)
    asked = TrainConfig(**{**vars(wanted), "refit": True})
    made = training.train(folder, tmp_path / "model", asked)
    chosen = training.train(folder, tmp_path / "chosen", wanted)
    training.train(
        merged(folder, tmp_path / "merged"), tmp_path / "hand", small_settings(), epochs_from=tmp_path / "chosen"
    )
    ours, theirs = artifact.open_model(tmp_path / "model"), artifact.open_model(tmp_path / "hand")
    assert np.array_equal(ours.vectors, theirs.vectors) and np.array_equal(ours.counts, theirs.counts)
    assert ours.config.next_items == theirs.config.next_items
    assert [member.weight for member in ours.config.members] == [member.weight for member in theirs.config.members]
    assert not np.array_equal(ours.vectors, artifact.open_model(tmp_path / "chosen").vectors)
    assert made.ndcg == chosen.ndcg and ours.refitted and not theirs.refitted
    assert [path.name for path in tmp_path.iterdir() if "model" in path.name] == ["model"]
    # what was chosen can be taken over from it
    heard = Listening()
    path = tmp_path / "model"
    again = training.train(folder, tmp_path / "again", small_settings(), epochs_from=path, reporter=heard)
    told = f"--epochs-from {path}: was trained with --refit; say --refit to train on validation lines this time too"
    assert heard.notes.count(told) == 1
    assert again.epochs == made.epochs - chosen.epochs and not artifact.open_model(tmp_path / "again").refitted


def test_labels_are_about_the_training_lines_of_before(folder: Path, tmp_path: Path) -> None:
    jsonl.write(tmp_path / "labels.jsonl", labels_of(dataset.load(folder, ("train",))))
    wanted = small_settings(epochs=1, refit=True)
    before = training.train(folder, tmp_path / "one", small_settings(epochs=1), labels=tmp_path / "labels.jsonl")
    after = training.train(folder, tmp_path / "two", wanted, labels=tmp_path / "labels.jsonl")
    assert after.labelled == before.labelled > 0
    # names come from labels, which a model that goes on from another does not take over from it
    told = "was trained with labels, this run is not, so that their names are lost; give --labels"
    for labels in (None, tmp_path / "labels.jsonl"):
        for option in ("epochs_from", "init"):
            heard, given = Listening(), dict[str, Any]({option: tmp_path / "one"})
            training.train(folder, tmp_path / "next", small_settings(epochs=1), labels=labels, reporter=heard, **given)
            said = [note for note in heard.notes if told in note]
            assert said == ([f"--{option.replace('_', '-')} {given[option]}: {told}"] if labels is None else [])


def test_a_run_that_ends_in_the_second_training_does_not_choose_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = small_settings(backbone="comirec-sa+sasrec", epochs=1, refit=True)
    with monkeypatch.context() as patched:
        patched.setattr(refit, "with_validation", interrupted)
        with pytest.raises(KeyboardInterrupt):
            training.train(folder, tmp_path / "model", asked)
    assert not (tmp_path / "model").exists()
    joined: list[Path] = []
    write = ensemble.write
    monkeypatch.setattr(
        ensemble, "write", lambda members, data, settings, output, **more: joined.append(Path(output))
        or write(members, data, settings, output, **more)
    )  # fmt: skip
    made = training.train(folder, tmp_path / "model", asked)
    assert joined == [tmp_path / "model"] and made.ndcg is not None
    assert [path.name for path in tmp_path.iterdir() if "model" in path.name] == ["model"]


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def test_validation_lines_say_nothing_about_it(folder: Path, tmp_path: Path) -> None:
    for name, seed in (("one", 0), ("two", 1)):
        training.train(folder, tmp_path / name, small_settings(epochs=1, seed=seed, refit=True))
    with pytest.raises(ConfigError, match=r"one: was trained on validation lines too .* leave out --split valid"):
        evaluate([tmp_path / "one"], folder, EvalConfig(split="valid"))
    heard = Listening()
    facts = evaluate([tmp_path / "one"], folder, EvalConfig(), reporter=heard).facts
    assert next(iter(facts["models"].values()))["trained_on_validation"]
    assert any(
        note.endswith("one was trained on validation lines too (--refit), no baseline was") for note in heard.notes
    )
    with pytest.raises(ConfigError, match=r"one: was trained on validation lines too .* --backbone A\+B --refit"):
        ensemble.join_models([tmp_path / "one", tmp_path / "two"], folder, tmp_path / "joined")


def changed(folder: Path, **fields: Any) -> None:
    """Give the validation lines other fields; a function makes one of the line."""
    lines = [
        msgspec.structs.replace(line, **{name: value(line) for name, value in fields.items()})
        if line.split == "valid"
        else line
        for line in jsonl.read(folder / "sequences.jsonl", Sequence)
    ]
    jsonl.write(folder / "sequences.jsonl", lines)


def test_a_validation_line_that_says_less_takes_nothing_away(folder: Path) -> None:
    before = dataset.load(folder)
    changed(
        folder, items=lambda line: line.items[-2:], times=lambda line: line.times[-2:],
        events=lambda line: line.events[-2:],
    )  # fmt: skip
    whole, found = (refit.with_validation(data).splits["train"] for data in (before, dataset.load(folder)))
    for number, user in enumerate(whole.users[:-1]):
        assert np.array_equal(whole.history(number), found.history(number)), user
    assert len(found.history(len(found) - 1)) == 3, "the user without a training line has what the other one says"


def test_what_cannot_be_trained_on_is_told_before(folder: Path, tmp_path: Path) -> None:
    whole = (folder / "sequences.jsonl").read_bytes()
    for name in ("times", "events"):
        changed(folder, **{f"target_{name}": lambda line: None})
        with pytest.raises(InputError, match=rf"field 'target_{name}': a validation line lacks them"):
            training.train(folder, tmp_path / "model", small_settings(refit=True))
        (folder / "sequences.jsonl").write_bytes(whole)
    changed(folder, targets=lambda line: line.items[-1:])
    with pytest.raises(InputError, match=r"has no validation line that counts.*left out: [1-9]"):
        training.train(folder, tmp_path / "model", small_settings(refit=True))
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_the_second_training_has_the_other_half_of_the_time_and_the_same_start(folder: Path, tmp_path: Path) -> None:
    wanted = small_settings(backbone="comirec-sa+sasrec+gru4rec", refit=True, max_minutes=6.0)
    planned = plan.make_plan(refit.first_training(wanted))
    assert {member.max_minutes for member in planned.members} == {1.0}
    (tmp_path / "chosen").mkdir()
    for member in planned.members:
        training.train(folder, tmp_path / member.backbone, replace(member, epochs=1))
    # one of the three is left out
    ensemble.join_models([tmp_path / "gru4rec", tmp_path / "comirec-sa"], folder, tmp_path / "joined")
    again = training._refit_plan(tmp_path / "joined", replace(planned, places=[4, 5, 6]))
    names = {"comirec-sa": 4, "gru4rec": 6}
    assert [names[member.backbone] for member in again.members] == again.places
    assert {member.max_minutes for member in again.members} == {3.0 / len(again.members)}
    assert all(member.refit for member in again.members)


def test_what_is_known_of_the_choice_stays_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    made = training.train(folder, tmp_path / "model", small_settings(epochs=2, refit=True))
    facts = artifact.open_model(tmp_path / "model").provenance["facts"]
    assert facts["chosen"] == {"ndcg": made.ndcg, "epochs": [made.best_epoch]}
    # an interrupted one without --refit afterwards
    refit.folder(tmp_path / "model").mkdir(parents=True)
    heard = Listening()
    training.train(folder, tmp_path / "later", small_settings(epochs=1), init=tmp_path / "model", reporter=heard)
    assert any("was trained on validation lines too (--refit); where they are" in line for line in heard.warnings)
    training.train(folder, tmp_path / "model", small_settings(epochs=1))
    assert not refit.folder(tmp_path / "model").parent.exists()


def test_one_member_that_stays_alone_is_recorded_as_others_are(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(member_weights, "ascend", lambda measure, starts: (starts[0], measure(starts[0])))
    wanted = small_settings(backbone="comirec-sa+sasrec", epochs=2, refit=True)
    made = training.train(folder, tmp_path / "model", wanted)
    model = artifact.open_model(tmp_path / "model")
    chosen = model.provenance["facts"]["chosen"]
    assert not model.config.members and chosen["ndcg"] == made.ndcg is not None
    assert chosen["epochs"] == [len(model.epochs)]


def test_it_needs_validation_lines(folder: Path, tmp_path: Path) -> None:
    data = merged(folder, tmp_path / "merged")
    with pytest.raises(InputError, match="has no line with the split 'valid', which --refit chooses with"):
        training.train(data, tmp_path / "model", small_settings(refit=True))
    assert not (tmp_path / "model").exists()
