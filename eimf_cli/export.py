"""`eimf export`: item vectors and the network of a model, for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eimf_cli import terminal
from eimf_cli.list_options import ModelPath
from eimf_cli.options import Force, step
from eimf_core.errors import counted

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@step(app, example="eimf export model/ --vectors items.parquet --onnx network/")
def export(
    model: ModelPath,
    vectors: Annotated[
        Path | None,
        typer.Option(metavar="FILE.parquet", help="Write ids, titles and vectors of all items here, as Parquet."),
    ] = None,
    onnx: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the ONNX network here, with a page on how to run it.")
    ] = None,
    force: Force = False,
) -> None:
    """Write item vectors for a vector database, and the network that makes interests of a history.

    The score of an item is its largest inner product with the interests of a user: one search for
    each interest, and of an item the best score. What a model adds beside, and a worked example
    with pgvector, stands in eimf_core/exporting/README.md.
    """
    from eimf_core.exporting import output_paths

    output_paths.check(model, vectors, onnx)
    if vectors is not None:
        from eimf_core.exporting import item_vectors

        number = item_vectors.write(model, vectors, force=force)
        terminal.info(f"{vectors}: the vectors of {counted(number, 'item')}")
    if onnx is not None:
        from eimf_core.exporting import network_folder

        read = network_folder.write(model, onnx)
        terminal.info(f"{onnx}: the network, which reads {', '.join(read)}; README.md there says how")
