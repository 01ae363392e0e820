"""`examples/nightly/`: what serves changes at the end of a night that went well, and not otherwise."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from eimf_core.io import jsonl
from eimf_core.records import Sequence
from tests.conftest import ROOT
from tests.small_data import write_small_data

NIGHTLY = ROOT / "examples" / "nightly"
# stands in for eimf where only the order of things is looked at: it writes what the step would write
STAND_IN = """#!/usr/bin/env bash
echo "$*" >>commands.log
[ "$1" != "${FAIL_AT:-}" ] || exit 3
for last; do :; done
case $1 in
    prepare | train) mkdir -p "$last"; cp marker "$last/manifest.json" ;;
    eval) cp metrics.jsonl "$last" ;;
    *) cp marker "$last" ;;
esac
"""


def metrics(difference: float, low: float, high: float, *, turned: bool = False) -> str:
    models = ["shop/next/model", "shop/current/model"]
    first, second = models[::-1] if turned else models
    line = {"metric": "ndcg", "k": 10, "slice": "all", "model": first, "compared_to": second}
    alone = {"metric": "ndcg", "k": 10, "slice": "all", "model": first, "value": 0.5}
    paired = {**line, "difference": difference, "difference_ci_low": low, "difference_ci_high": high}
    return f"{json.dumps(alone)}\n{json.dumps(paired)}\n"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with a stand-in for eimf on the path, and one night that went well."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "eimf").write_text(STAND_IN)
    (tmp_path / "bin" / "eimf").chmod(0o755)
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    (tmp_path / "metrics.jsonl").write_text(metrics(0.01, -0.01, 0.03))
    assert night(tmp_path, "first").returncode == 0
    return tmp_path


def night(folder: Path, marker: str, **environment: str) -> subprocess.CompletedProcess[str]:
    (folder / "marker").write_text(marker)
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    return subprocess.run(
        ["bash", NIGHTLY / "nightly.sh", "log.csv"],
        cwd=folder, env={**os.environ, "PATH": path, **environment}, capture_output=True, text=True, timeout=180,
        check=False,
    )  # fmt: skip


def serving(folder: Path) -> tuple[str, str]:
    """The model and the recommendations that serve."""
    current = folder / "shop" / "current"
    return (current / "model" / "manifest.json").read_text(), (current / "recommendations.parquet").read_text()


@pytest.mark.parametrize("bounds", [(0.02, 0.01, 0.03), (-0.01, -0.03, 0.01)])
def test_a_model_that_is_not_surely_worse_serves_after_the_night(
    shop: Path, bounds: tuple[float, float, float]
) -> None:
    (shop / "metrics.jsonl").write_text(metrics(*bounds))
    assert serving(shop) == ("first", "first")
    done = night(shop, "second")
    assert done.returncode == 0 and "not worse: it replaces the serving model" in done.stderr
    assert serving(shop) == ("second", "second") and not (shop / "shop" / "next").exists()
    commands = (shop / "commands.log").read_text()
    assert "train shop/next/data --init shop/current/model -o shop/next/model\n" in commands
    assert "recommend shop/next/model --all-users shop/next/data -o shop/next/recommendations.parquet\n" in commands


@pytest.mark.parametrize("turned", [False, True])
def test_a_worse_model_does_not_serve_but_the_new_histories_count(shop: Path, turned: bool) -> None:
    bounds = (-0.02, -0.03, -0.01) if not turned else (0.02, 0.01, 0.03)
    (shop / "metrics.jsonl").write_text(metrics(*bounds, turned=turned))
    done = night(shop, "second")
    assert done.returncode == 0 and "-0.0200 [-0.0300, -0.0100], worse: the serving model stays" in done.stderr
    assert serving(shop) == ("first", "second")


@pytest.mark.parametrize("step", ["prepare", "train", "eval", "recommend"])
def test_a_failure_leaves_what_serves(shop: Path, step: str) -> None:
    before = os.readlink(shop / "shop" / "current")
    done = night(shop, "second", FAIL_AT=step)
    assert done.returncode == 3 and os.readlink(shop / "shop" / "current") == before
    assert serving(shop) == ("first", "first")
    assert night(shop, "third").returncode == 0 and serving(shop) == ("third", "third")


def test_figures_that_are_missing_are_no_reason_to_replace(shop: Path) -> None:
    (shop / "metrics.jsonl").write_text('{"metric": "ndcg", "k": 10, "slice": "all", "model": "x", "value": 1}\n')
    done = night(shop, "second")
    assert done.returncode == 1 and "holds no comparison" in done.stderr
    assert serving(shop) == ("first", "first"), "the night is not over"


def test_a_night_that_was_killed_before_its_last_step_does_not_serve_later(shop: Path) -> None:
    (shop / "shop" / ".current.new").symlink_to(os.readlink(shop / "shop" / "current"))
    assert night(shop, "second").returncode == 0 and serving(shop) == ("second", "second")


def test_a_copy_that_fails_leaves_no_half_model(shop: Path) -> None:
    (shop / "metrics.jsonl").write_text(metrics(-0.02, -0.03, -0.01))
    copy = shop / "bin" / "cp"
    copy.write_text('#!/bin/sh\n[ "$1" != -R ] || { mkdir "$3"; exit 1; }\nexec /bin/cp "$@"\n')
    copy.chmod(0o755)
    assert night(shop, "second").returncode == 1
    assert (shop / "shop" / "next" / "model" / "manifest.json").read_text() == "second"
    copy.unlink()
    assert night(shop, "third").returncode == 0 and serving(shop) == ("first", "third")


def test_two_nights_do_not_overlap(shop: Path) -> None:
    with open(shop / "shop" / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = night(shop, "second")
    assert done.returncode == 75 and "another night is at work" in done.stderr and serving(shop) == ("first", "first")


def test_old_nights_go(shop: Path) -> None:
    assert night(shop, "second", KEEP="0").returncode == 2 and serving(shop) == ("first", "first")
    for name in ("2001-01-01T000000", "2002-01-01T000000"):
        (shop / "shop" / "nights" / name).mkdir()
    assert night(shop, "second", KEEP="1").returncode == 0
    (left,) = (shop / "shop" / "nights").iterdir()
    assert serving(shop)[1] == "second" and os.readlink(shop / "shop" / "current") == f"nights/{left.name}"


@pytest.mark.slow
def test_two_nights_with_a_log_that_grows(tmp_path: Path) -> None:
    import duckdb

    write_small_data(tmp_path)
    lines = [line for line in jsonl.read(tmp_path / "sequences.jsonl", Sequence) if line.split == "test"]
    header = ["user,item,time"]
    rows = [
        f"{line.user},{item},{1_600_000_000 + 86_400 * at}"
        for line in lines
        for at, item in enumerate([*line.items, *line.targets])
    ]
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    (tmp_path / "bin" / "eimf").write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m eimf_cli "$@"\n')
    (tmp_path / "bin" / "eimf").chmod(0o755)
    (tmp_path / "c.toml").write_text('[train]\nbackbone = "comirec-sa"\nepochs = 2\ndimension = 16\nbatch_size = 64\n')
    for number, log in enumerate((rows[:-40], rows)):
        (tmp_path / "log.csv").write_text("\n".join(header + log) + "\n")
        done = night(tmp_path, "", ITEMS="items.jsonl", CONFIG="c.toml")
        assert done.returncode == 0, done.stderr
        current = tmp_path / "shop" / "current"
        found = duckdb.execute(
            "SELECT count(DISTINCT user) FROM read_parquet(?)", [str(current / "recommendations.parquet")]
        )
        assert found.fetchall() == [(len({row.split(",")[0] for row in log}),)]
        assert ("serving model" in done.stderr) == (number == 1)
