"""Text as vectors: opening an encoder, the text of an item, and vectors that are encoded once.

`open_encoder` gives an Encoder; `encode_items` the vectors of a catalogue, `encode_cached` those of
any texts, both from a file when the same texts were encoded with the same encoder before. torch and
sentence_transformers are imported only when a text has to be encoded that numpy is no match for.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
import numpy.typing as npt

from eimf_core import jsonl
from eimf_core.errors import ModelError
from eimf_core.progress import SILENT, Reporter
from eimf_core.records import Item
from eimf_core.text import cache_reuse

Vectors = npt.NDArray[np.float32]
Stored = npt.NDArray[np.float16]

PACKAGED = "packaged"
CACHE = ".cache"
LONGEST_TEXT = 240  # characters of a description; the encoder reads about 64 tokens of the whole
MOST_CATEGORIES = 4
FEW = 5000  # texts that the packaged encoder is through with in numpy before torch has even started
CHUNK = 1024  # texts encoded between two writes: what an interruption costs at most


class Encoder(Protocol):
    """Anything that turns texts into unit vectors.

    `name` is for people; `identity` tells encoders with different results apart (name and hash of
    the files); `dimension` is D.
    """

    @property
    def name(self) -> str: ...

    @property
    def identity(self) -> str: ...

    @property
    def dimension(self) -> int: ...

    def encode(self, texts: Sequence[str], reporter: Reporter = SILENT) -> Vectors:
        """Unit vectors of the texts, float32 of shape (n, D)."""


def open_encoder(name_or_path: str | None = None, texts: int | None = None) -> Encoder:
    """The packaged all-MiniLM-L6-v2 (None or "packaged"), a sentence-transformers folder, or a hub name.

    `texts` is about how many it will get: up to FEW, the packaged one does without torch. Its vectors
    agree to six digits with those it has with torch, and count as the same.
    Only a hub name may lead to a download, and only when it is not at hand already. Raises
    ConfigError for a path that does not exist and ModelError for an encoder that cannot be used.
    """
    from eimf_core.text import transformers_encoder

    if name_or_path is None or name_or_path == PACKAGED:
        if texts is not None and texts <= FEW:
            from eimf_core.text import numpy_encoder

            return numpy_encoder.packaged()
        return transformers_encoder.packaged()
    return transformers_encoder.named(name_or_path)


def item_text(item: Item) -> str:
    """What the encoder reads of an item: title, categories, and the start of its description.

    White space is folded; an item without any text gives "".
    """
    title = " ".join(item.title.split())
    known = title.casefold()
    categories = [" ".join(name.split()) for name in item.categories]
    new = [name for name in dict.fromkeys(categories) if name and name.casefold() != known]
    parts = [title, ", ".join(new[:MOST_CATEGORIES])]
    if item.text:
        parts.append(_shortened(" ".join(item.text[: 2 * LONGEST_TEXT].split())))
    return ". ".join(part for part in parts if part)


def _shortened(text: str) -> str:
    if len(text) <= LONGEST_TEXT:
        return text
    return text[:LONGEST_TEXT].rsplit(" ", 1)[0]


def encode_items(directory: str | Path, items: Sequence[Item], encoder: Encoder, reporter: Reporter = SILENT) -> Stored:
    """Vectors of a catalogue, float16 (N + 1, D), kept under `directory/.cache`.

    Row i is the item with index i; row 0 (padding) and items without any text are zero.
    """
    texts = ["", *map(item_text, items)]
    return encode_cached(texts, encoder, Path(directory) / CACHE, reporter)


def encode_cached(texts: Sequence[str], encoder: Encoder, folder: str | Path, reporter: Reporter = SILENT) -> Stored:
    """Vectors of texts, float16 (n, D), read-only and memory-mapped from a file in `folder`.

    A file is named by the hash of the texts in order and the encoder's identity, so that the same
    texts are encoded once; of other texts those that a file in the folder holds are taken from there.
    Equal texts are encoded once; blank texts have the zero vector. An
    interrupted run goes on where it stopped, and a second process waits for the first. Where the
    folder cannot be written, a warning is given and nothing is kept.
    """
    path = Path(folder) / f"text-{_key(texts, encoder)}.npy"
    kept = _load(path, len(texts))
    if kept is not None:
        return kept
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = open(path.with_suffix(".partial"), "a+b")  # noqa: SIM115 (closed below)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        reporter.warn(f"{folder}: text vectors cannot be kept here ({error.strerror})")
        with tempfile.TemporaryFile() as stream:
            nothing = np.zeros((0, encoder.dimension), np.float16)
            return np.concatenate([nothing, *_encoded(texts, encoder, stream, {}, reporter)])
    with partial:
        # blocking: whoever comes second finds the finished file; the lock ends with the process
        fcntl.flock(partial, fcntl.LOCK_EX)
        if _load(path, len(texts)) is None:
            old = cache_reuse.found(folder, {text for text in texts if text.strip()}, encoder.identity)
            shape = len(texts), _dimension(old, encoder)
            behind = cache_reuse.digests(texts, encoder.identity)
            _write(path, shape, _encoded(texts, encoder, partial, old, reporter), behind)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(partial.name)
    kept = _load(path, len(texts))
    if kept is None:
        raise ModelError(f"{path}: could not be read back; delete it and run the same command again")
    return kept


def _key(texts: Sequence[str], encoder: Encoder) -> str:
    digest = hashlib.sha256()
    for part in (encoder.identity, *texts):
        raw = part.encode("utf-8", "surrogatepass")
        digest.update(b"%d:" % len(raw))
        digest.update(raw)
    return digest.hexdigest()[:32]


def _load(path: Path, count: int) -> Stored | None:
    """The file's vectors; None where there is none, or one that is cut short or of another length."""
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return found if found.ndim == 2 and len(found) == count and found.dtype == np.float16 else None


def _dimension(old: Mapping[str, Stored], encoder: Encoder) -> int:
    """D, without opening the encoder where it can be seen."""
    return next((len(vector) for vector in old.values()), None) or encoder.dimension


def _write(path: Path, shape: tuple[int, int], blocks: Iterator[Stored], behind: Iterator[bytes]) -> None:
    with jsonl.atomic(path) as stream:
        header = {"descr": np.dtype(np.float16).str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, header)
        for block in blocks:
            stream.write(block.tobytes())
        stream.writelines(behind)


def _encoded(
    texts: Sequence[str], encoder: Encoder, partial: IO[bytes], old: Mapping[str, Stored], reporter: Reporter
) -> Iterator[Stored]:
    """Vectors in the order of the texts, in blocks; `partial` holds what is done so far, `old` what need not be.

    Distinct texts are encoded longest first, so that texts of a batch are equally long and the
    time left is not guessed too low.
    """
    distinct = sorted({text for text in texts if text.strip()}, key=lambda text: (-len(text), text))
    row = {text: at for at, text in enumerate(distinct)}
    dimension = _dimension(old, encoder)
    width = dimension * np.dtype(np.float16).itemsize
    done = min(partial.seek(0, os.SEEK_END) // width, len(distinct)) if width else 0
    partial.truncate(done * width)
    partial.seek(done * width)
    reporter.begin(f"encoding text with {encoder.name}", len(distinct))
    reporter.advance(done)
    for start in range(done, len(distinct), CHUNK):
        chunk = distinct[start : start + CHUNK]
        new = [text for text in chunk if text not in old]
        fresh = dict(zip(new, _checked(encoder, new).astype(np.float16), strict=True)) if new else {}
        partial.writelines((old[text] if text in old else fresh[text]).tobytes() for text in chunk)
        partial.flush()
        reporter.advance(len(chunk))
    reporter.end()
    yield from _ordered(texts, row, partial, dimension)


def _checked(encoder: Encoder, texts: Sequence[str]) -> Vectors:
    vectors = encoder.encode(texts)
    if vectors.shape != (len(texts), encoder.dimension) or not np.isfinite(vectors).all():
        raise ModelError(f"{encoder.name}: gave vectors of the wrong shape or not finite; use another encoder")
    return vectors


def _ordered(texts: Sequence[str], row: dict[str, int], partial: IO[bytes], dimension: int) -> Iterator[Stored]:
    distinct: Any = np.zeros((0, dimension), np.float16)
    if row:
        distinct = np.memmap(partial, dtype=np.float16, mode="r", shape=(len(row), dimension))
    for start in range(0, len(texts), CHUNK):
        rows = np.array([row.get(text, -1) for text in texts[start : start + CHUNK]])
        block = np.zeros((len(rows), dimension), np.float16)
        block[rows >= 0] = distinct[rows[rows >= 0]]
        yield block
