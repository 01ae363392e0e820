"""Published logs that are tables, told by their columns or, without a header, by what stands in them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from eimf_core.prepare import log_files
from eimf_core.prepare.columns import normalised
from eimf_core.prepare.config import PrepareConfig
from eimf_core.prepare.csv_cells import escape_of
from eimf_core.prepare.formats.base import LogFormat, nearly_all, needed
from eimf_core.prepare.header import delimiter_of, split_line
from eimf_core.prepare.log_files import Source
from eimf_core.prepare.scans import Delimited

LINES = 100
"""Lines that are looked at."""


@dataclass(frozen=True)
class HeaderTable:
    """A published table with a header.

    Attributes:
        name, summary, published, item_files: as in `LogFormat`.
        fields: the column of each field, in its normalised form; of several, parted by a bar, the one that is there.
        optional: the same of fields that it may lack.
        more: columns that it has besides, and that tell it from others.
        also: further columns of the time.
        instead: by field the field whose column counts where its own is empty.
        latin: whether it is published in ISO-8859-1.
    """

    name: str
    summary: str
    fields: dict[str, str]
    more: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    instead: tuple[tuple[str, str], ...] = ()
    latin: bool = False
    published: tuple[str, ...] = ()
    item_files: tuple[str, ...] = ()
    optional: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class HeaderlessTable:
    """A published table without a header.

    Attributes:
        name, summary, published, item_files: as in `LogFormat`.
        delimiter, columns: what separates the columns, and what they are; those that are fields have their names.
        cells: what nearly every row has in these columns.
        instead, latin: as in `HeaderTable`.
    """

    name: str
    summary: str
    delimiter: str
    columns: tuple[str, ...]
    cells: dict[str, str]
    instead: tuple[tuple[str, str], ...] = ()
    latin: bool = False
    published: tuple[str, ...] = ()
    item_files: tuple[str, ...] = ()


NUMBER, DECIMAL, SECONDS = r"\d+", r"-?\d+(\.\d+)?", r"1\d{9}"
ISO = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
WEEKDAY_TIME = r"[A-Z][a-z]{2} [A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d [-+]\d{4} \d{4}"
UUID = r"([0-9a-f]{8}-[0-9a-f-]{27})?"
REVIEWER, ASIN, STARS = r"A[0-9A-Z]{9,20}|#oc-R[0-9A-Z]+", r"[0-9B][0-9A-Z]{9}", r"[1-5](\.0)?"
FIELDS = ("user", "item", "time", "rating", "event", "title", "category")

HEADER_TABLES = (
    HeaderTable(
        "diginetica", "Diginetica: train-item-views.csv, a session as the user, ordered by timeframe",
        {"user": "sessionid", "item": "itemid", "time": "eventdate"}, ("userid", "timeframe"), ("timeframe",),
        published=("train-item-views.csv",),
    ),
    HeaderTable(
        "retailrocket", "RetailRocket: events.csv",
        {"user": "visitorid", "item": "itemid", "time": "timestamp", "event": "event"}, ("transactionid",),
        published=("events.csv",),
    ),
    HeaderTable(
        "lastfm-2k", "Last.fm 2K (HetRec): user_artists.dat, names from artists.dat beside it",
        {"user": "userid", "item": "artistid"}, ("weight",),
        published=("user_artists.dat",), item_files=("artists.dat",),
    ),
    HeaderTable(
        "book-crossing", "Book-Crossing: BX-Book-Ratings.csv, titles from BX-Books.csv beside it",
        {"user": "userid", "item": "isbn", "rating": "bookrating|rating"}, latin=True,
        published=("BX-Book-Ratings.csv", "BX_Book-Ratings.csv", "Book-Ratings.csv", "Ratings.csv"),
        item_files=("BX-Books.csv", "BX_Books.csv", "Books.csv"),
    ),
    HeaderTable(
        "hm", "H&M: transactions_train.csv, product names from articles.csv beside it",
        {"user": "customerid", "item": "articleid", "time": "tdat"},
        published=("transactions_train.csv",), item_files=("articles.csv",),
    ),
    HeaderTable(
        "kuairec", "KuaiRec: big_matrix.csv, captions from kuairec_caption_category.csv beside it",
        {"user": "userid", "item": "videoid", "time": "timestamp"}, ("playduration", "watchratio"),
        published=("big_matrix.csv", "small_matrix.csv"), item_files=("kuairec_caption_category.csv",),
    ),
    HeaderTable(
        "kuairand", "KuaiRand: log_standard_*.csv, captions from kuairand_video_categories.csv beside it",
        {"user": "userid", "item": "videoid", "time": "timems"}, ("hourmin",),
        published=("log_standard_*.csv",), item_files=("kuairand_video_categories.csv",),
    ),
    HeaderTable(
        "tmall", "Tmall (IJCAI-15): user_log_format1.csv",
        {"user": "userid", "item": "itemid", "time": "timestamp", "event": "actiontype"}, ("sellerid",),
        published=("user_log_format1.csv",),
    ),
    HeaderTable(
        "foursquare-csv", "Foursquare check-ins (TSMC 2014) with a header: dataset_TSMC2014_NYC.csv",
        {"user": "userid", "item": "venueid", "time": "utctimestamp", "title": "venuecategory"}, latin=True,
        published=("dataset_TSMC2014_*.csv",),
    ),
    HeaderTable(
        "amazon-ratings-2023",
        "Amazon 2023, ratings only: user_id, parent_asin, rating, timestamp in ms; meta_*.jsonl beside it",
        {"user": "userid", "item": "parentasin", "time": "timestamp", "rating": "rating"},
        item_files=("meta_*.jsonl",),
    ),
    HeaderTable(
        "woocommerce", "WooCommerce: an export of orders, a line for each product; without a SKU its name is the item",
        {"user": "emailbilling|billingemail", "item": "sku|itemsku", "time": "orderdate|date", "title": "itemname"},
        ("ordernumber",), instead=(("item", "title"),), optional={"event": "orderstatus|status"},
    ),
)  # fmt: skip
HEADERLESS_TABLES = (
    HeaderlessTable(
        "taobao", "Taobao: UserBehavior.csv (user, item, category, behaviour, seconds)", ",",
        ("user", "item", "category id", "event", "time"),
        {"user": NUMBER, "item": NUMBER, "event": "pv|buy|cart|fav", "time": SECONDS},
        published=("UserBehavior.csv",),
    ),
    HeaderlessTable(
        "amazon-ratings", "Amazon 2014, ratings only: ratings_*.csv; meta_*.json beside it", ",",
        ("user", "item", "rating", "time"),
        {"user": REVIEWER, "item": ASIN, "rating": STARS, "time": r"\d{9,10}"},
        published=("ratings_*.csv",), item_files=("meta_*.json",),
    ),
    HeaderlessTable(
        "amazon-ratings-2018", "Amazon 2018, ratings only: the item before the user; meta_*.json beside it", ",",
        ("item", "user", "rating", "time"),
        {"user": REVIEWER, "item": ASIN, "rating": STARS, "time": r"\d{9,10}"},
        item_files=("meta_*.json",),
    ),
    HeaderlessTable(
        "gowalla", "Gowalla and Brightkite check-ins: *_totalCheckins.txt (user, time, latitude, longitude, place)",
        "\t", ("user", "time", "latitude", "longitude", "item"),
        {"time": ISO, "latitude": DECIMAL, "longitude": DECIMAL},
        published=("*_totalCheckins.txt",),
    ),
    HeaderlessTable(
        "foursquare", "Foursquare check-ins (TSMC 2014): dataset_TSMC2014_NYC.txt; the kind of venue as title", "\t",
        ("user", "item", "kind", "title", "latitude", "longitude", "offset", "time"),
        {"time": WEEKDAY_TIME, "latitude": DECIMAL, "longitude": DECIMAL}, latin=True,
        published=("dataset_TSMC2014_*.txt",),
    ),
    HeaderlessTable(
        "lastfm-360k", "Last.fm 360K: usersha1-artmbid-artname-plays.tsv, artists with their names", "\t",
        ("user", "item", "title", "plays"),
        {"user": "[0-9a-f]{40}", "item": UUID, "plays": r"\s*\d+\s*"}, (("item", "title"),),
        published=("usersha1-artmbid-artname-plays.tsv",),
    ),
    HeaderlessTable(
        "lastfm-1k", "Last.fm 1K: userid-timestamp-artid-artname-traid-traname.tsv, tracks with their names", "\t",
        ("user", "time", "artist id", "category", "item", "title"),
        {"time": ISO, "artist id": UUID, "item": UUID}, (("item", "title"),),
        published=("userid-timestamp-artid-artname-traid-traname.tsv",),
    ),
)  # fmt: skip


def _columns(source: Source) -> list[str]:
    return split_line(source.head[0], delimiter_of(source))


def _has_columns(table: HeaderTable) -> Callable[[Source], bool]:
    wanted = [*table.fields.values(), *table.more]

    def matches(source: Source) -> bool:
        columns = set(map(normalised, _columns(source))) if source.head else set()
        return all(columns & {*names.split("|")} for names in wanted)

    return matches


def _scan_with_header(table: HeaderTable) -> Callable[[Source, PrepareConfig], Delimited]:
    def scan(source: Source, config: PrepareConfig) -> Delimited:
        columns = _columns(source)
        by_name = {normalised(column): column for column in reversed(columns)}
        known = {**table.fields, **table.optional}
        there = {each: [by_name[name] for name in known[each].split("|") if name in by_name] for each in known}
        fields = {each: there[each][0] for each in FIELDS if there.get(each)}
        delimiter = delimiter_of(source)
        return Delimited(
            delimiter,
            tuple(columns),
            fields,
            header=True,
            quote='"',
            before=source.before,
            escape=escape_of(source.head, delimiter),
            instead=tuple((each, fields[other]) for each, other in table.instead),
            latin=table.latin and not log_files.is_utf8_file(source.path),
            also=tuple(by_name[column] for column in table.also),
        )

    return scan


def _has_cells(table: HeaderlessTable) -> Callable[[Source], bool]:
    # not compiled before a file has so many columns: there are many, and a command need not wait for them
    patterns = [(table.columns.index(column), pattern) for column, pattern in table.cells.items()]

    def matches(source: Source) -> bool:
        rows = [line.split(table.delimiter) for line in source.head[:LINES]]
        fitting = [
            len(row) == len(table.columns) and all(re.fullmatch(pattern, row[at].strip()) for at, pattern in patterns)
            for row in rows
        ]
        return nearly_all(sum(fitting), len(rows)) and fitting[0]

    return matches


def _scan_without_header(table: HeaderlessTable) -> Callable[[Source, PrepareConfig], Delimited]:
    fields = {each: each for each in FIELDS if each in table.columns}
    return lambda source, config: Delimited(
        table.delimiter,
        table.columns,
        fields,
        before=source.before,
        instead=table.instead,
        latin=table.latin and not log_files.is_utf8_file(source.path),
    )


LOGS = (
    *(
        LogFormat(
            table.name, table.summary, _has_columns(table), _scan_with_header(table),
            published=table.published, item_files=table.item_files,
            needs=(*needed(table.fields), *table.also, *(table.fields[other] for _, other in table.instead)),
        )
        for table in HEADER_TABLES
    ),
    *(
        LogFormat(
            table.name, table.summary, _has_cells(table), _scan_without_header(table),
            published=table.published, item_files=table.item_files,
        )
        for table in HEADERLESS_TABLES
    ),
)  # fmt: skip
