"""Whatever the log: nothing in a history is later than its target, and every interaction is accounted for."""

from __future__ import annotations

import csv
import re
import tempfile
from collections import Counter
from pathlib import Path

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eimf_core import dataset
from eimf_core.errors import ConfigError, InputError
from eimf_core.io import jsonl
from eimf_core.prepare import value_parsing
from eimf_core.prepare.config import APPLIES_TO, PrepareConfig
from eimf_core.prepare.prepare import prepare
from eimf_core.records import Sequence

USERS, THINGS = ("a", "b", "c", "10", "9"), ("x", "y", "z", "é,", '"q"')
Row = tuple[str, str, int, str]

rows = st.lists(
    st.tuples(st.sampled_from(USERS), st.sampled_from(THINGS), st.integers(0, 12), st.sampled_from(("view", "buy"))),
    min_size=1,
    max_size=60,
)
options = st.fixed_dictionaries(
    {
        "split": st.sampled_from(("temporal", "leave-one-out", "by-user", "none")),
        "target": st.sampled_from(("last", "first", "all")),
        "min_user": st.integers(1, 3),
        "min_item": st.integers(1, 3),
        "repeats": st.sampled_from(("keep", "first", "last")),
        "duplicates": st.sampled_from(("keep", "drop")),
        "max_length": st.none() | st.integers(1, 6),
        "valid_share": st.sampled_from((0.0, 0.1, 0.4)),
        "test_share": st.sampled_from((0.0, 0.1, 0.4)),
        "event": st.sampled_from(([], ["buy"])),
        "since": st.sampled_from((None, "3")),
    }
)


def write_log(folder: Path, log: list[Row]) -> Path:
    path = folder / "log.jsonl"
    keys = ("user", "item", "time", "event")
    path.write_bytes(b"".join(orjson.dumps(dict(zip(keys, row, strict=True))) + b"\n" for row in log))
    return path


def expected(log: list[Row], config: PrepareConfig) -> dict[str, list[Row]]:
    """The interactions of each user after all filters, written as plainly as can be."""
    left = [row for row in log if not config.event or row[3] in config.event]
    left = [row for row in left if config.since is None or row[2] >= float(config.since)]
    left.sort(key=lambda row: row[2])
    if config.duplicates == "drop":
        left = list(dict.fromkeys(left))
    if config.repeats != "keep":
        # of each user and item the first, or from behind the last
        ordered = left if config.repeats == "first" else left[::-1]
        firsts: dict[tuple[str, str], Row] = {}
        for row in ordered:
            firsts.setdefault(row[:2], row)
        left = list(firsts.values()) if config.repeats == "first" else list(firsts.values())[::-1]
    while True:
        users, items = Counter(row[0] for row in left), Counter(row[1] for row in left)
        fewer = [row for row in left if users[row[0]] >= config.min_user and items[row[1]] >= config.min_item]
        if len(fewer) == len(left):
            break
        left = fewer
    found: dict[str, list[Row]] = {}
    for row in left:
        found.setdefault(row[0], []).append(row)
    return {user: mine[-config.max_length :] if config.max_length else mine for user, mine in found.items()}


@settings(
    max_examples=settings.default.max_examples * 2 // 5, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
@given(rows, options)
def test_nothing_is_lost_and_nothing_leaks(log: list[Row], chosen: dict[str, object]) -> None:
    for name, splits in APPLIES_TO.items():
        if name in chosen and chosen["split"] not in splits:
            # refused there
            del chosen[name]
    config = PrepareConfig(**chosen, threads=1)  # type: ignore[arg-type]
    truth = expected(log, config)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            done = prepare([write_log(folder, log)], folder / "out", config)
        except InputError:
            assert not truth
            return
        except ConfigError as error:
            if "no row has this kind" in str(error):
                assert not truth and not any(row[3] in config.event for row in log)
            else:
                # every interaction is as late as the first time point
                assert config.split == "temporal"
            return
        lines = list(jsonl.read(folder / "out" / "sequences.jsonl", Sequence))
        data = dataset.load(folder / "out", ("train", "valid", "test"))
    report = done.report
    steps = report.steps
    assert steps[0].interactions == len(log)
    assert len(log) == sum(step.removed for step in steps) + steps[-1].interactions
    assert steps[-1].interactions == sum(map(len, truth.values()))
    assert sorted(data.vocab.ids) == sorted({row[1] for mine in truth.values() for row in mine})
    reach: Counter[str] = Counter()
    for line in lines:
        mine = truth[line.user]
        history, later = mine[: len(line.items)], mine[len(line.items) :]
        assert line.items == [row[1] for row in history]
        assert line.times == [row[2] for row in history]
        assert line.events == [row[3] for row in history]
        assert line.items
        if line.split == "train":
            assert not line.targets
            if config.split == "temporal":
                assert all(row[2] < done.facts["valid_from"] for row in history)
        else:
            assert line.targets == [row[1] for row in later[: len(line.targets)]] and line.targets
            assert all(row[2] >= history[-1][2] for row in later)
            if config.split == "temporal":
                opens, closes = done.facts["valid_from"], done.facts["test_from"]
                for row in later[: len(line.targets)]:
                    assert opens <= row[2] < closes if line.split == "valid" else row[2] >= closes
        reach[line.user] = max(reach[line.user], len(line.items) + len(line.targets))
    assert report.unused == steps[-1].interactions - reach.total()
    for split in ("valid", "test"):
        here = [line for line in lines if line.split == split]
        if split in report.splits:
            assert report.splits[split].users == len(here)
            assert report.splits[split].targets == sum(len(line.targets) for line in here)
            if config.split != "by-user":
                assert len(here) + sum(report.splits[split].left_out.values()) == len(truth)
        else:
            assert not here


logs_in_time = st.lists(
    st.tuples(st.sampled_from(USERS[:3]), st.sampled_from(THINGS), st.integers(1, 9), st.just("view")),
    min_size=12,
    max_size=40,
)


@settings(max_examples=settings.default.max_examples // 4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(logs_in_time, st.sampled_from(("last", "first", "all")), st.integers(2, 5), st.integers(6, 9))
def test_a_temporal_split_is_exactly_what_its_time_points_say(
    log: list[Row], target: str, valid_from: int, test_from: int
) -> None:
    log = [("b", "x", 1, "view"), *log]  # something lies before the first point
    config = PrepareConfig(target=target, valid_from=str(valid_from), test_from=str(test_from), threads=1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare([write_log(folder, log)], folder / "out", config)
        lines = list(jsonl.read(folder / "out" / "sequences.jsonl", Sequence))
    found = {(line.split, line.user): (line.items, line.targets or []) for line in lines}
    wanted = {}
    for user, mine in expected(log, config).items():
        ordered = [row[1] for row in mine]
        opens, closes = (sum(row[2] < point for row in mine) for point in (valid_from, test_from))
        if opens:
            wanted["train", user] = (ordered[:opens], [])
        for split, first, end in (("valid", opens, closes), ("test", closes, len(mine))):
            cut = end - 1 if target == "last" else max(first, 1)
            stop = min(cut + 1, end) if target != "all" else end
            if end > first and 0 < cut < stop:
                wanted[split, user] = (ordered[:cut], ordered[cut:stop])
    assert found == wanted


odd_times = (
    st.from_regex(value_parsing.DATE, fullmatch=True)
    | st.sampled_from(("1500000000", "epoch", "2024-01-01 (BC)", "2024-01-01 CET", "2024-01-01T10", "soon", "", "0"))
    | st.sampled_from(("2024-01-02 ", " 2024-01-02", "2024-01-02 10:00:00 +0200", "10:00:00 +0200", "infinity", "NaN"))
    | st.text("0123456789-+/.:TZ e_", max_size=12)
)


@settings(max_examples=settings.default.max_examples // 8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(odd_times, min_size=1, max_size=30), st.sampled_from(("csv", "jsonl")))
def test_a_row_with_an_odd_time_is_in_the_output_or_in_the_rejects(times: list[str], kind: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = folder / f"log.{kind}"
        rows = [{"user": "u", "item": f"i{number}", "time": time} for number, time in enumerate(times)]
        if kind == "csv":
            with open(log, "w", newline="") as stream:
                writer = csv.DictWriter(stream, rows[0], lineterminator="\n", quoting=csv.QUOTE_ALL)
                writer.writeheader()
                writer.writerows(rows)
        else:
            log.write_bytes(b"\n".join(map(orjson.dumps, rows)))
        config = PrepareConfig(split="none", on_error="skip", threads=1)
        try:
            done = prepare([log], folder / "out", config)
        except InputError as error:
            assert re.search("has no usable interactions|day and month cannot be told apart", str(error))
            return
        (line,) = jsonl.read(folder / "out" / "sequences.jsonl", Sequence)
        path = folder / "out" / "rejects.jsonl"
        bad = [orjson.loads(row) for row in path.read_bytes().splitlines()] if path.exists() else []
    left_out = {re.search(r"i\d+", row["text"])[0] for row in bad}  # type: ignore[index]
    assert sorted([*line.items, *left_out]) == sorted(row["item"] for row in rows)
    assert (
        len(bad) == len(left_out) == sum(done.report.rejected.values()) == len(rows) - done.report.steps[0].interactions
    )
    assert all(row["line"] and row["reason"].startswith("field 'time': ") for row in bad)
