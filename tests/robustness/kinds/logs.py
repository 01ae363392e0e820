"""Logs and item tables as text, of the forms that `prepare` reads."""

from __future__ import annotations

import json
import random
from pathlib import Path

from tests.robustness import mutations
from tests.robustness.trial import Kind, Trial

USERS, ITEMS, ROWS = 12, 10, 60


def make(folder: Path) -> None:
    """The same few rows in several forms, and titles for the items."""
    rng = random.Random(0)
    rows = [(f"u{rng.randrange(USERS)}", f"i{rng.randrange(ITEMS)}", 1_600_000_000 + 977 * at) for at in range(ROWS)]
    tables = {
        "log.csv": ("user,item,time", ","),
        "log.tsv": ("user\titem\ttime", "\t"),
        "semi.csv": ("user;item;time", ";"),
    }
    for name, (header, separator) in tables.items():
        lines = [header, *(separator.join(map(str, row)) for row in rows)]
        (folder / name).write_text("\n".join(lines) + "\n")
    (folder / "plain.csv").write_text("".join(f"{user[1:]},{item[1:]},{time}\n" for user, item, time in rows))
    (folder / "rated.csv").write_text(
        "userId,movieId,rating,timestamp\n"
        + "".join(f"{u[1:]},{i[1:]},{at % 5 + 1},{t}\n" for at, (u, i, t) in enumerate(rows))
    )
    (folder / "ratings.dat").write_text("".join(f"{u[1:]}::{i[1:]}::4::{t}\n" for u, i, t in rows))
    (folder / "quoted.csv").write_text(
        '"user","item","time"\n' + "".join(f'"{u}","{i}","2021-03-0{t % 9 + 1}"\n' for u, i, t in rows)
    )
    (folder / "set.inter").write_text(
        "user_id:token\titem_id:token\ttimestamp:float\n" + "".join(f"{u}\t{i}\t{t}\n" for u, i, t in rows)
    )
    (folder / "log.jsonl").write_text("".join(json.dumps({"user": u, "item": i, "time": t}) + "\n" for u, i, t in rows))
    (folder / "reviews.json").write_text(
        "".join(
            json.dumps({"reviewerID": u, "asin": i, "overall": 5.0, "unixReviewTime": t}) + "\n" for u, i, t in rows
        )
    )
    (folder / "array.json").write_text(json.dumps([{"user": u, "item": i, "time": t} for u, i, t in rows]))
    (folder / "histories.txt").write_text(
        "".join(f"{user} {' '.join(str(each) for each in range(1, 6))}\n" for user in range(USERS))
    )
    (folder / "items.jsonl").write_text(
        "".join(
            json.dumps({"item": f"i{at}", "title": f"Title {at}", "categories": ["a"]}) + "\n" for at in range(ITEMS)
        )
    )
    (folder / "items.csv").write_text("item,title\n" + "".join(f"i{at},Title {at}\n" for at in range(ITEMS)))


def trial(trial: Trial) -> None:
    rng = trial.rng
    logs = sorted(path.name for path in trial.folder.iterdir() if not path.name.startswith("items."))
    name = rng.choice(logs)
    more = ["--items", rng.choice(("items.jsonl", "items.csv"))] if rng.random() < 0.4 else []
    target = more[1] if more and rng.random() < 0.5 else name
    by_line = mutations.of_lines if target.endswith((".jsonl", ".json")) else mutations.of_text
    mutations.change(trial.folder / target, rng, by_line)
    if rng.random() < 0.05:
        # a name of bytes that are no text
        strange = (trial.folder / target).rename(trial.folder / f"odd\udcff{target}").name
        name, more = (strange if name == target else name), [strange if each == target else each for each in more]
    split = rng.choice(("temporal", "leave-one-out", "by-user", "none"))
    if rng.random() < 0.3:
        more += ["--on-error", "skip"]
    if rng.random() < 0.2:
        more += ["--min-user", "2", "--min-item", "2"]
    trial.eimf("prepare", name, *more, "--split", split, "-o", "out", outputs=["out"])


KIND = Kind("logs", 70, make, trial, modules=("eimf_cli.prepare", "eimf_core.prepare.prepare", "duckdb"))
