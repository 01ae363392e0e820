"""How many interests get the right name on the example shop: see `tests.shop_names` for what is counted.

    python -m tests.benchmarks.recommend_names DATA MODEL [MODEL ...] [--threshold 0.4]

DATA is the prepared shop.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from eimf_core.recommend.config import RecommendConfig
from eimf_core.recommend.session import Session
from tests.shop_names import Judge, measure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--threshold", type=float, default=RecommendConfig().name_threshold)
    arguments = parser.parse_args()
    judge = Judge()
    for model in arguments.models:
        labelled = bool(Session(model, RecommendConfig()).model.named)
        for kind in ("labels", "words") if labelled else ("words",):
            figures = measure(
                judge, model, arguments.data / "sequences.jsonl", arguments.threshold, words=kind == "words"
            )
            shown = "  ".join(f"{key} {value:.3f}".removesuffix(".000") for key, value in figures.items())
            print(f"{model}  by {kind}  {shown}", flush=True)


if __name__ == "__main__":
    main()
