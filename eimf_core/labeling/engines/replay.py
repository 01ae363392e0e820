"""Engine `replay`: labels made before, matched by their key: for tests, and to use labels that others share."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

import orjson

from eimf_core.errors import ConfigError
from eimf_core.io import files, jsonl
from eimf_core.labeling import prompts
from eimf_core.labeling.config import LabelConfig
from eimf_core.labeling.engines.base import Answer, Request, SynchronousEngine
from eimf_core.progress import Reporter
from eimf_core.records import Label, Sample
from eimf_core.text.similarity import TitleVectors

LONGEST_NAME, LONGEST_DESCRIPTION, MOST_ITEMS = 200, 1000, 1000


class Replay(SynchronousEngine):
    """Answers from a file of labels. They are checked against the history like any others."""

    name: ClassVar[str] = "replay"
    uses: ClassVar[frozenset[str] | None] = frozenset({"replay"})
    reads_titles: ClassVar[bool] = False

    def __init__(
        self, config: LabelConfig, samples: Sequence[Sample], vectors: Callable[[], TitleVectors], reporter: Reporter
    ) -> None:
        super().__init__()
        if config.replay is None:
            raise ConfigError("--engine replay needs --replay labels.jsonl")
        self.prompt = wide_form(prompts.load(prompts.DESCRIBED))
        self._labels = {label.key or label.user: label for label in jsonl.read(config.replay, Label)}
        self._max_interests = config.max_interests
        self.model = Path(config.replay).name
        self.model_sha256 = files.sha256(config.replay)
        self.settings = {}

    def answer(self, request: Request) -> Answer:
        label = self._labels.get(request.sample.key) or self._labels.get(request.sample.user)
        if label is None:
            return Answer(request.number, error="the file of --replay has no label with this key or user", final=True)
        if label.error is not None:
            return Answer(request.number, error=f"recorded: {label.error}", final=True)
        places: dict[str, int] = {}
        for number, entry in enumerate(request.sample.history, start=1):
            places.setdefault(entry.item, number)
        unknown = [item for interest in label.interests for item in interest.items if item not in places]
        if unknown:
            return Answer(request.number, error=f"item '{unknown[0]}' is not in the history", final=True)
        interests = [
            {
                "name": interest.name,
                "description": interest.description,
                "items": [places[item] for item in interest.items],
            }
            for interest in label.interests[: self._max_interests]
        ]
        return self.answered(request, interests, tokens=dict(label.tokens), items_by=label.items_by)


def wide_form(prompt: prompts.Prompt) -> prompts.Prompt:
    """The form of recorded answers: as `prompt`, with room for whatever another prompt allowed."""
    schema = orjson.loads(orjson.dumps(prompt.schema))
    entry = schema["properties"]["interests"]["items"]["properties"]
    entry["name"] = {"type": "string", "minLength": 1, "maxLength": LONGEST_NAME}
    entry["description"] = {"type": "string", "minLength": 0, "maxLength": LONGEST_DESCRIPTION}
    entry["items"] |= {"minItems": 0, "maxItems": MOST_ITEMS}
    return dataclasses.replace(prompt, schema=schema)


ENGINE = Replay
