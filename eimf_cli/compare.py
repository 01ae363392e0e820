"""`eimf compare`: several backbones and settings trained, evaluated, and shown in one paired table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eimf_cli import next_steps, progress_bars, terminal
from eimf_cli.options import Force, step
from eimf_core.comparison.config import CompareConfig
from eimf_core.errors import ModelError, counted

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@step(
    app,
    example="eimf compare data/ --backbones narm,comirec-sa,sasrec --seeds 3 --max-minutes 10 -o runs/",
    settings=CompareConfig,
    plugins="backbones",
)
def compare(
    *,
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Directory that prepare wrote.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="RUNS", help="Folder of models, figures and trials.")
    ],
    ranges: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.toml", help="TOML file of the settings of train to search: a value, a list, or {low, high}."
        ),
    ] = None,
    labels: Annotated[Path | None, typer.Option(metavar="FILE", help="Labels that label wrote.")] = None,
    latex: Annotated[Path | None, typer.Option(metavar="FILE.tex", help="Write the table for LaTeX.")] = None,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE.csv", help="Write the figures as CSV, one row per system and metric.")
    ] = None,
    figures: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Write plots as SVG.")] = None,
    force: Force = False,
    settings: CompareConfig,
) -> None:
    """Train backbones with several seeds, evaluate them on the test split, and show one paired table.

    With --ranges, each backbone is first trained with the settings of that file (all combinations of lists, or --trials
    of them at random), and the one with the best NDCG@10 on the validation split is chosen. Test lines are read once,
    at the end. Intervals are over users; the spread is that over seeds. A training that fails is told, and the others
    continue. The same command resumes a killed run; backbones, seeds and trials may be added.
    """
    from eimf_core import dataset

    reporter = progress_bars.TerminalReporter()
    # a wrong path is told before torch is imported, which takes seconds
    dataset.refuse_missing(directory)
    reporter.begin("importing torch")
    from eimf_core.comparison import paired_table, table_files
    from eimf_core.comparison.compare import compare as run
    from eimf_core.io import jsonl, outputs, provenance

    reporter.end()
    lines = output / "metrics.jsonl"
    plots = [figures / name for name in table_files.PLOTS] if figures is not None else []
    wanted = [lines, latex, csv, *plots]
    with outputs.claimed(wanted, inputs=[*dataset.files_of(directory), labels, ranges], force=force) as places:
        made = run(directory, output, settings, ranges=ranges, labels=labels, reporter=reporter)
        jsonl.write(places[str(lines)], made.evaluation.records)
        if latex is not None:
            table_files.write_text(places[str(latex)], table_files.as_latex(made))
        if csv is not None:
            table_files.write_text(places[str(csv)], table_files.as_csv(made))
        drawn = table_files.as_svg(made) if plots else {}
        for plot in plots:
            if plot.name in drawn:
                table_files.write_text(places[str(plot)], drawn[plot.name])
        for place in places.values():
            if place.exists():
                provenance.write(place, made.sidecar)
    table = paired_table.table(made)
    from eimf_cli.metric_tables import show

    show(table)
    for line in paired_table.remarks(made):
        terminal.info(line)
    terminal.info(f"{lines}: all figures; the models are beside it")
    if made.failed:
        # told last, since it is what is to be done
        raise ModelError(f"{counted(len(made.failed), 'training')} failed, see above; the same command tries again")
    next_steps.report(made.first_models, directory)
