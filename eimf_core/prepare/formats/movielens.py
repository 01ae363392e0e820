"""MovieLens as GroupLens publishes it: 100K (tabs), 1M and 10M ("::"), latest, 20M, 25M and 32M (CSV)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from eimf_core.prepare import log_files
from eimf_core.prepare.columns import normalised
from eimf_core.prepare.config import PrepareConfig
from eimf_core.prepare.formats.base import BadRow, ItemFormat, LogFormat, bad_row, nearly_all, table_rows
from eimf_core.prepare.header import names_columns, split_line
from eimf_core.prepare.log_files import Source
from eimf_core.prepare.scans import Delimited
from eimf_core.records import Item

RATINGS = ("user", "item", "rating", "time")
BEST = 10
"""The highest rating that is one, whatever the scale."""
CSV_HEADER = "userId,movieId,rating,timestamp"
CSV_COLUMNS = tuple(map(normalised, CSV_HEADER.split(",")))
GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
NO_GENRE = {"(no genres listed)", "unknown"}


def _are_ratings(source: Source, delimiter: str) -> bool:
    """Whether nearly all lines are four numbers, of which the third can be a rating; others are bad rows."""
    rows = [line.split(delimiter) for line in source.head[_has_header(source) :][:100]]
    numbers = [row for row in rows if len(row) == len(RATINGS) and all(map(_is_number, row))]
    # few lines with :: are told as well where a single one is odd, which is named later
    enough = nearly_all(len(numbers), len(rows)) or (delimiter == "::" and 1 < len(numbers) == len(rows) - 1)
    return enough and all(float(row[2]) <= BEST for row in numbers)


def _has_header(source: Source) -> bool:
    """Whether the first line of ratings between "::" names the columns."""
    return names_columns(source.first.split("::"), ("user", "item"))


def _is_number(cell: str) -> bool:
    return cell.strip().replace(".", "", 1).isdigit()


def _is_movies(source: Source) -> bool:
    counts = [line.count("::") for line in source.head[:100]]
    return nearly_all(sum(count >= 2 for count in counts), len(counts)) and 2 * counts.count(2) >= len(counts)


def _split_at(delimiter: str) -> Callable[[Source, PrepareConfig], Delimited]:
    fields = {field: field for field in RATINGS}
    return lambda source, config: Delimited(delimiter, RATINGS, fields, _has_header(source), before=source.before)


def _csv(source: Source, config: PrepareConfig) -> Delimited:
    columns = tuple(split_line(source.first, ","))
    by_name = {normalised(column): column for column in columns}
    fields = {field: by_name[name] for field, name in zip(RATINGS, CSV_COLUMNS, strict=True)}
    return Delimited(",", columns, fields, True, '"', source.before)


def _read_u_item(source: Source, config: PrepareConfig) -> Iterator[Item | BadRow]:
    for row in _split_lines(source, "|", 5 + len(GENRES)):
        if isinstance(row, BadRow):
            yield row
            continue
        genres = [name for name, flag in zip(GENRES, row[5:], strict=True) if flag == "1"]
        yield _movie(row[0], row[1], genres)


def read_movies_dat(source: Source, config: PrepareConfig) -> Iterator[Item | BadRow]:
    """A title may hold "::" itself: the id stands before the first, the genres behind the last."""
    for number, line in log_files.lines(source.path):
        item, first, rest = line.partition("::")
        title, last, genres = rest.rpartition("::")
        if first and last:
            yield _movie(item, title, genres.split("|"))
        else:
            yield bad_row(source, number, f"has {len(line.split('::'))} fields, expected 3", line)


def _read_movies_csv(source: Source, config: PrepareConfig) -> Iterator[Item | BadRow]:
    for row in table_rows(source, ",", '"', 3):
        yield row if isinstance(row, BadRow) else _movie(row[0], row[1], row[2].split("|"))


def _split_lines(source: Source, delimiter: str, fields: int) -> Iterator[list[str] | BadRow]:
    """The fields of each line; a bad row where there are not so many."""
    for number, line in log_files.lines(source.path):
        cells = line.split(delimiter)
        if len(cells) == fields:
            yield cells
        else:
            yield bad_row(source, number, f"has {len(cells)} fields, expected {fields}", line)


def _movie(item: str, title: str, genres: list[str]) -> Item:
    """`unknown` stands in u.item for a film whose title was not known."""
    title = "" if title == "unknown" else title
    return Item(item=item, title=title, categories=[name for name in genres if name not in NO_GENRE])


LOGS = (
    LogFormat(
        "ml-100k",
        "MovieLens 100K: u.data (tabs), titles and genres from u.item beside it",
        lambda source: _are_ratings(source, "\t"),
        _split_at("\t"),
        published=("u.data",),
        item_files=("u.item",),
    ),
    LogFormat(
        "ml-1m",
        "MovieLens 1M and 10M: ratings.dat (::), titles and genres from movies.dat beside it",
        lambda source: _are_ratings(source, "::"),
        _split_at("::"),
        published=("ratings.dat",),
        item_files=("movies.dat",),
    ),
    LogFormat(
        "ml-csv",
        "MovieLens latest, 20M, 25M, 32M: ratings.csv, titles and genres from movies.csv beside it",
        lambda source: source.first == CSV_HEADER,
        _csv,
        needs=CSV_COLUMNS,
        columns=lambda source: [*map(normalised, split_line(source.first, ","))],
        published=("ratings.csv",),
        item_files=("movies.csv",),
    ),
)
ITEMS = (
    ItemFormat("u.item", lambda source: source.first.count("|") == 4 + len(GENRES), _read_u_item),
    ItemFormat("movies.dat", _is_movies, read_movies_dat),
    ItemFormat("movies.csv", lambda source: source.first == "movieId,title,genres", _read_movies_csv),
)
