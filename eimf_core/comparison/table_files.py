"""The table as files of other programs: CSV, LaTeX, and plots as SVG."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path

from eimf_core.comparison import paired_table
from eimf_core.comparison.compare import Comparison
from eimf_core.comparison.setting_ranges import changed
from eimf_core.evaluation import metric_format, result_tables
from eimf_core.evaluation.report import plots

COLUMNS = (
    "system", "kind", "settings", "seeds", "metric", "k", "value", "ci_low", "ci_high", "spread_over_seeds", "users",
    "compared_to", "difference", "difference_ci_low", "difference_ci_high", "p", "p_holm", "detectable",
    "validation_ndcg_10", "seconds", "error",
)  # fmt: skip
SVG_INK = "#1b1f24"
PLOTS = ("figures.svg", "differences.svg")


def as_csv(comparison: Comparison) -> str:
    """A line for each system and metric; intervals are over users."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for line in paired_table.lines(comparison):
        backbone = line.backbone
        of_system = {
            "system": line.name,
            "kind": "baseline" if backbone is None else "backbone",
            "settings": "" if backbone is None else changed(backbone.settings),
            "seeds": "" if backbone is None else len(backbone.trained),
            "validation_ndcg_10": None if backbone is None else backbone.mean_validation,
            "seconds": line.seconds,
            "error": "; ".join(f"seed {each.seed}: {each.error}" for each in backbone.failed) if backbone else "",
        }
        if not line.figures:
            writer.writerow(of_system)
        for (metric, k), figure in line.figures.items():
            row = {
                **of_system, "metric": metric, "k": k, "value": figure.value, "ci_low": figure.ci_low,
                "ci_high": figure.ci_high, "spread_over_seeds": figure.spread, "users": figure.users,
            }  # fmt: skip
            if (difference := line.differences.get((metric, k))) is not None:
                row |= {
                    "compared_to": comparison.best, "difference": difference.value,
                    "difference_ci_low": difference.low, "difference_ci_high": difference.high, "p": difference.p,
                    "p_holm": difference.p_holm, "detectable": difference.detectable,
                }  # fmt: skip
            writer.writerow(row)
    return stream.getvalue()


def as_latex(comparison: Comparison) -> str:
    """A table for the package booktabs, with a caption that says what the figures are."""
    shown = paired_table.metrics(comparison)
    main = shown[0][0]
    made = [
        "% needs \\usepackage{booktabs}",
        "\\begin{table}",
        "\\centering",
        f"\\caption{{{_tex(_caption(comparison))}}}",
        f"\\begin{{tabular}}{{l{'r' * len(shown)}r}}",
        "\\toprule",
        " & ".join(["", *(_tex(label) for _, label in shown), f"difference to {_tex(comparison.best)}"]) + " \\\\",
        "\\midrule",
    ]
    for line in paired_table.lines(comparison):
        cells = [_tex(line.name)]
        for row, _ in shown:
            figure = line.figures.get(row)
            spread = "" if figure is None or figure.spread is None else f" \\pm {_short(figure.spread)}"
            cells.append("" if figure is None else f"${_short(figure.value)}{spread}$")
        difference = line.differences.get(main)
        mark = "^{*}" if difference is not None and difference.decided else ""
        cells.append(
            ""
            if difference is None
            else f"${difference.value:+.4f}{mark}$ $[{_short(difference.low)}, {_short(difference.high)}]$"
        )
        made.append(" & ".join(cells) + " \\\\")
    return "\n".join([*made, "\\bottomrule", "\\end{tabular}", "\\end{table}", ""])


def as_svg(comparison: Comparison) -> dict[str, str]:
    """The plots by file name: the main figure of all systems, and the differences in it."""
    evaluation = comparison.evaluation
    drawn: dict[str, Callable[[], plots.Plot | None]] = {
        PLOTS[0]: lambda: plots.figures(evaluation, result_tables.main_row(evaluation)),
        PLOTS[1]: lambda: plots.comparisons(evaluation),
    }
    return {name: _standalone(plot.svg) for name, draw in drawn.items() if (plot := draw()) is not None}


def _standalone(svg: str) -> str:
    """An SVG that no page gives its colour and size."""
    width, height = re.findall(r'viewBox="0 0 (\d+) (\d+)"', svg)[0]
    sized = svg.replace("<svg ", f'<svg width="{width}pt" height="{height}pt" color="{SVG_INK}" ', 1)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{sized}'


def write_text(path: Path, text: str) -> None:
    """Write a file; ids may hold half a surrogate pair, which no UTF-8 file can."""
    path.write_bytes(text.encode("utf-8", "replace"))


def _caption(comparison: Comparison) -> str:
    named = metric_format.metric_name(*result_tables.main_row(comparison.evaluation))
    facts = comparison.evaluation.facts
    seeds = max(len(backbone.trained) for backbone in comparison.backbones)
    spread = f"Mean and standard deviation over {seeds} seeds. " if seeds > 1 else ""
    return (
        f"Test split ({facts['protocol']}, {facts['users']:,} users), the whole catalogue ranked. {spread}"
        f"Differences in {named} to {comparison.best}, the best on the validation split, with paired 95 % intervals"
        f" over users; *: p < .05 (paired randomisation test, Holm)."
    )


def _short(value: float) -> str:
    return f"{value:.4f}"


def _tex(text: str) -> str:
    """Text with the characters that LaTeX reads as commands."""
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    return "".join(special.get(char, f"\\{char}" if char in "&%$#_{}" else char) for char in text)
