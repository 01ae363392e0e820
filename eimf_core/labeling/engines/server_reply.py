"""What an OpenAI-compatible endpoint says: the text of an answer, or why there is none, in the endpoint's own words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson

from eimf_core.labeling.answer_text import THOUGHT_ENDS, is_unfinished_thought
from eimf_core.text_cleaning import clean, shortened

MAX_TOKENS = 1 << 31
LONGEST_SHOWN = 300
"""Characters of what an endpoint says that a message shows."""
NO_REPLY = "the reply is not that of an OpenAI-compatible endpoint"
THINKS = "raise --max-tokens, or take a model that does not think"


@dataclass(frozen=True)
class Reply:
    """A chat completion.

    Attributes:
        text: what the model wrote, without its thoughts where the endpoint tells them apart.
        error: why the text cannot be used, in one line.
        tokens: of prompt and answer, as counted by the endpoint.
        only_thought: whether the model thought and did no more.
        refused: what the endpoint says of an error, where it says so with a status of 200.
    """

    text: str = ""
    error: str | None = None
    tokens: dict[str, int] = field(default_factory=dict)
    only_thought: bool = False
    refused: str | None = None


def read(raw: bytes) -> Reply:
    """The chat completion in the body of a reply."""
    try:
        return of_completion(orjson.loads(raw))
    except orjson.JSONDecodeError:
        begins = excerpt(raw.decode("utf-8", "replace"), 60)
        return Reply(error=f"{NO_REPLY}; it begins with: {begins}" if begins else f"{NO_REPLY}; it is empty")


def of_completion(value: Any) -> Reply:
    """The chat completion in plain data."""
    if isinstance(value, dict) and value.get("error") and not value.get("choices"):
        words = words_of(value)
        return Reply(error=f"the server says: {words}", refused=words)
    try:
        choice = value["choices"][0]
        message = choice["message"]
        content = _text(message.get("content"))
        thoughts = _text(message.get("reasoning_content") or message.get("reasoning"))
        usage = value.get("usage") or {}
        tokens = {"prompt": _tokens(usage, "prompt_tokens"), "answer": _tokens(usage, "completion_tokens")}
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError):
        return Reply(error=NO_REPLY)
    cut = choice.get("finish_reason") == "length"
    if not content.strip() and message.get("refusal"):
        return Reply(error=f"the model refuses: {excerpt(message['refusal'])}", tokens=tokens)
    if not content.strip() and choice.get("finish_reason") == "content_filter":
        return Reply(error="the server's content filter held the answer back", tokens=tokens)
    spent = is_unfinished_thought(content) or not content.rpartition(THOUGHT_ENDS)[2].strip()
    if spent and (thoughts or content.strip()):
        # some endpoints take an answer without thoughts for a thought
        if "{" in thoughts and not cut:
            return Reply(thoughts, tokens=tokens)
        many = f"all its {tokens['answer']} tokens" if cut and tokens["answer"] else "all its tokens" if cut else ""
        problem = f"the model thought for {many} and gave no answer" if cut else "the model thought and gave no answer"
        return Reply(error=f"{problem}; {THINKS}", tokens=tokens, only_thought=True)
    if cut:
        return Reply(content, f"cut at {tokens['answer']} tokens; --max-tokens allows more", tokens)
    return Reply(content, None if content.strip() else "the answer is empty", tokens)


def words_of(value: Any) -> str:
    """What an endpoint says about an error, in one line, out of plain data of any form."""
    for _ in range(8):
        if isinstance(value, list) and value:
            value = value[0]
        if not isinstance(value, dict):
            break
        value = next((value[key] for key in ("error", "message", "detail", "msg") if value.get(key)), None)
    return (excerpt(value) if value else "") or "nothing more"


def words_in(raw: bytes) -> str:
    """What the body of a reply says about an error: that of its JSON, or the text as it is."""
    try:
        return words_of(orjson.loads(raw))
    except orjson.JSONDecodeError:
        return excerpt(raw.decode("utf-8", "replace"))


def excerpt(said: Any, most: int = LONGEST_SHOWN) -> str:
    """Text from outside in one line, without what steers a terminal, and cut."""
    # the rest is not looked at: it may be long
    text = clean(str(said)[: 4 * most])
    return shortened(text, most)


def _text(content: Any) -> str:
    """The text of a message, which may come in parts; a TypeError for anything else."""
    if content is None:
        return ""
    if isinstance(content, list):
        return "".join(_text(part.get("text")) for part in content)
    if not isinstance(content, str):
        raise TypeError
    return content


def _tokens(usage: Any, key: str) -> int:
    """A count of tokens, 0 where there is none."""
    count = int(usage.get(key) or 0)
    if not 0 <= count <= MAX_TOKENS:
        raise ValueError
    return count
