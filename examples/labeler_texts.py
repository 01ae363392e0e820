"""What the bundled labeler learns from: prompts as `eimf label` sends them, of customers drawn anew, with the answers.

Used by make_labeler.py. Goes in: the kinds of things of the example shop (make_shop.py) and a seed.
Comes out: a tokenizer, and endless batches of token ids.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from make_shop import Shop, Thing, make_catalogue, make_title
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from eimf_core.labeling import prompts

PROMPT = Path(__file__).with_name("labeler_prompt.md")
SHOP_SEED, SEED = 7, 20_000
MAX_TITLES, MAX_INTERESTS, MIN_TITLES = 30, 4, 2
VOCABULARY = 1400
SHORTEST, POOL = 4, 512  # titles of the first histories; examples that are sorted by length together
START, END, PAD = "<|im_start|>", "<|im_end|>", "<|pad|>"
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


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
            names = [name for name, _, _ in interests if sum(thing.theme == name for thing in things) >= MIN_TITLES]
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
    messages = prompts.render(prompts.load(str(PROMPT)), len(titles), max_interests=MAX_INTERESTS)
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
