"""Train the bundled tiny labeler from scratch and write it as GGUF.

    python examples/make_labeler.py [--steps 2500] [--device auto] [-o examples/labeler/shop-labeler.gguf]

A llama-architecture model of about a million parameters that reads prompts in exactly the form that
`eimf label --prompt names` sends and answers with the names of the example shop's themes. It is a
toy: it knows this shop's words and nothing else.

Held out from its training: 30 % of the shop's titles (`holdout` in truth.items.jsonl) and every
customer of the shop; it learns from customers drawn anew, over the other 70 % of the titles and
fresh titles of the same kinds. The GGUF's metadata key `eimf.prompt_sha256` holds the hash of the
prompt it was trained for.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import torch
import torch.nn.functional as F  # noqa: N812
from make_shop import Shop, Thing, make_catalogue, make_title
from shop_catalogue import DEPARTMENTS
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from eimf_core.semantics import prompts

SHOP_SEED, SEED = 7, 20_000
MAX_TITLES, MAX_INTERESTS, LEAST_TITLES = 30, 4, 2
VOCABULARY, CONTEXT = 1400, 1024
SHORTEST, POOL = 4, 512  # titles of the first histories; examples that are sorted by length together
START, END, PAD = "<|im_start|>", "<|im_end|>", "<|pad|>"
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@dataclass(frozen=True)
class Shape:
    """Sizes of the network; `width` must be a multiple of 32 for Q8_0 and of 2 x heads for rope."""

    layers: int = 4
    width: int = 128
    heads: int = 4
    feed_forward: int = 352
    rope_base: float = 10_000.0
    epsilon: float = 1e-5


# -- training texts


class Customers:
    """Histories of invented customers with the true names, none of them of the shop itself."""

    def __init__(self, seed: int) -> None:
        things = make_catalogue(np.random.default_rng(SHOP_SEED))
        self.rng = np.random.default_rng(seed)
        self.held_out = {thing.title for thing in things if thing.holdout}
        self.shop = Shop([thing for thing in things if not thing.holdout], self.rng)

    def draw(self, most: int = MAX_TITLES) -> tuple[list[str], list[str], list[int]]:
        """At most so many titles in time order, the names of the interests that two or more show, each
        title's theme."""
        while True:
            interests, bought = self.shop.customer()
            things = [self.shop.things[item] for item, _ in bought][-most:]
            names = [name for name, _, _ in interests if sum(thing.theme == name for thing in things) >= LEAST_TITLES]
            if names:
                themes = [self.shop.themes.index(thing.theme) for thing in things]
                return [self._title(thing) for thing in things], sorted(names), themes

    def _title(self, thing: Thing) -> str:
        if self.rng.random() < 0.4:
            return thing.title
        while (title := make_title(thing.kind, self.rng)) in self.held_out:
            pass
        return title


def answer(names: list[str]) -> str:
    """The answer in the form the schema asks for, names in alphabetical order."""
    return json.dumps({"interests": names}, ensure_ascii=False)


def prompt_segments(titles: list[str]) -> list[prompts.Segment]:
    """What `eimf label` sends for these titles."""
    messages = prompts.render(prompts.load("names"), len(titles), max_interests=MAX_INTERESTS)
    return prompts.segments(messages, titles, CHAT_TEMPLATE)


def train_tokenizer(customers: Customers, count: int = 1500) -> Any:
    """Byte-level BPE over prompts and answers; special tokens first."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[START, END, PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=30,
        show_progress=False,
    )
    texts = []
    for _ in range(count):
        titles, names, _ = customers.draw()
        texts += ["".join(segment.text for segment in prompt_segments(titles)), answer(names)]
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def encode_segments(tokenizer: Any, parts: list[prompts.Segment]) -> list[int]:
    """Token ids, segment by segment as `label` does."""
    return [token for part in parts for token in tokenizer.encode(part.text).ids]


# tokens after the beginning, where the answer starts, and (position, theme) of each title
Example = tuple[list[int], int, list[tuple[int, int]]]


@dataclass(frozen=True)
class Batch:
    """Prompts without their common beginning, answers appended, padded at the end.

    `tokens` (B, L); `targets` (B, L), the next token inside the answer, else -100; `themes` (B, L), the
    theme of the title whose last token stands there, else -100.
    """

    tokens: Tensor
    targets: Tensor
    themes: Tensor


class Examples(IterableDataset[Batch]):
    """Endless batches of examples of similar length, about `size` tokens each.

    Histories are short at first and have their full length after `ramp` batches: the shorter a prompt,
    the more answers there are to learn from in the same time.
    """

    def __init__(self, tokenizer: Any, size: int, ramp: int) -> None:
        self.tokenizer = tokenizer
        self.size = size
        self.ramp = ramp
        self.pad = tokenizer.token_to_id(PAD)
        self.end = tokenizer.token_to_id(END)
        self.beginning = tokenizer.encode(prompt_segments(["-"])[0].text).ids

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        # every worker draws customers of its own
        customers = Customers(SEED + 100 + (worker.id if worker else 0))
        made = 0
        while True:
            most = round(SHORTEST + (MAX_TITLES - SHORTEST) * min(1.0, made / self.ramp))
            drawn = sorted((self._example(customers, most) for _ in range(POOL)), key=lambda example: len(example[0]))
            batches = self._cut(drawn)
            for at in customers.rng.permutation(len(batches)):
                yield self._batch(batches[at])
            made += len(batches)

    def _cut(self, drawn: list[Example]) -> list[list[Example]]:
        """Examples in order of length, cut where the padded tokens would be more than a batch holds."""
        batches: list[list[Example]] = [[]]
        for example in drawn:
            if (len(batches[-1]) + 1) * len(example[0]) > self.size and batches[-1]:
                batches.append([])
            batches[-1].append(example)
        return batches

    def _example(self, customers: Customers, most: int) -> Example:
        titles, names, themes = customers.draw(most)
        parts = prompt_segments(titles)
        assert self.tokenizer.encode(parts[0].text).ids == self.beginning
        tokens: list[int] = []
        ends: list[tuple[int, int]] = []
        for part in parts[1:]:
            tokens += self.tokenizer.encode(part.text).ids
            if part.data:
                ends.append((len(tokens) - 1, themes[len(ends)]))
        return [*tokens, *self.tokenizer.encode(answer(names)).ids, self.end], len(tokens), ends

    def _batch(self, rows: list[Example]) -> Batch:
        shape = (len(rows), max(len(tokens) for tokens, _, _ in rows))
        batch = Batch(torch.full(shape, self.pad), torch.full(shape, -100), torch.full(shape, -100))
        for at, (tokens, asked, ends) in enumerate(rows):
            whole = torch.tensor(tokens)
            batch.tokens[at, : len(whole)] = whole
            batch.targets[at, asked - 1 : len(whole) - 1] = whole[asked:]
            for position, theme in ends:
                batch.themes[at, position] = theme
        return batch


# -- the network: llama, with rope over interleaved pairs so that the export permutes nothing


class RMSNorm(nn.Module):
    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.epsilon) * self.weight


class Block(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width, hidden = shape.width, shape.feed_forward
        self.heads = shape.heads
        self.attn_norm, self.ffn_norm = RMSNorm(width, shape.epsilon), RMSNorm(width, shape.epsilon)
        self.attn_q, self.attn_k, self.attn_v, self.attn_output = (
            nn.Linear(width, width, bias=False) for _ in range(4)
        )
        self.ffn_gate, self.ffn_up = nn.Linear(width, hidden, bias=False), nn.Linear(width, hidden, bias=False)
        self.ffn_down = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, before: tuple[Tensor, Tensor] | None = None) -> Any:
        """x (B, L, width) -> the same, and its keys and values; `before` holds those of a common beginning."""
        batch, length, width = x.shape
        normed = self.attn_norm(x)

        def split(projected: Tensor) -> Tensor:
            return projected.view(batch, length, self.heads, -1).transpose(1, 2)

        q, k = _rotate(split(self.attn_q(normed)), cos, sin), _rotate(split(self.attn_k(normed)), cos, sin)
        v = split(self.attn_v(normed))
        if before is None:
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            keys, values = (
                torch.cat((old.expand(batch, -1, -1, -1), new), dim=2) for old, new in zip(before, (k, v), strict=True)
            )
            earlier = keys.shape[2] - length
            visible = torch.ones(length, keys.shape[2], dtype=torch.bool, device=x.device).tril(earlier)
            mixed = F.scaled_dot_product_attention(q, keys, values, attn_mask=visible)
        x = x + self.attn_output(mixed.transpose(1, 2).reshape(batch, length, width))
        normed = self.ffn_norm(x)
        return x + self.ffn_down(F.silu(self.ffn_gate(normed)) * self.ffn_up(normed)), (k, v)


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)


class Llama(nn.Module):
    def __init__(self, shape: Shape, vocabulary: int) -> None:
        super().__init__()
        self.shape = shape
        self.token_embd = nn.Embedding(vocabulary, shape.width)
        self.blk = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.output_norm = RMSNorm(shape.width, shape.epsilon)
        size = shape.width // shape.heads
        angles = torch.outer(
            torch.arange(CONTEXT), shape.rope_base ** -(torch.arange(0, size, 2, dtype=torch.float32) / size)
        )
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=0.05)

    def forward(self, beginning: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden states (B, L, width) at the end and halfway, for tokens that follow a common beginning (1, P)."""
        first, x = self.token_embd(beginning), self.token_embd(tokens)
        at, end = beginning.shape[1], beginning.shape[1] + tokens.shape[1]
        halfway = x
        for number, block in enumerate(self.blk):
            first, before = block(first, self.cos[:at], self.sin[:at])
            x, _ = block(x, self.cos[at:end], self.sin[at:end], before)
            if number + 1 == len(self.blk) // 2:
                halfway = x
        return self.output_norm(x), halfway

    def logits(self, hidden: Tensor) -> Tensor:
        return hidden @ self.token_embd.weight.T


def train(model: Llama, examples: Examples, themes: int, *, steps: int, rate: float, workers: int, device: str) -> None:
    """AdamW with warm-up and decay; the loss is printed every so often.

    Beside the answer, a linear head that is thrown away afterwards learns each title's theme from the
    states halfway: many signals per prompt instead of a few, which makes the answer learnable in minutes.
    """
    head = nn.Linear(model.shape.width, themes).to(device)
    optimiser = torch.optim.AdamW(
        [*model.parameters(), *head.parameters()], lr=rate, weight_decay=0.02, betas=(0.9, 0.98)
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=0.1)
    beginning = torch.tensor([examples.beginning], device=device)
    began = time.monotonic()
    recent: list[tuple[float, float]] = []
    batches = iter(DataLoader(examples, batch_size=None, num_workers=workers))
    for step in range(steps):
        batch = next(batches)
        hidden, halfway = model(beginning, batch.tokens.to(device))
        answered, ended = batch.targets != -100, batch.themes != -100
        loss = F.cross_entropy(model.logits(hidden[answered]), batch.targets[answered].to(device))
        beside = F.cross_entropy(head(halfway[ended]), batch.themes[ended].to(device))
        optimiser.zero_grad()
        (loss + 0.5 * beside).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        recent.append((loss.item(), beside.item()))
        if (step + 1) % 100 == 0:
            answers, titles = (sum(values) / 100 for values in zip(*recent[-100:], strict=True))
            passed = time.monotonic() - began
            print(f"step {step + 1}  answer {answers:.4f}  titles {titles:.4f}  {passed:.0f} s", flush=True)


# -- export


def export(model: Llama, tokenizer: Any, path: Path) -> None:
    """Write the model as GGUF: matrices in Q8_0, norms in F32."""
    import gguf

    shape = model.shape
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("eimf example shop labeler")
    writer.add_description("A toy: names the interests of eimf's example shop and of nothing else.")
    writer.add_license("Apache-2.0")
    writer.add_string("eimf.prompt_sha256", prompts.load("names").sha256)
    writer.add_string("eimf.prompt", "names")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.heads)
    writer.add_layer_norm_rms_eps(shape.epsilon)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_rope_dimension_count(shape.width // shape.heads)
    writer.add_vocab_size(tokenizer.get_vocab_size())
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    _add_tokenizer(writer, tokenizer)
    for name, tensor in model.state_dict().items():
        array = tensor.detach().cpu().numpy().astype(np.float32)
        if array.ndim == 2:
            packed = gguf.quants.quantize(array, gguf.GGMLQuantizationType.Q8_0)
            writer.add_tensor(name, packed, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
        else:
            writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_tokenizer(writer: Any, tokenizer: Any) -> None:
    import gguf

    vocabulary = tokenizer.get_vocab()
    tokens = sorted(vocabulary, key=lambda token: vocabulary[token])
    control = {START, END, PAD}
    kinds = [gguf.TokenType.CONTROL if token in control else gguf.TokenType.NORMAL for token in tokens]
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in merges])
    writer.add_bos_token_id(vocabulary[START])
    writer.add_eos_token_id(vocabulary[END])
    writer.add_eot_token_id(vocabulary[END])
    writer.add_pad_token_id(vocabulary[PAD])
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)


@torch.no_grad()
def check(model: Llama, tokenizer: Any, device: str, count: int = 100) -> float:
    """Share of fresh customers (other seed) answered exactly, decoded greedily."""
    customers = Customers(SEED + 1)
    exact = 0
    end = tokenizer.token_to_id(END)
    for _ in range(count):
        titles, names, _ = customers.draw()
        tokens = encode_segments(tokenizer, prompt_segments(titles))
        asked = len(tokens)
        while len(tokens) < asked + 64:
            given = torch.tensor([tokens], device=device)
            best = int(model.logits(model(given[:, :1], given[:, 1:])[0][0, -1]).argmax())
            if best == end:
                break
            tokens.append(best)
        exact += tokenizer.decode(tokens[asked:]) == answer(names)
    return exact / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--batch", type=int, default=4096, help="tokens a step")
    parser.add_argument("--workers", type=int, default=1, help="processes that draw customers")
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).parent / "labeler" / "shop-labeler.gguf")
    arguments = parser.parse_args()
    device = arguments.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(SEED)
    torch.set_flush_denormal(True)
    tokenizer = train_tokenizer(Customers(SEED))
    model = Llama(Shape(), tokenizer.get_vocab_size()).to(device)
    print(
        orjson.dumps({"parameters": sum(p.numel() for p in model.parameters()), "device": device}).decode(), flush=True
    )
    train(
        model,
        Examples(tokenizer, arguments.batch, ramp=arguments.steps // 2),
        sum(len(themes) for themes in DEPARTMENTS.values()),
        steps=arguments.steps,
        rate=arguments.rate,
        workers=arguments.workers,
        device=device,
    )
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    export(model, tokenizer, arguments.output)
    print(f"fresh customers answered exactly: {check(model, tokenizer, device):.2f}")


if __name__ == "__main__":
    main()
