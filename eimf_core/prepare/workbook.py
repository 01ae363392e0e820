"""Excel workbooks (.xlsx), read with openpyxl where it is installed: their one sheet that holds rows, as CSV."""

from __future__ import annotations

import csv
from datetime import date, time
from pathlib import Path
from typing import Any

from eimf_core.errors import ConfigError, InputError
from eimf_core.prepare.columns import shortened_names

BROKEN = (ValueError, LookupError, TypeError, AttributeError, SyntaxError)
"""What openpyxl raises; the last is broken XML."""


def sheet_as_csv(path: Path, folder: Path, name: str) -> None:
    """Write a CSV file of the sheet of a workbook that holds rows.

    Args:
        path: the workbook.
        folder: where the file goes; it is empty.
        name: how errors call the workbook.

    Raises:
        ConfigError: where openpyxl is missing.
        InputError: for a workbook that cannot be read, or holds rows on several sheets or none.
    """
    try:
        import openpyxl
    except ImportError:
        raise ConfigError(
            f"{name}: is an Excel workbook, which openpyxl reads: pip install 'eimf[excel]', or save the sheet as CSV"
        ) from None
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        for at, sheet in enumerate(book.worksheets):
            rows = (row for row in sheet.iter_rows(values_only=True) if any(cell is not None for cell in row))
            first = next(rows, None)
            if first is None:
                continue
            called = "".join(char if char.isalnum() or char in "-_ " else "_" for char in sheet.title) or str(at)
            with open(folder / f"{called}.csv", "w", encoding="utf-8", newline="") as stream:
                table = csv.writer(stream, lineterminator="\n")
                table.writerow(map(_text, first))
                table.writerows(map(_text, row) for row in rows)
    except (OSError, *BROKEN) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise InputError(f"cannot be read as an Excel workbook ({error}); save the sheet as CSV", file=name) from None
    sheets = [each.stem for each in sorted(folder.iterdir())]
    if len(sheets) != 1:
        many = f"holds several sheets ({shortened_names(sheets)}); save the one that is meant as CSV"
        raise InputError(many if sheets else "holds no sheet with rows", file=name)


def _text(cell: Any) -> str:
    """The text of a cell; 119.0 is 119, and a date is ISO."""
    if cell is None:
        return ""
    if isinstance(cell, date | time):
        return cell.isoformat()
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)
