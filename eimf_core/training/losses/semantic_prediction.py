"""Semantic prediction: the semantic interests alone predict the user's next item.

    L_SP = the behavioural loss with S_u = g(t_u) in the place of V_u

after Qiao et al., arXiv 2411.09410 (this project's reading): it ties the adapter g to the item
space and lets the item table learn from language.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from eimf_core.models.readout import hard_readout
from eimf_core.training.losses.inputs import LabelInputs


def loss(inputs: LabelInputs) -> Tensor:
    """Semantic prediction of one target of each labelled user of a step.

    Args:
        inputs: of the step.

    Returns:
        A scalar.
    """
    words = functional.normalize(inputs.words, dim=-1)
    queries = hard_readout(words, inputs.unit[inputs.targets.rows], inputs.exists)
    return inputs.next_item(queries, inputs.targets)
