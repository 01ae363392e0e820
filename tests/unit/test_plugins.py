"""Plug-ins: the example does its work in every step, a broken one is a line, and nothing is loaded unasked."""

from __future__ import annotations

import shutil
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import orjson
import pytest

from eimf_core import plugins
from eimf_core.errors import ConfigError, ModelError, Terminated
from eimf_core.evaluation import metrics
from eimf_core.labeling.config import ENGINES
from eimf_core.model_directory import artifact
from eimf_core.models import registry
from eimf_core.training import plan
from eimf_core.training.config import TrainConfig
from tests.conftest import ROOT, Eimf, one_error_line
from tests.recommend_models import write_named_model
from tests.small_data import write_small_data

EXAMPLE = ROOT / "examples" / "plugin"


def install(folder: Path, name: str, version: str, points: dict[str, dict[str, str]]) -> None:
    """What an installer writes of a package: its metadata and entry points."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    for group, of in points.items():
        with open(info / "entry_points.txt", "a") as file:
            file.writelines([f"[{group}]\n", *(f"{key} = {value}\n" for key, value in of.items())])


def forget() -> None:
    """Let `plugins` look again for what is installed: a process looks once."""
    for function in (plugins._installed, plugins._loaded):
        function.cache_clear()
    plugins._used.clear()
    sys.path_importer_cache.clear()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for packages on the path; what was registered is gone at the end."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    tables = [metrics.METRICS, *metrics.TABLES.values()]
    before = [dict(table) for table in tables]
    forget()
    yield folder
    for table, held in zip(tables, before, strict=True):
        table.clear()
        table.update(held)
    for name in [name for name in sys.modules if name.startswith(("eimf_example", "broken_"))]:
        del sys.modules[name]
    sys.path.remove(str(folder))
    forget()


@pytest.fixture
def example(site: Path) -> Path:
    """The example as its pyproject.toml has it installed."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    shutil.copytree(EXAMPLE / "eimf_example", site / "eimf_example")
    install(site, project["name"], project["version"], project["entry-points"])
    forget()
    return site


def test_the_example_is_small() -> None:
    lines = [line for path in EXAMPLE.rglob("*.py") for line in path.read_text().splitlines() if line.strip()]
    assert len(lines) <= 30


def test_help_lists_plug_ins_and_loads_none(eimf: Eimf, example: Path) -> None:
    for command, option, name in (
        ("train", "--backbone", "fading"), ("label", "--engine", "last-title"), ("prepare", "--format", "arrows"),
        ("eval", "--metrics", "first_hit"), ("compare", "--backbones", "fading"),
    ):  # fmt: skip
        for help in ("--help", "--help-all"):
            text = eimf(command, help).stdout.decode()
            assert f"Plug-ins, for {option}:" in text and name in text and "of eimf-example-plugin 1.0" in text
    assert not [name for name in sys.modules if name.startswith("eimf_example")]
    told = eimf("eval", "--help-metrics").stdout.decode()
    assert "\nfirst_hit (only by name; of eimf-example-plugin 1.0)\n  Whether the first item" in told


def test_help_lists_no_plug_in_of_a_built_in_name(eimf: Eimf, site: Path) -> None:
    taken = {"backbones": "narm", "engines": "keywords", "formats": "auto", "metrics": "all"}
    install(
        site, "taker", "1", {f"eimf.{group}": {name: "broken:x", "own": "broken:x"} for group, name in taken.items()}
    )
    forget()
    for command, group in zip(("train", "label", "prepare", "eval"), taken, strict=True):
        text = eimf(command, "--help").stdout.decode()
        assert f"Plug-ins, for {plugins.OPTIONS[group]}:" in text
        assert [line.split()[0] for line in text.splitlines() if "of taker 1" in line] == ["own"]


def test_a_log_of_its_form_is_read_when_it_is_named(eimf: Eimf, example: Path, tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text("".join(f"u{at % 3} -> i{at % 4} @ {1_600_000_000 + at}\n" for at in range(24)))
    done = eimf("prepare", log, "--format", "arrows", "-o", tmp_path / "data")
    assert done.returncode == 0 and b"read as arrows" in done.stderr
    lines = (tmp_path / "data" / "sequences.jsonl").read_bytes().splitlines()
    assert {orjson.loads(line)["user"] for line in lines} == {"u0", "u1", "u2"}
    sidecar = orjson.loads((tmp_path / "data" / "sequences.jsonl.meta.json").read_bytes())
    assert sidecar["plugins"] == {"eimf-example-plugin": "1.0"}
    with open(log, "a") as stream:
        stream.write("\nu9 -> i9\nu9 -> i9 @ 1600000000\n")
    bad = one_error_line(eimf("prepare", log, "--format", "arrows", "-o", tmp_path / "other"), 3)
    assert "log.txt:26: is no line of the format arrows; --on-error skip leaves such rows out" in bad
    assert eimf("prepare", log, "--format", "arrows", "--on-error", "skip", "-o", tmp_path / "other").returncode == 0
    (reject,) = (tmp_path / "other" / "rejects.jsonl").read_bytes().splitlines()
    assert orjson.loads(reject)["text"] == "u9 -> i9"
    unknown = one_error_line(eimf("prepare", log, "--format", "arows", "-o", tmp_path / "other"), 2)
    assert unknown.endswith("delimited, arrows") or "arrows" in unknown


def test_an_engine_labels_and_a_metric_is_shown(eimf: Eimf, example: Path, tmp_path: Path) -> None:
    write_small_data(tmp_path / "data")
    write_named_model(tmp_path / "model")
    sample = {
        "key": "k", "user": "u", "cluster": 0, "cluster_size": 1, "distance": 0.1,
        "history": [{"item": "tea-1", "title": "Black Tea"}, {"item": "yarn-6", "title": "Loom"}],
    }  # fmt: skip
    (tmp_path / "samples.jsonl").write_bytes(orjson.dumps(sample) + b"\n")
    labelled = eimf("label", tmp_path / "samples.jsonl", "--engine", "last-title", "-o", tmp_path / "labels.jsonl")
    assert labelled.returncode == 0, labelled.stderr
    label = orjson.loads((tmp_path / "labels.jsonl").read_bytes())
    assert label["engine"] == "last-title" and label["interests"][0]["name"] == "Loom"
    shown = eimf(
        "eval", tmp_path / "model", tmp_path / "data", "-m", "recall,first_hit", "-k", "1", "--baselines", "none",
        "--resamples", "100", "--table",
    )  # fmt: skip
    assert shown.returncode == 0 and b"first hit" in shown.stdout
    lines = eimf(
        "eval", tmp_path / "model", tmp_path / "data", "-m", "recall,first_hit", "-k", "1", "--baselines", "none",
        "--resamples", "100",
    ).stdout.splitlines()  # fmt: skip
    values = {orjson.loads(line)["metric"]: orjson.loads(line)["value"] for line in lines}
    assert values["first_hit"] == values["recall"] > 0


CLASSES = """
from eimf_core.labeling import prompts
from eimf_core.labeling.engines.base import SynchronousEngine
from eimf_core.prepare.formats.base import LogFormat
from eimf_core.prepare.scans import UserLines

EIMF_INTERFACE = 2
words = LogFormat("words", "users and items", lambda source: True, lambda source, config: UserLines())

class Same(SynchronousEngine):
    name = model = "same"

    def __init__(self, config, samples, vectors, reporter):
        super().__init__()
        self.prompt, self.settings = prompts.load(prompts.GENERAL), {}

    def answer(self, request):
        return self.answered(request, [{"name": "same", "items": [1]}])
"""


def test_an_engine_and_a_format_may_be_more_than_a_function(eimf: Eimf, site: Path, tmp_path: Path) -> None:
    (site / "broken_more.py").write_text(CLASSES)
    install(
        site, "more", "1", {"eimf.engines": {"same": "broken_more:Same"}, "eimf.formats": {"w": "broken_more:words"}}
    )
    forget()
    (tmp_path / "log.txt").write_text("u1 a b\nu2 b a\n")
    done = eimf("prepare", tmp_path / "log.txt", "--format", "w", "--split", "none", "-o", tmp_path / "data")
    assert done.returncode == 0, done.stderr
    found = eimf("cluster", tmp_path / "data", "--budget", 1)
    (tmp_path / "samples.jsonl").write_bytes(found.stdout)
    lines = eimf("label", tmp_path / "samples.jsonl", "--engine", "same").stdout.splitlines()
    assert [orjson.loads(line)["interests"][0]["name"] for line in lines] == ["same"]


def test_what_functions_of_plug_ins_give_is_checked(eimf: Eimf, site: Path, tmp_path: Path) -> None:
    lines = ["EIMF_INTERFACE = 2", "def none(history): return {}", "def place(line): return {'place': line}"]
    (site / "broken_functions.py").write_text("\n".join(lines))
    points = {"eimf.engines": {"none": "broken_functions:none"}, "eimf.formats": {"place": "broken_functions:place"}}
    install(site, "functions", "1", points)
    forget()
    (tmp_path / "log.txt").write_text("u1 a b\n")
    told = one_error_line(eimf("prepare", tmp_path / "log.txt", "--format", "place", "-o", tmp_path / "data"), 2)
    assert "--format place: gives the field 'place'; fields are user, item, time, rating, event" in told
    sample = {
        "key": "k", "user": "u", "cluster": 0, "cluster_size": 1, "distance": 0.1,
        "history": [{"item": "tea-1", "title": "Black Tea"}],
    }  # fmt: skip
    (tmp_path / "samples.jsonl").write_bytes(orjson.dumps(sample) + b"\n")
    told = one_error_line(eimf("label", tmp_path / "samples.jsonl", "--engine", "none", "-o", tmp_path / "l.jsonl"), 4)
    assert "no interest was found in the history" in told


@pytest.mark.slow
def test_a_model_says_which_plug_in_it_needs_and_answers_without(eimf: Eimf, example: Path, tmp_path: Path) -> None:
    write_small_data(tmp_path / "data")
    data, model = tmp_path / "data", tmp_path / "model"
    quick = ("--epochs", 1, "--item-vectors", "random", "-d", 8, "--device", "cpu")
    done = eimf("train", data, "-o", model, "--backbone", "fading", *quick)
    assert done.returncode == 0, done.stderr
    assert artifact.open_model(model).config.plugins == {"fading": "eimf-example-plugin 1.0"}
    assert registry.is_single("fading")
    again = eimf("train", data, "-o", tmp_path / "again", "--init", model, *quick)
    assert again.returncode == 0, again.stderr
    shutil.rmtree(next(example.glob("*.dist-info")))
    forget()
    assert eimf("recommend", model, "--items", "tea-1", "-k", 2).returncode == 0
    assert eimf("eval", model, data, "--baselines", "none", "--resamples", 100).returncode == 0
    gone = one_error_line(eimf("train", data, "-o", tmp_path / "third", "--init", model, *quick), 4)
    assert "its backbone fading is a plug-in of eimf-example-plugin 1.0, which is not installed" in gone
    with pytest.raises(ModelError, match="eimf-example-plugin"):
        plan.make_plan(TrainConfig(backbone="narm"), epochs_from=model)
    joined = eimf("join", model, tmp_path / "again", data, "-o", tmp_path / "joint")
    assert "eimf-example-plugin 1.0, which is not installed" in one_error_line(joined, 4)


BROKEN = {
    "no-module": ("broken_none:x", None, "ModuleNotFoundError: No module named 'broken_none'"),
    "syntax": ("broken_syntax:x", "def :", "SyntaxError"),
    "stops": ("broken_stop:x", "class Stop(BaseException): pass\nraise Stop('here')", "Stop: here"),
    "exits": ("broken_exit:x", "import sys; sys.exit(3)", "SystemExit: 3"),
    "raises": ("broken_raise:x", "1 / 0", "ZeroDivisionError: division by zero"),
    "older": ("broken_old:x", "EIMF_INTERFACE = 0\nx = 1", "EIMF_INTERFACE is 0, this version of eimf has 2"),
    "silent": ("broken_silent:x", "x = 1", "broken_silent says no EIMF_INTERFACE"),
    "no-attribute": ("broken_less:x", "EIMF_INTERFACE = 2", "has no attribute 'x'"),
    "other-kind": ("broken_kind:x", "EIMF_INTERFACE = 2\nx = print", ""),
}


@pytest.mark.parametrize("name", BROKEN)
def test_one_that_cannot_be_used_is_a_line(name: str, eimf: Eimf, site: Path, tmp_path: Path) -> None:
    target, source, reason = BROKEN[name]
    if source is not None:
        (site / f"{target.partition(':')[0]}.py").write_text(source)
    install(site, "bad-package", "2.1", {f"eimf.{group}": {name: target} for group in plugins.OPTIONS})
    forget()
    (tmp_path / "log.csv").write_text("user,item,time\na,b,1600000000\n")
    commands = {
        "prepare": (tmp_path / "log.csv", "--format", name, "-o", tmp_path / "data"),
        "label": (tmp_path / "none.jsonl", "--engine", name, "-o", tmp_path / "labels.jsonl"),
        "train": (tmp_path, "--backbone", name, "-o", tmp_path / "model"),
        "eval": (tmp_path, tmp_path, "-m", name),
    }
    for command, arguments in commands.items():
        told = one_error_line(eimf(command, *arguments), 2)
        assert f"{name}: the plug-in of bad-package 2.1 cannot be used" in told and reason in told, told
    told = [
        line for line in eimf("eval", "--help-metrics").stdout.decode().splitlines() if line.startswith("warning: ")
    ]
    assert len(told) == 1 and "bad-package 2.1" in told[0] and reason in told[0]
    assert eimf("train", "--help").returncode == 0


@pytest.mark.parametrize(
    "points",
    [b"[console_scripts]\nx y z\n", b"[eimf.metrics]\n\xff = broken_any:x\n", b"[eimf.metrics]\nm = broken_any:x\n"],
)
def test_a_package_whose_metadata_is_broken_says_nothing_of_others(
    eimf: Eimf, example: Path, tmp_path: Path, points: bytes
) -> None:
    info = example / "of_others-1.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_bytes(points)
    write_small_data(tmp_path / "data")
    write_named_model(tmp_path / "model")
    quick = ("-k", 1, "--baselines", "none", "--resamples", 100)
    for command in (
        ("eval", tmp_path / "model", tmp_path / "data", "-m", "first_hit", *quick),
        ("train", "--help"), ("prepare", "--help"), ("label", "--help"),
    ):  # fmt: skip
        forget()
        done = eimf(*command)
        assert done.returncode == 0, done.stderr
        assert b"first_hit" in done.stdout or b"of eimf-example-plugin 1.0" in done.stdout
        warned = [line for line in done.stderr.decode().splitlines() if "warning" in line]
        assert len(warned) == 1 and f"eimf: warning: {info}: is no package that can be read (" in warned[0]


def test_what_names_no_plug_in_looks_for_none(eimf: Eimf, site: Path, tmp_path: Path) -> None:
    """It would read the metadata of every installed package."""
    write_small_data(tmp_path / "data")
    write_named_model(tmp_path / "model")
    (tmp_path / "log.csv").write_text("user,item,time\na,b,1600000000\n")
    for command in (
        ("recommend", tmp_path / "model", "--items", "tea-1"),
        ("similar", tmp_path / "model", "tea-1"),
        ("eval", tmp_path / "model", tmp_path / "data", "-k", 1, "--baselines", "none", "--resamples", 100),
        ("prepare", tmp_path / "log.csv", "--split", "none", "-o", tmp_path / "out"),
    ):
        assert eimf(*command).returncode == 0
        assert plugins._installed.cache_info().currsize == 0, command


@pytest.mark.parametrize("stops", [KeyboardInterrupt, Terminated])
def test_signals_end_a_plug_in_that_is_loaded(site: Path, stops: type[BaseException]) -> None:
    (site / "broken_slow.py").write_text(f"from {stops.__module__} import {stops.__name__}\nraise {stops.__name__}")
    install(site, "slow", "1", {"eimf.metrics": {"slow": "broken_slow:x"}})
    forget()
    with pytest.raises(stops):
        metrics.add_plugin("slow")


def test_a_metric_that_fails_or_gives_nothing_is_told_with_its_package(eimf: Eimf, site: Path, tmp_path: Path) -> None:
    write_small_data(tmp_path / "data")
    write_named_model(tmp_path / "model")
    lines = ["import numpy as np", "EIMF_INTERFACE = 2"]
    for name, body in (("fails", "raise ValueError('boom')"), ("nothing", "return np.full(len(hits), np.nan)")):
        lines += [f"def {name}(hits, wanted, k):", "    'A metric.'", f"    {body}"]
    (site / "broken_metrics.py").write_text("\n".join(lines))
    install(
        site, "bad-package", "2.1", {"eimf.metrics": {name: f"broken_metrics:{name}" for name in ("fails", "nothing")}}
    )
    forget()
    given = ("eval", tmp_path / "model", tmp_path / "data", "-k", 1, "--baselines", "none", "--resamples", 100)
    told = eimf(*given, "-m", "recall,nothing")
    assert told.returncode == 0 and b"no figure of nothing: the plug-in of bad-package 2.1 gave none" in told.stderr
    told = eimf(*given, "-m", "recall,fails")
    assert told.returncode == 1
    assert b"unexpected ValueError: boom (with plug-ins of bad-package 2.1); EIMF_DEBUG=1" in told.stderr


def test_a_built_in_name_is_not_taken_over(site: Path) -> None:
    (site / "broken_taker.py").write_text("raise RuntimeError('loaded')")
    points = {"eimf.backbones": {"narm": "broken_taker:x"}, "eimf.engines": {"keywords": "broken_taker:x"}}
    install(site, "taker", "1", {**points, "eimf.metrics": {"recall": "broken_taker:x"}})
    forget()
    assert registry.load("narm").__module__ == "eimf_core.models.narm"
    assert registry.plugins_of("comirec-sa+narm") == {}
    assert plugins.names("engines") == list(ENGINES)
    assert "broken_taker" not in sys.modules


def test_a_name_of_two_packages_is_refused(site: Path) -> None:
    for package in ("one", "two"):
        install(site, package, "1", {"eimf.backbones": {"twice": "broken_any:x"}})
    forget()
    with pytest.raises(ConfigError, match="--backbone twice: is in one and two; uninstall one of them"):
        registry.is_single("twice")


def test_a_model_file_cannot_name_code(site: Path, tmp_path: Path, eimf: Eimf) -> None:
    """What stands in config.json is never looked up to answer."""
    (site / "broken_evil.py").write_text("raise SystemExit('loaded')")
    install(site, "evil", "1", {"eimf.backbones": {"evil": "broken_evil:x"}})
    forget()
    write_named_model(tmp_path / "model", plugins={"halves": "evil 1"})
    assert msgspec.to_builtins(artifact.open_model(tmp_path / "model").config)["plugins"] == {"halves": "evil 1"}
    assert eimf("recommend", tmp_path / "model", "--items", "tea-1", "-k", 2).returncode == 0
    assert "broken_evil" not in sys.modules


def test_an_engine_made_from_the_local_one_is_not_answered_by_its_workers() -> None:
    from eimf_core.labeling.engines import engine_registry, llama_cpp

    class Mine(llama_cpp.LlamaCpp):
        pass

    assert engine_registry.ray_module(llama_cpp.LlamaCpp) and engine_registry.ray_module(Mine) is None
