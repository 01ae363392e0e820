"""What every format of `prepare` has to keep: it is listed, detected, and read alike by DuckDB and by Python.

A new format needs an example here: files by name, the first of them the log (or the item file).
"""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from eimf_core.prepare import duckdb_session, log_files, registry
from eimf_core.prepare.columns import FIELDS, ITEM_FIELDS, KNOWN_NAMES
from eimf_core.prepare.config import PrepareConfig
from eimf_core.prepare.formats import MODULES, base
from eimf_core.prepare.formats.base import ItemFormat, LogFormat
from eimf_core.prepare.rejects import Rejects
from eimf_core.records import Item

FORMATS = Path(base.__file__).parent
SHARED = {"__init__", "base", "item_values"}
PARQUET = "SELECT * FROM (VALUES ('1', '10', 100), ('1', '20', 110), ('2', '10', 120)) AS log(user_id, item_id, time)"
LOGS: dict[str, dict[str, str]] = {
    "ml-100k": {"u.data": "1\t10\t5\t100\n1\t20\t4\t110\n2\t10\t3\t120\n"},
    "ml-1m": {"ratings.dat": "1::10::5::100\n1::20::4::110\n2::10::3::120\n"},
    "ml-csv": {"ratings.csv": "userId,movieId,rating,timestamp\n1,10,5.0,100\n1,20,4.5,110\n2,10,3.0,120\n"},
    "amazon": {
        "reviews_Tea.json": "".join(
            f'{{"reviewerID": "{user}", "asin": "{item}", "overall": 5.0, "unixReviewTime": {time}}}\n'
            for user, item, time in (("1", "10", 100), ("1", "20", 110), ("2", "10", 120))
        )
    },
    "amazon-2023": {
        "Tea.jsonl": "".join(
            f'{{"user_id": "{user}", "parent_asin": "{item}", "rating": 5.0, "timestamp": {time}}}\n'
            for user, item, time in (("1", "10", 100), ("1", "20", 110), ("2", "10", 120))
        )
    },
    "recbole-lists": {
        "tea.test.inter": "user_id:token\titem_id_list:token_seq\titem_id:token\n1\t10\t20\n2\t30\t10\n",
    },
    "minionerec": {"test.csv": "user_id,history_item_id,item_id\n1,['10'],20\n2,['30'],10\n"},
    "recbole": {
        "tea.inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float\n1\t10\t5\t100\n1\t20\t4\t110\n"
        "2\t10\t3\t120\n"
    },
    "pairs": {"log.txt": "1 10\n1 20\n2 10\n"},
    "user-lines": {"log.txt": "1 10 20\n2 10\n3 30 10 20\n"},
    "sequences": {"log.jsonl": '{"user": "1", "split": "train", "items": ["10", "20"]}\n'},
    "jsonl": {"log.jsonl": '{"user": "1", "item": "10", "ts": 100}\n{"user": "1", "item": "20", "ts": 110}\n'},
    "parquet": {"log.parquet": PARQUET},
    "csv": {"log.csv": 'client,sku,date\n1,10,2024-01-31\n1,"20",2024-02-01 10:00:00\n2,10,2024-02-02T10:00:00Z\n'},
}
FLAGS = "|".join("01" + "0" * 17)
ITEMS: dict[str, dict[str, str]] = {
    "u.item": {"u.item": f"10|Tea|||u|{FLAGS}\n20|Wool|||u|{FLAGS}\n"},
    "movies.dat": {"movies.dat": "10::Tea::Action\n20::Wool::Drama\n"},
    "movies.csv": {"movies.csv": "movieId,title,genres\n10,Tea,Action|Drama\n20,Wool,(no genres listed)\n"},
    "amazon metadata": {"meta_Tea.json": '{"asin": "10", "title": "Tea"}\n{"asin": "20", "title": "Wool"}\n'},
    ".item": {"tea.item": "item_id:token\ttitle:token_seq\n10\tTea\n20\tWool\n"},
    "mapped movies": {
        "sas_mapping/sas_to_original_items.txt": "10 1\n20 2\n",
        "movies.dat": "1::Tea::Action\n2::Wool::Drama\n",
    },
    "products lookup": {
        "products_lookup.csv": ",global_product_id,name\n0,7,Tea\n1,8,Wool\n",
        "item_id_to_int.json": '{"10": 7, "20": 8}',
    },
    "an object of items": {"Tea.item.json": '{"10": {"title": "Tea"}, "20": {"title": "Wool"}}'},
    "Item lines": {"items.jsonl": '{"item": "10", "title": "Tea"}\n{"item": "20", "title": "Wool"}\n'},
    "JSON lines of items": {"items.jsonl": '{"sku": 10, "name": "Tea"}\n{"sku": 20, "name": "Wool"}\n'},
    "a Parquet table of items": {
        "items.parquet": "SELECT * FROM (VALUES (10, 'Tea'), (20, 'Wool')) AS items(item_id, title)"
    },
    "an item table": {"items.csv": "sku,name\n10,Tea\n20,Wool\n"},
}
log_format = pytest.mark.parametrize("kind", registry.LOGS, ids=lambda kind: kind.name)
item_format = pytest.mark.parametrize("kind", registry.ITEMS, ids=lambda kind: kind.name)


def write(folder: Path, files: dict[str, str], *, packed: bool = False) -> Path:
    """The files of an example; returns the path of the first."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".parquet"):
            duckdb_session.library().sql(content).write_parquet(str(path))
        elif packed:
            path.with_name(path.name + ".gz").write_bytes(gzip.compress(content.encode()))
        else:
            path.write_text(content)
    first = folder / next(iter(files))
    return first if first.exists() else first.with_name(first.name + ".gz")


def test_every_file_is_listed_and_every_name_is_one_of_a_kind() -> None:
    assert sorted(MODULES) == sorted({path.stem for path in FORMATS.glob("*.py")} - SHARED)
    for formats in (registry.LOGS, registry.ITEMS):
        assert len({kind.name for kind in formats}) == len(formats)
    for field in {*FIELDS, *ITEM_FIELDS}:
        assert KNOWN_NAMES[field], field
    for field in FIELDS:
        assert hasattr(PrepareConfig(), f"{field}_column"), field


@log_format
def test_a_log_is_detected_packed_or_not(tmp_path: Path, kind: LogFormat) -> None:
    for packed in (False, True):
        path = write(tmp_path / str(packed), LOGS[kind.name], packed=packed)
        (found,) = registry.find_logs([path], PrepareConfig(), tmp_path)
        assert found.format is kind
        (forced,) = registry.find_logs([path], PrepareConfig(format=kind.name), tmp_path)
        assert forced.format is kind


@log_format
def test_duckdb_and_python_read_the_same_rows(tmp_path: Path, kind: LogFormat) -> None:
    source = log_files.probe(write(tmp_path, LOGS[kind.name]))
    if kind.convert is not None:
        path = kind.convert([source], tmp_path, Rejects())
        source = log_files.probe(path)
    scan = kind.scan(source, PrepareConfig())
    assert {"user", "item"} <= scan.has <= set(FIELDS)
    with duckdb_session.connected(tmp_path, memory_limit="100MB", threads=1) as connection:
        fast = connection.execute(scan.query(source.path)).fetchall()
    slow = [record.values for record in scan.records(source.path)]
    assert fast and [dict(zip(FIELDS, row, strict=True)) for row in fast] == [
        {field: None if values is None else values.get(field) for field in FIELDS} for values in slow
    ]


@log_format
def test_published_names_lead_to_the_log(tmp_path: Path, kind: LogFormat) -> None:
    """A folder that holds the example under each published name is read as this format."""
    for number, group in enumerate(kind.published):
        folder = tmp_path / str(number)
        patterns = [pattern for pattern in group.split() if not pattern.startswith("-")]
        for pattern in patterns:
            name = pattern.replace("[!m]", "T").replace("*", "tea")
            write(folder, {name: next(iter(LOGS[kind.name].values()))})
        found = registry.find_logs([folder], PrepareConfig(), tmp_path)
        assert len(found) == len(patterns) and all(log.format is kind for log in found)


@item_format
def test_an_item_file_is_detected_and_read(tmp_path: Path, kind: ItemFormat) -> None:
    (found,) = registry.find_items([write(tmp_path, ITEMS[kind.name])], [], PrepareConfig(), tmp_path)
    assert found.format is kind
    items = [item for item in kind.read(found.source, PrepareConfig()) if isinstance(item, Item)]
    assert [(item.item, item.title) for item in items] == [("10", "Tea"), ("20", "Wool")]
    if kind.columns is not None:
        assert set(found.fields.values()) <= set(found.columns) and {"item", "title"} <= found.fields.keys()
