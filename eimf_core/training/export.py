"""From a trained network to a model directory that is read without torch."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from eimf_core.dataset import Dataset
from eimf_core.errors import ModelError
from eimf_core.model_directory import model_network
from eimf_core.model_directory.artifact import Contents
from eimf_core.model_directory.opened_model import ModelConfig
from eimf_core.models import registry
from eimf_core.models.backbone import Backbone
from eimf_core.numeric.vectors import MIN_LENGTH
from eimf_core.training import text_projection
from eimf_core.training.config import TrainConfig
from eimf_core.training.joint_network import JointNetwork
from eimf_core.training.setup import PreparedRun

OPSET = 18
TOLERANCE = 1e-4


class _Network(nn.Module):
    """The one-prefix form with the two outputs that the model directory promises; side inputs in order."""

    def __init__(self, backbone: Backbone | JointNetwork) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(
        self, vectors: torch.Tensor, mask: torch.Tensor, *side: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        named = dict(zip(side_inputs(self.backbone), side, strict=True))
        interests, auxiliary = self.backbone(vectors, mask, named)
        return interests, auxiliary["attention"]


def side_inputs(backbone: Backbone | JointNetwork) -> list[str]:
    """What the exported network reads beside vectors and mask: what this backbone has learned to use."""
    return [name for name in backbone.side_inputs if name != "features" or backbone.shape.features]


def network(backbone: Backbone | JointNetwork, width: int = 0) -> bytes:
    """The backbone as ONNX, with free batch size and length; see `artifact.Contents` for its form.

    `width`: features of an item at most, where the backbone reads features.

    Raises ModelError when the exported network does not compute what the backbone does.
    """
    wrapped = _Network(backbone).eval()
    length = min(5, backbone.shape.max_length)
    generator = torch.Generator().manual_seed(0)
    example = _histories(backbone, [length, max(1, length - 2)], width, generator)
    free = {0: "B", 1: "L"}
    names = ["vectors", "mask", *side_inputs(backbone)]
    stream = io.BytesIO()
    with torch.no_grad(), _quiet():
        # the exporter that traces: it keeps recurrent layers whole, and takes 0.1 s instead of 4
        torch.onnx.export(
            wrapped,
            example,
            stream,  # type: ignore[arg-type]
            input_names=names,
            output_names=["interests", "attention"],
            dynamic_axes={**dict.fromkeys(names, free), "interests": {0: "B"}, "attention": {0: "B", 2: "L"}},
            opset_version=OPSET,
            dynamo=False,
        )
    exported = stream.getvalue()
    model_network.validated("the trained model", exported)
    _check(wrapped, exported, backbone, width)
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


def _histories(
    backbone: Backbone | JointNetwork, lengths: list[int], width: int, generator: torch.Generator
) -> tuple[torch.Tensor, ...]:
    """Random histories of these lengths in the order of the network's inputs."""
    longest = max(lengths)
    mask = torch.arange(longest) < torch.tensor(lengths)[:, None]
    vectors = torch.empty(len(lengths), longest, backbone.shape.dimension).normal_(generator=generator)
    side = {
        "days": torch.arange(longest, 0, -1).float().expand(len(lengths), -1) ** 2 - 1.0,
        "features": torch.randint(
            backbone.shape.features + 1, (len(lengths), longest, max(1, width)), generator=generator
        ),
        "events": torch.arange(len(lengths) * longest).view(len(lengths), longest) % (backbone.shape.events + 1),
    }
    if isinstance(backbone, JointNetwork):
        shape = (len(lengths), longest, len(backbone.members))
        side["lengths"] = torch.empty(shape).uniform_(0.5, 2.0, generator=generator)
    return vectors * mask[:, :, None], mask, *(side[name].contiguous() for name in side_inputs(backbone))


@torch.no_grad()
def _check(wrapped: _Network, exported: bytes, backbone: Backbone | JointNetwork, width: int) -> None:
    """Compare both forms on random histories of all kinds of length, an empty one included."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(exported, options, providers=["CPUExecutionProvider"])
    generator = torch.Generator().manual_seed(0)
    longest = backbone.shape.max_length
    for length in sorted({1, min(2, longest), longest}):
        inputs = _histories(backbone, [length, max(1, length // 2), 0], width, generator)
        names = ["vectors", "mask", *side_inputs(backbone)]
        made = session.run(
            ["interests", "attention"], {name: part.numpy() for name, part in zip(names, inputs, strict=True)}
        )
        for one, other in zip(made, wrapped(*inputs), strict=True):
            if not np.allclose(one, other.numpy(), atol=TOLERANCE):
                raise ModelError("the exported network differs from the trained one; this is a bug in the backbone")


def contents(
    prepared: PreparedRun,
    data: Dataset,
    settings: TrainConfig,
    *,
    epochs: list[dict[str, Any]],
    provenance: dict[str, Any],
) -> Contents:
    """Everything `artifact.write` needs, without groups of items.

    Args:
        prepared: what was learned and from what; its learner has the weights to write.
        data: the items.
        settings: of the run.
        epochs: a line for each.
        provenance: for the manifest.

    Returns:
        The files of a model directory, in memory.
    """
    learner, labels, text, features = prepared.learner, prepared.labels, prepared.text, prepared.side.features
    learned = learner.table.all()
    vectors = learned.numpy()
    weights: dict[str, npt.NDArray[Any]] = {
        "item_vectors": vectors.astype(np.float32, copy=False),
        "item_counts": data.counts(),
    }
    lengths = np.maximum(torch.linalg.vector_norm(learned, dim=1).numpy(), MIN_LENGTH)
    weights["item_scale"] = (1.0 / lengths).astype(np.float32)
    weights["item_scale"][0] = 0.0
    weights |= {f"backbone.{name}": part.numpy() for name, part in learner.backbone.state_dict().items()}
    if features is not None:
        weights["item_features"] = features
    if labels is not None and learner.adapter is not None:
        with torch.no_grad():
            of_labels = learner.adapter(torch.from_numpy(labels.vectors))
        weights["adapter_weight"] = learner.adapter.weight.detach().numpy()
        weights["adapter_bias"] = learner.adapter.bias.detach().numpy()
        weights["named_vectors"] = of_labels.numpy()
    if text is not None:
        weights["text_weight"], weights["text_bias"] = text_projection.fit(text, vectors)
    interests = labels.interests if labels is not None else []
    text_widths = [found.shape[1] for found in (text, None if labels is None else labels.vectors) if found is not None]
    return Contents(
        config=ModelConfig(
            backbone=settings.backbone,
            items=len(data.items),
            dimension=settings.dimension,
            interests=learner.backbone.shape.interests,
            max_length=settings.max_length,
            text_encoder=prepared.encoder,
            text_dimension=text_widths[0] if text_widths else None,
            events=prepared.side.events,
            seed=settings.seed,
            plugins=registry.plugins_of(settings.backbone),
            training=asdict(settings),
        ),
        items=data.items,
        weights=weights,
        network=network(learner.backbone, 0 if features is None else features.shape[1]),
        named=interests,
        epochs=epochs,
        provenance=provenance,
    )
