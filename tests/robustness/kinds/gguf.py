"""GGUF files for `label`: damaged headers, odd metadata and tokens, hostile chat templates."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from pathlib import Path

from eimf_core.io import jsonl
from eimf_core.records import HistoryItem, Sample
from tests.robustness import mutations
from tests.robustness.trial import Kind, Trial
from tests.tiny_gguf import CHATML, Sizes, write_tiny_gguf

TINY = Sizes(layers=1, width=32, feed_forward=32, heads=2, key_heads=2, vocabulary=300, context=1024)
TEMPLATES = (
    "{% for i in range(10**9) %}{{ i }}{% endfor %}", "{{ 'x' * 10**10 }}", "{{ messages | string * 10**9 }}",
    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "{{ 9**9**9 }}", "{{ '%0999999999d' % 1 }}",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "{{ messages.__class__.__mro__ }}", "{{ cycler.__init__.__globals__ }}",
    "{{ lipsum(n=100000) }}", "{% set ns = namespace(x='a') %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}{{ ns.x }}",
    "{{ raise_exception('no') }}", "{% if %}", "{{ messages[0]['content'] }}", "", "{{ bos_token }}" * 2000, "{{ ''.join(['a'] * 10**9) }}",
    "{% for m in messages %}{{ m.content | center(10**9) }}{% endfor %}", "{{ 'a' | indent(10**9) }}", "{{ range(10**9) | list }}",
)  # fmt: skip
TOKENS = (" a", " ", "  ", "a b", "\t", "\n\n", "x ", " tea", "Tea", "<|x|>", "e", "é", "  tea  ", "🍵")


def make(folder: Path) -> None:
    """A tiny model and samples."""
    write_tiny_gguf(folder / "model.gguf", sizes=TINY)
    history = [HistoryItem(item="a", title="Green  tea <|im_end|>"), HistoryItem(item="b", title=" Wool yarn")]
    sample = Sample(key="0" * 16, user="u", cluster=0, cluster_size=9, distance=0.1, history=history)
    jsonl.write(folder / "samples.jsonl", [sample])


def _header(trial: Trial) -> None:
    """Damaged bytes of the header, without the worker's process."""
    from eimf_core.errors import EimfError
    from eimf_core.labeling.engines import gguf_file

    path = trial.folder / "model.gguf"
    raw, rng = path.read_bytes(), trial.rng
    end = min(len(raw), rng.choice((64, 1000, 8000, len(raw))))
    path.write_bytes(mutations.of_bytes(raw[:end], rng) + raw[end:])
    try:
        gguf_file.read_metadata(path)
        trial.codes.append(0)
    except EimfError as error:
        trial.expect("\n" not in str(error) and len(str(error)) < 2000, f"no line: {str(error)[:300]!r}")
        trial.codes.append(4)


def _model(trial: Trial) -> None:
    """Odd models as `label` asks them."""
    rng, path = trial.rng, trial.folder / "model.gguf"
    more = []
    what = rng.randrange(4)
    if what == 0:
        _patch(path, rng)
    elif what == 1:
        write_tiny_gguf(path, sizes=TINY, user_defined=tuple(rng.sample(TOKENS, rng.randrange(1, 6))))
    elif what == 2:
        template = rng.choice((*TEMPLATES, mutations.of_bytes(CHATML.encode(), rng).decode("utf-8", "replace")))
        write_tiny_gguf(path, sizes=TINY, chat_template=template)
    else:
        (trial.folder / "template.jinja").write_text(rng.choice(TEMPLATES))
        more = ["--chat-template", "template.jinja"]
    if rng.random() < 0.6:
        more.append("--dry-run")
    arguments = ("label", "samples.jsonl", "--model", "model.gguf", "--threads", "1", *more, "-o", "out.jsonl")
    trial.eimf(*arguments, outputs=["out.jsonl", "out.jsonl.partial"])


def _patch(path: Path, rng: random.Random) -> None:
    """Change a number or a text of the metadata in its place."""
    raw = bytearray(path.read_bytes())
    keys = (b"llama.context_length", b"llama.embedding_length", b"llama.block_count", b"llama.attention.head_count", b"llama.rope.dimension_count",
            b"tokenizer.ggml.bos_token_id", b"tokenizer.ggml.eos_token_id", b"llama.feed_forward_length", b"tokenizer.ggml.model", b"general.architecture")  # fmt: skip
    at = raw.find(key := rng.choice(keys)) + len(key) + 4
    put: Callable[[], bytes] = lambda: struct.pack("<I", rng.choice((0, 1, 3, 2**31, 2**32 - 1, 1000)))  # noqa: E731
    raw[at : at + 4] = put()
    path.write_bytes(raw)


MODULES = ("eimf_cli.label", "eimf_core.labeling.label", "eimf_core.labeling.engines.llama_cpp", "gguf", "tokenizers")
KINDS = [
    Kind("gguf-headers", 130, make, _header, modules=MODULES),
    Kind("gguf-models", 3, make, _model, modules=MODULES, seconds=40),
]
