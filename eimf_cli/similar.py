"""`eimf similar`: the items nearest to one."""

from __future__ import annotations

from typing import Annotated

import orjson
import typer

from eimf_cli import list_options, progress_bars, terminal
from eimf_cli.list_options import AsTable, ModelPath
from eimf_cli.options import step
from eimf_core.recommend.config import ListConfig
from eimf_core.recommend.query.request import ListRequest

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@step(app, example='eimf similar model/ "toy story" -k 5', settings=ListConfig, request=ListRequest)
def similar(
    settings: ListConfig,
    request: ListRequest,
    model: ModelPath,
    item: Annotated[str, typer.Argument(metavar="ITEM", help="An item, by id or title.")],
    table: AsTable = None,
) -> None:
    """List the items whose vectors are nearest to that of one item, by cosine.

    The answer is a Recommendation line whose id is that of the item.
    """
    from eimf_core.recommend import session

    line = session.similar(model, settings, item, request, reporter=progress_bars.TerminalReporter())
    list_options.show([line], table, heading=f"nearest to {item}")
    terminal.next_step("recommend", model, "--items", orjson.loads(line)["id"])
