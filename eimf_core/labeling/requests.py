"""From samples to labels: what is asked, how an answer is checked, when it is asked for again.

Nothing here reads or writes files: `label` does.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from eimf_core.labeling import answer_parser, prompts
from eimf_core.labeling.config import LabelConfig
from eimf_core.labeling.engines.base import Answer, Engine, Request
from eimf_core.labeling.history_text import CleanSample
from eimf_core.records import HistoryItem, Label, Sample, SemanticInterest
from eimf_core.text.similarity import TitleVectors, assign

NO_TITLES = "the history has no titles"


@dataclass
class _Pending:
    """A sample that waits for a usable answer, and what its tries have cost so far."""

    request: str
    sample: Sample
    trimmed: int
    attempts: int = 0
    error: str | None = None
    seconds: float = 0.0
    tokens: dict[str, int] = field(default_factory=dict)


class Labeler:
    """Asks an engine about samples until each has a label. `requests` maps the hash of each request to its sample."""

    def __init__(
        self,
        engine: Engine,
        config: LabelConfig,
        vectors: Callable[[], TitleVectors],
        samples: Sequence[CleanSample],
    ) -> None:
        self.engine = engine
        self.config = config
        self._vectors = vectors
        self._instructions = self._messages(1)[0]["content"] if engine.uses_prompt else ""
        self._by_similarity = engine.uses_prompt and not engine.prompt.asks_for_items
        self.requests = {self._hash(sample): sample for sample in samples}

    def _messages(self, titles: int) -> list[dict[str, str]]:
        return prompts.render(
            self.engine.prompt, titles, max_interests=self.config.max_interests, language=self.config.language
        )

    def _visible(self, sample: CleanSample) -> CleanSample:
        return sample.latest(self.config.max_titles) if self.engine.uses_prompt else sample

    def _hash(self, sample: CleanSample) -> str:
        """The sha256 of whatever shapes the label of a sample."""
        titles = self._visible(sample).raw_titles
        content: dict[str, Any] = {
            "key": sample.sample.key,
            "engine": self.engine.name,
            "model": self.engine.model_sha256 or self.engine.model,
            "settings": self.engine.settings,
            "seed": self.config.seed,
            "max_interests": self.config.max_interests,
            "titles": titles,
        }
        if self.engine.uses_prompt:
            content["messages"] = self._messages(len(titles))
            content["schema"] = self.engine.prompt.schema
        if self._by_similarity:
            content["encoder"] = self._vectors().encoder.identity
        return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()

    def first_questions(self) -> Iterator[Request]:
        """What is asked first about each sample that shows anything."""
        for number, whole in enumerate(self.requests.values()):
            sample = self._visible(whole).sample
            if sample.history:
                yield Request(number=number, sample=sample, seed=self.config.seed)

    def labels(self, requests: Sequence[str], refused: Mapping[str, Label] | None = None) -> Iterator[Label]:
        """Labels of some of the requests, in the order in which they are done.

        Args:
            requests: their hashes.
            refused: by request, labels with an error of an earlier run, which further attempts go on from.

        Yields:
            A label of each, but for those whose engine has no first answer yet.
        """
        waiting = deque(requests)
        open_requests: dict[int, _Pending] = {}
        number = 0
        while waiting or open_requests:
            while waiting and len(open_requests) < self.engine.parallel:
                request = waiting.popleft()
                whole = self.requests[request]
                sample = self._visible(whole).sample
                pending = _Pending(request, sample, len(whole.raw_titles) - len(sample.history))
                if not sample.history:
                    yield self._label(pending, [], NO_TITLES)
                    continue
                earlier = (refused or {}).get(request)
                if earlier is not None:
                    pending.attempts, pending.error = earlier.attempts, earlier.error
                    pending.seconds, pending.tokens = earlier.seconds, dict(earlier.tokens)
                open_requests[number] = pending
                seed = self.config.seed + pending.attempts
                self.engine.submit(Request(number=number, sample=sample, seed=seed))
                number += 1
            if not open_requests:
                continue
            answer = self.engine.take()
            pending = open_requests[answer.number]
            if answer.waiting:
                del open_requests[answer.number]
                if pending.error is not None:
                    yield self._label(pending, [], pending.error)
                continue
            label = self._checked(pending, answer)
            if label is None:
                seed = self.config.seed + pending.attempts
                self.engine.submit(Request(number=answer.number, sample=pending.sample, seed=seed))
            else:
                del open_requests[answer.number]
                yield label

    def _checked(self, pending: _Pending, answer: Answer) -> Label | None:
        """The label that an answer gives, or None when it is worth asking again."""
        pending.attempts += 1 + answer.crashes
        pending.seconds += answer.seconds
        for what, count in answer.tokens.items():
            pending.tokens[what] = pending.tokens.get(what, 0) + count
        error = answer.error
        if error is None:
            visible = pending.sample.history[answer.trimmed :]
            try:
                found = answer_parser.read(
                    answer.text,
                    self.engine.prompt.schema,
                    count=len(visible),
                    max_interests=self.config.max_interests,
                    instructions=self._instructions,
                )
            except answer_parser.UnusableError as problem:
                error = str(problem)
            else:
                pending.trimmed += answer.trimmed
                return self._label(pending, self._interests(visible, found), None, answer.items_by)
        pending.error = error
        if answer.final or pending.attempts >= self.config.attempts:
            return self._label(pending, [], error)
        return None

    def _interests(
        self, history: Sequence[HistoryItem], found: Sequence[answer_parser.Interest]
    ) -> list[SemanticInterest]:
        positions = [[number - 1 for number in interest.numbers] for interest in found]
        if self._by_similarity:
            names = self._vectors().of_names([interest.name for interest in found])
            positions = assign(names, self._vectors().of([entry.title for entry in history]))
        return [
            SemanticInterest(
                name=interest.name,
                description=interest.description,
                items=list(dict.fromkeys(history[at].item for at in own)),
            )
            for interest, own in zip(found, positions, strict=True)
        ]

    def _label(
        self, pending: _Pending, interests: list[SemanticInterest], error: str | None, items_by: Any = None
    ) -> Label:
        by_model = self.engine.uses_prompt and self.engine.prompt.asks_for_items
        return Label(
            key=pending.sample.key,
            request=pending.request,
            user=pending.sample.user,
            cluster=pending.sample.cluster,
            interests=interests,
            items_by=items_by or ("model" if by_model else "similarity"),
            engine=self.engine.name,
            model=self.engine.model,
            model_sha256=self.engine.model_sha256,
            prompt_sha256=self.engine.prompt.sha256 if self.engine.uses_prompt else None,
            seed=self.config.seed + max(pending.attempts - 1, 0),
            attempts=pending.attempts,
            seconds=round(pending.seconds, 4),
            tokens=pending.tokens,
            trimmed=pending.trimmed or None,
            error=error,
        )
