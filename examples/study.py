"""Do labels help? Train and test the configurations of study.toml; a line per run, a table, a figure.

    python examples/study.py DATA --part A --data beauty
    python examples/study.py DATA --quick
    python examples/study.py DATA --part A --labels gguf=labels.jsonl --data beauty     labels of Beauty's users
    python examples/study.py --table

DATA is the folder with the published data sets, one folder each. A run whose line is in
examples/study/runs.jsonl is not done again, so that the study may be done in parts; --table makes
examples/study/table.md and figure.svg from what is there. Prepared data, labels and the values of each
user are kept under --work and not with the lines; the paired differences that were computed from these
values are (differences.jsonl), so that a part done on another machine loses none.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import study_labels
import study_table
from study_lines import Line, append_line, read_lines

from eimf_core.errors import ConfigError, EimfError
from eimf_core.evaluation.config import EvalConfig
from eimf_core.evaluation.evaluate import evaluate
from eimf_core.io import files, jsonl
from eimf_core.progress import Reporter
from eimf_core.records import Label
from eimf_core.renamed_settings import with_current_names
from eimf_core.training import train as training
from eimf_core.training.checkpoint import Checkpoint
from eimf_core.training.config import TrainConfig

HERE = Path(__file__).resolve().parent
SHORT, RARE = 6, 6  # histories shorter than this; items seen less often than this, but at least once
METRICS = ("recall", "ndcg")
NAME = re.compile(r"[\w.-]+")
GIVEN = "given"  # the budget of labels from a file
FROM_FILE = "from-file"  # a configuration that has no labels but these
REMOVED = ("item_contrast",)  # a setting in the keys of measured runs; training does as "shown"
OWN_LABELS = ("none", FROM_FILE, "shuffled", "shuffled-categories", "shuffled-rich", *study_table.REAL_LABELS)
GUESSED_SECONDS = 90.0  # CPU, where nothing like it was run before


@dataclass(frozen=True)
class Run:
    """One line of the study. `labels` names who made the words, or "none"; `file`, the hash of labels from a file."""

    data: str
    setting: str
    configuration: str
    backbone: str
    labels: str
    budget: str
    seed: int
    settings: dict[str, Any]
    k: int
    file: str = ""

    @property
    def key(self) -> str:
        """What tells this run from any other; also the name of its file of values."""
        said = [
            self.data,
            self.labels,
            self.budget,
            self.seed,
            self.k,
            self.settings,
            *([self.file] if self.file else []),
        ]
        digest = hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()[:12]
        return f"{self.data}-{self.setting}-{self.configuration}-{self.seed}-{digest}"


def train_config(run: Run) -> TrainConfig:
    """The settings of a run by the names of today; its key keeps those it was planned with."""
    settings = with_current_names({name: value for name, value in run.settings.items() if name not in REMOVED})
    return TrainConfig(**settings)


def plan(study: dict[str, Any], part: str, only: list[str], named: dict[str, str]) -> Iterator[Run]:
    """The runs of a part, cheap data first; those that use keyword labels of typical users also with labels of further
    names (and the hash of their file)."""
    wanted = study["parts"][part]
    kinds = study["configurations"]
    for data in [name for name in wanted["data"] if not only or name in only]:
        for seed in range(wanted.get("more_seeds", {}).get(data, wanted["seeds"])):
            for setting in wanted["settings"]:
                able = [name for name in wanted["configurations"] if setting in kinds[name].get("settings", [setting])]
                for backbone in wanted.get("backbones", ["comirec-sa"]):
                    for name in able:
                        for budget in wanted.get("budget_of", {}).get(data, wanted["budgets"]):
                            configuration = kinds[name]
                            settings = {
                                **study["train"],
                                **study["data"][data].get("train", {}),
                                **kinds[configuration.get("like", name)].get("train", {}),
                                **configuration.get("but", {}),
                                **study["settings"][setting],
                                **wanted.get("train", {}),
                                **wanted.get("change", {}).get(data, {}),
                                "backbone": backbone,
                                "seed": seed,
                            }
                            of_categories = "categories" in configuration["labels"] or settings.get("item_categories")
                            if of_categories and not study["data"][data].get("categories"):
                                continue
                            plain = Run(
                                data, setting, name, backbone, configuration["labels"], budget, seed, settings,
                                study["data"][data]["k"],
                            )  # fmt: skip
                            if plain.labels == "none":
                                plain = replace(plain, budget="0%")
                            if plain.labels != FROM_FILE:
                                yield plain
                            if plain.labels in ("keywords", "keywords-rich", FROM_FILE):
                                # a file holds the users that it holds, whatever the budget
                                yield from (
                                    replace(plain, labels=word, budget=GIVEN, file=file) for word, file in named.items()
                                )


class Workshop:
    """Prepared data and labels, made when first asked for and kept."""

    def __init__(self, root: Path | None, work: Path, study: dict[str, Any], given: dict[str, Path]) -> None:
        self._root, self.work, self._study, self._given = root, work, study, given

    def data(self, name: str) -> Path:
        """The prepared directory of a data set."""
        folder = self.work / name
        if not (folder / "sequences.jsonl").exists():
            if self._root is None:
                raise SystemExit(f"{folder}: not there; give the folder with the published data sets")
            facts = self._study["data"][name]
            beside = [("--users", facts.get("users")), ("--items", facts.get("items"))]
            more = [word for option, file in beside if file for word in (option, str(self._root / file))]
            _eimf("prepare", str(self._root / facts["source"]), *facts["prepare"], *more, "-o", str(folder))
        return folder

    def labels(self, run: Run) -> Path | None:
        """The labels of a run, or None."""
        if run.labels == "none":
            return None
        if run.labels in self._given:
            return self._given[run.labels]
        if not run.labels.startswith("shuffled"):
            return self._real(run, run.labels)
        target = self.work / f"{run.data}-{run.budget}-{run.labels}-{run.seed}.jsonl"
        if not target.exists():
            study_labels.write_shuffled(
                self._real(run, run.labels.replace("shuffled", "keywords", 1)), target, run.seed
            )
        return target

    def _real(self, run: Run, kind: str) -> Path:
        """Labels by whose they are, typical users' if nothing else is said, and by what they are made of."""
        who = kind if kind in ("random", "active") else "rich" if "-rich" in kind else "typical"
        keywords = self._keywords(run, who)
        if not kind.endswith("categories"):
            return keywords
        target = self.work / f"{run.data}-{run.budget}-{kind}.jsonl"
        if not target.exists():
            catalogue = self.data(run.data) / "items.jsonl"
            # items without categories leave users without labels of that engine, however many
            how = ("categories", "--max-error-share", "100%") if kind == "categories" else ("keywords",)
            _eimf("label", str(keywords.with_suffix(".samples.jsonl")), "--items", str(catalogue),
                  "-o", str(target), "--engine", *how)  # fmt: skip
        return target

    def _keywords(self, run: Run, who: str) -> Path:
        folder = self.data(run.data)
        # which users are drawn at random differs between seeds; typical and active users are what they are
        seed = run.seed if who == "random" else 0
        name = f"{run.data}-{run.budget}-{who}-{seed}"
        samples, labels = self.work / f"{name}.samples.jsonl", self.work / f"{name}.jsonl"
        if not labels.exists():
            if who in ("typical", "rich"):
                least = self._study["data"][run.data].get("median_items") if who == "typical" else None
                fixed = [] if least is None else ["--min-items", str(least)]
                _eimf("cluster", str(folder), "--budget", run.budget, *fixed, "-o", str(samples))
            else:
                count = sum(1 for _ in jsonl.read(self._keywords(run, "typical"), Label))
                jsonl.write(samples, study_labels.other_users(folder, who, count, run.seed))
            _eimf("label", str(samples), "--engine", "keywords", "-o", str(labels))
        return labels


def _eimf(*words: str) -> None:
    if subprocess.run([sys.executable, "-m", "eimf_cli", *words], check=False).returncode:
        raise SystemExit(f"eimf {words[0]} did not come to its end, for what is said above")


class Warnings(Reporter):
    """Says what the user should know: a run that could not do what its settings ask for measures something else."""

    def warn(self, message: str) -> None:
        print(f"warning: {message}", file=sys.stderr, flush=True)


def measure(run: Run, shop: Workshop) -> dict[str, Any]:
    """Train and test once; returns the line, and keeps the values of each user."""
    folder, labels = shop.data(run.data), shop.labels(run)
    model = shop.work / "models" / run.key
    shutil.rmtree(model, ignore_errors=True)
    Checkpoint(model, "").remove()  # a run that goes on where it was cut would tell a part of its time
    wall, cpu = time.monotonic(), time.process_time()
    summary = training.train(folder, model, train_config(run), labels=labels, reporter=Warnings())
    trained = time.process_time()
    asked = EvalConfig(
        k=[run.k],
        metrics=list(METRICS),
        baselines="none",
        slice=[f"history={SHORT}", f"popularity=1,{RARE}"],
        resamples=1000,
        threads=1,
    )
    found = evaluate([model], shop.data(run.data), asked)
    columns = [(column.metric, study_table.named(column.slice)) for column in found.plan.columns]
    short = found.users.history_lengths() < SHORT
    values = {f"{metric} {part}": found.results[0].values[:, at] for at, (metric, part) in enumerate(columns)}
    values |= {f"{metric} short": np.where(short, values[f"{metric} all"], np.nan) for metric in METRICS}
    (shop.work / "values").mkdir(exist_ok=True)
    np.savez_compressed(shop.work / "values" / f"{run.key}.npz", allow_pickle=False, **values)
    shutil.rmtree(model)
    return {
        "key": run.key,
        "data": run.data,
        "setting": run.setting,
        "configuration": run.configuration,
        "backbone": run.backbone,
        "labels": run.labels,
        "budget": run.budget,
        **({"labels_sha256": run.file} if run.file else {}),
        "seed": run.seed,
        "k": run.k,
        "valid_ndcg@10": summary.ndcg,
        "epochs": summary.epochs,
        "best_epoch": summary.best_epoch,
        "users": len(found.users),
        "labelled": summary.labelled,
        "figures": {name: float(np.nanmean(part)) for name, part in values.items() if not np.isnan(part).all()},
        "train_cpu_seconds": round(trained - cpu, 1),
        "eval_cpu_seconds": round(time.process_time() - trained, 1),
        "wall_seconds": round(time.monotonic() - wall, 1),
        "settings": run.settings,
    }


def estimate(runs: list[Run], lines: list[dict[str, Any]]) -> float:
    """CPU seconds that these runs will take, from those of the same data."""
    known: dict[str, list[float]] = {}
    for line in lines:
        known.setdefault(line["data"], []).append(line["train_cpu_seconds"] + line["eval_cpu_seconds"])
    return sum(float(np.mean(known.get(run.data, [GUESSED_SECONDS]))) for run in runs)


def _labels(words: list[str]) -> dict[str, Path]:
    """Names and files of further labels."""
    given: dict[str, Path] = {}
    for word in words:
        name, equals, file = word.partition("=")
        if not equals or not NAME.fullmatch(name) or not Path(file).is_file():
            raise ConfigError(f"--labels {word}: expected NAME=FILE, letters and digits, and a file that is there")
        if name in OWN_LABELS:
            raise ConfigError(f"--labels {word}: the study calls labels of its own {name}; choose another name")
        if name in given:
            raise ConfigError(f"--labels {word}: {name} is {given[name]} already; choose another name")
        for _ in jsonl.read(file, Label):  # what is wrong with it is said before the first run
            pass
        given[name] = Path(file)
    return given


def _asked(study: dict[str, Any], asked: argparse.Namespace, named: dict[str, str]) -> list[Run]:
    """The runs that the words of the command line ask for."""
    for option, words, known in (
        ("data", asked.data, study["data"]),
        ("setting", asked.setting, study["settings"]),
        ("configuration", asked.configuration, study["configurations"]),
    ):
        for word in words:
            if word not in known:
                raise ConfigError(f"--{option} {word}: expected one of {', '.join(known)}")
    if asked.seeds is not None and asked.seeds < 1:
        raise ConfigError(f"--seeds {asked.seeds}: expected 1 or more")
    part = "quick" if asked.quick else asked.part
    runs = [
        run
        for run in plan(study, part, asked.data, named)
        if (not asked.setting or run.setting in asked.setting)
        and (not asked.configuration or run.configuration in asked.configuration)
        and (asked.seeds is None or run.seed < asked.seeds)
    ]
    if not runs:
        raise ConfigError(f"part {part} has no such runs: see [parts.{part}] in {asked.config}")
    if named and len({run.data for run in runs}) != 1:
        raise ConfigError("--labels are those of the users of one data set: say which with one --data NAME")
    if named and not any(run.file or run.labels in named for run in runs):
        raise ConfigError("--labels: none of these runs uses labels from a file")
    return runs


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", nargs="?", type=Path, metavar="DATA", help="folder with the published data sets")
    parser.add_argument("--part", default="A", choices=[*"ABCDEFGKLMNPSTV"], help="which part of the study")
    parser.add_argument("--data", action="append", default=[], metavar="NAME", help="only this data set; repeat")
    parser.add_argument("--setting", action="append", default=[], help="only this setting (ids, text …); repeat")
    parser.add_argument("--configuration", action="append", default=[], help="only this configuration; repeat")
    parser.add_argument("--seeds", type=int, metavar="N", help="only the first so many seeds")
    parser.add_argument(
        "--labels", action="append", default=[], metavar="NAME=FILE", help="rows of further labels, for one --data"
    )
    parser.add_argument("--quick", action="store_true", help="the smallest data set alone, two seeds")
    parser.add_argument("--table", action="store_true", help="make table and figure from the lines, run nothing")
    parser.add_argument("--config", type=Path, default=HERE / "study.toml", help="what is compared")
    parser.add_argument(
        "--output", type=Path, default=HERE / "study", help="folder of the lines, the table and the figure"
    )
    parser.add_argument("--work", type=Path, default=HERE / ".work" / "study", help="prepared data, labels, values")
    asked = parser.parse_args(arguments)
    path = asked.output / "runs.jsonl"
    try:
        study = tomllib.loads(asked.config.read_text())
        given = _labels(asked.labels)
        runs = [] if asked.table else _asked(study, asked, {name: files.sha256(file) for name, file in given.items()})
        lines = read_lines(path)
        if asked.table and not lines:
            raise ConfigError(f"{path} has no lines to make a table of: run a part first")
    except (EimfError, OSError, tomllib.TOMLDecodeError) as error:
        parser.error(str(error))
    asked.output.mkdir(parents=True, exist_ok=True)
    asked.work.mkdir(parents=True, exist_ok=True)
    try:
        _measure_all(runs, Workshop(asked.root, asked.work, study, given), lines, path)
    except EimfError as error:
        raise SystemExit(f"eimf: {error}") from None
    parts = {part: {run.key for run in plan(study, part, [], {})} for part in study["parts"]}
    study_table.write(lines, parts, asked.work / "values", asked.output)


def _measure_all(runs: list[Run], shop: Workshop, lines: list[Line], path: Path) -> None:
    """Make the runs that have no line yet; each line is written as it comes, and added to `lines`."""
    if not runs:
        return
    done = {line["key"] for line in lines}
    waiting = list({run.key: run for run in runs if run.key not in done}.values())
    seconds = estimate(waiting, lines)
    print(f"{len(waiting)} of {len(runs)} runs to do, about {seconds / 60:.0f} CPU minutes", file=sys.stderr)
    for number, run in enumerate(waiting, start=1):
        line = measure(run, shop)
        append_line(path, line)
        lines.append(line)
        figure = line["figures"]["ndcg all"]
        print(f"{number}/{len(waiting)} {run.key}: NDCG@{run.k} {figure:.4f}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
