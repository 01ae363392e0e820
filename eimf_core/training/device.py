"""Where and how numbers are computed: processor or accelerator, precision, compiled or not."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from eimf_core.errors import ConfigError
from eimf_core.models.backbone import Backbone
from eimf_core.models.layers import Dropout
from eimf_core.progress import Reporter

CPU = torch.device("cpu")


def choose(wanted: str, reporter: Reporter, *, local_rank: int = 0) -> torch.device:
    """The device of a name.

    Args:
        wanted: "auto" is an accelerator where there is one.
        reporter: hears which accelerator "auto" found.
        local_rank: counts the processes of a run on this machine: each takes a CUDA device of its own.

    Returns:
        The device.

    Raises:
        ConfigError: what was asked for is not there.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    kind = next(kind for kind, found in there.items() if found) if wanted == "auto" else wanted
    if not there[kind]:
        raise ConfigError(f"--device {kind}: there is none here; use --device auto or cpu")
    if kind == "cpu":
        return CPU
    if kind == "mps":
        device = torch.device("mps")
    else:
        if local_rank >= torch.cuda.device_count():
            raise ConfigError(f"--device cuda: {torch.cuda.device_count()} here, too few for a process each")
        device = torch.device("cuda", local_rank)
        torch.cuda.set_device(device)
    if wanted == "auto":
        reporter.note(f"trains on {torch.cuda.get_device_name(device) if kind == 'cuda' else 'mps'}")
    return device


def speed_up(backbone: Backbone, device: torch.device, *, precision: str, compile: bool) -> None:
    """Let a backbone train in less precision, or compiled.

    What it gives is float32 either way, so that scores, losses and gradients of item vectors are; on
    CUDA, "bf16" also lets products of float32 run as TF32. Outside training it stays as it is.

    Args:
        backbone: is changed.
        device: that it trains on.
        precision: "float32" or "bf16".
        compile: whether it is compiled.
    """
    if precision == "bf16" and device.type == "cuda":
        torch.set_float32_matmul_precision("high")
    if precision == "float32" and not compile:
        return
    if compile:
        for module in backbone.modules():
            if isinstance(module, Dropout):
                # draws from a generator of its own, which a compiled graph cannot hold
                module.forward = torch.compiler.disable(module.forward)  # type: ignore[method-assign]
    for name in ("forward", "all_prefixes", "nearest_interest"):
        if hasattr(backbone, name):
            plain = getattr(backbone, name)
            fast = torch.compile(plain, dynamic=True) if compile else plain
            setattr(backbone, name, _in_training(backbone, plain, fast, device.type, bf16=precision == "bf16"))


def _in_training(
    backbone: Backbone, plain: Callable[..., Any], fast: Callable[..., Any], kind: str, *, bf16: bool
) -> Callable[..., Any]:
    @functools.wraps(plain)
    def run(*arguments: Any, **named: Any) -> Any:
        if not backbone.training:
            return plain(*arguments, **named)
        with torch.autocast(kind, torch.bfloat16, enabled=bf16):
            interests, auxiliary = fast(*arguments, **named)
        return _full(interests), {name: _full(value) for name, value in auxiliary.items()}

    return run


def _full(values: Tensor) -> Tensor:
    return values.float() if values.is_floating_point() else values
