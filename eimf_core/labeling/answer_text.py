"""The JSON object of an answer, out of what a chat model writes around it: thoughts, prose, code fences."""

from __future__ import annotations

import json
from collections.abc import Collection

THOUGHT, THOUGHT_ENDS = "<think>", "</think>"
"""What models that think aloud write around their thoughts; some templates open them before the answer begins."""
LONGEST_SEARCHED = 1 << 16
"""Characters of an answer within which an object is searched for; a usable one has a few thousand."""
MAX_STARTS = 64
"""Braces that are tried as the start of the object, which bounds the time."""


def object_in(text: str, names: Collection[str]) -> str:
    """The JSON object that an answer holds.

    Args:
        text: what the model wrote.
        names: keys that the object must have; where no object has them all, the first one is taken.

    Returns:
        The object's own text; all of `text` where it holds none, so that the reason can be told.
    """
    answer = text.rpartition(THOUGHT_ENDS)[2].strip()
    if len(answer) > LONGEST_SEARCHED or _is_object(answer, 0) == len(answer):
        return answer
    found: list[tuple[int, int]] = []
    at, ends = answer.find("{"), 0
    for _ in range(MAX_STARTS):
        if at < 0:
            break
        ends = _is_object(answer, at)
        if ends:
            found.append((at, ends))
            if all(f'"{name}"' in answer[at:ends] for name in names):
                return answer[at:ends]
        # within an object lies no other answer
        at = answer.find("{", ends or at + 1)
    return answer[found[0][0] : found[0][1]] if found else answer


def is_unfinished_thought(text: str) -> bool:
    """Whether an answer ends within its thoughts."""
    return THOUGHT in text and THOUGHT_ENDS not in text


def _is_object(text: str, at: int) -> int:
    """Where the JSON object that starts at a place ends; 0 where none starts there."""
    if not text.startswith("{", at):
        return 0
    try:
        value, end = json.JSONDecoder().raw_decode(text, at)
    except (ValueError, RecursionError):
        return 0
    return end if isinstance(value, dict) else 0
