"""Kinds of behaviour in the items of a history: a switch of any backbone, in training, eval and recommend."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import onnxruntime as ort
import orjson
import pytest
import torch

from eimf_core import dataset
from eimf_core.errors import InputError, ModelError
from eimf_core.evaluation import eval_users
from eimf_core.evaluation.config import EvalConfig
from eimf_core.evaluation.evaluate import evaluate
from eimf_core.evaluation.measure import MeasurePlan, rank
from eimf_core.evaluation.scorers import ModelSystem
from eimf_core.io import jsonl
from eimf_core.model_directory import artifact
from eimf_core.models import registry
from eimf_core.models.backbone import Backbone
from eimf_core.models.shape import Shape
from eimf_core.recommend.config import RecommendConfig
from eimf_core.recommend.session import RecommendRequest, Session
from eimf_core.records import Item, Query, Recommendation, Sequence
from eimf_core.training import export
from eimf_core.training import train as training
from tests.listening import Listening
from tests.recommend_models import answered
from tests.small_data import write_small_data
from tests.small_training import small_run, small_settings
from tests.unit.test_recommend_trust import forge


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_data(tmp_path_factory.mktemp("events"), events=True)


@pytest.fixture(scope="module")
def model(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("model") / "model"
    training.train(folder, target, small_settings(item_events=True, epochs=4, learning_rate=0.05))
    return target


def made(name: str) -> Backbone:
    """A backbone in use whose kinds of behaviour have moved."""
    generator = torch.Generator().manual_seed(0)
    shape = Shape(dimension=8, interests=3, max_length=6, features=5, events=2)
    backbone = registry.build(name, shape, generator).eval()
    assert backbone.behaviours is not None and not backbone.behaviours.any(), "a kind has a say before it is learned"
    with torch.no_grad():
        backbone.behaviours.normal_(generator=generator)
        backbone.behaviours[0] = 0.0
    return backbone


VECTORS = torch.randn(2, 6, 8, generator=torch.Generator().manual_seed(1))
MASK = torch.arange(6) < torch.tensor([6, 3])[:, None]
EVENTS = torch.tensor([[1, 0, 2, 2, 1, 2], [2, 1, 0, 0, 0, 0]])


@pytest.mark.parametrize("name", registry.BACKBONES)
@torch.no_grad()
def test_an_item_of_a_history_is_its_vector_and_that_of_its_kind(name: str) -> None:
    backbone = made(name)
    marked = VECTORS + backbone.behaviours[EVENTS]  # type: ignore[index]
    found, _ = backbone(VECTORS, MASK, {"events": EVENTS})
    torch.testing.assert_close(found, backbone(marked, MASK)[0])
    without, _ = backbone(VECTORS, MASK)
    assert (found - without).abs().max() > 1e-3
    torch.testing.assert_close(backbone(VECTORS, MASK, {"events": torch.zeros_like(EVENTS)})[0], without)
    if backbone.reads_all_prefixes:
        every, _ = backbone.all_prefixes(VECTORS, MASK, {"events": EVENTS})
        torch.testing.assert_close(every[0, 5], found[0], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(every[1, 2], found[1], atol=1e-5, rtol=1e-5)
    if backbone.selects_interest:
        wanted = torch.randn(2, 6, 8, generator=torch.Generator().manual_seed(2))
        picked, _ = backbone.nearest_interest(VECTORS, MASK, wanted, {"events": EVENTS})
        torch.testing.assert_close(picked, backbone.nearest_interest(marked, MASK, wanted)[0])


@pytest.mark.parametrize("name", registry.BACKBONES)
def test_the_exported_form_computes_what_torch_does(name: str) -> None:
    backbone = made(name)
    side = {"events": EVENTS}
    if "features" in backbone.side_inputs:
        side["features"] = torch.ones(2, 6, 1, dtype=torch.int64)
    if "days" in backbone.side_inputs:
        side["days"] = torch.arange(6, 0, -1).float().expand(2, 6)
    with torch.no_grad():
        wanted, _ = backbone(VECTORS, MASK, side)
    session = ort.InferenceSession(export.network(backbone, 1), providers=["CPUExecutionProvider"])
    names = [part.name for part in session.get_inputs()]
    assert names == ["vectors", "mask", *export.side_inputs(backbone)] and names[-1] == "events"
    parts = {"vectors": VECTORS, "mask": MASK, **side}
    found, _ = session.run(["interests", "attention"], {name: parts[name].numpy() for name in names})
    np.testing.assert_allclose(found, wanted.numpy(), atol=1e-4)


def where_kinds_decide(folder: Path) -> Path:
    """Two groups of items; what was liked is followed by one of the first group, what was not by one of the second."""
    rng = np.random.default_rng(0)
    jsonl.write(folder / "items.jsonl", [Item(item=f"i{at}", title=f"item {at}") for at in range(40)])
    lines = []
    for user in range(300):
        liked = rng.random(9) < 0.5
        groups = np.concatenate([[rng.integers(2)], 1 - liked])
        # nothing twice, so that all of a group may follow
        orders = [rng.permutation(20), 20 + rng.permutation(20)]
        history = [f"i{orders[group][at]}" for at, group in enumerate(groups)]
        kinds = ["like" if one else "dislike" for one in liked]
        for split, end in (("train", 8), ("valid", 9)):
            asked = history[9:] if split == "valid" else []
            line = Sequence(user=f"u{user}", split=split, items=history[:end], events=kinds[:end], targets=asked)  # type: ignore[arg-type]
            lines.append(line)
    jsonl.write(folder / "sequences.jsonl", lines)
    return folder


@pytest.mark.slow
def test_kinds_of_behaviour_are_learned_where_they_decide_what_comes_next(tmp_path: Path) -> None:
    data = where_kinds_decide(tmp_path)
    figures = {}
    for events in (False, True):
        changes = {"backbone": "gru4rec", "epochs": 20, "learning_rate": 0.02, "dropout": 0.0, "batch_size": 256}
        found = training.train(data, tmp_path / f"model-{events}", small_settings(**changes, item_events=events))
        figures[events] = found.ndcg or 0.0
    # who knows the kind knows the group, and half as many items are left to choose from
    assert figures[False] < 0.2 and figures[True] > 1.5 * figures[False]


def test_kinds_are_numbered_by_name_and_known_where_every_line_has_them(folder: Path, tmp_path: Path) -> None:
    data = dataset.load(folder, ("train", "test"))
    assert data.event_names == ["buy", "view"]
    lines = [line for line in jsonl.read(folder / "sequences.jsonl", Sequence) if line.split == "train"]
    told = [data.event_names[number - 1] for number in data.splits["train"].events]  # type: ignore[union-attr]
    assert told == [kind for line in lines for kind in line.events or []]
    fields = [orjson.loads(line) for line in (folder / "sequences.jsonl").read_bytes().splitlines()]
    (tmp_path / "items.jsonl").write_bytes((folder / "items.jsonl").read_bytes())
    del fields[3]["events"]
    (tmp_path / "sequences.jsonl").write_bytes(b"\n".join(map(orjson.dumps, fields)))
    data = dataset.load(tmp_path, ("train", "valid"))
    assert [split.events is None for split in data.splits.values()] == [True, False]
    fields[3]["events"] = ["buy"]
    (tmp_path / "sequences.jsonl").write_bytes(b"\n".join(map(orjson.dumps, fields)))
    with pytest.raises(InputError, match=r"sequences\.jsonl:4: field 'events': has 1 entries for \d items"):
        dataset.load(tmp_path, ("train",))
    fields[3]["events"] = [1] * len(fields[3]["items"])
    (tmp_path / "sequences.jsonl").write_bytes(b"\n".join(map(orjson.dumps, fields)))
    with pytest.raises(InputError, match="jsonl:4"):
        dataset.load(tmp_path, ("train",))


def test_half_of_the_histories_are_learned_with_kinds_unknown(folder: Path) -> None:
    side = small_run(folder, item_events=True).loop.side
    inputs = np.tile(np.array([[1, 2, 3, 0]]), (400, 1))
    places = np.tile(np.array([[0, 1, 2, 2]]), (400, 1))
    kinds = side.of_batch(inputs, places, side.mask(400, np.random.default_rng(0)))["events"].numpy()
    first = dataset.load(folder, ("train",)).splits["train"].events
    assert first is not None
    known = kinds.any(axis=1)
    assert 0.4 < known.mean() < 0.6 and (kinds[known] == [*first[:3], 0]).all()


def test_a_kind_that_no_training_line_has_is_not_learned(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "items.jsonl").write_bytes((folder / "items.jsonl").read_bytes())
    lines = (folder / "sequences.jsonl").read_bytes().splitlines(keepends=True)
    late = [line.replace(b'"buy"', b'"an order"') if b'"valid"' in line else line for line in lines]
    (tmp_path / "sequences.jsonl").write_bytes(b"".join(late))
    run = small_run(tmp_path, item_events=True)
    assert run.data.event_names == ["an order", "buy", "view"] and run.loop.side.events == ["buy", "view"]
    asked = np.array([[1, 2, 3]])
    kinds = run.loop.side.of_histories(asked, None, [np.array([1, 2, 3], dtype=np.int32)])["events"]
    assert kinds.tolist() == [[0, 1, 2]]
    masked = run.loop.side.mask(200, run.loop.rng(9))
    learned = run.loop.side.of_batch(np.ones((200, 3), np.int64), np.tile([0, 1, 2], (200, 1)), masked)
    assert set(learned["events"].unique().tolist()) <= {0, 1, 2}


@pytest.mark.slow
def test_without_the_switch_events_change_nothing(folder: Path, tmp_path: Path) -> None:
    bare = write_small_data(tmp_path)
    for name, data in (("with", folder), ("without", bare)):
        training.train(data, tmp_path / name, small_settings(epochs=1))
    for part in ("weights.safetensors", "interests.onnx"):
        assert (tmp_path / "with" / part).read_bytes() == (tmp_path / "without" / part).read_bytes()
    said = Listening()
    training.train(bare, tmp_path / "asked", small_settings(epochs=1, item_events=True), reporter=said)
    assert any("have no events" in words for words in said.warnings)
    assert (tmp_path / "asked" / "interests.onnx").read_bytes() == (tmp_path / "with" / "interests.onnx").read_bytes()


def test_validation_and_eval_give_one_figure(folder: Path, tmp_path: Path) -> None:
    wanted = small_settings(item_events=True, epochs=3, learning_rate=0.05)
    summary = training.train(folder, tmp_path / "model", wanted)
    found = evaluate([tmp_path / "model"], folder, EvalConfig(split="valid", k=[10], resamples=100, baselines="none"))
    (ndcg,) = (record.value for record in found.records if record.metric == "ndcg")
    assert summary.ndcg == pytest.approx(ndcg, abs=1e-6)


def test_eval_and_recommend_make_one_list(folder: Path, model: Path) -> None:
    data = dataset.load(folder, ("train", "test"))
    system = ModelSystem(model, data)
    found = eval_users.select(data, "test", "drop", [system.known])
    plan = MeasurePlan(ks=[5], metrics=["recall"], seen="drop", priority=np.arange(25))
    everyone = list(range(len(found)))
    lists, scored, _ = rank(system, found, everyone, plan)
    session = Session(model, RecommendConfig(k=5), reporter=Listening())
    for case in everyone:
        asked = RecommendRequest(user=found.user(case), sequences=folder, as_tested=True).query()
        assert asked.events is not None and len(asked.events) == len(asked.history or [])
        listed = [item.item for item in answered(session, asked).items]
        assert listed == [data.items[item - 1].item for item in lists[case]]
    unknown = replace(found, split=replace(found.split, events=None))
    _, without, _ = rank(system, unknown, everyone, plan)
    shown = np.isfinite(scored.values)
    assert np.abs(scored.values[shown] - without.values[shown]).max() > 1e-3
    # the model's numbers count, whatever the data calls them
    data.event_names[:] = ["view", "buy"]
    turned = ModelSystem(model, data)
    turned_cases = replace(found, split=replace(found.split, events=3 - found.split.events))  # type: ignore[operator]
    _, again, _ = rank(turned, turned_cases, everyone, plan)
    np.testing.assert_allclose(again.values, scored.values, atol=1e-6)


def test_queries_with_events(model: Path) -> None:
    said = Listening()
    session = Session(model, RecommendConfig(k=3), reporter=said)
    history = ["tea-1", "nope", "yarn-2"]

    def scores(**more: object) -> list[float]:
        return [item.score for item in answered(session, Query(history=history, **more)).items]  # type: ignore[arg-type]

    plain = scores()
    bought = scores(events=["buy", "view", "buy"])
    assert bought != plain != scores(events=["view", "buy", "view"])
    # what is unknown is left out with its kind
    assert bought == scores(events=["buy", "buy", "buy"])
    assert not any("unknown events" in words for words in said.warnings)
    assert scores(events=["eat", "drink", "eat"]) == plain == scores(events=["eat"] * 3)
    told = [words for words in said.warnings if "unknown events" in words]
    assert told == ["unknown events: eat; the model has learned buy, view"]
    # a title that is typed in is of no kind
    assert answered(session, Query(history=["tea-1"], titles=["Wool Yarn"], events=["buy"])).items == (
        answered(session, Query(history=["tea-1"], titles=["Wool Yarn"])).items
    )
    with pytest.raises(InputError, match="field 'events': has 1 entries for 3 items"):
        scores(events=["buy"])


def test_queries_with_and_without_events_go_together(model: Path, tmp_path: Path) -> None:
    lines = [
        {"history": ["tea-1", "tea-2"], "events": ["buy", "view"]},
        {"history": ["tea-1", "tea-2"]},
        {"history": ["tea-1", "tea-2"], "events": ["view", "view"]},
    ]
    (tmp_path / "queries.jsonl").write_bytes(b"\n".join(map(orjson.dumps, lines)))
    session = Session(model, RecommendConfig(k=3), reporter=Listening())
    written = b"".join(session.stream(tmp_path / "queries.jsonl"))
    together = [msgspec.json.decode(line, type=Recommendation).items for line in written.splitlines()]
    alone = [answered(session, Query(**line)).items for line in lines]  # type: ignore[arg-type]
    assert [[item.item for item in items] for items in together] == [[item.item for item in items] for items in alone]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose([item.score for item in one], [item.score for item in other], atol=1e-5)


def test_going_on_from_a_model_with_other_kinds(folder: Path, model: Path, tmp_path: Path) -> None:
    later = tmp_path / "later"
    later.mkdir()
    (later / "items.jsonl").write_bytes((folder / "items.jsonl").read_bytes())
    told = (folder / "sequences.jsonl").read_bytes().replace(b'"view"', b'"a look"', 40)
    (later / "sequences.jsonl").write_bytes(told)
    run = small_run(later, init=model, item_events=True)
    before, now = artifact.open_model(model).members[0].network["behaviours"], run.learner.backbone.behaviours
    assert run.data.event_names == ["a look", "buy", "view"] and now is not None
    assert not now[:2].any()
    np.testing.assert_array_equal(now[2:].detach().numpy(), before[1:])
    assert small_run(later, init=model).learner.backbone.behaviours is None


def test_a_model_whose_kinds_are_not_those_of_its_network_is_refused(model: Path, tmp_path: Path) -> None:
    opened = artifact.open_model(model)
    assert opened.config.events == ["buy", "view"] and opened.event_numbers == {"buy": 1, "view": 2}
    copy = tmp_path / "model"
    copy.mkdir()
    for path in model.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    config = orjson.loads((copy / "config.json").read_bytes())
    forge(copy, "config.json", orjson.dumps({**config, "events": ["buy", "view", "steal"]}))
    with pytest.raises(ModelError, match="kinds of behaviour"):
        artifact.open_model(copy)
