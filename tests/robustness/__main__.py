"""`python -m tests.robustness`: damaged inputs by the thousand, and steps killed at random moments.

    python -m tests.robustness                       # 20,000 inputs and 20 kills of each step: a night
    python -m tests.robustness --inputs 1000 --kills 1
    python -m tests.robustness --kind logs --seed 1 --only 17

The same seed and number give the same input. It ends with 1 where something does not hold.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from tests.robustness import kills, run
from tests.robustness.kinds import kinds


def main() -> int:
    """Run what the command line asks for and print the counts as a table."""
    parser = argparse.ArgumentParser(prog="python -m tests.robustness", description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=20_000, help="inputs of all kinds together")
    parser.add_argument("--kills", type=int, default=20, help="of each step; none with --kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", action="append", help="only this kind; repeat for more")
    parser.add_argument("--only", type=int, help="only the input of this number")
    given = parser.parse_args()
    chosen = [kind for kind in kinds() if given.kind is None or kind.name in given.kind]
    shares = sum(kind.share for kind in chosen)
    # a folder that others may enter, for temporary files of the session's own place may be private
    folder = Path(tempfile.mkdtemp(prefix="eimf-robustness-"))
    tallies, killed = [], []
    try:
        run.prepared(chosen, folder)
        for kind in chosen:
            count = max(1, round(given.inputs * kind.share / shares))
            numbers = range(count) if given.only is None else [given.only]
            tally = run.run(kind, folder, seed=given.seed, numbers=numbers)
            print(f"{kind.name}: {tally.inputs} inputs, {tally.seconds:.0f} CPU s", file=sys.stderr, flush=True)
            for number, problem in tally.faults:
                print(f"--kind {kind.name} --seed {given.seed} --only {number}: {problem}", file=sys.stderr, flush=True)
            tallies.append(tally)
        for step in kills.steps() if given.kind is None and given.kills else []:
            killed.append(kills.kill(step, folder, times=given.kills, seed=given.seed))
            print(f"{step.name}: {given.kills} kills", *killed[-1].faults, sep="\n", file=sys.stderr, flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(run.HEADER, *(tally.row() for tally in (*tallies, run.total(tallies))), sep="\n")
    if killed:
        print("", kills.HEADER, *(each.row() for each in killed), sep="\n")
    return int(any(tally.faults for tally in tallies) or any(each.faults for each in killed))


if __name__ == "__main__":
    sys.exit(main())
