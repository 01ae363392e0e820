"""Prompts: a template and a JSON schema each, rendered for a history of titles.

A template (`NAME.md`) has the instructions, a line `---`, and the part with the titles; it knows
`titles`, `max_interests` and `language`. Between the two there may be worked examples, a question and its answer
each, with lines `---` around them: they are shown as turns of the talk. All but the last part is the same for every
user, so that a model evaluates it once. Titles are data: they never pass through a template
language, and a rendered prompt keeps them apart from the text around them, so that an engine can
tokenise them without control tokens.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from eimf_core import resources
from eimf_core.config import no_choice, setting_error
from eimf_core.errors import ConfigError, ModelError, did_you_mean
from eimf_core.io import raw_files
from eimf_core.labeling import templates
from eimf_core.labeling.config import PROMPTS
from eimf_core.labeling.history_text import clean_title

BETWEEN = "\n---\n"  # parts of a template
DEFAULT = "names"
GENERAL = "general"  # its schema is that of templates without one
DESCRIBED = "described"  # with all that an interest may have
# private-use characters stand for the titles while templates are rendered; clean titles never hold them
_OPEN, _CLOSE = "\ue000", "\ue001"
_PLACE = re.compile(f"{_OPEN}(\\d{{1,9}}){_CLOSE}")


@dataclass(frozen=True)
class Prompt:
    """A form of prompt. `sha256` covers template and schema: any change of them is a new prompt.

    `examples` are questions and answers in turn.
    """

    name: str
    system: str
    user: str
    schema: dict[str, Any]
    sha256: str
    examples: tuple[str, ...] = ()

    @property
    def asks_for_items(self) -> bool:
        """Whether the answer assigns items to interests; otherwise text similarity does."""
        entry = self.schema["properties"]["interests"]["items"]
        return entry["type"] == "object" and "items" in entry["properties"]

    @property
    def longest_name(self) -> int | None:
        """Characters of a name at most; None where the schema does not say."""
        entry = self.schema["properties"]["interests"]["items"]
        name = entry["properties"].get("name", {}) if entry["type"] == "object" else entry
        longest: int | None = name.get("maxLength")
        return longest


@dataclass(frozen=True)
class Segment:
    """A stretch of prompt: `data` marks item text, which must not be read as control tokens."""

    text: str
    data: bool = False


def names() -> list[str]:
    """The forms that are bundled."""
    return sorted(path.stem for path in resources.prompts().glob("*.md"))


@functools.cache
def _own_sources() -> frozenset[str]:
    """The parts of the bundled forms."""
    texts = [path.read_text(encoding="utf-8") for path in resources.prompts().glob("*.md")]
    return frozenset(part for text in texts for part in text.partition("\n---\n"))


def load(name: str) -> Prompt:
    """A bundled form by name, or a template file NAME.md.

    NAME.schema.json beside it is its schema; without one it has that of `general`.
    """
    path = Path(name) if name.endswith(".md") else resources.prompts() / f"{name}.md"
    schema_path = path.with_suffix(".schema.json")
    if path.is_file() and not schema_path.exists():
        schema_path = resources.prompts() / f"{GENERAL}.schema.json"
    try:
        template = raw_files.read_bounded(path).decode()
        raw_schema = raw_files.read_bounded(schema_path)
    except FileNotFoundError:
        if name.endswith(".md"):
            raise setting_error(
                "prompt", f"is '{name}', and there is no such file{did_you_mean(path.stem, PROMPTS)}"
            ) from None
        raise setting_error("prompt", no_choice(name, PROMPTS, also=", or a file NAME.md")) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error})") from None
    return parsed(path.stem, template, raw_schema, called=(str(path), str(schema_path)))


def parsed(name: str, template: str, raw_schema: bytes | str, *, called: tuple[str, str]) -> Prompt:
    """A form of prompt out of its template and schema.

    Args:
        name: of the prompt.
        template: instructions, examples and the question, with lines `---` between them.
        raw_schema: of the answer, as JSON.
        called: what errors call template and schema.

    Returns:
        The prompt.

    Raises:
        ConfigError: a template or schema that is none.
    """
    if BETWEEN not in template:
        raise ConfigError(f"{called[0]}: has no line '---' between the instructions and the titles")
    system, *examples, user = template.split(BETWEEN)
    if len(examples) % 2:
        raise ConfigError(
            f"{called[0]}: has {len(examples)} parts between the instructions and the titles, expected a question and "
            "an answer for each example"
        )
    try:
        schema = orjson.loads(raw_schema)
        schema["properties"]["interests"]["items"]["type"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise ConfigError(f"{called[1]}: is not a schema of an object with the array 'interests'") from None
    digest = hashlib.sha256(template.encode() + b"\0" + orjson.dumps(schema, option=orjson.OPT_SORT_KEYS))
    return Prompt(name, system, user, schema, digest.hexdigest(), tuple(examples))


def render(
    prompt: Prompt, count: int, *, max_interests: int, language: str = "", hint: str = ""
) -> list[dict[str, str]]:
    """Chat messages about a history, with placeholders where its titles belong.

    Args:
        prompt: instructions, examples and question as templates.
        count: how many titles there are.
        max_interests: that may be named.
        language: of the names; empty for that of the titles.
        hint: what an earlier answer did wrong, said below the titles.

    Returns:
        Messages with `role` and `content`: the instructions, the examples as questions and answers, the question.

    Raises:
        ConfigError: for a template that cannot be rendered.
    """
    sources = [prompt.system, *prompt.examples, prompt.user]
    roles = ["system", *("assistant" if at % 2 else "user" for at in range(len(sources) - 1))]
    messages = [
        {"role": role, "content": _message(source, prompt.name, count, max_interests, language)}
        for role, source in zip(roles, sources, strict=True)
    ]
    if hint:
        messages[-1]["content"] += f"\n{hint}"
    return messages


@functools.lru_cache(maxsize=1024)  # many samples have as many titles, and a template takes a millisecond
def _message(source: str, name: str, count: int, max_interests: int, language: str) -> str:
    values = {
        "titles": [f"{_OPEN}{number}{_CLOSE}" for number in range(count)],
        "max_interests": max_interests,
        "language": clean_title(language),
    }
    return templates.render(source, values, name, trusted=source in _own_sources()).strip()


def segments(
    messages: list[dict[str, str]], titles: Sequence[str], chat_template: str, *, bos: str = "", eos: str = ""
) -> list[Segment]:
    """The text that a model reads: the chat template around the messages, with the titles put in.

    A template that knows no system role gets the instructions at the head of the first question.

    Args:
        messages: as `render` makes them.
        titles: one for each placeholder, by its number.
        chat_template: of the model, in Jinja.
        bos, eos: the tokens for beginning and end that the template may write.

    Returns:
        Pieces in their order; a title is `data`, in which no control token is read.

    Raises:
        ModelError: the template cannot be rendered.
    """
    rendered = _apply(chat_template, messages, bos, eos)
    parts: list[Segment] = []
    for at, piece in enumerate(_PLACE.split(rendered)):
        # a template may write a place of its own
        if at % 2 and int(piece) < len(titles):
            parts.append(Segment(titles[int(piece)], data=True))
        elif piece:
            parts.append(Segment(piece))
    return parts


def plain(messages: list[dict[str, str]], titles: Sequence[str]) -> list[dict[str, str]]:
    """The messages with the titles put in, for engines that apply the chat template themselves."""
    return [
        {**message, "content": _PLACE.sub(lambda found: "".join(titles[int(found[1]) :][:1]), message["content"])}
        for message in messages
    ]


def _apply(chat_template: str, messages: list[dict[str, str]], bos: str, eos: str) -> str:
    # for templates that know no system role, the instructions stand at the head of the first question
    head, first, *others = messages
    merged = [{"role": "user", "content": f"{head['content']}\n\n{first['content']}"}, *others]
    problem: Exception | None = None
    for attempt in (messages, merged):
        values = {
            "messages": attempt,
            "add_generation_prompt": True,
            "enable_thinking": False,  # the grammar leaves no room for it
            "bos_token": bos,
            "eos_token": eos,
        }
        try:
            rendered = templates.render(chat_template, values, "chat template")
        except ConfigError as error:
            problem = error
            continue
        if all(part in rendered for message in attempt for part in message["content"].split()):
            return rendered
    raise ModelError(f"the model's chat template cannot be used ({problem or 'it drops the instructions'})")
