"""Early stop: a run ends after its first users where most of them have no label, or only after a refused answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from eimf_core.labeling import name_checks
from eimf_core.labeling.config import LabelConfig
from eimf_core.labeling.engines.base import Engine
from eimf_core.labeling.requests import Tally
from eimf_core.records import Label

FIRST_USERS = 8  # after so many the answers are checked
LONGEST_SHOWN = 300  # characters of an answer
ADVICE = (
    "Try a larger instruct model (1.5B parameters or more), or --engine keywords, which needs none; --dry-run shows "
    "the prompts."
)
KEEP_GOING = "--keep-going continues all the same."


def applies(engine: Engine, config: LabelConfig) -> bool:
    """Whether a run may end early: a model is asked, it answers at once, and `keep_going` is not set."""
    return engine.uses_prompt and not engine.answers_later and not config.keep_going


def problem(model: str, kept: Sequence[Label], new: Sequence[Label], tally: Tally) -> str | None:
    """What is wrong with a model after its first users, with one of its answers and what to do.

    Args:
        model: its name.
        kept: labels of an earlier run, which count first.
        new: labels of this run.
        tally: of all answers of this run.

    Returns:
        One line, or None where half of the users or more have labels of their first answer.
    """
    labels = [*kept, *new][:FIRST_USERS]
    failed = [label.error for label in labels if label.error is not None]
    # of an earlier run it is not known whether an answer was refused or never came
    refused = {label.request for label in kept if label.attempts > 1} | tally.refused_at_first
    again = sum(label.error is not None or label.request in refused for label in labels)
    if 2 * len(failed) > len(labels):
        ((reason, _),) = Counter(failed).most_common(1)
        found = f"{len(failed)} of the first {len(labels)} users have no label ({reason})"
    elif 2 * again > len(labels):
        found = f"the first answer was refused for {again} of the first {len(labels)} users{_most_often(tally)}"
    else:
        return None
    raw = tally.raw if len(tally.raw) <= LONGEST_SHOWN else f"{tally.raw[:LONGEST_SHOWN]}…"
    one = f"One of its answers: {raw}. " if raw else ""
    # where it never came to an answer, another model would not, either
    advice = f"{ADVICE} " if raw or any(label.tokens.get("answer") for label in labels) else ""
    return f"{model}: {found}. {one}{advice}{KEEP_GOING}"


def _most_often(tally: Tally) -> str:
    for reason, _ in tally.refused.most_common(1):
        what = "it" if reason == "form" else "a name"
        return f" (most often {what} {name_checks.DESCRIPTIONS[reason]})"
    return ""
