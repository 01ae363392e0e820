"""The label losses: what labels add to the loss of the backbone.

    1/p (a L_SP + b L_MA + s L_SI)

after Qiao et al., arXiv 2411.09410 (this project's reading): semantic prediction and modality alignment, and, not in
the paper, items aligned with the words of the interests that list them. p is the share of the steps that compute these.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from eimf_core.training.config import TrainConfig
from eimf_core.training.losses import item_word_alignment, modality_alignment, semantic_prediction
from eimf_core.training.losses.inputs import LabelInputs

# a further one: a file in losses/, a line here, and its weight in `LabelWeights` of config.py
LABEL_LOSSES: dict[str, Callable[[LabelInputs], Tensor | None]] = {
    "semantic": semantic_prediction.loss,
    "alignment": modality_alignment.loss,
    "items": item_word_alignment.loss,
}


def label_losses(settings: TrainConfig, inputs: LabelInputs) -> dict[str, Tensor]:
    """The losses of a step that need labels.

    Args:
        settings: with their weights; those of weight 0 are not computed.
        inputs: what they are computed from.

    Returns:
        Weighted losses by name.
    """
    weights = settings.label_weights._asdict()
    found = {name: loss(inputs) for name, loss in LABEL_LOSSES.items() if weights[name]}
    return {
        name: 1.0 / settings.labelled_steps * (weights[name] * value)
        for name, value in found.items()
        if value is not None
    }
