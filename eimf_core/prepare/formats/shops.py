"""Exports of shops: orders of Shopify, whose further lines of an order leave cells empty, and its products."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import orjson

from eimf_core.prepare.columns import normalised
from eimf_core.prepare.config import PrepareConfig
from eimf_core.prepare.csv_cells import cells_of, escape_of, shape_problem
from eimf_core.prepare.formats.base import BadRow, ItemFormat, LogFormat, bad_row
from eimf_core.prepare.header import delimiter_of, split_line
from eimf_core.prepare.log_files import Source
from eimf_core.prepare.rejects import Rejects
from eimf_core.prepare.scans import JsonLines
from eimf_core.records import Item

ORDER, CUSTOMER, TIME = "name", ("email", "phone", "billingname"), ("createdat", "paidat")
SKU, TITLE = "lineitemsku", "lineitemname"
STATUS, CANCELLED = "financialstatus", "cancelledat"
Row = tuple[int, str, dict[str, str]]
"""Line, text and cells by column."""


def _columns(source: Source) -> list[str]:
    return [normalised(cell) for cell in split_line(source.head[0], delimiter_of(source))] if source.head else []


def _are_orders(source: Source) -> bool:
    return {ORDER, "email", "createdat", SKU, TITLE} <= set(_columns(source))


def _are_products(source: Source) -> bool:
    return {"handle", "title", "variantsku"} <= set(_columns(source))


def _rows(source: Source) -> Iterator[Row | BadRow]:
    columns = _columns(source)
    delimiter = delimiter_of(source)
    escape = escape_of(source.head, delimiter)
    rows = cells_of(source.path, delimiter, '"', escape=escape, width=len(columns), before=source.before)
    for number, (line, text, cells) in enumerate(rows):
        if number == 0:
            continue
        if cells is None or len(cells) != len(columns):
            yield bad_row(source, line, shape_problem(cells, len(columns)), text)
        else:
            by_name: dict[str, str] = {}
            for column, cell in zip(columns, cells, strict=True):
                by_name.setdefault(column, cell.strip())
            yield line, text, by_name


def _convert(files: Sequence[Source], scratch: Path, rejects: Rejects) -> Path:
    """Write a JSON line for each line of an order, at its line of the first file; the order is told in one of them."""
    target, written = scratch / "orders", 0
    with open(target, "wb") as stream:
        for source in files:
            orders: dict[str, tuple[str, str, str]] = {}
            for row in _rows(source):
                if isinstance(row, BadRow):
                    rejects.add_error(row.error, row.text)
                    continue
                line, text, cells = row
                item = cells[SKU] or cells[TITLE]
                known = orders.get(cells[ORDER], ("", "", ""))
                user, time = _first(cells, CUSTOMER) or known[0], _first(cells, TIME) or known[1]
                # the further lines of an order leave it empty
                event = ("cancelled" if cells.get(CANCELLED) else cells.get(STATUS, "")) or known[2]
                orders[cells[ORDER]] = user, time, event
                problem = "" if user else "the order has no customer (Email, Phone or Billing Name)"
                problem = problem if item else "has neither Lineitem sku nor Lineitem name"
                if problem:
                    rejects.add(source.name, line, problem, text)
                    continue
                blank = b"\n" * max(line - written - 1, 0)
                written = max(written + 1, line)
                stream.write(blank)
                values = {"user": user, "item": item, "time": time, "event": event, "title": cells[TITLE]}
                stream.write(orjson.dumps(values, option=orjson.OPT_APPEND_NEWLINE))
    return target


def _first(cells: Mapping[str, str], names: Sequence[str]) -> str:
    return next((cells[name] for name in names if cells.get(name)), "")


def _read_products(source: Source, config: PrepareConfig) -> Iterator[Item | BadRow]:
    """A line for each variant; title, kind and text stand on the first of a product."""
    products: dict[str, dict[str, str]] = {}
    for row in _rows(source):
        if isinstance(row, BadRow):
            yield row
            continue
        cells = row[2]
        product = products.setdefault(cells["handle"], cells)
        # further lines of a product may be pictures
        if cells["variantsku"]:
            category = product.get("productcategory") or product.get("type") or ""
            yield Item(
                item=cells["variantsku"].removeprefix("'"),
                title=product["title"],
                categories=[name.strip() for name in category.split(">") if name.strip()],
                text=product.get("bodyhtml", ""),
            )


LOGS = (
    LogFormat(
        "shopify",
        "Shopify: orders_export.csv, a line of an order as an interaction; products_export.csv beside it",
        _are_orders,
        lambda source, config: JsonLines({field: field for field in ("user", "item", "time", "event", "title")}),
        published=("orders_export*.csv",),
        item_files=("products_export*.csv",),
        needs=(ORDER, "|".join(CUSTOMER), "|".join(TIME), SKU, TITLE),
        convert=_convert,
    ),
)
ITEMS = (ItemFormat("Shopify products", _are_products, _read_products),)
