"""Tables (CSV, TSV and the like), JSON lines and Parquet, whose columns have to be found or told."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence

from eimf_core.errors import InputError
from eimf_core.prepare.config import PrepareConfig
from eimf_core.prepare.duckdb_session import file, library
from eimf_core.prepare.formats.amazon import first_object, object_of
from eimf_core.prepare.formats.base import COLUMN_OPTIONS, LogFormat
from eimf_core.prepare.log_files import Source
from eimf_core.prepare.scans import FIELDS, Delimited, JsonLines, Parquet
from eimf_core.prepare.value_parsing import is_number, value_of

KNOWN = {
    "user": (
        "user", "userid", "uid", "customer", "customerid", "visitor", "visitorid", "reviewerid", "memberid",
        "client", "clientid", "buyer", "buyerid", "account", "accountid",
    ),
    "item": (
        "item", "itemid", "iid", "product", "productid", "parentasin", "asin", "movieid", "articleid", "businessid",
        "bookid", "trackid", "songid", "newsid", "videoid", "sku",
    ),
    "time": ("time", "timestamp", "ts", "date", "datetime", "unixreviewtime", "eventtime", "createdat", "unixtime"),
    "rating": ("rating", "stars", "score", "overall"),
    "event": ("event", "eventtype", "behavior", "behaviour", "behaviortype"),
    "title": ("title", "name", "itemtitle", "itemname", "productname", "producttitle", "movietitle"),
    "category": ("categories", "category", "genres", "genre", "maincategory", "categoryname", "class"),
    "text": ("text", "description"),
}  # fmt: skip
"""Names that columns are recognised by, in lower case without blanks, - and _; the first that is there counts."""
DELIMITERS = (",", "\t", ";", "|")
IN_LOG_IF_TOLD = ("title", "category")
"""Fields of a log that are only read when their column is named: item text usually has a file of its own."""


def find(columns: Sequence[str], field: str, wanted: str | None, file: str) -> str | None:
    """The column of a field: the one that is asked for, or the one whose name says so."""
    if wanted is not None:
        if wanted not in columns:
            raise InputError(f"has no column '{wanted}'; there are {', '.join(columns)}", file=file, line=1)
        return wanted
    simple: dict[str, str] = {}
    for column in columns:
        simple.setdefault(plain(column), column)
    return next((simple[known] for known in KNOWN.get(field, ()) if known in simple), None)


def plain(column: str) -> str:
    """A column's name as `KNOWN` has it; the type of a RecBole column is left out."""
    return "".join(char for char in column.partition(":")[0].lower() if char not in " _-")


def names_columns(cells: Sequence[str]) -> bool:
    """Whether a first row names the user or the item, wherever they stand."""
    return any(plain(cell) in (*KNOWN["user"], *KNOWN["item"]) for cell in cells)


def delimiter_of(source: Source) -> str:
    """The delimiter that occurs most in the first line; a blank where all lines have as many as it."""
    found = max(DELIMITERS, key=source.first.count)
    if found not in source.first and len({line.strip().count(" ") for line in source.head}) == 1:
        return " "
    return found


def header_of(source: Source, config: PrepareConfig) -> tuple[str, tuple[str, ...], bool]:
    """Delimiter and column names of a table, and whether it has a header.

    Columns that are told by number are called 1, 2, …, whatever numbers the first row holds; only
    then there may be no header. A number that is no place (such as 0) can only be a name.
    """
    delimiter = delimiter_of(source)
    first = source.first if delimiter == " " else source.head[0]
    names = tuple(cell.strip() for cell in next(csv.reader([first], delimiter=delimiter, skipinitialspace=True)))
    told = {field: getattr(config, f"{field}_column") for field in FIELDS if field not in IN_LOG_IF_TOLD}
    numbers = {column for column in told.values() if column}
    places = _places(len(names))
    if (
        numbers
        and all(column.isdigit() for column in numbers)
        and (numbers <= set(places) or not numbers <= set(names))
    ):
        header = {"yes": True, "no": False}.get(config.header)
        if header is None:
            rows = [*csv.reader(source.head, delimiter=delimiter)]
            header = is_header(rows, {field: int(column) - 1 for field, column in told.items() if column})
        if header is None:
            raise unclear_header(source)
        return delimiter, places, header
    return delimiter, names if config.header != "no" else places, config.header != "no"


def unclear_header(source: Source) -> InputError:
    """The error for a first line that may be the header or the first row."""
    return InputError(
        f"cannot be told to be a header or data ({source.first}); say --header yes or --header no",
        file=source.name,
        line=source.blank + 1,
    )


def _places(count: int) -> tuple[str, ...]:
    return tuple(str(number) for number in range(1, count + 1))


def is_header(rows: Sequence[Sequence[str]], told: Mapping[str, int]) -> bool | None:
    """Whether the first row names the columns; None when nothing speaks for it or against it.

    `told`: the places of fields. Names that are known, and words above numbers, speak for a header;
    numbers, and what stands again in its column or looks like what stands there, against it.
    """
    first = [cell.strip() for cell in rows[0]]
    whole = [row for row in rows[1:] if len(row) == len(first)]
    columns = [[row[place].strip() for row in whole] for place in range(len(first))]
    cells = {field: first[place] for field, place in told.items() if place < len(first)}
    if any(plain(cell) in KNOWN[field] for field, cell in cells.items()):
        return True
    for field in ("time", "rating"):
        if cells.get(field):
            return value_of(cells[field]) is None
    for cell, column in zip(first, columns, strict=True):
        if cell and any(column) and all(is_number(value) for value in column if value):
            return not is_number(cell)
    for cell, column in zip(first, columns, strict=True):
        if cell and (cell in column or (any(map(str.isdigit, cell)) and _shape(cell) in map(_shape, column))):
            return False
    return None


def _shape(cell: str) -> str:
    """A cell with `a` for letters and `9` for digits."""
    return "".join("9" if char.isdigit() else "a" if char.isalpha() else char for char in cell)


def log_fields(columns: Sequence[str], config: PrepareConfig, file: str, more: str = "") -> dict[str, str]:
    """Which column is which field; InputError when there is none for user or item. `more`: what else may help then."""
    fields = {}
    for field in FIELDS:
        told = getattr(config, f"{field}_column")
        # a column of item text may be one of the item file's: `check_told` looks at both
        text = told if told in columns else None
        column = text if field in IN_LOG_IF_TOLD else find(columns, field, told, file)
        if column is not None:
            fields[field] = column
        elif field in ("user", "item"):
            raise InputError(
                f"no column is recognised as the {field} among {', '.join(columns)}; name it with --{field}-column "
                f"(by number where there is no header){more}",
                file=file,
                line=1,
            )
    return fields


def is_table(source: Source) -> bool:
    """Whether the first line looks like the header of a table."""
    return delimiter_of(source) in source.first and not source.first.startswith(("{", "["))


def scan_table(source: Source, config: PrepareConfig) -> Delimited:
    """The columns of a table with a header, or with columns told by number."""
    delimiter, columns, header = header_of(source, config)
    # only blanks and tabs: it may be no table at all
    more = ", or say --format user-lines if each line is what a user did" if delimiter in " \t" else ""
    fields = log_fields(columns, config, source.name, more)
    for column in fields.values():
        if columns.count(column) > 1:
            raise InputError(f"has two columns '{column}'", file=source.name, line=source.blank + 1)
    first = source.first if columns == _places(len(columns)) else ""
    return Delimited(delimiter, columns, fields, header, '"', source.blank, first)


def _scan_json(source: Source, config: PrepareConfig) -> JsonLines:
    fields = log_fields(json_keys(source), config, source.name)
    for name in ("user", "item"):
        if any(isinstance(object_of(line).get(fields[name]), list | dict) for line in source.head):
            raise InputError(
                "holds lists or objects; expected one interaction a line", file=source.name, field=fields[name]
            )
    return JsonLines(fields)


def json_keys(source: Source) -> tuple[str, ...]:
    """The keys of the first objects, in the order in which they come up; a line may lack some."""
    keys: dict[str, None] = {}
    for line in source.head:
        keys.update(dict.fromkeys(object_of(line)))
    return tuple(keys)


def _scan_parquet(source: Source, config: PrepareConfig) -> Parquet:
    types = parquet_columns(source)
    fields = log_fields(list(types), config, source.name)
    for field in ("user", "item"):
        if types[fields[field]].endswith("]") or types[fields[field]].startswith(("STRUCT", "MAP")):
            raise InputError(
                "holds lists or objects; expected one interaction a row", file=source.name, field=fields[field]
            )
    moments = {column for column in fields.values() if types[column].startswith(("TIMESTAMP", "DATE"))}
    return Parquet(fields, frozenset(moments))


def parquet_columns(source: Source) -> dict[str, str]:
    """Types of the columns of a Parquet file by name."""
    duckdb = library()

    try:
        with duckdb.connect() as connection:
            described = connection.execute(f"DESCRIBE SELECT * FROM read_parquet({file(source.path)})").fetchall()
    except duckdb.Error as error:
        raise InputError(f"is not whole ({str(error).splitlines()[0]})", file=source.name) from None
    return {row[0]: row[1] for row in described}


LOGS = (
    LogFormat(
        "jsonl",
        "JSON lines; the keys are found by name or told with --user-column and so on",
        lambda source: bool(first_object(source)),
        _scan_json,
        options=COLUMN_OPTIONS,
    ),
    LogFormat(
        "parquet",
        "Parquet; columns likewise",
        lambda source: source.parquet,
        _scan_parquet,
        options=COLUMN_OPTIONS,
    ),
    LogFormat(
        "csv",
        "CSV or TSV (comma, tab, semicolon, bar, blanks), columns likewise; without a header --user-column 1 and so on",
        is_table,
        scan_table,
        options=(*COLUMN_OPTIONS, "header"),
    ),
)
