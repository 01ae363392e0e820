"""Configuration dataclasses: a default, its help and its checks are written once, beside the step."""

from __future__ import annotations

import dataclasses
from typing import Any


def setting(default: Any, help: str, *flags: str, **more: Any) -> Any:
    """A field of a configuration dataclass that the command line shows as an option.

    `flags` are further names such as "-k"; `more` may hold `metavar`.
    """
    metadata = {"help": help, "flags": flags, **more}
    if isinstance(default, list):
        return dataclasses.field(default_factory=lambda: list(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)
