"""`eimf similar`: the items nearest to one."""

from __future__ import annotations

from typing import Annotated

import orjson
import typer

from eimf_cli import list_options, progress_bars, terminal
from eimf_cli.list_options import AsTable, Exclude, ExcludeItems, ModelPath, NewItems, Only, OnlyItems
from eimf_cli.options import step
from eimf_core.recommend.config import ListConfig

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@step(app, example='eimf similar model/ "toy story" -k 5', settings=ListConfig)
def similar(
    settings: ListConfig,
    model: ModelPath,
    item: Annotated[str, typer.Argument(metavar="ITEM", help="An item, by id or title.")],
    exclude: Exclude = None,
    exclude_items: ExcludeItems = None,
    only_items: OnlyItems = None,
    only: Only = None,
    new_items: NewItems = None,
    table: AsTable = None,
) -> None:
    """List the items whose vectors are nearest to that of one item, by cosine.

    The answer is a Recommendation line whose id is that of the item.
    """
    from eimf_core.recommend import session
    from eimf_core.recommend.request import ListRequest

    request = ListRequest(
        exclude=list_options.ids(exclude),
        exclude_items=exclude_items,
        only_items=only_items,
        only=only or [],
        new_items=new_items,
    )
    line = session.similar(model, settings, item, request, reporter=progress_bars.TerminalReporter())
    list_options.show([line], table, heading=f"nearest to {item}")
    terminal.next_step("recommend", model, "--items", orjson.loads(line)["id"])
