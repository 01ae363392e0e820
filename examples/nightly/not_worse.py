"""Whether a new model is not worse than the one that serves: exit code 0 when it may replace it, 3 when not.

    python not_worse.py METRICS NEW SERVING

METRICS is what `eimf eval NEW SERVING DATA -k 10 -o METRICS` wrote: both models on the same users. The new one is worse
where its NDCG@10 is lower and the 95 % interval of the paired difference lies below 0: what may be chance is no reason
to keep an older model, which knows neither the new items nor what is bought now.
"""

from __future__ import annotations

import json
import os
import sys

WORSE = 3
"""Exit code of a new model that is worse; a comparison that cannot be made ends with another."""


def difference(path: str, new: str, serving: str) -> tuple[float, float, float]:
    """NDCG@10 of the new model minus that of the serving one, over the same users, and the bounds of its interval."""
    names = {os.path.normpath(new): 1, os.path.normpath(serving): -1}
    with open(path, encoding="utf-8") as lines:
        for line in map(json.loads, lines):
            pair = [names.get(os.path.normpath(str(line.get(of)))) for of in ("model", "compared_to")]
            if (line["metric"], line.get("k"), line["slice"]) != ("ndcg", 10, "all") or not all(pair):
                continue
            sign = pair[0]
            low, high = sorted((sign * line["difference_ci_low"], sign * line["difference_ci_high"]))
            return sign * line["difference"], low, high
    sys.exit(f"{path}: holds no comparison of {new} and {serving} by NDCG@10")


def main() -> None:
    """Compare, say so, and exit."""
    change, low, high = difference(*sys.argv[1:4])
    worse = high < 0
    verdict = "worse: the serving model stays" if worse else "not worse: it replaces the serving model"
    print(f"NDCG@10 of the new model {change + 0.0:+.4f} [{low:+.4f}, {high:+.4f}], {verdict}", file=sys.stderr)
    sys.exit(WORSE if worse else 0)


if __name__ == "__main__":
    main()
