"""`import eimf`: dates, columns and tables of Python where the command has numbers, words and files."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

import eimf
from eimf import query_values
from tests.recommend_models import write_named_model
from tests.small_data import write_small_data
from tests.unit.test_python_package import ROWS, in_memory


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, where the test runs, with a prepared directory and a model of it."""
    monkeypatch.chdir(tmp_path)
    write_small_data(tmp_path / "data")
    write_named_model(tmp_path / "model", words=True)
    return tmp_path


def test_dates_are_times_of_a_history(small: Path) -> None:
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    model, history = eimf.open_model(small / "model"), ["tea-1", "yarn-2"]
    seconds = [1_600_000_000, 1_600_086_400.5]
    expected = model.recommend(items=history, times=seconds)
    dates = pandas.Series(pandas.to_datetime(seconds, unit="s"))
    for given in (
        dates, dates.dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo"), pandas.DatetimeIndex(dates), dates.tolist(),
        dates.to_numpy(), [*dates.to_numpy()], polars.Series(dates), [each.to_pydatetime() for each in dates],
    ):  # fmt: skip
        assert model.recommend(items=history, times=given) == expected
        assert [*next(model.recommend_many([{"history": history, "times": given}]))] == [*expected]
        until = model._session.resolver.resolve(query_values.read_query({"history": history, "times": given}, 1)).times
        assert until is not None and until.tolist() == seconds
    days = model.recommend(items=["tea-1"], times=[date(2024, 1, 31)])
    assert days.history is not None and days.history.until == datetime(2024, 1, 31, tzinfo=UTC).timestamp()
    for gap in (dates.where([True, False]), [seconds[0], None], np.array(["2024-01-31", "NaT"], dtype="datetime64[s]")):
        with pytest.raises(eimf.InputError, match=r"^field 'times\[1\]': "):
            model.recommend(items=history, times=gap)


@pytest.mark.parametrize("gap", [None, float("nan"), 5, b"tea", ["tea"]])
def test_a_title_that_is_missing_is_told_by_its_field(small: Path, gap: Any) -> None:
    model = eimf.open_model(small / "model")
    with pytest.raises(eimf.InputError, match=r"^field 'like\[1\]': is .*, expected text$"):
        model.recommend(like=["Loom", gap])
    with pytest.raises(eimf.InputError, match=r"^field 'only\[0\]': is .*, expected text$"):
        eimf.open_model(small / "model", only=[gap])
    for name in ("text", "user", "explain") if gap is not None else ():
        with pytest.raises(eimf.EimfError, match=f"^(field '{name}': is|user needs|no item has) .*"):
            model.recommend(items=["tea-1"], **{name: gap})
    if gap != 5:
        with pytest.raises(eimf.InputError, match=r"^field 'item': is .*, expected an id$"):
            model.similar(gap)


def test_a_frame_in_the_place_of_its_column_is_told(small: Path) -> None:
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    model = eimf.open_model(small / "model")
    for frame in (pandas.DataFrame(ROWS), polars.DataFrame(ROWS), polars.DataFrame(ROWS).lazy()):
        for name in ("items", "like", "exclude", "only", "times", "events", "user", "explain"):
            with pytest.raises(eimf.InputError, match=rf'^field \'{name}\': is a frame, .* frame\["item"\]$'):
                model.recommend(**{"items": ["tea-1"], name: frame})
        rows = r"frame.to_dict\(\"records\"\)" if isinstance(frame, pandas.DataFrame) else "frame.*to_dicts"
        with pytest.raises(eimf.ConfigError, match=f"^queries is a frame; give its rows, .*: {rows}"):
            list(model.recommend_many(frame))
    for given, kind in (({"history": []}, "dict"), (5, "int"), ("tea-1", "str")):
        with pytest.raises(eimf.ConfigError, match=f"^queries is a {kind}, expected dictionaries"):
            list(model.recommend_many(given))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["pandas", "polars", "lazy", "pyarrow", "duckdb", "rows"])
def test_new_items_and_factors_may_be_tables_in_memory(small: Path, kind: str) -> None:
    new = [{"item": "jar", "title": "Green Tea Jar", "text": None}, {"item": 7, "title": "Yarn Bag", "text": "Wool"}]
    factors = [{"item": "tea-1", "factor": 0.5}, {"item": "tea-2", "factor": 3.0}]
    given = [{**row, "item": str(row["item"])} for row in new] if kind != "rows" else new
    write_lines("new.jsonl", [{key: value for key, value in row.items() if value is not None} for row in new])
    write_lines("factors.jsonl", factors)
    of_files = eimf.open_model(small / "model", new_items="new.jsonl", boost="factors.jsonl", k=26)
    of_tables = eimf.open_model(
        small / "model", new_items=in_memory(kind, given), boost=in_memory(kind, [*factors, factors[0]]), k=26
    )
    assert of_tables.recommend(items=["tea-0"]) == of_files.recommend(items=["tea-0"])
    assert {"jar", "7"} <= {each.item for each in of_tables.recommend(items=["tea-0"])}
    of_files.recommend_all(small / "data", "files.jsonl")
    for _ in range(2):
        of_tables.recommend_all(small / "data", "tables.jsonl")
    assert Path("tables.jsonl").read_bytes() == Path("files.jsonl").read_bytes()
    described = orjson.loads(Path("tables.jsonl.meta.json").read_bytes())
    assert described["arguments"]["new_items"] == "<new_items>" and {"<new_items>", "<boost>"} < set(
        described["inputs"]
    )


def write_lines(path: str, rows: list[dict[str, Any]]) -> None:
    Path(path).write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))


def test_samples_and_labels_may_be_tables_in_memory(small: Path) -> None:
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    eimf.cluster("data", "samples.jsonl", budget="8", clusters="3")
    eimf.label("samples.jsonl", "labels.jsonl", engine="keywords")
    samples = [orjson.loads(line) for line in Path("samples.jsonl").read_bytes().splitlines()]
    labels = [orjson.loads(line) for line in Path("labels.jsonl").read_bytes().splitlines()]
    said = [label["interests"] for label in labels]
    quick: Any = {"backbone": "narm", "epochs": 1, "dimension": 8, "device": "cpu"}
    eimf.train("data", "of-file", labels="labels.jsonl", **quick)
    for kind, table in (("pandas", pandas.DataFrame), ("polars", polars.DataFrame), ("rows", list)):
        eimf.label(table(samples), f"{kind}.jsonl", engine="keywords")
        assert [orjson.loads(line)["interests"] for line in Path(f"{kind}.jsonl").read_bytes().splitlines()] == said
        assert eimf.train("data", kind, labels=table(labels), **quick).labelled == len(labels)
        for name in ("weights.safetensors", "named.jsonl"):
            assert Path(kind, name).read_bytes() == Path("of-file", name).read_bytes()
        assert "<labels>" in orjson.loads(Path(kind, "manifest.json").read_bytes())["inputs"]


def test_a_bad_row_of_such_a_table_is_told_by_row_and_field(small: Path) -> None:
    pandas = pytest.importorskip("pandas")
    untitled = pandas.DataFrame([{"item": "a", "title": "A"}, {"item": "b", "title": None}])
    with pytest.raises(eimf.InputError, match=r"^<new_items>:2: .*title"):
        eimf.open_model(small / "model", new_items=untitled)
    with pytest.raises(eimf.InputError, match=r"^<boost>:1: .*expected an item and a factor"):
        eimf.open_model(small / "model", boost=[{"item": "tea-1"}])
    with pytest.raises(eimf.InputError, match=r"^<labels>:1: is a int, expected a dictionary"):
        eimf.train(small / "data", "out", labels=[5])
    with pytest.raises(eimf.InputError, match=r"^<labels>:1: .*interests"):
        eimf.train(small / "data", "out", labels=[{"user": "user-1"}], backbone="narm")
