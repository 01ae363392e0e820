"""What a format is: how a log or an item file is detected and read. Plain data, no classes to derive."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eimf_core.errors import InputError
from eimf_core.prepare.config import PrepareConfig
from eimf_core.prepare.csv_cells import cells_of, shape_problem
from eimf_core.prepare.log_files import Source
from eimf_core.prepare.rejects import Rejects
from eimf_core.prepare.scans import Scan, json_of
from eimf_core.records import Item

NEARLY_ALL = 0.9
"""The share of lines that tell the kind of a file."""


@dataclass(frozen=True)
class LogFormat:
    """A kind of interaction log.

    Attributes:
        name: what `--format` calls it.
        summary: its line in the help.
        matches: whether a file is one, by its name and its first lines.
        scan: how its rows are read.
        published: names (glob patterns, several in one string belong together, - before one leaves its files out)
            of such files in a published folder; the first that is there counts.
        no_times: what a message says of a log of this kind that has no times.
        item_files: names of the item files beside a log.
        convert: for kinds whose rows overlap: all files to one that `scan` reads, in the scratch folder given.
        json: whether each line is a JSON object.
        needs: the columns (or keys) without which a file cannot be read; of several, parted by a bar, one is enough.
        columns: those of a file, where they are not the normalised ones of its first line, or the keys of its objects.
        options: the settings of columns and header that this kind obeys.
        table: whether its columns may have any names: what a log is where settings name its columns.
        parquet: whether files are Parquet, which has no lines.
    """

    name: str
    summary: str
    matches: Callable[[Source], bool]
    scan: Callable[[Source, PrepareConfig], Scan]
    published: tuple[str, ...] = ()
    no_times: str = "has no times"
    item_files: tuple[str, ...] = ()
    convert: Callable[[Sequence[Source], Path, Rejects], Path] | None = None
    json: bool = False
    needs: tuple[str, ...] = ()
    columns: Callable[[Source], Collection[str]] | None = None
    options: tuple[str, ...] = ()
    table: bool = False
    parquet: bool = False


@dataclass(frozen=True)
class BadRow:
    """A row of an item file that cannot be used: the error that names it, and its text."""

    error: InputError
    text: str


@dataclass(frozen=True)
class ItemFormat:
    """A kind of item file.

    Attributes:
        name: what remarks call it.
        matches: whether a file is one, by its name and its first lines.
        read: its items, whose text is not cleaned yet, and the rows that are none.
        columns: the columns of a file, for a kind whose columns are recognised by name or named.
        parquet: whether files are Parquet, which has no lines.
    """

    name: str
    matches: Callable[[Source], bool]
    read: Callable[[Source, PrepareConfig], Iterator[Item | BadRow]]
    columns: Callable[[Source, PrepareConfig], tuple[str, ...]] | None = None
    parquet: bool = False


@dataclass(frozen=True)
class LogFile:
    """A log file and its format."""

    source: Source
    format: LogFormat


@dataclass(frozen=True)
class ItemFile:
    """An item file, its format, its columns and that of each field, where columns are recognised or named.

    `config`: the settings, with the column of the item that the log has.
    """

    source: Source
    format: ItemFormat
    columns: tuple[str, ...]
    fields: dict[str, str]
    config: PrepareConfig

    @property
    def untitled(self) -> bool:
        """Whether no column is the title."""
        return bool(self.fields) and "title" not in self.fields

    def remark(self) -> str:
        """How the file is read, for people."""
        named = ", ".join(f"{field} {column}" for field, column in self.fields.items())
        columns = f" (columns: {named})" if named else ""
        return f"{self.source.name}: item text, read as {self.format.name}{columns}"


def bad_row(source: Source, line: int, problem: str, text: str) -> BadRow:
    """A row of an item file and what is wrong with it.

    Args:
        source: the item file.
        line: its number, from 1.
        problem: what is wrong, for people.
        text: the row as it stands there.

    Returns:
        The row with its error.
    """
    return BadRow(InputError(problem, file=source.name, line=line), text)


def table_rows(
    source: Source, delimiter: str, quote: str, columns: int, *, header: bool = True, escape: str = ""
) -> Iterator[list[str] | BadRow]:
    """The rows of an item table.

    Args:
        source: the table.
        delimiter, quote: as it has them.
        columns: how many cells a row has.
        header: whether the first row is one, and is passed over.
        escape: what stands before a quote within quotes.

    Yields:
        The cells of a row; a bad row where there are not so many.
    """
    rows = cells_of(source.path, delimiter, quote, escape=escape, width=columns, before=source.before)
    for number, (line, text, cells) in enumerate(rows):
        if number == 0 and header:
            continue
        if cells is None or len(cells) != columns:
            yield bad_row(source, line, shape_problem(cells, columns), text)
        else:
            yield cells


def files_matching(folder: Path, patterns: Sequence[str]) -> list[Path]:
    """Files of a folder that any of the patterns names, packed or not, in the order of the patterns."""
    found: dict[Path, None] = {}
    for pattern in patterns:
        for ending in ("", ".gz", ".zst"):
            for path in sorted(folder.glob(pattern + ending)):
                if path.is_file():
                    found.setdefault(path)
    return list(found)


def nearly_all(count: int, total: int) -> bool:
    """Whether so many of all lines are enough to tell the kind of a file."""
    return total > 0 and count >= NEARLY_ALL * total


def object_of(line: str) -> dict[str, Any]:
    """The JSON object on a line; empty when there is none."""
    try:
        found = json_of(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def needed(fields: Mapping[str, str]) -> tuple[str, ...]:
    """Of the columns of fields those of user, item and time, without which a published log is another one."""
    return tuple(fields[field] for field in ("user", "item", "time") if field in fields)


def keys_of(source: Source) -> tuple[str, ...]:
    """The keys of the first objects of JSON lines, in the order in which they come up; a line may lack some."""
    return tuple(dict.fromkeys(key for line in source.head for key in object_of(line)))


def brand_of(row: dict[str, Any], *keys: str) -> dict[str, Any] | None:
    """The attribute `brand` of a product, from the first of the keys that has one."""
    brand = next((row[key] for key in keys if row.get(key)), None)
    return {"brand": brand} if isinstance(brand, str) and brand.strip() else None
