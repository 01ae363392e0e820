"""How many interests get the right name on the example shop, where the true interests are known.

For every test user each interest that the list of ten is told to come from is judged. What it really is: the true
interest of most of the items under it. Its name is right when, of the names of all true interests, that of this one is
the nearest in the packaged text encoder, so that a name need not be literal; a name that is withheld is not right.
Items are judged too: by the name of their interest. So are the lists of `per_interest`, one for each interest of the
network: what it really is, most of its ten items say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import orjson

from eimf_core.io import jsonl
from eimf_core.naming import group_names, interest_names
from eimf_core.naming.interest_names import Namer
from eimf_core.naming.item_groups import GroupName
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
    """Shares over all judged interests of the test users; `words` names by words whatever the model has."""
    settings = {"anchors": 0, "name_threshold": threshold}
    session = Session(model, RecommendConfig(**settings))  # type: ignore[arg-type]
    each = Session(model, RecommendConfig(**settings, per_interest=True))  # type: ignore[arg-type]
    if words:
        groups = interest_names.groups_of(session.model)
        known = group_names.words(groups, session.model.catalogue.item)
        namer = Namer(groups.named([GroupName(name=name) for name in known]), threshold)
        session.recommender._namer = each.recommender._namer = namer
    lines = [line for line in jsonl.read(sequences, Sequence) if line.split == "test"]
    queries = [Query(id=line.user, history=line.items) for line in lines]
    found = Counter[str]()
    for answer in answers(session, queries):
        for name, truth, of in judged(judge, answer):
            found["judged"] += 1
            found["user_has_it"] += truth in judge.of_user[answer.id]
            found["named"] += name is not None
            found["right"] += name is not None and judge.meant(name) == truth
            found["items"] += len(of)
            found["items_named"] += len(of) * (name is not None)
            found["items_right"] += sum(name is not None and judge.meant(name) == own for own in of)
    for answer in answers(each, queries):
        for name, truth, _ in judged(judge, answer):
            found["lists"] += 1
            found["lists_right"] += name is not None and judge.meant(name) == truth
    share = {key: found[key] / found["judged"] for key in ("named", "right", "user_has_it")}
    share |= {key: found[key] / found["items"] for key in ("items_named", "items_right")}
    return {"judged": found["judged"], **share, "lists_right": found["lists_right"] / found["lists"]}


def judged(judge: Judge, answer: Recommendation) -> Iterator[tuple[str | None, str, list[str]]]:
    """Of each interest that brought something its name, what it really is, and what each of its items is."""
    for interest in answer.interests:
        items = [judge.of_item[item.item] for item in answer.items if item.interest == interest.index]
        if items:
            yield interest.name, Counter(items).most_common(1)[0][0], items


def answers(session: Session, queries: list[Query]) -> list:  # type: ignore[type-arg]
    """The answers to all queries."""
    lines = session.lines([session.resolver.resolve(query) for query in queries])
    return [msgspec.json.decode(line, type=Recommendation) for line in lines]
