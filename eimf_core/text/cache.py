"""Vectors of texts, encoded once and kept in a folder by their content.

`encode_items` gives the vectors of a catalogue, `encode_cached` those of any texts. A file holds a matrix in numpy's
format; behind it stands a digest of each row's text and encoder, so that of another catalogue only the new texts
are encoded, and the sha256 of all that, so that a damaged file is made again.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import itertools
import tempfile
import tokenize
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from eimf_core.errors import ModelError
from eimf_core.io import files, raw_files, system_files
from eimf_core.numeric.arrays import Floats
from eimf_core.progress import SILENT, Reporter
from eimf_core.records import Item
from eimf_core.text.encoder import TextEncoder
from eimf_core.text.encoder_input import item_text

Stored = npt.NDArray[np.float16]
EncodeParts = Callable[[Iterable[Sequence[str]]], Iterator[Floats]]
"""Gives the vectors of each of many parts of texts, in order."""

CACHE = ".cache"
CHUNK = 1024  # texts encoded between two writes: what an interruption costs at most
DIGEST_SIZE = 16  # bytes
BLOCK = 1 << 20


def encode_items(
    directory: str | Path,
    items: Sequence[Item],
    encoder: TextEncoder,
    reporter: Reporter = SILENT,
    encode_parts: EncodeParts | None = None,
) -> Stored:
    """Vectors of a catalogue, kept under `directory/.cache`; see `encode_cached`.

    Args:
        directory: prepared, where the vectors are kept.
        items: N items, in the order of their indices.
        encoder: makes the vectors.
        reporter: hears of progress.
        encode_parts: encodes in the place of `encoder`, such as workers do.

    Returns:
        float16 (N + 1, D). Row i is the item with index i; row 0 (padding) and items without any text are zero.
    """
    texts = ["", *map(item_text, items)]
    return encode_cached(texts, encoder, Path(directory) / CACHE, reporter, encode_parts)


def encode_cached(
    texts: Sequence[str],
    encoder: TextEncoder,
    folder: str | Path,
    reporter: Reporter = SILENT,
    encode_parts: EncodeParts | None = None,
) -> Stored:
    """Vectors of texts, from a file in `folder` where they are there already.

    A file is named by the hash of the texts in order and the encoder's identity; of other texts those that any file
    in the folder holds are taken from there. An interrupted run resumes where it stopped, and a second process waits
    for the first. Where the folder cannot be written, a warning is given and nothing is kept.

    Args:
        texts: in order.
        encoder: makes the vectors.
        folder: where they are kept.
        reporter: hears of progress, and that nothing can be kept.
        encode_parts: encodes in the place of the encoder, part by part: see `text.ray_encoding`.

    Returns:
        float16 (n, D), read-only and memory-mapped. Equal texts are encoded once; blank texts have the zero vector.

    Raises:
        ModelError: for vectors of the wrong shape or not finite.
    """
    path = Path(folder) / f"text-{_key(texts, encoder)}.npy"
    kept = _load(path, len(texts))
    if kept is not None:
        reporter.debug(f"{path}: {len(texts):,} text vectors from an earlier run")
        return kept
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path.parent)
        for place in (path, path.with_suffix(".partial")):
            raw_files.refuse_irregular(place)
        partial = open(path.with_suffix(".partial"), "a+b")  # noqa: SIM115 (closed below)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        reporter.warn(f"{folder}: text vectors cannot be cached here ({error.strerror}); each run encodes all texts")
        with tempfile.TemporaryFile() as stream:
            nothing = np.zeros((0, encoder.dimension), np.float16)
            return np.concatenate([nothing, *_encoded(texts, encoder, stream, {}, reporter, encode_parts)])
    with partial:
        # blocking: whoever comes second finds the finished file; the lock ends with the process
        system_files.lock(partial.fileno(), wait=True)
        if _load(path, len(texts)) is None:
            old = _reusable_vectors(folder, {text for text in texts if text.strip()}, encoder.identity)
            shape = len(texts), _dimension(old, encoder)
            blocks = _encoded(texts, encoder, partial, old, reporter, encode_parts)
            _write(path, shape, blocks, _digests(texts, encoder.identity))
        system_files.remove_locked(Path(partial.name), partial.close)
    kept = _load(path, len(texts))
    if kept is None:
        raise ModelError(f"{path}: cannot be read back; delete it and run the same command again")
    return kept


def _key(texts: Sequence[str], encoder: TextEncoder) -> str:
    digest = hashlib.sha256()
    for part in (encoder.identity, *texts):
        raw = part.encode("utf-8", "surrogatepass")
        digest.update(b"%d:" % len(raw))
        digest.update(raw)
    return digest.hexdigest()[:32]


def _remove_leftovers(folder: Path) -> None:
    """Remove what killed runs were writing; who still writes a file holds the lock of its partial one."""
    for path in folder.glob(".text-*.tmp"):
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            with contextlib.suppress(FileNotFoundError):
                partial = stack.enter_context(open(folder / f"{path.name.split('.')[1]}.partial", "rb"))
                system_files.lock(partial.fileno())
            path.unlink()


def _load(path: Path, count: int) -> Stored | None:
    """The file's vectors; None where there is none, or one that is cut short or of another length."""
    found = _mapped(path)
    return found if found is not None and len(found) == count else None


def _mapped(path: Path) -> Any:
    """A file's vectors (n, D) as np.memmap; None where there is no such file, or a damaged one."""
    if not path.is_file():
        return None
    try:
        found: Any = np.load(path, mmap_mode="r", allow_pickle=False)
        if found.ndim != 2 or found.dtype != np.float16:
            return None
        last = found.offset + found.nbytes
        end = last + len(found) * DIGEST_SIZE
        # files of earlier versions end here or there
        return found if path.stat().st_size in (last, end) or _is_whole(path, end) else None
    except (OSError, ValueError, EOFError, SyntaxError, tokenize.TokenError):
        # numpy reads the header of a file as Python
        return None


def _is_whole(path: Path, end: int) -> bool:
    """Whether the sha256 of the first `end` bytes of a file stands behind them."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while left := end - stream.tell():
            part = stream.read(min(left, BLOCK))
            if not part:
                return False
            digest.update(part)
        return stream.read() == digest.digest()


def _dimension(old: Mapping[str, Stored], encoder: TextEncoder) -> int:
    """D, without opening the encoder where it can be seen."""
    return next((len(vector) for vector in old.values()), None) or encoder.dimension


def _write(path: Path, shape: tuple[int, int], blocks: Iterator[Stored], digests: Iterator[bytes]) -> None:
    with files.atomic(path) as stream:
        header = {"descr": np.dtype(np.float16).str, "fortran_order": False, "shape": shape}
        start = io.BytesIO()
        np.lib.format.write_array_header_1_0(start, header)
        whole = hashlib.sha256()
        for part in itertools.chain([start.getvalue()], (block.tobytes() for block in blocks), digests):
            whole.update(part)
            stream.write(part)
        stream.write(whole.digest())


def _encoded(
    texts: Sequence[str],
    encoder: TextEncoder,
    partial: IO[bytes],
    old: Mapping[str, Stored],
    reporter: Reporter,
    encode_parts: EncodeParts | None,
) -> Iterator[Stored]:
    """Vectors in the order of the texts, in blocks; `partial` holds what is done so far, `old` what need not be.

    Distinct texts are encoded longest first, so that texts of a batch are equally long and the
    time left is not guessed too low.
    """
    distinct = sorted({text for text in texts if text.strip()}, key=lambda text: (-len(text), text))
    row = {text: at for at, text in enumerate(distinct)}
    dimension = _dimension(old, encoder)
    done = _whole_rows(partial, len(distinct), dimension)
    reporter.begin(f"encoding text with {encoder.name}", len(distinct), done)
    chunks = [distinct[start : start + CHUNK] for start in range(done, len(distinct), CHUNK)]
    new = [[text for text in chunk if text not in old] for chunk in chunks]
    with contextlib.closing(_each(encoder, new, encode_parts)) as vectors:
        for chunk, wanted, made in zip(chunks, new, vectors, strict=True):
            fresh = dict(zip(wanted, made, strict=True))
            for at, text in enumerate(chunk, done):
                vector = (old[text] if text in old else fresh[text]).tobytes()
                partial.write(vector + _row_digest(at, vector))
            partial.flush()
            done += len(chunk)
            reporter.advance(len(chunk))
    reporter.end()
    yield from _ordered(texts, row, partial, dimension)


def _row_type(dimension: int) -> Any:
    """A row of a partial file: a vector and its digest."""
    return np.dtype([("vector", np.float16, (dimension,)), ("digest", f"V{DIGEST_SIZE}")])


def _row_digest(row: int, vector: bytes) -> bytes:
    return hashlib.blake2b(vector, digest_size=DIGEST_SIZE, salt=row.to_bytes(8, "little")).digest()


def _whole_rows(partial: IO[bytes], most: int, dimension: int) -> int:
    """How many rows of a partial file are whole; what comes behind them is cut off."""
    width, done = _row_type(dimension).itemsize, 0
    partial.seek(0)
    while done < most and len(row := partial.read(width)) == width:
        vector, digest = row[:-DIGEST_SIZE], row[-DIGEST_SIZE:]
        if digest != _row_digest(done, vector):
            break
        done += 1
    partial.truncate(done * width)
    partial.seek(done * width)
    return done


def _each(encoder: TextEncoder, parts: Sequence[Sequence[str]], encode_parts: EncodeParts | None) -> Generator[Stored]:
    """The vectors of each part, in order."""
    some = (part for part in parts if part)
    made = map(encoder.encode, some) if encode_parts is None or not any(parts) else encode_parts(some)
    for part in parts:
        yield _checked(encoder, part, next(made)).astype(np.float16) if part else np.zeros((0, 0), np.float16)


def _checked(encoder: TextEncoder, texts: Sequence[str], vectors: Floats) -> Floats:
    if vectors.shape != (len(texts), encoder.dimension) or not np.isfinite(vectors).all():
        raise ModelError(f"{encoder.name}: gives vectors of the wrong shape or not finite; use another --encoder")
    return vectors


def _ordered(texts: Sequence[str], row: dict[str, int], partial: IO[bytes], dimension: int) -> Iterator[Stored]:
    distinct: Any = np.zeros((0, dimension), np.float16)
    if row:
        distinct = np.memmap(partial, dtype=_row_type(dimension), mode="r", shape=(len(row),))["vector"]
    for start in range(0, len(texts), CHUNK):
        rows = np.array([row.get(text, -1) for text in texts[start : start + CHUNK]])
        block = np.zeros((len(rows), dimension), np.float16)
        block[rows >= 0] = distinct[rows[rows >= 0]]
        yield block


# -- what earlier files hold already


def _digests(texts: Iterable[str], identity: str) -> Iterator[bytes]:
    """A digest for each text as the encoder with this identity sees it."""
    key = hashlib.sha256(identity.encode()).digest()
    for text in texts:
        yield hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=DIGEST_SIZE, key=key).digest()


def _reusable_vectors(folder: str | Path, texts: Iterable[str], identity: str) -> dict[str, Stored]:
    """Vectors, float16 (D,) and mapped, of those of the texts that a file in the folder holds."""
    kept: dict[str, Stored] = {}
    ordered = list(texts)
    wanted = dict(zip(_digests(ordered, identity), ordered, strict=True))
    for path in sorted(Path(folder).glob("text-*.npy")):
        vectors = _mapped(path) if wanted else None
        if vectors is None:
            continue
        digests = np.fromfile(path, f"V{DIGEST_SIZE}", len(vectors), offset=vectors.offset + vectors.nbytes)
        if len(digests) == len(vectors):  # older files have none
            for row, digest in enumerate(digests.tolist()):
                if (text := wanted.pop(digest, None)) is not None:
                    kept[text] = vectors[row]
    return kept
