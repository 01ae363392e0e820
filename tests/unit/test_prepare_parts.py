"""Text, filters and splits of `eimf prepare`, each alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eimf_core import dataset
from eimf_core.errors import ConfigError
from eimf_core.io import jsonl
from eimf_core.prepare import filters, item_catalogue, splits
from eimf_core.prepare.config import PrepareConfig
from eimf_core.prepare.log_arrays import Log
from eimf_core.prepare.raw_text import split_categories, strings_in, without_html
from eimf_core.records import Item
from eimf_core.text_cleaning import clean, clean_item, shortened_at_word


def make_log(*users: list[tuple[str, float]]) -> Log:
    """A log of users a, b, …, each a list of (item, time)."""
    ids = sorted({item for user in users for item, _ in user})
    rows = [row for user in users for row in user]
    return Log(
        user_ids=[chr(97 + number) for number in range(len(users))],
        item_ids=ids,
        event_names=[],
        offsets=np.cumsum([0, *map(len, users)]),
        items=np.array([ids.index(item) for item, _ in rows], dtype=np.int32),
        times=np.array([time for _, time in rows], dtype=np.float64),
        events=None,
    )


@pytest.mark.parametrize(
    ("raw", "plain"),
    [
        ("AT&amp;amp;T  <b>Phone</b>\n\tblack", "AT&T Phone black"),
        ("<style>p {color: red}</style><p>Tea<br/>Pot</p><!-- no -->", "Tea Pot"),
        ("5 < 6 and 7 > 2", "5 < 6 and 7 > 2"),
        ("I <3 tea", "I <3 tea"),
        ("  ", ""),
    ],
)
def test_html_is_taken_out(raw: str, plain: str) -> None:
    assert clean(without_html(raw)) == plain


@pytest.mark.parametrize(
    ("raw", "plain"),
    [
        ("first line\r\nsecond\u2028third\u0085fourth\x00fifth\x1b[31m", "first line second third fourth fifth [31m"),
        ("\u00a0Sham\u00adpoo\u200b \u202eTea\ue000\udcff ", "Shampoo Tea"),
        ("\u0645\u06cc\u200c\u062e \U0001f468\u200d\U0001f467", "\u0645\u06cc\u200c\u062e \U0001f468\u200d\U0001f467"),
        ("AT&amp;T <b>", "AT&amp;T <b>"),
    ],
)
def test_text_is_cleaned_once(raw: str, plain: str) -> None:
    assert clean(raw) == plain == clean(plain)


def test_the_text_of_an_item_of_any_program_is_cleaned_on_reading(tmp_path: Path) -> None:
    item = Item(item=" a\t", title="Green\nTea ", categories=["x\u200b", "", "x", "y  z"], text=" \n")
    clean_one = Item(item=" a\t", title="Green Tea", categories=["x", "y z"])
    jsonl.write(tmp_path / "items.jsonl", [item])
    assert dataset.load_items(tmp_path / "items.jsonl") == [clean_one] == [clean_item(item)]


def test_shortened_ends_at_a_word_and_keeps_the_budget() -> None:
    assert shortened_at_word("one two three", 13) == "one two three"
    assert shortened_at_word("one two three", 10) == "one two…"
    assert all(len(shortened_at_word("word " * 50, budget)) <= budget for budget in range(40))
    assert len(shortened_at_word("x" * 100, 20)) == 20


def test_categories_are_flattened() -> None:
    assert strings_in([["Food", "Tea"], {"a": "Food", "b": ["Green"]}]) == ["Food", "Tea", "Green"]
    assert split_categories("Action|Comedy|Action") == ["Action", "Comedy", "Action"]
    assert split_categories(" ") == []
    assert split_categories("Food, Tea") == ["Food", "Tea"]


def test_join_takes_the_first_title_and_names_what_has_none() -> None:
    described = [
        Item(item="1", title=""),
        Item(item="1", title=" Tea ", text="tea " * 50),
        Item(item="1", title="Other"),
        Item(item="9", title="Elsewhere"),
    ]
    made = item_catalogue.join(["1", "2"], described, text_length=20)
    assert made.items[0] == Item(item="1", title="Tea", text="tea tea tea tea…")
    assert (made.items[1].title, made.without_text, made.not_in_log) == ("2", ["2"], 1)


def test_k_core_goes_on_until_it_holds() -> None:
    """Dropping x takes user b below two, which takes y below two, and so on to nothing but c and d."""
    log = make_log([("y", 1), ("z", 2)], [("x", 1), ("y", 2)], [("p", 1), ("q", 2)], [("p", 3), ("q", 4)])
    keep = filters.k_core(log, min_user=2, min_item=2)
    assert keep.tolist() == [False] * 4 + [True] * 4


def test_duplicates_repeats_and_length() -> None:
    log = make_log([("x", 1), ("y", 1), ("x", 1), ("x", 2)], [("x", 2)])
    assert filters.no_duplicates(log).tolist() == [True, True, False, True, True]
    assert filters.one_of_repeats(log, "first").tolist() == [True, True, False, False, True]
    assert filters.one_of_repeats(log, "last").tolist() == [False, True, False, True, True]
    assert filters.latest(log, 2).tolist() == [False, False, True, True, True]


def test_temporal_targets() -> None:
    log = make_log([("p", 1), ("q", 2), ("r", 11), ("s", 12), ("t", 13), ("u", 21)], [("p", 12)], [("q", 3)])
    for target, expected in (("last", (4, 5)), ("first", (2, 3)), ("all", (2, 5))):
        plan = splits.temporal(log, points=(10, 20), target=target)
        assert (plan.history["valid"][0], plan.targets["valid"][0]) == expected
        assert (plan.train[0], plan.history["test"][0], plan.targets["test"][0]) == (2, 5, 6)
        assert plan.left_out["valid"] == {"nothing in the period": 1, "nothing to predict from": 1}
    with pytest.raises(ConfigError, match="first time point"):
        splits.temporal(log, points=(1, 20))


def test_leaving_one_out_keeps_short_histories_whole_for_training() -> None:
    plan = splits.leave_one_out(make_log(*[[("x", time) for time in range(length)] for length in (1, 2, 3)]))
    assert plan.train.tolist() == [1, 3, 4]
    held = [(plan.history[name][at], plan.targets[name][at]) for name in ("valid", "test") for at in range(3)]
    # where both are the start of the user, there is no line
    assert held == [(0, 0), (1, 1), (4, 5), (0, 0), (1, 1), (5, 6)]
    assert plan.left_out["test"] == {"fewer than 3 interactions": 2}


def test_time_points_hold_the_shares() -> None:
    times = np.arange(1000.0)
    assert splits.time_points(times, 0.1, 0.1) == (800.0, 900.0)
    valid_from, test_from = splits.time_points(times, 0.1, 0.0)
    assert valid_from == 900.0 and test_from > 999


def test_by_user_is_drawn_with_the_seed_and_cuts_at_eight_tenths() -> None:
    log = make_log(*[[("x", time) for time in range(1 + user % 12)] for user in range(100)])
    draws = [splits.plan_split(log, PrepareConfig(split="by-user", seed=seed)) for seed in (1, 1, 2)]
    assert (draws[0].targets["test"] == draws[1].targets["test"]).all()
    assert (draws[0].targets["test"] != draws[2].targets["test"]).any()
    plan, start, lengths = draws[0], log.offsets[:-1], np.diff(log.offsets)
    held = plan.targets["valid"] > start
    assert ((plan.history["valid"] - start)[held] == [int(0.8 * n) for n in lengths[held]]).all()
    trained, valid, test = plan.train > start, held, plan.targets["test"] > start
    assert trained.sum() == 80 and not (trained & (valid | test)).any()


def test_config_says_what_is_wrong() -> None:
    for wrong in (
        {"min_user": 0},
        {"valid_share": 0.6, "test_share": 0.5},
        {"since": "2020-02-30"},
        {"repeats": "two"},
    ):
        with pytest.raises(ConfigError, match="--"):
            PrepareConfig(**wrong)  # type: ignore[arg-type]
    assert PrepareConfig(since="2020-01-01", until="1577836801").seconds("since") == 1577836800
