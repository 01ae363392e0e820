"""How many interests get the right name on the example shop, where the true interests are known.

For every test user, each behavioural interest that brings an item into the list of ten is judged. What it
really is: the true interest of most of the ten items it ranks first. Its name is right when, of the names
of all true interests, that of this one is the nearest in the packaged text encoder, so that a name need
not be literal; a name that is withheld is not right.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec
import orjson

from eimf_core import jsonl
from eimf_core.naming.interest_names import namer_by_words
from eimf_core.recommend.config import RecommendConfig
from eimf_core.recommend.session import Session
from eimf_core.records import Query, Recommendation, Sequence
from eimf_core.text import numpy_encoder

SHOP = Path(__file__).resolve().parents[1] / "examples" / "shop"


class Judge:
    """Knows what every item of the shop truly is, and which true interest a name means."""

    def __init__(self) -> None:
        lines = (SHOP / "truth.items.jsonl").read_bytes().splitlines()
        self.of_item = {entry["item"]: entry["interest"] for entry in map(orjson.loads, lines)}
        lines = (SHOP / "truth.users.jsonl").read_bytes().splitlines()
        self.of_user = {
            entry["user"]: {interest["name"] for interest in entry["interests"]} for entry in map(orjson.loads, lines)
        }
        self.themes = sorted(set(self.of_item.values()))
        self._encoder = numpy_encoder.packaged()
        self._vectors = self._encoder.encode(self.themes)
        self._meant: dict[str, str] = {}

    def meant(self, name: str) -> str:
        """The true interest whose name is nearest."""
        if name not in self._meant:
            self._meant[name] = self.themes[int((self._vectors @ self._encoder.encode([name])[0]).argmax())]
        return self._meant[name]


def measure(judge: Judge, model: Path, sequences: Path, threshold: float, *, words: bool = False) -> dict[str, float]:
    """Counts over all judged interests of the test users, as shares; `words` names by words whatever the model has."""
    session = Session(model, RecommendConfig(anchors=0, name_threshold=threshold))
    each = Session(model, RecommendConfig(anchors=0, per_interest=True, name_threshold=threshold))
    if words:
        session.recommender._namer = namer_by_words(session.model, threshold)
        each.recommender._namer = session.recommender._namer
    lines = [line for line in jsonl.read(sequences, Sequence) if line.split == "test"]
    queries = [Query(id=line.user, history=line.items) for line in lines]
    found = Counter[str]()
    for answer, lists in zip(answers(session, queries), answers(each, queries), strict=True):
        for interest in answer.interests:
            if not interest.weight:
                continue
            items = [judge.of_item[item.item] for item in lists.items if item.interest == interest.index]
            (truth, _), *_ = Counter(items).most_common(1)
            found["judged"] += 1
            found["user_has_it"] += truth in judge.of_user[answer.id]
            found["named"] += interest.name is not None
            found["right"] += interest.name is not None and judge.meant(interest.name) == truth
    share = {key: found[key] / found["judged"] for key in ("named", "right", "user_has_it")}
    return {"judged": found["judged"], **share, "right_of_named": found["right"] / max(1, found["named"])}


def answers(session: Session, queries: list[Query]) -> list:  # type: ignore[type-arg]
    """The answers to all queries."""
    lines = session.recommender.lines([session.resolver.resolve(query) for query in queries])
    return [msgspec.json.decode(line, type=Recommendation) for line in lines]
