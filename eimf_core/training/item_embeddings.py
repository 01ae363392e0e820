"""Item vectors while training: a table of which each step touches a few rows, with or without categories."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from eimf_core.numeric.arrays import AnyFloats, Doubles, Floats

DEVIATION = 0.1  # of the elements of a fresh table
NOISE = 0.01  # keeps items with the same text apart
SAME = 1e-12  # variance below which vectors are all the same but for rounding
CHUNK = 1 << 14  # rows of text that are in memory at a time


class ItemTable(nn.Module):
    """Vectors of N items, (N + 1, d), row 0 (padding) zero.

    `weight` is trained row by row outside autograd. With categories (see `add_categories`), an item's vector holds the
    mean of theirs as well.
    """

    weight: Tensor
    features: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.categories: nn.Parameter | None = None

    def add_categories(self, features: npt.NDArray[np.int32], kinds: int) -> None:
        """Let items share what their categories have in common: e_i = row_i + mean_(c of i) of q_c, q_c learned.

        Here targets and negatives hold it like histories, whatever the backbone. The vectors start as zeros, so that
        the table's stay what they are.

        Args:
            features: categories of each item from 1 to `kinds`, 0 for none, (N + 1, F).
            kinds: how many categories there are.

        Source: the item representation of Xie et al., arXiv 2112.02591 (MFN), and the knowledge of Meng et al., 2022
            (CKML), as this project reads them.
        """
        self.categories = nn.Parameter(torch.zeros(kinds + 1, self.weight.shape[1]))
        # known from the data, and so no part of a checkpoint
        self.register_buffer("features", torch.from_numpy(features), persistent=False)

    def rows(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The vectors of some items, for a step.

        Args:
            rows: item indices (R,).

        Returns:
            A leaf (R, d) that takes the gradient of `weight[rows]`, and the items' vectors (R, d).
        """
        leaf = self.weight[rows].requires_grad_()
        return leaf, leaf if self.categories is None else leaf + self._category_vectors(rows)

    @torch.no_grad()
    def all(self) -> Tensor:
        """The vectors of all items.

        Returns:
            (N + 1, d).
        """
        if self.categories is None:
            return self.weight
        vectors = self.weight.clone()
        for rows in torch.arange(len(vectors), device=vectors.device).split(CHUNK):
            vectors[rows] += self._category_vectors(rows)
        return vectors

    def _category_vectors(self, rows: Tensor) -> Tensor:
        """The mean vectors (R, d) of the categories of items, zero for an item without any."""
        assert self.categories is not None
        features = self.features[rows]
        total = functional.embedding(features, self.categories, padding_idx=0).sum(dim=1)
        return total / (features > 0).sum(dim=1, keepdim=True).clamp(min=1)


def make_table(
    items: int, dimension: int, generator: torch.Generator, text: AnyFloats | None = None,
    start: tuple[Floats, Floats] | None = None,
) -> ItemTable:  # fmt: skip
    """A fresh table, of random vectors or started from text.

    Args:
        items: N.
        dimension: d.
        generator: draws the vectors, or the noise on those from text.
        text: text vectors (N + 1, D), which may be half precision and mapped from a file.
        start: the mean (D,) of text, and the map (d, D) of centred text; without it vectors are random.

    Returns:
        The table; row 0 is zero.
    """
    vectors = torch.empty(items + 1, dimension).normal_(generator=generator)
    vectors[0] = 0.0
    if text is None or start is None:
        return ItemTable(vectors.mul_(DEVIATION))
    mean, projection = start
    # elements that no text reaches are left to the noise
    vectors[:, torch.from_numpy(projection.any(axis=1))] *= NOISE
    vectors.mul_(DEVIATION)
    for first in range(0, len(text), CHUNK):
        centred = text[first : first + CHUNK].astype(np.float32) - mean
        if first == 0:
            centred[0] = 0.0
        vectors[first : first + CHUNK] += torch.from_numpy(centred) @ torch.from_numpy(projection).T
    return ItemTable(vectors)


def principal_components(text: AnyFloats, dimension: int) -> tuple[Floats, Floats]:
    """The principal components of text vectors.

    The projected vectors have elements of standard deviation DEVIATION; beyond D components are 0. All are 0 where
    the vectors are all the same, items without titles say: nothing parts them.

    Args:
        text: (N + 1, D), row 0 left out.
        dimension: d, how many components.

    Returns:
        The mean (D,), and the components (d, D) that project what is centred.
    """
    mean, covariance = mean_and_covariance(text)
    components = np.zeros((dimension, text.shape[1]))
    width = min(dimension, text.shape[1])
    components[:width] = np.linalg.eigh(covariance)[1][:, ::-1][:, :width].T
    return mean.astype(np.float32), scaled(components, covariance)


def mean_and_covariance(text: AnyFloats) -> tuple[Doubles, Doubles]:
    """Mean and covariance of text vectors.

    Args:
        text: (N + 1, D), row 0 left out.

    Returns:
        (D,) and (D, D).
    """
    total, products = np.zeros(text.shape[1]), np.zeros((text.shape[1], text.shape[1]))
    for start in range(1, len(text), CHUNK):
        part = text[start : start + CHUNK].astype(np.float64)
        total += part.sum(axis=0)
        products += part.T @ part
    count = max(1, len(text) - 1)
    mean = total / count
    return mean, products / count - np.outer(mean, mean)


def scaled(components: Doubles, covariance: Doubles) -> Floats:
    """Components so long that what they project has elements of standard deviation DEVIATION.

    The sign of an eigenvector is anyone's choice: its largest entry is made positive.

    Args:
        components: (d, D).
        covariance: of what they project, (D, D).

    Returns:
        (d, D), all 0 where nothing is left to project.
    """
    largest = np.take_along_axis(components, np.abs(components).argmax(axis=1)[:, None], axis=1)
    kept = np.einsum("kd,de,ke->", components, covariance, components) / len(components)
    scale = DEVIATION / np.sqrt(kept) if kept > SAME else 0.0
    return (components * np.where(largest < 0, -scale, scale)).astype(np.float32)
