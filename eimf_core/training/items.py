"""Item vectors while training: a table of which each step touches a few rows, with or without text."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

Floats = npt.NDArray[np.float32]
Text = npt.NDArray[np.floating[Any]]
DEVIATION = 0.1  # of the elements of a fresh table
NOISE = 0.01  # keeps items with the same text apart


class ItemTable(nn.Module):
    """Vectors of N items, (N + 1, d), row 0 (padding) zero.

    `weight` is trained row by row outside autograd. With `text` (N + 1, D), an item's vector is its
    row plus a learned projection of its text vector, so that an item nobody touched has a place.
    """

    weight: Tensor

    def __init__(self, weight: Tensor, text: Tensor | None = None, projection: Tensor | None = None) -> None:
        """`projection` (d, D) is where the learned projection starts."""
        super().__init__()
        self.register_buffer("weight", weight)
        self.text = text
        self.projection = None if projection is None else nn.Parameter(projection)

    def rows(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """A leaf (R, d) that takes the gradient of `weight[rows]`, and the items' vectors (R, d)."""
        leaf = self.weight[rows].requires_grad_()
        if self.projection is None or self.text is None:
            return leaf, leaf
        return leaf, leaf + self.text[rows].to(leaf.dtype) @ self.projection.T

    @torch.no_grad()
    def all(self) -> Tensor:
        """The vectors of all items (N + 1, d)."""
        if self.projection is None or self.text is None:
            return self.weight
        vectors = self.weight + self.text.to(self.weight.dtype) @ self.projection.T
        vectors[0] = 0.0
        return vectors


def make(kind: str, items: int, dimension: int, text: Text | None, generator: torch.Generator) -> ItemTable:
    """A fresh table. kind "random"; "text", started from the PCA of `text` (N + 1, D); "both"."""
    noise = torch.empty(items + 1, dimension).normal_(generator=generator)
    noise[0] = 0.0
    if kind == "random" or text is None:
        return ItemTable(noise.mul_(DEVIATION))
    centred, components = principal_components(text, dimension)
    if kind == "text":
        start = torch.from_numpy(centred @ components.T)
        width = min(dimension, text.shape[1])
        # components beyond the width of the text are left to the noise
        noise[:, :width] *= NOISE
        return ItemTable(noise.mul_(DEVIATION).add_(start))
    return ItemTable(noise.mul_(NOISE), torch.from_numpy(centred), torch.from_numpy(components))


def principal_components(text: Text, dimension: int) -> tuple[Floats, Floats]:
    """Centred text vectors (N + 1, D), row 0 zero, and the components (d, D) that project them.

    The projected vectors have elements of standard deviation DEVIATION; beyond D components are 0.
    """
    centred: npt.NDArray[Any] = text.astype(np.float64)
    centred[1:] -= centred[1:].mean(axis=0)
    centred[0] = 0.0
    values, vectors = np.linalg.eigh(centred.T @ centred / max(1, len(text) - 1))
    components = np.zeros((dimension, text.shape[1]))
    width = min(dimension, text.shape[1])
    components[:width] = vectors[:, ::-1][:, :width].T
    # the sign of an eigenvector is anyone's choice: make its largest entry positive
    largest = np.take_along_axis(components, np.abs(components).argmax(axis=1)[:, None], axis=1)
    components *= np.where(largest < 0, -1.0, 1.0)
    kept = values[::-1][:width].sum() / dimension
    components *= DEVIATION / np.sqrt(max(kept, 1e-12))
    return centred.astype(np.float32), components.astype(np.float32)
