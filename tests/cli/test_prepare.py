"""`eimf prepare` as people run it: the bundled shop, published sets, what comes out is what the steps read."""

from __future__ import annotations

import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from eimf_core import dataset
from eimf_core.io import jsonl
from eimf_core.records import Sequence
from tests.conftest import ROOT, Eimf, one_error_line

SHOP = ROOT / "examples" / "shop"


def test_shop_is_split_by_time(eimf: Eimf, tmp_path: Path) -> None:
    done = eimf("prepare", SHOP / "interactions.csv", "--items", SHOP / "items.jsonl", "-o", tmp_path / "data")
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout == b""
    data = dataset.load(tmp_path / "data", ("train", "valid", "test"))
    assert len(data.vocab) == 432
    assert data.protocol == "temporal/next"
    assert sum(len(part) for part in data.splits["train"].users) and data.splits["train"].times is not None
    valid_from, test_from = data.facts["valid_from"], data.facts["test_from"]
    for line in jsonl.read(tmp_path / "data" / "sequences.jsonl", Sequence):
        assert line.times == sorted(line.times or [])
        if line.split == "train":
            assert line.times[-1] < valid_from < test_from
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == [
        "items.jsonl", "sequences.jsonl", "sequences.jsonl.meta.json",
    ]  # fmt: skip


LEAVE_ONE_OUT = ["--split", "leave-one-out"]


@pytest.fixture(scope="module")
def published(eimf: Eimf, real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Prepare a published set with these options, once; the directory that it made."""
    made: dict[tuple[str, ...], Path] = {}

    def prepare(name: str, *options: str) -> Path:
        if (name, *options) not in made:
            folder = tmp_path_factory.mktemp("published")
            done = eimf("prepare", real_data / name, *options, "-o", folder)
            assert done.returncode == 0, done.stderr.decode()
            made[name, *options] = folder
        return made[name, *options]

    return prepare


@pytest.mark.parametrize(
    ("name", "options", "users", "items", "interactions", "without_text"),
    [
        ("ml-100k", [], 943, 1682, 100_000, 1),
        pytest.param("ml-1m/sequences.tsv.gz", ["--split", "none"], 6040, 3416, 999_611, 0, marks=pytest.mark.slow),
        pytest.param("ml-1m/ml-1m.txt.gz", ["--split", "none"], 6040, 3416, 999_611, 0, marks=pytest.mark.slow),
        pytest.param("amazon-beauty-2014", LEAVE_ONE_OUT, 22_363, 12_101, 198_502, 7, marks=pytest.mark.slow),
        ("amazon-giftcards-2018-raw", [], 458, 148, 2972, 0),
        pytest.param("amazon-games-2018", LEAVE_ONE_OUT, 50_546, 16_859, 440_264, 0, marks=pytest.mark.slow),
        ("amazon-industrial-2018", LEAVE_ONE_OUT, 3285, 3541, 22_743, 0),
        pytest.param("yelp", LEAVE_ONE_OUT, 30_431, 20_033, 316_354, 0, marks=pytest.mark.slow),
    ],
)
def test_published_counts(
    published: Callable[..., Path],
    name: str,
    options: list[str],
    users: int,
    items: int,
    interactions: int,
    without_text: int,
) -> None:
    data = dataset.load(published(name, *options), ("train", "valid", "test"))
    read = data.facts["report"]["steps"][0]
    assert (read["users"], read["items"], read["interactions"]) == (users, items, interactions)
    assert len(data.vocab) == items
    assert sum(item.title == item.item for item in data.items) == without_text


@pytest.mark.slow
def test_leave_one_out_of_beauty(published: Callable[..., Path], real_data: Path) -> None:
    import gzip

    folder = published("amazon-beauty-2014", "--split", "leave-one-out")
    with gzip.open(real_data / "amazon-beauty-2014" / "user_sequence.txt.gz", "rt") as stream:
        history = {user: items for user, *items in map(str.split, stream)}
    lines = list(jsonl.read(folder / "sequences.jsonl", Sequence))
    assert len(lines) == 3 * len(history)
    for line in lines:
        cut = {"train": -2, "valid": -2, "test": -1}[line.split]
        assert line.items == history[line.user][:cut]
        expected = [] if line.split == "train" else history[line.user][cut:][:1]
        assert line.targets == expected


@pytest.mark.slow
def test_comirec_partition_of_ml_1m(eimf: Eimf, tmp_path: Path, real_data: Path) -> None:
    partition = real_data.parent / "baselines" / "ml-1m-by-user.tsv"
    if not partition.is_file():
        pytest.skip("no partition of ML-1M at hand")
    log = real_data / "ml-1m" / "sequences.tsv.gz"
    done = eimf("prepare", log, "--split", "by-user", "--users", partition, "-o", tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    data = dataset.load(tmp_path, ("train", "valid", "test"))
    assert [len(data.splits[name]) for name in ("train", "valid", "test")] == [4832, 604, 604]
    assert data.protocol == "by-user/all"
    for user in range(604):
        history, targets = data.splits["test"].history(user), data.splits["test"].target(user)
        assert len(history) == int(0.8 * (len(history) + len(targets)))


@pytest.mark.slow
def test_yelp_names_and_games_targets(published: Callable[..., Path], real_data: Path) -> None:
    """Yelp's item file counts from 0; the last item of a Games user is the published test target."""
    import gzip

    yelp = published("yelp", "--split", "leave-one-out")
    names = {item.item: item for item in dataset.load_items(yelp / "items.jsonl")}
    assert (names["1"].title, names["1"].categories[:2]) == ("The Great Greek", ["Diners", "Greek"])
    games = real_data / "amazon-games-2018"
    with gzip.open(games / "Games-6k.valid.inter.gz", "rt") as stream:
        next(stream)
        targets = {user: target for user, _, target in (line.rstrip("\n").split("\t") for line in stream)}
    made = published("amazon-games-2018", "--split", "leave-one-out")
    lines = jsonl.read(made / "sequences.jsonl", Sequence)
    assert {line.user: line.targets[0] for line in lines if line.split == "valid"} == targets


def write_log(path: Path, rows: int) -> Path:
    path.write_text("user,item,time\n" + "".join(f"u{n * 7919 % (rows // 20)},i{n % 997},{n}\n" for n in range(rows)))
    return path


def test_stdin_json_report_and_quiet(eimf: Eimf, tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.csv", 2000)
    done = eimf("prepare", "-", "--json", "-q", "-o", tmp_path / "out", stdin=log.read_bytes())
    untitled = b"eimf: warning: 997 of 997 items have no text; give it with --items\n"
    assert (done.returncode, done.stderr) == (0, untitled)
    report = orjson.loads(done.stdout)
    assert report["steps"][0] == {"name": "read", "removed": 0, "users": 100, "items": 997, "interactions": 2000}
    assert set(report["splits"]) == {"train", "valid", "test"}
    line = one_error_line(eimf("prepare", "-", "-o", tmp_path / "out", stdin=b"user,item,time\na,b\n"), 3)
    assert "<stdin>:2: has 2 columns" in line


def test_columns_and_the_kind_of_times_are_said(eimf: Eimf, tmp_path: Path) -> None:
    kinds = {"seconds": "1500000000", "milliseconds": "1500000000000", "dates": "2017-07-14 02:40:00"}
    for kind, value in kinds.items():
        (tmp_path / "log.csv").write_text(f"product_id,ts,user\na,{value},u\n")
        done = eimf("prepare", tmp_path / "log.csv", "--split", "none", "-o", tmp_path / "out")
        assert f"times are {kind}\n" in done.stderr.decode()
        assert "columns: user, item from 'product_id', time from 'ts'\n" in done.stderr.decode()
        shown = done.stderr.decode().partition("First rows, as they were understood\n")[2]
        assert re.search(r"user +item +time.*\n.*\n +u +a +2017-07-14 02:40:00", shown)
        assert b'"times":[1500000000]' in (tmp_path / "out" / "sequences.jsonl").read_bytes()


def test_the_help_has_a_line_for_each_format(eimf: Eimf) -> None:
    from eimf_core.prepare.input_discovery import LOGS

    text = eimf("prepare", "--help").stdout.decode()
    for kind in LOGS:
        assert f"\n    {kind.name} " in text, kind.name
    assert len(re.findall(r"^  -", text, flags=re.MULTILINE)) <= 25


def test_same_bytes_whatever_the_threads_and_the_memory(eimf: Eimf, tmp_path: Path) -> None:
    """Wide rows, so that the engine reads the file in several parts, and times that many rows of a user share."""
    log, filler = tmp_path / "log.csv", "x" * 400
    with open(log, "w") as stream:
        stream.write("user,item,time,note\n")
        stream.writelines(f"u{n % 97},i{n * 7919 % 1009},{n // 30_000},{filler}\n" for n in range(240_000))
    made = []
    for number, options in enumerate((["--threads", "1"], ["--threads", "4"], ["--memory-limit", "100MB"])):
        done = eimf("prepare", log, "--min-item", "5", "--duplicates", "keep", *options, "-o", tmp_path / str(number))
        assert done.returncode == 0, done.stderr.decode()
        made.append([(tmp_path / str(number) / name).read_bytes() for name in ("sequences.jsonl", "items.jsonl")])
    assert made[0] == made[1] == made[2]


def test_what_makes_no_sense_is_said(eimf: Eimf, tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.csv", 200)
    for options, code, words in (
        (["--min-user", "500"], 3, "nothing is left"),
        (["--min-rating", "3"], 2, "--rating-column"),
        (["--event", "buy"], 2, "--event-column"),
        (["--since", "soon"], 2, "--since"),
        (["--valid-from", "5"], 2, "--test-from"),
        (["--users", log], 2, "by-user"),
        (["--format", "excel"], 2, "ml-100k"),
        (["--memory-limit", "much"], 2, "--memory-limit"),
        (["--valid-from", "0", "--test-from", "5"], 2, "first time point"),
    ):
        assert words in one_error_line(eimf("prepare", log, *options, "-o", tmp_path / "out"), code)
        assert not (tmp_path / "out").exists()
    done = eimf("prepare", log, "--valid-from", "1000", "--test-from", "2000", "-o", tmp_path / "out")
    assert done.returncode == 0
    assert b"warning: the test split is empty; move --valid-from" in done.stderr


def test_when_all_targets_are_cold_it_is_said(eimf: Eimf, tmp_path: Path) -> None:
    """A catalogue that changes from season to season: nothing that is to be predicted was ever trained on."""
    rows = [(f"u{user}", f"{season}-{user % 3}", season * 1000 + user) for season in (1, 2, 3) for user in range(40)]
    log = tmp_path / "log.csv"
    log.write_text("user,item,time\n" + "".join(f"{user},{item},{time}\n" for user, item, time in rows))
    options = ["--valid-from", "2000", "--test-from", "3000"]
    done = eimf("prepare", log, *options, "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr.decode()
    said = done.stderr.decode()
    for name in ("valid", "test"):
        assert f"warning: all {name} targets are items that training never sees; raise --min-item" in said
    log.write_text(log.read_text() + "u0,2-0,1500\n")
    said = eimf("prepare", log, *options, "-o", tmp_path / "out").stderr.decode()
    assert "all valid targets" not in said and "warning: all test targets" in said


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.slow
def test_a_full_disk_leaves_the_old_output(tmp_path: Path, environment: dict[str, str], eimf: Eimf) -> None:
    """A limit on the size of files stands for the disk: at the first it is the engine that meets it."""
    out = tmp_path / "out"
    eimf("prepare", write_log(tmp_path / "old.csv", 500), "-o", out)
    before = files_of(out)
    log = write_log(tmp_path / "log.csv", 200_000)
    for limit in (200_000, 4_000_000):
        done = subprocess.run(
            [sys.executable, "-m", "eimf_cli", "prepare", str(log), "-o", str(out)],
            capture_output=True,
            env=environment,
            cwd=ROOT,
            timeout=120,
            check=False,
            preexec_fn=lambda limit=limit: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        )
        assert "the disk is full" in one_error_line(done, 1)
        assert files_of(out) == before
        assert sorted(path.name for path in out.iterdir()) == sorted(before)


Prepared = tuple[Path, float, dict[str, bytes]]


@pytest.fixture(scope="module")
def long_log(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Prepared:
    """A log that takes a while, the seconds that prepare takes for it, and the files it makes."""
    folder = tmp_path_factory.mktemp("long")
    log = write_log(folder / "log.csv", 200_000)
    command = [sys.executable, "-m", "eimf_cli", "prepare", str(log), "-o", str(folder / "out")]
    start = time.monotonic()
    subprocess.run(command, env=environment, cwd=ROOT, check=True, capture_output=True, timeout=120)
    return log, time.monotonic() - start, files_of(folder / "out")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_killed_at_any_moment_it_leaves_the_old_output_or_none(
    tmp_path: Path, environment: dict[str, str], eimf: Eimf, long_log: Prepared, number: signal.Signals
) -> None:
    (log, whole, new), out = long_log, tmp_path / "out"
    command = [sys.executable, "-m", "eimf_cli", "prepare", str(log), "-o", str(out)]
    eimf("prepare", write_log(tmp_path / "old.csv", 500), "-o", out)
    old = files_of(out)
    for share in (0.3, 0.5, 0.7, 0.85, 0.95):
        process = subprocess.Popen(command, env=environment, cwd=ROOT, stderr=subprocess.PIPE)
        time.sleep(whole * share)
        process.send_signal(number)
        _, stderr = process.communicate(timeout=60)
        if number != signal.SIGKILL and process.returncode:
            assert process.returncode == (130 if number == signal.SIGINT else 143), stderr.decode()
            assert not (out / ".prepare.tmp").exists()
        left = files_of(out)
        left.pop(".sequences.jsonl.lock", None)
        if "sequences.jsonl" in left:
            known = {name: content for name, content in left.items() if not name.endswith("meta.json")}
            assert any(known == {name: made[name] for name in known} for made in (old, new))
            if left["sequences.jsonl"] == new["sequences.jsonl"]:
                eimf("prepare", tmp_path / "old.csv", "-o", out)
    done = eimf("prepare", log, "-o", out)
    assert done.returncode == 0
    assert files_of(out)["sequences.jsonl"] == new["sequences.jsonl"]
    assert sorted(path.name for path in out.iterdir()) == sorted(new)


def test_a_second_writer_is_told_to_wait(eimf: Eimf, tmp_path: Path) -> None:
    from eimf_core.io import files

    log = write_log(tmp_path / "log.csv", 200)
    with files.locked(tmp_path / "out" / "sequences.jsonl"):
        assert "another process" in one_error_line(eimf("prepare", log, "-o", tmp_path / "out"), 2)


@pytest.mark.slow
@pytest.mark.parametrize("call", [0, 1, 2])
def test_killed_between_two_files_there_is_no_mixture(
    tmp_path: Path, environment: dict[str, str], eimf: Eimf, call: int
) -> None:
    out, log = tmp_path / "out", write_log(tmp_path / "log.csv", 900)
    eimf("prepare", write_log(tmp_path / "old.csv", 500), "-o", out)
    program = (
        "import os, signal, sys\n"
        "move, calls = os.replace, []\n"
        "def killed(source, target):\n"
        "    if '.prepare.tmp' in str(source) and '.prepare.tmp' not in str(target):\n"
        f"        if len(calls) == {call}:\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n"
        "        calls.append(target)\n"
        "    move(source, target)\n"
        "os.replace = killed\n"
        "from eimf_cli.main import run\n"
        "run()\n"
    )
    command = [sys.executable, "-c", program, "prepare", str(log), "-o", str(out)]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    # items of one log beside sequences of another would be taken for a data set
    assert not (out / "sequences.jsonl").exists()
    assert eimf("prepare", log, "-o", out).returncode == 0
    kept = files_of(out)
    assert eimf("prepare", log, "-o", tmp_path / "fresh").returncode == 0
    assert kept["sequences.jsonl"] == files_of(tmp_path / "fresh")["sequences.jsonl"]
    assert ".prepare.tmp" not in {path.name for path in out.iterdir()}
