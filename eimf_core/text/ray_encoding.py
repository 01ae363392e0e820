"""Texts encoded by many processes, through `ray_map`."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from eimf_core.errors import ModelError
from eimf_core.numeric.arrays import Floats
from eimf_core.progress import SILENT, Reporter
from eimf_core.ray_cluster.ray_map import RayWorkers
from eimf_core.text.cache import EncodeParts
from eimf_core.text.encoder import TextEncoder
from eimf_core.text.loading import open_encoder


def ray_encoder(
    address: str | None, name_or_path: str | None, encoder: TextEncoder, texts: int, reporter: Reporter = SILENT
) -> EncodeParts | None:
    """What encodes in the place of an opened encoder.

    Args:
        address: of `--ray`; None: nothing does.
        name_or_path, texts: what the encoder was opened with.
        encoder: the one opened here; workers must have the same.
        reporter: gets remarks.

    Returns:
        From parts of the texts to float32 (n, D) for each, in order; None without an address.
    """
    if address is None:
        return None
    if name_or_path is not None and Path(name_or_path).expanduser().is_dir():
        name_or_path = str(Path(name_or_path).expanduser().absolute())

    def encode(parts: Iterable[Sequence[str]]) -> Iterator[Floats]:
        with RayWorkers(address, open_worker, name_or_path, encoder.identity, texts, reporter=reporter) as workers:
            yield from workers.ordered(parts)

    return encode


def open_worker(name_or_path: str | None, identity: str, texts: int) -> Callable[[Sequence[str]], Floats]:
    """In a worker: what encodes a part; raises ModelError where the encoder is another one."""
    encoder = open_encoder(name_or_path, texts)
    if encoder.identity != identity:
        raise ModelError(
            f"{encoder.name}: on {socket.gethostname()} this encoder is another one ({encoder.identity}); install or "
            "copy the same to all machines"
        )
    return encoder.encode
