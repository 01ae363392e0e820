"""Options that were moved or removed, by command, and what stands in their place: the end of a message."""

from __future__ import annotations


def _hyperparameter(name: str) -> str:
    return f"a hyper-parameter now: {name} = … under [train.hyperparameters] in a --config file"


LABEL_SCHEDULE = "removed; labels weigh the same in all epochs"
UNIFORM = "removed; negatives are drawn uniformly and corrected for that"

MOVED = {
    "cluster": {"--half-life": "removed; all items of a history count alike"},
    "label": {
        "--discard": "now --force",
        "--score": "a command now: eimf score LABELS --samples FILE --truth FILE",
        "--truth": "now with eimf score LABELS --samples FILE --truth FILE",
        "--truth-users": "now with eimf score LABELS --samples FILE --truth FILE",
    },
    "train": {
        "--alignment": "removed; leave it out (alignment_weight in a --config file has the one that is left)",
        "--inherited-weight": "removed; labels are propagated to items (inherited_items in a --config file)",
        "--independent": "removed; --backbone desmil has it",
        **{f"--{name}": _hyperparameter(name) for name in ("positions", "layers", "heads", "concepts", "hardness")},
        "--auxiliary-weight": "now a weight of each backbone that adds to the loss (remi: routing_weight; re4, mfn), "
        "under [train.hyperparameters] in a --config file",
        "--distil-weight": "now --self-distillation",
        "--label-warm-up": LABEL_SCHEDULE,
        "--label-half-life": LABEL_SCHEDULE,
        "--calibration": "removed with the loss gbce; --loss sampled or full",
        "--negative-sampling": UNIFORM,
        "--logq": UNIFORM,
        "--similarity": "removed; the score is the cosine",
        "--item-contrast": "removed; words are contrasted with the items that labels show",
        "--warm-up": "removed; --schedule linear or constant",
        "--index": "a command now: eimf index MODEL",
    },
    "recommend": {
        "--similar": "the nearest items are listed by 'eimf similar MODEL ITEM'",
        "--build-index": "an index is built by 'eimf index MODEL'",
        "--verify": "a model is checked by 'eimf verify MODEL'",
    },
}


def successor(command: str | None, option: str) -> str | None:
    """What stands in the place of an option that a command once had, if it had it."""
    moved = MOVED.get(command or "", {})
    return moved.get(option) or moved.get(option.replace("--no-", "--", 1))
