"""An ensemble is one model: its scores are the weighted sum of its members', however it came about."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import orjson
import pytest

from eimf_core import dataset
from eimf_core.errors import ConfigError, InputError, ModelError
from eimf_core.evaluation.scorers import ModelSystem
from eimf_core.io import jsonl
from eimf_core.model_directory import artifact
from eimf_core.model_directory.opened_model import OpenedModel
from eimf_core.numeric import ranking
from eimf_core.progress import SILENT
from eimf_core.recommend.query.text_vectors import TextVectors, add_new_items
from eimf_core.records import Item, Sequence
from eimf_core.training import ensemble, join, loop, member_weights
from eimf_core.training import train as training
from eimf_core.training.candidates import mean_ndcg
from eimf_core.training.config import SEEDS_APART, TrainConfig
from eimf_core.training.join import Ensemble
from eimf_core.training.run_state import LaterRuns, RunState
from eimf_core.training.validation import sampled_users
from tests.listening import Listening
from tests.small_data import write_small_data
from tests.small_training import CutError, cut_after
from tests.small_training import small_settings as settings

NAMES = ["comirec-sa", "sasrec", "gru4rec"]
WEIGHTS = [0.5, 0.2, 0.3]
FILES = ("weights.safetensors", "interests.onnx", "items.jsonl", "item_groups.safetensors", "train.jsonl")


def wanted(name: str, **changes: Any) -> TrainConfig:
    return settings(**{"backbone": name, "item_vectors": "text", **changes})


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data/ and a model of each name."""
    folder = tmp_path_factory.mktemp("apart")
    (folder / "data").mkdir()
    write_small_data(folder / "data")
    for name in NAMES:
        training.train(folder / "data", folder / name, wanted(name))
    return folder


@pytest.fixture(scope="module")
def joint(apart: Path) -> Path:
    """The three models, joined with given weights."""
    data = dataset.load(apart / "data")
    made = Ensemble([artifact.open_model(apart / name) for name in NAMES], WEIGHTS)
    artifact.write(apart / "joint", join.contents(made, data, training={}, provenance={}))
    return apart / "joint"


@pytest.fixture
def copied(apart: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of all of it that a test may change."""
    shutil.copytree(apart, tmp_path / "copy")
    yield tmp_path / "copy"


def scores(model: OpenedModel, histories: list[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    """As `recommend` has them."""
    return ranking.best_scores(model.interests(histories)[0], model.vectors, model.scale)


def test_the_joint_score_is_the_weighted_sum(apart: Path, joint: Path) -> None:
    model = artifact.open_model(joint)
    artifact.verify(joint)
    members = [artifact.open_model(apart / name) for name in NAMES]
    histories = [np.array([1, 9, 2]), np.array([17]), np.arange(1, 12), np.array([3, 3, 3, 20])]
    summed = sum(weight * scores(member, histories) for weight, member in zip(WEIGHTS, members, strict=True))
    np.testing.assert_allclose(scores(model, histories)[:, 1:], summed[:, 1:], atol=1e-5)  # type: ignore[index]
    np.testing.assert_allclose(np.linalg.norm(model.vectors[1:], axis=1), 1.0, atol=1e-6)
    interests, attention = model.interests(histories)
    assert interests.shape == (4, 3, 24) and (model.config.dimension, model.config.interests) == (24, 3)
    np.testing.assert_allclose(np.linalg.norm(interests, axis=2), 1.0, atol=1e-5)
    np.testing.assert_allclose(attention.sum(axis=2), 1.0, atol=1e-5)
    of_members = [member.interests(histories)[1] for member in members]
    np.testing.assert_allclose(
        attention, sum(weight * own for weight, own in zip(WEIGHTS, of_members, strict=True)), atol=1e-5
    )


def test_what_the_network_computes_of_each_item_alone_is_looked_up_from_then_on(joint: Path) -> None:
    model = artifact.open_model(joint)
    histories = [np.array([1, 9, 2]), np.array([17]), np.arange(1, 12), np.array([3, 3, 3, 20])]
    before = model.interests(histories)
    while not model._network._asked:
        after = model.interests(histories)
    _, tables = model._network._used
    # the logits of the attention heads of comirec-sa; the other member computes nothing of an item alone
    assert [table.shape for table in tables.values()] == [(len(model.vectors), 3)]
    for one, other in zip(before, after, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    table = next(iter(tables.values()))
    table += np.arange(len(table))[:, None]
    assert not np.allclose(model.interests(histories)[1], after[1], atol=1e-3)


@pytest.mark.parametrize("counts", [(4, 1), (4, 2, 1), (2, 3), (3, 1)])
def test_each_part_of_the_interests_is_multiplied_once_with_the_same_scores(counts: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    joint = np.zeros((5, 1, 0), dtype=np.float32)
    for count in counts:
        own = rng.normal(size=(5, count, 6)).astype(np.float32)
        left, right = np.repeat(joint, count, axis=1), np.tile(own, (1, joint.shape[1], 1))
        joint = np.concatenate([left, right], axis=2)
    parts = [(6, count) for count in counts]
    vectors = rng.normal(size=(2000, joint.shape[2])).astype(np.float32)
    for scale in (None, rng.random(2000).astype(np.float32)):
        found = ranking.best_scores(joint, vectors, scale, parts)
        summed = (joint @ vectors.T).max(axis=1) * (1.0 if scale is None else scale)
        np.testing.assert_allclose(found[:, 1:], summed[:, 1:], atol=1e-5)
        assert (found[:, 0] == -np.inf).all()
        # alone as among others
        np.testing.assert_array_equal(found[:1], ranking.best_scores(joint[:1], vectors, scale, parts))


def test_two_members_with_several_interests(apart: Path, tmp_path: Path) -> None:
    """Sums, names by the first of them, and the same list whichever way it is computed."""
    from eimf_core.recommend.config import RecommendConfig
    from eimf_core.recommend.session import RecommendRequest, recommend

    training.train(apart / "data", tmp_path / "remi", wanted("remi", interests=2))
    names = [apart / "comirec-sa", tmp_path / "remi", apart / "gru4rec"]
    members = [artifact.open_model(path) for path in names]
    data = dataset.load(apart / "data")
    artifact.write(tmp_path / "joint", join.contents(Ensemble(members, WEIGHTS), data, training={}, provenance={}))
    model = artifact.open_model(tmp_path / "joint")
    assert model.config.interests == 6
    assert model.interest_product.parts == [(8, 3), (8, 2), (8, 1)]
    histories = [np.array([1, 9, 2]), np.array([17, 3])]
    summed = sum(weight * scores(member, histories) for weight, member in zip(WEIGHTS, members, strict=True))
    np.testing.assert_allclose(scores(model, histories)[:, 1:], summed[:, 1:], atol=1e-5)  # type: ignore[index]
    system = ModelSystem(tmp_path / "joint", data)
    np.testing.assert_allclose(system.score(histories).values[:, 1:], summed[:, 1:], atol=1e-5)  # type: ignore[index]
    settings = RecommendConfig(k=5, name_threshold=-1.0)
    (answer,) = recommend(tmp_path / "joint", settings, RecommendRequest(items=["tea-0", "yarn-1", "fish-2"]))
    line = orjson.loads(answer)
    assert len(line["items"]) == 5 and 1 <= len(line["interests"]) <= 5


def test_evaluation_scores_are_the_weighted_sum(apart: Path, joint: Path) -> None:
    """In the order of the data, whatever that of the model."""
    other = apart / "other"
    other.mkdir(exist_ok=True)
    jsonl.write(other / "items.jsonl", reversed(list(jsonl.read(apart / "data" / "items.jsonl", Item))))
    jsonl.write(other / "sequences.jsonl", jsonl.read(apart / "data" / "sequences.jsonl", Sequence))
    data = dataset.load(other, ("valid",))
    histories = [data.splits["valid"].history(row) for row in range(8)]
    summed = sum(
        weight * ModelSystem(apart / name, data, vectors_only=True).score(histories).values
        for weight, name in zip(WEIGHTS, NAMES, strict=True)
    )
    found = ModelSystem(joint, data).score(histories).values
    np.testing.assert_allclose(found[:, 1:], summed[:, 1:], atol=1e-5)  # type: ignore[index]


def test_new_items_and_words_have_the_weighted_sum_too(apart: Path, joint: Path) -> None:
    new = [Item(item="new-1", title="Green Tea Pot"), Item(item="new-2", title="Silk Wool Yarn")]
    opened = []
    for path in (joint, *(apart / name for name in NAMES)):
        model = artifact.open_model(path)
        add_new_items(model, new, TextVectors(model, None))
        opened.append(model)
    # the new items stand in the histories as well, so that the networks read them
    histories = [np.array([1, 25, 2]), np.array([26])]
    model, *members = opened
    summed = sum(weight * scores(member, histories) for weight, member in zip(WEIGHTS, members, strict=True))
    found = scores(model, histories)
    assert found.shape == (2, 27)
    np.testing.assert_allclose(found[:, 1:], summed[:, 1:], atol=1e-5)  # type: ignore[index]
    words = TextVectors(model, None).of_text("wool")
    assert words.shape == (24,) and abs(np.linalg.norm(words) - 1.0) < 1e-5
    titles = [item.item.split("-")[0] for item in model.catalogue]
    best = np.argsort(-(model.vectors[1:25] @ words))[:3]
    assert [titles[at] for at in best].count("yarn") >= 2


def test_members_can_be_taken_out_again(apart: Path, joint: Path) -> None:
    for member, name in zip(artifact.open_model(joint).members, NAMES, strict=True):
        alone = artifact.open_model(apart / name)
        (known,) = alone.members
        np.testing.assert_allclose(member.vectors, known.vectors, atol=1e-6)
        assert (member.backbone, member.dimension, member.interests) == (name, 8, known.interests)
        for key, part in known.network.items():
            np.testing.assert_array_equal(member.network[key], part)
        assert member.text_map is not None and known.text_map is not None
        np.testing.assert_array_equal(member.text_map[0], known.text_map[0])


@pytest.fixture(scope="module")
def together(apart: Path) -> Path:
    training.train(apart / "data", apart / "together", wanted("+".join(NAMES)))
    return apart / "together"


def test_trained_together_or_apart_is_the_same_model(apart: Path, together: Path) -> None:
    paths = [apart / name for name in NAMES]
    ensemble.join_models(paths, apart / "data", apart / "joined", reporter=SILENT)
    for part in FILES:
        if part != "train.jsonl":
            assert (together / part).read_bytes() == (apart / "joined" / part).read_bytes(), part
    one, other = artifact.open_model(together).config, artifact.open_model(apart / "joined").config
    assert one == other
    assert not ensemble.folder(together).exists()


def test_weights_are_chosen_on_so_many_users_as_the_epochs(apart: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def sampled(data: dataset.Dataset, most: int, *more: Any) -> Any:
        asked.append(most)
        return sampled_users(data, most, *more)

    monkeypatch.setattr(join, "sampled_users", sampled)
    monkeypatch.setattr(ensemble, "sampled_users", sampled)
    training.train(apart / "data", apart / "few", wanted("sasrec+gru4rec", epochs=1, valid_users=3))
    assert asked == [3, 3]  # the weights, and what next items weigh


def test_weights_are_those_of_the_validation_figure(apart: Path, together: Path) -> None:
    """What the last line of train.jsonl says is what the vectors of the written model reach, and no member's more."""
    data = dataset.load(apart / "data")
    lines = [orjson.loads(line) for line in (together / "train.jsonl").read_bytes().splitlines()]
    said = lines[-1]["ensemble"]
    users, rows = sampled_users(data, 0, np.random.default_rng(0))
    found = {}
    for path in (together, *(apart / name for name in NAMES)):
        blocks = member_weights.blocks([ModelSystem(path, data, vectors_only=True)], users, rows, len(data.items) + 1)
        found[path.name] = mean_ndcg(blocks, np.ones(1))
    assert found["together"] == pytest.approx(said["ndcg@10"], abs=1e-9)
    assert found["together"] >= max(found[name] for name in NAMES)
    assert sum(member["weight"] for member in said["members"]) == pytest.approx(1.0)
    epochs = {line["backbone"]: line["epoch"] for line in lines[:-1]}
    assert set(epochs.values()) == {2} and [member["backbone"] for member in said["members"]] == list(epochs)


@pytest.mark.slow
def test_a_run_killed_between_and_within_members_ends_with_the_same_bits(
    apart: Path, together: Path, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[str] = []
    for saves in (5, 45, 20, 10_000):
        with monkeypatch.context() as patched:
            cut_after(patched, saves)
            listening = Listening()
            try:
                training.train(copied / "data", copied / "again", wanted("+".join(NAMES)), reporter=listening)
            except CutError:
                assert ensemble.folder(copied / "again").exists()
        trained += [note for note in listening.notes if "is trained already" in note or "resuming" in note]
    assert any("is trained already" in note for note in trained) and any("resuming" in note for note in trained)
    for part in FILES[:-1]:
        assert (copied / "again" / part).read_bytes() == (together / part).read_bytes(), part
    assert sorted(path.name for path in copied.glob(".again*")) == []


@pytest.mark.slow
def test_the_same_backbone_twice_is_two_seeds(apart: Path, tmp_path: Path) -> None:
    one, other = TrainConfig(backbone="sasrec+sasrec", seed=3, max_minutes=4.0).members
    assert (one.seed, other.seed, other.max_minutes) == (3, 3 + SEEDS_APART, 2.0)
    training.train(apart / "data", tmp_path / "two", wanted("gru4rec+gru4rec", epochs=1))
    members = artifact.open_model(tmp_path / "two").members
    if len(members) == 2:
        assert not np.array_equal(members[0].vectors, members[1].vectors)


def test_a_member_alone_is_an_ordinary_model(apart: Path, tmp_path: Path) -> None:
    """Where the validation split gives the others no weight."""
    data = dataset.load(apart / "data")
    made = Ensemble([artifact.open_model(apart / "sasrec")], [1.0], 0.5, [0.5, 0.4])
    artifact.write(tmp_path / "alone", join.contents(made, data, training={}, provenance={}))
    model, before = artifact.open_model(tmp_path / "alone"), artifact.open_model(apart / "sasrec")
    assert (
        model.config == msgspec.structs.replace(before.config, next_items=None)
        and not model.config.members
        and model.epochs[:-1] == before.epochs
    )
    np.testing.assert_array_equal(model.vectors, before.vectors)
    assert model.network == before.network


def test_hyperparameters_go_to_the_members_that_have_them() -> None:
    made = TrainConfig(backbone="comirec-sa+sasrec", hyperparameters={"layers": 1, "positions": "none"})
    assert [member.hyperparameters for member in made.members] == [{"positions": "none"}, {"layers": 1}]
    with pytest.raises(ConfigError, match="'hardness' is unknown; comirec-sa has positions, sasrec has layers, heads"):
        TrainConfig(backbone="comirec-sa+sasrec", hyperparameters={"hardness": 1.0})


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sasrec+", "is '', expected comirec-sa"),
        ("transformer+attention", "or several joined by \\+"),
    ],
)
def test_a_name_that_is_none_is_told(name: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        TrainConfig(backbone=name)


@pytest.mark.slow
def test_a_warm_start_of_each_member(apart: Path, joint: Path, tmp_path: Path) -> None:
    names = ["gru4rec", "comirec-sa", "sasrec"]
    changes = {"epochs": 1, "learning_rate": 1e-9}
    training.train(apart / "data", tmp_path / "model", wanted("+".join(names), **changes), init=joint)
    before = {member.backbone: member for member in artifact.open_model(joint).members}
    model = artifact.open_model(tmp_path / "model")
    for member in model.members:
        np.testing.assert_allclose(member.vectors, before[member.backbone].vectors, atol=1e-4)
    assert model.provenance["facts"]["init"][0]["kept"] == 24
    with pytest.raises(ConfigError, match="its backbone is comirec-sa\\+sasrec\\+gru4rec, this run's sasrec; give --b"):
        training.train(apart / "data", tmp_path / "other", wanted("sasrec"), init=joint)
    with pytest.raises(ConfigError, match="its dimension is 8, this run's 16"):
        training.train(apart / "data", tmp_path / "other", wanted("+".join(NAMES), dimension=16), init=joint)
    assert not (tmp_path / "other").exists()


def without_validation(folder: Path, target: Path) -> Path:
    target.mkdir()
    lines = [line for line in jsonl.read(folder / "sequences.jsonl", Sequence) if line.split != "valid"]
    jsonl.write(target / "sequences.jsonl", lines)
    shutil.copy(folder / "items.jsonl", target)
    return target


@pytest.mark.slow
def test_epochs_from_takes_over_everything(apart: Path, tmp_path: Path) -> None:
    """Settings, members, epochs and weights; what is given counts in its place."""
    data = dataset.load(apart / "data")
    models = [artifact.open_model(apart / name) for name in NAMES]
    about = models[0].config.training | {"backbone": "+".join(NAMES)}
    written = join.contents(Ensemble(models, WEIGHTS), data, training=about, provenance={})
    artifact.write(tmp_path / "earlier", written)
    later = without_validation(apart / "data", tmp_path / "later")
    training.train(
        later, tmp_path / "model", TrainConfig(temperature=0.2), epochs_from=tmp_path / "earlier", given={"temperature"}
    )
    model = artifact.open_model(tmp_path / "model")
    known = {member.backbone: member for member in artifact.open_model(tmp_path / "earlier").config.members}
    assert [member.backbone for member in model.config.members] == NAMES
    for member, weight in zip(model.config.members, WEIGHTS, strict=True):
        assert member.weight == pytest.approx(weight) and member.epochs == known[member.backbone].epochs
        theirs = known[member.backbone].training | {"threads": 0}  # that of this machine
        assert member.training == {**theirs, "epochs": member.epochs, "temperature": 0.2, "backbone": member.backbone}
    with pytest.raises(ConfigError, match="--backbone contradicts --epochs-from"):
        training.train(later, tmp_path / "no", TrainConfig(), epochs_from=tmp_path / "earlier", given={"backbone"})
    with pytest.raises(ModelError, match="without a validation split"):
        training.train(later, tmp_path / "no", TrainConfig(), epochs_from=tmp_path / "model")


@pytest.mark.slow
def test_equal_weights_without_a_validation_split(apart: Path, tmp_path: Path) -> None:
    later = without_validation(apart / "data", tmp_path / "later")
    training.train(later, tmp_path / "model", wanted("sasrec+gru4rec", epochs=1))
    model = artifact.open_model(tmp_path / "model")
    assert [member.weight for member in model.config.members] == [0.5, 0.5]
    assert model.config.interests == 1 and model.config.dimension == 16


@pytest.mark.slow
def test_models_that_cannot_be_joined(apart: Path, joint: Path, tmp_path: Path) -> None:
    def fails(words: str, *models: Path) -> None:
        with pytest.raises(ConfigError, match=words):
            ensemble.join_models(list(models), apart / "data", tmp_path / "out")
        assert not (tmp_path / "out").exists()

    fails("is an ensemble; join models that are none", apart / "sasrec", joint)
    fails("given twice", apart / "sasrec", apart / "sasrec")
    training.train(apart / "data", tmp_path / "short", wanted("sasrec", max_length=4, epochs=1))
    fails("its max_length: 4, that of .*: 6", apart / "gru4rec", tmp_path / "short")
    (tmp_path / "data").mkdir()
    write_small_data(tmp_path / "data", seed=5)
    items = list(jsonl.read(tmp_path / "data" / "items.jsonl", Item))
    jsonl.write(tmp_path / "data" / "items.jsonl", [*items, Item(item="more", title="More")])
    training.train(tmp_path / "data", tmp_path / "larger", wanted("sasrec", epochs=1))
    fails("has other items than", apart / "gru4rec", tmp_path / "larger")
    with pytest.raises(ConfigError, match="is one of the models"):
        ensemble.join_models([apart / "sasrec", apart / "gru4rec"], apart / "data", apart / "sasrec")
    jsonl.write(tmp_path / "items.jsonl", [Item(item="other", title="Other")])
    jsonl.write(tmp_path / "sequences.jsonl", [Sequence(user="u", split="train", items=["other"], targets=[])])
    with pytest.raises(InputError, match=r"known to .*sasrec; give the data that this model was trained on$"):
        ensemble.join_models([apart / "sasrec", apart / "gru4rec"], tmp_path, tmp_path / "out")


def test_progress_says_which_member_and_how_long_the_command_takes(
    apart: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []
    left: list[tuple[str, str]] = []
    later: list[LaterRuns] = []

    class Bar(Listening):
        def begin(self, what: str, total: int | None = None, done: int = 0) -> None:
            begun.append(what)

        def advance(self, amount: int = 1, **figures: str) -> None:
            if "left" in figures:
                left.append((begun[-1], figures["left"]))

    class Recorded(RunState):
        def __init__(self, settings: TrainConfig, after: LaterRuns, **further: Any) -> None:
            later.append(after)
            super().__init__(settings, after, **further)

    monkeypatch.setattr(loop, "RunState", Recorded)
    chosen = wanted("sasrec+gru4rec", epochs=1, patience=1, refit=True)
    monkeypatch.setattr(member_weights, "ascend", lambda measure, starts: (starts[-1], measure(starts[-1])))
    training.train(apart / "data", tmp_path / "model", chosen, reporter=Bar())
    parts = ["member 1 of 2, sasrec", "member 2 of 2, gru4rec"]
    parts += [f"refit, {part}" for part in parts]
    assert list(dict.fromkeys(what for what, _ in left)) == [f"{part}, epoch 1" for part in parts]
    # each of the others is trained again, as often as the validation split chose
    assert [(after.number, len(after.before)) for after in later] == [(3, 0), (2, 1), (1, 0), (0, 1)]
    assert {words.split()[0] for _, words in left} == {"about"}
