"""Adam for tables of which a step touches few rows: cost and state follow the rows, not the table."""

from __future__ import annotations

import torch
from torch import Tensor

BETAS = (0.9, 0.999)


class RowAdam:
    """Adam on given rows of a table, with one second moment a row.

    m_r = b1 m_r + (1 - b1) g_r;  v_r = b2 v_r + (1 - b2) mean(g_r^2);  w_r -= rate m^_r / (sqrt(v^_r) + e)

    after Kingma and Ba, ICLR 2015, with the second moment averaged over the row, as in Shazeer and
    Stern, ICML 2018 (Adafactor), and the moments of a row moved only in the steps that touch it, as
    in the lazy variants for embeddings. m^ and v^ are corrected by the row's own number of steps.
    """

    def __init__(self, table: Tensor, *, rate: float) -> None:
        self.table, self.rate = table, rate
        self.momentum = torch.zeros_like(table)
        self.second = torch.zeros(len(table), dtype=table.dtype, device=table.device)
        self.steps = torch.zeros(len(table), dtype=torch.int32, device=table.device)

    def move(self, table: Tensor) -> None:
        """Continue with the same table on another device.

        Args:
            table: there, (N + 1, d).
        """
        self.table, device = table, table.device
        self.momentum, self.second = self.momentum.to(device), self.second.to(device)
        self.steps = self.steps.to(device)

    def step(self, rows: Tensor, gradient: Tensor) -> None:
        """Move some rows along their gradient.

        Args:
            rows: (R,), distinct.
            gradient: (R, d).
        """
        first, second = BETAS
        steps = self.steps[rows] + 1
        momentum = self.momentum[rows].lerp_(gradient, 1.0 - first)
        variance = self.second[rows].lerp_(gradient.square().mean(dim=1), 1.0 - second)
        self.steps.index_copy_(0, rows, steps)
        self.momentum.index_copy_(0, rows, momentum)
        self.second.index_copy_(0, rows, variance)
        root = (variance / (1.0 - second**steps)).sqrt_().add_(1e-8)
        pace = self.rate / ((1.0 - first**steps) * root)
        self.table.index_add_(0, rows, momentum * pace[:, None], alpha=-1.0)

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint keeps.

        Returns:
            Tensors by name.
        """
        return {"momentum": self.momentum, "second": self.second, "steps": self.steps}
