"""Makes metrics.json: metric values of seeded random lists by independent implementations.

Needs packages that eimf does not: python -m venv V && V/bin/pip install ranx pytrec-eval-terrier;
then V/bin/python tests/golden/make_metrics_golden.py. Scores are distinct, since implementations
break ties differently. Each value is computed by both where both have the metric, and they must agree.
"""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path

import numpy as np
import pytrec_eval
from ranx import Qrels, Run, evaluate

KS = (1, 3, 5, 10, 20)
USERS, ITEMS, LENGTH = 60, 200, 40
RANX = {
    "recall": "recall",
    "hit_rate": "hit_rate",
    "precision": "precision",
    "ndcg": "ndcg",
    "mrr": "mrr",
    "map": "map",
}
TREC = {"recall": "recall", "hit_rate": "success", "precision": "P", "ndcg": "ndcg_cut", "map": "map_cut"}


def main() -> None:
    rng = np.random.default_rng(20)
    scores = {f"u{user}": rng.permutation(ITEMS * 7)[:ITEMS] / 7 for user in range(USERS)}
    lists = {user: (np.argsort(-row)[:LENGTH] + 1).tolist() for user, row in scores.items()}
    # from one target to more than the longest cutoff, some of them within the list on purpose
    targets = {}
    for number, (user, ranked) in enumerate(lists.items()):
        wanted = rng.choice(ITEMS, size=1 + number % 33, replace=False) + 1
        inside = rng.choice(ranked[:25], size=number % 4, replace=False)
        targets[user] = sorted({*wanted.tolist(), *inside.tolist()})
    qrels = {user: {str(item): 1 for item in items} for user, items in targets.items()}
    run = {user: {str(item): float(scores[user][item - 1]) for item in ranked} for user, ranked in lists.items()}
    expected: dict[str, dict[str, dict[str, float]]] = {}
    graded, ran = Qrels(qrels), Run(run)
    for name, called in RANX.items():
        for k in KS:
            evaluate(graded, ran, f"{called}@{k}", return_mean=False)
            values = {user: float(value) for user, value in ran.scores[f"{called}@{k}"].items()}
            expected.setdefault(name, {})[str(k)] = values
    judged = pytrec_eval.RelevanceEvaluator(qrels, {f"{m}.{','.join(map(str, KS))}" for m in TREC.values()}).evaluate(
        run
    )
    for name, called in TREC.items():
        for k in KS:
            for user, value in expected[name][str(k)].items():
                assert abs(judged[user][f"{called}_{k}"] - value) < 1e-6, (name, k, user, value, judged[user])
    content = {
        "made_by": {package: metadata.version(package) for package in ("ranx", "pytrec-eval-terrier")},
        "lists": lists,
        "targets": targets,
        "expected": {
            name: {k: [round(values[user], 12) for user in lists] for k, values in by_k.items()}
            for name, by_k in expected.items()
        },
    }
    Path(__file__).with_name("metrics.json").write_text(json.dumps(content, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
