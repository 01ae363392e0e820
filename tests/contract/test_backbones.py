"""The contract of every backbone."""

from __future__ import annotations

import functools
import re
import sys
import types
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import onnxruntime as ort
import orjson
import pytest
import torch
from torch import Tensor

from eimf_core import dataset
from eimf_core.errors import ConfigError, ModelError
from eimf_core.model_directory import artifact, model_network
from eimf_core.models import registry
from eimf_core.models.backbone import Backbone, TrainingStep
from eimf_core.models.hyperparameters import Hyperparameters
from eimf_core.models.pimi import IntervalGraph, Mixing
from eimf_core.models.registry import BACKBONES, Entry
from eimf_core.models.sasrec import Transformer, TransformerHyperparameters
from eimf_core.models.shape import Shape
from eimf_core.numeric import ranking
from eimf_core.progress import Reporter
from eimf_core.records import Item
from eimf_core.training import export
from eimf_core.training.config import TrainConfig
from eimf_core.training.setup import PreparedRun
from eimf_core.training.side_information import SideInputs, item_features
from tests.small_data import write_small_data
from tests.small_training import SMALL, small_run

LONGEST = 6
each = pytest.mark.parametrize("name", BACKBONES)


def made(name: str, *, seed: int = 0, own: dict[str, Any] | None = None, **changes: Any) -> Backbone:
    """A backbone ready for inference, its weights moved away from where they start; `own` hyper-parameters."""
    shape = {"dimension": 8, "interests": 3, "max_length": LONGEST, "dropout": 0.2, "features": 5} | changes
    shape["interests"] = registry.interests_of(name, shape["interests"])
    generator = torch.Generator().manual_seed(seed)
    backbone = registry.build(name, Shape(**shape), generator, own)
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.add_(torch.empty_like(parameter).normal_(0.0, 0.3, generator=generator))
    return backbone.eval()


def histories(lengths: list[int], *, width: int | None = None, seed: int = 1) -> tuple[Tensor, Tensor]:
    """Item vectors (B, L, 8) and mask (B, L) of histories of these lengths."""
    longest = width or max(lengths)
    vectors = torch.empty(len(lengths), longest, 8).normal_(generator=torch.Generator().manual_seed(seed))
    mask = torch.arange(longest) < torch.tensor(lengths)[:, None]
    return vectors * mask[:, :, None], mask


def close(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


@each
@torch.no_grad()
def test_shapes_and_attention(name: str) -> None:
    backbone = made(name)
    count = backbone.shape.interests
    assert count == (1 if registry.is_single(name) else 3)
    lengths = [1, LONGEST, 3, 0]
    vectors, mask = histories(lengths)
    interests, auxiliary = backbone(vectors, mask)
    attention = auxiliary["attention"]
    assert interests.shape == (4, count, 8) and attention.shape == (4, count, LONGEST)
    assert torch.isfinite(interests).all()
    assert (attention >= 0).all() and (attention[~mask[:, None].expand_as(attention)] == 0).all()
    close(attention.sum(dim=-1), (mask.any(dim=1).float())[:, None].expand(-1, count))
    assert (interests[3] == 0).all(), "a history without any item has interests of zeros"
    close(interests[:3].norm(dim=-1), torch.ones(3, count))


@each
@torch.no_grad()
def test_interests_differ_between_users_and_among_themselves(name: str) -> None:
    interests, _ = made(name)(*histories([4, 5]))
    assert (interests[0] - interests[1]).abs().max() > 1e-3
    if interests.shape[1] > 1:
        assert (interests[:, 0] - interests[:, 1]).abs().max() > 1e-3


@each
@torch.no_grad()
def test_padding_and_batch_composition_change_nothing(name: str) -> None:
    backbone = made(name)
    vectors, mask = histories([3, LONGEST, 1])
    together, auxiliary = backbone(vectors, mask)
    for row, length in enumerate([3, LONGEST, 1]):
        alone, own = backbone(vectors[row : row + 1, :length], mask[row : row + 1, :length])
        close(together[row], alone[0])
        close(auxiliary["attention"][row, :, :length], own["attention"][0])
    # whatever stands in the padding
    noisy = vectors + 7.0 * (~mask)[:, :, None]
    close(backbone(noisy, mask)[0], together)
    order = torch.tensor([2, 0, 1])
    close(backbone(vectors[order], mask[order])[0], together[order])


@each
@torch.no_grad()
def test_all_prefixes_in_one_pass_equal_one_prefix_at_a_time(name: str) -> None:
    backbone = made(name)
    if not backbone.reads_all_prefixes:
        pytest.skip("reads one prefix at a time")
    vectors, mask = histories([LONGEST, 2, 5])
    interests, auxiliary = backbone.all_prefixes(vectors, mask)
    assert interests.shape == (3, LONGEST, backbone.shape.interests, 8)
    for row, length in enumerate([LONGEST, 2, 5]):
        for end in range(1, length + 1):
            alone, own = backbone(vectors[row : row + 1, :end], mask[row : row + 1, :end])
            close(interests[row, end - 1], alone[0])
            close(auxiliary["attention"][row, end - 1, :, :end], own["attention"][0])
            assert (auxiliary["attention"][row, end - 1, :, end:] == 0).all()


@each
def test_the_nearest_interest_and_its_gradient_are_those_of_all(name: str) -> None:
    backbone = made(name)
    if not backbone.selects_interest:
        pytest.skip("its interests depend on each other, or it reads one prefix at a time")
    vectors, mask = histories([LONGEST, 2, 5])
    wanted = torch.empty(3, LONGEST, 8).normal_(generator=torch.Generator().manual_seed(7))
    pull = torch.empty(3, LONGEST, 8).normal_(generator=torch.Generator().manual_seed(8)) * mask[:, :, None]
    one, other = vectors.clone().requires_grad_(), vectors.clone().requires_grad_()
    nearest, auxiliary = backbone.nearest_interest(one, mask, wanted)
    interests, both = backbone.all_prefixes(other, mask)
    best = (interests @ wanted[..., None])[..., 0].argmax(dim=-1)
    expected = interests.gather(2, best[:, :, None, None].expand(-1, -1, 1, 8))[:, :, 0]
    close(nearest[mask], expected[mask])
    (nearest * pull).sum().backward()
    grads = [parameter.grad for parameter in backbone.parameters()]
    backbone.zero_grad()
    (expected * pull).sum().backward()
    close(one.grad, other.grad)
    for found, parameter in zip(grads, backbone.parameters(), strict=True):
        assert (found is None) == (parameter.grad is None)
        if found is not None:
            close(found, parameter.grad)
    if "logits" in auxiliary:
        close(torch.softmax(auxiliary["logits"][0], dim=-1), both["attention"][0, -1])
    if interests.shape[2] > 1:
        assert len(best[mask].unique()) > 1


@each
@torch.no_grad()
def test_no_position_sees_the_future(name: str) -> None:
    backbone = made(name)
    if not backbone.reads_all_prefixes:
        pytest.skip("reads one prefix at a time; the batches hold what follows back")
    vectors, mask = histories([LONGEST])
    before, _ = backbone.all_prefixes(vectors, mask)
    for place in range(1, LONGEST):
        changed = vectors.clone()
        changed[:, place:] += torch.linspace(-3.0, 2.0, 8)
        after, _ = backbone.all_prefixes(changed, mask)
        assert torch.equal(after[:, :place], before[:, :place])
        assert (after[:, place:] - before[:, place:]).abs().max() > 1e-3


@each
@torch.no_grad()
def test_every_item_of_a_history_counts(name: str) -> None:
    # no head is so sure of the latest item that an early one counts for nothing
    known = {field.name for field in fields(registry.load(name).hyperparameters)}
    backbone = made(name, own={"positions": "none"} if "positions" in known else {})
    vectors, mask = histories([LONGEST])
    before, _ = backbone(vectors, mask)
    for place in range(LONGEST):
        changed = vectors.clone()
        changed[:, place] += torch.linspace(-3.0, 2.0, 8)
        assert (backbone(changed, mask)[0] - before).abs().max() > 1e-6, place


@each
@torch.no_grad()
def test_one_interest_and_one_item(name: str) -> None:
    backbone = made(name, interests=1)
    interests, auxiliary = backbone(*histories([1, 4]))
    assert interests.shape == (2, 1, 8) and torch.isfinite(interests).all()
    close(auxiliary["attention"][0, 0], torch.tensor([1.0, 0.0, 0.0, 0.0]))
    shortest = made(name, max_length=1)
    assert torch.isfinite(shortest(*histories([1]))[0]).all()


@each
def test_large_values_stay_finite(name: str) -> None:
    backbone = made(name)
    vectors, mask = histories([LONGEST, 2])
    vectors = (vectors * 1e3).requires_grad_()
    read = backbone.all_prefixes if backbone.reads_all_prefixes else backbone
    interests, _ = read(vectors, mask)
    interests.sum().backward()
    assert torch.isfinite(interests).all() and torch.isfinite(vectors.grad).all()


@each
def test_the_same_generator_gives_the_same_weights_and_dropout(name: str) -> None:
    one, other = made(name), made(name)
    for (key, left), right in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(left, right), key
    assert any(
        not torch.equal(left, right)
        for left, right in zip(one.state_dict().values(), made(name, seed=1).state_dict().values(), strict=True)
    ) or not len(list(one.parameters()))
    vectors, mask = histories([LONGEST] * 4)
    one.train(), other.train()
    with torch.no_grad():
        first = one(vectors, mask)[0]
        assert torch.equal(first, other(vectors, mask)[0])
        assert not torch.equal(first, one(vectors, mask)[0]), "dropout does nothing"


@pytest.mark.parametrize("name", BACKBONES)
def test_gradients_reach_every_parameter(name: str, tmp_path: Path) -> None:
    run = small_run(write_small_data(tmp_path / "data", times=True), backbone=name, epochs=3)
    before = {key: value.clone() for key, value in run.learner.weights().items()}
    parameters = {f"backbone.{key}" for key, _ in run.learner.backbone.named_parameters()}
    plan = run.loop.batches.epoch(np.random.default_rng(0))
    for number in range(20):
        run.loop.step.take(plan.batch(number % len(plan)), np.random.default_rng(number))
    after = run.learner.weights()
    for key in parameters:
        assert not torch.equal(before[key], after[key]), f"{key} has not moved"
    assert not torch.equal(before["table.weight"], after["table.weight"])


@pytest.fixture(scope="module")
def small_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_data(tmp_path_factory.mktemp("data"))


@pytest.mark.parametrize("name", BACKBONES)
def test_the_exported_form_computes_what_torch_does(name: str, small_folder: Path, tmp_path: Path) -> None:
    settings = TrainConfig(**{**SMALL, "backbone": name, "epochs": 1})
    run = small_run(small_folder, **{**SMALL, "backbone": name, "epochs": 1})
    weights = run.go()
    contents = export.contents(
        PreparedRun(run.learner, None, None, None, run.loop.side), run.data, settings, epochs=[], provenance={}
    )
    artifact.write(tmp_path / "model", contents)
    model = artifact.open_model(tmp_path / "model")
    assert np.array_equal(model.vectors, weights["table.weight"].numpy())
    histories = [np.arange(1, length + 1) * 5 % 24 + 1 for length in (1, 2, LONGEST - 1, LONGEST, LONGEST + 3)]
    padded = torch.zeros(len(histories), LONGEST, dtype=torch.int64)
    for row, history in enumerate(histories):
        padded[row, : len(history[-LONGEST:])] = torch.from_numpy(history[-LONGEST:])
    with torch.no_grad():
        side = run.loop.side.of_items(padded.numpy())
        wanted, auxiliary = run.learner.backbone.eval()(weights["table.weight"][padded], padded > 0, side)
    found, attention = model.interests(histories)
    np.testing.assert_allclose(found, wanted.numpy(), atol=1e-4)
    np.testing.assert_allclose(attention, auxiliary["attention"].numpy(), atol=1e-4)
    lists = [
        ranking.top_k(ranking.best_scores(interests, model.vectors, model.scale), 20)
        for interests in (found, wanted.numpy())
    ]
    np.testing.assert_array_equal(*lists)
    # a history without any known item, in the network itself
    empty = {
        "vectors": np.zeros((1, 1, 8), dtype=np.float32),
        "mask": np.zeros((1, 1), dtype=bool),
        "days": np.full((1, 1), -1, dtype=np.float32),
    }
    if model.features is not None:
        empty["features"] = np.zeros((1, 1, model.features.shape[1]), dtype=np.int64)
    nothing = model._network.whole.run(empty)
    assert not nothing[0].any() and not nothing[1].any()


OWN = [(name, field.name) for name in BACKBONES for field in fields(registry.load(name).hyperparameters)]


def another(kind: type[Hyperparameters], name: str) -> Any:
    """A value of a hyper-parameter that is not its default."""
    default, hint = getattr(kind(), name), get_type_hints(kind)[name]
    if get_args(hint):
        return next(value for value in get_args(hint) if value != default)
    return 2 * default if hint is int else 0.5 * default


@functools.cache
def learned(folder: Path, name: str, own: str | None = None) -> Tensor:
    """The item vectors after an epoch, with another value of the hyper-parameter `own`."""
    given = {} if own is None else {own: another(registry.load(name).hyperparameters, own)}
    return small_run(folder, backbone=name, epochs=1, hyperparameters=given).go()["table.weight"]


@pytest.mark.parametrize(("name", "own"), OWN)
def test_each_hyperparameter_has_an_effect(name: str, own: str, small_folder: Path) -> None:
    assert not torch.equal(learned(small_folder, name), learned(small_folder, name, own))


@pytest.mark.parametrize("name", BACKBONES)
def test_parameters_keep_their_names_so_that_older_models_are_a_warm_start(name: str) -> None:
    """The names and shapes that the model directories of version 0.1 hold."""
    wanted = orjson.loads((Path(__file__).parents[1] / "golden" / "backbone_parameters.json").read_bytes())[name]
    found = made(name, events=2, dropout=0.0).state_dict()
    assert {key: list(value.shape) for key, value in found.items()} == wanted


class ShrinkingLast(Backbone):
    """A backbone that a file and a line of the registry would add."""

    hyperparameters = TransformerHyperparameters
    encoder_type = Transformer

    def auxiliary_losses(self, step: TrainingStep) -> dict[str, Tensor]:
        return {"shrinking": 0.1 * step.vectors.square().mean()}


def test_a_backbone_joins_by_its_file_and_a_line(small_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = types.ModuleType("eimf_core.models.shrinking")
    file.Last = ShrinkingLast  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, file.__name__, file)
    monkeypatch.setitem(BACKBONES, "shrinking", Entry("shrinking.Last", single=True))
    run = small_run(small_folder, backbone="shrinking", epochs=1, hyperparameters={"layers": 1})
    run.go()
    assert len(run.learner.backbone.encoder.blocks) == 1  # type: ignore[arg-type]
    assert run.state.lines[-1]["loss"]["shrinking"] > 0


def test_unknown_names_are_told_with_those_there_are() -> None:
    for name in ("comirec", "transformer", "gru+attention", ""):
        with pytest.raises(ConfigError, match="comirec-sa"):
            registry.is_single(name)


def test_every_named_backbone_names_its_paper() -> None:
    for name in BACKBONES:
        about = sys.modules[registry.load(name).__module__].__doc__ or ""
        paper = about.partition("\nPaper: ")[2].partition("\nDiffers: ")
        assert re.search(r"\b20[12]\d\b", paper[0]) and paper[2], name


@torch.no_grad()
def test_pimi_mixes_as_attention_with_keys_and_values_does() -> None:
    backbone = made("pimi")
    encoder, width = backbone.encoder, backbone.shape.dimension
    assert isinstance(encoder, IntervalGraph)
    generator = torch.Generator().manual_seed(3)
    states = torch.randn(2, 5, width, generator=generator)
    start = torch.randn(2, 5, width, generator=generator)
    centre = torch.randn(2, width, generator=generator)
    mask = torch.tensor([[True] * 5, [True, True, False, False, False]])
    for at in range(5):
        nothing = torch.zeros(2, width)
        near = [states[:, at - 1] if at else nothing, states[:, at], states[:, at + 1] if at < 4 else nothing]
        expected = attention(encoder.items, states[:, at], torch.stack([*near, start[:, at], centre], dim=1))
        close(encoder._mix_items(states, start, centre)[:, at], expected)
    mixed = encoder._mix_centre(centre, states, mask)
    for user, number in enumerate(mask.sum(dim=1).tolist()):
        whole = torch.cat([centre[user, None], states[user, :number]])[None]
        close(mixed[user], attention(encoder.centre, centre[user, None], whole)[0])


def attention(layer: Mixing, query: Tensor, around: Tensor) -> Tensor:
    """What the paper writes: a key and a value of each vector (B, n, d) around a query (B, d)."""
    weights = torch.softmax(
        (layer.key(around) @ layer.query(query)[..., None])[..., 0] / layer.query.in_features**0.5, dim=-1
    )
    mixed: Tensor = layer.scale(query + torch.relu((weights[:, None] @ layer.value(around))[:, 0]))
    return mixed


def test_times_move_pimi_and_features_move_mfn() -> None:
    vectors, mask = histories([LONGEST, 3])
    days = torch.tensor([[90.0, 60.0, 3.0, 2.0, 1.0, 0.0], [9.0, 1.0, 0.0, -1.0, -1.0, -1.0]])
    pimi = made("pimi")
    without, _ = pimi(vectors, mask)
    close(pimi(vectors, mask, {"days": torch.full_like(days, -1.0)})[0], without)
    known, _ = pimi(vectors, mask, {"days": days})
    assert (known - without).abs().max() > 1e-3
    # intervals count, not when they were, and padding never
    close(pimi(vectors, mask, {"days": torch.where(mask, days + 7.0, 400.0)})[0], known)
    mfn = made("mfn")
    features = torch.tensor([[[1, 2], [3, 0], [0, 0], [1, 0], [5, 4], [2, 0]], [[1, 0], [2, 0], [3, 4]] + [[0, 0]] * 3])
    without, _ = mfn(vectors, mask)
    close(mfn(vectors, mask, {"features": torch.zeros_like(features)})[0], without)
    assert (mfn(vectors, mask, {"features": features})[0] - without).abs().max() > 1e-3
    # the order of an item's features does not matter
    close(mfn(vectors, mask, {"features": features.flip(-1)})[0], mfn(vectors, mask, {"features": features})[0])


@pytest.mark.slow
def test_a_model_with_times_reads_them_in_its_exported_form(small_folder: Path, tmp_path: Path) -> None:
    without = small_run(small_folder, backbone="pimi", epochs=1).learner.backbone
    assert export.side_inputs(without) == [], "nothing was learned about times"
    run = small_run(write_small_data(tmp_path, times=True), backbone="pimi", epochs=1)
    run.go()
    backbone = run.learner.backbone.eval()
    model_inputs = histories([5, 2])
    days = torch.tensor([[40.0, 39.0, 5.0, 1.0, 0.0], [3.0, 0.0, -1.0, -1.0, -1.0]])
    with torch.no_grad():
        wanted, _ = backbone(*model_inputs, {"days": days})
    session = ort.InferenceSession(export.network(backbone), providers=["CPUExecutionProvider"])
    names = [part.name for part in session.get_inputs()]
    inputs = [part.numpy() for part in (*model_inputs, days)]
    found, _ = session.run(["interests", "attention"], dict(zip(names, inputs, strict=True)))
    np.testing.assert_allclose(found, wanted.numpy(), atol=1e-4)


def test_a_network_that_no_model_may_have_is_told_when_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_network, "OPERATORS", model_network.OPERATORS - {"MatMul"})
    with pytest.raises(ModelError, match="the operator 'MatMul', which is not allowed"):
        export.network(made("comirec-sa").eval())


def test_mind_starts_from_a_matrix_that_is_kept_with_the_weights(small_folder: Path) -> None:
    run = small_run(small_folder, backbone="mind", epochs=1)
    start = run.learner.weights()["backbone.extractor.start"].clone()
    assert torch.equal(run.go()["backbone.extractor.start"], start) and start.std() > 0.5


@pytest.mark.parametrize(("name", "words"), [("pimi", "times"), ("mfn", "categories")])
def test_what_the_data_lacks_is_said(name: str, words: str, tmp_path: Path) -> None:
    class Listening(Reporter):
        said = ""

        def warn(self, message: str) -> None:
            self.said += message

    data = dataset.load(write_small_data(tmp_path), ("train",))
    for item in data.items:
        item.categories.clear()
    listening = Listening()
    side = SideInputs(registry.load(name).side_inputs, data, listening)
    assert words in listening.said and side.of_items(np.ones((1, 2), dtype=np.int64)) == {}


def test_features_are_the_categories_that_several_items_share() -> None:
    items = [
        Item(item="a", title="", categories=["tea", "green", "tea"]),
        Item(item="b", title="", categories=["only here"]),
        Item(item="c", title="", categories=["tea", "green"]),
        Item(item="d", title="", categories=["tea"]),
    ]
    features, kinds = item_features(items)
    assert kinds == 2
    np.testing.assert_array_equal(features, [[0, 0], [1, 2], [0, 0], [1, 2], [1, 0]])
