"""Where training runs: the choice of a device, no tensor left behind on another, bf16, compiled networks."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import torch
from torch.overrides import TorchFunctionMode

from eimf_core.errors import ConfigError
from eimf_core.io import jsonl
from eimf_core.model_directory import artifact
from eimf_core.training import device, export, setup
from eimf_core.training import train as training
from tests.listening import Listening
from tests.small_data import write_small_data
from tests.small_training import small_run
from tests.small_training import small_settings as settings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return write_small_data(tmp_path / "data")


# -- the choice


def at_hand(monkeypatch: pytest.MonkeyPatch, *, cuda: int = 0, mps: bool = False) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "set_device", lambda at: None)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda at: f"Card {at.index}")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


def test_auto_takes_an_accelerator_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    at_hand(monkeypatch)
    remarks = Listening()
    assert device.choose("auto", remarks).type == "cpu" and not remarks.notes
    at_hand(monkeypatch, mps=True)
    assert device.choose("auto", remarks).type == "mps" and remarks.notes == ["trains on mps"]
    at_hand(monkeypatch, cuda=2, mps=True)
    assert device.choose("auto", remarks) == torch.device("cuda", 0) and remarks.notes[1:] == ["trains on Card 0"]
    assert device.choose("cpu", remarks).type == "cpu"
    # a card for each process
    assert device.choose("cuda", remarks, local_rank=1) == torch.device("cuda", 1)
    with pytest.raises(ConfigError, match="too few"):
        device.choose("cuda", remarks, local_rank=2)


@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_told(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    at_hand(monkeypatch)
    with pytest.raises(ConfigError, match=f"--device {kind}"):
        training.train(folder, tmp_path / "model", settings(device=kind))
    assert not (tmp_path / "model").exists()


def test_an_interrupted_run_goes_on_only_where_it_began(tmp_path: Path) -> None:
    here = {"device": "cpu", "processes": 1}
    setup.check_same_machine({"epoch": 3, **here}, here, tmp_path)
    for other in ({"device": "cuda"}, {"processes": 2}):
        with pytest.raises(ConfigError, match="can be resumed only with") as caught:
            setup.check_same_machine({**here, **other}, here, tmp_path)
        assert str(next(iter(other.values()))) in str(caught.value) and str(tmp_path) in str(caught.value)


# -- every tensor of a step lies on the device


class Elsewhere(TorchFunctionMode):
    """Plays a second device: what is not expressly put there counts as host memory, and an operation on
    both, or a look into the device's memory from the host, is an error."""

    MADE = ("zeros", "ones", "empty", "full", "arange", "eye", "tensor", "rand", "randn", "linspace", "logspace")

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = kwargs or {}
        name = getattr(func, "__name__", "")
        tensors = list(found(args)) + list(found(list(named.values())))
        # a number without dimensions may be on the host, as with CUDA
        host = [getattr(tensor, "on_host", False) for tensor in tensors if tensor.dim() or not named.get("out")]
        if name in ("to", "cuda") and not any(isinstance(value, torch.dtype) for value in args[1:]):
            return args[0].view_as(args[0]) if getattr(args[0], "on_host", False) else func(*args, **named)
        if name == "cpu":
            return marked(args[0].detach().view_as(args[0]))
        if name in ("numpy", "__array__"):
            assert all(host), f"{name} of a tensor on the device"
        result = func(*args, **named)
        if name in self.MADE and "device" not in named:
            return marked(result)
        sizes = [tensor.dim() for tensor in tensors]
        if any(host) and name not in ("__get__", "numpy", "__array__", "item", "__float__", "dim", "size", "numel"):
            mixed = [at for at, size in zip(host, sizes, strict=True) if size or at is False]
            assert all(mixed), f"{name} of a tensor on the host and one on the device"
            for made in found([result]):
                marked(made)
        return result


def found(values: Any) -> Any:
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from found(value)


def marked(tensor: torch.Tensor) -> torch.Tensor:
    tensor.on_host = True  # type: ignore[attr-defined]
    return tensor


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"item_vectors": "text"},
        {"backbone": "sasrec"},
        {"backbone": "pimi"},
        {"backbone": "mfn"},
        {"backbone": "mind"},
        {"backbone": "re4"},
        {"backbone": "desmil"},
        {"backbone": "remi"},
        {"backbone": "gru4rec"},
        {"backbone": "sine", "loss": "full"},
    ],
    ids=lambda changes: "-".join(map(str, changes.values())) or "default",
)
def test_no_tensor_is_left_on_another_device(
    folder: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    run = small_run(folder, epochs=1, **changes)
    from_numpy = torch.from_numpy
    monkeypatch.setattr(torch, "from_numpy", lambda array: marked(from_numpy(array)))
    with Elsewhere():
        run.go()
    assert run.state.lines and run.state.best is not None


def test_labelled_users_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from eimf_core import dataset
    from tests.unit.test_training_labels import key_of, label

    data = dataset.load(folder, ("train",))
    lines = [label(key_of(data, user), f"user-{user}", "tea", "yarn") for user in range(8)]
    jsonl.write(folder / "labels.jsonl", lines)
    run = small_run(folder, folder / "labels.jsonl", epochs=1)
    from_numpy = torch.from_numpy
    monkeypatch.setattr(torch, "from_numpy", lambda array: marked(from_numpy(array)))
    with Elsewhere():
        run.go()
    assert {"semantic", "alignment"} <= set(run.state.lines[0]["loss"])


def test_the_check_of_devices_sees_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    from_numpy = torch.from_numpy
    monkeypatch.setattr(torch, "from_numpy", lambda array: marked(from_numpy(array)))
    there = torch.ones(3)
    with Elsewhere():
        for mistake in (
            lambda: there + torch.from_numpy(np.ones(3)),
            lambda: there + torch.zeros(3),
            lambda: there.numpy(),
            lambda: there[torch.from_numpy(np.arange(2))],
            lambda: torch.stack([there, torch.from_numpy(np.ones(3, dtype=np.float32))]),
        ):
            with pytest.raises(AssertionError, match="device"):
                mistake()
        assert (there + torch.from_numpy(np.ones(3)).to("cpu")).sum() == 6
        assert there.cpu().numpy().sum() == 3


def test_a_learner_moves_with_its_optimisers_and_its_generator(folder: Path) -> None:
    run = small_run(folder, item_vectors="text")
    run.go()
    learner = run.learner
    learner.move(torch.device("cpu"))
    before = learner.generator
    assert learner.generator is before and learner.device.type == "cpu"
    digest = learner.digest()
    assert digest == learner.digest()
    table = learner.table.weight
    table[[1, 2]] = table[[2, 1]].clone()
    assert learner.digest() != digest, "two rows that changed places"


# -- precision and compilation


@pytest.mark.parametrize(
    "backbone",
    ["comirec-sa", "gru4rec", *(pytest.param(name, marks=pytest.mark.slow) for name in ("sasrec", "mind", "pimi"))],
)
def test_bf16_trains_to_about_the_same_loss(folder: Path, backbone: str) -> None:
    losses = {}
    for precision in ("float32", "bf16"):
        run = small_run(folder, epochs=6, dropout=0.0, backbone=backbone, precision=precision)
        run.go()
        losses[precision] = [line["loss"]["prediction"] for line in run.state.lines]
        assert all(value.dtype == torch.float32 for value in run.learner.weights().values())
    assert losses["bf16"] != losses["float32"], "bf16 changed nothing"
    assert losses["bf16"][-1] < losses["bf16"][0] - 0.05
    np.testing.assert_allclose(losses["bf16"], losses["float32"], rtol=0.02)


@pytest.mark.slow
def test_validation_and_the_written_network_are_not_in_bf16(folder: Path, tmp_path: Path) -> None:
    run = small_run(folder, precision="bf16")
    run.go()
    backbone = run.learner.backbone.eval()
    vectors, mask = torch.randn(2, 4, 8, generator=torch.Generator().manual_seed(0)), torch.ones(2, 4, dtype=torch.bool)
    plain = small_run(folder).learner.backbone.eval()
    plain.load_state_dict(backbone.state_dict())
    torch.testing.assert_close(backbone(vectors, mask)[0], plain(vectors, mask)[0], rtol=0, atol=0)
    training.train(folder, tmp_path / "model", settings(precision="bf16"))
    assert artifact.open_model(tmp_path / "model").interests([np.array([1, 2])])[0].shape == (1, 3, 8)


@pytest.mark.slow
def test_each_member_of_an_ensemble_trains_in_bf16(folder: Path, tmp_path: Path) -> None:
    losses: dict[str, dict[str, float]] = {}
    for precision in ("float32", "bf16"):
        model = tmp_path / precision
        training.train(folder, model, settings(backbone="comirec-sa+gru4rec", epochs=1, precision=precision))
        lines = map(orjson.loads, (model / "train.jsonl").read_bytes().splitlines())
        losses[precision] = {line["backbone"]: line["loss"]["prediction"] for line in lines if "epoch" in line}
    assert {*losses["bf16"]} == {"comirec-sa", "gru4rec"}
    for member, loss in losses["bf16"].items():
        assert loss != losses["float32"][member], f"bf16 changed nothing in {member}"
        assert loss == pytest.approx(losses["float32"][member], rel=0.02)


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Graphs are found and differentiated as ever, but not written in C++, which takes minutes and is torch's own."""
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager"))


def graphs() -> int:
    """How many graphs were compiled since they were counted last."""
    counters = torch._dynamo.utils.counters
    found = int(counters["stats"]["unique_graphs"])
    counters.clear()
    return found


@pytest.mark.slow
@pytest.mark.usefixtures("compiler")
def test_a_compiled_network_trains_as_the_plain_one(folder: Path) -> None:
    losses = []
    for compile in (False, True):
        run = small_run(folder, epochs=2, compile=compile)
        graphs()
        run.go()
        losses.append([line["loss"]["prediction"] for line in run.state.lines])
        assert (graphs() > 0) == compile
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)
    # what is written is the plain network
    assert len(export.network(run.learner.backbone)) > 0


@pytest.mark.slow
@pytest.mark.usefixtures("compiler")
def test_a_compiled_transformer_has_the_gradients_of_the_plain_one(folder: Path) -> None:
    """Of a step with dropout. Weights after many steps say less: where the true gradient is 0, as for the bias
    of an attention key, Adam takes full steps along what is left by rounding."""
    found = []
    for compile in (False, True):
        run = small_run(folder, backbone="sasrec", compile=compile, dropout=0.2)
        graphs()
        batch = run.loop.batches.epoch(np.random.default_rng(0)).batch(0)
        result = run.loop.step.take(batch, np.random.default_rng(0))
        assert (graphs() > 0) == compile
        gradients = {name: part.grad for name, part in run.learner.backbone.named_parameters()}
        found.append((float(result.losses["prediction"]), result.norm, gradients, run.learner.table.weight))
    (loss, norm, plain, table), (other_loss, other_norm, compiled, other_table) = found
    assert other_loss == pytest.approx(loss, rel=1e-5) and other_norm == pytest.approx(norm, rel=1e-4)
    for name, gradient in plain.items():
        assert gradient is not None
        torch.testing.assert_close(compiled[name], gradient, rtol=1e-3, atol=1e-6, msg=name)
    torch.testing.assert_close(other_table, table, rtol=0, atol=1e-4)
