"""Train the bundled tiny labeler from scratch and write it as GGUF.

    python examples/make_labeler.py [--steps 2500] [--device auto] [-o examples/labeler/shop-labeler.gguf]

A llama-architecture model of about a million parameters that reads prompts in exactly the form that
labeler_prompt.md has and answers with the names of the example shop's themes. It is a
toy: it knows this shop's words and nothing else.

Held out from its training: 30 % of the shop's titles (`holdout` in truth.items.jsonl) and every
customer of the shop; it learns from customers drawn anew, over the other 70 % of the titles and
fresh titles of the same kinds. The GGUF's metadata key `eimf.prompt_sha256` holds the hash of the
prompt it was trained for.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import orjson
import torch
import torch.nn.functional as F  # noqa: N812
from labeler_export import export
from labeler_network import Llama, Shape
from labeler_texts import END, SEED, Customers, Examples, answer, encode_segments, prompt_segments, train_tokenizer
from shop_catalogue import DEPARTMENTS
from torch import nn
from torch.utils.data import DataLoader


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


@torch.no_grad()
def check(model: Llama, tokenizer: Any, device: str, count: int) -> float:
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
    parser.add_argument("--check", type=int, default=100, help="fresh customers asked at the end")
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
    if arguments.check:
        exact = check(model, tokenizer, device, arguments.check)
        print(f"fresh customers answered exactly: {exact:.2f}")


if __name__ == "__main__":
    main()
