"""From titles to the tokens of a whole prompt, as long as the context has room for."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from eimf_core.errors import ModelError
from eimf_core.labeling import prompts
from eimf_core.labeling.engines.llama_model import LlamaModel

# for models without a chat template: plain text that any model continues
PLAIN_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{{ message['content'] }}\n\n{% endfor %}"
    "{% if add_generation_prompt %}Answer: {% endif %}"
)


_WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True)
class FittedPrompt:
    """A prompt's tokens, how many of the oldest titles were left out to make it fit, and what the words of its titles
    come to, numbers aside, in bytes and in tokens."""

    tokens: list[int]
    trimmed: int
    word_bytes: int
    word_tokens: int


class PromptWriter:
    """Writes prompts for one model. Fixed stretches are tokenised once per number of titles."""

    def __init__(
        self, model: LlamaModel, prompt: prompts.Prompt, *, max_interests: int, language: str, chat_template: str | None
    ) -> None:
        self._model = model
        self._prompt = prompt
        self._max_interests = max_interests
        self._language = language
        self._template = chat_template or model.chat_template() or PLAIN_TEMPLATE
        self._title_tokens = functools.lru_cache(maxsize=1 << 16)(lambda title: tuple(model.data_tokens(title)))
        self._words = functools.lru_cache(maxsize=1 << 16)(self._count_words)
        self._frame = functools.lru_cache(maxsize=256)(self._make_frame)

    def fit(self, titles: Sequence[str], room: int, hint: str = "") -> FittedPrompt:
        """The prompt with the latest titles that fit.

        Args:
            titles: of a history, oldest first.
            room: tokens that the prompt may have.
            hint: what is said below the titles.

        Returns:
            The tokens, and how many of the oldest titles are left out.

        Raises:
            ModelError: not even one title fits.
        """
        dropped = 0
        while dropped < len(titles):
            tokens = self._write(titles[dropped:], hint)
            if len(tokens) <= room:
                counts = [self._words(title) for title in titles[dropped:]]
                return FittedPrompt(tokens, dropped, sum(size for size, _ in counts), sum(many for _, many in counts))
            # each title costs its tokens and a few around it: a safe number at once, then one by one
            excess = len(tokens) - room
            longest = max(len(self._title_tokens(title)) for title in titles) + 8
            dropped += max(1, excess // longest)
        raise ModelError(f"the prompt does not fit into {room} tokens even with one title; use a larger --context")

    def shared(self) -> list[int]:
        """The tokens with which every prompt begins."""
        first = self._frame(1, "")[0]
        assert not isinstance(first, int)
        return list(first)

    def segments(self, titles: Sequence[str], hint: str = "") -> list[prompts.Segment]:
        """The text of the prompt, item text apart."""
        messages = prompts.render(
            self._prompt, len(titles), max_interests=self._max_interests, language=self._language, hint=hint
        )
        return prompts.segments(messages, titles, self._template, bos=self._model.bos, eos=self._model.eos)

    def _count_words(self, title: str) -> tuple[int, int]:
        """Bytes and tokens of the words of a title: good tokenisers cut numbers into digits."""
        words = " ".join(_WORD.findall(title))
        return len(words.encode("utf-8", "replace")), len(self._model.data_tokens(words))

    def _write(self, titles: Sequence[str], hint: str) -> list[int]:
        tokens: list[int] = []
        for part in self._frame(len(titles), hint):
            tokens += self._title_tokens(titles[part]) if isinstance(part, int) else part
        return tokens

    def _make_frame(self, count: int, hint: str) -> list[list[int] | int]:
        """The prompt for `count` titles: tokens of fixed stretches, and the places of titles between them."""
        frame: list[list[int] | int] = []
        for segment in self.segments([str(number) for number in range(count)], hint):
            if segment.data:
                frame.append(int(segment.text))
            elif frame:
                frame.append(self._model.tokens(segment.text))
            else:
                frame.append(self._model.first_tokens(segment.text))
        return frame
