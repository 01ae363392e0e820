"""Instacart: orders.csv says whose an order is and which of theirs, order_products__*.csv what is in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from eimf_core.errors import InputError
from eimf_core.io.sql_text import file, literal
from eimf_core.prepare import containers
from eimf_core.prepare.columns import normalised
from eimf_core.prepare.duckdb_session import library
from eimf_core.prepare.formats.base import LogFormat, files_matching
from eimf_core.prepare.header import split_line
from eimf_core.prepare.log_files import Source
from eimf_core.prepare.rejects import Rejects
from eimf_core.prepare.scans import UserLines

ORDERS, PRODUCTS = {"orderid", "userid", "ordernumber"}, {"orderid", "productid", "addtocartorder"}
ORDER_FILES, PRODUCT_FILES = ("orders.csv",), ("order_products__*.csv",)
MEMORY = "1GB"


def _columns(source: Source) -> set[str]:
    return {normalised(cell) for cell in split_line(source.first, ",")} if source.head else set()


def _convert(files: Sequence[Source], scratch: Path, rejects: Rejects) -> Path:
    """Write one line a user: what they ordered, in the order of the orders and of the basket."""
    orders = [source.path for source in files if _columns(source) >= ORDERS]
    products = [source.path for source in files if _columns(source) >= PRODUCTS]
    beside = files[0].beside
    orders = orders or [containers.readable(path, scratch, str(path)) for path in files_matching(beside, ORDER_FILES)]
    products = products or [
        containers.readable(path, scratch, str(path)) for path in files_matching(beside, PRODUCT_FILES)
    ]
    for found, needed in ((orders, ORDER_FILES[0]), (products, "order_products__prior.csv")):
        if not found:
            raise InputError(f"needs {needed} beside it", file=files[0].name)
    target = scratch / "instacart"
    duckdb = library()
    try:
        with duckdb.connect() as connection:
            connection.execute(f"SET memory_limit = '{MEMORY}'; SET temp_directory = {literal(scratch / 'spill')}")
            connection.execute(
                "COPY (SELECT user_id || ' ' || string_agg(product_id, ' ' ORDER BY order_number::INTEGER, "
                "o.order_id, add_to_cart_order::INTEGER) "
                f"FROM {_table(orders)} o JOIN {_table(products)} p ON o.order_id = p.order_id "
                f"GROUP BY user_id) TO {literal(target)} (FORMAT csv, HEADER false, QUOTE '', DELIMITER '\x01')"
            )
    except duckdb.Error as error:
        raise InputError(f"cannot be read ({str(error).splitlines()[0]})", file=files[0].name) from None
    return target


def _table(paths: Sequence[Path]) -> str:
    return f"read_csv([{', '.join(map(file, paths))}], header = true, all_varchar = true)"


LOGS = (
    LogFormat(
        "instacart",
        "Instacart: orders.csv and order_products__*.csv; names from products.csv beside them",
        lambda source: any(_columns(source) >= columns for columns in (ORDERS, PRODUCTS)),
        lambda source, config: UserLines(),
        published=(f"{ORDER_FILES[0]} {PRODUCT_FILES[0]}",),
        item_files=("products.csv",),
        needs=("orderid", "userid|productid", "ordernumber|addtocartorder"),
        columns=_columns,
        convert=_convert,
        no_times="numbers the orders of each user, and gives no dates",
    ),
)
