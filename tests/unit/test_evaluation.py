"""The evaluation from data to records: who is asked, what counts, ties, masks, broken scores, broken matches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import orjson
import pytest
from msgspec.structs import replace as replace_record

from eimf_core import dataset
from eimf_core.dataset import Dataset
from eimf_core.errors import ConfigError, InputError, ModelError
from eimf_core.evaluation import eval_users, result_tables, tie_breaking
from eimf_core.evaluation.config import EvalConfig
from eimf_core.evaluation.evaluate import Evaluation, evaluate
from eimf_core.evaluation.measure import Measured, MeasurePlan, measure
from eimf_core.evaluation.metric_format import TextTable
from eimf_core.evaluation.metrics import list_metrics
from eimf_core.evaluation.previous_report import PreviousReport
from eimf_core.evaluation.scorers import Scored
from eimf_core.io import jsonl
from eimf_core.numeric.arrays import Floats, ShortInts
from eimf_core.records import Item, Metric
from eimf_core.records import Sequence as Line
from tests.small_data import write_small_data
from tests.small_models import taste_vectors, write_small_model


class Fixed:
    """A system that gives every user the same scores."""

    name = "fixed"

    def __init__(self, scores: Floats) -> None:
        self.scores = scores.astype(np.float32)
        self.scores[0] = -np.inf

    def score(self, histories: Sequence[ShortInts], times: object = None, events: object = None) -> Scored:
        return Scored(np.tile(self.scores, (len(histories), 1)))


def write_data(folder: Path, items: int, lines: list[Line]) -> Dataset:
    jsonl.write(folder / "items.jsonl", [Item(item=f"i{at}", title=f"Item {at}") for at in range(1, items + 1)])
    jsonl.write(folder / "sequences.jsonl", lines)
    return dataset.load(folder, ("train", "test"))


def line(user: str, items: str, targets: str = "", split: str = "test") -> Line:
    return Line(user=user, split=split, items=items.split(), targets=targets.split())  # type: ignore[arg-type]


def plan_for(
    data: Dataset, *, ks: Sequence[int] = (2,), seen: str = "drop", seed: int = 0, **more: object
) -> MeasurePlan:
    return MeasurePlan(
        ks=ks,
        metrics=["recall", "hit_rate", "ndcg", "mrr"],
        seen=seen,
        facts=list_metrics.catalogue_facts(data),
        priority=np.random.default_rng(seed).permutation(len(data.vocab) + 1),
        **more,  # type: ignore[arg-type]
    )


def everything(data: Dataset) -> list[np.ndarray]:
    return [np.arange(len(data.vocab) + 1) > 0]


def test_who_is_asked_and_who_is_left_out(tmp_path: Path) -> None:
    data = write_data(
        tmp_path,
        5,
        [
            line("t", "i1 i2 i3 i4", split="train"),
            line("kept", "i1 i2", "i3 i3 i1"),
            line("no history", "", "i3"),
            line("no targets", "i1"),
            line("all seen", "i1 i2", "i2 i1"),
            line("unknown history", "i5 i5", "i1"),
        ],
    )
    known = np.array([False, True, True, True, True, False])
    dropped = eval_users.select(data, "test", "drop", [known])
    assert [dropped.user(case) for case in range(len(dropped))] == ["kept"]
    assert dropped.left_out == {"no_targets": 1, "no_history": 1, "history_unknown": 1, "targets_seen": 1}
    assert dropped.targets.tolist() == [3]
    assert dropped.repeated_targets == 3
    kept = eval_users.select(data, "test", "keep", [known])
    assert [kept.user(case) for case in range(len(kept))] == ["kept", "all seen"]
    assert kept.targets.tolist() == [1, 3, 1, 2]
    assert kept.target_offsets.tolist() == [0, 2, 4]
    assert kept.left_out == {"no_targets": 1, "no_history": 1, "history_unknown": 1}


def test_seen_items_are_dropped_or_kept(tmp_path: Path) -> None:
    data = write_data(tmp_path, 5, [line("t", "i1", split="train"), line("u", "i5 i4", "i3 i4")])
    falling = np.arange(6)  # i5 is best
    dropped = measure(Fixed(falling), eval_users.select(data, "test", "drop", []), plan_for(data))
    assert dropped.column("recall", 2).tolist() == [1]
    assert dropped.column("mrr", 2).tolist() == [1]
    kept = measure(Fixed(falling), eval_users.select(data, "test", "keep", []), plan_for(data, seen="keep"))
    assert kept.column("recall", 2).tolist() == [0.5]
    assert kept.column("mrr", 2).tolist() == [0.5]


def test_the_whole_history_is_dropped_not_only_what_the_model_looks_at(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    vectors = np.abs(rng.normal(size=(7, 4))).astype(np.float32)
    vectors[1] *= 100  # would always be on top
    data = write_data(tmp_path, 6, [line("t", "i1", split="train"), line("u", "i1 i2 i3", "i4")])
    model = write_small_model(tmp_path / "model", data.items, vectors, max_length=1)
    evaluation = evaluate([model], tmp_path, EvalConfig(k=[1, 3, 6], resamples=100))
    recommended = {r.k: r.value for r in evaluation.records if r.metric == "recall" and r.model == str(model)}
    assert recommended[3] == 1  # three items are left to rank


def test_lists_shorter_than_k_hold_no_item(tmp_path: Path) -> None:
    data = write_data(tmp_path, 3, [line("t", "i1", split="train"), line("u", "i1 i2", "i3")])
    cases = eval_users.select(data, "test", "drop", [])
    result = measure(Fixed(np.arange(4)), cases, plan_for(data, ks=[1, 10]))
    assert result.recommended[10].tolist() == [0, 0, 0, 1]
    assert result.column("recall", 10).tolist() == [1]


@pytest.fixture(scope="module")
def skewed(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """A catalogue in order of popularity, where ties by index would favour what is asked for."""
    rng = np.random.default_rng(5)
    weights = 1 / np.arange(1, 301)
    draw = lambda size: [f"i{at + 1}" for at in rng.choice(300, size=size, p=weights / weights.sum())]  # noqa: E731
    lines = [Line(user=f"t{user}", split="train", items=draw(8)) for user in range(50)]
    lines += [Line(user=f"u{user}", split="test", items=draw(5), targets=draw(1)) for user in range(2000)]
    return write_data(tmp_path_factory.mktemp("skewed"), 300, lines)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_constant_model_scores_like_chance(skewed: Dataset, seed: int) -> None:
    cases = eval_users.select(skewed, "test", "keep", [])
    result = measure(Fixed(np.ones(301)), cases, plan_for(skewed, ks=[30], seen="keep", seed=seed))
    share = np.array([np.isin(cases.targets, np.flatnonzero(result.recommended[30])).mean()])
    # every user gets the same 30 of 300 items; which ones they are does not depend on popularity
    assert result.column("recall", 30).mean() == pytest.approx(share[0], abs=1e-6)
    by_index = replace(plan_for(skewed, ks=[30], seen="keep"), priority=np.arange(301))
    assert measure(Fixed(np.ones(301)), cases, by_index).column("recall", 30).mean() > 0.4, "not a trap at all"
    several = [
        measure(Fixed(np.ones(301)), cases, plan_for(skewed, ks=[30], seen="keep", seed=100 + at)).column("recall", 30)
        for at in range(10)
    ]
    assert np.mean(several) == pytest.approx(30 / 300, abs=0.05)


@pytest.fixture(scope="module")
def shuffled(skewed: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The same users with the catalogue in an order that says nothing."""
    order = np.random.default_rng(2).permutation(300) + 1
    names = {f"i{at}": f"i{to}" for at, to in enumerate(order, start=1)}
    lines = [
        Line(
            user=found.user,
            split=found.split,
            items=[names[item] for item in found.items],
            targets=[names[item] for item in found.targets],
        )
        for found in jsonl.read(skewed.directory / "sequences.jsonl", Line)
    ]
    return write_data(tmp_path_factory.mktemp("shuffled"), 300, lines)


@pytest.mark.slow
def test_ties_go_by_index_where_that_favours_no_target(skewed: Dataset, shuffled: Dataset, tmp_path: Path) -> None:
    for data, name in ((shuffled, "index"), (skewed, "seeded")):
        model = write_small_model(tmp_path / name, data.items, np.zeros((301, 4), np.float32))
        settings = EvalConfig(k=[30, 90], seen="keep", resamples=100, baselines="none", metrics=["recall", "coverage"])
        evaluation = evaluate([model], data.directory, settings)
        assert {record.ties for record in evaluation.records} == {name}
        values = {(record.metric, record.k): record.value for record in evaluation.records}
        assert values["recall", 90] == pytest.approx(0.3, abs=0.15)
        assert values["coverage", 30] == pytest.approx(0.1)
        recommended = evaluation.plan.priority[1:].argsort()[:30] + 1
        by_hand = np.isin(evaluation.users.targets, recommended).mean()
        assert values["recall", 30] == pytest.approx(by_hand, abs=1e-6)
        assert (recommended.tolist() == list(range(1, 31))) == (name == "index")


@pytest.mark.slow
def test_the_order_of_ties_is_drawn_with_the_seed(skewed: Dataset, tmp_path: Path) -> None:
    model = write_small_model(tmp_path / "model", skewed.items, np.zeros((301, 4), np.float32))

    def recall(seed: int) -> float:
        settings = EvalConfig(k=[30], seen="keep", seed=seed, resamples=100, baselines="none", metrics=["recall"])
        return evaluate([model], skewed.directory, settings).records[0].value

    values = [recall(seed) for seed in (0, 1, 2)]
    assert len(set(values)) > 1, "each seed draws another order"
    assert values == [recall(seed) for seed in (0, 1, 2)]


def test_an_order_that_favours_targets_is_noticed() -> None:
    rng = np.random.default_rng(0)
    counts = rng.poisson(200 / np.arange(1, 501))
    found = [tie_breaking.deviation(rng.permutation(counts), [10, 20]) for _ in range(200)]
    assert np.mean(np.abs(found) > tie_breaking.MAX_DEVIATION) < 0.2, "the check is no coin"
    assert tie_breaking.deviation(counts, [10, 20]) > 10 and tie_breaking.deviation(counts[::-1], [10, 20]) < -10
    # one item in front, the others in any order
    front = np.append(200, rng.permutation(counts)[:-1].clip(max=20))
    assert tie_breaking.deviation(front, [10]) > tie_breaking.MAX_DEVIATION
    assert tie_breaking.deviation(np.ones(50, np.int64), [10]) == 0 == tie_breaking.deviation(np.array([3, 1]), [1])
    assert tie_breaking.order(np.append(0, counts), [10], 3).name == "seeded"
    assert tie_breaking.order(np.zeros(9, np.int64), [10], 3).priority.tolist() == list(range(9))


def test_threads_and_blocks_change_nothing(skewed: Dataset) -> None:
    cases = eval_users.select(skewed, "test", "drop", [])
    scores = np.random.default_rng(1).normal(size=301)
    alone = measure(Fixed(scores), cases, plan_for(skewed, ks=[5, 20]))
    side_by_side = measure(Fixed(scores), cases, plan_for(skewed, ks=[5, 20], threads=3))
    np.testing.assert_array_equal(alone.values, side_by_side.values)
    for k in (5, 20):
        np.testing.assert_array_equal(alone.recommended[k], side_by_side.recommended[k])


def brute_force(data: Dataset, scores: Floats, k: int, seen: str) -> list[float]:
    values = []
    test = data.splits["test"]
    for user in range(len(test)):
        had = set(test.history(user).tolist()) if seen == "drop" else set()
        wanted = set(test.target(user).tolist()) - had
        ranked = sorted((item for item in range(1, len(data.vocab) + 1) if item not in had), key=lambda i: -scores[i])
        if wanted:
            values.append(len(wanted & set(ranked[:k])) / len(wanted))
    return values


@pytest.mark.parametrize("seen", ["drop", "keep"])
def test_against_a_plain_loop(skewed: Dataset, seen: str) -> None:
    scores = np.random.default_rng(1).permutation(301).astype(np.float32)
    cases = eval_users.select(skewed, "test", seen, [])
    result: Measured = measure(Fixed(scores), cases, plan_for(skewed, ks=[20], seen=seen))
    np.testing.assert_allclose(result.column("recall", 20), brute_force(skewed, scores, 20, seen), rtol=1e-6)


# -- models


@pytest.fixture
def small(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return write_small_data(tmp_path / "data")


def model_of(small: Path, name: str = "model", **more: object) -> Path:
    items = dataset.load_items(small / "items.jsonl")
    return write_small_model(small.parent / name, items, taste_vectors(items), **more)  # type: ignore[arg-type]


def figures(evaluation: Evaluation, model: object) -> dict[tuple[str, int | None], Metric]:
    return {(r.metric, r.k): r for r in evaluation.records if r.model == str(model) and r.compared_to is None}


def test_records_say_what_they_are_figures_of(small: Path) -> None:
    model = model_of(small, seed=7)
    evaluation = evaluate([model], small, EvalConfig(k=[5, 10], seed=3, resamples=500, metrics=["all"]))
    for record in evaluation.records:
        assert (record.split, record.protocol, record.seen) == ("test", "leave-one-out/next", "drop")
        assert record.left_out == {"targets_seen": 27} and record.eval_seed == 3
        assert record.users == 33
    ours = figures(evaluation, model)
    assert ours["recall", 10].seed == 7
    assert ours["recall", 10].ci_low < ours["recall", 10].value < ours["recall", 10].ci_high  # type: ignore[operator]
    assert ours["recall", 5].value <= ours["recall", 10].value
    assert figures(evaluation, "popularity")["recall", 10].seed is None
    assert set(ours) >= {("gini", 5), ("coverage", 10), ("interest_places", 5), ("interest_cosine", None)}
    assert ours["interest_cosine", None].value == pytest.approx(-1)
    for record in (r for r in evaluation.records if not r.compared_to):
        assert record.ci_low is not None and record.ci_high is not None, record.metric
        assert record.ci_low - 1e-6 <= record.value <= record.ci_high + 1e-6
    compared = [r for r in evaluation.records if r.compared_to]
    assert {r.compared_to for r in compared} == set(evaluation.baselines)
    assert evaluation.baselines == ["popularity", "recent-popularity", "last-item", "item-knn", "ease"]
    for record in compared:
        theirs = figures(evaluation, record.compared_to)[record.metric, record.k]
        assert record.difference == pytest.approx(record.value - theirs.value)
        assert record.ci_low is None and record.ci_high is None
        assert record.difference_ci_low <= record.difference <= record.difference_ci_high  # type: ignore[operator]
        assert 0 < record.p <= record.p_holm <= 1  # type: ignore[operator]


def test_the_same_call_gives_the_same_figures(small: Path) -> None:
    model = model_of(small)
    first, second = (evaluate([model], small, EvalConfig(k=[5], threads=n)).records for n in (1, 2))
    assert first == second


def test_the_order_of_the_models_items_does_not_matter(small: Path) -> None:
    items = dataset.load_items(small / "items.jsonl")
    vectors = taste_vectors(items)
    order = np.random.default_rng(3).permutation(len(items))
    straight = write_small_model(small.parent / "straight", items, vectors)
    mixed = write_small_model(
        small.parent / "mixed", [items[at] for at in order], np.concatenate([vectors[:1], vectors[1:][order]])
    )
    evaluation = evaluate([straight, mixed], small, EvalConfig(k=[5]))
    for key, record in figures(evaluation, straight).items():
        assert figures(evaluation, mixed)[key].value == pytest.approx(record.value, abs=1e-6)


def test_unknown_items_are_misses_and_foreign_items_are_never_ranked(small: Path) -> None:
    items = dataset.load_items(small / "items.jsonl")
    vectors = taste_vectors(items)
    whole = write_small_model(small.parent / "whole", items, vectors)
    foreign = [Item(item=f"other-{at}", title="Other", categories=["tea"]) for at in range(5)]
    half = write_small_model(
        small.parent / "half",
        [*foreign, *items[:12]],
        np.concatenate([vectors[:1], 50 * np.ones((5, 4), np.float32), vectors[1:13]]),
    )
    evaluation = evaluate([whole, half], small, EvalConfig(k=[24]))
    facts = evaluation.facts["models"][str(half)]
    assert facts["items_unknown_to_model"] == 12 and facts["items_unknown_to_data"] == 5
    assert facts["targets_unknown_to_model"] > 0
    expected = 1 - facts["targets_unknown_to_model"] / evaluation.facts["targets"]
    assert figures(evaluation, half)["recall", 24].value == pytest.approx(expected)
    assert figures(evaluation, whole)["recall", 24].value == 1
    users = {record.users for record in evaluation.records}
    assert len(users) == 1, "all systems answer the same users"


def test_a_model_of_other_data(small: Path) -> None:
    others = [Item(item=f"x{at}", title="X", categories=["x"]) for at in range(4)]
    model = write_small_model(small.parent / "model", others, taste_vectors(others))
    with pytest.raises(InputError, match="none of its items is known"):
        evaluate([model], small, EvalConfig())


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_are_no_numbers_name_the_user(small: Path, bad: float) -> None:
    items = dataset.load_items(small / "items.jsonl")
    vectors = taste_vectors(items)
    vectors[5, 2] = bad
    model = write_small_model(small.parent / "model", items, vectors)
    with pytest.raises(ModelError, match=r"user 'user-\d+' is not a finite number"):
        evaluate([model], small, EvalConfig())


def test_users_that_prepare_left_out_are_counted_too(small: Path) -> None:
    model, settings = model_of(small), EvalConfig(k=[5], resamples=100, baselines="none")
    meta = small / "sequences.jsonl.meta.json"

    def tell(users: int) -> dict[str, int]:
        told = {"test": {"users": users, "left_out": {"nothing in the period": 7, "not in --users": 2}}}
        facts = {"split": "temporal", "targets": "next", "report": {"splits": told}}
        meta.write_bytes(orjson.dumps({"facts": facts}))
        (left_out,) = {tuple(r.left_out.items()) for r in evaluate([model], small, settings).records}
        return dict(left_out)

    assert tell(60) == {"nothing_in_the_period": 7, "not_in_users": 2, "targets_seen": 27}
    # a file that was cut since is another one
    assert tell(61) == {"targets_seen": 27}
    meta.write_bytes(b'{"facts": {"report": {"splits": {"test": {"users": 60, "left_out": "many"}}}}}')
    assert evaluate([model], small, settings).facts["left_out"] == {"targets_seen": 27}


def test_nothing_to_evaluate(tmp_path: Path) -> None:
    data = write_data(tmp_path, 3, [line("t", "i1 i2", split="train"), line("u", "i1", "i1")])
    model = write_small_model(tmp_path / "model", data.items, np.ones((4, 4), np.float32))
    with pytest.raises(InputError, match="users left out: 1 whose targets are all"):
        evaluate([model], tmp_path, EvalConfig())
    with pytest.raises(InputError, match="no valid lines"):
        evaluate([model], tmp_path, EvalConfig(split="valid"))
    with pytest.raises(ConfigError, match="twice"):
        evaluate([model, model], tmp_path, EvalConfig())
    jsonl.write(tmp_path / "sequences.jsonl", [line("u", "i1", "i2")])
    with pytest.raises(InputError, match="no train lines"):
        evaluate([model], tmp_path, EvalConfig())


@pytest.mark.parametrize(
    "wrong",
    [
        {"k": [0]},
        {"k": []},
        {"k": [10_000]},
        {"seed": -1},
        {"resamples": 5},
        {"metrics": ["accuracy"]},
        {"threads": -1},
    ],
)
def test_settings_are_checked(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        EvalConfig(**wrong)  # type: ignore[arg-type]


def test_losing_to_a_baseline_is_said(skewed: Dataset, tmp_path: Path) -> None:
    bad = write_small_model(tmp_path / "bad", skewed.items, np.zeros((301, 4), np.float32))
    evaluation = evaluate([bad], skewed.directory, EvalConfig(k=[3, 10], resamples=200))
    losing = {
        key
        for key, lost in evaluation.baseline_wins().items()
        if "popularity" in {record.compared_to for record in lost}
    }
    by_hand = {
        ("all", metric, k, str(bad))
        for (metric, k), record in figures(evaluation, bad).items()
        if record.value < figures(evaluation, "popularity")[metric, k].value
    }
    assert losing == by_hand and by_hand


def test_how_a_model_stands_to_the_baselines_in_words() -> None:
    def against(name: str, difference: float, p: float) -> Metric:
        return Metric(
            metric="ndcg", k=10, value=0.1, users=9, split="test", protocol="x", seen="drop", model="m",
            compared_to=name, difference=difference, p=p, p_holm=p,
        )  # fmt: skip

    class Told:
        def __init__(self, *records: Metric) -> None:
            figure = replace_record(records[0], compared_to=None)
            self.records, self.baselines = [figure, *records], ["a", "b", "c", "d"]

    def said(*records: Metric) -> str:
        return result_tables.verdict(Told(*records), "m")  # type: ignore[arg-type]

    assert said(against("a", 0.1, 0.01)) == "better than a"
    mixed = said(against("a", -0.1, 0.01), against("b", 0.1, 0.02), against("c", -0.01, 0.6), against("d", 0.01, 1.0))
    assert mixed == "worse than a; behind c (may be chance); better than b; ahead of d (may be chance)"
    assert said(against("e", 0.1, 0.01)) == ""


def test_reasons_of_users_left_out_are_words() -> None:
    counted = {"nothing_in_the_period": 1263, "targets_seen": 34, "fewer_than_3_interactions": 2}
    assert eval_users.reasons_text(counted, "test") == (
        "1,263 with nothing in the test period, 34 whose targets are all in their history, "
        "2 with fewer than 3 interactions"
    )


@pytest.mark.parametrize(
    ("p", "expected"),
    [
        (0.01, ["m: NDCG@10 0.1000; worse than a 0.3000"]),
        (
            0.6,
            [
                "m: NDCG@10 0.1000; behind a 0.3000 (may be chance)",
                "with 1,200 users, NDCG@10 must differ by 0.2500 to be told from chance four times in five",
            ],
        ),
    ],
)
def test_the_end_says_how_good_a_model_is(p: float, expected: list[str]) -> None:
    figure = Metric(metric="ndcg", k=10, value=0.1, users=9, split="test", protocol="x", seen="drop", model="m")
    baseline = replace_record(figure, model="a", value=0.3)
    compared = replace_record(figure, compared_to="a", difference=-0.2, p=p, p_holm=p, detectable=0.25)
    told = SimpleNamespace(
        records=[figure, baseline, compared],
        results=[SimpleNamespace(name=name) for name in ("m", "a")],
        baselines=("a",),
        contenders=("m",),
        facts={"users": 1200},
        previous=None,
    )
    assert result_tables.closing_lines(told) == expected  # type: ignore[arg-type]


def test_what_changed_since_a_previous_evaluation() -> None:
    """Now less then; the figure of then before that of now; a baseline in the main metric alone."""
    now = [
        Metric(metric=metric, k=10, value=value, users=9, split="test", protocol="x", seen="drop", model=model)
        for metric, ours, theirs in (("ndcg", 0.25, 0.3), ("mrr", 0.1, 0.2))
        for model, value in (("m", ours), ("popularity", theirs))
    ]
    then = [replace_record(record, value=value) for record, value in zip(now, (0.1, 0.35, 0.125, 0.2), strict=True)]

    def table(model: str, unlike: str | None = None) -> TextTable:
        before = [replace_record(record, model=model) if record.model == "m" else record for record in then]
        figures = {(record.model, record.metric, record.k): record for record in before}
        told = SimpleNamespace(
            records=now,
            results=[SimpleNamespace(name=name) for name in ("m", "popularity")],
            contenders=["m"],
            baselines=["popularity"],
            previous=PreviousReport("old.html", figures, None),
            data_differences_to_previous=unlike,
        )
        return result_tables.since_previous(told)  # type: ignore[arg-type]

    made = table("m")
    assert (made.title, made.columns) == ("since old.html", ["model", "metric", "then", "now", "change"])
    assert made.rows == [
        ["m", "NDCG@10", "0.1000", "0.2500", "+0.1500"],
        ["m", "MRR@10", "0.1250", "0.1000", "-0.0250"],
        ["popularity", "NDCG@10", "0.3500", "0.3000", "-0.0500"],
    ]
    # the only model of either evaluation, under another name
    renamed = table("old", "not the same users: 8 then, 9 now")
    assert renamed.title == "since old.html; not the same users: 8 then, 9 now"
    assert [row[0] for row in renamed.rows] == ["m (then old)", "m (then old)", "popularity"]
