"""Named arrays in one safetensors file, memory-mapped with numpy over the parsed header.

The safetensors library makes one string of a file and its numpy reader copies every tensor, so both are
done here. A file is data: the header is checked before anything is mapped.
"""

from __future__ import annotations

import math
import mmap
import os
import struct
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from eimf_core.errors import ModelError

DTYPES = {"F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U64": "<u8", "U8": "|u1", "BOOL": "|b1"}
NAMES = {np.dtype(kind): name for name, kind in DTYPES.items()}
LARGEST_HEADER = 1 << 20
BLOCK = 1 << 24


def dump(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """The bytes of a safetensors file holding these arrays."""
    return b"".join(blocks(arrays))


def blocks(arrays: Mapping[str, npt.NDArray[Any]]) -> Iterator[bytes | memoryview]:
    """The same in blocks, so that a large array is never held twice: the length of the header, the header,
    and the arrays one after the other."""
    header, end = {}, 0
    for name, array in arrays.items():
        start, end = end, end + array.nbytes
        header[name] = {"dtype": NAMES[array.dtype], "shape": list(array.shape), "data_offsets": [start, end]}
    described = orjson.dumps(header)
    # the data begin at a multiple of eight
    described += b" " * (-len(described) % 8)
    yield struct.pack("<Q", len(described)) + described
    for array in arrays.values():
        content = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
        for start in range(0, len(content), BLOCK):
            yield content[start : start + BLOCK]


def map_file(handle: int, name: str) -> dict[str, npt.NDArray[Any]]:
    """Read-only views of all arrays of an open file; `name` is for errors.

    Raises ModelError for a file that is cut short, or whose header does not describe it.
    """
    size = os.fstat(handle).st_size
    if size < 8:
        raise ModelError(f"{name}: is {size} bytes long, too short for a safetensors file")
    mapped = mmap.mmap(handle, 0, access=mmap.ACCESS_READ)
    (length,) = struct.unpack("<Q", mapped[:8])
    if length > min(LARGEST_HEADER, size - 8):
        raise ModelError(f"{name}: is not a safetensors file or is cut short")
    try:
        header = orjson.loads(mapped[8 : 8 + length])
        described = {key: entry for key, entry in header.items() if key != "__metadata__"}
        return {key: _view(mapped, entry, 8 + length, size) for key, entry in described.items()}
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{name}: its header does not describe the file ({error})") from None


def _view(mapped: mmap.mmap, entry: dict[str, Any], start: int, size: int) -> npt.NDArray[Any]:
    dtype = np.dtype(DTYPES[entry["dtype"]])
    shape = [int(length) for length in entry["shape"]]
    begin, end = (int(offset) for offset in entry["data_offsets"])
    if min(shape, default=0) < 0 or not 0 <= begin <= end <= size - start:
        raise ValueError("offsets outside the file")
    if end - begin != math.prod(shape) * dtype.itemsize:
        raise ValueError("shape and size disagree")
    return np.frombuffer(mapped, dtype=dtype, count=math.prod(shape), offset=start + begin).reshape(shape)
