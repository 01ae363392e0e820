"""The interests network of a model: an ONNX file in, interests and attention of a batch of histories out. No torch.

The file may be anybody's: it is parsed and checked before onnxruntime sees it, and so are the shapes that it gives.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.machinery import PathFinder
from typing import Any

import numpy.typing as npt

from eimf_core.errors import ModelError
from eimf_core.interrupts import interruptible
from eimf_core.numeric.arrays import Floats

NEEDED = ("vectors", "mask")
INPUTS = {
    "vectors": ("tensor(float)", 3),
    "mask": ("tensor(bool)", 2),
    "features": ("tensor(int64)", 3),
    "days": ("tensor(float)", 2),
    "events": ("tensor(int64)", 2),
    "lengths": ("tensor(float)", 3),
}
"""Type and number of axes of each input that a network may read."""
TABLE = ("tensor(float)", 3)
MEMORY = 4 << 30
"""Bytes that networks may take beside what they read; a block of histories of a large model takes some hundred MB."""
OUTPUTS = {"interests": ("tensor(float)", 3), "attention": ("tensor(float)", 3)}
OPERATORS = frozenset((
    "Abs", "Add", "And", "Cast", "Clip", "Concat", "Constant", "ConstantOfShape", "CumSum", "Div", "Equal",
    "Erf", "Exp", "Expand", "Floor", "GRU", "Gather", "GatherElements", "Gemm", "Greater", "GreaterOrEqual",
    "Identity", "LSTM", "LayerNormalization", "Less", "LessOrEqual", "Log", "LogSoftmax", "MatMul", "Max",
    "Min", "Mod", "Mul", "Neg", "Not", "Or", "Pow", "Range", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin",
    "ReduceSum", "Relu", "Reshape", "Shape", "Sigmoid", "Slice", "Softmax", "Softplus", "Split", "Sqrt",
    "Squeeze", "Sub", "Tanh", "TopK", "Transpose", "Unsqueeze", "Where",
))  # fmt: skip
"""What a network may consist of: what the backbones are written with, and their like. None of them runs a graph of its
own, such as a loop that never ends."""


class InterestNetwork:
    """Runs the network; onnxruntime is imported and the file parsed when it is first used."""

    def __init__(
        self, name: str, content: bytes, *, dimension: int, interests: int, tables: Sequence[str] = ()
    ) -> None:
        """Args: the model's name, for errors, the bytes of the ONNX file, the d and K of the model, and the inputs
        that it has of `item_precompute`."""
        self.name = name
        self._content = content
        self._dimension, self._interests = dimension, interests
        self._known = INPUTS | dict.fromkeys(tables, TABLE)
        self._opened: Any = None
        self._inputs: list[str] | None = None

    def validated(self) -> bytes:
        """The ONNX file, see `validated`."""
        return validated(self.name, self._content)

    def with_tables(self, content: bytes, tables: Sequence[str]) -> InterestNetwork:
        """A network that gives the same and reads tables."""
        return InterestNetwork(self.name, content, dimension=self._dimension, interests=self._interests, tables=tables)

    @property
    def _session(self) -> Any:
        if self._opened is None:
            session = opened(self.name, self._content)
            widths = {"vectors": {2: self._dimension}, "interests": {1: self._interests, 2: self._dimension}}
            _check_tensors(self.name, session.get_inputs(), "input", self._known, NEEDED, widths)
            _check_tensors(self.name, session.get_outputs(), "output", OUTPUTS, tuple(OUTPUTS), widths)
            self._opened = session
        return self._opened

    def close(self) -> None:
        """Give its memory back; it is opened again when it is next used."""
        self._opened = None

    @property
    def inputs(self) -> list[str]:
        """The names of what it reads: `vectors` and `mask`, and any of the others in `INPUTS`."""
        if self._inputs is None:
            self._inputs = [part.name for part in self._session.get_inputs()]
        return self._inputs

    def run(self, inputs: dict[str, npt.NDArray[Any]]) -> tuple[Floats, Floats]:
        """Run the network.

        Args:
            inputs: arrays by name, at least those that the network reads.

        Returns:
            Interests (B, K, d) and attention (B, K, L).

        Raises:
            ModelError: for a network that fails, or that gives other shapes.
        """
        lacking = [name for name in self.inputs if name not in inputs]
        if lacking:
            raise _wrong(self.name, f"reads '{lacking[0]}', which the model does not have")
        read = {name: inputs[name] for name in self.inputs}
        try:
            made = interruptible(lambda: self._session.run(list(OUTPUTS), read))
        except Exception as error:  # onnxruntime raises several types of its own, all derived from Exception
            raise _wrong(self.name, f"cannot be run ({_first_line(error)})") from None
        batch, length = inputs["mask"].shape
        expected = ((batch, self._interests, self._dimension), (batch, self._interests, length))
        for name, array, shape in zip(OUTPUTS, made, expected, strict=True):
            if array.shape != shape:
                raise _wrong(self.name, f"gives '{name}' of the shape {array.shape}, expected {shape}")
        return made[0], made[1]


def _wrong(name: str, problem: str) -> ModelError:
    return ModelError(f"{name}: interests.onnx {problem}; train or copy the model again")


def _first_line(error: Exception) -> str:
    if "bfc_arena" in str(error):
        return f"it takes more than {MEMORY >> 30} GiB of memory"
    return (str(error).splitlines() or [type(error).__name__])[0][:300]


def opened(name: str, content: bytes) -> Any:
    """A session of onnxruntime that runs an ONNX file; raises ModelError as `validated`."""
    import onnxruntime

    network = validated(name, content)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    _bound_memory()
    options.add_session_config_entry("session.use_env_allocators", "1")
    try:
        return interruptible(lambda: onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"]))
    except Exception as error:  # onnxruntime raises several types of its own, all derived from Exception
        raise ModelError(f"{name}: interests.onnx cannot be read ({_first_line(error)})") from None


@cache
def _bound_memory() -> None:
    """Let all networks of this process together take no more than `MEMORY`; a shape of a few bytes may ask for more."""
    import onnxruntime

    place = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    onnxruntime.create_and_register_allocator(place, onnxruntime.OrtArenaCfg({"max_mem": MEMORY}))


def validated(name: str, content: bytes) -> bytes:
    """The network written anew, of which all was looked at: what a parser may read in two ways is read once.

    Args:
        name: the model's name, for errors.
        content: the bytes of the ONNX file.

    Raises:
        ModelError: for what is no ONNX, points to other files, or has an operator that is not in `OPERATORS`.
    """
    onnx = messages()
    try:
        model = onnx.ModelProto.FromString(content)
    except Exception as error:  # the DecodeError of protobuf, a package of onnx and none that is declared here
        raise ModelError(f"{name}: interests.onnx cannot be read ({_first_line(error)})") from None
    model.DiscardUnknownFields()
    for part in _parts(model):
        if isinstance(part, onnx.TensorProto) and (part.external_data or part.data_location):
            raise ModelError(
                f"{name}: interests.onnx points to other files, which no model does; it is not to be trusted"
            )
        if isinstance(part, onnx.NodeProto) and (part.domain or part.op_type not in OPERATORS):
            raise ModelError(
                f"{name}: interests.onnx has the operator '{part.op_type[:80]}', which is not allowed in a model "
                "(model_network.OPERATORS)"
            )
    return bytes(model.SerializeToString())


@cache
def messages() -> Any:
    """The protobuf messages of ONNX alone: what else the package imports takes longer than an answer."""
    package = importlib.util.find_spec("onnx")
    places = None if package is None else package.submodule_search_locations
    found = PathFinder.find_spec("onnx.onnx_ml_pb2", places)
    if found is None or found.loader is None:
        return importlib.import_module("onnx")
    module = importlib.util.module_from_spec(found)
    # not put into sys.modules, where others would find a part without its package
    found.loader.exec_module(module)
    return module


def _parts(message: Any) -> Iterator[Any]:
    """A message and all messages in it, of any depth: graphs in nodes, functions and sparse tensors as well."""
    waiting = [message]
    while waiting:
        part = waiting.pop()
        yield part
        for field, value in part.ListFields():
            if field.message_type is not None:
                waiting += [value] if hasattr(value, "ListFields") else value


def _check_tensors(
    name: str,
    tensors: list[Any],
    kind: str,
    known: dict[str, tuple[str, int]],
    needed: tuple[str, ...],
    widths: dict[str, dict[int, int]],
) -> None:
    """Raise ModelError unless all needed inputs or outputs are there, each with the type and the widths it should have.

    An axis without a number is free; what comes out is checked after each run.
    """
    found = {tensor.name: tensor for tensor in tensors}
    missing = [each for each in needed if each not in found]
    if missing:
        raise _wrong(name, f"has no {kind} '{missing[0]}'")
    for tensor in tensors:
        if tensor.name not in known:
            raise _wrong(name, f"has the {kind} '{tensor.name[:80]}', which no model has")
        type_, axes = known[tensor.name]
        if tensor.type != type_ or len(tensor.shape) != axes:
            shown = f"{tensor.type} with {len(tensor.shape)} axes"
            raise _wrong(name, f"has the {kind} '{tensor.name}' as {shown}, expected {type_} with {axes}")
        for axis, width in widths.get(tensor.name, {}).items():
            if isinstance(tensor.shape[axis], int) and tensor.shape[axis] != width:
                raise _wrong(name, f"has the {kind} '{tensor.name}' {tensor.shape[axis]} wide, expected {width}")
