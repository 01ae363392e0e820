"""Several seeds of one configuration taken as one: the mean of their values, user by user."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import orjson

from eimf_core.artifact import Model
from eimf_core.errors import ConfigError
from eimf_core.evaluation.metric_records import Entry


def signature(model: Model) -> bytes:
    """What models of one group share: all settings but the seed, and the data and labels by their hashes."""
    settings = {key: value for key, value in model.config.training.items() if key != "seed"}
    inputs = model.provenance.get("inputs") or {}
    described = {
        "backbone": model.config.backbone,
        "settings": settings,
        "inputs": sorted(str(known) for known in inputs.values()),
    }
    return orjson.dumps(described, option=orjson.OPT_SORT_KEYS, default=str)


def grouped(entries: Sequence[Entry], signatures: Sequence[bytes]) -> list[Entry]:
    """The entries of models, those that share a signature as members, and behind them a group for each.

    Raises ConfigError when two models of a group have the same seed.
    """
    families: dict[bytes, list[int]] = {}
    for at, known in enumerate(signatures):
        families.setdefault(known, []).append(at)
    made = list(entries)
    groups: list[Entry] = []
    for members in (members for members in families.values() if len(members) > 1):
        group = _group([entries[at] for at in members], members, taken={entry.name for entry in (*entries, *groups)})
        groups.append(group)
        for at in members:
            made[at] = replace(entries[at], role="member", group=group.name)
    return made + groups


def _group(entries: Sequence[Entry], members: list[int], taken: set[str]) -> Entry:
    seeds = [entry.seed for entry in entries]
    if len(set(seeds)) < len(seeds):
        names = " and ".join(entry.name for entry in entries if seeds.count(entry.seed) > 1)
        raise ConfigError(f"--group: {names} have the same settings and the same seed; leave one out")
    name = _name([entry.name for entry in entries], taken)
    total = np.zeros(entries[0].values.shape, dtype=np.float64)
    for entry in entries:
        total += entry.values
    return Entry(
        name=name,
        role="group",
        values=(total / len(entries)).astype(np.float32),
        totals={k: [entry.totals[k][0] for entry in entries] for k in entries[0].totals},
        group=name,
        seeds=len(entries),
        members=members,
    )


def _name(names: Sequence[str], taken: set[str]) -> str:
    start = os.path.commonprefix(list(names))  # noqa: RUF071 (letters, not parts of paths)
    end = os.path.commonprefix([name[len(start) :][::-1] for name in names])[::-1]  # noqa: RUF071
    name = f"{start}*{end}"
    while name in taken:
        name += "'"
    return name
