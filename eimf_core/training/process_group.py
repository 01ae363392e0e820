"""A run of several processes, started by torchrun: who they are, what they add up, and how they end.

Every process holds the whole model and makes the same plan: batches, negatives and labelled users are
drawn from the same seeds, so that all know the rows of the item table that a step touches without
being told. Each computes the losses of its share of the rows of a batch; their gradients, those of the
touched table rows included, are summed in one exchange, and every process takes the same step. The
sum is one process's gradient but for rounding and the places of dropout, and the table of a million
items never travels.

The first process alone validates, writes and speaks. Where one fails, the others learn why and end.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import orjson
import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.rendezvous import rendezvous

from eimf_core import errors
from eimf_core.errors import ConfigError, EimfError
from eimf_core.training.batches import Batch

R = TypeVar("R")
# the first process may validate and write for long while the others wait
TIMEOUT = datetime.timedelta(days=1)
FAILED = "eimf/failed"
HERE = "eimf/here/"


class ProcessLostError(EimfError):
    """Another process of the run is gone; turned into what went wrong there."""


@dataclass(frozen=True)
class Group:
    """The processes of a run; this one is number `rank` of `size`, and exchanges tensors on `device`."""

    rank: int = 0
    size: int = 1
    device: torch.device = torch.device("cpu")  # noqa: RUF009 (frozen)

    @property
    def is_main(self) -> bool:
        """Whether this process validates, writes and speaks."""
        return self.rank == 0

    def barrier(self) -> None:
        """Until all processes are here."""
        if self.size > 1:
            self._exchange(lambda: dist.all_reduce(torch.zeros(1, device=self.device)))

    def all_reduce(self, tensors: list[Tensor]) -> None:
        """Put the sum over all processes in the place of each tensor, the same bits everywhere.

        Args:
            tensors: of the same shapes in all processes.
        """
        if self.size > 1 and tensors:
            flat = torch.cat([part.detach().reshape(-1) for part in tensors])
            self._exchange(lambda: dist.all_reduce(flat))
            for part, total in zip(tensors, flat.split([part.numel() for part in tensors]), strict=True):
                part.detach().copy_(total.view(part.shape))

    def broadcast(self, *values: float) -> list[float]:
        """The numbers that the first process gave."""
        if self.size == 1:
            return list(values)
        kind = torch.float32 if self.device.type == "mps" else torch.float64
        sent = torch.tensor(values, dtype=kind, device=self.device)
        self._exchange(lambda: dist.broadcast(sent, src=0))
        return [float(value) for value in sent]

    def main_process_first(self, work: Callable[[], R]) -> R:
        """The result of `work`, done by the first process before the others: they find what it kept."""
        if self.is_main:
            made = work()
            self.barrier()
            return made
        self.barrier()
        return work()

    def check_same(self, number: int) -> None:
        """Raises EimfError where a number, such as a checksum of the weights, is not the same everywhere."""
        if self.size == 1:
            return
        # in halves, which are exact as floats
        first = self.broadcast(float(number >> 32), float(number & 0xFFFFFFFF))
        differs = torch.tensor([float(first != [float(number >> 32), float(number & 0xFFFFFFFF)])], device=self.device)
        self._exchange(lambda: dist.all_reduce(differs))
        if differs.item():
            raise EimfError(
                "the processes of this run no longer hold the same weights; start it again from its checkpoint"
            )

    def rows(self, count: int) -> npt.NDArray[np.int64]:
        """Which rows are this process's.

        Args:
            count: of the rows of all.

        Returns:
            Rows, rising; the first one where there are too few for all.
        """
        return np.arange(self.rank, count, self.size) if self.rank < count else np.zeros(1, dtype=np.int64)

    def split(self, batch: Batch) -> tuple[Batch, npt.NDArray[np.bool_], float]:
        """This process's part of a batch.

        Args:
            batch: of all processes, with P targets.

        Returns:
            Its rows; which of the targets they hold, (P,); and their share of P, 0 with too few rows for all.
        """
        rows, idle = self.rows(len(batch.inputs)), self.rank >= len(batch.inputs)
        mine = np.zeros(len(batch.inputs), dtype=bool)
        mine[rows] = True
        held = mine[np.nonzero(batch.targets)[0]]
        part = replace(batch, inputs=batch.inputs[rows], targets=batch.targets[rows], positions=batch.positions[rows])
        return part, held, 0.0 if idle else float(held.mean())

    def _exchange(self, exchange: Callable[[], Any]) -> None:
        try:
            exchange()
        except RuntimeError as error:
            raise ProcessLostError(str(error).splitlines()[0]) from error


ALONE = Group()


def local_rank() -> int:
    """The number of this process among those of the run on this machine."""
    return int(os.environ.get("LOCAL_RANK", "0")) if dist.is_torchelastic_launched() else 0


@contextlib.contextmanager
def joined(choose: Callable[[], torch.device]) -> Iterator[Group]:
    """The group of this process: itself alone, or with those that torchrun started beside it.

    `choose` says on which device this process works. An error of one process ends all, one of `choose`
    included: the first one raises it.
    """
    if not (dist.is_available() and dist.is_torchelastic_launched() and int(os.environ.get("WORLD_SIZE", "1")) > 1):
        yield replace(ALONE, device=choose())
        return
    store, rank, size = next(rendezvous("env://", timeout=TIMEOUT))
    try:
        device = choose()
        if device.type == "mps":
            raise ConfigError("several processes need --device cpu or cuda")
        _rendezvous(store, rank, size)
        dist.init_process_group(
            "nccl" if device.type == "cuda" else "gloo", store=store, rank=rank, world_size=size, timeout=TIMEOUT
        )
        group = Group(rank, size, device)
        yield group
        group.barrier()
    except ProcessLostError as lost:
        raise _failure(store) or EimfError(
            "another process of this run has ended; run the same command again to resume"
        ) from lost
    except Exception as error:
        _report_failure(store, rank, error)
        raise
    except BaseException as stopped:
        # torchrun ends the others when one has failed
        failure = _failure(store)
        if failure is not None:
            raise failure from stopped
        raise
    else:
        dist.destroy_process_group()


def _rendezvous(store: Any, rank: int, size: int) -> None:
    """Until all processes have come this far; raises ProcessLostError where one has failed before."""
    store.set(f"{HERE}{rank}", "")
    # in small steps: a wait inside the store hears neither signals nor what went wrong elsewhere
    while not store.check([f"{HERE}{number}" for number in range(size)]):
        if store.check([FAILED]):
            raise ProcessLostError("another process failed at its start")
        time.sleep(0.05)


def _report_failure(store: Any, rank: int, error: Exception) -> None:
    with contextlib.suppress(RuntimeError):
        store.set(FAILED, orjson.dumps({"kind": type(error).__name__, "message": str(error), "rank": rank}))


def _failure(store: Any) -> EimfError | None:
    """What another process told of its end, as an error of the same kind."""
    with contextlib.suppress(RuntimeError):
        if store.check([FAILED]):
            failure = orjson.loads(store.get(FAILED))
            kind = getattr(errors, failure["kind"], None)
            if isinstance(kind, type) and issubclass(kind, EimfError):
                return kind(failure["message"])
            return EimfError(f"process {failure['rank']}: {failure['kind']}: {failure['message']}")
    return None
