"""What every format of `prepare` has to keep: it is listed, detected, and read alike by DuckDB and by Python.

A new format needs an example here: files by name, the first of them the log (or the item file).
"""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from eimf_core.prepare import duckdb_session, input_discovery, log_files
from eimf_core.prepare.columns import FIELDS, ITEM_FIELDS, KNOWN_NAMES, SCANNED
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
    "mind": {"behaviors.tsv": "1\t1\t11/15/2019 8:55:22 AM\t10\t20-1 30-0\n2\t2\t11/15/2019 8:55:22 PM\t10 30\t20-0\n"},
    "instacart": {
        "orders.csv": "order_id,user_id,eval_set,order_number\n7,1,prior,1\n8,1,train,2\n9,2,prior,1\n",
        "order_products__prior.csv": "order_id,product_id,add_to_cart_order,reordered\n7,10,1,0\n8,20,1,0\n9,10,1,0\n",
    },
    "shopify": {
        "orders_export.csv": "Name,Email,Created at,Lineitem name,Lineitem sku\n#1,a@x,2024-01-31 10:00:00,Tea,10\n"
        "#1,,,Wool,20\n#2,b@x,2024-01-31 11:00:00,Tea,10\n"
    },
    "diginetica": {
        "train-item-views.csv": "session_id;user_id;item_id;timeframe;eventdate\n1;NA;10;500;2016-05-09\n1;NA;20;700;"
        "2016-05-09\n2;7;10;100;2016-05-10\n"
    },
    "retailrocket": {
        "events.csv": "timestamp,visitorid,event,itemid,transactionid\n1433221332117,1,view,10,\n1433221332118,1,"
        "transaction,20,5\n1433221332119,2,view,10,\n"
    },
    "lastfm-2k": {"user_artists.dat": "userID\tartistID\tweight\n1\t10\t5\n1\t20\t4\n2\t10\t3\n"},
    "book-crossing": {
        "BX-Book-Ratings.csv": '"User-ID";"ISBN";"Book-Rating"\n"1";"10";"5"\n"1";"20";"0"\n"2";"10";"7"\n'
    },
    "hm": {
        "transactions_train.csv": "t_dat,customer_id,article_id,price,sales_channel_id\n2018-09-20,1,10,0.05,2\n"
        "2018-09-21,1,20,0.05,2\n2018-09-22,2,10,0.05,1\n"
    },
    "kuairec": {
        "big_matrix.csv": "user_id,video_id,play_duration,video_duration,time,date,timestamp,watch_ratio\n"
        "1,10,13838,10867,2020-07-05 00:08:23.438,20200705.0,1593878903.438,1.27\n"
        "1,20,13665,10984,2020-07-05 00:13:41.297,20200705.0,1593879221.297,1.24\n"
    },
    "kuairand": {
        "log_standard_4_08_to_4_21_pure.csv": "user_id,video_id,date,hourmin,time_ms,is_click\n"
        "1,10,20220421,700,1650495646893,1\n1,20,20220421,700,1650495646894,0\n"
    },
    "tmall": {
        "user_log_format1.csv": "user_id,item_id,cat_id,seller_id,brand_id,time_stamp,action_type\n"
        "1,10,833,2882,2661.0,829,0\n1,20,1271,2882,2661.0,830,2\n"
    },
    "amazon-ratings-2023": {
        "Tea.csv": "user_id,parent_asin,rating,timestamp\n1,10,5.0,1588687728923\n1,20,4.0,1588687728924\n"
    },
    "woocommerce": {
        "orders.csv": "Order Number,Order Date,Email (Billing),SKU,Item Name\n7,2024-01-31 10:00,a@x,10,Tea\n"
        "8,2024-01-31 10:00,a@x,,Wool\n"
    },
    "foursquare-csv": {
        "dataset_TSMC2014_NYC.csv": "userId,venueId,venueCategoryId,venueCategory,latitude,longitude,timezoneOffset,"
        "utcTimestamp\n1,10,4b,Bridge,40.7,-74.0,-240,Tue Apr 03 18:00:09 +0000 2012\n"
    },
    "taobao": {"UserBehavior.csv": "1,10,41,pv,1511544070\n1,20,41,buy,1511561733\n2,10,41,pv,1511572885\n"},
    "amazon-ratings": {
        "ratings_Tea.csv": "A39HTATAQ9V7YF,0205616461,5.0,1369699200\nA3JM6GV9MNOF9X,0558925278,3.0,1355443200\n"
    },
    "amazon-ratings-2018": {
        "Tea.csv": "0205616461,A39HTATAQ9V7YF,5.0,1369699200\n0558925278,A3JM6GV9MNOF9X,3.0,1355443200\n"
    },
    "gowalla": {
        "Gowalla_totalCheckins.txt": "1\t2010-10-19T23:55:27Z\t30.23\t-97.79\t10\n1\t2010-10-18T22:17:43Z\t30.2\t-97.7"
        "\t20\n"
    },
    "foursquare": {
        "dataset_TSMC2014_NYC.txt": "1\t10\t4bf5\tTea Room\t40.71\t-74.00\t-240\tTue Apr 03 18:00:09 +0000 2012\n"
        "2\t20\t4bf6\tBridge\t40.60\t-74.04\t-240\tTue Apr 03 18:00:25 +0000 2012\n"
    },
    "lastfm-360k": {
        "usersha1-artmbid-artname-plays.tsv": f"{'0a' * 20}\t3bd73256-3905-4f3a-97e2-8b341527f805\tBetty\t2137\n"
        f"{'0a' * 20}\t\tDie Ärzte\t1099\n"
    },
    "lastfm-1k": {
        "userid-timestamp-artid-artname-traid-traname.tsv": "user_000001\t2009-05-04T23:08:57Z\t"
        "f1b1cf71-bd35-4e99-8624-24a6e15f133a\tDeep Dish\t\tNearly Famous\n"
        "user_000001\t2009-05-04T13:54:10Z\t\tAlfa\tf7c1f8f8-b935-45ed-8fc8-7def69d92a10\tComposition\n"
    },
    "yelp": {
        "yelp_academic_dataset_review.json": '{"review_id":"K","user_id":"1","business_id":"10","stars":3.0,"date":'
        '"2018-07-07 22:09:11"}\n'
    },
    "goodreads": {
        "goodreads_interactions_tea.json": '{"user_id":"1","book_id":"10","review_id":"x","is_read":true,"rating":5,'
        '"date_added":"Mon Jul 02 09:12:00 -0700 2007","date_updated":"Mon Jul 02 09:12:00 -0700 2007"}\n'
    },
    "steam": {"steam_reviews.json": '{"username": "1", "product_id": "10", "date": "2017-12-17", "hours": 0.1}\n'},
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
    "MIND news": {
        "news.tsv": "10\tfood\tdrinks\tTea\tGreen\thttps://x\t[]\t[]\n20\thome\tcloth\tWool\t\thttps://y\t[]\t[]\n"
    },
    "Shopify products": {
        "products_export.csv": "Handle,Title,Body (HTML),Type,Variant SKU\ntea,Tea,T,A,10\ntea,,,,\nw,Wool,,,20\n"
    },
    "an object of items": {"Tea.item.json": '{"10": {"title": "Tea"}, "20": {"title": "Wool"}}'},
    "Item lines": {"items.jsonl": '{"item": "10", "title": "Tea"}\n{"item": "20", "title": "Wool"}\n'},
    "JSON lines of items": {"items.jsonl": '{"sku": 10, "name": "Tea"}\n{"sku": 20, "name": "Wool"}\n'},
    "a Parquet table of items": {
        "items.parquet": "SELECT * FROM (VALUES (10, 'Tea'), (20, 'Wool')) AS items(item_id, title)"
    },
    "an item table": {"items.csv": "sku,name\n10,Tea\n20,Wool\n"},
}
log_format = pytest.mark.parametrize("kind", input_discovery.LOGS, ids=lambda kind: kind.name)
item_format = pytest.mark.parametrize("kind", input_discovery.ITEMS, ids=lambda kind: kind.name)


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
    for formats in (input_discovery.LOGS, input_discovery.ITEMS):
        assert len({kind.name for kind in formats}) == len(formats)
    for field in {*FIELDS, *ITEM_FIELDS}:
        assert KNOWN_NAMES[field], field
    for field in FIELDS:
        assert hasattr(PrepareConfig(), f"{field}_column"), field


@log_format
def test_a_log_is_detected_packed_or_not(tmp_path: Path, kind: LogFormat) -> None:
    for packed in (False, True):
        path = write(tmp_path / str(packed), LOGS[kind.name], packed=packed)
        (found,) = input_discovery.find_logs([path], PrepareConfig(), tmp_path)
        assert found.format is kind
        (forced,) = input_discovery.find_logs([path], PrepareConfig(format=kind.name), tmp_path)
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
    assert fast and [dict(zip(SCANNED, row, strict=True)) for row in fast] == [
        {field: None if values is None else values.get(field) for field in SCANNED} for values in slow
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
        found = input_discovery.find_logs([folder], PrepareConfig(), tmp_path)
        assert len(found) == len(patterns) and all(log.format is kind for log in found)


@item_format
def test_an_item_file_is_detected_and_read(tmp_path: Path, kind: ItemFormat) -> None:
    (found,) = input_discovery.find_items([write(tmp_path, ITEMS[kind.name])], [], PrepareConfig(), tmp_path)
    assert found.format is kind
    items = [item for item in kind.read(found.source, PrepareConfig()) if isinstance(item, Item)]
    assert [(item.item, item.title) for item in items] == [("10", "Tea"), ("20", "Wool")]
    if kind.columns is not None:
        assert set(found.fields.values()) <= set(found.columns) and {"item", "title"} <= found.fields.keys()
