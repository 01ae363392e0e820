"""Early stop: a run ends after its first users where most of them have no label, or most names are titles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

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


def problem(model: str, labels: Sequence[Label], tally: Tally) -> str | None:
    """What is wrong with a model after its first users, with one of its answers and what to do.

    Args:
        model: its name.
        labels: of the first users.
        tally: of all answers about them.

    Returns:
        One line, or None where half of the users or more have labels, and half of the names or more are no titles.
    """
    failed = [label.error for label in labels if label.error is not None]
    if 2 * len(failed) > len(labels):
        ((reason, _),) = Counter(failed).most_common(1)
        found = f"{len(failed)} of the first {len(labels)} users have no label ({reason})"
    elif 2 * tally.titles > tally.names:
        found = f"{tally.titles} of the first {tally.names} names are titles of the history, copied"
    else:
        return None
    raw = tally.raw if len(tally.raw) <= LONGEST_SHOWN else f"{tally.raw[:LONGEST_SHOWN]}…"
    if not raw:  # it never came to an answer: another model would not, either
        return f"{model}: {found}. {KEEP_GOING}"
    return f"{model}: {found}. One of its answers: {raw}. {ADVICE} {KEEP_GOING}"
