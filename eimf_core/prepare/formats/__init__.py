"""The formats that `prepare` reads: a file each, or one for what a publisher calls by one name.

A new format is a file here and its name in `MODULES`. The file has `LOGS`, a tuple of `LogFormat`, or
`ITEMS`, a tuple of `ItemFormat`, or both (see `base`). A log format says by `matches` which files are its
own and gives by `scan` how DuckDB and Python read their rows; `scans` has tables, JSON lines, Parquet and
lines of users. An item format yields `Item` records as they are published, and `bad_row` for what is
none: text is cleaned behind it. `item_values` makes items of values.
`tests/contract/test_formats.py` holds every format to this.
"""

MODULES = (
    "movielens",
    "amazon",
    "recbole",
    "histories",
    "mind_news",
    "instacart",
    "shops",
    "published_tables",
    "published_json",
    "pairs",
    "user_lines",
    "published_items",
    "sequence_lines",
    # what follows matches by its shape alone
    "json_lines",
    "parquet",
    "delimited",
)
"""In the order in which a file is tried."""
