"""Reading and writing JSON lines: errors name the place, files appear whole, journals resume."""

import gzip
import os
import stat
from pathlib import Path

import pytest

from eimf_cli import exit_codes
from eimf_core.errors import ConfigError, InputError
from eimf_core.io import files, jsonl, provenance, raw_files
from eimf_core.recommend.query import query_input
from eimf_core.records import Item, Query, Sequence


def test_round_trip_leaves_none_out(tmp_path: Path) -> None:
    item = Item(item="a", title="Füße \U0001f9e6", categories=["x"])
    jsonl.write(tmp_path / "items.jsonl", [item])
    assert b"text" not in (tmp_path / "items.jsonl").read_bytes()
    assert list(jsonl.read(tmp_path / "items.jsonl", Item)) == [item]


@pytest.mark.parametrize(
    ("line", "field", "words"),
    [
        (b'{"item": "a"}', "title", "missing"),
        (b'{"item": true, "title": "t"}', "item", "expected 'str', got 'bool'"),
        (b'{"item": 7.5, "title": "t"}', "item", "expected 'str', got 'float'"),
        (b'{"item": "a", "title": 7}', "title", "expected 'str', got 'int'"),
        (b'{"item": "a", "title": "t", "categories": ["x", 3]}', "categories[1]", "expected 'str'"),
        (b'{"item": "a", "title": NaN}', None, "not a JSON object"),
        (b"item,title", None, "not a JSON object"),
        (b'{"item": "a"', None, "not a JSON object (unexpected end of data at character 14); expected one Item a line"),
        (b"[1]", None, "expected 'object', got 'array'"),
        (b'{"item": "\xff", "title": "t"}', None, "is not text in UTF-8"),
        (b'{"item": 7, "title": "t", "attributes": {"x": ' + b"[" * 99 + b"]" * 99 + b"}}", None, "more than 100"),
    ],
)
def test_bad_line_names_file_line_and_field(tmp_path: Path, line: bytes, field: str | None, words: str) -> None:
    path = tmp_path / "items.jsonl"
    path.write_bytes(b'{"item": "0", "title": "fine"}\n\n' + line + b"\n")
    with pytest.raises(InputError) as caught:
        list(jsonl.read(path, Item))
    assert (caught.value.file, caught.value.line, caught.value.field) == (str(path), 3, field)
    assert words in str(caught.value)


def test_whole_numbers_are_ids() -> None:
    line = b'{"id": 1, "history": [50, "x", 7.0, 12345678901234567890], "exclude": [3], "only": null, "k": 2}'
    assert jsonl.decode(line, Query, file="x", number=1) == Query(
        id="1", history=["50", "x", "7", "12345678901234567890"], exclude=["3"], k=2
    )
    made = jsonl.decode(
        b'{"user": 7, "split": "train", "items": [1, 2], "times": [5, 6]}', Sequence, file="x", number=1
    )
    assert made == Sequence(user="7", split="train", items=["1", "2"], times=[5, 6])


def test_gzip_and_truncated_gzip(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl.gz"
    lines = [Sequence(user=str(n), split="train", items=["a"] * 50) for n in range(200)]
    jsonl.write(path, lines)
    assert list(jsonl.read(path, Sequence)) == lines
    first = path.read_bytes()
    jsonl.write(path, lines)
    assert path.read_bytes() == first
    assert gzip.decompress(first).count(b"\n") == 200
    path.write_bytes(first[:-20])
    with pytest.raises(InputError, match="gzip"):
        list(jsonl.read(path, Sequence))


def test_empty_missing_and_directory(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(InputError, match="empty"):
        list(jsonl.read(tmp_path / "empty", Item))
    with pytest.raises(ConfigError, match="no such file"):
        list(jsonl.read(tmp_path / "none", Item))
    with pytest.raises(ConfigError, match="directory"):
        list(jsonl.read(tmp_path, Item))


def test_exception_keeps_the_old_file_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_text("old")
    with pytest.raises(RuntimeError), jsonl.writer(path) as out:
        out.write(Item(item="a", title="t"))
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_journal_cuts_a_torn_tail_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    first = jsonl.Journal(path, Item)
    first.append(Item(item="a", title="t"))
    first.close()
    with first.partial.open("ab") as stream:
        stream.write(b'{"item": "b", "ti')
    second = jsonl.Journal(path, Item)
    assert [item.item for item in second.finished] == ["a"]
    second.append(Item(item="c", title="t"))
    second.finish()
    assert [item.item for item in jsonl.read(path, Item)] == ["a", "c"]
    assert list(tmp_path.iterdir()) == [path]


def test_devices_and_pipes_are_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with files.locked(pipe), files.atomic(pipe) as stream:
        stream.write(b"line\n")
    assert os.read(reader, 100) == b"line\n" and stat.S_ISFIFO(pipe.stat().st_mode)
    os.close(reader)
    provenance.write(pipe, {})
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]
    with files.atomic("/dev/null") as stream:
        stream.write(b"line\n")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    with pytest.raises(OSError, match="No space"), files.atomic("/dev/full") as stream:
        stream.write(b"line\n")
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


def test_a_line_without_end_is_told_and_not_held(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl.gz"
    with gzip.open(path, "wb", compresslevel=1) as packed:
        packed.write(b'{"item": "a", "title": "b"}\n')
        packed.writelines(b" " * (1 << 20) for _ in range(17))
    with pytest.raises(InputError, match=r"items.jsonl.gz:2: the line is longer than 16 MiB"):
        list(jsonl.read(path, Item))
    with pytest.raises(InputError, match=r"items.jsonl.gz:2: the line is longer than 16 MiB"):
        list(query_input.available_lines(path, 1))


def test_long_values_are_cut_in_errors() -> None:
    outcome = exit_codes.of_exception(
        InputError("is '" + "x" * 10_000_000 + "', expected a number", file="log", line=3)
    )
    assert outcome.line.startswith("log:3: is 'xxx") and outcome.line.endswith("', expected a number")
    assert len(outcome.line) < 2100 and outcome.code == 3


def test_a_journal_is_read_within_bounds(tmp_path: Path) -> None:
    partial = jsonl.partial(tmp_path / "labels.jsonl")
    partial.write_bytes(b" " * (17 << 20) + b"\n")
    with pytest.raises(InputError, match=r"labels.jsonl.partial:1: the line is longer than 16 MiB"):
        jsonl.Journal(tmp_path / "labels.jsonl", Item)
    partial.unlink()
    os.mkfifo(partial)
    with pytest.raises(ConfigError, match=r"labels.jsonl.partial: cannot be written \(it is no regular file"):
        jsonl.Journal(tmp_path / "labels.jsonl", Item)


def test_named_pipes_and_unreadable_files_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw_files, "PIPE_SECONDS", 0.05)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match=r"pipe: is a named pipe that nobody writes to"):
        list(jsonl.read(tmp_path / "pipe", Item))
    with pytest.raises(InputError, match=r"/proc/self/mem: cannot be read"):
        list(jsonl.read("/proc/self/mem", Item))
    assert provenance.hashes(tmp_path / "pipe") is None
    # a device has no end, so that nothing that goes on behind a bad line would ever end
    for device in ("/dev/zero", "/dev/urandom"):
        with pytest.raises(ConfigError, match=f"{device}: is a device, expected a file"):
            list(jsonl.read(device, Item))
    with pytest.raises(InputError, match="is empty"):
        list(jsonl.read("/dev/null", Item))
    with open(tmp_path / "text", "wb") as stream:
        stream.truncate(raw_files.LONGEST_TEXT + 1)
    with pytest.raises(ConfigError, match="is longer than 16 MiB"):
        raw_files.read_bounded(tmp_path / "text")
