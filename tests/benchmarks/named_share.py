"""How many recommended items stand under a name, and a sample of them to be judged by reading.

    python -m tests.benchmarks.named_share MODEL DATA [--users 400] [--sample 60] [--seed 0] [--threshold X]

Counts the lists of ten of test users, drawn at random. `--sample` prints so many of their items, drawn at random too,
as lines of similarity, name and title. DATA is the prepared directory.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from pathlib import Path

from eimf_core.io import jsonl
from eimf_core.naming import interest_names
from eimf_core.recommend.config import RecommendConfig
from eimf_core.recommend.session import Session
from eimf_core.records import Query, RankedItem, Sequence, UserInterest
from tests.shop_names import answers

LEVELS = (0.2, 0.25, 0.3, 0.35, 0.4, 0.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--users", type=int, default=400)
    parser.add_argument("--sample", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threshold", type=float, default=RecommendConfig().name_threshold)
    arguments = parser.parse_args()
    session = Session(arguments.model, RecommendConfig(anchors=0, name_threshold=arguments.threshold))
    groups = interest_names.groups_of(session.model)
    lines = [line for line in jsonl.read(arguments.data / "sequences.jsonl", Sequence) if line.split == "test"]
    drawn = random.Random(arguments.seed)
    chosen = drawn.sample(lines, min(arguments.users, len(lines)))
    found: list[tuple[RankedItem, UserInterest]] = []
    interests = 0
    for answer in answers(session, [Query(id=line.user, history=line.items) for line in chosen]):
        by_number = {interest.index: interest for interest in answer.interests}
        found += [(item, by_number[item.interest]) for item in answer.items if item.interest is not None]
        interests += len(by_number)
    near = interest_names.open_namer(session.model, -1.0).near[
        [session.model.catalogue.index(item.item) for item, _ in found]
    ]
    named = sum(interest.name is not None for _, interest in found) / len(found)
    by = Counter(group.by for group in groups.names)
    print(
        f"{arguments.model}: {len(groups)} groups, named by {dict(by)}; {len(chosen)} users, "
        f"{len(found):,} items, {named:.1%} with a name at {arguments.threshold}, {interests / len(chosen):.1f} "
        f"interests a list; from a similarity of … on: "
        + ", ".join(f"{level} {(near >= level).mean():.1%}" for level in LEVELS)
    )
    for item, interest in drawn.sample(found, min(arguments.sample, len(found))):
        print(f"{interest.similarity or 0:.2f}\t{interest.name}\t{item.title}")


if __name__ == "__main__":
    main()
