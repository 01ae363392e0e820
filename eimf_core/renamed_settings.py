"""Settings that were called otherwise before, or are gone: what was written with them still opens.

`RENAMED` and `GAINED_NOTHING` are the one place for it. A model, a comparison or an interrupted run that knows an older
name goes on; who gives one today is told the name of today, or what takes the place of one of `GONE`.
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
GAINED_NOTHING = frozenset(
    {
        "self_distillation",
        "distillation_weight",
        "distillation_users",
        "distillation_length",
        "distillation_share",
    }
)
"""Settings that went out; they were off where the one that turned them on is not True."""
_HYPERPARAMETER = "backbones that have such a hyper-parameter take it from [train.hyperparameters] in a --config file"
GONE = {
    **dict.fromkeys(GAINED_NOTHING, "it gained nothing, leave it out"),
    **dict.fromkeys(("auxiliary_weight", "concepts", "hardness", "heads", "layers", "positions"), _HYPERPARAMETER),
    "calibration": "--loss sampled or full take its place",
    "half_life": "all items of a history count alike",
    "independent": "--backbone desmil has it",
    "inherited_weight": "labels are propagated to items, see propagation_min_item_cosine",
    "item_contrast": "words are contrasted with the items that labels show",
    "label_half_life": "leave it out",
    "label_warm_up": "leave it out",
    "logq": "negatives are uniform, and corrected for how often each is drawn",
    "negative_sampling": "negatives are uniform, and corrected for how often each is drawn",
    "replay": "--engine batch reads answers that were made elsewhere",
    "similarity": "the score is the cosine",
    "warm_up": "--schedule linear or constant take its place",
}
"""Settings that no command has any more, and what to do instead."""
_ORIGINAL = {now: before for before, now in RENAMED.items()}


def with_current_names(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as they are called today.

    Args:
        settings: values by name, as they were stored.

    Returns:
        The same values; a name that was not changed stays. What is gone and was off is left out.
    """
    kept = {name: value for name, value in settings.items() if name not in GAINED_NOTHING or value is True}
    return {RENAMED.get(name, name): value for name, value in kept.items()}


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
    """What to say to who gives a setting by its older name, or one that is gone; None where it is neither."""
    if name in RENAMED:
        return f"{name} is called {RENAMED[name]} now"
    return f"{name} is gone: {GONE[name]}" if name in GONE else None
