"""`eimf recommend` as a subprocess: nearest items, explanations, what may be listed, new items, words, trust."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from eimf_core.model_directory import artifact
from eimf_core.records import Item
from tests.conftest import Eimf, one_error_line
from tests.recommend_models import small_items, write_named_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `model/`, and `worded/` which knows words and item text."""
    folder = tmp_path_factory.mktemp("recommend")
    write_named_model(folder / "model")
    write_named_model(folder / "worded", words=True)
    return folder


def answer(eimf: Eimf, folder: Path, *arguments: object, command: str = "recommend") -> dict[str, Any]:
    done = eimf(command, *arguments, cwd=folder)
    assert done.returncode == 0, done.stderr.decode()
    (line,) = done.stdout.splitlines()
    made: dict[str, Any] = json.loads(line)
    return made


def ids(made: dict[str, Any]) -> list[str]:
    return [item["item"] for item in made["items"]]


def test_an_empty_history_is_answered_by_popularity(eimf: Eimf, folder: Path) -> None:
    done = eimf("recommend", "model", "-k", "2", stdin=b'{"history":[]}', cwd=folder)
    made = json.loads(done.stdout)
    assert made["fallback"] == "popularity" and len(made["items"]) == 2 and made["unknown"] == []


@pytest.mark.parametrize(
    ("option", "blank"), [("--items", ""), ("--items", " , "), ("--like", ""), ("--text", " "), ("--user", "")]
)
def test_an_option_that_says_nothing_is_not_answered_by_popularity(
    eimf: Eimf, folder: Path, option: str, blank: str
) -> None:
    line = one_error_line(eimf("recommend", "worded", option, blank, cwd=folder), 2)
    assert option in line and "is empty" in line


def test_arguments_that_are_no_utf8(eimf: Eimf, folder: Path) -> None:
    bent = b"tea\xff".decode("utf-8", "surrogateescape")
    for options in (("--items", f"tea-1,{bent}"), ("--text", bent), ("--like", bent), ("--explain", bent)):
        assert options[0] in one_error_line(eimf("recommend", "worded", *options, cwd=folder), 2)
    one_error_line(eimf("similar", "model", bent + "zzz", cwd=folder), 2)


def test_settings_that_make_no_sense(eimf: Eimf, folder: Path) -> None:
    for option, value in (("--threads", 0), ("--min-score", "nan"), ("--anchors", -1), ("--diversity", "nan")):
        assert option in one_error_line(eimf("recommend", "model", "--items", "tea-1", option, value, cwd=folder), 2)


def test_threads_do_not_change_the_answers(eimf: Eimf, folder: Path) -> None:
    names = [item.item for item in small_items()]
    lines = [{"history": [names[at % 24], names[at * 7 % 24]], "k": 1 + at % 9} for at in range(1_500)]
    stdin = "\n".join(map(json.dumps, lines)).encode()
    made = [eimf("recommend", "model", "--threads", number, stdin=stdin, cwd=folder) for number in (1, 3)]
    assert made[0].stdout == made[1].stdout and made[0].stdout.count(b"\n") == 1_500


def test_a_list_longer_than_any_catalogue_holds_what_is_there(eimf: Eimf, folder: Path) -> None:
    line = json.dumps({"history": ["tea-1"], "diversity": 0.5, "k": (1 << 63) - 1}).encode()
    done = eimf("recommend", "model", stdin=line, cwd=folder)
    assert done.returncode == 0 and len(json.loads(done.stdout)["items"]) == 23


def test_nearest_items(eimf: Eimf, folder: Path) -> None:
    made = answer(eimf, folder, "model", "loom", "-k", "3", command="similar")
    assert made["id"] == "yarn-6" and made["interests"] == [] and "yarn-6" not in ids(made)
    vectors = artifact.open_model(folder / "model").vectors
    units = vectors[1:] / np.linalg.norm(vectors[1:], axis=1, keepdims=True)
    cosines = units @ units[small_items().index(next(item for item in small_items() if item.item == "yarn-6"))]
    assert [item["score"] for item in made["items"]] == pytest.approx(np.sort(cosines)[::-1][1:4].tolist(), abs=1e-5)
    assert "no item has the id or a title" in one_error_line(eimf("similar", "model", "x", cwd=folder), 3)
    assert "'Fish Tank' (fish-1)" in one_error_line(eimf("similar", "model", "fish", cwd=folder), 3)
    done = eimf("similar", "model", "fish", "--first-match", "--table", "-k", "1", cwd=folder)
    assert done.stdout.startswith(b"nearest to fish: 1 item listed\n")
    assert done.stderr == b"'fish' is taken for 'Fish Net' (fish-6)\n"


@pytest.mark.parametrize(
    ("options", "command"), [(["--similar", "loom"], "similar"), (["--verify", "--items", "tea-1"], "verify")]
)
def test_an_option_that_is_a_command_is_sent_there(eimf: Eimf, folder: Path, options: list[str], command: str) -> None:
    told = one_error_line(eimf("recommend", "model", *options, cwd=folder), 2)
    assert told == f"eimf: there is no option --{command}, but a command: eimf {command} --help"


def test_an_explanation_agrees_with_the_list(eimf: Eimf, folder: Path) -> None:
    asked = ("model", "--items", "tea-1,yarn-1", "-k", "22")
    listed = answer(eimf, folder, *asked)
    for place in (0, 9, 21):
        item = listed["items"][place]
        told = answer(eimf, folder, *asked, "--explain", item["item"])["explain"]
        assert (told["item"], told["rank"], told["of"]) == (item["item"], item["rank"], 22)
        assert (told["interest"], told["score"]) == (item["interest"], item["score"]) and "left_out" not in told
        assert told["interest_rank"] <= told["rank"] and told["score"] == max(told["scores"])
        assert [through["weight"] for through in told["through"]] == [0.5, 0.5]
    seen = answer(eimf, folder, *asked, "--explain", "black tea")["explain"]
    assert seen["item"] == "tea-1" and seen["left_out"] == "seen" and seen["of"] == 23
    table = eimf("recommend", *asked, "--explain", "loom", "--table", cwd=folder).stdout.decode()
    assert "Loom (yarn-6): rank" in table and "through" in table
    one_error_line(eimf("recommend", "model", "--explain", "loom", cwd=folder), 2)
    assert "nothing" in one_error_line(eimf("recommend", "model", "--items", "x", "--explain", "loom", cwd=folder), 3)


def test_what_may_be_listed(eimf: Eimf, folder: Path) -> None:
    (folder / "stock.txt").write_text("tea-2\n\nyarn-1\nnope\n")
    (folder / "stock.jsonl").write_text('{"item": "tea-2"}\n{"item": "fish-3", "title": "x"}\n')
    asked = ("model", "--items", "tea-1", "-k", "24")
    assert set(ids(answer(eimf, folder, *asked, "--only-items", "stock.txt"))) == {"tea-2", "yarn-1"}
    assert len(ids(answer(eimf, folder, *asked, "--exclude-items", "stock.jsonl"))) == 21
    assert set(ids(answer(eimf, folder, *asked, "--only-items", "stock.txt", "--exclude", "tea-2"))) == {"yarn-1"}
    made = answer(eimf, folder, *asked, "--only", "category=FISH", "--only", "category=yarn")
    assert {item[:4] for item in ids(made)} == {"fish", "yarn"} and len(ids(made)) == 16
    popular = answer(eimf, folder, "model", "--items", "nope", "--only", "category=tea", "-k", "1")
    assert ids(popular) == ["tea-7"]
    similar = answer(eimf, folder, "model", "tea-1", "--only-items", "stock.txt", command="similar")
    assert set(ids(similar)) == {"tea-2", "yarn-1"}


@pytest.mark.parametrize(
    ("option", "value", "code", "words"),
    [
        ("--only", "category=books", 2, "there are tea, yarn, fish"),
        ("--only", "books", 2, "category=NAME"),
        ("--only-items", "nowhere.txt", 2, "nowhere.txt"),
        ("--only-items", "strangers.txt", 3, "strangers.txt"),
        ("--only-items", "empty.txt", 3, "is empty"),
        ("--exclude-items", "bad.jsonl", 3, "bad.jsonl:2: field 'item'"),
        ("--new-items", "bad.jsonl", 3, "bad.jsonl:2"),
        ("--new-items", "new.jsonl", 2, "--item-vectors text"),
        ("--encoder", "./nowhere", 0, ""),
    ],
)
def test_bad_files(eimf: Eimf, folder: Path, option: str, value: str, code: int, words: str) -> None:
    (folder / "strangers.txt").write_text("a\nb\n")
    (folder / "empty.txt").touch()
    (folder / "bad.jsonl").write_text('{"item": "a", "title": "A"}\n{"item": [3]}\n')
    (folder / "new.jsonl").write_text('{"item": "a", "title": "A"}\n')
    done = eimf("recommend", "model", "--items", "tea-1", option, value, cwd=folder)
    if code:
        assert words in one_error_line(done, code)
    else:
        assert done.returncode == 0 and done.stderr == b""


def test_words_find_their_taste(eimf: Eimf, folder: Path) -> None:
    made = answer(eimf, folder, "worded", "--text", "a cup of green tea", "-k", "5")
    assert {item[:3] for item in ids(made)} == {"tea"}
    (interest,) = made["interests"]
    assert interest["name"] == "tea drinking" and interest["anchors"] == [] and interest["weight"] == 1
    places = artifact.open_model(folder / "worded").vectors
    # words have the length 1 where two maps place them
    assert made["items"][0]["score"] <= np.linalg.norm(places, axis=1).max() + 1e-6
    mixed = answer(eimf, folder, "worded", "--items", "fish-1,fish-2", "--text", "knitting with wool", "-k", "24")
    alone = answer(eimf, folder, "worded", "--items", "fish-1,fish-2", "-k", "24")
    assert sorted(ids(mixed)) == sorted(ids(alone))
    yarn = [sum(at for at, item in enumerate(ids(made)) if item.startswith("yarn")) for made in (mixed, alone)]
    assert yarn[0] < yarn[1], "words pull their items up"
    assert [anchor["item"] for anchor in mixed["interests"][0]["anchors"]] == ["fish-1", "fish-2"]


def test_words_of_another_encoder_are_refused(eimf: Eimf, folder: Path, tmp_path: Path) -> None:
    write_named_model(tmp_path / "other", words=True, text_encoder="another@0123456789abcdef")
    line = one_error_line(eimf("recommend", "other", "--text", "tea", cwd=tmp_path), 2)
    assert "another@0123456789abcdef" in line and "--encoder" in line
    # a directory that names a path or a hub is compared with, never followed
    write_named_model(tmp_path / "path", words=True, text_encoder=str(tmp_path))
    one_error_line(eimf("recommend", "path", "--text", "tea", cwd=tmp_path), 2)


def test_new_items_are_ranked_by_their_text(eimf: Eimf, folder: Path) -> None:
    new = [
        Item(item="new-1", title="Jasmine Green Tea", categories=["tea"]),
        Item(item="new-2", title="Mohair Wool Yarn for Knitting", categories=["yarn"]),
        Item(item="tea-1", title="Renamed", categories=["yarn"]),
        Item(item="blank", title=" ", categories=[]),
    ]
    lines = [json.dumps({"item": item.item, "title": item.title, "categories": item.categories}) for item in new]
    (folder / "late.jsonl").write_text("\n".join(lines) + "\n")
    asked = ("worded", "--new-items", "late.jsonl", "-k", "26")
    done = eimf("recommend", *asked, "--items", "tea-1,tea-2", cwd=folder)
    ranked = ids(json.loads(done.stdout))
    assert ranked.index("new-1") < 8 <= ranked.index("new-2") and "blank" not in ranked
    assert "1 items are known already" in done.stderr.decode() and "without any text" in done.stderr.decode()
    # and a new item may itself be the history
    made = answer(eimf, folder, *asked, "--items", "new-2", "--only", "category=tea", "--only", "category=yarn")
    assert {item[:4] for item in ids(made)[:5]} == {"yarn"} and "new-1" in ids(made) and made["unknown"] == []
    assert answer(eimf, folder, *asked, "--like", "jasmine", "--explain", "mohair")["explain"]["item"] == "new-2"


def test_verify(eimf: Eimf, tmp_path: Path) -> None:
    write_named_model(tmp_path / "model")
    done = eimf("verify", tmp_path / "model")
    assert done.returncode == 0 and done.stdout == b"" and b"every file" in done.stderr
    weights = bytearray((tmp_path / "model" / "weights.safetensors").read_bytes())
    weights[-1] ^= 1
    (tmp_path / "model" / "weights.safetensors").write_bytes(weights)
    for asked in (["recommend", tmp_path / "model", "--items", "tea-1"], ["verify", tmp_path / "model"]):
        line = one_error_line(eimf(*asked), 4)
        assert "weights.safetensors" in line and "sha256" in line


def test_new_items_where_interests_are_named_by_words(eimf: Eimf, tmp_path: Path) -> None:
    write_named_model(tmp_path / "model", words=True, named=False)
    (tmp_path / "late.jsonl").write_text('{"item": "new-1", "title": "Jasmine Green Tea", "categories": ["tea"]}\n')
    done = answer(eimf, tmp_path, "model", "--new-items", "late.jsonl", "-k", "26", "--items", "tea-1,tea-2")
    assert "new-1" in ids(done) and done["interests"]


def test_ids_that_hold_a_comma(eimf: Eimf, folder: Path, tmp_path: Path) -> None:
    names = {"tea-1": "Tea 1,000 leaves", "tea-2": "Tea, green"}
    items = [msgspec.structs.replace(item, item=names.get(item.item, item.item)) for item in small_items()]
    write_named_model(tmp_path / "model", items)
    plain = answer(eimf, folder, "model", "--items", "tea-1,tea-3,tea-2", "--exclude", "tea-0")
    expected = [names.get(item, item) for item in ids(plain)]
    for given in ("Tea 1,000 leaves,tea-3,Tea, green", '"Tea 1,000 leaves",tea-3,"Tea, green"'):
        made = answer(eimf, tmp_path, "model", "--items", given, "--exclude", "tea-0")
        assert ids(made) == expected and made["unknown"] == []
    left = answer(eimf, tmp_path, "model", "--items", "tea-3", "--exclude", "Tea 1,000 leaves", "-k", "30")
    assert "Tea 1,000 leaves" not in ids(left) and "Tea, green" in ids(left)


def test_numbers_are_ids_on_query_lines(eimf: Eimf, tmp_path: Path) -> None:
    items = [msgspec.structs.replace(item, item=str(at)) for at, item in enumerate(small_items())]
    write_named_model(tmp_path / "model", items)
    lines = b'{"id":1,"history":[3,4],"exclude":[5]}\n{"id":"1","history":["3","4"],"exclude":["5"]}\n'
    done = eimf("recommend", "model", stdin=lines, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    first, second = map(json.loads, done.stdout.splitlines())
    assert first == second and "5" not in ids(first)
