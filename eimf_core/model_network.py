"""The interests network of a model: an ONNX file in, interests and attention of a batch of histories out. No torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from eimf_core.errors import ModelError

Floats = npt.NDArray[np.float32]
EXTERNAL_DATA = b"\x0a\x08location"
"""How ONNX writes that a tensor lies in another file: the key of its first entry in `external_data`."""


class InterestNetwork:
    """Runs the network; onnxruntime is imported and the file parsed when it is first used."""

    def __init__(self, name: str, content: bytes) -> None:
        """Args: the model's name, for errors, and the bytes of the ONNX file."""
        self._name = name
        self._content = content
        self._opened: Any = None

    @property
    def _session(self) -> Any:
        if self._opened is None:
            self._opened = _session(self._name, self._content)
        return self._opened

    @property
    def inputs(self) -> list[str]:
        """The names of what it reads: `vectors` and `mask`, and any of `features`, `days` and `events`."""
        return [part.name for part in self._session.get_inputs()]

    def run(self, inputs: dict[str, npt.NDArray[Any]]) -> tuple[Floats, Floats]:
        """Interests (B, K, d) and attention (B, K, L); `inputs` holds at least what the network reads."""
        read = {name: inputs[name] for name in self.inputs}
        outputs: tuple[Floats, Floats] = tuple(self._session.run(["interests", "attention"], read))
        return outputs


def _session(name: str, network: bytes) -> Any:
    if EXTERNAL_DATA in network:
        raise ModelError(f"{name}: interests.onnx points to other files, which no model does; it is not to be trusted")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises several types of its own, all derived from Exception
        raise ModelError(f"{name}: interests.onnx cannot be read ({str(error).splitlines()[0]})") from None
