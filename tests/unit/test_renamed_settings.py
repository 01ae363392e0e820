"""Settings that were called otherwise: what was written with an older name opens, and who gives one is told."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

import eimf as toolkit
from eimf_core import dataset
from eimf_core.clustering.config import ClusterConfig
from eimf_core.comparison import setting_ranges, trials
from eimf_core.comparison.config import CompareConfig
from eimf_core.errors import ConfigError, ModelError
from eimf_core.evaluation import seed_groups
from eimf_core.evaluation.config import EvalConfig
from eimf_core.io import files, jsonl, provenance
from eimf_core.labeling.config import LabelConfig
from eimf_core.model_directory import artifact
from eimf_core.pipeline import run_steps
from eimf_core.prepare.config import PrepareConfig
from eimf_core.progress import SILENT
from eimf_core.recommend.config import RecommendConfig
from eimf_core.records import Trial
from eimf_core.renamed_settings import GONE, RENAMED
from eimf_core.serving.config import ServeConfig
from eimf_core.training import ensemble, plan, setup
from eimf_core.training import train as training
from eimf_core.training.config import TrainConfig
from tests.conftest import Eimf, one_error_line
from tests.small_data import write_small_data
from tests.small_training import small_settings

# the older name, the one of today, and a value that is no default
OLDER = {
    "clip": ("max_gradient_norm", 0.5),
    "prefixes": ("prefixes_per_window", 2),
    "item_weight": ("item_alignment_weight", 0.7),
    "item_share": ("item_alignment_share", 0.5),
    "inherited_items": ("propagation_min_item_cosine", 0.9),
    "inherited_cosine": ("propagation_min_user_cosine", 0.1),
    "label_start": ("label_init", False),
}
TODAY = dict(OLDER.values())
STEPS = (
    PrepareConfig, ClusterConfig, LabelConfig, TrainConfig, EvalConfig, RecommendConfig, ServeConfig, CompareConfig,
)  # fmt: skip


def as_before(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings as an earlier version wrote them."""
    before = {now: name for name, (now, _) in OLDER.items()}
    return {before.get(name, name): value for name, value in settings.items()}


def rewritten(model: Path, target: Path, **more: Any) -> Path:
    """A copy of a model directory as an earlier version wrote it, with further settings."""
    shutil.copytree(model, target)
    config = orjson.loads((target / "config.json").read_bytes())
    for each in (config, *config["members"]):
        each["training"] = as_before(each["training"]) | {"self_distillation": False, "distillation_weight": 0.3} | more
    content = orjson.dumps(config)
    assert b"label_start" in content and b"label_init" not in content
    (target / "config.json").write_bytes(content)
    manifest = orjson.loads((target / "manifest.json").read_bytes())
    manifest["files"]["config.json"] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (target / "manifest.json").write_bytes(orjson.dumps(manifest))
    return target


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data/, models a and b, the ensemble a+b, and old-… of each as it was written before."""
    made = tmp_path_factory.mktemp("renamed")
    (made / "data").mkdir()
    write_small_data(made / "data")
    for name, backbone in (("a", "sasrec"), ("b", "narm")):
        training.train(made / "data", made / name, small_settings(**TODAY, backbone=backbone, epochs=1))
        rewritten(made / name, made / f"old-{name}")
    ensemble.join_models([made / "a", made / "b"], made / "data", made / "a+b")
    rewritten(made / "a+b", made / "old-a+b")
    return made


def of_today(found: dict[str, Any]) -> None:
    """All settings, by the names of today, with the values that they were trained with."""
    assert found.keys() == {field.name for field in dataclasses.fields(TrainConfig)}
    assert {name: found[name] for name in TODAY} == TODAY


def test_the_table_leads_from_names_that_are_gone_to_names_that_are_there() -> None:
    assert {name: now for name, (now, _) in OLDER.items()} == RENAMED
    known = {field.name for kind in STEPS for field in dataclasses.fields(kind)}
    assert not RENAMED.keys() & known and set(RENAMED.values()) <= known
    assert not GONE.keys() & (known | RENAMED.keys())


def test_what_was_trained_with_a_setting_that_is_gone_says_so(folder: Path, tmp_path: Path) -> None:
    """What it was off in opens and is trained again, as tests below hold; it is not left out in silence."""
    path = rewritten(folder / "a", tmp_path / "model", self_distillation=True)
    with pytest.raises(ModelError, match=r"with settings that are gone: self_distillation$"):
        plan.make_plan(TrainConfig(), epochs_from=path)


def test_who_gives_a_setting_that_is_gone_is_told_what_takes_its_place(eimf: Eimf, tmp_path: Path) -> None:
    (tmp_path / "it.toml").write_text("self_distillation = true\n")
    (tmp_path / "more.toml").write_text("[train]\nheads = 2\n")
    words = "backbones that have such a hyper-parameter take it from [train.hyperparameters] in a --config file"
    for arguments, told in (
        (
            ("label", "s", "--replay", "f"),
            "there is no option --replay any more: --engine batch reads answers that were",
        ),
        (("train", "d", "--no-logq", "-o", "m"), "there is no option --no-logq any more: negatives are uniform"),
        (("train", "d", "--heads", "2", "-o", "m"), f"there is no option --heads any more: {words}"),
        (("train", "d", "--config", "more.toml", "-o", "m"), f"more.toml: heads is gone: {words}"),
        (("train", "d", "--config", "it.toml", "-o", "m"), "it.toml: self_distillation is gone: it gained nothing"),
    ):
        assert told in one_error_line(eimf(*arguments, cwd=tmp_path), 2)


@pytest.mark.parametrize("name", OLDER)
def test_who_gives_an_older_name_is_told(folder: Path, name: str, eimf: Eimf, tmp_path: Path) -> None:
    now, value = OLDER[name]
    words = f"{name} is called {now} now"
    with pytest.raises(ConfigError, match=f"^{words}$"):
        toolkit.train("data", "model", **{name: value})  # type: ignore[arg-type]
    line = f"{name.replace('_', '-')} = {orjson.dumps(value).decode()}\n"
    for text in (line, f"[train]\n{line.replace('-', '_')}"):
        (tmp_path / "it.toml").write_text(text)
        done = eimf("train", "data", "--config", "it.toml", "-o", "model", cwd=tmp_path)
        assert one_error_line(done, 2) == f"eimf: it.toml: {words}"
    (tmp_path / "ranges.toml").write_text(f"{name} = [1, 2]\n")
    asked = ("--backbones", "narm", "--ranges", "ranges.toml", "-o", "runs")
    done = eimf("compare", folder / "data", *asked, cwd=tmp_path)
    assert one_error_line(done, 2) == f"eimf: ranges.toml: {words}"
    done = eimf("train", "data", f"--{name.replace('_', '-')}", "1", "-o", "model", cwd=tmp_path)
    assert f"is set in --config: write {now} = … under [train]" in one_error_line(done, 2)


@pytest.mark.parametrize("name", ["a", "b", "a+b"])
def test_a_model_that_was_written_before_opens(folder: Path, name: str, eimf: Eimf, tmp_path: Path) -> None:
    before, model = artifact.open_model(folder / f"old-{name}"), artifact.open_model(folder / name)
    of_today(before.config.training)
    for member in before.config.members:
        of_today(member.training)
    assert before.config == model.config and seed_groups.signature(before) == seed_groups.signature(model)
    artifact.verify(folder / f"old-{name}")
    asked = ("--items", "tea-0,yarn-1", "-k", "3")
    answers = [eimf("recommend", folder / each, *asked) for each in (name, f"old-{name}")]
    assert answers[0].returncode == answers[1].returncode == 0 and answers[0].stdout == answers[1].stdout
    done = eimf(
        "eval", folder / f"old-{name}", folder / "data", "--baselines", "none", "-o", tmp_path / "figures.jsonl"
    )
    assert done.returncode == 0, done.stderr.decode()


def test_training_goes_on_from_a_model_that_was_written_before(folder: Path, tmp_path: Path) -> None:
    for name in ("a", "a+b"):
        found, wanted = (plan.make_plan(TrainConfig(), epochs_from=folder / each) for each in (f"old-{name}", name))
        assert found == wanted
        for member in found.members:
            of_today(vars(member))
        changes = {"backbone": found.settings.backbone, "epochs": 1}
        training.train(folder / "data", tmp_path / name, small_settings(**changes), init=folder / f"old-{name}")
    again = tmp_path / "again"
    training.train(folder / "data", again, TrainConfig(refit=True), epochs_from=folder / "old-a")
    assert artifact.open_model(again).refitted
    of_today(artifact.open_model(again).config.training)


def test_models_that_were_written_before_are_joined(folder: Path, tmp_path: Path) -> None:
    ensemble.join_models([folder / "old-a", folder / "old-b"], folder / "data", tmp_path / "joint")
    written = orjson.loads((tmp_path / "joint" / "config.json").read_bytes())
    for found in (written, *written["members"]):
        of_today(found["training"])
    assert written == orjson.loads((folder / "a+b" / "config.json").read_bytes())


def test_an_interrupted_run_of_before_is_the_same_run(folder: Path) -> None:
    data, settings = dataset.load(folder / "data", ("train",)), small_settings(**TODAY)
    read = setup.inputs(data, None, None)
    named = as_before({name: value for name, value in vars(settings).items() if name != "device"})
    assert OLDER.keys() <= named.keys()
    described = {
        "settings": named, "inputs": [files.sha256(path) for path in read], "versions": provenance.versions(),
    }  # fmt: skip
    before = hashlib.sha256(orjson.dumps(described, option=orjson.OPT_SORT_KEYS)).hexdigest()
    assert setup.fingerprint(data, settings, read) == before


def test_a_step_of_before_is_up_to_date() -> None:
    step = run_steps.RunStep("train", (), (), ())
    assert run_steps.origin_of(step, TODAY) == run_steps.origin_of(step, as_before(TODAY))


def test_a_comparison_of_before_goes_on(tmp_path: Path) -> None:
    """Its ranges are the same, its trainings are known, and what is drawn is what was drawn."""
    drawn = {"max_gradient_norm": {"low": 1.0, "high": 9.0}}
    backbones = ("sasrec", "comirec-sa+narm", "of-a-plug-in")
    about = {"ranges": {**drawn, "dimension": 8, **dict.fromkeys(backbones, TODAY)}, "seed": 0}
    ranges = as_before({**drawn, "dimension": 8, **dict.fromkeys(backbones, as_before(TODAY))})
    (tmp_path / "comparison.json").write_bytes(orjson.dumps({**about, "ranges": ranges}))
    trials.claim(tmp_path, about)
    with pytest.raises(ConfigError, match="holds a comparison with other --ranges"):
        trials.claim(tmp_path, {**about, "ranges": {}})
    jsonl.write(tmp_path / "trials.jsonl", [Trial(backbone="sasrec", seed=0, settings=as_before(TODAY), ndcg=0.25)])
    known = trials.Trials(tmp_path, tmp_path, None, None, SILENT).find("sasrec", TODAY, 0)
    assert known is not None and known.ndcg == 0.25
    (found,) = setting_ranges.candidates(drawn, ["narm"], trials=1, seed=3, file="ranges.toml")["narm"]
    before = np.random.default_rng([3, zlib.crc32(b"clip")]).uniform(1.0, 9.0)
    assert found["max_gradient_norm"] == pytest.approx(before, rel=1e-3)
