"""The network of a model as a folder: the ONNX file, and what goes in and comes out, for programs and for people."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import orjson

from eimf_core.exporting import output_paths
from eimf_core.exporting.network_readme import readme
from eimf_core.io import directories, files, provenance
from eimf_core.model_directory import artifact
from eimf_core.model_directory.model_network import INPUTS
from eimf_core.model_directory.opened_model import OpenedModel

TYPES = {"tensor(float)": "float32", "tensor(bool)": "bool", "tensor(int64)": "int64"}
HOLDS = {
    "vectors": "vector * length of each item, without that column its vector; zeros behind the end",
    "mask": "true where there is an item of the history, false behind its end",
    "lengths": "lengths of each item; zeros behind the end",
    "features": "features of each item; zeros behind the end",
    "days": "days from each item to the last one of its history; -1 where unknown and behind the end",
    "events": "kind of behaviour of each item, from 1 in the order of 'events'; 0 where unknown and behind the end",
}
"""What an input holds, in words of the columns of the item vectors."""
SCORE = "max over k of the inner product of interests[k] and the item's vector"


def write(path: str | Path, output: Path) -> list[str]:
    """Write the network of a model and its description.

    Args:
        path: the model directory.
        output: a folder to make; one that an earlier export made is replaced.

    Returns:
        The names of what the network reads.

    Raises:
        ConfigError: the path is no directory, or the folder holds other files.
        ModelError: the model is broken.
    """
    model = artifact.open_model(path)
    described = description(model)
    output_paths.check_folder(output)
    with files.locked(output), directories.replaced(output) as folder:
        (folder / "interests.onnx").write_bytes(model.network)
        (folder / "network.json").write_bytes(orjson.dumps(described, option=orjson.OPT_INDENT_2))
        (folder / "README.md").write_text(readme(described), encoding="utf-8")
    return [part["name"] for part in described["inputs"]]


def description(model: OpenedModel) -> dict[str, Any]:
    """What the network reads and gives, as plain data; B histories, L items of the longest, d and K of the model."""
    config = model.config
    of_item = {
        "vectors": config.dimension,
        "lengths": 0 if model.lengths is None else model.lengths.shape[1],
        "features": 0 if model.features is None else model.features.shape[1],
    }
    inputs = [
        {
            "name": name,
            "type": TYPES[INPUTS[name][0]],
            "shape": ["B", "L", of_item[name]] if name in of_item else ["B", "L"],
            "holds": HOLDS[name],
        }
        for name in model.network_inputs
    ]
    outputs = [
        {"name": "interests", "type": "float32", "shape": ["B", config.interests, config.dimension]},
        {"name": "attention", "type": "float32", "shape": ["B", config.interests, "L"]},
    ]
    graph = config.next_items
    return {
        "backbone": config.backbone,
        "items": config.items,
        "most_items_of_a_history": config.max_length,
        "order": "oldest item first, filled up behind the end; the last items of a longer history",
        "inputs": inputs,
        "outputs": outputs,
        "events": config.events,
        "score": SCORE,
        "history_is_listed": config.seen == "keep",
        "next_items": graph and {"weight": graph.weight, "decay": graph.decay, "last": graph.last},
        "network_sha256": hashlib.sha256(model.network).hexdigest(),
        "versions": provenance.versions(),
    }
