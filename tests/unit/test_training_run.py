"""A training run: what moves a row, what early stopping sees, and that the same seed gives the same weights."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
import torch

from eimf_core import dataset
from eimf_core.errors import ConfigError, InputError, ModelError
from eimf_core.evaluation import evaluate as evaluation
from eimf_core.evaluation.config import EvalConfig
from eimf_core.io import files, jsonl
from eimf_core.model_directory import artifact
from eimf_core.progress import SILENT, Reporter
from eimf_core.records import Item, Sequence
from eimf_core.training import (
    item_embeddings,
    next_item_loss,
    run_state,
    setup,
    text_projection,
    validation,
)
from eimf_core.training import train as training
from eimf_core.training.checkpoint import Checkpoint
from eimf_core.training.config import TrainConfig
from eimf_core.training.optimiser import RowAdam
from eimf_core.training.side_information import SideInputs
from eimf_core.training.validation import ValidationFigures
from tests.listening import Listening
from tests.small_data import write_small_data
from tests.small_training import go_in_parts, small_run
from tests.small_training import small_settings as settings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return write_small_data(tmp_path / "data", events=True)


# -- optimiser and item table


def test_row_adam_follows_its_formula_and_leaves_other_rows_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    table = torch.empty(5, 3).normal_(generator=generator)
    start = table.clone()
    optimiser = RowAdam(table, rate=0.1)
    state = {row: [np.zeros(3), 0.0, 0] for row in range(5)}
    wanted = start.double().numpy().copy()
    for rows in ([1, 3], [3], [0, 1, 3]):
        gradient = torch.empty(len(rows), 3).normal_(generator=generator)
        optimiser.step(torch.tensor(rows), gradient)
        for row, part in zip(rows, gradient.double().numpy(), strict=True):
            m, v, t = state[row]
            m, v, t = 0.9 * m + 0.1 * part, 0.999 * v + 0.001 * float((part**2).mean()), t + 1
            state[row] = [m, v, t]
            wanted[row] -= 0.1 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    np.testing.assert_allclose(table.numpy(), wanted, rtol=1e-4, atol=1e-6)
    assert torch.equal(table[[2, 4]], start[[2, 4]])


def text_vectors(rows: int, width: int) -> np.ndarray[Any, np.dtype[np.float16]]:
    made = np.random.default_rng(0).normal(size=(rows, width)) @ np.diag(np.linspace(2, 0.1, width))
    made[0] = 0
    return made.astype(np.float16)


def test_item_vectors_from_text_keep_its_geometry() -> None:
    text = text_vectors(60, 12)
    start = item_embeddings.principal_components(text, 8)
    table = item_embeddings.make_table(59, 8, torch.Generator().manual_seed(0), text, start)
    vectors = table.all().numpy()
    assert not vectors[0].any()
    assert vectors[1:].std() == pytest.approx(item_embeddings.DEVIATION, rel=0.1)
    centred = text[1:].astype(np.float64) - text[1:].astype(np.float64).mean(axis=0)
    _, _, components = np.linalg.svd(centred, full_matrices=False)
    projected = centred @ components[:8].T
    # the same up to one scale, the signs of the components and a little noise
    found, wanted = vectors[1:] @ vectors[1:].T, projected @ projected.T
    assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.999


@pytest.mark.parametrize("text", [text_vectors(20, 6), None])
def test_tables_are_seeded_and_wider_than_the_text_if_need_be(text: np.ndarray[Any, Any] | None) -> None:
    start = None if text is None else item_embeddings.principal_components(text, 16)
    one, same, other = (
        item_embeddings.make_table(19, 16, torch.Generator().manual_seed(seed), text, start).all() for seed in (0, 0, 1)
    )
    assert torch.equal(one, same) and not torch.equal(one, other)
    assert one.shape == (20, 16) and not one[0].any() and one[1:].abs().sum(dim=0).min() > 0


@pytest.mark.parametrize("chunk", [7, 1 << 14])
def test_the_text_map_is_a_ridge_regression_over_items_with_text(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from sklearn.linear_model import Ridge

    monkeypatch.setattr(text_projection, "CHUNK", chunk)
    text = text_vectors(60, 6)
    text[[5, 17]] = 0
    vectors = np.random.default_rng(1).normal(size=(60, 4)).astype(np.float32)
    weight, bias = text_projection.fit(text, vectors)
    there = np.flatnonzero(text.any(axis=1))
    wanted = Ridge(alpha=text_projection.RIDGE * len(there)).fit(text[there].astype(np.float64), vectors[there])
    np.testing.assert_allclose(weight, wanted.coef_, atol=1e-5)
    np.testing.assert_allclose(bias, wanted.intercept_, atol=1e-5)
    assert not np.concatenate([part.ravel() for part in text_projection.fit(np.zeros((4, 6)), vectors[:4])]).any()


@pytest.mark.parametrize("item_vectors", ["text", "random"])
def test_the_model_has_a_map_from_text_where_text_was_used(folder: Path, tmp_path: Path, item_vectors: str) -> None:
    training.train(folder, tmp_path / "model", settings(item_vectors=item_vectors, epochs=1))
    model = artifact.open_model(tmp_path / "model")
    assert (model.text_map is not None) == (item_vectors != "random")
    assert (model.config.text_encoder is not None) == (item_vectors != "random")


# -- the run


@pytest.mark.parametrize("item_vectors", ["random", "text"])
def test_a_run_learns(folder: Path, item_vectors: str) -> None:
    run = small_run(folder, epochs=8, item_vectors=item_vectors, dropout=0.0)
    run.go()
    losses = [line["loss"]["prediction"] for line in run.state.lines]
    assert losses[-1] < losses[0] - 0.1
    assert run.state.best is not None and run.state.best > 0.2


def test_the_loss_may_be_taken_over_the_whole_catalogue(folder: Path) -> None:
    run = small_run(folder, loss="full", epochs=4)
    assert run.loop.step.negatives is None
    run.go()
    losses = [line["loss"]["prediction"] for line in run.state.lines]
    assert losses[-1] < losses[0]
    assert settings(loss="auto", negatives=11).ranking_loss(24) == "sampled"
    assert settings(loss="auto", negatives=12).ranking_loss(24) == "full"


def test_each_choice_of_the_loss_is_registered() -> None:
    choices = get_args(get_type_hints(TrainConfig)["loss"])
    assert set(choices) == {"auto", *next_item_loss.NEXT_ITEM_LOSSES}


@pytest.mark.parametrize("changes", [{}, {"backbone": "sasrec"}, {"item_vectors": "text"}])
def test_the_same_seed_gives_the_same_weights(folder: Path, changes: dict[str, Any]) -> None:
    one, same, other = (small_run(folder, seed=seed, **changes).go() for seed in (0, 0, 1))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["table.weight"], other["table.weight"])


def test_padding_is_never_learned(folder: Path) -> None:
    assert not small_run(folder).go()["table.weight"][0].any()


def test_a_run_that_diverges_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    no_number = next_item_loss.RankingLoss(lambda pairs: pairs.queries.sum() * torch.nan, samples_negatives=True)
    monkeypatch.setitem(next_item_loss.NEXT_ITEM_LOSSES, "sampled", no_number)
    run = small_run(folder)
    before = run.learner.weights()["table.weight"].clone()
    with pytest.raises(ConfigError, match="learning-rate"):
        run.go()
    assert torch.equal(run.learner.weights()["table.weight"], before)


def test_long_gradients_are_cut(folder: Path) -> None:
    run = small_run(folder, max_gradient_norm=0.5)
    table = run.learner.table
    leaf, vectors = table.rows(torch.tensor([1, 2]))
    norm = run.learner.apply(100.0 * vectors.sum(), torch.tensor([1, 2]), leaf)
    assert norm == pytest.approx(100.0 * 4) and leaf.grad is not None
    assert float(leaf.grad.norm()) == pytest.approx(0.5, rel=1e-4)


def test_a_program_that_trains_keeps_its_smallest_numbers_and_threads() -> None:
    count, smallest = torch.get_num_threads(), torch.tensor(1e-40)
    with setup.restored_afterwards():
        setup.set_threads(count + 1)
        assert float(smallest * 1) == 0
    assert float(smallest * 1) > 0 and torch.get_num_threads() == count


# -- validation and stopping


def test_the_validation_figure_is_that_of_eval(folder: Path, tmp_path: Path) -> None:
    """With repeats among the targets, targets that were seen, and users without either."""
    lines = list(jsonl.read(folder / "sequences.jsonl", Sequence))
    history = ["tea-1", "tea-2", "fish-3"]
    more = [["tea-1"], ["tea-1", "tea-4", "tea-4", "yarn-2"], [], ["fish-0", "fish-1", "fish-2"]]
    lines += [Sequence(user=f"x{n}", split="valid", items=history, targets=targets) for n, targets in enumerate(more)]
    lines += [Sequence(user="nobody", split="valid", items=[], targets=["tea-1"])]
    jsonl.write(folder / "sequences.jsonl", lines)
    summary = training.train(folder, tmp_path / "model", settings(epochs=1))
    model = tmp_path / "model"
    found = evaluation.evaluate([model], folder, EvalConfig(split="valid", k=[5, 10], resamples=100))
    figures = {
        record.k: record.value
        for record in found.records
        if record.metric == "ndcg" and record.model == str(model) and record.compared_to is None
    }
    assert summary.ndcg == pytest.approx(figures[10], abs=1e-6)
    assert abs(figures[5] - figures[10]) > 0.001, "the length of the list is not told apart here"


def test_validation_looks_at_a_fixed_sample(folder: Path) -> None:
    data = dataset.load(folder, ("train", "valid"))

    def sample(users: int, seed: int) -> list[int]:
        rng, side = np.random.default_rng(seed), SideInputs((), data, SILENT)
        made = validation.Validation(data, users=users, max_length=6, side=side, rng=rng)
        return sorted(np.concatenate(made._blocks).tolist())

    everybody = len(sample(0, 0))
    assert len(sample(7, 0)) == 7 and sample(7, 0) == sample(7, 0) != sample(7, 1)
    assert len(sample(10_000, 0)) == everybody


def test_interests_that_are_one_are_noticed() -> None:
    run = run_state.RunState(settings())
    run.end_epoch(ValidationFigures(0.1, 0.95), padding=0.0)
    assert run.collapsed
    # what counts is the epoch that is written
    run.end_epoch(ValidationFigures(0.2, 0.5), padding=0.0)
    run.end_epoch(ValidationFigures(0.1, 0.95), padding=0.0)
    assert run.written["epoch"] == 2 and not run.collapsed
    # interests that share a part are nearer to each other before they are the same
    narm = run_state.RunState(settings(backbone="narm"))
    narm.end_epoch(ValidationFigures(0.1, 0.95), padding=0.0)
    assert not narm.collapsed
    narm.end_epoch(ValidationFigures(0.2, 0.995), padding=0.0)
    assert narm.collapsed


def test_patience_and_the_best_epoch() -> None:
    run = run_state.RunState(settings(epochs=20, patience=3))
    better = [run.end_epoch(ValidationFigures(figure, 0.0), padding=0.0) for figure in (0.1, 0.3, 0.2, 0.3)]
    assert better == [True, True, False, False] and not run.over
    run.end_epoch(ValidationFigures(0.1, 0.0), padding=0.0)
    assert run.over and (run.best, run.best_epoch, run.epoch) == (0.3, 2, 5)


def test_the_best_epoch_is_what_is_written(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = iter([0.2, 0.5, 0.1, 0.3])
    kept: list[torch.Tensor] = []

    def measure(self: Any, backbone: Any, vectors: torch.Tensor) -> ValidationFigures:
        kept.append(vectors.clone())
        return ValidationFigures(next(figures), 0.0)

    monkeypatch.setattr(validation.Validation, "measure", measure)
    summary = training.train(folder, tmp_path / "model", settings(epochs=4))
    assert (summary.best_epoch, summary.epochs) == (2, 4)
    np.testing.assert_array_equal(artifact.open_model(tmp_path / "model").vectors, kept[1].numpy())


def test_without_validation_lines_all_epochs_are_trained(folder: Path, tmp_path: Path) -> None:
    lines = [line for line in jsonl.read(folder / "sequences.jsonl", Sequence) if line.split == "train"]
    jsonl.write(folder / "sequences.jsonl", lines)
    remarks = Listening()
    summary = training.train(folder, tmp_path / "model", settings(epochs=3, patience=1), reporter=remarks)
    assert (summary.epochs, summary.best_epoch, summary.ndcg) == (3, 3, None)
    assert "no user to validate on: nothing says which epoch is best, and the last of 3 epochs is kept" in remarks.notes
    assert not remarks.warnings


def test_a_catalogue_without_titles_is_told(folder: Path, tmp_path: Path) -> None:
    items = [Item(item=item.item, title="") for item in jsonl.read(folder / "items.jsonl", Item)]
    jsonl.write(folder / "items.jsonl", items)
    remarks = Listening()
    training.train(folder, tmp_path / "model", settings(epochs=1), reporter=remarks)
    (warning,) = [line for line in remarks.warnings if "title" in line]
    assert "items.jsonl: no item has a title" in warning and "--items" in warning


@pytest.mark.slow
def test_epochs_from_an_earlier_model(folder: Path, tmp_path: Path) -> None:
    earlier = training.train(folder, tmp_path / "earlier", settings(epochs=6))
    lines = [line for line in jsonl.read(folder / "sequences.jsonl", Sequence) if line.split == "train"]
    jsonl.write(folder / "sequences.jsonl", lines)
    final = training.train(folder, tmp_path / "final", settings(epochs=9), epochs_from=tmp_path / "earlier")
    assert final.epochs == earlier.best_epoch < 9 and final.ndcg is None
    with pytest.raises(ModelError, match="without a validation split"):
        training.train(folder, tmp_path / "last", settings(), epochs_from=tmp_path / "final")
    with pytest.raises(ConfigError, match="nowhere"):
        training.train(folder, tmp_path / "last", settings(), epochs_from=tmp_path / "nowhere")
    assert not (tmp_path / "last").exists()


def test_max_minutes_stops_in_the_middle_of_an_epoch(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(10_000))
    monkeypatch.setattr(run_state.time, "monotonic", lambda: float(next(clock)))
    run = small_run(folder, epochs=50, max_minutes=0.5)
    run.loop.reporter = heard = Listening()
    run.go()
    assert run.state.epoch < 50 and run.state.out_of_time
    assert heard.notes[-1] == f"stopped by --max-minutes in epoch {run.state.epoch} of 50"
    # it was measured all the same
    assert run.state.best is not None


def test_what_stands_beside_the_bar(folder: Path) -> None:
    shown: list[dict[str, str]] = []

    class Bar(Reporter):
        def advance(self, amount: int = 1, **figures: str) -> None:
            shown.append(figures)

    run = small_run(folder, epochs=3)
    run.loop.reporter = Bar()
    run.go()
    shown = [figures for figures in shown if figures]
    steps = len(shown) // 3
    assert all({"loss", "rate", "left"} <= set(figures) for figures in shown)
    assert "NDCG@10" not in shown[0] and f"{run.state.lines[0]['valid']['ndcg@10']:.4f}" in shown[steps]["NDCG@10"]
    assert shown[0]["rate"].endswith("/s") and shown[-1]["left"] == "about 0 s"


@pytest.mark.parametrize(
    ("changes", "further", "left"),
    [
        ({"patience": 1}, {}, "at most 30 min"),
        ({"patience": 1, "max_minutes": 12.5}, {}, "at most 2 min"),
        # nothing ends it before its last epoch
        ({"patience": 0}, {}, "about 30 min"),
        ({"patience": 1}, {"validated": False}, "about 30 min"),
        # two more like it; like those before it, whose end is known
        ({"patience": 1}, {"later": run_state.LaterRuns(2)}, "about 1.8 h"),
        ({"patience": 1}, {"later": run_state.LaterRuns(2, [240.0, 360.0])}, "about 40 min"),
    ],
)
def test_the_time_left_is_that_of_all_trainings(changes: dict[str, Any], further: dict[str, Any], left: str) -> None:
    clock = run_state.RunState(settings(epochs=4, **changes), **further)
    clock.seconds = 600.0
    assert clock.shown(1.0)["left"] == left


def test_test_lines_are_never_looked_at(folder: Path, tmp_path: Path) -> None:
    """Other test lines, or none, change no bit of the model."""
    lines = list(jsonl.read(folder / "sequences.jsonl", Sequence))
    others = [
        Sequence(user=line.user, split="test", items=["fish-1"] * 9, targets=["fish-2"])
        if line.split == "test"
        else line
        for line in lines
    ]
    made = []
    for number, kept in enumerate([lines, others, [line for line in lines if line.split != "test"]]):
        jsonl.write(folder / "sequences.jsonl", kept)
        training.train(folder, tmp_path / f"model-{number}", settings())
        parts = ("weights.safetensors", "interests.onnx")
        made.append([(tmp_path / f"model-{number}" / part).read_bytes() for part in parts])
    assert made[0] == made[1] == made[2]
    assert "test" not in dataset.load(folder, ("train", "valid")).splits


def test_nothing_to_learn_from_is_bad_data(folder: Path, tmp_path: Path) -> None:
    jsonl.write(folder / "sequences.jsonl", [Sequence(user="u", split="train", items=["tea-1"])])
    with pytest.raises(InputError, match="two items"):
        training.train(folder, tmp_path / "model", settings())
    jsonl.write(folder / "sequences.jsonl", [Sequence(user="u", split="test", items=["tea-1"], targets=["tea-2"])])
    with pytest.raises(InputError, match="'train'"):
        training.train(folder, tmp_path / "model", settings())
    assert not (tmp_path / "model").exists()


# -- checkpoints


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"backbone": "sasrec"},
        {"item_vectors": "text", "schedule": "linear"},
        {"item_events": True},
    ],
)
def test_a_run_cut_anywhere_goes_on_bit_by_bit(
    folder: Path, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = small_run(folder, **changes).go()
    found = go_in_parts(monkeypatch, folder, **changes)
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_a_checkpoint_of_another_run_or_a_broken_one_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path) -> str:
        raise ConfigError(f"{path}: cannot be read")

    tensors = {"a": torch.arange(3.0)}
    kept = Checkpoint(tmp_path / "model", "one")
    kept.save_best({"a": torch.ones(3)}, 1)
    kept.save(tensors, {"epoch": 1})
    again = Checkpoint(tmp_path / "model", "one")
    found = again.load()
    assert found is not None and torch.equal(found[0]["a"], tensors["a"]) and found[1] == {"epoch": 1}
    best = again.load_best()
    assert best is not None and best["a"].sum() == 3
    assert Checkpoint(tmp_path / "model", "other").load() is None
    for path in sorted(kept.folder.iterdir()):
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        assert Checkpoint(tmp_path / "model", "one").load() is None, path.name
        for at in (len(whole) // 2, len(whole) - 3):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            assert Checkpoint(tmp_path / "model", "one").load() is None, path.name
        path.write_bytes(whole)
    with monkeypatch.context() as patched:
        patched.setattr(files, "sha256", refused)
        assert Checkpoint(tmp_path / "model", "one").load() is None
    assert Checkpoint(tmp_path / "model", "one").load() is not None
    next(kept.folder.glob("best-*")).unlink()
    assert Checkpoint(tmp_path / "model", "one").load() is None


def test_a_checkpoint_is_a_safetensors_file_that_takes_no_memory_beside_its_tensors(tmp_path: Path) -> None:
    import tracemalloc

    from safetensors.torch import load_file

    generator = torch.Generator().manual_seed(0)
    table, momentum = (torch.randn(1 << 16, 64, generator=generator) for _ in range(2))
    tensors = {
        "table": table, "momentum": momentum,
        "steps": torch.arange(7, dtype=torch.int32), "step": torch.tensor(3.0), "some": torch.ones(4, 6)[:, ::2],
    }  # fmt: skip
    kept = Checkpoint(tmp_path / "model", "one")
    tracemalloc.start()
    kept.save(tensors, {})
    written = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    loaded = Checkpoint(tmp_path / "model", "one").load()
    assert loaded is not None
    for name in tensors:
        assert torch.equal(loaded[0][name], tensors[name]), name
    read = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # a copy of all would be 33 MB; reading holds one tensor of 17 MB, for a moment two
    assert written < 2 << 20 and read < 36 << 20
    plain = load_file(next(kept.folder.glob("state-*")))
    assert set(plain) == set(tensors) and all(torch.equal(plain[name], tensors[name]) for name in tensors)


def test_a_checkpoint_that_is_replaced_is_told(folder: Path, tmp_path: Path) -> None:
    said = Listening()
    kept = Checkpoint(tmp_path / "model", "another")
    kept.save({"a": torch.ones(3)}, {"epoch": 1})
    training.train(folder, tmp_path / "model", settings(epochs=1), reporter=said)
    assert [words for words in said.warnings if str(kept.folder) in words and "starts afresh" in words]
    assert not kept.folder.exists()
    said = Listening()
    training.train(folder, tmp_path / "model", settings(epochs=1), reporter=said)
    assert not any("starts afresh" in words for words in said.warnings)


def test_a_run_never_writes_over_the_files_of_another(tmp_path: Path) -> None:
    first = Checkpoint(tmp_path / "model", "a" * 64)
    first.save_best({"a": torch.ones(3)}, 1)
    first.save({"a": torch.ones(3)}, {})
    second = Checkpoint(tmp_path / "model", "b" * 64)
    assert second.load() is None
    second.save_best({"a": torch.zeros(3)}, 1)
    # killed before its first save: the first run goes on with its own best weights
    again = Checkpoint(tmp_path / "model", "a" * 64)
    assert again.load() is not None
    best = again.load_best()
    assert best is not None and best["a"].sum() == 3
    second.save({"a": torch.zeros(3)}, {})
    assert len(list(second.folder.iterdir())) == 3, "files of the first run are left"


def test_a_full_disk_keeps_the_last_good_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Checkpoint(tmp_path / "model", "one")
    kept.save({"a": torch.ones(3)}, {"epoch": 1})
    before = sorted(path.name for path in kept.folder.iterdir())

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(jsonl.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        kept.save({"a": torch.zeros(3)}, {"epoch": 2})
    assert sorted(path.name for path in kept.folder.iterdir()) == before
    found = Checkpoint(tmp_path / "model", "one").load()
    assert found is not None and found[1] == {"epoch": 1}


def test_the_state_of_a_learner_is_whole(folder: Path) -> None:
    """A learner that takes over the state of another goes on as that one does."""
    one = small_run(folder, item_vectors="text")
    one.go()
    other = small_run(folder, item_vectors="text", seed=5)
    state = {name: value.clone() for name, value in one.learner.state().items()}
    other.learner.load_state(state)
    batch = one.loop.batches.epoch(np.random.default_rng(0)).batch(0)
    for run in (one, other):
        run.loop.step.take(batch, np.random.default_rng(1))
    for (name, left), right in zip(one.learner.state().items(), other.learner.state().values(), strict=True):
        assert torch.equal(left, right), name
