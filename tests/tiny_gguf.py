"""Random GGUF models for tests and benchmarks: the llama architecture, an ASCII-minded vocabulary."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eimf_core.labeling import prompts

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CONTROL = ("<|im_start|>", "<|im_end|>", "[INST]", "</s>")


@dataclass(frozen=True)
class Sizes:
    """`vocabulary` counts the trained tokens; `filler` adds tokens that never come up, to reach real sizes."""

    layers: int = 2
    width: int = 64
    feed_forward: int = 128
    heads: int = 4
    key_heads: int = 4
    vocabulary: int = 700
    filler: int = 0
    context: int = 2048


@functools.cache
def _tokenizer(size: int, more: tuple[str, ...]) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(CONTROL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=16,
        show_progress=False,
    )
    texts = [prompts.load(name).system for name in ("names", "general")]
    tokenizer.train_from_iterator(texts * 2 + ['{"interests": ["tea", "yarn"]}'] * 3 + list(more), trainer)
    return tokenizer


def write_tiny_gguf(
    path: Path,
    *,
    seed: int = 11,
    quotes: float = 6.0,
    sizes: Sizes = Sizes(),
    chat_template: str | None = CHATML,
    extra: dict[str, str] | None = None,
    user_defined: tuple[str, ...] = (),
    damage: bool = False,
    texts: tuple[str, ...] = (),
) -> Path:
    """Write a random model that prefers ASCII letters.

    The more it likes `quotes`, the sooner a name ends; with the usual `seed` names are short and not all the same.
    `extra` metadata (strings), `user_defined` tokens beside the control tokens, NaN weights with
    `damage`; `texts` are what the tokenizer learns from beside the prompts.
    """
    import gguf

    tokenizer = _tokenizer(sizes.vocabulary, texts)
    vocabulary = tokenizer.get_vocab()
    tokens = sorted(vocabulary, key=lambda token: vocabulary[token])
    tokens += [*user_defined, *(f"\u0120filler{number}" for number in range(sizes.filler))]
    rng = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(path, "llama")
    for key, value in (extra or {}).items():
        writer.add_string(key, value)
    writer.add_context_length(sizes.context)
    writer.add_embedding_length(sizes.width)
    writer.add_block_count(sizes.layers)
    writer.add_feed_forward_length(sizes.feed_forward)
    writer.add_head_count(sizes.heads)
    writer.add_head_count_kv(sizes.key_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10_000.0)
    writer.add_rope_dimension_count(sizes.width // sizes.heads)
    writer.add_vocab_size(len(tokens))
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    kinds = dict.fromkeys(CONTROL, gguf.TokenType.CONTROL)
    kinds |= dict.fromkeys(user_defined, gguf.TokenType.USER_DEFINED)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([kinds.get(token, gguf.TokenType.NORMAL) for token in tokens])
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in merges])
    writer.add_bos_token_id(vocabulary["<|im_start|>"])
    writer.add_eos_token_id(vocabulary["<|im_end|>"])
    writer.add_add_bos_token(False)
    if chat_template is not None:
        writer.add_chat_template(chat_template)
    for name, array in _weights(tokens, sizes, quotes, rng):
        if damage and name == "blk.0.ffn_down.weight":
            array[:] = np.nan
        writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _weights(tokens: list[str], sizes: Sizes, quotes: float, rng: np.random.Generator) -> list[tuple[str, Any]]:
    """Random matrices; the first channel is the same for all tokens and carries a bias of the output."""
    width, hidden = sizes.width, sizes.feed_forward
    keys = width // sizes.heads * sizes.key_heads

    def matrix(rows: int, columns: int) -> Any:
        return rng.normal(0, columns**-0.5, (rows, columns)).astype(np.float32)

    embedding, output = matrix(len(tokens), width), matrix(len(tokens), width)
    embedding[:, 0] = 1.0
    output[:, 0] = [_liking(token, quotes) for token in tokens]
    weights = [("token_embd.weight", embedding), ("output.weight", output)]
    weights.append(("output_norm.weight", np.ones(width, np.float32)))
    for layer in range(sizes.layers):
        parts = {
            "attn_q": matrix(width, width), "attn_k": matrix(keys, width), "attn_v": matrix(keys, width),
            "attn_output": matrix(width, width), "ffn_gate": matrix(hidden, width), "ffn_up": matrix(hidden, width),
            "ffn_down": matrix(width, hidden), "attn_norm": np.ones(width, np.float32),
            "ffn_norm": np.ones(width, np.float32),
        }  # fmt: skip
        parts["attn_output"][0] = parts["ffn_down"][0] = 0.0
        weights += [(f"blk.{layer}.{name}.weight", array) for name, array in parts.items()]
    return weights


def _liking(token: str, quotes: float) -> float:
    plain = token.replace("\u0120", " ")
    if token in CONTROL or "filler" in token:
        return -6.0
    if plain.isascii() and plain.strip().isalpha():
        return 1.5
    if plain in ('"', '"]', '"}'):
        return quotes
    return 1.0 if plain == " " else (-0.5 if plain.isascii() else -6.0)
