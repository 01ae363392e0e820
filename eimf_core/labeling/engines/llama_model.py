"""A GGUF model opened through llama.cpp's C functions: loading, tokens of a prompt, text of tokens.

Runs in the worker process only. Everything that llama.cpp logs goes to a list instead of stderr, so
that a refusal can be given with its reason.
"""

from __future__ import annotations

import ctypes
import re
from functools import cached_property
from pathlib import Path
from typing import Any

import llama_cpp as c
import numpy as np
import numpy.typing as npt

from eimf_core.errors import ModelError

_LOG_WARNING, _LOG_ERROR = 3, 4
_ATTR_UNKNOWN, _ATTR_CONTROL, _ATTR_USER_DEFINED = 1 << 0, 1 << 3, 1 << 4
_NO_MEMORY = re.compile(r"insufficient memory|(failed|unable) to allocate|cannot allocate|out of memory", re.IGNORECASE)
ROUNDS = 8
"""How often a text is parted before the tokens that are left are given up."""
_log: list[str] = []


@c.llama_log_callback  # type: ignore[untyped-decorator]
def _keep_log(level: int, text: bytes, _: Any) -> None:
    if level in (_LOG_WARNING, _LOG_ERROR):
        _log.append(text.decode("utf-8", "replace").strip())
        del _log[:-20]


def last_problem() -> str:
    """What llama.cpp logged last as an error, in one line; that memory is short, where it said so before."""
    short = next((line for line in _log if _NO_MEMORY.search(line)), None)
    told = " ".join((short or (_log[-1] if _log else "no reason given")).split())[:200]
    return f"there is not enough memory: {told}" if short else told


def offloads() -> bool:
    """Whether this build of llama.cpp can put layers on a GPU, and there is one."""
    return bool(c.llama_supports_gpu_offload())


def _parted(piece: str) -> str:
    """The text of a user-defined token, which is found in any text, as plain characters: a space behind the first."""
    visible = len(piece) - len(piece.lstrip()) + 1
    return f"{piece[:visible]} {piece[visible:]}"


class LlamaModel:
    """An open model. `bos`, `eos` are the texts of these tokens, "" where there are none.

    With `vocabulary_only` it turns text into tokens and computes nothing.
    """

    def __init__(self, path: Path, gpu_layers: int, *, vocabulary_only: bool = False) -> None:
        c.llama_log_set(_keep_log, ctypes.c_void_p(0))
        c.llama_backend_init()
        parameters = c.llama_model_default_params()
        parameters.n_gpu_layers = gpu_layers
        parameters.vocab_only = vocabulary_only
        self.pointer = c.llama_model_load_from_file(str(path).encode(), parameters)
        if not self.pointer:
            raise ModelError(f"{path}: llama.cpp cannot load it ({last_problem()})")
        self.vocabulary = c.llama_model_get_vocab(self.pointer)
        self.size: int = c.llama_vocab_n_tokens(self.vocabulary)
        if not c.llama_model_has_decoder(self.pointer) or c.llama_model_is_diffusion(self.pointer):
            raise ModelError(f"{path}: is not a causal language model (an encoder or a diffusion model); use another")
        self.bos = self._text_of(c.llama_vocab_bos(self.vocabulary))
        self.eos = self._text_of(c.llama_vocab_eos(self.vocabulary))
        self._adds_bos = bool(c.llama_vocab_get_add_bos(self.vocabulary))
        # sentencepiece puts a space in front of every text it is given
        self._adds_space = self.metadata("tokenizer.ggml.model") == "llama" and (
            self.metadata("tokenizer.ggml.add_space_prefix") != "false"
        )

    def metadata(self, key: str) -> str | None:
        """A scalar or text of the file's metadata."""
        buffer = ctypes.create_string_buffer(1 << 16)
        length = c.llama_model_meta_val_str(self.pointer, key.encode(), buffer, len(buffer))
        return None if length < 0 else buffer.value.decode("utf-8", "replace")

    def chat_template(self) -> str | None:
        """The chat template in the file, if there is one."""
        found = c.llama_model_chat_template(self.pointer, None)
        return found.decode("utf-8", "replace") if found else None

    # -- text to tokens

    def tokens(self, text: str) -> list[int]:
        """Tokens of text of our own and of the chat template: control tokens are read as such."""
        return self._tokenised(text, True)

    def data_tokens(self, text: str) -> list[int]:
        """Tokens of item text: none of them is a control token or one that the template could use."""
        for _ in range(ROUNDS):
            tokens = self._tokenised(text, False)
            marked = sorted({token for token in tokens if self.marks[token]})
            if not marked:
                return tokens
            for token in marked:
                piece = self._text_of(token)
                text = text.replace(piece, _parted(piece))
        # such as tokens that are made of each other
        return [token for token in self._tokenised(text, False) if not self.marks[token]]

    def exact_tokens(self, text: str) -> list[int]:
        """Tokens that stand for exactly this text in an answer; none where the model has no such."""
        tokens = self.data_tokens(text)
        return tokens if b"".join(map(self.piece, tokens)) == text.encode() else []

    def first_tokens(self, text: str) -> list[int]:
        """Tokens of the beginning of a prompt, with the model's beginning token if it wants one."""
        tokens = self.tokens(text)
        bos = c.llama_vocab_bos(self.vocabulary)
        return [bos, *tokens] if self._adds_bos and bos >= 0 and tokens[:1] != [bos] else tokens

    def _tokenised(self, text: str, special: bool) -> list[int]:
        if not self._adds_space or not text:
            return self._raw_tokens(text, special)
        lead = self._raw_tokens("\n", False)
        return self._raw_tokens("\n" + text, special)[len(lead) :]

    def _raw_tokens(self, text: str, special: bool) -> list[int]:
        raw = text.encode("utf-8", "replace")
        buffer = (c.llama_token * (len(raw) + 8))()
        count = c.llama_tokenize(self.vocabulary, raw, len(raw), buffer, len(buffer), False, special)
        if count < 0:
            raise ModelError(f"llama.cpp cannot tokenise a text of {len(raw)} bytes")
        return list(buffer[:count])

    # -- tokens to text

    def piece(self, token: int) -> bytes:
        """The bytes a token stands for in an answer; b"" for control tokens."""
        return self._piece(token, False)

    def _text_of(self, token: int) -> str:
        return self._piece(token, True).decode("utf-8", "replace") if token >= 0 else ""

    def _piece(self, token: int, special: bool) -> bytes:
        size = 64
        while True:
            buffer = ctypes.create_string_buffer(size)
            length = c.llama_token_to_piece(self.vocabulary, token, buffer, size, 0, special)
            if length >= 0:
                return buffer.raw[:length]
            size = -length

    # -- kinds of tokens

    @cached_property
    def _attributes(self) -> npt.NDArray[np.int64]:
        found = (c.llama_vocab_get_attr(self.vocabulary, token) for token in range(self.size))
        return np.fromiter(found, np.int64, self.size)

    @cached_property
    def ends(self) -> npt.NDArray[np.bool_]:
        """Which tokens end an answer."""
        found = (c.llama_vocab_is_eog(self.vocabulary, token) for token in range(self.size))
        return np.fromiter(found, np.bool_, self.size)

    @cached_property
    def marks(self) -> npt.NDArray[np.bool_]:
        """Which tokens mean something beyond their characters (control, unknown, user-defined)."""
        special = (self._attributes & (_ATTR_CONTROL | _ATTR_UNKNOWN | _ATTR_USER_DEFINED)) != 0
        # white space and single characters are user-defined tokens in some vocabularies
        plain = [bool(special[token]) and len(self._text_of(token).strip()) < 2 for token in range(self.size)]
        marks: npt.NDArray[np.bool_] = (special | self.ends) & ~np.array(plain, dtype=np.bool_)
        return marks

    @cached_property
    def unwritable(self) -> npt.NDArray[np.int64]:
        """Tokens that no answer may hold: control tokens that do not end it."""
        return np.flatnonzero(((self._attributes & (_ATTR_CONTROL | _ATTR_UNKNOWN)) != 0) & ~self.ends)
