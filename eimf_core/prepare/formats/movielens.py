"""MovieLens as GroupLens publishes it: 100K (tabs), 1M and 10M ("::"), latest, 20M, 25M and 32M (CSV)."""

from __future__ import annotations

from collections.abc import Iterator

from eimf_core.errors import InputError
from eimf_core.prepare import log_files
from eimf_core.prepare.config import PrepareConfig
from eimf_core.prepare.formats.base import BadRow, ItemFormat, LogFormat
from eimf_core.prepare.log_files import Source
from eimf_core.prepare.row_cells import cells_of, shape_of
from eimf_core.prepare.scans import Delimited
from eimf_core.records import Item

RATINGS = ("user", "item", "rating", "time")
BEST = 10
"""The highest rating that is one, whatever the scale."""
CSV_HEADER = "userId,movieId,rating,timestamp"
GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
NO_GENRE = {"(no genres listed)", "unknown"}


def _are_ratings(source: Source, delimiter: str) -> bool:
    """Whether the lines are four numbers, of which the third can be a rating."""
    rows = [line.split(delimiter) for line in source.head[:100]]
    numbers = all(len(row) == len(RATINGS) and all(_is_number(cell) for cell in row) for row in rows)
    return bool(rows) and numbers and all(float(row[2]) <= BEST for row in rows)


def _is_number(cell: str) -> bool:
    return cell.strip().replace(".", "", 1).isdigit()


def _is_movies(source: Source) -> bool:
    return bool(source.head) and all(line.count("::") == 2 for line in source.head[:100])


def _dat(source: Source, config: PrepareConfig) -> Delimited:
    return Delimited("::", RATINGS, {field: field for field in RATINGS})


def _tabs(source: Source, config: PrepareConfig) -> Delimited:
    return Delimited("\t", RATINGS, {field: field for field in RATINGS})


def _csv(source: Source, config: PrepareConfig) -> Delimited:
    columns = tuple(CSV_HEADER.split(","))
    return Delimited(",", columns, dict(zip(RATINGS, columns, strict=True)), True, '"', source.blank)


def _read_u_item(source: Source, config: PrepareConfig) -> Iterator[Item | BadRow]:
    for number, line in log_files.lines(source.path):
        cells = line.split("|")
        if len(cells) != 5 + len(GENRES):
            problem = f"has {len(cells)} fields, expected {5 + len(GENRES)}"
            yield BadRow(InputError(problem, file=source.name, line=number), line)
            continue
        genres = [name for name, flag in zip(GENRES, cells[5:], strict=True) if flag == "1" and name not in NO_GENRE]
        yield Item(item=cells[0], title=_title(cells[1]), categories=genres)


def _read_movies_dat(source: Source, config: PrepareConfig) -> Iterator[Item | BadRow]:
    for number, line in log_files.lines(source.path):
        cells = line.split("::")
        if len(cells) != 3:
            yield BadRow(InputError(f"has {len(cells)} fields, expected 3", file=source.name, line=number), line)
        else:
            yield _movie(*cells)


def _read_movies_csv(source: Source, config: PrepareConfig) -> Iterator[Item | BadRow]:
    for number, (line, text, cells) in enumerate(cells_of(source.path, ",", '"')):
        if number == 0:
            continue
        if cells is None or len(cells) != 3:
            yield BadRow(InputError(shape_of(cells, 3), file=source.name, line=line), text)
        else:
            yield _movie(*cells)


def _movie(item: str, title: str, genres: str) -> Item:
    return Item(item=item, title=_title(title), categories=[name for name in genres.split("|") if name not in NO_GENRE])


def _title(text: str) -> str:
    """`unknown` stands in u.item for a film whose title was not known."""
    return "" if text == "unknown" else text


LOGS = (
    LogFormat(
        "ml-100k",
        "MovieLens 100K: u.data (tabs), titles and genres from u.item beside it",
        lambda source: _are_ratings(source, "\t"),
        _tabs,
        logs=("u.data",),
        items=("u.item",),
    ),
    LogFormat(
        "ml-1m",
        "MovieLens 1M and 10M: ratings.dat (::), titles and genres from movies.dat beside it",
        lambda source: _are_ratings(source, "::"),
        _dat,
        logs=("ratings.dat",),
        items=("movies.dat",),
    ),
    LogFormat(
        "ml-csv",
        "MovieLens latest, 20M, 25M, 32M: ratings.csv, titles and genres from movies.csv beside it",
        lambda source: source.first == CSV_HEADER,
        _csv,
        logs=("ratings.csv",),
        items=("movies.csv",),
    ),
)
ITEMS = (
    ItemFormat("u.item", lambda source: source.first.count("|") == 4 + len(GENRES), _read_u_item),
    ItemFormat("movies.dat", _is_movies, _read_movies_dat),
    ItemFormat("movies.csv", lambda source: source.first == "movieId,title,genres", _read_movies_csv),
)
