"""Named arrays in one safetensors file: written with the safetensors library, read as memory-mapped numpy views.

The library's numpy reader copies every tensor, so reading maps the file over its parsed header. A file is data: the
header is checked before anything is mapped.
"""

from __future__ import annotations

import math
import mmap
import os
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from eimf_core.errors import ModelError
from eimf_core.io import files, system_files
from eimf_core.numeric.arrays import Arrays

DTYPES = {"F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U64": "<u8", "U8": "|u1", "BOOL": "|b1"}
LARGEST_HEADER = 1 << 20


def write(path: str | Path, arrays: Arrays) -> None:
    """Write a safetensors file that appears whole or not at all; the arrays are not copied.

    Args:
        path: the file to write; its directory is made where there is none.
        arrays: by name, of the dtypes in `DTYPES`.

    Raises:
        ConfigError: the place cannot be written to.
        OSError: the disk is full.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    try:
        with files.atomic_path(path) as temporary:
            # the library writes the memory of an array as it lies there
            save_file({name: np.asarray(array, order="C") for name, array in arrays.items()}, temporary)
    except SafetensorError as error:
        found = re.search(r"os error (\d+)", str(error))
        if found is None:
            raise
        number = int(found[1])
        raise OSError(number, os.strerror(number), str(path)) from None


def check(handle: int, name: str) -> None:
    """Let the safetensors library check an open file: no holes, no overlaps, sizes as the shapes say.

    Raises:
        ModelError: the file is none that the library would read; `name` is for the message.
    """
    from safetensors import SafetensorError, deserialize, safe_open

    place = f"/dev/fd/{handle}"
    try:
        if os.path.exists(place):
            with safe_open(place, framework="numpy"):
                pass
        else:
            deserialize(system_files.read_at(handle, os.fstat(handle).st_size, 0))
    except SafetensorError as error:
        raise ModelError(f"{name}: is not a whole safetensors file ({error})") from None


def map_file(handle: int, name: str) -> dict[str, npt.NDArray[Any]]:
    """Memory-map all arrays of an open file.

    Args:
        handle: a file descriptor, which may be closed afterwards.
        name: the file's name, for errors.

    Returns:
        Read-only views by name.

    Raises:
        ModelError: the file is cut short, or its header does not describe it.
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
