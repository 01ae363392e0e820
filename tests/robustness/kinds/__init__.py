"""Kinds of input: a file each with `KIND`, or several with `KINDS`."""

from __future__ import annotations

from importlib import import_module

from tests.robustness.trial import Kind

MODULES = (
    "logs",
    "parquet",
    "toml",
    "lines",
    "server",
    "text_caches",
    "models",
    "networks",
    "gguf",
    "options",
    "training",
)
"""In this order, so that torch is imported last: processes are forked faster without it."""


def kinds() -> list[Kind]:
    """All kinds."""
    found: list[Kind] = []
    for name in MODULES:
        module = import_module(f"tests.robustness.kinds.{name}")
        found += getattr(module, "KINDS", None) or [module.KIND]
    return found
