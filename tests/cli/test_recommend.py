"""`eimf recommend` as a subprocess: every way of asking, tables and lines, pipes, errors in one line."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from tests.conftest import ROOT, Eimf, one_error_line
from tests.recommend_models import small_items, write_named_model
from tests.small_data import write_small_data


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `data/` and `model/`."""
    folder = tmp_path_factory.mktemp("recommend")
    (folder / "data").mkdir()
    write_small_data(folder / "data")
    write_named_model(folder / "model")
    return folder


def answers(content: bytes) -> list[dict[str, object]]:
    return [json.loads(line) for line in content.splitlines()]


def test_ids_on_the_command_line(eimf: Eimf, folder: Path) -> None:
    done = eimf("recommend", "model", "--items", "tea-1, tea-2", "--items", "nope", "-k", "2", cwd=folder)
    assert done.returncode == 0, done.stderr.decode()
    (answer,) = answers(done.stdout)
    assert [item["rank"] for item in answer["items"]] == [1, 2]  # type: ignore[attr-defined]
    assert answer["unknown"] == ["nope"] and "fallback" not in answer
    assert answer["interests"][0]["name"] == "tea drinking"  # type: ignore[index]
    assert done.stderr.decode() == "eimf: warning: unknown items: nope\n"
    assert one_error_line(eimf("recommend", "model", "--items", "nope", "--strict", cwd=folder), 3)
    alone = eimf("recommend", "model", "--items", "nope", cwd=folder)
    assert answers(alone.stdout)[0]["fallback"] == "popularity"
    assert "unknown items: nope; no id of the history is known, so that the most popular" in alone.stderr.decode()


def test_a_table_with_the_same_content(eimf: Eimf, folder: Path) -> None:
    asked = ("recommend", "model", "--items", "tea-1,yarn-1", "-k", "3")
    text = eimf(*asked, "--table", cwd=folder).stdout.decode()
    (answer,) = answers(eimf(*asked, "--jsonl", cwd=folder).stdout)
    brought = [item["interest"] for item in answer["items"]]  # type: ignore[attr-defined]
    interests = [answer["interests"][index] for index in set(brought)]  # type: ignore[index]
    words = [item[field] for item in answer["items"] for field in ("item", "title")]  # type: ignore[attr-defined]
    words += [f"{item['score']:.4f}" for item in answer["items"]]  # type: ignore[attr-defined]
    words += [interest.get("name", f"like {interest['anchors'][0]['title']}") for interest in interests]
    words += [anchor["title"] for interest in interests for anchor in interest["anchors"]]
    assert [word for word in words if word not in text] == []
    assert "rank" in text and "because of" in text and "{" not in text


def test_an_interest_without_a_name_is_shown_by_an_item(eimf: Eimf, folder: Path) -> None:
    config = folder / "high.toml"
    config.write_text("[recommend]\nname_threshold = 1\n")
    asked = ("recommend", "model", "--items", "tea-1,tea-1", "--config", config, "--table", "-k", "1")
    assert "like Black Tea" in eimf(*asked, cwd=folder).stdout.decode()
    without = eimf(*asked, "--anchors", "0", cwd=folder).stdout.decode()
    assert "like Black Tea" in without and "because of" not in without
    explained = eimf(*asked, "--explain", "tea-3", cwd=folder).stdout.decode()
    assert "through the interest like Black Tea, where" in " ".join(explained.split())
    (answer,) = answers(eimf(*asked, "--anchors", "0", "--explain", "tea-3", "--jsonl", cwd=folder).stdout)
    assert answer["interests"][0]["anchors"] == [] and answer["explain"]["interest"] == 0  # type: ignore[index]


def test_titles_roughly(eimf: Eimf, folder: Path) -> None:
    done = eimf("recommend", "model", "--like", "gren tea", "--like", "Zebra", "-k", "1", "--jsonl", cwd=folder)
    assert done.returncode == 0, done.stderr.decode()
    assert answers(done.stdout)[0]["unknown"] == ["Zebra"]
    said = done.stderr.decode()
    assert "'gren tea' is taken for 'Green Tea' (tea-0)" in said and "no title is like 'Zebra'; nearest are" in said
    line = one_error_line(eimf("recommend", "model", "--like", "fish", cwd=folder), 3)
    assert "'Fish Net' (fish-6)" in line and "'Fish Tank' (fish-1)" in line and "--first-match" in line
    assert eimf("recommend", "model", "--like", "fish", "--first-match", cwd=folder).returncode == 0


def test_a_title_without_its_year_comes_before_others_and_is_said(eimf: Eimf, tmp_path: Path) -> None:
    items = [
        msgspec.structs.replace(item, title={"tea-1": "Heat (1995)", "tea-2": "Heat Wave (1990)"}.get(item.item, "x"))
        for item in small_items()
    ]
    write_named_model(tmp_path / "model", items)
    done = eimf("recommend", tmp_path / "model", "--like", "heat", "--table")
    assert done.stderr.decode() == "'heat' is taken for 'Heat (1995)' (tea-1)\n"
    assert "history: Heat (1995)\n" in done.stdout.decode()
    # in a stream of many it goes without saying
    assert eimf("recommend", tmp_path / "model", stdin=b'{"titles": ["heat"]}').stderr == b""


def test_a_user_is_not_offered_what_he_has_just_bought(eimf: Eimf, folder: Path) -> None:
    lines = [json.loads(line) for line in (folder / "data" / "sequences.jsonl").read_text().splitlines()]
    tested = next(line for line in lines if line["split"] == "test" and line["targets"][0] not in line["items"])
    (bought,) = tested["targets"]
    asked = ("recommend", "model", "-k", "24", "--user", tested["user"], "--sequences", "data")
    (answer,) = answers(eimf(*asked, cwd=folder).stdout)
    assert answer["id"] == tested["user"] and bought not in [item["item"] for item in answer["items"]]
    history = answer["history"]
    assert history["items"] == len(tested["items"]) + 1 and history["latest"][-1]["item"] == bought
    assert all(list(item) == ["item", "title"] for item in history["latest"])
    assert "until" not in history and "as_tested" not in history
    (answer,) = answers(eimf(*asked, "--as-tested", cwd=folder).stdout)
    assert bought in [item["item"] for item in answer["items"]] and answer["history"]["as_tested"]
    table = eimf(*asked, "--as-tested", "--table", cwd=folder).stdout.decode()
    assert f"history: {len(tested['items'])} items (what came next is left out), the last: " in table


def test_the_answer_says_until_when_the_history_goes(eimf: Eimf, folder: Path, tmp_path: Path) -> None:
    write_small_data(tmp_path, times=True)
    asked = ("recommend", folder / "model", "--user", "user-3", "--sequences", tmp_path)
    (answer,) = answers(eimf(*asked).stdout)
    tested = [json.loads(line) for line in (tmp_path / "sequences.jsonl").read_text().splitlines()]
    (last,) = next(line for line in tested if (line["user"], line["split"]) == ("user-3", "test"))["target_times"]
    assert answer["history"]["until"] == last
    day = datetime.fromtimestamp(last, UTC).strftime("%Y-%m-%d")
    assert f" items until {day}, the last: " in eimf(*asked, "--table").stdout.decode()
    # what is added on the command line comes later than all that is known
    (answer,) = answers(eimf(*asked, "--items", "tea-1").stdout)
    assert "until" not in answer["history"] and answer["history"]["latest"][-1]["item"] == "tea-1"


def test_a_user_who_is_nowhere(eimf: Eimf, folder: Path) -> None:
    asked = ("recommend", "model", "--user", "nobody", "--sequences", "data/sequences.jsonl")
    line = one_error_line(eimf(*asked, cwd=folder), 3)
    assert "sequences.jsonl" in line and "'nobody'" in line
    assert "--sequences data/" in one_error_line(eimf(*asked[:4], cwd=folder), 2)
    assert "--as-tested" in one_error_line(eimf("recommend", "model", "--items", "a", "--as-tested", cwd=folder), 2)


def test_lines_are_answered_in_order(eimf: Eimf, folder: Path) -> None:
    stdin = b'{"id": "a", "history": ["tea-1"], "k": 2}\n\n{"history": ["nope"], "k": 1}\n{"titles": ["loom"]}'
    done = eimf("recommend", "model", stdin=stdin, cwd=folder)
    assert done.returncode == 0, done.stderr.decode()
    made = answers(done.stdout)
    assert [answer["id"] for answer in made] == ["a", "3", "4"]
    assert [len(answer["items"]) for answer in made] == [2, 1, 10]  # type: ignore[arg-type]
    assert "3: unknown items: nope" in done.stderr.decode()
    (folder / "queries.jsonl").write_bytes(stdin)
    assert eimf("recommend", "model", "--queries", "queries.jsonl", cwd=folder).stdout == done.stdout


def test_a_line_alone_is_answered_at_once(folder: Path, environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "eimf_cli", "recommend", str(folder / "model")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd=ROOT) as running:
        assert running.stdin is not None and running.stdout is not None
        for name in ("first", "second"):
            running.stdin.write(b'{"id": "%s", "history": ["tea-1"]}\n' % name.encode())
            running.stdin.flush()
            # would wait for ever if the answer came only at the end of the input
            assert json.loads(running.stdout.readline())["id"] == name
        running.stdin.close()
        assert running.wait(timeout=60) == 0


@pytest.mark.parametrize(
    ("stdin", "words"),
    [
        (b"", "is empty"),
        (b"no json\n", "<stdin>:1"),
        (b'{"id": "1"}\n', "<stdin>:1"),
        (b'{"history": ["tea-1"], "k": 0}\n', "field 'k'"),
        (b'{"history": ["tea-1"], "diversity": -1}\n', "field 'diversity'"),
        (b'{"history": ["tea-1"], "seen": "maybe"}\n', "field 'seen'"),
        (b'{"history": ["tea-1"], "times": [1, 2]}\n', "field 'times'"),
    ],
)
def test_bad_lines(eimf: Eimf, folder: Path, stdin: bytes, words: str) -> None:
    assert words in one_error_line(eimf("recommend", "model", stdin=stdin, cwd=folder), 3)


def test_what_stands_before_a_bad_line_is_answered(eimf: Eimf, folder: Path) -> None:
    stdin = b'{"history": ["tea-1"]}\n{"history": ["tea-2"]}\n{"history": "tea-3"}\n{"history": ["tea-4"]}\n'
    done = eimf("recommend", "model", stdin=stdin, cwd=folder)
    assert "<stdin>:3: field 'history'" in one_error_line(done, 3)
    assert [answer["id"] for answer in answers(done.stdout)] == ["1", "2"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--items", "tea-1", "-k", "0"], "-k"),
        (["--items", "tea-1", "--seen", "maybe"], "maybe"),
        (["--items", "tea-1", "--diversity", "-1"], "--diversity"),
        (["--items", "tea-1", "--queries", "-"], "--queries"),
        (["--queries", "nowhere.jsonl"], "nowhere.jsonl"),
        (["--queries", "model"], "is a directory"),
        (["--user", "u", "--sequences", "nowhere.jsonl"], "nowhere.jsonl"),
        (["--text", "tea"], "cannot rank by words"),
    ],
)
def test_wrong_arguments(eimf: Eimf, folder: Path, arguments: list[str], words: str) -> None:
    done = eimf("recommend", "model", *arguments, cwd=folder)
    assert words in one_error_line(done, 2)
    assert done.stdout == b""


def test_titles_cannot_steer_the_terminal(eimf: Eimf, tmp_path: Path) -> None:
    items = [
        type(item)(item=item.item, title=f"\x1b[31m{item.title}\x07\n", categories=["\x1b]0;x\x07"])
        for item in small_items()
    ]
    write_named_model(tmp_path / "model", items)
    for arguments in (["--items", "tea-1", "--table"], ["--like", "fish"], ["--like", "zebra"]):
        done = eimf("recommend", tmp_path / "model", *arguments)
        shown = done.stdout if "--table" in arguments else done.stderr
        assert b"\x1b" not in shown and b"\x07" not in shown and b"Traceback" not in shown
    lines = eimf("recommend", tmp_path / "model", "--items", "tea-1").stdout
    assert b"\x1b" not in lines and json.loads(lines)["items"][0]["title"].startswith("\x1b[31m")


def test_no_heavy_package_is_loaded(folder: Path, environment: dict[str, str]) -> None:
    program = (
        "import sys; sys.argv = ['eimf', 'recommend', *sys.argv[1:]]\n"
        "from eimf_cli.main import run\n"
        "try:\n    run()\nexcept SystemExit as stop:\n    assert not stop.code, stop.code\n"
        "heavy = {'torch', 'sentence_transformers', 'transformers', 'llama_cpp', 'sklearn', 'scipy', 'rapidfuzz',"
        " 'tokenizers', 'rich.table', 'onnx', 'importlib.metadata'}\n"
        "print(sorted(set(sys.modules) & heavy), file=sys.stderr)"
    )
    # on a busy machine the start is announced without -q
    command = [sys.executable, "-c", program, str(folder / "model"), "--items", "tea-1", "-q"]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, check=True, timeout=60)
    assert done.stderr.decode().strip() == "[]"


def test_nothing_is_kept_of_what_was_asked(folder: Path, environment: dict[str, str], tmp_path: Path) -> None:
    """No library leaves a file for its maker, or for a later run, in the home or the temporary folder."""
    places = {name: str(tmp_path) for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME")}
    command = [sys.executable, "-m", "eimf_cli", "recommend", str(folder / "model"), "--items", "tea-1"]
    subprocess.run(command, env={**environment, **places}, cwd=ROOT, capture_output=True, check=True, timeout=60)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_closed_pipe_ends_quietly(folder: Path, environment: dict[str, str]) -> None:
    line = '{"history": ["tea-1"]}'
    command = (
        f"yes '{line}' | head -50000 | '{sys.executable}' -m eimf_cli recommend -q '{folder}/model' | head -1; "
        "exit ${PIPESTATUS[2]}"
    )
    done = subprocess.run(["bash", "-c", command], env=environment, cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0 and done.stdout.count(b"\n") == 1 and done.stderr == b""
