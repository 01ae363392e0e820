"""From samples to labels: what is asked, how an answer is judged, when it is asked for again.

Nothing here reads or writes files: `labeling` does.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from eimf_core.labeling import answer_parser, prompts
from eimf_core.labeling.config import LabelConfig
from eimf_core.labeling.engines.base import Answer, Ask, Engine
from eimf_core.records import Label, Sample, SemanticInterest
from eimf_core.text.similarity import TitleVectors, assign

NO_TITLES = "the history has no titles"


@dataclass
class _Asked:
    """A sample that is being asked about, and what its tries have cost so far."""

    request: str
    sample: Sample
    trimmed: int
    attempts: int = 0
    seconds: float = 0.0
    tokens: dict[str, int] = dataclasses.field(default_factory=dict)


class Work:
    """Everything that turns samples into labels. `requests` maps the hash of each request to its sample."""

    def __init__(
        self,
        engine: Engine,
        prompt: prompts.Prompt,
        config: LabelConfig,
        vectors: Callable[[], TitleVectors],
        samples: Sequence[Sample],
    ) -> None:
        self.engine = engine
        self.prompt = prompt
        self.config = config
        self._vectors = vectors
        self._instructions = prompts.render(prompt, 1, max_interests=config.max_interests, language=config.language)[0][
            "content"
        ]
        self._by_similarity = engine.uses_prompt and not prompt.asks_for_items
        self.requests = {self._request(sample): sample for sample in samples}

    def _request(self, sample: Sample) -> str:
        shown = self._shown(sample)
        content: dict[str, Any] = {
            "key": sample.key,
            "engine": self.engine.name,
            "model": self.engine.model_sha256 or self.engine.model,
            "settings": self.engine.settings,
            "seed": self.config.seed,
            "max_interests": self.config.max_interests,
            "titles": [entry.title for entry in shown.history],
        }
        if self.engine.uses_prompt:
            messages = prompts.render(
                self.prompt,
                len(shown.history),
                max_interests=self.config.max_interests,
                language=self.config.language,
            )
            content["messages"] = messages
            content["schema"] = self.prompt.schema
        if self._by_similarity:
            content["encoder"] = self._vectors().encoder.identity
        return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()

    def _shown(self, sample: Sample) -> Sample:
        return shown_part(sample, self.config.max_titles) if self.engine.uses_prompt else sample

    def answer(self, missing: Sequence[tuple[str, Sample]]) -> Iterator[Label]:
        """Labels in the order in which they are done."""
        waiting = deque(missing)
        asked: dict[int, _Asked] = {}
        number = 0
        while waiting or asked:
            while waiting and len(asked) < self.engine.parallel:
                request, sample = waiting.popleft()
                shown = self._shown(sample)
                state = _Asked(request, shown, len(sample.history) - len(shown.history))
                if not shown.history:
                    yield self._label(state, [], NO_TITLES)
                    continue
                asked[number] = state
                self.engine.submit(Ask(number=number, sample=shown, seed=self.config.seed))
                number += 1
            if not asked:
                continue
            answer = self.engine.take()
            state = asked[answer.number]
            label = self._judge(state, answer)
            if label is None:
                seed = self.config.seed + state.attempts
                self.engine.submit(Ask(number=answer.number, sample=state.sample, seed=seed))
            else:
                del asked[answer.number]
                yield label

    def _judge(self, state: _Asked, answer: Answer) -> Label | None:
        """The label that an answer gives, or None when it is worth asking again."""
        state.attempts += 1 + answer.crashes
        state.seconds += answer.seconds
        for what, count in answer.tokens.items():
            state.tokens[what] = state.tokens.get(what, 0) + count
        error = answer.error
        if error is None:
            shown = _with_history(state.sample, state.sample.history[answer.trimmed :])
            try:
                found = answer_parser.read(
                    answer.text,
                    self.prompt.schema,
                    count=len(shown.history),
                    max_interests=self.config.max_interests,
                    instructions=self._instructions if self.engine.uses_prompt else "",
                )
            except answer_parser.UnusableError as problem:
                error = str(problem)
            else:
                state.trimmed += answer.trimmed
                return self._label(state, self._interests(shown, found), None, answer.items_by)
        if answer.final or state.attempts >= self.config.attempts:
            return self._label(state, [], error)
        return None

    def _interests(self, shown: Sample, found: Sequence[answer_parser.Interest]) -> list[SemanticInterest]:
        numbers = [[number - 1 for number in interest.numbers] for interest in found]
        if self._by_similarity:
            names = self._vectors().of_names([interest.name for interest in found])
            numbers = assign(names, self._vectors().of([entry.title for entry in shown.history]))
        return [
            SemanticInterest(
                name=interest.name,
                description=interest.description,
                items=list(dict.fromkeys(shown.history[at].item for at in places)),
            )
            for interest, places in zip(found, numbers, strict=True)
        ]

    def _label(
        self, state: _Asked, interests: list[SemanticInterest], error: str | None, items_by: Any = None
    ) -> Label:
        by_model = self.engine.uses_prompt and self.prompt.asks_for_items
        return Label(
            key=state.sample.key,
            request=state.request,
            user=state.sample.user,
            cluster=state.sample.cluster,
            interests=interests,
            items_by=items_by or ("model" if by_model else "similarity"),
            engine=self.engine.name,
            model=self.engine.model,
            model_sha256=self.engine.model_sha256,
            prompt_sha256=self.prompt.sha256 if self.engine.uses_prompt else None,
            seed=self.config.seed + max(state.attempts - 1, 0),
            attempts=state.attempts,
            seconds=round(state.seconds, 4),
            tokens=state.tokens,
            trimmed=state.trimmed or None,
            error=error,
        )


def shown_part(sample: Sample, most: int) -> Sample:
    """The sample with the part of its history that a prompt shows: the latest `most` items with a title."""
    history = [entry for entry in sample.history if prompts.clean_title(entry.title)]
    return _with_history(sample, history[-most:])


def _with_history(sample: Sample, history: list[Any]) -> Sample:
    return Sample(
        key=sample.key,
        user=sample.user,
        cluster=sample.cluster,
        cluster_size=sample.cluster_size,
        distance=sample.distance,
        history=history,
    )
