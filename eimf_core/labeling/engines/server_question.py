"""What is asked of an OpenAI-compatible endpoint, live or in a file of requests, and how each wants to be asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from eimf_core.labeling import prompts
from eimf_core.labeling.answer_length import LETTERS_A_TOKEN, longest_answer
from eimf_core.labeling.config import LabelConfig
from eimf_core.labeling.engines.base import Answer, Engine, Request
from eimf_core.labeling.grammar import HISTORY_ITEM, bounded
from eimf_core.progress import Reporter
from eimf_core.records import Sample
from eimf_core.text.similarity import TitleVectors

FORMS = ("json_schema", "json_object", "")
"""Ways to ask for the schema, tried in turn: OpenAI's, that of llama-cpp-python's server, none at all."""
OPTIONAL = ("temperature", "seed", "chat_template_kwargs")
"""What is left out where an endpoint refuses it by name."""
_ABOUT_FORM = re.compile(r"response_format|json_schema|json_object|guided|grammar")
_UNKNOWN = re.compile(r"unsupported|not support|unknown|unrecogni[sz]ed|not permitted|unexpected|extra", re.IGNORECASE)


@dataclass(frozen=True)
class RequestStyle:
    """How an endpoint is asked, as far as it has refused otherwise.

    Attributes:
        form: one of `FORMS`.
        limit: the name of the longest answer; some models of OpenAI want another one.
        without: names of parameters that are left out.
        thinking: whether the model may think before it answers.
    """

    form: str = FORMS[0]
    limit: str = "max_tokens"
    without: frozenset[str] = frozenset()
    thinking: bool = True

    def after(self, status: int, words: str) -> RequestStyle | None:
        """Another style to try after a refusal.

        Args:
            status: of HTTP, with which the server refused a request in this style.
            words: that it gave as the reason.

        Returns:
            The style; None where the refusal was about something else.
        """
        if status not in (400, 422, 500, 501):
            return None
        if _UNKNOWN.search(words):
            if self.limit in words and self.limit == "max_tokens":
                return replace(self, limit="max_completion_tokens")
            for name in OPTIONAL:
                if name in words and name not in self.without:
                    return replace(self, without=self.without | {name})
        # any 400 may be about the form; others where they name it
        if self.form and (status == 400 or _ABOUT_FORM.search(words)):
            return replace(self, form=FORMS[FORMS.index(self.form) + 1])
        return None

    def described(self) -> str:
        """How it differs from the usual one, in words."""
        told = []
        if self.form != FORMS[0]:
            told.append(f"with response_format {self.form}" if self.form else "without response_format")
        if self.limit != "max_tokens":
            told.append(f"with {self.limit}")
        told += [f"without {name}" for name in OPTIONAL if name in self.without]
        if not self.thinking and "chat_template_kwargs" not in self.without:
            told.append("without thinking")
        return ", ".join(told)


class ChatEngine(Engine):
    """Base of engines that ask in chat messages; titles are data of the last one, and user ids are in none."""

    def __init__(
        self, config: LabelConfig, samples: Sequence[Sample], vectors: Callable[[], TitleVectors], reporter: Reporter
    ) -> None:
        self.prompt = prompts.load(config.prompt or prompts.DEFAULT)
        self.model = config.model or "default"
        self._config = config
        self._max_tokens = config.max_tokens or longest_answer(self.prompt.schema, config.max_interests)
        self.settings = {
            "temperature": config.temperature,
            "retry_temperature": config.retry_temperature,
            "max_tokens": self._max_tokens,
        }

    def preview(self, request: Request) -> Answer:
        """The answer of a dry run: the text of the prompt."""
        text = "\n\n".join(message["content"] for message in self._messages(request))
        return Answer(request.number, text=text, tokens={"prompt": len(text) // LETTERS_A_TOKEN})

    def body(self, request: Request, style: RequestStyle) -> dict[str, Any]:
        """The parameters of a chat completion, as plain data.

        Args:
            request: the question; its seed is the run's own at the first attempt.
            style: as the endpoint wants it.
        """
        count = len(request.sample.history)
        first = request.seed == self._config.seed
        body: dict[str, Any] = {
            "messages": self._messages(request),
            "model": self.model,
            "seed": request.seed,
            "temperature": self._config.temperature if first else self._config.retry_temperature,
            style.limit: self._max_tokens,
        }
        if not style.thinking:
            # how vLLM, SGLang and llama-server hand it to the model's chat template
            body["chat_template_kwargs"] = {"enable_thinking": False}
        if style.form:
            schema = json_schema(bounded(self.prompt.schema, count, self._config.max_interests), count)
            named = {"name": "interests", "schema": schema, "strict": True}
            wanted = {"json_schema": named} if style.form == "json_schema" else {"schema": schema}
            body["response_format"] = {"type": style.form, **wanted}
        return {name: value for name, value in body.items() if name not in style.without}

    def _messages(self, request: Request) -> list[dict[str, str]]:
        titles = [entry.title for entry in request.sample.history]
        messages = prompts.render(
            self.prompt,
            len(titles),
            max_interests=self._config.max_interests,
            language=self._config.language,
            hint=request.hint,
        )
        return prompts.plain(messages, titles)


def json_schema(schema: dict[str, Any], count: int) -> dict[str, Any]:
    """Our schema as plain JSON Schema: item numbers become integers from 1 to `count`."""
    if schema.get("type") == HISTORY_ITEM:
        return {"type": "integer", "minimum": 1, "maximum": count}
    made = dict(schema)
    if "items" in made:
        made["items"] = json_schema(made["items"], count)
    if "properties" in made:
        made["properties"] = {name: json_schema(inner, count) for name, inner in made["properties"].items()}
    return made
