"""Scores of all items from vectors quantised to 8 bits (int8): several times as fast as in 32 bits, with error bounds.

Vectors are rounded to whole numbers of 8 bits, of which a processor multiplies four times as many at once.
With v' and x' for the rounded vectors, by the inequality of Cauchy and Schwarz

    |<v, x> - <v', x'>| <= |v - v'| |x| + |v'| |x - x'|

so that it is certain which items may be among the best: those alone need exact scores. No torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from eimf_core.model_directory import model_network
from eimf_core.numeric import ranking
from eimf_core.numeric.arrays import Floats

Bytes = npt.NDArray[np.int8]
LARGEST = 127
"""Of a rounded item vector, and of rounded interests where the processor adds all products in 32 bits."""
SMALLER = 63
"""Of rounded interests elsewhere: two products then fit into the 16 bits in which older processors add them."""
ROWS = 1 << 11
"""Item vectors that are rounded at once."""
OPSET, IR_VERSION = 13, 8


class Rounded(NamedTuple):
    """The interests of some users in 8 bits.

    Attributes:
        parts: for each part of the interests without a sign, moved by one more than their largest number, (K, B, d):
            interest by interest, so that the largest product is taken over rows that lie together.
        steps: what the numbers of each user are to be multiplied by, (B,).
        off: how far any score may be from the exact one, in such steps, (B,).
    """

    parts: list[npt.NDArray[np.uint8]]
    steps: Floats
    off: Floats


class Int8Scores:
    """The item vectors of a model in 8 bits.

    `vectors` (N + 1, d), `scale` (N + 1,) or None and `parts` are those of `ranking.best_scores`. `width` is the number
    of columns of scores: N + 1 filled up to a multiple of `ranking.GROUP`.
    """

    def __init__(self, vectors: Floats, scale: Floats | None, parts: Sequence[tuple[int, int]] = ()) -> None:
        self.items = len(vectors)
        self.width = -(-self.items // ranking.GROUP) * ranking.GROUP
        self._parts: list[_Part] = []
        self._steps = np.empty(self.items, np.float32)
        self._sizes = parts
        widths = [width for width, _ in parts] or [vectors.shape[1]]
        rounded = [np.empty((self.items, width), np.int8) for width in widths]
        columns = _columns(widths)
        longest, furthest = np.zeros(len(widths), np.float32), np.zeros(len(widths), np.float32)
        for start in range(0, self.items, ROWS):
            rows = slice(start, start + ROWS)
            exact = vectors[rows] if scale is None else vectors[rows] * scale[rows, None]
            # one step for all parts of an item, so that their whole numbers can be added
            steps = self._steps[rows] = _steps(np.abs(exact).max(axis=1), LARGEST)
            whole = np.rint(exact / steps[:, None])
            rest = exact - whole * steps[:, None]
            for at, part in enumerate(columns):
                with np.errstate(invalid="ignore"):
                    rounded[at][rows] = whole[:, part]
                # unlike max it keeps what is no number
                longest[at] = np.maximum(longest[at], np.linalg.norm(exact[:, part], axis=1).max())
                furthest[at] = np.maximum(furthest[at], np.linalg.norm(rest[:, part], axis=1).max())
        # a table with a number that is none is left to those who tell it
        self.finite = bool(np.isfinite(longest).all() and np.isfinite(self._steps).all())
        for of_part, *lengths in zip(rounded, longest, furthest, strict=True):
            self._parts.append(_Part(_product(of_part), *lengths))

    def rounded(self, interests: Floats) -> Rounded | None:
        """Interests in 8 bits.

        Args:
            interests: (B, K, d).

        Returns:
            What `scores` takes, with bounds of its errors; None where an interest is not finite.
        """
        largest = np.abs(interests).max(axis=(1, 2))
        if not np.isfinite(largest).all():
            return None
        steps = _steps(largest, _largest())
        off = np.zeros(len(interests), np.float32)
        made: list[npt.NDArray[np.uint8]] = []
        for part, (exact, _) in zip(self._parts, ranking.split(interests, self._sizes), strict=True):
            own = exact / steps[:, None, None]
            whole = np.rint(own)
            lengths, rest = _longest(whole), _longest(own - whole)
            off += rest * part.longest + lengths * (part.furthest + ranking.SUMS * part.longest)
            # one of the factors must have no sign: it is moved, and the network moves it back
            moved = (whole + np.float32(_largest() + 1)).astype(np.uint8)
            made.append(np.ascontiguousarray(moved.transpose(1, 0, 2)))
        return Rounded(made, steps, off)

    def scores(self, rounded: Rounded, rows: slice) -> Floats:
        """Approximate scores of all items for some users.

        Args:
            rounded: the interests of B users.
            rows: which of them.

        Returns:
            (b, width), in the steps of each user; -inf for padding and behind the last item.
        """
        best: npt.NDArray[np.int32] | None = None
        for part, moved in zip(self._parts, rounded.parts, strict=True):
            own = moved[:, rows]
            number, users, width = own.shape
            products = _products(part.product, own.reshape(-1, width), _largest()).reshape(number, users, -1)
            largest: npt.NDArray[np.int32] = products[0]
            # two rows at a time and in place: as one maximum over an axis it takes longer
            for further in products[1:]:
                np.maximum(largest, further, out=largest)
            best = largest if best is None else np.add(best, largest, out=best)
        assert best is not None
        scores = np.empty((len(best), self.width), np.float32)
        np.multiply(best, self._steps, out=scores[:, : self.items], dtype=np.float32)
        scores[:, 0] = scores[:, self.items :] = -np.inf
        return scores


class _Part(NamedTuple):
    """Some columns of the item vectors: the network that multiplies by them, how long the longest is, and how far one
    lies at most from what it was rounded to."""

    product: Any
    longest: np.float32
    furthest: np.float32


def _columns(widths: Sequence[int]) -> list[slice]:
    ends = np.cumsum([0, *widths]).tolist()
    return [slice(start, end) for start, end in pairwise(ends)]


def _steps(largest: Floats, levels: int) -> Floats:
    """The step of each row by which its largest number is the last of so many levels."""
    return np.where(largest > 0, largest / np.float32(levels), np.float32(1))


def _longest(vectors: Floats) -> Floats:
    """The length of the longest vector of each row, (B, K, d) to (B,)."""
    found: Floats = np.sqrt(np.einsum("bkd,bkd->bk", vectors, vectors).max(axis=1))
    return found


def _products(network: Any, rows: npt.NDArray[np.uint8], largest: int) -> npt.NDArray[np.int32]:
    """Rows (n, d), moved by one more than their largest number, by all item vectors: (n, N + 1)."""
    found: npt.NDArray[np.int32] = network.run(None, {"rows": rows, "zero": np.array(largest + 1, np.uint8)})[0]
    return found


@cache
def _largest() -> int:
    """The largest number of rounded interests that this processor multiplies without an overflow."""
    extremes = np.full((64, 64), LARGEST, np.int8)
    moved = extremes.view(np.uint8) + np.uint8(LARGEST + 1)
    exact = (_products(_product(extremes), moved, LARGEST) == 64 * LARGEST**2).all()
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
