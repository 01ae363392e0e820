"""Item vectors while training: a table of which each step touches a few rows, with or without text and categories."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

Doubles = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]
Text = npt.NDArray[np.floating[Any]]
DEVIATION = 0.1  # of the elements of a fresh table
NOISE = 0.01  # keeps items with the same text apart
SAME = 1e-12  # variance below which vectors are all the same but for rounding
CHUNK = 1 << 14  # rows of text that are in memory at a time


class ItemTable(nn.Module):
    """Vectors of N items, (N + 1, d), row 0 (padding) zero.

    `weight` is trained row by row outside autograd. With `text` (N + 1, D), which may be half
    precision and mapped from a file, an item's vector is its row plus a learned projection of its
    centred text vector, so that an item nobody touched has a place. Only rows that are asked for
    are read and projected. With categories (see `add_categories`), it holds the mean of their vectors as well.
    """

    weight: Tensor
    features: Tensor

    def __init__(
        self, weight: Tensor, text: Text | None = None, mean: Floats | None = None, projection: Floats | None = None
    ) -> None:
        """`mean` (D,) centres the text; `projection` (d, D) is where the learned projection starts."""
        super().__init__()
        self.register_buffer("weight", weight)
        self.text, self.mean = text, mean
        self.projection = None if projection is None else nn.Parameter(torch.from_numpy(projection))
        self.categories: nn.Parameter | None = None

    def add_categories(self, features: npt.NDArray[np.int32], kinds: int) -> None:
        """Let items share what their categories have in common: e_i = row_i + mean_(c of i) of q_c, q_c learned.

        features (N + 1, F), categories of each item from 1 to `kinds`, 0 for none. After the item representation
        of Xie et al., arXiv 2112.02591 (MFN), and the knowledge of Meng et al., 2022 (CKML), as this project
        reads them; here targets and negatives hold it like histories, whatever the backbone. The vectors start
        as zeros, so that the table's stay what they are.
        """
        self.categories = nn.Parameter(torch.zeros(kinds + 1, self.weight.shape[1]))
        # known from the data, and so no part of a checkpoint
        self.register_buffer("features", torch.from_numpy(features), persistent=False)

    def rows(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """A leaf (R, d) that takes the gradient of `weight[rows]`, and the items' vectors (R, d)."""
        leaf = self.weight[rows].requires_grad_()
        vectors = leaf
        if self.projection is not None:
            vectors = vectors + self._centred(rows.cpu().numpy()) @ self.projection.T
        if self.categories is not None:
            vectors = vectors + self._category_vectors(rows)
        return leaf, vectors

    @torch.no_grad()
    def all(self) -> Tensor:
        """The vectors of all items (N + 1, d)."""
        if self.projection is None and self.categories is None:
            return self.weight
        vectors = self.weight.clone()
        for start in range(0, len(vectors), CHUNK):
            rows = np.arange(start, min(start + CHUNK, len(vectors)))
            if self.projection is not None:
                vectors[start : start + len(rows)] += self._centred(rows) @ self.projection.T
            if self.categories is not None:
                vectors[start : start + len(rows)] += self._category_vectors(torch.from_numpy(rows).to(vectors.device))
        return vectors

    @torch.no_grad()
    def explain_by_text(self, projection: Floats) -> None:
        """Explain the vectors in `weight` by `projection` (d, D) of their text as far as it goes, and keep the
        rest in `weight`; the table's vectors stay the same. Nothing without a projection of its own."""
        if self.projection is None:
            return
        self.projection.copy_(torch.from_numpy(np.array(projection)))
        for start in range(0, len(self.weight), CHUNK):
            rows = np.arange(start, min(start + CHUNK, len(self.weight)))
            self.weight[start : start + len(rows)] -= self._centred(rows) @ self.projection.T

    def text_map(self) -> tuple[Floats, Floats] | None:
        """Weight (d, D) and bias (d,) that place an item by its text alone; None without a projection, or where
        it is only a part of what places an item."""
        if self.projection is None or self.mean is None or self.categories is not None:
            return None
        weight: Floats = self.projection.detach().cpu().numpy()
        return weight, -weight @ self.mean

    def _category_vectors(self, rows: Tensor) -> Tensor:
        """The mean vectors (R, d) of the categories of items, zero for an item without any."""
        assert self.categories is not None
        features = self.features[rows]
        total = functional.embedding(features, self.categories, padding_idx=0).sum(dim=1)
        return total / (features > 0).sum(dim=1, keepdim=True).clamp(min=1)

    def _centred(self, rows: npt.NDArray[np.int64]) -> Tensor:
        assert self.text is not None and self.mean is not None
        centred = self.text[rows].astype(np.float32) - self.mean
        centred[rows == 0] = 0.0
        return torch.from_numpy(centred).to(self.weight.device)


def make(
    kind: str, items: int, dimension: int, generator: torch.Generator, text: Text | None = None,
    start: tuple[Floats, Floats] | None = None,
) -> ItemTable:  # fmt: skip
    """A fresh table. kind "random"; "text", started from `text` (N + 1, D) through `start`, the mean (D,) of text
    and the map (d, D) of centred text; "both", which learns on from that map."""
    noise = torch.empty(items + 1, dimension).normal_(generator=generator)
    noise[0] = 0.0
    if kind == "random" or text is None or start is None:
        return ItemTable(noise.mul_(DEVIATION))
    mean, projection = start
    if kind == "both":
        return ItemTable(noise.mul_(NOISE), text, mean, projection)
    # elements that no text reaches are left to the noise
    noise[:, torch.from_numpy(projection.any(axis=1))] *= NOISE
    noise.mul_(DEVIATION)
    return ItemTable(ItemTable(noise, text, mean, projection).all())


def principal_components(text: Text, dimension: int) -> tuple[Floats, Floats]:
    """The mean (D,) of text vectors (N + 1, D), row 0 left out, and the components (d, D) that project them.

    The projected vectors have elements of standard deviation DEVIATION; beyond D components are 0. All are 0 where
    the vectors are all the same, items without titles say: nothing parts them.
    """
    mean, covariance = moments(text)
    components = np.zeros((dimension, text.shape[1]))
    width = min(dimension, text.shape[1])
    components[:width] = np.linalg.eigh(covariance)[1][:, ::-1][:, :width].T
    return mean.astype(np.float32), scaled(components, covariance)


def moments(text: Text) -> tuple[Doubles, Doubles]:
    """Mean (D,) and covariance (D, D) of text vectors (N + 1, D), row 0 left out."""
    total, products = np.zeros(text.shape[1]), np.zeros((text.shape[1], text.shape[1]))
    for start in range(1, len(text), CHUNK):
        part = text[start : start + CHUNK].astype(np.float64)
        total += part.sum(axis=0)
        products += part.T @ part
    count = max(1, len(text) - 1)
    mean = total / count
    return mean, products / count - np.outer(mean, mean)


def scaled(components: Doubles, covariance: Doubles) -> Floats:
    """Components (d, D), so long that what they project has elements of standard deviation DEVIATION; the sign of an
    eigenvector is anyone's choice: its largest entry is made positive. All 0 where nothing is left to project."""
    largest = np.take_along_axis(components, np.abs(components).argmax(axis=1)[:, None], axis=1)
    kept = np.einsum("kd,de,ke->", components, covariance, components) / len(components)
    scale = DEVIATION / np.sqrt(kept) if kept > SAME else 0.0
    return (components * np.where(largest < 0, -scale, scale)).astype(np.float32)
