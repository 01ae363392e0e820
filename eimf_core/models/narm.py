"""NARM with several interests: K attention heads over the items of a history, each beside the state of a GRU.

Paper: Li et al., Neural Attentive Session-based Recommendation, CIKM 2017; trained by a mixture of softmaxes as in
Yang et al., Breaking the Softmax Bottleneck, ICLR 2018.
Differs: where the paper has one head over the GRU states and joins it to the last state by a matrix, here are the K
heads of comirec_sa.py over the items themselves, and the last state is added to each: V_k = h_k + g. The mixture has no
weights of its own: an interest counts by the mass that it gives to the items.
"""

from __future__ import annotations

import torch
from torch import Tensor

from eimf_core.models.backbone import Backbone
from eimf_core.models.comirec_sa import AttentionHeads, AttentionHyperparameters
from eimf_core.models.gru4rec import GRUEncoder
from eimf_core.models.parts import Output
from eimf_core.models.shape import Shape


class RecurrentAttentionHeads(AttentionHeads):
    """Attention heads h_k over the history, each with the state g of gated recurrent units: V_k = h_k + g.

    What was last is in g, which all interests share, so that two of them are closer to each other than heads alone.
    """

    selects_interest = False
    collapsed = 0.99

    def __init__(self, shape: Shape, hyperparameters: AttentionHyperparameters, generator: torch.Generator) -> None:
        super().__init__(shape, hyperparameters, generator)
        self.sequence = GRUEncoder(shape, hyperparameters, generator)

    def forward(self, states: Tensor, mask: Tensor) -> Output:
        interests, auxiliary = super().forward(states, mask)
        return interests + self.sequence.last(states, mask), auxiliary

    def all_prefixes(self, states: Tensor, mask: Tensor) -> Output:
        interests, auxiliary = super().all_prefixes(states, mask)
        return interests + self.sequence(states, mask, {})[:, :, None], auxiliary


class NARM(Backbone):
    extractor_type = RecurrentAttentionHeads
    hyperparameters = AttentionHyperparameters

    def read_out(self, interests: Tensor, targets: Tensor) -> Tensor:
        """All of them answer together, see `training/losses/interest_mixture.py`."""
        return interests
