"""The fields of a log and of an item table, and which column is which: recognised by name or named in the settings.

A further field is a name in `FIELDS` (or `ITEM_FIELDS`), the names its column goes by in `KNOWN_NAMES`, a setting
`FIELD_column` in `PrepareConfig` and, where the work on the log needs it, a line in `log_reader.COLUMNS`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from eimf_core.errors import InputError
from eimf_core.prepare.config import PrepareConfig
from eimf_core.prepare.time_forms import is_time
from eimf_core.text_cleaning import shortened_at_word

MAX_SHOWN = 10
LONGEST_SHOWN = 40
"""Columns that a message lists, and characters of each."""
FIELDS = ("user", "item", "time", "rating", "event", "title", "category")
ITEM_FIELDS = ("item", "title", "category", "text")
SCANNED = (*FIELDS, "status")
"""What is read of a row: the fields, and what became of it (`order_status.py`), which no setting names."""
TEXT_FIELDS = frozenset({"title", "category"})
"""Item text in a log: read only where its column is named, since it usually has a file of its own."""
COLUMN_OPTIONS = tuple(f"{field}_column" for field in FIELDS if field not in TEXT_FIELDS)
ITEM_COLUMN_OPTIONS = tuple(f"items_{field}_column" for field in ITEM_FIELDS)
"""The settings that name columns of the item table alone."""
_EVENTS = (
    "order", "purchase", "transaction", "trans", "txn", "invoice", "event", "review", "rating", "visit", "view",
    "click", "checkin", "interaction", "session", "payment", "sale", "loan", "borrow", "log", "activity", "start",
    "create", "created", "creation",
)  # fmt: skip
_DONE = (
    "ordered", "purchased", "reviewed", "rated", "visited", "viewed", "clicked", "played", "listened", "watched",
    "read", "sold", "loaned", "borrowed", "logged", "processed", "occurred", "started", "created", "added", "rented",
)  # fmt: skip
"""What a column of times is called after; `playtime`, `watchtime` and the like are how long something took."""
KNOWN_NAMES = {
    "user": (
        "userid", "uid", "userpseudoid", "customerid", "customeruniqueid", "idcustomer", "customerkey", "visitorid",
        "fullvisitorid", "domainuserid", "reviewerid", "memberid", "clientid", "idclient", "buyerid", "accountid",
        "customeruserid", "profileid", "playerid", "personid", "patronid", "customerno", "customernumber",
        "customercode", "userhash", "shopperid", "subscriberid", "studentid", "readerid", "householdid", "householdkey",
        "distinctid", "kundennummer", "kundennr", "kundenid", "idcliente", "idusuario",
        "user", "customer", "visitor", "client", "buyer", "account", "username", "buyerusername", "member", "patron",
        "kunde", "nutzer", "benutzer", "utilisateur", "cliente", "usuario", "anonymousid",
        "email", "emailaddress", "emailadresse", "kundeemail", "kundenemail", "customeremail",
        "billingemail", "emailbilling", "buyeremail", "sessionid", "session",
    ),
    "item": (
        "itemid", "iid", "productid", "idproduct", "productkey", "parentasin", "asin", "movieid", "articleid",
        "businessid", "bookid", "trackid", "songid", "newsid", "videoid", "sku", "isbn", "artistid", "gameid",
        "appid", "venueid", "locationid", "placeid", "poiid", "hotelid", "recipeid", "animeid", "courseid", "jobid",
        "goodsid", "stockcode", "itemsitemid", "itemsku", "lineitemsku", "variantsku", "itemproductid", "contentid",
        "beerid", "showid", "productsku", "lineitemsproductid", "articleno", "articlenumber", "productno",
        "productcode", "productreference", "itemcode", "artikelnummer", "artikelnr", "idproducto", "idproduit",
        "item", "product", "artikel", "produkt", "produit", "producto", "articulo",
    ),
    "time": (
        "time", "timestamp", "ts", "date", "datetime", "unixreviewtime", "unixtime", "timems", "timestampms",
        "timestampmillis", "unixtimestamp", "datetimeutc", "utctime", "timestamputc", "localtime", "dt", "tdat",
        "collectortstamp", "createdutc",
        "dateadd", "dateadded", "datecreated", "servertimestamp", "dateofreview", "dateread", "orderpurchasetimestamp",
        *(event + word for event in _EVENTS for word in ("time", "date", "datetime", "timestamp", "ts", "dt", "at")),
        *(done + word for done in _DONE for word in ("at", "on", "date", "timestamp", "ts")),
        "datum", "zeitpunkt", "zeitstempel", "bestelldatum", "kaufdatum", "fecha", "horodatage",
    ),
    "rating": ("rating", "stars", "score", "overall", "bookrating", "userrating", "ratingvalue"),
    "event": ("event", "eventtype", "behavior", "behaviour", "behaviortype", "actiontype"),
    "title": (
        "title", "name", "itemtitle", "itemname", "productname", "producttitle", "movietitle", "booktitle", "prodname",
        "appname", "artistname", "trackname", "songname", "gamename", "lineitemname", "coursename", "coursetitle",
        "itemsitemname", "originaltitle", "headline", "caption", "movie", "song", "artist",
        "titel", "bezeichnung", "artikelbezeichnung", "produktname", "titre", "nom", "título", "titulo", "nombre",
        "titolo",
    ),
    "category": (
        "categories", "category", "genres", "genre", "maincategory", "categoryname", "class", "productcategory",
        "itemcategory", "producttypename", "producttype", "departmentname", "firstlevelcategoryname", "tags",
        "kategorie", "kategorien", "warengruppe", "rubrik", "catégorie", "catégories", "categoría", "categoria",
        "género",
    ),
    "text": (
        "text", "description", "detaildesc", "abstract", "overview", "plot", "bodyhtml", "shortdescription",
        "beschreibung", "descripción", "descripcion", "descrizione",
    ),
}  # fmt: skip
"""Normalised names by which columns are recognised; the first that is there counts."""


def normalised(column: str) -> str:
    """A column's name as `KNOWN_NAMES` has it: letters and digits in lower case (and #), without RecBole's type."""
    return "".join(char for char in column.partition(":")[0].lower() if char.isalnum() or char == "#")


def recognised_column(columns: Sequence[str], field: str) -> str | None:
    """The column whose name says that it is this field."""
    by_name: dict[str, str] = {}
    for column in columns:
        by_name.setdefault(normalised(column), column)
    return next((by_name[known] for known in KNOWN_NAMES[field] if known in by_name), None)


def named_column(config: PrepareConfig, field: str) -> str | None:
    """The column that the settings name for a field, of several the first."""
    column: str | list[str] | None = getattr(config, f"{field}_column", None)
    return next(iter(column), None) if isinstance(column, list) else column


def column_called(columns: Sequence[str], name: str | None) -> str | None:
    """The column of a name that the settings give; RecBole's type may be left out."""
    if name is None or name in columns:
        return name
    return next((column for column in columns if column.partition(":")[0] == name), None)


def shortened_names(columns: Sequence[str]) -> str:
    """The names of columns for a message: the first ten, none of them long."""
    names = ", ".join(shortened_at_word(column, LONGEST_SHOWN) for column in columns[:MAX_SHOWN])
    return names + (f", … ({len(columns):,} in all)" if len(columns) > MAX_SHOWN else "")


def log_columns(
    columns: Sequence[str], config: PrepareConfig, file: str, *, line: int | None = 1, advice: str = ""
) -> dict[str, str]:
    """Which column of a log is which field.

    Args:
        columns: the names of the columns, in file order.
        config: the settings, which may name columns.
        file: how errors call the file.
        line: the line of the header.
        advice: what else may help where no column is the user's or the item's.

    Returns:
        By field, the name of its column as the file has it.

    Raises:
        InputError: for named columns that are not there, and where there is none for user or item.
    """
    named = {field: name for field in FIELDS if (name := named_column(config, field)) is not None}
    # a named column of item text that is not here may be the item file's: `check_text_columns` looks at both
    absent = [
        name for field, name in named.items() if field not in TEXT_FIELDS and column_called(columns, name) is None
    ]
    if absent:
        which = "column" if len(absent) == 1 else "columns"
        names = ", ".join(f"'{name}'" for name in absent)
        raise InputError(f"has no {which} {names}; there are {shortened_names(columns)}", file=file, line=line)
    found = {}
    free = _without(columns, named.values())
    for field in FIELDS:
        recognised = None if field in named or field in TEXT_FIELDS else recognised_column(free, field)
        column = column_called(columns, named.get(field)) or recognised
        if column is not None:
            found[field] = column
    missing = [field for field in ("user", "item") if field not in found]
    if missing:
        options = " and ".join(f"--{field}-column" for field in missing)
        if missing == ["user"] and recognised_column(free, "title"):
            advice += "; if this is the table of items, give it with --items, and the log before"
        which, them = " and as the ".join(missing), "it" if len(missing) == 1 else "them"
        raise InputError(
            f"no column is recognised as the {which} among {shortened_names(columns)}; name {them} "
            f"with {options}{_by_number(columns)}{advice}",
            file=file,
            line=line,
        )
    return found


def _without(columns: Sequence[str], named: Iterable[str]) -> list[str]:
    """The columns that the settings do not name: a named one is no other field."""
    taken = {column_called(columns, name) for name in named}
    return [column for column in columns if column not in taken]


def _by_number(columns: Sequence[str]) -> str:
    """The remark on numbers, where the first row may be data."""
    return " (by number where there is no header)" if any(map(is_time, columns)) else ""


def item_columns(columns: Sequence[str], config: PrepareConfig, file: str) -> dict[str, str]:
    """Which column of an item table is which field; a named one that is not here may be that of another table.

    Args:
        columns: the names of the columns, in file order.
        config: the settings, which may name columns.
        file: how errors call the file.

    Returns:
        By field, the name of its column as the file has it.

    Raises:
        InputError: where there is none for the item.
    """
    own = {field: column_called(columns, getattr(config, f"items_{field}_column")) for field in ITEM_FIELDS}
    free = _without(columns, filter(None, own.values()))
    found = {}
    for field in ITEM_FIELDS:
        shared = column_called(free, named_column(config, field))
        column = own[field] or shared or recognised_column(free, field)
        if column is not None:
            found[field] = column
    if "item" not in found and "title" in found:
        # what is called id beside a title is that of the item
        ids = [column for column in columns if normalised(column) == "id"]
        found = {"item": ids[0], **found} if ids else found
    if "item" not in found:
        missing = [field for field in ("item", "title") if field not in found]
        which, them = " and as the ".join(missing), "it" if len(missing) == 1 else "them"
        options = " and ".join(f"--items-{field}-column" for field in missing)
        raise InputError(
            f"no column is recognised as the {which} among {shortened_names(columns)}; name {them} with "
            f"{options}{_by_number(columns)}",
            file=file,
        )
    return found
