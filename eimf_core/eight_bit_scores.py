"""Scores of all items from vectors quantised to 8 bits (int8): several times as fast as in 32 bits, with error bounds.

Vectors are rounded to whole numbers of 8 bits, of which a processor multiplies four times as many at once.
With v' and x' for the rounded vectors, by the inequality of Cauchy and Schwarz

    |<v, x> - <v', x'>| <= |v - v'| |x| + |v'| |x - x'|

so that it is certain which items may be among the best: those alone need exact scores. No torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from eimf_core import model_network

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.int8]
LARGEST = 127
"""Of a rounded item vector, and of rounded interests where the processor adds all products in 32 bits."""
SMALLER = 63
"""Of rounded interests elsewhere: two products then fit into the 16 bits in which older processors add them."""
ROWS = 1 << 11
"""Item vectors that are rounded at once."""
ROUNDING = 2e-5
"""What sums in 32 bits may add to the bound, as a share of the lengths of both vectors."""
OPSET, IR_VERSION = 13, 8


class EightBitScores:
    """The item vectors of a model in 8 bits.

    `vectors` (N + 1, d), `scale` (N + 1,) or None and `parts` are those of `ranking.best_scores`.
    """

    def __init__(self, vectors: Floats, scale: Floats | None, parts: Sequence[tuple[int, int]] = ()) -> None:
        self.items = len(vectors)
        self._parts: list[tuple[slice, int, _Part]] = []
        start = 0
        for width, count in parts or [(vectors.shape[1], 0)]:
            columns = slice(start, start := start + width)
            self._parts.append((columns, count, _Part(vectors[:, columns], scale)))

    def scores(self, interests: Floats) -> tuple[Floats, Floats]:
        """Approximate scores of all items, with their error bounds.

        Args:
            interests: (B, K, d), finite.

        Returns:
            The scores (B, N + 1), -inf for padding, and of each row how far any may be from the exact one (B,).
        """
        scores = np.zeros((len(interests), self.items), np.float32)
        off = np.zeros(len(interests), np.float32)
        step = interests.shape[1]
        for columns, count, part in self._parts:
            number = count or step
            step //= number
            off += part.add_to(scores, interests[:, : number * step : step, columns])
        scores[:, 0] = -np.inf
        return scores, off


class _Part:
    """Some columns of the item vectors."""

    def __init__(self, vectors: Floats, scale: Floats | None) -> None:
        rounded = np.empty(vectors.shape, np.int8)
        self._steps = np.empty(len(vectors), np.float32)
        self._longest = self._furthest = np.float32(0)
        for start in range(0, len(vectors), ROWS):
            rows = slice(start, start + ROWS)
            exact = vectors[rows] if scale is None else vectors[rows] * scale[rows, None]
            steps = _steps(np.abs(exact).max(axis=1), LARGEST)
            rounded[rows], self._steps[rows] = np.rint(exact / steps[:, None]), steps
            rest = exact - rounded[rows] * steps[:, None]
            self._longest = max(self._longest, np.linalg.norm(exact, axis=1).max())
            self._furthest = max(self._furthest, np.linalg.norm(rest, axis=1).max())
        self._product = _product(rounded)

    def add_to(self, scores: Floats, interests: Floats) -> Floats:
        """Add this part's scores to those of each row, and return how far they may be off (B,); `interests` are
        (B, K, d)."""
        users, number, width = interests.shape
        steps = _steps(np.abs(interests).max(axis=(1, 2)), _largest())
        rounded = np.rint(interests / steps[:, None, None])
        lengths, rest = _longest(rounded) * steps, _longest(interests - rounded * steps[:, None, None])
        # interest by interest, so that the largest is taken over rows that lie together
        rows = rounded.astype(np.int8).transpose(1, 0, 2).reshape(-1, width)
        near = np.empty(scores.shape, np.float32)
        near[:] = _products(self._product, rows, _largest()).reshape(number, users, -1).max(axis=0)
        near *= self._steps
        near *= steps[:, None]
        scores += near
        off: Floats = rest * self._longest + lengths * self._furthest + ROUNDING * lengths * self._longest
        return off


def _steps(largest: Floats, levels: int) -> Floats:
    """The step of each row by which its largest number is the last of so many levels."""
    return np.where(largest > 0, largest / np.float32(levels), np.float32(1))


def _longest(vectors: Floats) -> Floats:
    """The length of the longest vector of each row, (B, K, d) to (B,)."""
    found: Floats = np.sqrt(np.einsum("bkd,bkd->bk", vectors, vectors).max(axis=1))
    return found


def _products(network: Any, rows: Bytes, largest: int) -> npt.NDArray[np.int32]:
    """Rows (n, d), of which no number is larger, by all item vectors: (n, N + 1)."""
    # one of the factors must have no sign: it is moved, and the network moves it back
    zero = np.array(largest + 1, np.uint8)
    found: npt.NDArray[np.int32] = network.run(None, {"rows": rows.view(np.uint8) + zero, "zero": zero})[0]
    return found


@cache
def _largest() -> int:
    """The largest number of rounded interests that this processor multiplies without an overflow."""
    extremes = np.full((64, 64), LARGEST, np.int8)
    exact = (_products(_product(extremes), extremes, LARGEST) == 64 * LARGEST**2).all()
    return LARGEST if exact else SMALLER


def _product(rounded: Bytes) -> Any:
    """A network of one operator, which multiplies rows by all item vectors."""
    import onnxruntime

    onnx = model_network.messages()
    items, width = rounded.shape
    model = onnx.ModelProto(ir_version=IR_VERSION, opset_import=[onnx.OperatorSetIdProto(version=OPSET)])
    graph = model.graph
    graph.name = "products"
    graph.node.add(op_type="MatMulInteger", input=["rows", "items", "zero"], output=["products"])
    graph.initializer.add(
        name="items", data_type=onnx.TensorProto.INT8, dims=[width, items], raw_data=rounded.T.tobytes()
    )
    for values, name, kind, axes in (
        (graph.input, "rows", onnx.TensorProto.UINT8, ("n", width)),
        (graph.input, "zero", onnx.TensorProto.UINT8, ()),
        (graph.output, "products", onnx.TensorProto.INT32, ("n", items)),
    ):
        tensor = values.add(name=name).type.tensor_type
        tensor.elem_type = kind
        # also of a number, which has no axes
        tensor.shape.SetInParent()
        for axis in axes:
            tensor.shape.dim.add(**({"dim_param": axis} if isinstance(axis, str) else {"dim_value": axis}))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
