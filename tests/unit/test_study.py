"""The study of examples/: its plan, its shuffled labels, and two whole runs on tiny data."""

from __future__ import annotations

import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from eimf_core import dataset
from eimf_core.dataset import sample_key
from eimf_core.errors import InputError
from eimf_core.io import jsonl
from eimf_core.records import Item, Label, SemanticInterest
from tests.conftest import ROOT, Eimf
from tests.small_data import write_small_data

sys.path.insert(0, str(ROOT / "examples"))
import study  # type: ignore[import-not-found]
import study_differences  # type: ignore[import-not-found]
import study_item_notes  # type: ignore[import-not-found]
import study_labels  # type: ignore[import-not-found]
import study_lines  # type: ignore[import-not-found]
import study_model_labels  # type: ignore[import-not-found]
import study_table  # type: ignore[import-not-found]

CONFIG = """
[data.tiny]
source = "tiny"
prepare = []
k = 5
[train]
item_events = true
dimension = 8
epochs = 2
threads = 1
batch_size = 32
[settings.ids]
item_vectors = "random"
[configurations.alone]
labels = "none"
[configurations.both]
labels = "given"
train = { item_weight = 0.3 }
[parts.A]
data = ["tiny"]
settings = ["ids"]
configurations = ["alone", "both"]
budgets = ["10%"]
seeds = 2
"""


def label(key: str, user: str, *interests: SemanticInterest) -> Label:
    return Label(
        key=key, request=key, user=user, cluster=0, interests=list(interests), items_by="model", engine="server",
        model="m", seed=0, attempts=1, seconds=0.0,
    )  # fmt: skip


def interest(name: str, *items: str) -> SemanticInterest:
    return SemanticInterest(name=name, description="", items=list(items))


def test_shuffled_words_move_and_items_stay() -> None:
    told = [label("a", "a", interest("tea", "1"), interest("yarn", "2")), label("b", "b", interest("fish", "3"))]
    told.append(label("c", "c", interest("rice", "4")))
    moved = study_labels.shuffled(told, 0)
    assert [[one.items for one in made.interests] for made in moved] == [[["1"], ["2"]], [["3"]], [["4"]]]
    for before, after in zip(told, moved, strict=True):
        assert after.key == before.key
        assert not {one.name for one in before.interests} & {one.name for one in after.interests}
    assert study_labels.shuffled(told, 0) == moved


def test_everyone_has_the_names_of_the_groups_of_his_items(tmp_path: Path) -> None:
    data = dataset.load(write_small_data(tmp_path), ("train",))
    # two groups of one name are one interest, an item of no group shows none
    named = [interest("drinks", "tea-0", "tea-1"), interest("wool", "yarn-0"), interest("drinks", "tea-2", "fish-0")]
    found = {label.user: label.interests for label in study_model_labels.everyone(named, data)}
    of_group = {"tea-0": "drinks", "tea-1": "drinks", "tea-2": "drinks", "fish-0": "drinks", "yarn-0": "wool"}
    for number, user in enumerate(data.splits["train"].users):
        history = {data.vocab.ids[index - 1] for index in data.splits["train"].history(number)}
        expected = {(of_group[item], item) for item in history if item in of_group}
        assert {(one.name, item) for one in found.get(user, []) for item in one.items} == expected
        counts = [len(one.items) for one in found.get(user, [])]
        assert counts == sorted(counts, reverse=True)
    moved = study_model_labels.swapped([*named, interest("pets", "fish-1")], 0)
    assert [group.items for group in moved] == [group.items for group in [*named, interest("pets", "fish-1")]]
    assert moved[0].name == moved[2].name != "drinks" and moved[1].name != "wool" and moved[3].name != "pets"


def test_the_files_that_the_study_makes_of_answers(tmp_path: Path) -> None:
    folder = write_small_data(tmp_path)
    study_model_labels.write(tmp_path / "groups.jsonl", [interest("drinks", "tea-0"), interest("wool", "yarn-0")])
    made = {}
    for name, words in (("real", []), ("moved", ["--shuffled", "0"])):
        path = tmp_path / f"{name}.jsonl"
        words = ["everyone", str(tmp_path / "groups.jsonl"), str(folder), "-o", str(path), *words]
        study_model_labels.main(words)
        made[name] = {label.user: label.interests for label in jsonl.read(path, Label)}
    assert made["real"].keys() == made["moved"].keys() and made["real"] != made["moved"]
    study_model_labels.main(["plain", str(tmp_path / "real.jsonl"), "-o", str(tmp_path / "again.jsonl")])
    assert (tmp_path / "again.jsonl").read_bytes() == (tmp_path / "real.jsonl").read_bytes()


def test_other_users(tmp_path: Path) -> None:
    folder = write_small_data(tmp_path)
    train = dataset.load(folder, ("train",)).splits["train"]
    lengths = np.diff(train.offsets)
    active = study_labels.other_users(folder, "active", 5, 0)
    assert [len(sample.history) for sample in active] == sorted(lengths.tolist(), reverse=True)[:5]
    drawn = study_labels.other_users(folder, "random", 5, 0)
    assert len({sample.key for sample in drawn}) == 5 and drawn != study_labels.other_users(folder, "random", 5, 1)
    assert drawn[0].key == sample_key(drawn[0].user, [entry.item for entry in drawn[0].history])


def test_every_part_of_the_committed_plan_is_made_of_what_stands_there() -> None:
    planned = tomllib.loads((ROOT / "examples" / "study.toml").read_text())
    for part in planned["parts"]:
        runs = list(study.plan(planned, part, [], {}))
        assert runs and len({run.key for run in runs}) == len({(run.data, run.key) for run in runs})
        for run in runs:
            study.train_config(run)
    a = list(study.plan(planned, "A", ["beauty"], {"gguf": "1f"}))
    assert {(run.setting, run.configuration) for run in a if run.configuration != "alone"} == {
        ("ids", "both-rich"), ("ids", "shuffled-rich"), ("text", "aligned"), ("text", "shuffled-aligned"),
    }  # fmt: skip
    assert {run.labels for run in a} == {"none", "keywords", "shuffled", "keywords-rich", "shuffled-rich", "gguf"}
    assert {(run.setting, run.configuration) for run in a if run.labels == "gguf"} == {
        ("ids", "both-rich"), ("text", "aligned"),
    }  # fmt: skip
    # labels from a file are one run, not one for each budget
    c = [run for run in study.plan(planned, "C", ["beauty"], {"gguf": "1f"}) if run.labels == "gguf"]
    assert len({run.key for run in c}) == 3 and {run.budget for run in c} == {"given"}
    # and others in a file of the same name are another
    other = study.plan(planned, "C", ["beauty"], {"gguf": "2e"})
    assert not {run.key for run in c} & {run.key for run in other if run.labels == "gguf"}
    # a data set without categories has no such row
    assert "category-start" in {run.configuration for run in study.plan(planned, "S", ["yelp"], {})}
    shares = {run.data: run.budget for run in study.plan(planned, "M", [], {}) if run.labels == "keywords"}
    assert (shares["industrial"], shares["beauty"], shares["games"]) == ("10%", "3%", "1%")


def test_category_labels_are_of_the_users_whom_keyword_labels_are_of(tmp_path: Path) -> None:
    planned = tomllib.loads(CONFIG.replace("k = 5", "k = 5\ncategories = true").replace('"given"', '"categories"'))
    (tmp_path / "tiny").mkdir()
    write_small_data(tmp_path / "tiny")
    (run,) = (run for run in study.plan(planned, "A", [], {}) if run.labels == "categories" and not run.seed)
    samples = study_labels.other_users(tmp_path / "tiny", "random", 6, 0)
    jsonl.write(tmp_path / "tiny-10%-typical-0.samples.jsonl", samples)
    jsonl.write(tmp_path / "tiny-10%-typical-0.jsonl", [label(one.key, one.user, interest("word")) for one in samples])
    shop = study.Workshop(None, tmp_path, planned, {})
    found = {entry.key: entry for entry in jsonl.read(shop.labels(run), Label)}
    assert found.keys() == {one.key for one in samples}
    assert {one.name for entry in found.values() for one in entry.interests} <= {"tea", "yarn", "fish"}


@pytest.mark.slow
def test_words_of_titles_with_categories_and_these_shuffled(tmp_path: Path) -> None:
    planned = tomllib.loads(CONFIG.replace("k = 5", "k = 5\ncategories = true"))
    write_small_data(tmp_path / "tiny")
    samples = study_labels.other_users(tmp_path / "tiny", "random", 6, 0)
    jsonl.write(tmp_path / "tiny-10%-typical-0.samples.jsonl", samples)
    jsonl.write(tmp_path / "tiny-10%-typical-0.jsonl", [label(one.key, one.user, interest("word")) for one in samples])
    shop = study.Workshop(None, tmp_path, planned, {})
    (run,) = (run for run in study.plan(planned, "A", [], {}) if run.configuration == "both" and not run.seed)
    real, moved = (
        list(jsonl.read(shop.labels(replace(run, labels=name)), Label))
        for name in ("keywords-categories", "shuffled-categories")
    )
    assert [entry.key for entry in real] == [entry.key for entry in moved] == [one.key for one in samples]
    assert all("with categories" in entry.model for entry in [*real, *moved])
    assert [entry.interests for entry in real] != [entry.interests for entry in moved]
    plain = jsonl.read(shop.labels(replace(run, labels="shuffled")), Label)
    assert {one.name for entry in plain for one in entry.interests} == {"word"}


def test_typical_users_with_many_items_are_others_than_those_with_the_median(
    tmp_path: Path, eimf: Eimf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study, "_eimf", lambda *words: eimf(*words).check_returncode())
    planned = tomllib.loads(CONFIG.replace("k = 5", "k = 5\nmedian_items = 1"))
    (tmp_path / "tiny").mkdir()
    write_small_data(tmp_path / "tiny")
    shop = study.Workshop(None, tmp_path, planned, {})
    (run,) = (run for run in study.plan(planned, "A", [], {}) if run.configuration == "both" and not run.seed)
    found = {}
    for name in ("keywords", "keywords-rich", "shuffled-rich"):
        labels = list(jsonl.read(shop.labels(replace(run, labels=name, budget="30%")), Label))
        found[name] = {entry.key for entry in labels}
    assert found["keywords-rich"] == found["shuffled-rich"] != found["keywords"]
    told = [(tmp_path / f"tiny-30%-{who}-0.samples.jsonl.meta.json").read_bytes() for who in ("typical", "rich")]
    assert [orjson.loads(one)["arguments"]["min_items"] for one in told] == [1, 0]


@pytest.mark.slow
def test_a_study_of_tiny_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Lines, table and figure; what is there is not done again; a further name adds its rows alone."""
    work, output = tmp_path / "work", tmp_path / "output"
    (work / "tiny").mkdir(parents=True)
    data = dataset.load(write_small_data(work / "tiny"), ("train",))
    train = data.splits["train"]
    lines = []
    for user in range(12):
        items = [data.vocab.ids[index - 1] for index in train.history(user)]
        taste = items[0].partition("-")[0]
        shown = [item for item in items if item.startswith(taste)]
        lines.append(label(sample_key(train.users[user], items), train.users[user], interest(taste, *shown)))
    jsonl.write(tmp_path / "labels.jsonl", lines)
    (tmp_path / "study.toml").write_text(CONFIG)
    words = [
        "--config", str(tmp_path / "study.toml"), "--work", str(work), "--output", str(output),
        "--labels", f"given={tmp_path / 'labels.jsonl'}", "--data", "tiny",
    ]  # fmt: skip
    study.main(words)
    said = capsys.readouterr().err
    assert "4 of 4 runs to do" in said
    assert "warning: the training lines have no events" in said, "a run says what it could not do"
    runs = [orjson.loads(line) for line in (output / "runs.jsonl").read_bytes().splitlines()]
    assert sorted((run["configuration"], run["seed"]) for run in runs) == [
        ("alone", 0), ("alone", 1), ("both", 0), ("both", 1),
    ]  # fmt: skip
    for run in runs:
        with np.load(work / "values" / f"{run['key']}.npz") as values:
            assert run["figures"]["ndcg all"] == pytest.approx(float(values["ndcg all"].mean()))
            assert "ndcg short" in values
    study.main(words)
    assert "0 of 4 runs to do" in capsys.readouterr().err
    rows = [line for line in (output / "table.md").read_text().splitlines() if line.startswith("| tiny")]
    assert len(rows) == 2 and "given" in rows[1] and "%" in rows[1]
    assert (output / "figure.svg").read_text().startswith("<?xml")
    assert "| A | 4 | 4 |" in (output / "table.md").read_text(), "what the part took"


def line(configuration: str, labels: str, seed: int, ndcg: float) -> dict[str, Any]:
    """A line of the study, in short."""
    figures = {"ndcg all": ndcg, "recall all": ndcg}
    return {
        "key": f"{configuration}-{labels}-{seed}", "data": "tiny", "setting": "text", "backbone": "comirec-sa",
        "configuration": configuration, "labels": labels, "budget": "10%", "seed": seed, "figures": figures,
        "train_cpu_seconds": 1.0, "epochs": 1, "best_epoch": 1, "settings": {"seed": seed},
    }  # fmt: skip


def test_words_are_compared_with_their_own_shuffled_ones(tmp_path: Path) -> None:
    """Keyword labels with shuffled keyword labels, alone or with other parts; a file's labels with nothing; one thing
    changed, with what it was changed in."""
    told = [("both", "keywords", 0.4), ("shuffled", "shuffled", 0.2), ("both", "gguf", 0.4)]
    told += [("aligned", "keywords", 0.4), ("shuffled-aligned", "shuffled", 0.1), ("plain", "keywords", 0.4)]
    told += [("aligned-distil", "keywords", 0.6), ("aligned-categories", "keywords-categories", 0.6)]
    told += [("shuffled-aligned-categories", "shuffled-categories", 0.5)]
    told += [("both", "qwen", 0.3), ("both", "qwen-shuffled", 0.2), ("aligned", "qwen-shuffled", 0.1)]
    lines = [line(name, labels, seed, ndcg) for name, labels, ndcg in told for seed in (0, 1)]
    for made in lines:
        each = np.full(20, made["figures"]["ndcg all"])
        np.savez(tmp_path / f"{made['key']}.npz", **{"ndcg all": each})
    rows = [
        row.split("|")
        for row in study_table.table(lines, differences(tmp_path)).splitlines()
        if row.startswith("| tiny")
    ]
    said = {(row[4].strip(), row[5].strip().partition(",")[0]): row[-6].strip() for row in rows}
    assert said["both", "keywords"].startswith("**+100.0 %**")
    assert said["aligned", "keywords"].startswith("**+300.0 %**")
    assert said["aligned-distil", "keywords"].startswith("**+50.0 %**")
    assert said["aligned-categories", "keywords-categories"].startswith("**+20.0 %**")
    assert said["both", "qwen"].startswith("**+50.0 %**"), "a file NAME with NAME-shuffled, of the same configuration"
    assert not said["both", "qwen-shuffled"]
    assert not any(said[other] for other in (("both", "gguf"), ("plain", "keywords"), ("shuffled", "shuffled")))


def test_what_categories_bring_is_compared_with_labels_and_without(tmp_path: Path) -> None:
    """Runs without labels stand beside those of any budget; further comparisons have rows of their own."""
    lines = [
        line("features", "none", 0, 0.1), line("both-start", "keywords", 0, 0.15),
        line("both-categories", "keywords-categories", 0, 0.3),
        line("shuffled-categories", "shuffled-categories", 0, 0.2),
    ]  # fmt: skip
    for made in lines:
        made["budget"] = "0%" if made["labels"] == "none" else "10%"
        np.savez(tmp_path / f"{made['key']}.npz", **{"ndcg all": np.full(20, made["figures"]["ndcg all"])})
    rows = [
        [cell.strip() for cell in row.split("|")]
        for row in study_table.table(lines, differences(tmp_path)).splitlines()
    ]
    control = {row[4]: row[-6].partition(" [")[0] for row in rows if len(row) == 21}
    assert control["both-categories"] == "**+50.0 %**"
    further = {(row[4], row[5]): row[7].partition(" [")[0] for row in rows if len(row) == 12 and row[1] == "tiny"}
    assert further == {
        ("both-categories", "both-start"): "**+100.0 %**", ("both-categories", "features"): "**+200.0 %**",
    }  # fmt: skip


def test_only_runs_that_were_trained_alike_are_compared(tmp_path: Path) -> None:
    lines = []
    for epochs, alone, both in ((12, 0.1, 0.4), (40, 0.2, 0.3)):
        for name, labels, ndcg in (("alone", "none", alone), ("both", "keywords", both)):
            made = line(name, labels, 0, ndcg)
            made |= {"key": f"{name}-{epochs}", "settings": {"seed": 0, "epochs": epochs, "item_weight": ndcg}}
            np.savez(tmp_path / f"{made['key']}.npz", **{"ndcg all": np.full(20, ndcg)})
            lines.append(made)
    rows = [
        row.split("|")
        for row in study_table.table(lines, differences(tmp_path)).splitlines()
        if row.startswith("| tiny")
    ]
    said = [(row[4].strip(), row[6].strip(), row[10].strip().partition(" [")[0]) for row in rows]
    assert said == [
        ("alone", "1 of 40", ""), ("both", "1 of 40", "**+50.0 %**"),
        ("alone", "1 of 12", ""), ("both", "1 of 12", "**+300.0 %**"),
    ]  # fmt: skip


def test_nothing_with_categories_is_planned_where_items_have_none() -> None:
    """Such a run would be another one under its name."""
    told = tomllib.loads((ROOT / "examples" / "study.toml").read_text())
    with_them = {name for name, facts in told["data"].items() if facts.get("categories")}
    names = {"category-start", "item-categories", "features", "both-categories", "shuffled-categories"}
    part = {**told["parts"]["A"], "data": [*told["data"]], "settings": ["ids"], "configurations": sorted(names)}
    runs = list(study.plan({**told, "parts": {"A": part}}, "A", [], {}))
    assert {run.data for run in runs} == with_them and {run.configuration for run in runs} == names


def test_a_run_that_was_cut_begins_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its line tells the time of the whole run."""
    run = next(study.plan(tomllib.loads(CONFIG), "A", [], {}))
    (tmp_path / run.data).mkdir()
    (tmp_path / run.data / "sequences.jsonl").touch()
    left = tmp_path / "models" / f".{run.key}.checkpoint"
    left.mkdir(parents=True)

    def train(*_: object, **__: object) -> None:
        raise RuntimeError("goes on" if left.exists() else "begins")

    monkeypatch.setattr(study.training, "train", train)
    with pytest.raises(RuntimeError, match="begins"):
        study.measure(run, study.Workshop(None, tmp_path, {}, {}))


def test_names_of_the_studys_own_labels_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "labels.jsonl").touch()
    with pytest.raises(SystemExit) as refused:
        study.main(["--labels", f"keywords={tmp_path / 'labels.jsonl'}", "--output", str(tmp_path / "output")])
    assert refused.value.code == 2 and "choose another name" in capsys.readouterr().err


@pytest.mark.parametrize("data", [[], ["--data", "beauty", "--data", "games"]])
def test_labels_from_a_file_are_for_one_data_set(
    data: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The users of another one would have none of them."""
    jsonl.write(tmp_path / "labels.jsonl", [label("key", "user", interest("name", "item"))])
    words = ["--labels", f"gguf={tmp_path / 'labels.jsonl'}", "--output", str(tmp_path / "output"), *data]
    with pytest.raises(SystemExit) as refused:
        study.main(words)
    assert refused.value.code == 2 and "one --data NAME" in capsys.readouterr().err
    assert not (tmp_path / "output").exists()


def test_paired_differences_by_hand(tmp_path: Path) -> None:
    """Pooled over the seeds that both have; users without a target in the part do not count."""
    values = {"one-0": [1.0, 0.0, np.nan], "one-1": [1.0, 1.0, np.nan], "two-0": [0.0, 0.0, np.nan]}
    for key, each in values.items():
        np.savez(tmp_path / f"{key}.npz", **{"ndcg rare": np.array(each)})
    ours = [{"key": "one-0", "seed": 0}, {"key": "one-1", "seed": 1}]
    found = differences(tmp_path).between(ours, [{"key": "two-0", "seed": 0}], "ndcg rare")
    assert found is not None
    gap, low, high, base = found
    assert (gap, base) == (0.5, 0.0) and 0.0 <= low <= 0.5 <= high <= 1.0
    assert differences(tmp_path).between(ours, [{"key": "gone", "seed": 0}], "ndcg rare") is None
    # what the means say where the values of users are gone
    ours[0]["figures"], gone = {"ndcg rare": 0.5}, [{"key": "gone", "seed": 0, "figures": {"ndcg rare": 0.4}}]
    told = differences(tmp_path).between(ours, gone, "ndcg rare")
    assert told is not None and (round(told.gap, 9), told.base) == (0.1, 0.4) and np.isnan([told.low, told.high]).all()


def test_differences_of_runs_that_were_done_again_are_forgotten(tmp_path: Path) -> None:
    """A remembered interval is of the figures that stand in the lines, or it is of no use."""
    draw = np.random.default_rng(0)
    values = {name: draw.normal(mean, 0.1, 200) for name, mean in (("one", 0.3), ("two", 0.2))}
    for name, each in values.items():
        np.savez(tmp_path / f"{name}.npz", **{"ndcg all": each})
    one, two = ({"key": name, "seed": 0, "figures": {"ndcg all": float(values[name].mean())}} for name in values)
    known = differences(tmp_path)
    first = known.between([one], [two], "ndcg all")
    known.write()
    (tmp_path / "two.npz").unlink()
    assert differences(tmp_path).between([one], [two], "ndcg all") == first
    two["figures"]["ndcg all"] += 0.01
    known = differences(tmp_path)
    told = known.between([one], [two], "ndcg all")
    assert first is not None and told is not None
    assert told.gap == pytest.approx(first.gap - 0.01) and np.isnan(told.low)
    known.write()
    two["figures"]["ndcg all"] -= 0.01
    told = differences(tmp_path).between([one], [two], "ndcg all")
    assert told is not None and np.isnan(told.low)


@pytest.mark.parametrize("again", [("one",), ("two",), ("one", "two")])
def test_a_difference_is_of_the_figures_of_both(again: tuple[str, ...], tmp_path: Path) -> None:
    """Of either, remembered or from values that are here; moved together, the gap is the same and the base is not."""
    draw = np.random.default_rng(0)
    values = {name: draw.normal(mean, 0.1, 200) for name, mean in (("one", 0.3), ("two", 0.2))}
    for name, each in values.items():
        np.savez(tmp_path / f"{name}.npz", **{"ndcg all": each, "ndcg cold": np.full(200, np.nan)})
    one, two = runs = [
        study_lines.Line(key=name, seed=0, figures={"ndcg all": float(each.mean())}) for name, each in values.items()
    ]
    known = differences(tmp_path)
    first = known.between([one], [two], "ndcg all")
    assert known.between([one], [two], "ndcg cold") is None
    known.write()
    assert first is not None and not np.isnan(first.low)
    for made in runs:
        if made["key"] in again:
            made["figures"] = {"ndcg all": made["figures"]["ndcg all"] + 0.02}
        made["figures"]["ndcg cold"] = 0.5
    for here in (True, False):
        if not here:
            (tmp_path / "two.npz").unlink()
        told = differences(tmp_path).between([one], [two], "ndcg all")
        assert told is not None and np.isnan(told.low) and told.base == two["figures"]["ndcg all"]
        cold = differences(tmp_path).between([one], [two], "ndcg cold")
        assert cold is not None and (cold.gap, cold.base) == (0.0, 0.5), "nothing was remembered of other runs"


def test_what_is_remembered_of_fewer_seeds_outlives_what_is_stale_of_more(tmp_path: Path) -> None:
    lines = [
        {"ours": ["a0", "a1"], "theirs": ["b0", "b1"], "columns": {"ndcg all": [0.3, 0.2, 0.4, 0.1]}},
        {
            "ours": ["a2"],
            "theirs": ["b2"],
            "columns": {"ndcg all": [0.3, 0.2, 0.4, 0.1], "ndcg rare": [0.1, 0, 0.2, 0.1]},
        },
        {"ours": ["a0"], "theirs": ["b0"], "columns": {"ndcg all": [0.1, 0.05, 0.15, 0.1]}},
    ]
    (tmp_path / "differences.jsonl").write_bytes(b"\n".join(map(orjson.dumps, lines)))
    ours, theirs = (
        [{"key": f"{name}{seed}", "seed": seed, "figures": {"ndcg all": ndcg, "ndcg rare": ndcg}} for seed in (0, 1, 2)]
        for name, ndcg in (("a", 0.2), ("b", 0.1))
    )
    known = differences(tmp_path)
    known.between(ours[:2], theirs[:2], "ndcg all")
    known.between(ours[2:], theirs[2:], "ndcg all")
    known.write()
    told = differences(tmp_path).between(ours[:1], theirs[:1], "ndcg all")
    assert told is not None and told == pytest.approx((0.1, 0.05, 0.15, 0.1))
    told = differences(tmp_path).between(ours[2:], theirs[2:], "ndcg rare")
    assert told is not None and told == pytest.approx((0.1, 0.0, 0.2, 0.1)), "another column is not stale"


def test_a_start_from_neighbours_is_compared_with_a_random_one(tmp_path: Path) -> None:
    lines = []
    for name, labels, setting, start, epochs, ndcg in (
        ("both", "keywords", "ids", "random", 1, 0.7), ("alone", "none", "ids", "random", 2, 0.5),
        ("alone", "none", "ids", "random", 1, 0.1), ("alone", "none", "neighbours", "neighbours", 1, 0.2),
    ):  # fmt: skip
        made = line(name, labels, 0, ndcg)
        made |= {"key": f"{name}-{setting}-{epochs}", "setting": setting}
        made |= {"settings": {"seed": 0, "item_vectors": start, "epochs": epochs}}
        np.savez(tmp_path / f"{made['key']}.npz", **{"ndcg all": np.full(20, ndcg)})
        lines.append(made)
    told = study_table.table(lines, differences(tmp_path)).partition("Further comparisons")[2]
    assert "| tiny | neighbours | comirec-sa | alone | alone, ids | 1 | **+100.0 %**" in told


def test_the_table_tells_each_seed(tmp_path: Path) -> None:
    figures: dict[tuple[str, str], dict[int, float]] = {
        ("alone", "none"): {0: 0.1, 2: 0.2}, ("both", "keywords"): {0: 0.15, 2: 0.1},
        ("semantic", "keywords"): {1: 0.3, 2: 0.3},
    }  # fmt: skip
    lines = [line(*names, seed, ndcg) for names, each in figures.items() for seed, ndcg in each.items()]
    told = [row for row in study_table.table(lines, differences(tmp_path)).splitlines() if row.startswith("| tiny")]
    rows = {row.split(" | ")[3]: row for row in told}
    # the means alone: no interval, not bold
    assert "| -16.7 % | +50.0, -50.0 |" in rows["both"]
    assert "| +50.0 % | seed 2: +50.0 |" in rows["semantic"], "of which seeds, where alone lacks some"
    figure = tmp_path / "figure.svg"
    study_table.figure(lines, differences(tmp_path), figure)
    assert not figure.exists(), "nothing has an interval that could be drawn"


def test_the_table_tells_what_may_have_ended_a_run(tmp_path: Path) -> None:
    lines = [line("alone", "none", 0, 0.1) | {"settings": {"epochs": 40, "patience": patience}} for patience in (3, 40)]
    table = study_table.table(lines, differences(tmp_path))
    assert "| 1 of 40, patience 3 |" in table and "| 1 of 40 |" in table


def test_a_difference_where_the_backbone_alone_finds_nothing_has_its_interval(tmp_path: Path) -> None:
    lines = [line("alone", "none", 0, 0.1), line("both", "keywords", 0, 0.1), line("semantic", "keywords", 0, 0.1)]
    for made, cold in zip(lines, (0.0, 0.2, 0.0), strict=True):
        np.savez(tmp_path / f"{made['key']}.npz", **{"ndcg cold": np.full(20, cold), "ndcg all": np.full(20, 0.1)})
    table = study_table.table(lines, differences(tmp_path))
    assert "| **[+0.2000, +0.2000]** |" in table and "[+0.0000, +0.0000]" not in table


def test_what_parts_took_by_hand() -> None:
    lines = [
        {"key": key, "train_cpu_seconds": train, "eval_cpu_seconds": test, "wall_seconds": wall}
        for key, train, test, wall in (("a", 60.0, 60.0, 240.0), ("b", 300.0, 0.0, 300.0), ("c", 60.0, 0.0, 60.0))
    ]
    told = study_table.times(lines, {"A": {"a", "b", "never"}, "B": {"a"}})
    rows = [row for row in told.splitlines() if row.startswith("| ")][1:]
    assert rows == [
        "| A | 2 | 3 | 7 | 9 | 300 |", "| B | 1 | 1 | 2 | 4 | 120 |", "| no part | 1 | 1 | 1 | 1 | 60 |",
        "| all | 3 | 3 | 8 | 10 | 300 |",
    ]  # fmt: skip


def test_lines_are_added_whole_and_read_with_their_place(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    assert study_lines.read_lines(path) == []
    path.write_text('{"key": "a"}')  # the end of the line is missing
    study_lines.append_line(path, {"key": "b"})
    study_lines.append_line(path, {"key": "c"})
    assert [told["key"] for told in study_lines.read_lines(path)] == ["a", "b", "c"]
    for bad in ('{"key": "d', "[1]"):
        path.write_text(f'{{"key": "a"}}\n{bad}')
        with pytest.raises(SystemExit, match=r"runs.jsonl:2: "):
            study_lines.read_lines(path)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--data", "nosuch"], "--data nosuch: expected one of beauty"),
        (["--setting", "nosuch"], "--setting nosuch: expected one of ids"),
        (["--configuration", "nosuch"], "--configuration nosuch: expected one of alone"),
        (["--seeds", "0"], "expected 1 or more"),
        (["--quick", "--data", "beauty"], "no such runs"),
        (["--table"], "no lines"),
        (["--config", "nosuch.toml"], "nosuch.toml"),
        (["--labels", "={labels}", "--data", "beauty"], "expected NAME=FILE"),
        (["--labels", "a|b={labels}", "--data", "beauty"], "expected NAME=FILE"),
        (["--labels", "a=nosuch.jsonl", "--data", "beauty"], "expected NAME=FILE"),
        (["--labels", "a={labels}", "--labels", "a={labels}", "--data", "beauty"], "already"),
        (["--labels", "a={labels}", "--data", "beauty", "--configuration", "alone"], "none of these runs"),
    ],
)
def test_what_makes_no_sense_is_refused(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jsonl.write(tmp_path / "labels.jsonl", [label("key", "user", interest("name", "item"))])
    words = [word.format(labels=tmp_path / "labels.jsonl") for word in words]
    with pytest.raises(SystemExit) as refused:
        study.main([*words, "--output", str(tmp_path / "output")])
    assert refused.value.code == 2 and said in capsys.readouterr().err
    assert not (tmp_path / "output").exists()


@pytest.mark.parametrize(("text", "said"), [("", "is empty"), ('{"user": ', "not a JSON object"), ("{}", "is missing")])
def test_labels_that_cannot_be_read_are_refused_before_the_first_run(
    text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "labels.jsonl").write_text(text)
    with pytest.raises(SystemExit) as refused:
        study.main(
            ["--labels", f"a={tmp_path / 'labels.jsonl'}", "--data", "beauty", "--output", str(tmp_path / "output")]
        )
    assert refused.value.code == 2 and said in capsys.readouterr().err
    assert not (tmp_path / "output").exists()


def test_a_run_that_cannot_be_made_ends_the_study_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(*_: object) -> None:
        raise InputError("no label is of these users", file="labels.jsonl")

    monkeypatch.setattr(study, "measure", measure)
    words = ["--data", "beauty", "--output", str(tmp_path / "output"), "--work", str(tmp_path / "work")]
    with pytest.raises(SystemExit, match=r"eimf: labels\.jsonl: no label is of these users"):
        study.main(words)


def test_data_that_cannot_be_prepared_end_the_study(tmp_path: Path) -> None:
    facts = {"tiny": {"source": "nosuch", "prepare": []}}
    with pytest.raises(SystemExit, match="eimf prepare did not"):
        study.Workshop(tmp_path, tmp_path / "work", {"data": facts}, {}).data("tiny")


def test_differences_are_remembered_and_taken_together_with_those_of_further_seeds(tmp_path: Path) -> None:
    """The values of one machine are not on the other, and the table has the intervals of both."""
    draw = np.random.default_rng(0)

    def runs(name: str, seeds: tuple[int, ...]) -> list[dict[str, object]]:
        return [{"key": f"{name}-{seed}", "seed": seed} for seed in seeds]

    for seed in range(3):
        for name, mean in (("one", 0.3), ("two", 0.2)):
            np.savez(tmp_path / f"{name}-{seed}.npz", **{"ndcg all": draw.normal(mean + seed / 100, 0.1, 200)})
    known = differences(tmp_path)
    first = known.between(runs("one", (0, 1)), runs("two", (0, 1)), "ndcg all")
    assert known.between(runs("one", (0, 1)), runs("two", (0, 1)), "ndcg cold") is None
    known.write()
    for seed in (0, 1):
        (tmp_path / f"one-{seed}.npz").unlink()
    known = differences(tmp_path)
    assert known.between(runs("one", (0, 1)), runs("two", (0, 1)), "ndcg all") == first
    assert known.between(runs("one", (0, 1)), runs("two", (0, 1)), "ndcg cold") is None
    assert known.between(runs("one", (0,)), runs("two", (0,)), "ndcg all") is None  # of one seed alone nothing is known
    both = known.between(runs("one", (0, 1, 2)), runs("two", (0, 1, 2)), "ndcg all")
    known.write()
    third = differences(tmp_path).between(runs("one", (2,)), runs("two", (2,)), "ndcg all")
    assert first is not None and third is not None and both is not None
    assert both == pytest.approx([(2 * one + other) / 3 for one, other in zip(first, third, strict=True)])
    (tmp_path / "one-2.npz").unlink()
    assert differences(tmp_path).between(runs("one", (0, 1, 2)), runs("two", (0, 1, 2)), "ndcg all") == both


def differences(folder: Path) -> study_differences.Differences:
    return study_differences.Differences(folder, folder / "differences.jsonl")


def test_notes_stand_behind_titles_and_the_control_has_those_of_other_items(tmp_path: Path) -> None:
    data = write_small_data(tmp_path / "data")
    items = list(jsonl.read(data / "items.jsonl", Item))
    notes = tmp_path / "notes.jsonl"
    jsonl.write(notes, [study_item_notes.Note(item=item.item, note=f"note {item.item}") for item in items[1:]])
    study_item_notes.main(["add", str(data), str(notes), "-o", str(tmp_path / "noted")])
    study_item_notes.main(["add", str(data), str(notes), "--shuffled", "0", "-o", str(tmp_path / "swapped")])
    noted = list(jsonl.read(tmp_path / "noted" / "items.jsonl", Item))
    assert noted[0] == items[0]
    assert [item.title for item in noted[1:]] == [f"{item.title}. note {item.item}" for item in items[1:]]
    swapped = list(jsonl.read(tmp_path / "swapped" / "items.jsonl", Item))
    given = [item.title.rsplit(" ", 1)[1] for item in swapped[1:]]
    assert sorted(given) == sorted(item.item for item in items[1:])
    assert all(item.item != other for item, other in zip(items[1:], given, strict=True))
    assert (tmp_path / "noted" / "sequences.jsonl").read_bytes() == (data / "sequences.jsonl").read_bytes()


def test_a_note_is_wanted_for_each_title() -> None:
    assert study_item_notes._grammar(2).startswith('root ::= "1. " note "\\n" "2. " note\n')
