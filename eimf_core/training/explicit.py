"""What labelled users add to the loss: semantic prediction and modality alignment, weighted.

    a L_SP + b L_MA

after Qiao et al., arXiv 2411.09410; see `losses/` for the two.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from eimf_core.training.config import TrainConfig
from eimf_core.training.labelled import LabelledBatch
from eimf_core.training.learner import Learner
from eimf_core.training.losses.modality_alignment import modality_alignment
from eimf_core.training.losses.semantic_prediction import semantic_queries
from eimf_core.training.prediction import Prediction
from eimf_core.training.side import SideInputs


def explicit_losses(
    settings: TrainConfig, learner: Learner, side: SideInputs, labelled: LabelledBatch, label_vectors: Tensor,
    prediction: Prediction, vectors: Tensor, histories: Tensor, targets: Tensor,
) -> dict[str, Tensor]:  # fmt: skip
    """The weighted parts by name; none without an adapter.

    label_vectors (n, D) of all interests; vectors (R, d) the step's rows of the item table; histories
    int64 (B, L) and targets int64 (B,), the labelled users' items as rows of `vectors`.
    """
    if learner.adapter is None:
        return {}
    texts = torch.from_numpy(labelled.texts)
    exists = texts >= 0
    semantic = learner.adapter(label_vectors[texts.clamp(min=0)])
    losses = {}
    if settings.semantic_weight:
        cosine = settings.similarity == "cosine"
        queries = semantic_queries(semantic, exists, prediction.scored[targets], normalise=cosine)
        losses["semantic"] = settings.semantic_weight * prediction.loss(queries, labelled.targets, targets)
    if settings.alignment_weight:
        behavioural, _ = learner.backbone(
            functional.embedding(histories, vectors),
            torch.from_numpy(labelled.histories > 0),
            side.of_items(labelled.histories),
        )
        losses["alignment"] = settings.alignment_weight * modality_alignment(
            behavioural, semantic, exists, texts, temperature=settings.alignment_temperature
        )
    return losses
