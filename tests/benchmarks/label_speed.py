"""Tokens per CPU second and users per hour of the engine llama-cpp, by how many users share a batch.

    python -m tests.benchmarks.label_speed [--model bundled|bf16|q8_0|q4_k_m|FILE.gguf] [--parallel 1 4 8 16]
        [--interests N] [--samples samples.jsonl]

Users are drawn (seeded) from the example shop, 10 to 25 titles each; with `--samples` they are the first of a file that
cluster wrote, and prompts show them as `eimf label` does. `f32`, `bf16`, `f16`, `q8_0` and `q4_k_m`
are a model with random weights of about 100M parameters (8 layers of width 1,024, 16 heads over 4 of keys,
16,000 tokens of which 4,000 are learnt from the shop), made for the purpose: its answers mean nothing,
but each is held to the schema token by token as any other's. Left alone it ends most answers after one
interest; `--interests N` has the schema want N of them in each answer. CPU time is the worker's, user and
system, without loading; the prompts are part of it. Answers of a first pass are not counted.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import numpy as np
import orjson

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from eimf_core.io import jsonl  # noqa: E402
from eimf_core.labeling import history_text, prompts  # noqa: E402
from eimf_core.labeling.config import LabelConfig  # noqa: E402
from eimf_core.labeling.engines import engine_registry, llama_cpp  # noqa: E402
from eimf_core.labeling.engines.base import Request  # noqa: E402
from eimf_core.labeling.requests import SHORT_TITLES  # noqa: E402
from eimf_core.progress import SILENT  # noqa: E402
from eimf_core.records import HistoryItem, Item, Sample  # noqa: E402
from tests.tiny_gguf import Sizes, write_tiny_gguf  # noqa: E402

RANDOM = Sizes(
    layers=8, width=1024, feed_forward=2816, heads=16, key_heads=4, vocabulary=4000, filler=12_000, context=2048
)
FILE_TYPES = {"f32": 0, "f16": 1, "bf16": 32, "q8_0": 7, "q4_k_m": 15}


def random_model(kind: str, folder: Path) -> str:
    """The random model in one of the FILE_TYPES."""
    import ctypes

    import llama_cpp

    titles = tuple(item.title for item in jsonl.read(ROOT / "examples" / "shop" / "items.jsonl", Item))
    whole = write_tiny_gguf(folder / "whole.gguf", seed=0, quotes=1.0, sizes=RANDOM, texts=titles * 3)
    made = folder / f"random-{kind}.gguf"
    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype = FILE_TYPES[kind]
    code = llama_cpp.llama_model_quantize(str(whole).encode(), str(made).encode(), ctypes.byref(parameters))
    assert not code, code
    whole.unlink()
    return str(made)


def wanting(interests: int, prompt: str, folder: Path) -> str:
    """A copy of a bundled form of prompt whose answers have so many interests each."""
    form = prompts.load(prompt)
    form.schema["properties"]["interests"] |= {"minItems": interests, "maxItems": interests}
    (folder / "wanting.schema.json").write_bytes(orjson.dumps(form.schema))
    (folder / "wanting.md").write_text(f"{form.system}\n---\n{form.user}")
    return str(folder / "wanting.md")


def samples(count: int, seed: int = 0) -> list[Sample]:
    items = list(jsonl.read(ROOT / "examples" / "shop" / "items.jsonl", Item))
    rng = np.random.default_rng(seed)
    made = []
    for number in range(count):
        chosen = rng.choice(len(items), size=int(rng.integers(10, 26)), replace=False)
        history = [HistoryItem(item=items[at].item, title=items[at].title) for at in chosen]
        made.append(
            Sample(key=f"{number:016x}", user=str(number), cluster=0, cluster_size=1, distance=0.0, history=history)
        )
    return made


def written_samples(path: str, count: int) -> list[Sample]:
    """The first users of a file, as a prompt shows them."""
    found = history_text.read_samples(path, None, SILENT)[:count]
    return [msgspec.structs.replace(each.sample, history=each.short(SHORT_TITLES).lines) for each in found]


def cpu_seconds(pid: int) -> float:
    """User and system time of a process with all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(config: LabelConfig, users: list[Sample]) -> dict[str, object]:
    """One pass over the users; a second one whose answers stop at once tells what the prompts cost."""
    model, given, used, passed = one_pass(config, users)
    _, stopped, reading, _ = one_pass(dataclasses.replace(config, max_tokens=1, context=config.context or 2048), users)
    written = sum(answer["answer"] for answer in given)
    return {
        "model": model,
        "parallel": config.parallel,
        "users": len(users),
        "prompt_tokens": sum(answer["prompt"] for answer in given),
        "answer_tokens": written,
        "cpu_seconds": round(used, 2),
        "cpu_seconds_prompts": round(reading, 2),
        "seconds": round(passed, 2),
        "tokens_per_cpu_second": round(written / used, 1),
        "tokens_per_cpu_second_writing": round(
            (written - sum(answer["answer"] for answer in stopped)) / max(used - reading, 1e-9), 1
        ),
        "users_per_cpu_hour": round(3600 * len(users) / used),
        "users_per_hour": round(3600 * len(users) / passed),
    }


def one_pass(config: LabelConfig, users: list[Sample]) -> tuple[str, list[dict[str, int]], float, float]:
    """Model, tokens of each answer, CPU seconds of the worker and wall seconds, after some answers to warm up."""
    engine = engine_registry.open_engine(config, users, None, SILENT)  # type: ignore[arg-type]
    assert isinstance(engine, llama_cpp.LlamaCpp)
    # the last ones: prompts that are still in memory when their turn comes would cost nothing
    answer_all(engine, users[-max(2, config.parallel) :])
    process = engine._process
    assert process is not None
    began, cpu = time.perf_counter(), cpu_seconds(process.pid)
    given = answer_all(engine, users)
    passed, used = time.perf_counter() - began, cpu_seconds(process.pid) - cpu
    engine.close()
    return engine.model, given, used, passed


def answer_all(engine: llama_cpp.LlamaCpp, users: list[Sample]) -> list[dict[str, int]]:
    waiting = [Request(number=number, sample=sample, seed=0) for number, sample in enumerate(users)]
    given: list[dict[str, int]] = []
    busy = 0
    while waiting or busy:
        while waiting and busy < engine.parallel:
            engine.submit(waiting.pop(0))
            busy += 1
        given.append(engine.take().tokens)
        busy -= 1
    return given


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="q8_0")
    parser.add_argument("--prompt")
    parser.add_argument("--samples")
    parser.add_argument("--interests", type=int, help="of each answer, for prompts that ask for items")
    parser.add_argument("--users", type=int, default=32)
    parser.add_argument("--parallel", type=int, nargs="+", default=[1, 4, 8, 16])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = arguments.model
        if model in FILE_TYPES:
            model = random_model(model, Path(folder))
        users = written_samples(arguments.samples, arguments.users) if arguments.samples else samples(arguments.users)
        prompt = arguments.prompt
        if arguments.interests:
            prompt = wanting(arguments.interests, prompt or prompts.GENERAL, Path(folder))
        for _ in range(arguments.repeats):
            # interleaved, so that a busy machine slows all alike
            for parallel in arguments.parallel:
                config = LabelConfig(
                    model=model,
                    prompt=prompt,
                    max_interests=arguments.interests or LabelConfig.max_interests,
                    parallel=parallel,
                    threads=arguments.threads,
                )
                sys.stdout.buffer.write(orjson.dumps(measure(config, users), option=orjson.OPT_APPEND_NEWLINE))
                sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
