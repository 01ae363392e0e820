"""The README beside an exported network: inputs, outputs, the score, and an example that runs."""

from __future__ import annotations

from typing import Any

PAGE = """# The network of a model of eimf

`interests.onnx` makes the interests of a user out of the items of the history. It needs an ONNX runtime and no
more. Sizes: B histories, L items of the longest of them, d = {dimension} numbers of a vector, K = {interests}
interests.

| input | type | shape | holds |
|---|---|---|---|
{inputs}

| output | type | shape | holds |
|---|---|---|---|
| `interests` | float32 | {interests_shape} | the interests of each history |
| `attention` | float32 | {attention_shape} | what each item of the history adds to each interest; a row sums to 1 |

- Order: {order}. A history has at most {most}
  items, and at least one.
- **Score** of an item: {score}. The vector is the column
  `vector` of `eimf export MODEL --vectors FILE`. The largest counts: interests are not added up.
- Items of the history are {seen}.
{next_items}
## Example

With `items.parquet` of `eimf export MODEL --vectors items.parquet`, in this folder:

```python
{example}```
"""
EXAMPLE = """import json
import sys

import duckdb  # or any other reader of Parquet
import numpy as np
import onnxruntime

history = sys.argv[1:]  # ids, oldest first
about = json.load(open("network.json"))
columns = duckdb.sql("SELECT * FROM 'items.parquet'").fetchnumpy()
ids, vectors = columns["item"].tolist(), np.stack(columns["vector"])
known = [ids.index(item) for item in history]
rows = known[-about["most_items_of_a_history"] :]

read = vectors[rows] * columns["length"][rows, None] if "length" in columns else vectors[rows]
inputs = {
    "vectors": read[None],
    "mask": np.ones((1, len(rows)), bool),
    "days": np.full((1, len(rows)), -1, np.float32),
    "events": np.zeros((1, len(rows)), np.int64),
}
for name, kind in (("lengths", np.float32), ("features", np.int64)):
    if name in columns:
        inputs[name] = np.stack(columns[name])[rows][None].astype(kind)
session = onnxruntime.InferenceSession("interests.onnx")
wanted = [each.name for each in session.get_inputs()]
interests, attention = session.run(None, {name: inputs[name] for name in wanted})

scores = (interests[0] @ vectors.T).max(axis=0)
if not about["history_is_listed"]:
    scores[known] = -np.inf
for row in np.argsort(-scores, kind="stable")[:10]:
    print(ids[row], round(float(scores[row]), 6))
"""
NEXT_ITEMS = """\
- **Not in the score**: what followed an item in the histories of training, or reads like it. For each of the last
  {last} items of a history `eimf recommend` adds a value from a table of the model, times {weight:g} and {decay:g} to
  the power of its place from the end (the last one has place 0). Scores from these files are without it, and their
  order may differ; `eimf recommend --explain` tells both parts.
"""


def readme(about: dict[str, Any]) -> str:
    """The page as Markdown.

    Args:
        about: as `network_folder.description` gives it.
    """
    shapes = {part["name"]: _shape(part["shape"]) for part in (*about["inputs"], *about["outputs"])}
    _, interests, dimension = about["outputs"][0]["shape"]
    rows = [
        f"| `{part['name']}` | {part['type']} | {shapes[part['name']]} | {part['holds']} |" for part in about["inputs"]
    ]
    return PAGE.format(
        dimension=dimension,
        interests=interests,
        inputs="\n".join(rows),
        interests_shape=shapes["interests"],
        attention_shape=shapes["attention"],
        order=about["order"],
        most=about["most_items_of_a_history"],
        score=about["score"],
        seen="listed as others" if about["history_is_listed"] else "not listed",
        next_items=NEXT_ITEMS.format(**about["next_items"]) if about["next_items"] else "",
        example=EXAMPLE,
    )


def _shape(shape: list[Any]) -> str:
    return f"({', '.join(map(str, shape))})"
