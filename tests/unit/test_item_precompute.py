"""Which parts of a network are computed once an item, on networks written by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from eimf_core.model_directory import item_precompute
from eimf_core.model_directory.item_precompute import PrecomputedNetwork
from eimf_core.model_directory.model_network import InterestNetwork
from tests.small_models import mean_network

ITEMS, WIDTH, HEADS = 50, 6, 2
RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(ITEMS + 1, WIDTH)).astype(np.float32)
WEIGHT = RNG.normal(size=(WIDTH, HEADS)).astype(np.float32)


def attention_network(*, places: int = 0) -> bytes:
    """Softmax over the products of items and heads; with `places` each logit knows its own place, of so many."""
    nodes = [
        helper.make_node("MatMul", ["vectors", "weight"], ["products"]),
        helper.make_node("Tanh", ["products"], ["bent"]),
        helper.make_node("Add", ["bent", "offset"], ["logits"]),
        helper.make_node("Transpose", ["logits"], ["heads"], perm=[0, 2, 1]),
        helper.make_node("Softmax", ["heads"], ["attention"], axis=-1),
        helper.make_node("MatMul", ["attention", "vectors"], ["interests"]),
    ]
    offset = RNG.normal(size=(places, HEADS) if places else HEADS).astype(np.float32)
    graph = helper.make_graph(
        nodes,
        "attention",
        [
            helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["B", "L", WIDTH]),
            helper.make_tensor_value_info("mask", TensorProto.BOOL, ["B", "L"]),
        ],
        [
            helper.make_tensor_value_info("interests", TensorProto.FLOAT, ["B", HEADS, WIDTH]),
            helper.make_tensor_value_info("attention", TensorProto.FLOAT, ["B", HEADS, "L"]),
        ],
        [
            helper.make_tensor("weight", TensorProto.FLOAT, WEIGHT.shape, WEIGHT.ravel()),
            helper.make_tensor("offset", TensorProto.FLOAT, offset.shape, offset.ravel()),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


def asked(content: bytes, items: Any, times: int) -> tuple[PrecomputedNetwork, list[Any]]:
    """A network that was asked so many times, with its answers."""
    whole = InterestNetwork("a model", content, dimension=WIDTH, interests=HEADS)
    network = PrecomputedNetwork(whole, lambda items: {"vectors": VECTORS[items]})
    side = {"mask": np.ones(items.shape, np.bool_)}
    return network, [network.run(items, side, len(VECTORS)) for _ in range(times)]


def test_a_table_is_made_when_as_many_items_were_read_as_there_are() -> None:
    items = RNG.integers(1, ITEMS + 1, size=(4, 7))
    network, answers = asked(attention_network(), items, 2)
    assert network._used[0] is not network.whole and list(network._used[1]) == ["logits"]
    for one, other in zip(*answers, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    early, _ = asked(attention_network(), items, 1)
    assert early._used == (early.whole, {})


@pytest.mark.parametrize("places", [ITEMS + 1, 7])
def test_what_only_looks_as_if_of_one_item_is_left_whole(places: int) -> None:
    """A term for each place of a history, by which a table of as many items can be filled, or not."""
    content = attention_network(places=places)
    items = RNG.integers(1, ITEMS + 1, size=(4, places))
    network, (_, last) = asked(content, items, 2)
    assert network._asked and network._used == (network.whole, {})
    alone = network.whole.run({"vectors": VECTORS[items], "mask": np.ones(items.shape, np.bool_)})
    np.testing.assert_array_equal(last[1], alone[1])


def test_a_network_without_such_a_part_is_left_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    assert item_precompute.split_network(mean_network(interests=2)) is None
    monkeypatch.setattr(item_precompute, "WIDEST", HEADS - 1)
    assert item_precompute.split_network(attention_network()) is None
