"""A model directory from a stranger is data: it runs nothing, and what is broken is said in one line."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import pickle
import random
import shutil
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import orjson
import pytest
from safetensors.numpy import save

from eimf_core.errors import EimfError, ModelError
from eimf_core.io import weights_file
from eimf_core.model_directory import artifact, model_files
from eimf_core.model_directory.model_files import PARTS
from eimf_core.recommend.config import RecommendConfig
from eimf_core.recommend.session import RecommendRequest, Session
from eimf_core.records import Item, Query
from tests.conftest import Eimf, one_error_line
from tests.recommend_models import answered, small_items, write_named_model
from tests.small_models import taste_vectors


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_named_model(tmp_path / "model")


def forge(model: Path, part: str, content: bytes) -> None:
    """Put other content in the place of a part, with a manifest that agrees."""
    (model / part).write_bytes(content)
    manifest = orjson.loads((model / "manifest.json").read_bytes())
    manifest["files"][part] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (model / "manifest.json").write_bytes(orjson.dumps(manifest))
    with model_files.opened(model) as handles:
        model_files.check(str(model), handles, whole=True)


def use(model: Path) -> None:
    """Everything that a model is asked for."""
    session = Session(model, RecommendConfig(), RecommendRequest(items=["-"]))
    answered(session, Query(history=["tea-1", "fish-2", "nope"]), explain="yarn-1")
    answered(session, Query(titles=["loom"]))
    session.similar_line("tea-1")


class Malicious:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("part", PARTS)
def test_a_pickle_is_not_loaded(model: Path, tmp_path: Path, part: str) -> None:
    trap = tmp_path / "trap"
    pickled = pickle.dumps(Malicious(trap))
    pickle.loads(pickled)
    assert trap.exists(), "the pickle of this test does nothing"
    trap.rmdir()
    for content in (pickled, b"\x93NUMPY\x01\x00v\x00" + pickled, b"PK\x03\x04" + pickled):
        forge(model, part, content)
        if part != "train.jsonl":
            with pytest.raises(ModelError) as caught:
                use(model)
            assert "\n" not in str(caught.value)
        else:
            use(model)
        assert not trap.exists()


def test_a_network_that_points_to_other_files(model: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(range(64)))
    network = onnx.load_from_string((model / "interests.onnx").read_bytes())
    tensor = network.graph.initializer.add()
    tensor.name, tensor.data_type = "stolen", onnx.TensorProto.FLOAT
    tensor.dims.extend([16])
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", str(tmp_path / "secret")
    forge(model, "interests.onnx", network.SerializeToString())
    with pytest.raises(ModelError, match="points to other files"):
        use(model)


def test_a_network_that_hides_that_it_points_to_other_files(model: Path, tmp_path: Path) -> None:
    """Lengths may be written with needless bytes, and the tensor may stand within a node."""
    tensor = onnx.TensorProto(name="stolen", data_type=onnx.TensorProto.FLOAT, dims=[16])
    tensor.data_location = onnx.TensorProto.EXTERNAL
    path = str(tmp_path / "secret").encode()
    entry = b"\x0a\x88\x80\x00location" + b"\x12" + bytes([len(path)]) + path
    raw = tensor.SerializeToString() + b"\x6a" + bytes([len(entry)]) + entry
    graph = b"\x2a" + _length(raw) + raw
    plain = (model / "interests.onnx").read_bytes()
    forge(model, "interests.onnx", plain + b"\x3a" + _length(graph) + graph)
    with pytest.raises(ModelError, match="points to other files"):
        use(model)
    network = onnx.load_from_string(plain)
    inner = onnx.helper.make_graph([], "inner", [], [], initializer=[onnx.TensorProto.FromString(raw)])
    network.graph.node[0].attribute.append(onnx.helper.make_attribute("hidden", inner))
    forge(model, "interests.onnx", network.SerializeToString())
    with pytest.raises(ModelError, match="points to other files"):
        use(model)


def _length(raw: bytes) -> bytes:
    return bytes([len(raw) & 127 | 128, len(raw) >> 7])


def _rename(network: onnx.ModelProto, old: str, new: str) -> None:
    for value in (*network.graph.input, *network.graph.output):
        value.name = new if value.name == old else value.name
    for node in network.graph.node:
        for names in (node.input, node.output):
            names[:] = [new if name == old else name for name in names]


def _narrow(network: onnx.ModelProto, name: str, axis: int) -> None:
    value = next(each for each in (*network.graph.input, *network.graph.output) if each.name == name)
    value.type.tensor_type.shape.dim[axis].dim_value = 7


def _free(network: onnx.ModelProto) -> None:
    """Interests of twice as many histories as there are, with a shape that tells nothing."""
    _rename(network, "interests", "single")
    network.graph.node.append(onnx.helper.make_node("Concat", ["single", "single"], ["interests"], axis=0))
    output = next(each for each in network.graph.output if each.name == "single")
    output.CopyFrom(onnx.helper.make_tensor_value_info("interests", onnx.TensorProto.FLOAT, [None, None, None]))


def _with_operator(network: onnx.ModelProto, operator: str, domain: str = "") -> None:
    network.graph.node.append(onnx.helper.make_node(operator, [], [], domain=domain))


def _with_function(network: onnx.ModelProto) -> None:
    loop = onnx.helper.make_node("Scan", [], [])
    network.functions.append(onnx.helper.make_function("own", "Hidden", [], [], [loop], network.opset_import))


def _with_giant(network: onnx.ModelProto, size: int) -> None:
    """A square matrix of `size` rows between the network and its output; no file shows how large it gets."""
    helper, graph = onnx.helper, network.graph
    graph.initializer.append(helper.make_tensor("size", onnx.TensorProto.INT64, [2], [size, size]))
    output = graph.output[0].name
    for node in graph.node:
        node.output[:] = ["before" if name == output else name for name in node.output]
    graph.node.extend(
        [
            helper.make_node("ReduceMax", ["vectors"], ["largest"], keepdims=0),
            helper.make_node("Expand", ["largest", "size"], ["square"]),
            helper.make_node("MatMul", ["square", "square"], ["product"]),
            helper.make_node("ReduceMax", ["product"], ["most"], keepdims=0),
            helper.make_node("Add", ["before", "most"], [output]),
        ]
    )


@pytest.mark.filterwarnings("ignore:This process")
def test_ctrl_c_while_a_network_runs(model: Path, tmp_path: Path) -> None:
    network = onnx.load_from_string((model / "interests.onnx").read_bytes())
    _with_giant(network, 8000)  # a minute or more of work
    forge(model, "interests.onnx", network.SerializeToString())
    opened = artifact.open_model(model)
    assert "vectors" in opened.network_inputs
    # in a process that ends with it, for the thread goes on
    began = time.monotonic()
    process = os.fork()
    if process == 0:
        try:
            threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
            opened.interests([np.array([1, 2])])
        except KeyboardInterrupt:
            os._exit(7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 7
    # a signal that waits for the network to end comes all the same, but late
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda network: _with_giant(network, 60_000), "takes more than 4 GiB of memory"),
        (lambda network: _rename(network, "vectors", "renamed-x"), "has no input 'vectors'"),
        (lambda network: _rename(network, "attention", "renamed-x"), "has no output 'attention'"),
        (lambda network: network.graph.output.pop(), "has no output 'attention'"),
        (lambda network: _narrow(network, "vectors", 2), "the input 'vectors' 7 wide, expected"),
        (lambda network: _narrow(network, "interests", 2), "the output 'interests' 7 wide, expected|cannot be read"),
        (_free, "gives 'interests' of the shape"),
        (lambda network: _with_operator(network, "Loop"), "the operator 'Loop', which is not allowed"),
        (lambda network: _with_operator(network, "If"), "the operator 'If'"),
        (lambda network: _with_operator(network, "Add", "com.microsoft"), "the operator 'Add'"),
        (_with_function, "the operator 'Scan'"),
    ],
)
def test_a_network_of_another_form(model: Path, change: Callable[[onnx.ModelProto], object], message: str) -> None:
    network = onnx.load_from_string((model / "interests.onnx").read_bytes())
    change(network)
    forge(model, "interests.onnx", network.SerializeToString())
    with pytest.raises(ModelError, match=message) as caught:
        use(model)
    assert "\n" not in str(caught.value)


def test_numbers_that_overflow_are_told_in_one_line(eimf: Eimf, model: Path) -> None:
    weights = {name: array.copy() for name, array in artifact.open_model(model).weights.items()}
    weights["item_vectors"] *= np.float32(1e30)
    forge(model, "weights.safetensors", save(weights))
    assert "no number" in one_error_line(eimf("recommend", model, "--items", "tea-1"), 4)
    done = eimf("recommend", model, "--items", "tea-1")
    assert b"Warning" not in done.stderr


@pytest.mark.parametrize("part", [*PARTS, "manifest.json"])
def test_links_out_of_the_directory_are_not_followed(model: Path, tmp_path: Path, part: str) -> None:
    shutil.move(model / part, tmp_path / part)
    (model / part).symlink_to(tmp_path / part)
    with pytest.raises(ModelError, match=part):
        use(model)
    (model / part).unlink()
    os.mkfifo(model / part)
    with pytest.raises(ModelError, match=part):
        use(model)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("offsets", lambda array: array * 0),
        ("offsets", lambda array: array - 7),
        ("offsets", lambda array: array[::-1].copy()),
        ("offsets", lambda array: np.full_like(array, 1 << 62)),
        ("hashes", lambda array: array * 0),
        ("order", lambda array: array + 1000),
        ("order", lambda array: array - 1000),
        ("order", lambda array: array[:-1].copy()),
        ("offsets", lambda array: array.astype(np.float32)),
        ("hashes", lambda array: array.reshape(2, -1)),
        ("order", lambda array: array[:, None].copy()),
        ("offsets", lambda array: np.array(array[0])),
    ],
)
def test_an_index_that_lies(model: Path, name: str, change: Callable[[np.ndarray], np.ndarray]) -> None:  # type: ignore[type-arg]
    handle = os.open(model / "items.index.safetensors", os.O_RDONLY)
    arrays = {key: array.copy() for key, array in weights_file.map_file(handle, "index").items()}
    os.close(handle)
    arrays[name] = change(arrays[name])
    forge(model, "items.index.safetensors", save(arrays))
    try:
        use(model)
    except EimfError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    "part",
    [
        "weights.safetensors",
        "items.index.safetensors",
        "items.jsonl",
        "config.json",
        "named.jsonl",
        "item_groups.safetensors",
    ],
)
def test_changed_bytes_are_told_in_one_line_or_change_the_answer_only(model: Path, part: str) -> None:
    original = (model / part).read_bytes()
    rng = random.Random(5)
    for _ in range(60):
        content = bytearray(original)
        for _ in range(rng.randint(1, 4)):
            content[rng.randrange(min(len(content), 2000))] = rng.randrange(256)
        forge(model, part, bytes(content))
        try:
            use(model)
        except EimfError as error:
            assert "\n" not in str(error)


def replace_again_and_again(path: Path, stop: object) -> None:
    """Write the model anew, version after version: every part of a version says the same number."""
    version = 0
    while not stop.is_set():  # type: ignore[attr-defined]
        version = 1 - version
        write_version(path, version)


def write_version(path: Path, version: int) -> None:
    items = [
        Item(item=item.item, title=f"{item.title} v{version}", categories=item.categories) for item in small_items()
    ]
    write_named_model(path, items[: 20 + version], seed=version)


def read_again_and_again(path: Path, times: int, problems: object) -> None:
    try:
        for _ in range(times):
            opened = artifact.open_model(path)
            version = opened.config.seed
            titles = {item.title[-1] for item in opened.catalogue}
            assert titles == {str(version)} and len(opened.vectors) == 21 + version
            opened.interests([np.array([1, 20])])
    except Exception as error:
        problems.put(repr(error))  # type: ignore[attr-defined]


@pytest.mark.slow
def test_two_readers_see_whole_versions_while_a_third_process_replaces_them(tmp_path: Path) -> None:
    assert taste_vectors(small_items()).shape[1] == 4
    path = tmp_path / "model"
    write_version(path, 0)
    context = multiprocessing.get_context("spawn")
    stop, problems = context.Event(), context.Queue()
    writer = context.Process(target=replace_again_and_again, args=(path, stop))
    readers = [context.Process(target=read_again_and_again, args=(path, 300, problems)) for _ in range(2)]
    writer.start()
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(timeout=120)
        assert reader.exitcode == 0
    stop.set()
    writer.join(timeout=30)
    assert writer.exitcode == 0 and problems.empty()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["model", "model.previous"]
