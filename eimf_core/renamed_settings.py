"""Settings that were called otherwise before, or are gone: what was written with them still opens.

`RENAMED` and `GONE` are the one place for it. A model, a comparison or an interrupted run that knows an older name goes
on; who gives one today is told the name of today, or that it is gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

RENAMED = {
    "clip": "max_gradient_norm",
    "prefixes": "prefixes_per_window",
    "item_weight": "item_alignment_weight",
    "item_share": "item_alignment_share",
    "inherited_items": "propagation_min_item_cosine",
    "inherited_cosine": "propagation_min_user_cosine",
    "label_start": "label_init",
}
"""The older name of each setting, and its name of today."""
GONE = frozenset(
    {
        "self_distillation",
        "distillation_weight",
        "distillation_users",
        "distillation_length",
        "distillation_share",
    }
)
"""Settings of what gained nothing; it was off where the one that turned it on is not True."""
_ORIGINAL = {now: before for before, now in RENAMED.items()}


def with_current_names(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as they are called today.

    Args:
        settings: values by name, as they were stored.

    Returns:
        The same values; a name that was not changed stays. What is gone and was off is left out.
    """
    return {RENAMED.get(name, name): value for name, value in settings.items() if name not in GONE or value is True}


def original_name(name: str) -> str:
    """What a setting was called at first: hashes and draws that depend on names stay what they were."""
    return _ORIGINAL.get(name, name)


def with_original_names(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as they were called at first, for hashes that are compared with stored ones.

    Args:
        settings: values by name.

    Returns:
        The same values; a name that was not changed stays.
    """
    return {original_name(name): value for name, value in settings.items()}


def hint(name: str) -> str | None:
    """What to say to who gives a setting that is called otherwise now, or is gone; None where it is neither."""
    if name in GONE:
        return f"{name} is gone, since it gained nothing; leave it out"
    return f"{name} is called {RENAMED[name]} now" if name in RENAMED else None
