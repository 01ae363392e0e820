"""From a trained network to a model directory that is read without torch."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from eimf_core.artifact import Contents, ModelConfig
from eimf_core.dataset import Dataset
from eimf_core.errors import ModelError
from eimf_core.models.network import Backbone
from eimf_core.training import text_map
from eimf_core.training.config import TrainConfig
from eimf_core.training.labels import Labels
from eimf_core.training.learner import Learner

OPSET = 18
TOLERANCE = 1e-4


class _Network(nn.Module):
    """The one-prefix form with the two outputs that the model directory promises."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, vectors: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        interests, auxiliary = self.backbone(vectors, mask)
        return interests, auxiliary["attention"]


def network(backbone: Backbone) -> bytes:
    """The backbone as ONNX, with free batch size and length; see `artifact.Contents` for its form.

    Raises ModelError when the exported network does not compute what the backbone does.
    """
    wrapped = _Network(backbone).eval()
    length = min(5, backbone.shape.max_length)
    example = (torch.zeros(2, length, backbone.shape.dimension), torch.ones(2, length, dtype=torch.bool))
    free = {0: "B", 1: "L"}
    stream = io.BytesIO()
    with torch.no_grad(), _quiet():
        # the exporter that traces: it keeps recurrent layers whole, and takes 0.1 s instead of 4
        torch.onnx.export(
            wrapped,
            example,
            stream,  # type: ignore[arg-type]
            input_names=["vectors", "mask"],
            output_names=["interests", "attention"],
            dynamic_axes={"vectors": free, "mask": free, "interests": {0: "B"}, "attention": {0: "B", 2: "L"}},
            opset_version=OPSET,
            dynamo=False,
        )
    exported = stream.getvalue()
    _check(wrapped, exported, backbone)
    return exported


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logger.setLevel(level)


@torch.no_grad()
def _check(wrapped: _Network, exported: bytes, backbone: Backbone) -> None:
    """Compare both forms on random histories of all kinds of length, an empty one included."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(exported, options, providers=["CPUExecutionProvider"])
    generator = torch.Generator().manual_seed(0)
    longest = backbone.shape.max_length
    for length in sorted({1, min(2, longest), longest}):
        vectors = torch.empty(3, length, backbone.shape.dimension).normal_(generator=generator)
        mask = torch.arange(length) < torch.tensor([[length], [max(1, length // 2)], [0]])
        vectors = vectors * mask[:, :, None]
        made = session.run(["interests", "attention"], {"vectors": vectors.numpy(), "mask": mask.numpy()})
        for one, other in zip(made, wrapped(vectors, mask), strict=True):
            if not np.allclose(one, other.numpy(), atol=TOLERANCE):
                raise ModelError("the exported network differs from the trained one; this is a bug in the backbone")


def contents(
    learner: Learner,
    data: Dataset,
    settings: TrainConfig,
    *,
    labels: Labels | None,
    text: npt.NDArray[Any] | None,
    encoder: str | None,
    epochs: list[dict[str, Any]],
    provenance: dict[str, Any],
    training: dict[str, Any],
) -> Contents:
    """Everything `artifact.write` needs. `text` (N + 1, D) are the items' text vectors and `encoder` names
    the text encoder, if one was used."""
    vectors = learner.table.all().numpy()
    weights: dict[str, npt.NDArray[Any]] = {
        "item_vectors": vectors.astype(np.float32),
        "item_counts": data.counts(),
    }
    if settings.similarity == "cosine":
        lengths = np.maximum(np.linalg.norm(vectors, axis=1), 1e-12)
        weights["item_scale"] = (1.0 / lengths).astype(np.float32)
        weights["item_scale"][0] = 0.0
    if labels is not None and learner.adapter is not None:
        with torch.no_grad():
            named = learner.adapter(torch.from_numpy(labels.vectors))
        weights["adapter_weight"] = learner.adapter.weight.detach().numpy()
        weights["adapter_bias"] = learner.adapter.bias.detach().numpy()
        weights["named_vectors"] = named.numpy()
    if text is not None:
        weights["text_weight"], weights["text_bias"] = learner.table.text_map() or text_map.fit(text, vectors)
    text_widths = [found.shape[1] for found in (text, None if labels is None else labels.vectors) if found is not None]
    return Contents(
        config=ModelConfig(
            backbone=settings.backbone,
            items=len(data.items),
            dimension=settings.dimension,
            interests=learner.backbone.shape.interests,
            max_length=settings.max_length,
            text_encoder=encoder,
            text_dimension=text_widths[0] if text_widths else None,
            seed=settings.seed,
            training=training,
        ),
        items=data.items,
        weights=weights,
        network=network(learner.backbone),
        named=labels.interests if labels is not None else [],
        epochs=epochs,
        provenance=provenance,
    )
