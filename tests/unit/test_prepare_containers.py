"""Packed files, other encodings, lines of Python, and files that are no text: read, or named for what they are."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import pickle
import sqlite3
import sys
import tarfile
import threading
import zipfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import openpyxl
import orjson
import pytest

from eimf_core.errors import ConfigError, InputError
from eimf_core.io import jsonl, unpacking
from eimf_core.prepare import archives, containers, log_files
from tests.unit.test_prepare_formats import histories, run, titles
from tests.unit.test_prepare_rows import packed_zstd, zstd

LOG = "user,item,time\nu,a,1\nu,bé,2\nv,a,3\n"
HISTORIES = {"u": ["a", "bé"], "v": ["a"]}
ITEMS = "item,title\na,Tea\nbé,Wool\n"


def zipped(files: dict[str, str]) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return raw.getvalue()


def tarred(files: dict[str, str], mode: str) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode=mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content.encode())
            archive.addfile(member, io.BytesIO(content.encode()))
    return raw.getvalue()


READ: dict[str, bytes] = {
    "log.zip": zipped({"log.csv": LOG}),
    "with-readme.zip": zipped({"set/README.md": "about", "__MACOSX/._log.csv": "x", "set/log.csv": LOG}),
    "log.csv.xz": lzma.compress(LOG.encode()),
    "log.csv.bz2": bz2.compress(LOG.encode()),
    "log.tar": tarred({"log.csv": LOG}, "w"),
    "log.tar.gz": tarred({"log.csv": LOG}, "w:gz"),
    "log.tar.xz": tarred({"set/log.csv": LOG}, "w:xz"),
    "marked.csv": LOG.encode("utf-16"),
    "big-endian.csv": b"\xfe\xff" + LOG.encode("utf-16-be"),
    "no-mark.csv": LOG.encode("utf-16-le"),
    "wide.csv": LOG.encode("utf-32"),
    "packed.csv.gz": gzip.compress(LOG.encode("utf-16")),
}


@pytest.mark.parametrize("name", READ)
def test_what_is_packed_is_read(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(READ[name])
    (tmp_path / "items.bz2").write_bytes(bz2.compress(ITEMS.encode("utf-16")))
    run(tmp_path, name, items=["items.bz2"])
    assert histories(tmp_path) == HISTORIES
    assert titles(tmp_path) == {"a": "Tea", "bé": "Wool"}
    assert not (tmp_path / "out" / ".prepare.tmp").exists()
    sidecar = orjson.loads((tmp_path / "out" / "sequences.jsonl.meta.json").read_bytes())
    assert list(sidecar["inputs"]) == [str(tmp_path / name), str(tmp_path / "items.bz2")]


def test_an_archive_of_a_published_set_is_its_folder(tmp_path: Path) -> None:
    files = {
        "ml-1m/ratings.dat": "1::10::5::100\n1::20::4::110\n",
        "ml-1m/movies.dat": "10::Tea::Food\n20::Wool::Home\n",
        "ml-1m/users.dat": "1::F::1::10::x\n",
    }
    (tmp_path / "ml-1m.zip").write_bytes(zipped(files))
    run(tmp_path, "ml-1m.zip")
    assert histories(tmp_path) == {"1": ["10", "20"]} and titles(tmp_path) == {"10": "Tea", "20": "Wool"}
    (tmp_path / "two.zip").write_bytes(zipped({"x/one.csv": LOG, "x/two.csv": LOG}))
    with pytest.raises(
        ConfigError, match=r"two\.zip: holds none of the logs that are known by name, but one\.csv, two\.csv"
    ):
        run(tmp_path, "two.zip")
    with pytest.raises(ConfigError, match=r"two\.zip: holds several files .* unpack it"):
        run(tmp_path, "ml-1m.zip", items=["two.zip"])


def test_bad_rows_of_a_packed_file_keep_their_line(tmp_path: Path) -> None:
    (tmp_path / "log.csv.xz").write_bytes(lzma.compress(b"user,item\nu,a\n\nu\n"))
    with pytest.raises(InputError, match=r"log\.csv\.xz:4: has 1 column, expected 2"):
        run(tmp_path, "log.csv.xz")


def test_broken_archives(tmp_path: Path) -> None:
    for name, content in (
        ("a.zip", READ["log.zip"][:60]),
        ("a.xz", READ["log.csv.xz"][:40]),
        ("a.bz2", READ["log.csv.bz2"][:30]),
        ("empty.zip", zipped({})[:0] or zipped({"x/": ""})),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=rf"{name}: (broken|is an archive without a file)"):
            run(tmp_path, name)


def workbook(**sheets: list[list[object]]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    raw = io.BytesIO()
    book.save(raw)
    return raw.getvalue()


def cut_workbook() -> bytes:
    with zipfile.ZipFile(io.BytesIO(workbook(a=[["user", "item"]]))) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    return zipped({name: text[: len(text) // 2] if name == sheet else text for name, text in content.items()})


def array() -> bytes:
    raw = io.BytesIO()
    np.save(raw, np.arange(3))
    return raw.getvalue()


def arrays() -> bytes:
    raw = io.BytesIO()
    np.savez(raw, a=np.arange(3))
    return raw.getvalue()


def database() -> bytes:
    with sqlite3.connect(":memory:") as connection:
        connection.execute("CREATE TABLE log (user, item)")
        return connection.serialize()


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
NAMED: dict[str, tuple[Callable[[], bytes], str]] = {
    "xlsx": (lambda: zipped({"xl/workbook.xml": "<x/>"}), "cannot be read as an Excel workbook .*; save the sheet as"),
    "cut.xlsx": (cut_workbook, "cannot be read as an Excel workbook .*; save the sheet as"),
    "empty.xlsx": (lambda: workbook(a=[]), "holds no sheet with rows"),
    "two.xlsx": (lambda: workbook(a=[["user"]], b=[["item"]]), r"holds several sheets \(a, b\); save the one"),
    "pkl": (lambda: pickle.dumps({"user": [1]}), "is a Python pickle, which is not read because it can run code"),
    "npy": (array, "is a NumPy array"),
    "npz": (arrays, r"is a NumPy archive \(\.npz\)"),
    "sqlite": (database, "is an SQLite database, which is not read; export the table as CSV"),
    "h5": (lambda: b"\x89HDF\r\n\x1a\n" + bytes(100), "is an HDF5 file"),
    "7z": (lambda: b"7z\xbc\xaf\x27\x1c" + bytes(100), "is a 7z archive.*unpack it first"),
    "json": (lambda: POINTER, r"is a Git LFS pointer \(sha256:4d7a, 12,345 bytes\), not the data; .* git lfs pull"),
    "xml": (lambda: b'<?xml version="1.0"?>\n<rows/>', "is XML, which is not read; write the table as CSV"),
    "html": (lambda: b"\n<!DOCTYPE html>\n<html><body>Sign in</body></html>", "is a web page, not the data"),
    "bin": (lambda: bytes(range(256)) * 8, "it holds NUL bytes"),
}


@pytest.mark.parametrize("name", NAMED)
def test_what_is_no_text_is_named(tmp_path: Path, name: str) -> None:
    make, words = NAMED[name]
    (tmp_path / "log.csv").write_text(LOG)
    (tmp_path / f"x.{name}").write_bytes(make())
    with pytest.raises(InputError, match=rf"x\.{name}: .*({words})"):
        run(tmp_path, f"x.{name}")
    with pytest.raises(InputError, match=rf"x\.{name}: .*({words})"):
        run(tmp_path, "log.csv", items=[f"x.{name}"])


def test_a_sheet_of_excel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dates, whole numbers that are floats, rows without cells; and without the library what to install."""
    at = datetime(2012, 9, 19, 15, 52)
    rows = [["Customer", "SKU", "Order Date"], [7.0, 'B"1', at], [None] * 3, [7, 5, at.replace(day=18)]]
    (tmp_path / "shop.xlsx").write_bytes(workbook(Orders=rows, Empty=[]))
    (tmp_path / "items.xlsx").write_bytes(workbook(Products=[["sku", "name"], [5, "Tea"]]))
    run(tmp_path, "shop.xlsx", items=["items.xlsx"])
    assert histories(tmp_path) == {"7": ["5", 'B"1']}
    assert titles(tmp_path)["5"] == "Tea"
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(
        ConfigError, match=r"shop\.xlsx: is an Excel workbook, which .*: pip install 'eimf\[excel\]', or"
    ):
        run(tmp_path, "shop.xlsx")


def test_the_extended_json_of_mongodb(tmp_path: Path) -> None:
    """Ids, numbers and dates with their types beside them, in the three ways in which dates are written."""
    dates = ['"2012-09-19T15:52:46Z"', '{"$numberLong":"1348069965000"}', "1348069964000"]
    rows = [
        f'{{"userId":{{"$oid":"5f"}},"itemId":{{"$numberLong":"{at}"}},"createdAt":{{"$date":{date}}}}}\n'
        for at, date in enumerate(dates)
    ]
    (tmp_path / "log.json").write_text("".join([*rows, '{"userId":{"$oid"\n']))
    (tmp_path / "items.json").write_text('{"itemId":{"$numberInt":"0"},"title":"Tea","tags":["A",{"$oid":"B"}]}\n')
    with pytest.raises(InputError, match=r"log\.json:4: not a JSON object"):
        run(tmp_path, "log.json")
    run(tmp_path, "log.json", items=["items.json"], on_error="skip")
    assert histories(tmp_path) == {"5f": ["2", "1", "0"]}
    assert titles(tmp_path)["0"] == "Tea"


@pytest.mark.parametrize("first", ["", "\n\n"])
def test_lines_of_python_literals_are_a_log(tmp_path: Path, first: str) -> None:
    """As old public sets are written: u'…', None, True, names in single quotes."""
    rows = [
        "{u'user_id': u'u', u'item': 'a', 'n': 7L, 'm': None}",
        "{'user_id': \"u\", 'item': 'b', 'n': True}",
        "{'user_id'",
    ]
    (tmp_path / "log.json").write_text(first + "\n".join([*rows, ""]))
    line = 3 + first.count("\n")
    with pytest.raises(InputError, match=rf"log\.json:{line}: "):
        run(tmp_path, "log.json")
    run(tmp_path, "log.json", on_error="skip")
    assert histories(tmp_path) == {"u": ["a", "b"]}


@pytest.mark.parametrize("name", ["log.csv.xz", "log.csv.bz2", "log.zip", "log.tar", "log.csv.gz", "log.csv.zst"])
def test_what_gets_far_too_large_is_refused(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "SMALL", 1 << 20)
    content = "user,item,time\n" + "u,a,1\n" * 400_000
    packed = {
        "log.csv.xz": lambda: lzma.compress(content.encode()),
        "log.csv.bz2": lambda: bz2.compress(content.encode()),
        "log.zip": lambda: _deflated(content),
        "log.tar": lambda: tarred({"log.csv": content}, "w:gz"),
        "log.csv.gz": lambda: gzip.compress(content.encode()),
        "log.csv.zst": lambda: zstd.compress(content.encode()),
    }
    (tmp_path / name).write_bytes(packed[name]())
    with pytest.raises(InputError, match=rf"^\S*{name}: becomes more than .* bytes when it is unpacked"):
        run(tmp_path, name)


def test_letters_of_a_log_packed_with_zstd_are_kept(tmp_path: Path) -> None:
    item = "don\N{RIGHT SINGLE QUOTATION MARK}t É \N{CYRILLIC CAPITAL LETTER ZHE} 日本"
    packed_zstd(tmp_path / "log.csv.zst", f"user,item,time\nu,{item},1\n")
    run(tmp_path, "log.csv.zst")
    assert histories(tmp_path) == {"u": [item]}


def test_archives_within_zstd(tmp_path: Path) -> None:
    log = LOG.replace("\n", "\r\n")
    (tmp_path / "log.tar.zst").write_bytes(zstd.compress(tarred({"log.csv": log}, "w")))
    (tmp_path / "log.zip.zst").write_bytes(zstd.compress(zipped({"log.csv": log})))
    for name in ("log.tar.zst", "log.zip.zst"):
        run(tmp_path, name)
        assert histories(tmp_path) == HISTORIES, name


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        (lambda packed: packed[:-4], "ended before"),
        (lambda packed: packed[:6] + b"\xff" * 9 + packed[15:], "Data corruption"),
    ],
)
def test_a_broken_zstd_stream_is_told(tmp_path: Path, broken: Callable[[bytes], bytes], problem: str) -> None:
    (tmp_path / "log.csv.zst").write_bytes(broken(zstd.compress(LOG.encode())))
    with pytest.raises(
        InputError, match=rf"^\S*log\.csv\.zst: broken zst stream \(.*{problem}.*\); get the file again"
    ):
        run(tmp_path, "log.csv.zst")


@pytest.mark.parametrize("ending", [".gz", ".xz", ".zst", ""])
def test_a_line_without_end_is_told(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"log.csv{ending}"
    content = f"{LOG}{'x' * (2 * jsonl.LONGEST_LINE + 9)}\nv,a,9\n".encode()
    pack = {".gz": gzip.compress, ".xz": lzma.compress, ".zst": zstd.compress, "": bytes}[ending]
    path.write_bytes(pack(content))
    with pytest.raises(InputError, match=rf"^{path}:5: the line is longer than 16 MiB"):
        run(tmp_path, path.name, on_error="skip")


def test_lines_that_end_in_cr_alone_are_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonl, "LONGEST_LINE", 20)
    (tmp_path / "log.csv").write_bytes(b"\r".join(b"line %d" % at for at in range(40)))
    assert [text for _, text in log_files.lines(tmp_path / "log.csv")] == [f"line {at}" for at in range(40)]
    assert [at for at, _ in log_files.lines(tmp_path / "log.csv")] == [*range(1, 41)]
    for content in (b"a\n" + b"b" * 21 + b"\nc\n", b"a\r" + b"b" * 50 + b"\rc\r", b"a\r\n" + b"b" * 50):
        (tmp_path / "log.csv").write_bytes(content)
        with pytest.raises(InputError, match=r"log\.csv:2: the line is longer"):
            list(log_files.lines(tmp_path / "log.csv"))


def _deflated(content: str) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("log.csv", content)
    return raw.getvalue()


def test_an_archive_of_very_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_MEMBERS", 5)
    (tmp_path / "log.zip").write_bytes(zipped({f"{at}.csv": LOG for at in range(7)}))
    with pytest.raises(InputError, match="is an archive of more than 5 files"):
        run(tmp_path, "log.zip")


def test_members_that_lead_out_of_the_folder_are_left_out(tmp_path: Path) -> None:
    outside = {"../../out.csv": "x", "..\\out.csv": "x", "a/../../out.csv": "x"}
    (tmp_path / "log.zip").write_bytes(zipped({**outside, "/etc/x/log.csv": LOG}))
    (tmp_path / "log.tar").write_bytes(tarred({**outside, "/etc/x/log.csv": LOG}, "w"))
    run(tmp_path, "log.zip")
    assert histories(tmp_path) == HISTORIES
    for name, unpack in (("log.zip", archives.unzip), ("log.tar", archives.untar)):
        folder = tmp_path / "x" / "y" / name
        folder.mkdir(parents=True)
        unpack(tmp_path / name, folder, name)
        assert [path.relative_to(folder) for path in folder.rglob("*.csv")] == [Path("etc/x/log.csv")]
    assert not list(tmp_path.rglob("out.csv")) and not (tmp_path.parent / "out.csv").exists()


def test_a_named_pipe_is_read_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log.csv")
    threading.Thread(target=(tmp_path / "log.csv").write_text, args=(LOG,), daemon=True).start()
    run(tmp_path, "log.csv")
    assert histories(tmp_path) == HISTORIES
    with pytest.raises(ConfigError, match="/dev/zero: is a device"):
        containers.readable(Path("/dev/zero"), tmp_path, "/dev/zero")
