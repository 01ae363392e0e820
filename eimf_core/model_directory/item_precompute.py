"""What a network computes of each item alone, computed once for every item instead of in every history.

In the attention heads of `models/comirec_sa.py`, for one, the logit of an item depends on the item alone, and it is
most of the work. Such a part is cut out of the ONNX file when a model has been asked often enough; what is left reads
a table of its outputs. No torch.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from eimf_core.errors import ModelError
from eimf_core.model_directory import model_network
from eimf_core.model_directory.model_network import InterestNetwork
from eimf_core.numeric.arrays import Arrays, Floats

OF_ITEMS = ("vectors", "features", "lengths")
"""Inputs that hold a row for each item of a history."""
ALONE = frozenset(("Add", "Div", "Identity", "Mul", "Neg", "Relu", "Sigmoid", "Sub", "Tanh"))
"""Operators that compute number by number."""
ALONG_LAST = frozenset(("Gather", "Split"))
"""Operators that take columns of the last axis, where their axis says so."""
WIDEST = 64
"""Columns of a table at most: more would take more memory than they save work."""
AT_ONCE = 1024
"""Items that tables are filled for at once."""
TOLERANCE = 1e-5
"""Outputs of the network in two may differ from those of the whole by so much, or it is not used."""


class PrecomputedNetwork:
    """A model's network; once it has read as many items as the model has, with tables.

    `of_items` gives what the network reads of item indices (B, L).
    """

    def __init__(self, whole: InterestNetwork, of_items: Callable[[npt.NDArray[np.int64]], Arrays]) -> None:
        self.whole = whole
        self._of_items = of_items
        self._used: tuple[InterestNetwork, dict[str, Floats]] = (whole, {})
        self._read, self._asked, self._lock = 0, False, threading.Lock()

    def run(self, items: npt.NDArray[np.int64], side: Arrays, rows: int) -> tuple[Floats, Floats]:
        """Run the network.

        Args:
            items: histories (B, L) of item indices, 0 behind the end of one.
            side: what else the network reads, its `mask` among it.
            rows: of a table, one more than the model has items.

        Returns:
            Interests (B, K, d) and attention (B, K, L).
        """
        inputs = side | self._of_items(items)
        self._read += items.size
        if self._read > rows and not self._asked:
            with self._lock:
                self._prepare(items, inputs, rows)
        network, tables = self._used
        return network.run(inputs | {name: table[items] for name, table in tables.items()})

    def _prepare(self, items: npt.NDArray[np.int64], inputs: Arrays, rows: int) -> None:
        """Use tables from here on, where some part of the network is worth it."""
        if self._asked:
            return
        self._asked = True
        found = split_network(self.whole.validated())
        if found is None:
            return
        try:
            tables = self._filled(found, rows)
            rest = self.whole.with_tables(found.rest, found.tables)
            made = rest.run(inputs | {name: table[items] for name, table in tables.items()})
        except ModelError:
            return
        # what a network from elsewhere computes may only look like that of each item alone
        if all(np.allclose(*each, atol=TOLERANCE) for each in zip(made, self.whole.run(inputs), strict=True)):
            self._used = (rest, tables)
            self.whole.close()

    def _filled(self, found: NetworkSplit, rows: int) -> dict[str, Floats]:
        """The tables (rows, width)."""
        session = model_network.opened(self.whole.name, found.items)
        read = [part.name for part in session.get_inputs()]
        tables: dict[str, Floats] = {}
        for start in range(0, rows, AT_ONCE):
            inputs = self._of_items(np.arange(start, min(start + AT_ONCE, rows))[None])
            try:
                made = session.run(found.tables, {name: inputs[name] for name in read})
            except Exception as error:  # onnxruntime raises several types of its own, all derived from Exception
                raise ModelError(f"{self.whole.name}: interests.onnx cannot be run ({error})") from None
            for name, part in zip(found.tables, made, strict=True):
                if part.shape[:2] != inputs["vectors"].shape[:2] or part.ndim != 3:
                    raise ModelError(f"{self.whole.name}: interests.onnx gives no row for each item")
                table = tables.setdefault(name, np.empty((rows, part.shape[2]), np.float32))
                table[start : start + AT_ONCE] = part[0]
        return tables


@dataclass(frozen=True)
class NetworkSplit:
    """A network in two: `items` gives the tensors `tables` (B, L, width) from what is known of items, and `rest` reads
    these beside what the whole network reads. Both are ONNX files."""

    items: bytes
    rest: bytes
    tables: list[str]


def split_network(network: bytes) -> NetworkSplit | None:
    """Split a network that `model_network` has validated; None where no part of it is worth a table."""
    onnx = model_network.messages()
    model = onnx.ModelProto.FromString(network)
    weights = {part.name: list(part.dims) for part in model.graph.initializer}
    found = _Found({part.name for part in model.graph.input} & set(OF_ITEMS), set(weights))
    for node in model.graph.node:
        found.add(node, weights)
    wanted = [
        name
        for node in model.graph.node
        for name in node.input
        if found.widths.get(name, WIDEST + 1) <= WIDEST and node.output[0] not in found.alone
    ]
    tables = list(dict.fromkeys(wanted))
    if not tables:
        return None
    items, rest = _part(model, tables, ()), _part(model, [part.name for part in model.graph.output], tables)
    for name in tables:
        items.graph.output.append(_tensor(onnx, name, found.widths[name]))
        rest.graph.input.append(_tensor(onnx, name, found.widths[name]))
    return NetworkSplit(items.SerializeToString(), rest.SerializeToString(), tables)


class _Found:
    """Tensors by what they depend on.

    Attributes:
        alone: those with a row for each item that depends on the item alone.
        widths: of those among them that a product with weights stands behind, their columns.
        fixed: those that depend on no input.
    """

    def __init__(self, inputs: set[str], weights: set[str]) -> None:
        self.alone, self.fixed = set(inputs), set(weights)
        self.widths: dict[str, int] = {}

    def add(self, node: Any, weights: dict[str, list[int]]) -> None:
        """Find out about the outputs of a node."""
        read = [name for name in node.input if name]
        if all(name in self.fixed for name in read):
            self.fixed.update(node.output)
        elif not all(name in self.alone or name in self.fixed for name in read):
            return
        elif node.op_type == "MatMul" and read[0] in self.alone and len(weights.get(read[1], ())) == 2:
            self.alone.update(node.output)
            self.widths[node.output[0]] = weights[read[1]][1]
        elif node.op_type in ALONE or (node.op_type in ALONG_LAST and _axis(node) == 2):
            self._columns(node, read)
        elif node.op_type == "Unsqueeze" and read[0] in self.alone and read[0] not in self.widths:
            # a length of each item, to stand beside its vector
            self.alone.update(node.output)

    def _columns(self, node: Any, read: list[str]) -> None:
        self.alone.update(node.output)
        widths = [self.widths[name] for name in read if name in self.widths]
        if widths and node.op_type in ALONE:
            self.widths[node.output[0]] = max(widths)


def _axis(node: Any) -> int:
    return next((int(each.i) for each in node.attribute if each.name == "axis"), 0)


def _part(model: Any, outputs: list[str], given: Iterable[str]) -> Any:
    """The part of a network that makes some of its tensors out of its inputs and others that are given."""
    made = type(model)()
    made.CopyFrom(model)
    del (
        made.graph.node[:],
        made.graph.initializer[:],
        made.graph.output[:],
        made.graph.input[:],
        made.graph.value_info[:],
    )
    needed = set(outputs)
    nodes = []
    for node in reversed(model.graph.node):
        if any(name in needed and name not in given for name in node.output):
            nodes.append(node)
            needed.update(node.input)
    made.graph.node.extend(reversed(nodes))
    made.graph.initializer.extend(part for part in model.graph.initializer if part.name in needed)
    # what reads tables is still asked as the whole is
    made.graph.input.extend(part for part in model.graph.input if given or part.name in needed)
    made.graph.output.extend(part for part in model.graph.output if part.name in outputs)
    return made


def _tensor(onnx: Any, name: str, width: int) -> Any:
    made = onnx.ValueInfoProto(name=name)
    made.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    for axis in ("B", "L"):
        made.type.tensor_type.shape.dim.add(dim_param=axis)
    made.type.tensor_type.shape.dim.add(dim_value=width)
    return made
