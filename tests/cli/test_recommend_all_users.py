"""`eimf recommend --all-users`: one answer a user, the same rows in every form, interruptions, boosts, repeats."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

from eimf_core import interrupts
from eimf_core.io import parquet_files, provenance
from eimf_core.recommend import all_users, item_boosts
from eimf_core.recommend.output import csv_rows
from eimf_core.recommend.output.result_rows import Rows
from tests.conftest import ROOT, Eimf, one_error_line
from tests.recommend_models import write_named_model
from tests.small_data import write_small_data

USERS = 60
COLUMNS = ["user", "rank", "item", "title", "score", "interest", "because"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `data/`, whose interactions have times, and `model/`."""
    folder = tmp_path_factory.mktemp("all_users")
    (folder / "data").mkdir()
    write_small_data(folder / "data", users=USERS, times=True)
    write_named_model(folder / "model")
    return folder


@pytest.fixture
def short_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts so short that there are several."""
    monkeypatch.setattr(all_users, "PART", 16)


def histories(folder: Path) -> dict[str, dict[str, Any]]:
    """The test line of each user."""
    lines = [json.loads(line) for line in (folder / "data" / "sequences.jsonl").read_text().splitlines()]
    return {line["user"]: line for line in lines if line["split"] == "test"}


def write(eimf: Eimf, folder: Path, output: object, *options: object) -> str:
    done = eimf("recommend", "model", "--all-users", "data", "-o", output, *options, cwd=folder)
    assert done.returncode == 0 and done.stdout == b"", done.stderr.decode()
    return done.stderr.decode()


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The rows of a CSV file, with numbers as numbers and None for what is empty."""
    with open(path, newline="") as stream:
        read = list(csv.DictReader(stream))
    return [
        {**{name: value or None for name, value in row.items()}, "rank": int(row["rank"]), "score": float(row["score"])}
        for row in read
    ]


def test_each_user_gets_one_answer(eimf: Eimf, folder: Path) -> None:
    done = eimf("recommend", "model", "--all-users", "data", "-k", "20", cwd=folder)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    asked = histories(folder)
    assert [answer["id"] for answer in answers] == list(asked) and len(asked) == USERS
    for answer in answers:
        # all that is known is left out, what came last too
        known = {*asked[answer["id"]]["items"], *asked[answer["id"]]["targets"]}
        assert not known & {item["item"] for item in answer["items"]}
    single = eimf("recommend", "model", "--user", "user-7", "--sequences", "data", "-k", "20", cwd=folder)
    alone = json.loads(single.stdout)
    assert alone.pop("history")["until"] and alone == answers[7]
    done = eimf("recommend", "model", "--all-users", "data", "-k", "20", "--as-tested", cwd=folder)
    tested = [{item["item"] for item in json.loads(line)["items"]} for line in done.stdout.splitlines()]
    new = [set(line["targets"]) - set(line["items"]) for line in asked.values()]
    assert all(target <= listed for target, listed in zip(new, tested, strict=True)) and any(new)


@pytest.mark.usefixtures("short_parts")
def test_all_forms_hold_the_same_rows(eimf: Eimf, folder: Path) -> None:
    import duckdb

    for ending in ("jsonl", "csv", "parquet"):
        said = write(eimf, folder, f"rows.{ending}", "-k", "3")
        assert f"rows.{ending}: 180 recommendations for 60 users; " in said and " users a second" in said
        assert provenance.sidecar(folder / f"rows.{ending}").exists()
        assert not (folder / f"rows.{ending}.partial").exists()
    rows = rows_of(folder / "rows.csv")
    assert list(rows[0]) == COLUMNS
    found = duckdb.execute("SELECT * FROM read_parquet(?)", [str(folder / "rows.parquet")])
    assert [column[0] for column in found.description] == COLUMNS  # type: ignore[union-attr]
    assert [dict(zip(COLUMNS, row, strict=True)) for row in found.fetchall()] == rows
    streamed = eimf("recommend", "model", "--all-users", "data", "-k", "3", cwd=folder).stdout
    assert (folder / "rows.jsonl").read_bytes() == streamed
    at = iter(rows)
    for answer in map(json.loads, streamed.splitlines()):
        for item in answer["items"]:
            row = next(at)
            (brought,) = [of for of in answer["interests"] if of["index"] == item.get("interest")] or [{"anchors": []}]
            titles = [anchor["title"] for anchor in brought["anchors"]]
            assert row["user"] == answer["id"] and all(row[name] == item[name] for name in COLUMNS[1:5])
            assert row["interest"] == brought.get("name", f"like {titles[0]}") and row["because"] == "; ".join(titles)


def test_parts_of_a_job_array_are_the_whole(eimf: Eimf, folder: Path) -> None:
    write(eimf, folder, "whole.jsonl", "-k", "3")
    for part in range(1, 8):
        write(eimf, folder, f"part-{part}.jsonl", "-k", "3", "--shard", f"{part}/7")
    parts = [(folder / f"part-{part}.jsonl").read_bytes() for part in range(1, 8)]
    assert b"".join(parts) == (folder / "whole.jsonl").read_bytes()
    assert {part.count(b"\n") for part in parts} == {USERS // 7, USERS // 7 + 1}
    streamed = eimf("recommend", "model", "--all-users", "data", "-k", "3", "--shard", "7/7", cwd=folder).stdout
    assert streamed == parts[-1]
    # another part is another output
    said = write(eimf, folder, "part-1.jsonl", "-k", "3", "--shard", "2/7")
    assert (folder / "part-1.jsonl").read_bytes() == parts[1] and "resuming" not in said


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--all-users", "data", "--shard", "0/4"), "--shard is '0/4', expected a part and their number"),
        (("--all-users", "data", "--shard", "61/61"), "--shard 61/61: data/sequences.jsonl has only 60 users"),
        (("--items", "tea-1", "--shard", "1/2"), "--shard goes with --all-users"),
    ],
)
def test_a_part_that_makes_no_sense_is_refused(eimf: Eimf, folder: Path, options: tuple[str, ...], words: str) -> None:
    assert words in one_error_line(eimf("recommend", "model", *options, cwd=folder), 2)


@pytest.mark.slow
def test_a_signal_within_a_query_is_acted_on_behind_it() -> None:
    """DuckDB would tell an error of its own in its place."""

    def late(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, late)
    try:
        with (
            mock.patch.object(interrupts, "SIGNALS", (signal.SIGALRM,)),
            pytest.raises(TimeoutError),
            parquet_files._connected() as connection,
        ):
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            connection.execute("SELECT sum(a.range * b.range) FROM range(10000) a, range(10000) b")
    finally:
        signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("short_parts")
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_an_interrupted_run_goes_on_to_the_same_bytes(eimf: Eimf, folder: Path, tmp_path: Path, ending: str) -> None:
    whole, cut = tmp_path / f"whole.{ending}", tmp_path / f"cut.{ending}"
    write(eimf, folder, whole, "--threads", "1")
    parts: list[Path] = []
    module = all_users.file_formats.csv_rows if ending == "csv" else all_users.file_formats.parquet_rows
    real = module.write_part

    def until_the_third(path: Path, encoded: Any) -> None:
        if len(parts) == 2:
            raise KeyboardInterrupt
        real(path, encoded)
        parts.append(path)

    form = all_users.file_formats.FORMATS[f".{ending}"]._replace(write_part=until_the_third)
    with mock.patch.dict(all_users.file_formats.FORMATS, {f".{ending}": form}):
        stopped = eimf("recommend", "model", "--all-users", "data", "-o", cut, cwd=folder)
    assert stopped.returncode == 130 and not cut.exists() and len(parts) == 2
    # a torn last line of the journal is a part that is made again
    with open(parts[0].with_name("parts.jsonl.partial"), "ab") as stream:
        stream.write(b'{"users":16,"ro')
    said = write(eimf, folder, cut, "--threads", "3")
    assert "resuming after 32 of 60 users" in said and "600 recommendations for 60 users" in said
    assert cut.read_bytes() == whole.read_bytes()
    assert write(eimf, folder, cut) and cut.read_bytes() == whole.read_bytes()


SLOW_PARTS = """
import time
from eimf_cli.entry import run
from eimf_core.recommend import all_users
all_users.PART = 16
all_users._Parts.add = lambda self, answered, add=all_users._Parts.add: (add(self, answered), time.sleep(0.5))
run()
"""


@pytest.mark.slow
@pytest.mark.usefixtures("short_parts")
def test_a_kill_costs_what_was_not_finished(eimf: Eimf, folder: Path, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.parquet", tmp_path / "cut.parquet"
    write(eimf, folder, whole)
    asked = ["recommend", "model", "--all-users", "data", "-o", cut]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen([sys.executable, "-c", SLOW_PARTS, *asked], cwd=folder, env=environment) as running:
        journal = tmp_path / "cut.parquet.partial" / "parts.jsonl.partial"
        deadline = time.monotonic() + 60
        while not journal.exists() or journal.read_bytes().count(b"\n") < 2:
            assert time.monotonic() < deadline and running.poll() is None
            time.sleep(0.02)
        running.kill()
    assert not cut.exists()
    said = write(eimf, folder, cut)
    assert re.search("resuming after (32|48) of 60 users", said) and cut.read_bytes() == whole.read_bytes()
    assert not journal.parent.exists()


@pytest.mark.usefixtures("short_parts")
def test_parts_of_other_settings_are_made_again(eimf: Eimf, folder: Path, tmp_path: Path) -> None:
    with mock.patch.object(all_users.outputs, "publish", side_effect=KeyboardInterrupt):
        assert eimf("recommend", "model", "--all-users", "data", "-o", tmp_path / "a.csv", cwd=folder).returncode == 130
    assert "resuming" not in write(eimf, folder, tmp_path / "a.csv", "-k", "2")
    assert len(rows_of(tmp_path / "a.csv")) == 2 * USERS


def test_data_that_are_wrong_at_once_leave_nothing(eimf: Eimf, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "sequences.jsonl").write_text('{"user":"u","split":"test","itms":["tea-1"],"targets":[]}\n')
    done = eimf("recommend", folder / "model", "--all-users", "data", "-o", "rows.csv", cwd=tmp_path)
    assert "sequences.jsonl:1: field 'items': is missing" in one_error_line(done, 3)
    (tmp_path / "data" / "sequences.jsonl").write_text("")
    done = eimf("recommend", folder / "model", "--all-users", "data", "-o", "rows.csv", cwd=tmp_path)
    assert "is empty; expected one Sequence a line" in one_error_line(done, 3)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_folder_of_another_in_place_of_the_parts_is_not_removed(eimf: Eimf, folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "rows.csv"
    mine = tmp_path / "rows.csv.partial" / "mine.txt"
    mine.parent.mkdir()
    mine.write_text("mine")
    line = one_error_line(eimf("recommend", "model", "--all-users", "data", "-o", output, cwd=folder), 2)
    assert "rows.csv.partial: is in the way" in line and mine.read_text() == "mine"
    mine.rename(mine.with_name(".origin.json.killed.tmp"))
    write(eimf, folder, output)


def test_titles_and_ids_of_any_kind_come_back_from_csv(tmp_path: Path) -> None:
    odd = ['a "b", c', "two\nlines", "é☕", "", ",", "\\", "=1+1"]
    number = len(odd)
    scores = [0.5] * number
    rows = Rows(odd, list(range(number)), odd, odd, scores, [None] * number, [*odd[1:], None])
    csv_rows.write_part(tmp_path / "part", [csv_rows.lines(rows)])
    csv_rows.join([tmp_path / "part"], tmp_path / "rows.csv")
    read = rows_of(tmp_path / "rows.csv")
    assert [row["title"] or "" for row in read] == odd and [row["because"] or "" for row in read] == [*odd[1:], ""]


def test_users_of_whom_the_model_knows_nothing(eimf: Eimf, folder: Path, tmp_path: Path) -> None:
    lines = (folder / "data" / "sequences.jsonl").read_text().splitlines()[:3]
    strangers = '{"user":"new","split":"train","items":["nope","nope-2"]}\n'
    (tmp_path / "sequences.jsonl").write_text("\n".join(lines) + "\n" + strangers)
    asked = ("recommend", folder / "model", "--all-users", tmp_path, "-k", "2", "-o", tmp_path / "rows.csv")
    said = eimf(*asked).stderr.decode()
    assert "1 user got the most popular items: nothing of their history is known" in said
    assert "warning: 1 user has items that the model does not know; these are passed over" in said
    last = rows_of(tmp_path / "rows.csv")[-1]
    assert (last["user"], last["rank"], last["interest"], last["because"]) == ("new", 2, None, None)
    assert "new" in one_error_line(eimf(*asked, "--strict"), 3) or "nope" in one_error_line(eimf(*asked, "--strict"), 3)


def test_boosts_move_items(eimf: Eimf, folder: Path, tmp_path: Path) -> None:
    asked = ("recommend", "model", "--items", "tea-1,tea-2", "-k", "22")
    plain = {item["item"]: item for item in json.loads(eimf(*asked, cwd=folder).stdout)["items"]}
    low, high = [item for item in plain if plain[item]["score"] > 0][3], next(iter(plain))
    for content in (
        f"item,factor\n{low},1.5\n{high},0.5\n",
        f'"item","factor"\n"{low}","1.5"\n"{high}","0.5"\n',
        f'{{"item":"{low}","factor":1.5}}\n{{"item":"{high}","factor":0.5}}\n',
    ):
        (tmp_path / "boost").write_text(content)
        done = eimf(*asked, "--boost", tmp_path / "boost", cwd=folder)
        moved = {item["item"]: item for item in json.loads(done.stdout)["items"]}
        for item, factor in ((low, 1.5), (high, 0.5)):
            assert moved[item]["score"] == pytest.approx(plain[item]["score"] * factor, abs=2e-6)
        assert moved[low]["rank"] < plain[low]["rank"] and moved[high]["rank"] > plain[high]["rank"]
        explained = eimf(*asked, "--boost", tmp_path / "boost", "--explain", low, cwd=folder)
        told = json.loads(explained.stdout)["explain"]
        assert (told["rank"], told["score"], told["boost"]) == (moved[low]["rank"], moved[low]["score"], 1.5)
    (tmp_path / "boost").write_text("nope,2\n")
    assert "unknown items: nope" in eimf(*asked, "--boost", tmp_path / "boost", cwd=folder).stderr.decode()
    one_error_line(eimf(*asked, "--boost", tmp_path / "boost", "--strict", cwd=folder), 3)


def test_items_of_boosts_may_hold_what_csv_quotes() -> None:
    read = item_boosts._of_text
    for line, item in ((b'"A ""x""", 2', 'A "x"'), (b'"A,B",2', "A,B"), (b"A,B,2", "A,B"), (b"A B\t2", "A B")):
        assert read(line) == (item, "2")


def test_a_boost_raises_scores_below_nothing_too() -> None:
    scores = np.array([[-np.inf, -0.5, 0.5, 0.25, -np.inf]], np.float32)
    item_boosts.apply(np.array([1, 1.5, 1.5, 1, 2], np.float32), scores)
    assert scores.tolist() == [[-np.inf, -0.25, 0.75, 0.25, -np.inf]]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("tea-1\n", "boost:1: is no item with a factor"),
        ("tea-1,1\ntea-2,-1\n", "boost:2: field 'factor': is '-1', expected 0 to 1,000,000"),
        ("tea-1,much\n", "boost:1: field 'factor'"),
        ("tea-1,1e39\n", "boost:1: field 'factor': is '1e39', expected 0 to 1,000,000"),
        ('"tea-1,2\n', "boost:1: is no item with a factor"),
        ("tea-1,inf\n", "boost:1: field 'factor': is 'inf', expected 0 to 1,000,000"),
        ('{"item": "tea-1"}\n', "boost:1: is no item with a factor"),
        (
            "tea-1,2\ntea-2,1\ntea-1,2\ntea-1,3\n",
            "boost:4: field 'factor': 'tea-1' has the factor 2 and here 3; keep one",
        ),
        ("", "boost: is empty; expected one item and factor a line"),
    ],
)
def test_bad_boosts(eimf: Eimf, folder: Path, tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "boost").write_text(content)
    done = eimf("recommend", "model", "--items", "tea-1", "--boost", tmp_path / "boost", cwd=folder)
    assert words in one_error_line(done, 3)


def test_what_was_had_comes_back_after_some_days(eimf: Eimf, folder: Path, tmp_path: Path) -> None:
    days = 30
    asked = histories(folder)
    end = max(line["target_times"][-1] for line in asked.values())
    write(eimf, folder, tmp_path / "rows.csv", "-k", "24", "--repeat-after", days)
    listed: dict[str, set[str]] = {}
    for row in rows_of(tmp_path / "rows.csv"):
        listed.setdefault(row["user"], set()).add(row["item"])
    returned = 0
    for user, line in asked.items():
        had = zip([*line["items"], *line["targets"]], [*line["times"], *line["target_times"]], strict=True)
        recent = {item for item, when in had if when > end - days * 86_400}
        assert listed[user] == {f"{taste}-{at}" for taste in ("tea", "yarn", "fish") for at in range(8)} - recent
        returned += len(set(line["items"]) - recent)
    assert returned > 0
    one = ("recommend", "model", "--user", "user-3", "--sequences", "data", "-k", "24", "--repeat-after", days)
    alone = json.loads(eimf(*one, cwd=folder).stdout)
    assert {item["item"] for item in alone["items"]} == listed["user-3"]


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--all-users", "data", "-o", "rows.txt"], 2, "give one of .jsonl, .csv, .parquet"),
        (["--items", "tea-1", "-o", "rows.csv"], 2, "it goes with --all-users"),
        (["--all-users", "data", "--items", "tea-1"], 2, "--items for something else: leave one out"),
        (["--all-users", "data", "--user", "user-3"], 2, "--all-users asks for all users, --user for"),
        (["--sequences", "data"], 2, "--all-users data/ is for all users"),
        (["--all-users", "data", "--repeat-after", "3", "--seen", "keep"], 2, "leave out --seen"),
        (["--items", "tea-1", "--repeat-after", "3"], 2, "it goes with --user and --sequences, or with --all-users"),
        (["--all-users", "bare", "--repeat-after", "3"], 3, "sequences.jsonl:1: has no times"),
        (["--all-users", "nowhere"], 2, "nowhere: no such file"),
        (["--all-users", "-"], 2, "is read twice"),
        (["--all-users", "data", "-o", "foreign.csv"], 2, "no run of eimf wrote it"),
    ],
)
def test_what_does_not_go(eimf: Eimf, folder: Path, options: list[str], code: int, words: str) -> None:
    if not (folder / "bare").exists():
        (folder / "bare").mkdir()
        write_small_data(folder / "bare", users=3)
        (folder / "foreign.csv").write_text("mine")
    assert words in one_error_line(eimf("recommend", "model", *options, cwd=folder), code)
    assert (folder / "foreign.csv").read_text() == "mine"
