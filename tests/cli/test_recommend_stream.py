"""Query lines: the mark of UTF-8, very long lines, bad lines that are skipped; unknown ids wherever they stand."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path
from typing import Any

import pytest

from eimf_core.errors import InputError
from eimf_core.progress import Reporter
from eimf_core.recommend.config import RecommendConfig
from eimf_core.recommend.query import query_input
from eimf_core.recommend.session import RecommendRequest, Session
from eimf_core.records import Query
from tests.conftest import Eimf, one_error_line
from tests.recommend_models import answered, write_named_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stream")
    write_named_model(folder / "model")
    return folder


def answers(content: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in content.splitlines()]


def test_the_mark_of_utf8_in_front_is_no_part_of_a_line(eimf: Eimf, folder: Path) -> None:
    line = '\ufeff{"id": "a", "history": ["tea-1"]}\n{"id": "b", "history": ["tea-2"]}\n'.encode()
    done = eimf("recommend", "model", stdin=line, cwd=folder)
    assert done.returncode == 0, done.stderr.decode()
    assert [answer["id"] for answer in answers(done.stdout)] == ["a", "b"]
    (folder / "stock.txt").write_bytes("\ufefftea-2\ntea-3\n".encode())
    done = eimf("recommend", "model", "--items", "tea-1", "--only-items", "stock.txt", cwd=folder)
    assert {item["item"] for item in answers(done.stdout)[0]["items"]} == {"tea-2", "tea-3"} and done.stderr == b""


@pytest.mark.parametrize("content", [b"", b"\n", b"a", b"a\n", b"a\nb", b"\n\na\n\nbcd\ne", b"x" * 50 + b"\ny\n" * 3])
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_lines_come_whole_whatever_the_pieces(content: bytes, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query_input, "CHUNK", size)
    lines = [line for chunk in query_input._chunks(io.BytesIO(content), "x") for line in chunk]
    assert lines == (content.removesuffix(b"\n").split(b"\n") if content else [])


def test_a_misspelled_field_and_an_ambiguous_title_are_told_with_their_line(eimf: Eimf, folder: Path) -> None:
    asked = b'{"titles": ["fish"]}\n{"history": ["tea-1"], "K": 3}\n'
    done = eimf("recommend", "model", stdin=asked, cwd=folder)
    warning, error = done.stderr.decode().splitlines()
    assert done.returncode == 3 and error == "eimf: <stdin>:2: unknown field 'K'; did you mean k?"
    assert warning.startswith("eimf: warning: <stdin>:1: 'fish' may be '")
    assert len(answers(done.stdout)) == 1
    done = eimf("recommend", "model", stdin=b'{"items": ["tea-1"]}\n', cwd=folder)
    assert done.stderr == b"eimf: <stdin>:1: unknown field 'items'; the field is 'history'\n"
    done = eimf("recommend", "model", "--on-error", "skip", stdin=b'{"histroy": ["tea-1"]}\n' + asked, cwd=folder)
    assert [answer.get("error") for answer in answers(done.stdout)] == [
        "<stdin>:1: unknown field 'histroy'; did you mean history?", None,
        "<stdin>:3: unknown field 'K'; did you mean k?",
    ]  # fmt: skip


def test_a_giant_line_takes_time_in_proportion_to_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query_input, "CHUNK", 64)
    content = b"x" * (1 << 22) + b"\nshort"
    began = time.process_time()
    lines = [line for chunk in query_input._chunks(io.BytesIO(content), "x") for line in chunk]
    # 65,536 pieces: split again with each they would be 130 GB
    assert time.process_time() - began < 5 and lines == [b"x" * (1 << 22), b"short"]


BAD = (
    b'{"id": "a", "history": ["tea-1"], "k": 2}\n'
    b"no json\n\n"
    b'{"id": "c", "history": "tea-3"}\n'
    b'{"id": "d", "history": ["tea-4"], "k": 1}\n'
    b'{"id": "e", "text": "tea"}\n'
    b'{"id": "f"}'
)


def test_bad_lines_are_skipped_on_request_and_told_where_they_stand(eimf: Eimf, folder: Path) -> None:
    done = eimf("recommend", "model", "--on-error", "skip", stdin=BAD, cwd=folder)
    line = one_error_line(done, 3)
    assert "4 of 6 lines got an error in place of an answer, the first: <stdin>:2: not a JSON object" in line
    made = answers(done.stdout)
    assert [answer["id"] for answer in made] == ["a", "2", "c", "d", "e", "f"]
    assert [len(answer["items"]) for answer in made] == [2, 0, 0, 1, 0, 0]
    assert [answer.get("error", "")[:11] for answer in made] == [
        "",
        "<stdin>:2: ",
        "<stdin>:4: ",
        "",
        "line 6: mod",
        "<stdin>:7: ",
    ]
    table = eimf("recommend", "model", "--on-error", "skip", "--table", stdin=BAD, cwd=folder)
    assert table.returncode == 3 and b"c: <stdin>:4: field 'history'" in table.stdout
    good = BAD.splitlines()[0]
    assert eimf("recommend", "model", "--on-error", "skip", stdin=good, cwd=folder).returncode == 0
    assert eimf("recommend", "model", "--on-error", "maybe", stdin=good, cwd=folder).returncode == 2


def test_a_bad_line_ends_the_stream_without_the_option(eimf: Eimf, folder: Path) -> None:
    done = eimf("recommend", "model", stdin=BAD, cwd=folder)
    assert "<stdin>:2" in one_error_line(done, 3) and [answer["id"] for answer in answers(done.stdout)] == ["a"]
    assert b"--on-error" in eimf("recommend", "--help").stdout


def test_unknown_ids_to_leave_out_or_to_keep_are_reported(folder: Path) -> None:
    query = Query(history=["tea-1", "x"], exclude=["tea-2", "y", "x"], only=["tea-2", "tea-3", "z"])
    told: list[str] = []
    session = Session(folder / "model", RecommendConfig(), RecommendRequest(items=["-"]), reporter=_Listening(told))
    answer = answered(session, query)
    assert answer.unknown == ["x", "y", "z"] and told == ["unknown items: x, y, z"]
    assert [item.item for item in answer.items] == ["tea-3"]
    for more in ({"exclude": ["y"]}, {"only": ["tea-3", "z"]}):
        strict = Session(folder / "model", RecommendConfig(strict=True), RecommendRequest(items=["-"]))
        with pytest.raises(InputError, match=r"unknown: [yz]"):
            answered(strict, Query(history=["tea-1"], **more))


class _Listening(Reporter):
    def __init__(self, told: list[str]) -> None:
        self.warn = self.note = told.append  # type: ignore[method-assign]


def test_unknown_ids_on_the_command_line(eimf: Eimf, folder: Path) -> None:
    (folder / "gone.txt").write_text("tea-2\nnope\n")
    asked = ("recommend", "model", "--items", "tea-1")
    done = eimf(*asked, "--exclude", "tea-2,nöpe", cwd=folder)
    assert answers(done.stdout)[0]["unknown"] == ["nöpe"] and "unknown items: nöpe" in done.stderr.decode()
    assert "nöpe" in one_error_line(eimf(*asked, "--exclude", "nöpe", "--strict", cwd=folder), 3)
    for option in ("--exclude-items", "--only-items"):
        done = eimf(*asked, option, "gone.txt", cwd=folder)
        assert done.returncode == 0 and b"gone.txt: unknown items: nope" in done.stderr
        assert "gone.txt" in one_error_line(eimf(*asked, option, "gone.txt", "--strict", cwd=folder), 3)


def test_exclude_holds_for_a_stream_and_for_similar_items_too(eimf: Eimf, folder: Path) -> None:
    line = b'{"history": ["tea-1"], "k": 24}'
    done = eimf("recommend", "model", "--exclude", "tea-2,nope", stdin=line, cwd=folder)
    found = [item["item"] for item in answers(done.stdout)[0]["items"]]
    assert len(found) == 22 and "tea-2" not in found and b"unknown items: nope" in done.stderr
    done = eimf("similar", "model", "tea-1", "-k", "24", "--exclude", "tea-2", cwd=folder)
    assert "tea-2" not in [item["item"] for item in answers(done.stdout)[0]["items"]]
    one_error_line(eimf("recommend", "model", "--exclude", "nope", "--strict", stdin=line, cwd=folder), 3)


def test_nothing_to_leave_out_is_no_error_and_nothing_to_keep_is_one(eimf: Eimf, folder: Path) -> None:
    for content in (b"", b"\n\n"):
        (folder / "none.txt").write_bytes(content)
        asked = ("recommend", "model", "--items", "tea-1", "-k", "24")
        done = eimf(*asked, "--exclude-items", "none.txt", cwd=folder)
        assert done.returncode == 0 and len(answers(done.stdout)[0]["items"]) == 23 and done.stderr == b""
        assert "none.txt: is empty" in one_error_line(eimf(*asked, "--only-items", "none.txt", cwd=folder), 3)


def test_an_empty_list_is_told(eimf: Eimf, folder: Path) -> None:
    why = "--min-score 9 leaves none of the 23 items that seen left"
    asked = ("recommend", "model", "--items", "tea-1", "--min-score", "9")
    done = eimf(*asked, cwd=folder)
    assert done.returncode == 0 and answers(done.stdout)[0]["empty"] == why
    assert done.stderr.decode() == f"eimf: warning: nothing can be recommended: {why}\n"
    assert eimf(*asked, "--table", cwd=folder).stdout.decode() == f"history of 1 item: 0 items listed: {why}\n"
    similar = eimf("similar", "model", "tea-1", "--min-score", "9", cwd=folder)
    assert "--min-score 9" in answers(similar.stdout)[0]["empty"]
