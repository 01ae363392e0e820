"""ONNX networks in a model directory whose manifest fits: damaged bytes, and graphs of giant or wrong shapes."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from tests.robustness import mutations
from tests.robustness.kinds import lines, models
from tests.robustness.trial import Kind, Trial

SIZES = (0, 1, 2, 3, -1, 7, 1000, 2**31, 2**40, 2**62, -(2**63), 10**9)


def trial(trial: Trial) -> None:
    raw = (trial.folder / "model" / "interests.onnx").read_bytes()
    changed = mutations.of_bytes(raw, trial.rng) if trial.rng.random() < 0.4 else _other_graph(raw, trial.rng)
    models.forge(trial.folder, "interests.onnx", changed)
    trial.eimf(*models.ASK)


def _other_graph(raw: bytes, rng: random.Random) -> bytes:
    import onnx

    network = onnx.load_from_string(raw)
    for _ in range(rng.choice((1, 1, 2))):
        rng.choice((_grow, _grow, _rewire, _retype, _drop))(network.graph, rng)
    return bytes(network.SerializeToString())


def _grow(graph: Any, rng: random.Random) -> None:
    """Nodes whose output is as large as a constant says, between the network and what it gives."""
    from onnx import TensorProto, helper

    size = [rng.choice(SIZES) for _ in range(rng.choice((1, 2, 3)))]
    graph.initializer.append(helper.make_tensor("size", TensorProto.INT64, [len(size)], size))
    scalar = helper.make_tensor("many", TensorProto.INT64, [1], [rng.choice(SIZES)])
    graph.initializer.append(scalar)
    name = rng.choice([node.output[0] for node in graph.node])
    made = {
        "Expand": helper.make_node("Expand", [name, "size"], ["grown"]),
        "ConstantOfShape": helper.make_node("ConstantOfShape", ["size"], ["grown"]),
        "TopK": helper.make_node("TopK", [name, "many"], ["grown", "places"]),
        "Reshape": helper.make_node("Reshape", [name, "size"], ["grown"]),
        "CumSum": helper.make_node("CumSum", [name, "many"], ["grown"]),
        "Pad": helper.make_node("Concat", [name] * 5000, ["grown"], axis=rng.randrange(-1, 3)),
    }
    nodes = [made[rng.choice(sorted(made))]]
    if rng.random() < 0.5:
        # a chain that doubles again and again
        nodes += [
            helper.make_node("Concat", [f"grown{at or ''}"] * 2, [f"grown{at + 1}"], axis=0)
            for at in range(rng.choice((3, 40, 300)))
        ]
    last = nodes[-1].output[0]
    nodes.append(helper.make_node("ReduceMax", [last], ["most"], keepdims=0))
    nodes.append(
        helper.make_node("Add" if rng.random() < 0.7 else "MatMul", [graph.output[0].name, "most"], ["spoilt"])
    )
    graph.node.extend(nodes)
    if rng.random() < 0.7:
        graph.output[0].name, former = "spoilt", graph.output[0].name
        for node in graph.node:
            for names in (node.input, node.output):
                for at, each in enumerate(names):
                    names[at] = {former: "before", "spoilt": former}.get(each, each)
        graph.output[0].name = former


def _rewire(graph: Any, rng: random.Random) -> None:
    node = rng.choice(list(graph.node))
    names = [name for each in graph.node for name in (*each.input, *each.output)] + ["vectors", "mask", "nowhere", ""]
    if node.input:
        node.input[rng.randrange(len(node.input))] = rng.choice(names)


def _retype(graph: Any, rng: random.Random) -> None:
    tensor = rng.choice([*graph.input, *graph.output]).type.tensor_type
    if rng.random() < 0.5:
        tensor.elem_type = rng.randrange(0, 25)
    elif tensor.shape.dim:
        tensor.shape.dim[rng.randrange(len(tensor.shape.dim))].dim_value = rng.choice(SIZES)


def _drop(graph: Any, rng: random.Random) -> None:
    part = rng.choice((graph.node, graph.initializer, graph.input, graph.output))
    if len(part):
        del part[rng.randrange(len(part))]


def make(folder: Path) -> None:
    models.make(folder)


KIND = Kind("networks", 130, make, trial, modules=lines.MODULES)
