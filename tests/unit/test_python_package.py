"""`import eimf`: frames and keywords in, records and frames out, errors by the names of arguments."""

from __future__ import annotations

import doctest
import importlib
import shutil
import subprocess
import sys
import typing
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

import eimf
from eimf import reporting, setting_types
from eimf_core.clustering.config import ClusterConfig
from eimf_core.evaluation.config import EvalConfig
from eimf_core.io import jsonl
from eimf_core.labeling.config import LabelConfig
from eimf_core.prepare.config import PrepareConfig
from eimf_core.recommend.config import RecommendConfig
from eimf_core.records import Item, Sequence
from eimf_core.training.config import TrainConfig
from tests.conftest import ROOT, Eimf
from tests.notebook import run_cells
from tests.recommend_models import write_named_model
from tests.small_data import write_small_data

ROWS = [
    {"user": f"u{user}", "item": f"i{(user * 3 + at) % 7}", "time": 1_600_000_000 + 86_400 * (user + 5 * at)}
    for user in range(8)
    for at in range(6)
]
ITEMS = [{"item": f"i{at}", "title": f"Title {at}", "categories": ["tea", "green"]} for at in range(7)]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a prepared directory and a model of it."""
    folder = tmp_path_factory.mktemp("small")
    write_small_data(folder / "data")
    write_named_model(folder / "model", words=True)
    return folder


def test_the_import_loads_nothing_of_ours_or_others() -> None:
    program = "import sys; before = set(sys.modules); import eimf; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = done.stdout.split()
    assert {name.partition(".")[0] for name in loaded} - sys.stdlib_module_names == {
        "eimf"
    } and "eimf.steps" not in loaded


def test_all_that_is_told_is_there() -> None:
    for name in (*eimf.__all__, "__version__"):
        assert getattr(eimf, name) is not None and name in dir(eimf)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = eimf.nothing


@pytest.mark.parametrize(
    "config", [PrepareConfig, ClusterConfig, LabelConfig, TrainConfig, EvalConfig, RecommendConfig]
)
def test_keywords_are_typed_as_the_settings_are(config: type) -> None:
    types = getattr(setting_types, config.__name__.replace("Config", "Settings"))
    assert typing.get_type_hints(types) == typing.get_type_hints(config)
    assert types.__total__ is False and config.__name__ in types.__doc__


def written(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in ("sequences.jsonl", "items.jsonl")]


@pytest.mark.parametrize("kind", ["pandas", "polars", "lazy", "pyarrow", "duckdb", "rows"])
def test_tables_in_memory_are_read_as_files_are(kind: str, tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in ROWS))
    (tmp_path / "items.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in ITEMS))
    eimf.prepare(tmp_path / "log.jsonl", tmp_path / "of-files", items=[tmp_path / "items.jsonl"])
    done = eimf.prepare(in_memory(kind, ROWS), tmp_path / "of-tables", items=in_memory(kind, ITEMS))
    assert written(done.directory) == written(tmp_path / "of-files")
    sidecar = orjson.loads((done.directory / "sequences.jsonl.meta.json").read_bytes())
    assert sidecar["arguments"]["logs"] == ["<log>"] and sidecar["inputs"] == {}
    assert list(done.directory.parent.glob(".*")) == []


def in_memory(kind: str, rows: list[dict[str, Any]]) -> Any:
    if kind == "rows":
        return rows
    if kind == "duckdb":
        import duckdb

        path = Path.cwd() / f"{len(rows)}.json"
        path.write_bytes(orjson.dumps(rows))
        return duckdb.read_json(str(path))
    library = pytest.importorskip("polars" if kind == "lazy" else kind)
    if kind == "pyarrow":
        return library.Table.from_pylist(rows)
    frame = library.DataFrame(rows)
    return frame.lazy() if kind == "lazy" else frame


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_dates_of_a_frame_are_times(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(ROWS)
    frame["time"] = pandas.to_datetime(frame["time"], unit="s")
    eimf.prepare(frame, "dates")
    eimf.prepare(ROWS, "seconds")
    assert written(Path("dates")) == written(Path("seconds"))


def test_rows_may_hold_numbers_of_numpy_and_dates() -> None:
    given = [
        {**row, "user": np.int64(row["user"][1:]), "time": datetime.fromtimestamp(row["time"], UTC)} for row in ROWS
    ]
    eimf.prepare(given, "given")
    eimf.prepare([{**row, "user": row["user"][1:]} for row in ROWS], "plain")
    assert written(Path("given")) == written(Path("plain"))
    eimf.prepare([{"user": row["user"], "item": np.float32(row["item"][1:]), "time": row["time"]} for row in ROWS], "n")
    assert {item.item for item in jsonl.read("n/items.jsonl", Item)} == {str(at) for at in range(7)}


def test_a_bad_row_of_a_table_is_told_by_row_and_field() -> None:
    rows = [*ROWS[:3], {"user": "u1", "item": "i1", "time": "yesterday"}, *ROWS[3:]]
    with pytest.raises(eimf.InputError, match=r"^<log>:4: field 'time': .*yesterday"):
        eimf.prepare(rows, "out")
    with pytest.raises(eimf.InputError, match="<log>:2: is a str, expected a dictionary"):
        eimf.prepare([ROWS[0], "u1"], "out")
    with pytest.raises(eimf.InputError, match=r"no column is recognised as the user .* with user_column"):
        eimf.prepare([{"who": 1, "item": 2, "time": 3}], "out")
    with pytest.raises(eimf.ConfigError, match="<log> is a int; expected a path, a frame"):
        eimf.prepare(7, "out")
    with pytest.raises(eimf.InputError, match="<log>: is empty"):
        eimf.prepare([], "out")
    with pytest.raises(eimf.ConfigError, match=r"^format does not go with <log>, which is a table already$"):
        eimf.prepare(ROWS, "out", format="csv")
    assert not Path("out").exists()


def test_columns_that_no_file_holds_are_told_as_such() -> None:
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    days = pandas.DataFrame(ROWS).assign(day=pandas.period_range("2024-01-01", periods=len(ROWS)))
    things = polars.DataFrame(ROWS).with_columns(polars.Series("x", [object()] * len(ROWS), dtype=polars.Object))
    for frame in (days, things):
        with pytest.raises(eimf.InputError, match=r"^<log>: cannot be read as a table \(.*\); leave such columns out"):
            eimf.prepare(frame, "out")
    for frame in (pandas.DataFrame(), polars.DataFrame()):
        with pytest.raises(eimf.InputError, match="<log>: has no columns"):
            eimf.prepare(frame, "out")


def test_an_array_of_records_is_a_table_and_an_index_is_no_column() -> None:
    pandas = pytest.importorskip("pandas")
    frame, items = pandas.DataFrame(ROWS), pandas.DataFrame(ITEMS)
    eimf.prepare(frame.to_records(), "records", items=items[["item", "title"]].to_records(index=False))
    eimf.prepare(frame, "frame", items=items[["item", "title"]])
    assert written(Path("records")) == written(Path("frame"))
    hint = r"; the index \(user\) is no column, frame.reset_index\(\) makes it one$"
    for settings in ({}, {"user_column": "user"}):
        with pytest.raises(eimf.InputError, match=f"^<log>: .*user.* item, time.*{hint}"):
            eimf.prepare(frame.set_index("user"), "out", **settings)
    with pytest.raises(eimf.InputError, match=f"^<items>: .*{hint.replace('user', 'item')}"):
        eimf.prepare(frame, "out", items=items.set_index("item"))


def test_warnings_are_told_by_the_names_of_arguments() -> None:
    with pytest.warns(eimf.EimfWarning, match=r"7 of 7 items have no text; give it with items$"):
        eimf.prepare(ROWS, "out")


def test_settings_are_told_by_the_names_of_arguments() -> None:
    with pytest.raises(eimf.ConfigError, match="no setting 'min_users'; did you mean min_user"):
        eimf.prepare(ROWS, "out", min_users=3)  # type: ignore[call-arg]
    with pytest.raises(eimf.ConfigError, match=r"^min_user is 0, expected 1 or more"):
        eimf.prepare(ROWS, "out", min_user=0)
    with pytest.raises(eimf.ConfigError, match="min_user is 'few', expected a whole number"):
        eimf.prepare(ROWS, "out", min_user="few")  # type: ignore[arg-type]
    with pytest.raises(eimf.ConfigError, match=r"^target goes with split temporal"):
        eimf.prepare(ROWS, "out", split="none", target="all")
    with pytest.raises(eimf.ConfigError, match="there is no setting 'kk'"):
        eimf.open_model("model", kk=3)  # type: ignore[call-arg]
    with pytest.raises(eimf.ConfigError, match=r"^fast and backbone both say"):
        eimf.train("data", "model", fast=True, backbone="narm")
    with pytest.raises(eimf.ConfigError, match=r"^k is 0, expected a number from 1"):
        eimf.evaluate("model", "data", k=[0])
    with pytest.raises(eimf.ConfigError, match=r"on the command line: eimf label --dry-run$"):
        eimf.label("samples.jsonl", "labels.jsonl", dry_run=True)


def test_options_of_the_command_are_told_by_their_names_here(small: Path) -> None:
    model = eimf.open_model(small / "model", k=2)
    for ask in (lambda: next(model.recommend_many([{"titles": ["tea"]}])), lambda: model.similar("tea")):
        with pytest.raises(eimf.InputError, match=r"or take first_match$"):
            ask()
    with pytest.raises(eimf.ConfigError, match=r"^output all.xyz: its ending says the form"):
        model.recommend_all(small / "data", "all.xyz")
    Path("mine.csv").write_text("mine")
    with pytest.raises(eimf.ConfigError, match="or give force to replace it"):
        model.recommend_all(small / "data", "mine.csv")
    with pytest.raises(eimf.ConfigError, match=r"it goes with user and sequences, or with recommend_all$"):
        eimf.open_model(small / "model", repeat_after=3)
    # those of other steps, and keys of a configuration, have the same names; a command that is quoted stays one
    assert reporting.named(
        "--labels, --item-vectors or --split; lower 'overlap' in --config (eimf train --help-all)"
    ) == ("labels, item_vectors or split; lower 'overlap' (eimf train --help-all)")
    assert reporting.named("heads (in --config) is 3") == "heads is 3" and reporting.named("ray --head") == "ray --head"


def test_answers_are_those_of_the_command(small: Path, eimf: Eimf) -> None:
    import eimf as package

    model = package.open_model(small / "model", k=3)
    found = model.recommend(items=["tea-1", "tea-2"], exclude="tea-3")
    command = eimf("recommend", small / "model", "--items", "tea-1,tea-2", "--exclude", "tea-3", "-k", 3)
    told = orjson.loads(command.stdout)
    assert [(each.item, each.score) for each in found] == [(each["item"], each["score"]) for each in told["items"]]
    assert found.history is not None and found.history.items == 2 and found.interests[0].name == "tea drinking"
    assert found.to_list()[0]["name"] == "tea drinking" and len(found) == 3 and found[-1].rank == 3
    assert [each.item for each in model.similar("tea-1")] == [
        each["item"] for each in orjson.loads(eimf("similar", small / "model", "tea-1", "-k", 3).stdout)["items"]
    ]
    assert model.recommend(text="green tea", k=1)[0].item.startswith("tea")
    assert model.recommend(like="Loom", k=1)[0].item.startswith("yarn")
    by_user = model.recommend(user="user-1", sequences=small / "data")
    assert by_user.answer.id == "user-1" and repr(model).endswith("halves, 24 items)")
    several = list(model.recommend_many([{"history": ["tea-1", "tea-2"], "exclude": ["tea-3"]}, {"history": []}]))
    assert several[0] == found and several[1].answer.fallback == "popularity"
    done = model.recommend_all(small / "data", "all.jsonl")
    assert done.answered.users == 60 and done.answered.rows == 180


def test_columns_of_frames_are_histories(small: Path) -> None:
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    model, history = eimf.open_model(small / "model"), ["tea-1", "yarn-2"]
    expected = model.recommend(items=history)
    for given in (
        pandas.Series(history), pandas.Series(history, dtype="category"), polars.Series(history), np.array(history),
        (item for item in history), dict.fromkeys(history).keys(),
    ):  # fmt: skip
        assert model.recommend(items=given) == expected
    for given in (pandas.Series(history), polars.Series(history), np.array(history, dtype=object)):
        assert next(model.recommend_many([{"history": given}])) == expected
    for gap in (None, float("nan"), pandas.NA, pandas.NaT, b"tea-1", ["tea-1"]):
        with pytest.raises(eimf.InputError, match=r"field 'items\[1\]': is .*, expected an id"):
            model.recommend(items=["tea-1", gap])


@pytest.mark.parametrize(
    ("field", "value"),
    [("k", "3"), ("k", 3.5), ("k", True), ("diversity", "much"), ("diversity", float("nan")), ("seen", "never"),
     ("times", ["today"]), ("times", 5), ("events", "buy")],
)  # fmt: skip
def test_a_value_of_another_kind_is_told_by_its_field(small: Path, field: str, value: Any) -> None:
    model = eimf.open_model(small / "model")
    with pytest.raises(eimf.InputError, match=f"^field '{field}"):
        model.recommend(items=["tea-1"], **{field: value})
    with pytest.raises(eimf.InputError, match=f"^queries:2: field '{field}"):
        list(model.recommend_many([{"history": []}, {"history": ["tea-1"], field: value}]))


def test_what_is_no_query_is_told(small: Path) -> None:
    model = eimf.open_model(small / "model")
    with pytest.raises(eimf.ConfigError, match="nowhere: no such directory"):
        model.recommend_all("nowhere", "all.csv")
    for given, words in (
        ("tea-1", "is a str, expected a dictionary"), ({"history": {1}, "k": 1}, "field 'history': cannot be read"),
        ({"history": ["\ud800"]}, "field 'history': cannot be read"),
    ):  # fmt: skip
        with pytest.raises(eimf.InputError, match=f"^queries:1: {words}"):
            list(model.recommend_many([given]))  # type: ignore[list-item]


class Frame:
    """What frames of any library have."""

    columns = ("user", "item")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: eimf.prepare(np.zeros((3, 3)), "out"),
            "<log> is an array of numpy, whose columns have no names",
        ),
        (lambda: eimf.prepare([["u", "i", 1]], "out"), "<log>:1: is a list, expected a dictionary"),
        (lambda: eimf.prepare(ROWS, 5), "output is of type int, expected a path"),
        (lambda: eimf.evaluate(5, "data"), "models is of type int, expected a path"),
        (lambda: eimf.evaluate(["model", None], "data"), "models is of type NoneType, expected a path"),
        (lambda: eimf.evaluate("model", 5), "data is of type int, expected a path"),
        (lambda: eimf.train(5, "model"), "data is of type int, expected a path"),
        (lambda: eimf.train("data", "model", init=5), "init is of type int, expected a path"),
        (lambda: eimf.cluster("data", 5), "output is of type int, expected a path"),
        (lambda: eimf.label(5, "out"), "samples is of type int, expected a path"),
        (lambda: eimf.open_model(5), "path is of type int, expected a path"),
        (lambda: eimf.open_model("model", boost=5), "boost is of type int, expected a path"),
        (lambda: eimf.open_model("model", only_items=Frame()), "only_items is a frame, expected a path; write it to a"),
        (lambda: eimf.cluster(Frame(), "out"), "data is a frame, expected a path; eimf.prepare makes the directory"),
        (lambda: eimf.open_model("mod\0el"), r"path is 'mod\\x00el', which no file can be called"),
        (lambda: eimf.cluster("data", "\ud800"), r"output is '\\ud800', which no file can be called"),
        (lambda: eimf.open_model("model", seen=np.zeros(3)), "seen is a ndarray, expected drop or keep"),
        (lambda: eimf.open_model("model", encoder=np.zeros(3)), "encoder is a ndarray, expected text"),
        (lambda: eimf.open_model("model", k=object()), "k is a object, expected a whole number"),
    ],
)
def test_what_is_no_path_and_no_table_is_told(small: Path, call: Any, words: str) -> None:
    with pytest.raises(eimf.EimfError, match=f"^{words}"):
        call()


def test_frames_of_polars_go_together(small: Path) -> None:
    polars = pytest.importorskip("polars")
    model = eimf.open_model(small / "model")
    found, none = (
        model.recommend(items=["tea-1"]).to_polars(),
        model.recommend(items=["tea-1"], only=["no"]).to_polars(),
    )
    assert len(none) == 0 and none.schema == found.schema
    assert len(polars.concat([found, none])) == len(found) > 0


def test_what_is_wrong_with_a_query_is_told(small: Path) -> None:
    model = eimf.open_model(small / "model")
    with pytest.raises(eimf.InputError, match=r"'tea' may be .*first"):
        model.recommend(like="tea")
    with pytest.raises(eimf.ConfigError, match=r"^user needs sequences"):
        model.recommend(user="user-1")
    with pytest.raises(eimf.InputError, match="queries:1: unknown field 'histroy'; did you mean history"):
        list(model.recommend_many([{"histroy": []}]))
    with pytest.raises(eimf.InputError, match="has 1 entries for 2 items"):
        model.recommend(items=["tea-1", "tea-2"], times=[1.0])
    with pytest.warns(eimf.EimfWarning, match="unknown items: 17"):
        assert model.recommend(items=[17, "tea-1"]).unknown == ["17"]
    heard: list[str] = []
    reporter = eimf.Reporter()
    reporter.warn = heard.append  # type: ignore[method-assign]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        eimf.open_model(small / "model", reporter=reporter).recommend(items=["none"])
    assert heard == ["unknown items: none; no id of the history is known, so that the most popular items are listed"]


def test_records_become_frames(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = eimf.open_model(small / "model", k=4).recommend(items=["tea-1"])
    figures = eimf.evaluate(small / "model", small / "data", k=[5], baselines="none", resamples=100, output="out.jsonl")
    assert figures.value("recall", 5) == next(each.value for each in figures if each.metric == "recall")
    assert Path("out.jsonl").exists() and "model: recall@5" in repr(figures)
    with pytest.raises(KeyError, match="recall@7"):
        figures.value("recall", 7)
    for name in ("pandas", "polars"):
        pytest.importorskip(name)
        frame = getattr(found, f"to_{name}")()
        assert list(frame.columns) == ["rank", "item", "title", "score", "interest", "name"] and len(frame) == 4
        assert list(frame["item"]) == [each.item for each in found]
        assert list(getattr(figures, f"to_{name}")()["metric"]) == [each.metric for each in figures]
        empty = getattr(type(found)(type(found.answer)(id="1", items=[], interests=[])), f"to_{name}")()
        assert list(empty.columns) == list(frame.columns) and len(empty) == 0
    for name in ("pandas", "polars"):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(ImportError, match=f"^to_{name} needs {name}, which is not installed; pip install {name}$"):
            getattr(found, f"to_{name}")()


@pytest.mark.slow
def test_examples_in_docstrings_and_the_notebook_run(tmp_path: Path) -> None:
    """In the order of the steps, in one folder: what one writes, the next ones read."""
    (tmp_path / "examples").mkdir()
    shutil.copytree(ROOT / "examples" / "shop", tmp_path / "examples" / "shop")
    runner, finder = doctest.DocTestRunner(), doctest.DocTestFinder()
    steps, model = (importlib.import_module(f"eimf.{name}") for name in ("steps", "model"))
    tests = [test for module in (steps, model) for test in finder.find(module, globs={"eimf": eimf}) if test.examples]
    by_line = sorted(tests, key=lambda test: (test.filename != steps.__file__, test.lineno or 0))
    for test in by_line:
        assert runner.run(test).failed == 0, test.name
    assert {test.name.rpartition(".")[2] for test in tests} >= {
        "prepare", "cluster", "label", "train", "evaluate", "open_model", "recommend", "recommend_many", "similar",
    }  # fmt: skip
    outputs = run_cells(ROOT / "examples" / "python.ipynb")
    stored = orjson.loads((ROOT / "examples" / "python.ipynb").read_bytes())["cells"]
    code = [cell for cell in stored if cell["cell_type"] == "code"]
    assert [bool(output) for output in outputs] == [bool(cell["outputs"]) for cell in code] and any(outputs)


def test_records_of_a_small_preparation_are_the_files(tmp_path: Path) -> None:
    done = eimf.prepare(ROWS, "out", items=ITEMS, split="leave-one-out")
    assert done.report.splits["train"].users == len({line.user for line in jsonl.read("out/sequences.jsonl", Sequence)})
    assert next(item.title for item in jsonl.read("out/items.jsonl", Item)).startswith("Title")
    assert " without_text=" not in repr(done)
