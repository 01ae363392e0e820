"""From samples to labels: what is asked, how an answer is checked, when it is asked for again.

Nothing here reads or writes files: `label` does.
"""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import orjson

from eimf_core.labeling import answer_parser, name_checks, prompts
from eimf_core.labeling.config import LabelConfig
from eimf_core.labeling.engines.base import Answer, Engine, Request
from eimf_core.labeling.history_text import CleanSample, PromptHistory
from eimf_core.records import Label, SemanticInterest
from eimf_core.text.similarity import TitleVectors, assign

NO_TITLES = "the history has no titles"
SHORT_TITLES, WHOLE_TITLES = 16, 30  # of a history that a model is shown
FORM = 3  # of shortening and judging: any change of what comes out is a new one


@dataclass
class Tally:
    """What came of the answers so far, to tell how a model fares.

    `refused` counts answers by the reason they were refused for, `refused_at_first` holds the requests whose first
    answer was; `raw` is the text of the last answer that was refused.
    """

    answers: int = 0
    refused: Counter[name_checks.Reason] = field(default_factory=Counter)
    refused_at_first: set[str] = field(default_factory=set)
    raw: str = ""


@dataclass
class _Pending:
    """A sample that waits for a usable answer, and what its tries have cost so far.

    `best` are the interests of the answer that had most that nothing speaks against, of the lines from `best_from` on.
    """

    request: str
    whole: CleanSample
    shown: PromptHistory
    hint: str = ""
    best: list[answer_parser.AnsweredInterest] = field(default_factory=list)
    best_from: int = 0
    attempts: int = 0
    error: str | None = None
    seconds: float = 0.0
    tokens: dict[str, int] = field(default_factory=dict)

    def asked(self, number: int, seed: int) -> Request:
        sample = msgspec.structs.replace(self.whole.sample, history=self.shown.lines)
        return Request(number=number, sample=sample, seed=seed, hint=self.hint)


class Labeler:
    """Asks an engine about samples until each has a label.

    Attributes:
        requests: the sample of each request, by its hash.
        tally: what came of the answers.
    """

    def __init__(
        self,
        engine: Engine,
        config: LabelConfig,
        vectors: Callable[[], TitleVectors],
        samples: Sequence[CleanSample],
    ) -> None:
        self.engine = engine
        self.config = config
        self.tally = Tally()
        self._vectors = vectors
        fixed = self._messages(1)[:-1] if engine.uses_prompt else []
        self._instructions = "\n".join(message["content"] for message in fixed)
        self._shown = name_checks.Instructions(
            names=[interest.name for interest in answer_parser.examples(self._instructions)],
            titles=[line for turn in fixed if turn["role"] == "user" for line in turn["content"].splitlines()],
            longest=engine.prompt.longest_name,
        )
        self._by_similarity = engine.uses_prompt and not engine.prompt.asks_for_items
        self.requests = {self._hash(sample): sample for sample in samples}

    def _messages(self, titles: int) -> list[dict[str, str]]:
        return prompts.render(
            self.engine.prompt, titles, max_interests=self.config.max_interests, language=self.config.language
        )

    def _hash(self, sample: CleanSample) -> str:
        """The sha256 of whatever shapes the label of a sample."""
        lines = prompt_history(sample, self.engine, self.config).lines
        content: dict[str, Any] = {
            "form": FORM,
            "key": sample.sample.key,
            "engine": self.engine.name,
            "model": self.engine.model_sha256 or self.engine.model,
            "settings": self.engine.settings,
            "seed": self.config.seed,
            "max_interests": self.config.max_interests,
            "titles": [line.title for line in lines],
        }
        if self.engine.uses_prompt:
            content["history"] = [entry.title for entry in sample.sample.history]
            content["messages"] = self._messages(len(lines))
            content["schema"] = self.engine.prompt.schema
        if self._by_similarity:
            content["encoder"] = self._vectors().encoder.identity
        return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()

    def first_questions(self) -> Iterator[Request]:
        """What is asked first about each sample that shows anything."""
        for number, (request, sample) in enumerate(self.requests.items()):
            pending = _Pending(request, sample, prompt_history(sample, self.engine, self.config))
            if pending.shown.lines:
                yield pending.asked(number, self.config.seed)

    def labels(self, requests: Sequence[str], refused: Mapping[str, Label] | None = None) -> Iterator[Label]:
        """Labels of some of the requests, in the order in which they are done.

        Args:
            requests: their hashes.
            refused: by request, labels with an error of an earlier run, which further attempts resume from.

        Yields:
            A label of each, but for those whose engine has no first answer yet.
        """
        waiting = deque(requests)
        open_requests: dict[int, _Pending] = {}
        number = 0
        while waiting or open_requests:
            while waiting and len(open_requests) < self.engine.parallel:
                request = waiting.popleft()
                sample = self.requests[request]
                pending = _Pending(request, sample, prompt_history(sample, self.engine, self.config))
                if not pending.shown.lines:
                    yield self._label(pending, [], NO_TITLES)
                    continue
                earlier = (refused or {}).get(request)
                if earlier is not None:
                    pending.attempts, pending.error = earlier.attempts, earlier.error
                    pending.seconds, pending.tokens = earlier.seconds, dict(earlier.tokens)
                    pending.hint = name_checks.hint(name_checks.reason_of(earlier.error or ""), self.config.language)
                open_requests[number] = pending
                self.engine.submit(pending.asked(number, self.config.seed + pending.attempts))
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
                self.engine.submit(pending.asked(answer.number, self.config.seed + pending.attempts))
            else:
                del open_requests[answer.number]
                yield label

    def _checked(self, pending: _Pending, answer: Answer) -> Label | None:
        """The label that an answer gives, or None when it is worth asking again."""
        first = not pending.attempts
        pending.attempts += 1 + answer.crashes
        pending.seconds += answer.seconds
        for what, count in answer.tokens.items():
            pending.tokens[what] = pending.tokens.get(what, 0) + count
        error = answer.error
        # where nothing was there to answer with, nothing was answered, and nothing refused
        given = error is None or not answer.final
        self.tally.answers += given
        reason: name_checks.Reason | None = "form"
        if error is None:
            try:
                reason, error = self._judged(pending, answer)
            except answer_parser.UnusableError as problem:
                reason, error = problem.reason, str(problem)
        if reason is None:
            return self._label(pending, self._interests(pending), None, answer.items_by)
        pending.error = error
        if given:
            self.tally.refused[reason] += 1
            if first:
                self.tally.refused_at_first.add(pending.request)
        self.tally.raw = answer.text or self.tally.raw
        pending.hint = name_checks.hint(reason, self.config.language)
        # a further round of an engine that answers later may take a day
        enough = pending.best and self.engine.answers_later
        if not answer.final and not enough and pending.attempts < self.config.attempts:
            return None
        # what was good in a refused answer is better than nothing
        if pending.best:
            return self._label(pending, self._interests(pending), None, answer.items_by)
        return self._label(pending, [], error)

    def _judged(self, pending: _Pending, answer: Answer) -> tuple[name_checks.Reason | None, str | None]:
        """Why an answer is refused, in a word and in a sentence; its good interests are kept with the sample.

        Raises:
            UnusableError: where it has not the form of an answer.
        """
        found = answer_parser.read(
            answer.text,
            self.engine.prompt.schema,
            count=len(pending.shown.lines) - answer.trimmed,
            max_interests=self.config.max_interests,
            instructions=self._instructions,
        )
        verdicts: list[name_checks.Reason | None] = [None] * len(found)
        if self.engine.uses_prompt:
            history = self._history(pending.whole)
            verdicts = [name_checks.rejection_reason(interest.name, history, self._shown) for interest in found]
        good = [interest for interest, verdict in zip(found, verdicts, strict=True) if verdict is None]
        if len(good) > len(pending.best):
            pending.best, pending.best_from = good, answer.trimmed
        if len(good) == len(found):
            pending.best, pending.best_from = good, answer.trimmed
            return None, None
        bad, verdict = next((interest, verdict) for interest, verdict in zip(found, verdicts, strict=True) if verdict)
        return verdict, f"'{bad.name}' {name_checks.DESCRIPTIONS[verdict]}"

    def _history(self, sample: CleanSample) -> name_checks.History:
        categories = frozenset(name.casefold() for names in sample.categories for name in names)
        return name_checks.History(list(dict.fromkeys(sample.titles)), categories, self.config.language)

    def _interests(self, pending: _Pending) -> list[SemanticInterest]:
        """The best interests found, with the items of the history that show each."""
        found, members = pending.best, pending.shown.members[pending.best_from :]
        history = pending.whole.sample.history
        positions = [[at for number in interest.numbers for at in members[number - 1]] for interest in found]
        if self._by_similarity:
            places = [at for group in members for at in group]
            names = self._vectors().of_names([interest.name for interest in found])
            nearest = assign(names, self._vectors().of([history[at].title for at in places]))
            positions = [[places[at] for at in group] for group in nearest]
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
        sample = pending.whole.sample
        members = pending.shown.members[pending.best_from :]
        return Label(
            # a user alone is no key of a training history
            key="" if sample.key == sample.user else sample.key,
            request=pending.request,
            user=sample.user,
            cluster=sample.cluster,
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
            trimmed=(len(sample.history) - sum(map(len, members))) or None,
            error=error,
        )


def prompt_history(sample: CleanSample, engine: Engine, config: LabelConfig) -> PromptHistory:
    """What an engine gets to see of a sample.

    Args:
        sample: in clean words.
        engine: says whether it asks a language model, and whether that wants whole titles.
        config: how many titles are shown.

    Returns:
        The lines of the prompt, and which items of the history each stands for.
    """
    if not engine.uses_prompt:
        return sample.everything()
    if engine.whole_titles:
        return sample.whole(config.max_titles or WHOLE_TITLES)
    return sample.short(config.max_titles or SHORT_TITLES)
