"""GRU4Rec: the state of gated recurrent units after the last item.

Paper: Hidasi et al., Session-based Recommendations with Recurrent Neural Networks, ICLR 2016.
Differs: the state goes through a linear layer into the item space, as in most later implementations, instead of into
scores of its own output table.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from eimf_core.models.backbone import Backbone
from eimf_core.models.hyperparameters import Hyperparameters
from eimf_core.models.layers import linear
from eimf_core.models.parts import Encoder, last_place
from eimf_core.models.shape import Shape


class GRUEncoder(Encoder):
    """Gated recurrent units over the history."""

    def __init__(self, shape: Shape, hyperparameters: Hyperparameters, generator: torch.Generator) -> None:
        super().__init__(shape, hyperparameters, generator)
        width = shape.dimension
        self.cells = nn.GRU(width, width, batch_first=True)
        with torch.no_grad():
            for parameter in self.cells.parameters():
                parameter.uniform_(-1.0 / math.sqrt(width), 1.0 / math.sqrt(width), generator=generator)
        self.output = linear(width, width, generator)

    def forward(self, vectors: Tensor, mask: Tensor, side: dict[str, Tensor]) -> Tensor:
        result: Tensor = self.output(self.cells(vectors)[0])
        return result

    def last(self, vectors: Tensor, mask: Tensor) -> Tensor:
        """What `forward` gives for the last item alone.

        Args:
            vectors: item vectors (B, L, d).
            mask: bool (B, L), true where there is an item.

        Returns:
            (B, 1, d).
        """
        result: Tensor = self.output(last_place(mask, vectors.dtype) @ self.cells(vectors)[0])
        return result


class GRU4Rec(Backbone):
    encoder_type = GRUEncoder
