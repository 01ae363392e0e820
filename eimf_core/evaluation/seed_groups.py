"""Several seeds of one configuration taken as one: the mean of their values, user by user."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import orjson

from eimf_core.errors import ConfigError
from eimf_core.evaluation.system_results import SystemResult
from eimf_core.model_directory.opened_model import OpenedModel


def signature(model: OpenedModel) -> bytes:
    """What models of one group share: all settings but the seed, and the data and labels by their hashes."""
    settings = {key: value for key, value in model.config.training.items() if key != "seed"}
    inputs = model.provenance.get("inputs") or {}
    described = {
        "backbone": model.config.backbone,
        "settings": settings,
        "inputs": sorted(str(known) for known in inputs.values()),
    }
    return orjson.dumps(described, option=orjson.OPT_SORT_KEYS, default=str)


def grouped(results: Sequence[SystemResult], signatures: Sequence[bytes]) -> list[SystemResult]:
    """The results of models, those that share a signature as members, and behind them a group for each.

    Raises ConfigError when two models of a group have the same seed.
    """
    families: dict[bytes, list[int]] = {}
    for at, known in enumerate(signatures):
        families.setdefault(known, []).append(at)
    made = list(results)
    groups: list[SystemResult] = []
    for members in (members for members in families.values() if len(members) > 1):
        group = _group([results[at] for at in members], members, taken={result.name for result in (*results, *groups)})
        groups.append(group)
        for at in members:
            made[at] = replace(results[at], role="member", group=group.name)
    return made + groups


def _group(results: Sequence[SystemResult], members: list[int], taken: set[str]) -> SystemResult:
    seeds = [result.seed for result in results]
    if len(set(seeds)) < len(seeds):
        names = " and ".join(result.name for result in results if seeds.count(result.seed) > 1)
        raise ConfigError(f"--group: {names} have the same settings and the same seed; leave one out")
    name = _name([result.name for result in results], taken)
    total = np.zeros(results[0].values.shape, dtype=np.float64)
    for result in results:
        total += result.values
    return SystemResult(
        name=name,
        role="group",
        values=(total / len(results)).astype(np.float32),
        aggregates={k: [result.aggregates[k][0] for result in results] for k in results[0].aggregates},
        recommended={k: np.sum([result.recommended[k] for result in results], axis=0) for k in results[0].recommended},
        group=name,
        seeds=len(results),
        members=members,
    )


def _name(names: Sequence[str], taken: set[str]) -> str:
    start = os.path.commonprefix(list(names))  # noqa: RUF071 (letters, not parts of paths)
    end = os.path.commonprefix([name[len(start) :][::-1] for name in names])[::-1]  # noqa: RUF071
    name = f"{start}*{end}"
    while name in taken:
        name += "'"
    return name
