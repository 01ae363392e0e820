"""Small model directories for tests of the steps that read them: a few vectors and a tiny network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, helper

from eimf_core.model_directory import artifact
from eimf_core.model_directory.opened_model import ModelConfig
from eimf_core.naming.group_names import named_groups
from eimf_core.records import Item


def mean_network(*, interests: int = 1) -> bytes:
    """The history's mean as the one interest; as two, itself and its opposite. Attention is uniform over the mask."""
    mean, attention = ("mean", "weights") if interests == 2 else ("interests", "attention")
    nodes = [
        helper.make_node("Cast", ["mask"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["real", "one"], ["row"]),
        helper.make_node("ReduceSum", ["row", "two"], ["length"], keepdims=1),
        helper.make_node("Div", ["row", "length"], [attention]),
        helper.make_node("MatMul", [attention, "vectors"], [mean]),
    ]
    if interests == 2:
        nodes += [
            helper.make_node("Neg", ["mean"], ["other"]),
            helper.make_node("Concat", ["mean", "other"], ["interests"], axis=1),
            helper.make_node("Concat", ["weights", "weights"], ["attention"], axis=1),
        ]
    graph = helper.make_graph(
        nodes,
        "mean",
        [
            helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["B", "L", "d"]),
            helper.make_tensor_value_info("mask", TensorProto.BOOL, ["B", "L"]),
        ],
        [
            helper.make_tensor_value_info("interests", TensorProto.FLOAT, ["B", interests, "d"]),
            helper.make_tensor_value_info("attention", TensorProto.FLOAT, ["B", interests, "L"]),
        ],
        [
            helper.make_tensor("one", TensorProto.INT64, [1], [1]),
            helper.make_tensor("two", TensorProto.INT64, [1], [2]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


def halves_network() -> bytes:
    """Two interests, both from the history's mean: itself, and its opposite."""
    return mean_network(interests=2)


def taste_vectors(items: Sequence[Item], *, noise: float = 0.3, seed: int = 0) -> npt.NDArray[np.float32]:
    """Item vectors (N + 1, 4): an axis per category, with noise, so that a mean of a history means something."""
    rng = np.random.default_rng(seed)
    axes = {name: axis for axis, name in enumerate(sorted({item.categories[0] for item in items}))}
    vectors = np.zeros((len(items) + 1, 4), dtype=np.float32)
    for row, item in enumerate(items, start=1):
        vectors[row] = noise * rng.normal(size=4)
        vectors[row, axes[item.categories[0]]] += 1
    return vectors


def write_small_model(
    path: Path,
    items: Sequence[Item],
    vectors: npt.NDArray[np.float32],
    *,
    seed: int = 0,
    max_length: int = 50,
    training: dict[str, Any] | None = None,
) -> Path:
    """Write a model directory with two interests over these item vectors (N + 1, d)."""
    config = ModelConfig(
        backbone="halves",
        items=len(items),
        dimension=vectors.shape[1],
        interests=2,
        max_length=max_length,
        seed=seed,
        training={**(training or {}), "seed": seed},
    )
    weights = {"item_vectors": vectors, "item_counts": np.ones(len(items) + 1, dtype=np.int64)}
    groups = named_groups(len(items), lambda index: items[index - 1], vectors, None, [], vectors[:0])
    artifact.write(
        path,
        artifact.Contents(
            config=config, items=list(items), weights=weights, network=halves_network(), item_groups=groups.arrays()
        ),
    )
    return path
