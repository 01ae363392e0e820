"""What happens to files: to their bytes, to lines of text, to values of JSON, and to the places where they lie."""

from __future__ import annotations

import codecs
import gzip
import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

SPECIAL = (
    b"", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\x1b[2J", b"\r", b"\n", b"\xc3\x28",
    b"\xed\xa0\x80", "\u202e".encode(), "\u2028".encode(), b"\\ud800", b"NaN", b"-Infinity", b"1e999", b"'", b'"',
    b"9" * 400, b"[" * 5_000, b'{"a":' * 3_000, b" " * 70_000, b"x" * 100_000, b"PAR1", b"%s%n", b"../../", b"1e18",
)  # fmt: skip
NUMBERS = (
    0, -1, 1, 2, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63), 10**30, 10**400, 0.0, -0.0, 0.5, 1e-320, 1e18,
    1e308, float("inf"), float("-inf"), float("nan"), True, False,
)  # fmt: skip
TEXTS = (
    "", " ", "a", "\0", "\x1b[31m", "\ud800", "x\udfff", "\u202eabc", "\u2028", "\ufeff", "null", "NaN", "-", "../x",
    "/etc/passwd", "a" * 5_000, "é" * 999, " " * 9_999, "\n" * 999, "0", "-1", "1e400", "👩‍👩‍👧", "<script>", "{{7*7}}",
    "<|im_end|>", "%s", "%n", ",", "\t", "'", '"', "\\", "\r\n", "train", "valid", "test", "2020-01-01", "NULL", "None",
)  # fmt: skip
ENCODINGS = ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig", "latin-1", "cp1252", "utf-7", "cp037")


def of_bytes(raw: bytes, rng: random.Random) -> bytes:
    """The bytes with one to four changes."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        raw = rng.choice(BYTE_CHANGES)(raw, rng)
    return raw


def _at(raw: bytes, rng: random.Random) -> int:
    return rng.randrange(len(raw) + 1)


def _flip(raw: bytes, rng: random.Random) -> bytes:
    if not raw:
        return raw
    at = rng.randrange(len(raw))
    return raw[:at] + bytes([raw[at] ^ 1 << rng.randrange(8)]) + raw[at + 1 :]


def _cut(raw: bytes, rng: random.Random) -> bytes:
    return raw[: _at(raw, rng)]


def _drop(raw: bytes, rng: random.Random) -> bytes:
    first, last = sorted((_at(raw, rng), _at(raw, rng)))
    return raw[:first] + raw[last:]


def _drop_few(raw: bytes, rng: random.Random) -> bytes:
    at = _at(raw, rng)
    return raw[:at] + raw[at + rng.randrange(1, 9) :]


def _repeat(raw: bytes, rng: random.Random) -> bytes:
    first, last = sorted((_at(raw, rng), _at(raw, rng)))
    return raw[:last] + raw[first:last] * rng.choice((1, 2, 20)) + raw[last:]


def _put(raw: bytes, rng: random.Random) -> bytes:
    at = _at(raw, rng)
    return raw[:at] + rng.choice(SPECIAL) + raw[at:]


def _overwrite(raw: bytes, rng: random.Random) -> bytes:
    at, put = _at(raw, rng), rng.choice((rng.randbytes(rng.randrange(1, 9)), b"\xff" * 8, bytes(8), b"\xff" * 64))
    return raw[:at] + put + raw[at + len(put) :]


def _exchange(raw: bytes, rng: random.Random) -> bytes:
    first, second, third = sorted(_at(raw, rng) for _ in range(3))
    return raw[:first] + raw[second:third] + raw[first:second] + raw[third:]


BYTE_CHANGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _flip, _flip, _flip, _cut, _drop, _drop_few, _repeat, _put, _put, _overwrite, _overwrite, _exchange,
)  # fmt: skip


def of_text(raw: bytes, rng: random.Random) -> bytes:
    """A text of lines with a change of its form: endings, encoding, order, packing; or of its bytes."""
    lines = raw.splitlines(keepends=True) or [b""]
    what = rng.randrange(14)
    if what == 0:
        return raw.replace(b"\n", rng.choice((b"\r\n", b"\r", b"\n\n", b"\0", b"\x1e", "\u2028".encode(), b"")))
    if what == 1:
        return b"".join(line.rstrip(b"\n") + rng.choice((b"\n", b"\r\n", b"\r", b"\n\n")) for line in lines)
    if what == 2:
        return raw.decode("utf-8", "replace").encode(rng.choice(ENCODINGS), "replace")
    if what == 3:
        return rng.choice((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF32_BE)) * rng.choice((1, 2)) + raw
    if what == 4:
        rng.shuffle(lines)
        return b"".join(lines)
    if what == 5:
        return b"".join(line for line in lines if rng.random() < 0.7)
    if what == 6:
        return b"".join(line * rng.choice((1, 1, 2)) for line in lines)
    if what == 7:
        return of_bytes(gzip.compress(raw, mtime=0), rng)
    if what == 8:
        return gzip.compress(raw, mtime=0) + rng.choice((b"", b"x", gzip.compress(raw, mtime=0), bytes(50)))
    if what == 9:
        return rng.choice((b"", b"\n", b" ", b"\n" * 500, b"{}\n", b"[]\n", b"null\n", b"\0" * 4096))
    at = rng.randrange(len(lines))
    lines[at] = of_bytes(lines[at], rng)
    return b"".join(lines)


def of_value(value: Any, rng: random.Random) -> Any:
    """A value of JSON with a change somewhere in it: another type, an odd number or text, a key gone or new."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key, what = rng.choice(list(value)), rng.random()
        if what < 0.15:
            return {each: inner for each, inner in value.items() if each != key}
        if what < 0.25:
            return {**value, rng.choice((*TEXTS, "item", "user", "items")): odd(rng)}
        return {**value, key: of_value(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.8:
        at, what = rng.randrange(len(value)), rng.random()
        if what < 0.15:
            return value[:at] + value[at + 1 :]
        if what < 0.3:
            return value * rng.choice((0, 2, 50))
        return [*value[:at], of_value(value[at], rng), *value[at + 1 :]]
    if isinstance(value, str) and rng.random() < 0.4:
        at = rng.randrange(len(value) + 1)
        return value[:at] + rng.choice(TEXTS) + value[at:]
    return odd(rng)


def odd(rng: random.Random) -> Any:
    """Any value."""
    what = rng.randrange(8)
    if what < 3:
        return rng.choice(NUMBERS)
    if what < 6:
        return rng.choice(TEXTS)
    return rng.choice((None, [], {}, [[]], {"": None}, [None], [0], ["a"], {"a": 1}, nested(rng.choice((5, 100, 300)))))


def nested(depth: int) -> Any:
    """Lists in lists."""
    value: Any = 0
    for _ in range(depth):
        value = [value]
    return value


def of_line(line: bytes, rng: random.Random) -> bytes:
    """A line of JSON with a changed value, a key twice, or changed bytes."""
    what = rng.random()
    if what < 0.15:
        return of_bytes(line, rng)
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return of_bytes(line, rng)
    changed = json.dumps(of_value(value, rng), ensure_ascii=rng.random() < 0.5)
    if what < 0.25 and isinstance(value, dict) and value:
        key = rng.choice(list(value))
        changed = f"{changed.rstrip()[:-1]}, {json.dumps(key)}: {json.dumps(odd(rng))}}}"
    return changed.encode("utf-8", "surrogatepass" if rng.random() < 0.5 else "replace") + b"\n"


def of_lines(raw: bytes, rng: random.Random) -> bytes:
    """JSON lines: most often one to three changed values, else as any text."""
    if rng.random() < 0.25:
        return of_text(raw, rng)
    lines = raw.splitlines(keepends=True) or [b""]
    for _ in range(rng.choice((1, 1, 3))):
        at = rng.randrange(len(lines))
        lines[at] = of_line(lines[at], rng)
    return b"".join(lines)


def of_place(path: Path, rng: random.Random) -> None:
    """Put something else where a file lies: a folder, a link, a pipe, a device, nothing."""
    raw = path.read_bytes()
    path.unlink()
    what = rng.randrange(10)
    if what == 0:
        path.mkdir()
    elif what == 1:
        path.symlink_to(path.name)
    elif what == 2:
        path.symlink_to("nowhere")
    elif what == 3:
        path.symlink_to(rng.choice(("/dev/null", "/dev/zero", "/dev/full", "/dev/urandom", "/proc/self/mem", "/")))
    elif what == 4:
        os.mkfifo(path)
    elif what == 5:
        moved = path.with_name(f"moved-{path.name}")
        moved.write_bytes(raw)
        path.symlink_to(moved.name)
    elif what == 6:
        path.symlink_to(path.parent)
    elif what == 7:
        path.write_bytes(raw)
        path.chmod(0)
    elif what == 8:
        path.write_bytes(b"")


def change(path: Path, rng: random.Random, of_content: Callable[[bytes, random.Random], bytes]) -> None:
    """Change a file: now and then its place, else its content."""
    if rng.random() < 0.06:
        of_place(path, rng)
    else:
        path.write_bytes(of_content(path.read_bytes(), rng))
