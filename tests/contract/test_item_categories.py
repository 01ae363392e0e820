"""Item vectors with categories: a switch of any backbone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from eimf_core.model_directory import artifact
from eimf_core.training import train as training
from eimf_core.training.item_embeddings import ItemTable
from tests.listening import Listening
from tests.small_data import write_small_data
from tests.small_training import small_run, small_settings


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_data(tmp_path_factory.mktemp("data"))


def test_a_vector_holds_the_mean_of_its_categories_by_hand() -> None:
    table = ItemTable(torch.tensor([[0.0, 0.0], [1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    table.add_categories(np.array([[0, 0], [1, 2], [2, 0], [0, 0]], dtype=np.int32), 2)
    assert torch.equal(table.all(), table.weight), "no category has a say before it is learned"
    with torch.no_grad():
        table.categories.copy_(torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 20.0]]))  # type: ignore[union-attr]
    wanted = torch.tensor([[0.0, 0.0], [6.0, 12.0], [3.0, 24.0], [5.0, 6.0]])
    assert torch.equal(table.all(), wanted)
    leaf, vectors = table.rows(torch.tensor([3, 1]))
    assert torch.equal(vectors, wanted[[3, 1]])
    vectors[1, 0].backward()
    assert torch.equal(leaf.grad, torch.tensor([[0.0, 0.0], [1.0, 0.0]]))
    # row 0 stands for no category and is never moved
    assert torch.equal(table.categories.grad, torch.tensor([[0.0, 0.0], [0.5, 0.0], [0.5, 0.0]]))  # type: ignore[union-attr]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "kind"),
    [*((name, "random") for name in ("comirec-dr", "mfn", "sine", "gru4rec", "sasrec")), ("comirec-sa", "text")],
)
def test_the_exported_form_computes_what_torch_does(backbone: str, kind: str, folder: Path, tmp_path: Path) -> None:
    changes = {"backbone": backbone, "item_vectors": kind, "item_categories": True}
    training.train(folder, tmp_path / "model", small_settings(**changes, epochs=1))
    run = small_run(folder, **changes, epochs=1)
    weights = run.go()
    assert weights["table.categories"][1:].abs().min() > 0, "a category was not learned"
    model, vectors = artifact.open_model(tmp_path / "model"), run.learner.table.all()
    np.testing.assert_allclose(model.vectors, vectors.numpy(), atol=1e-6)
    assert (model.text_map is not None) == (kind == "text")
    histories = [np.array([3]), np.array([5, 20, 1, 9])]
    padded = torch.tensor([[3, 0, 0, 0], [5, 20, 1, 9]])
    with torch.no_grad():
        side = run.loop.side.of_items(padded.numpy())
        wanted, _ = run.learner.backbone.eval()(vectors[padded], padded > 0, side)
    np.testing.assert_allclose(model.interests(histories)[0], wanted.numpy(), atol=1e-4)


def test_a_run_that_starts_from_such_a_model_has_its_vectors(folder: Path, tmp_path: Path) -> None:
    training.train(folder, tmp_path / "model", small_settings(item_categories=True, epochs=2))
    vectors = artifact.open_model(tmp_path / "model").vectors
    for switched in (True, False):
        table = small_run(folder, init=tmp_path / "model", item_categories=switched).learner.table
        np.testing.assert_allclose(table.all().numpy(), vectors, atol=1e-6)


def test_data_without_categories_is_told_and_trains_as_without_the_switch(tmp_path: Path) -> None:
    write_small_data(tmp_path)
    lines = (tmp_path / "items.jsonl").read_text()
    for taste in ("tea", "yarn", "fish"):
        lines = lines.replace(f'"categories":["{taste}"]', '"categories":[]')
    (tmp_path / "items.jsonl").write_text(lines)
    said = Listening()
    summary = training.train(tmp_path, tmp_path / "model", small_settings(item_categories=True), reporter=said)
    assert any("no two items share a category" in word for word in said.warnings)
    assert summary.ndcg == training.train(tmp_path, tmp_path / "plain", small_settings()).ndcg
