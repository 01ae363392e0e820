"""The plots of the report as inline SVG, each with a text alternative.

matplotlib draws them without a display. Text stays text and takes the page's colour, so that a
plot is readable in light and dark; other colours are of middling lightness. Ids that nothing refers
to are taken out and the others are made unlike those of the other plots.
"""

from __future__ import annotations

import contextlib
import html
import io
import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from eimf_core.evaluation import metric_format, result_tables
from eimf_core.evaluation.evaluate import Evaluation
from eimf_core.evaluation.metrics.accuracy import ACCURACY
from eimf_core.text_cleaning import shortened

COLOURS = ("#3f86c9", "#df7a2e", "#3d9c5c", "#c9504f", "#9070c8", "#a5764a", "#d673ac", "#9a9a2c", "#2ba3b0", "#7c8792")
INK = "#010203"
"""Stands for the page's text colour until the SVG is made."""
GREY = "#8a9099"
MAP_WIDTH = 900
NAME_SIZE = 11
LONGEST_NAME = 34


@dataclass(frozen=True)
class Plot:
    """`svg` is safe markup; `text` says what is to be seen; `width` is the widest it should be shown, in pixels."""

    svg: str
    text: str
    width: int


@contextlib.contextmanager
def _figure(name: str, width: float, height: float) -> Iterator[Any]:
    """A matplotlib figure (inches) with the settings that all plots share."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    import matplotlib
    from matplotlib.figure import Figure

    settings: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": name,
        # titles and categories are no formulas
        "text.parse_math": False,
        "axes.edgecolor": GREY,
        "axes.labelcolor": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.formatter.useoffset": False,
        "text.color": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "legend.frameon": False,
        "grid.color": GREY,
        "grid.alpha": 0.3,
        "font.size": 11,
    }
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        # a letter that the measuring font lacks is shown by the browser's
        warnings.simplefilter("ignore")
        yield Figure(figsize=(width, height), layout="constrained")


def _finish(figure: Any, name: str, text: str) -> Plot:
    stream = io.StringIO()
    figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = stream.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = svg.replace(INK, "currentColor")
    referred = set(re.findall(r'(?:url\(|href=")#([^")]+)', svg))
    svg = re.sub(r' id="([^"]*)"', lambda found: found.group(0) if found.group(1) in referred else "", svg)
    # "a" stands before each id: two plots never share one
    svg = re.sub(r'( id="|url\(#|href="#)', rf"\g<1>{name}-", svg)
    width, height = figure.get_size_inches() * 72
    alternative = html.escape(text, quote=True)
    opening = f'<svg class="plot" role="img" aria-label="{alternative}" viewBox="0 0 {width:.0f} {height:.0f}"'
    svg = re.sub(
        r"<svg[^>]*>",
        f'{opening} xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">',
        svg,
        count=1,
    )
    return Plot(svg, text, round(width * 1.4))


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"…{name[-LONGEST_NAME + 1 :]}"


def colour(at: int) -> str:
    """The colour of a series or category by its number."""
    return COLOURS[at % len(COLOURS)]


def figures(evaluation: Evaluation, row: result_tables.MetricRow) -> Plot | None:
    """The main metric of every model and baseline with its interval; None where only interests are counted."""
    records = result_tables.by_row(evaluation, "all").get(row, {})
    if not records:
        return None
    names = sorted(records, key=lambda name: -records[name].value)
    title, called = metric_format.metric_name(*row), result_tables.short_names(evaluation)
    with _figure("figures", 4.6, 0.8 + 0.32 * len(names)) as figure:
        axes = figure.add_subplot()
        for place, name in enumerate(names):
            baseline = name in evaluation.baselines
            found = records[name]
            _interval(axes, found.value, found.ci_low, found.ci_high, place, GREY if baseline else colour(0))
        _rows(axes, [_short(called[name]) for name in names], title)
        axes.set_xlim(left=min(0, axes.get_xlim()[0]))
        said = "; ".join(
            f"{called[name]} {metric_format.interval_text(found.value, found.ci_low, found.ci_high)}"
            for name in names
            if (found := records[name])
        )
        return _finish(figure, "figures", f"{title} with 95 % intervals: {said}")


def comparisons(evaluation: Evaluation) -> Plot | None:
    """Differences of the main metric with their paired intervals; green and red where they are decided."""
    records = result_tables.of_main_row(evaluation)
    if not records:
        return None
    row, called = result_tables.main_row(evaluation), result_tables.short_names(evaluation)
    title = f"difference in {metric_format.metric_name(*row)}"
    pairs = [(called[record.model], called[str(record.compared_to)]) for record in records]
    with _figure("comparisons", 4.8, 0.8 + 0.46 * len(records)) as figure:
        axes = figure.add_subplot()
        axes.axvline(0, color=GREY, linewidth=1)
        for place, record in enumerate(records):
            value = record.difference or 0.0
            decided = COLOURS[0] if row[0] not in ACCURACY else COLOURS[2] if value > 0 else COLOURS[3]
            painted = decided if result_tables.significant(record) else GREY
            _interval(axes, value, record.difference_ci_low, record.difference_ci_high, place, painted)
        _rows(axes, [f"{_short(one)}\nagainst {_short(other)}" for one, other in pairs], title)
        said = "; ".join(
            f"{one} minus {other} {metric_format.difference_text(record)}"
            for (one, other), record in zip(pairs, records, strict=True)
        )
        return _finish(figure, "comparisons", f"{title} with paired 95 % intervals: {said}")


def slices(evaluation: Evaluation, row: result_tables.MetricRow) -> Plot | None:
    """The main metric by slice, for the models and for the best baseline of each slice."""
    parts = {name: result_tables.by_row(evaluation, name).get(row, {}) for name in evaluation.facts["slices"]}
    parts = {name: records for name, records in parts.items() if records}
    if not parts:
        return None
    contenders, called = evaluation.contenders, result_tables.short_names(evaluation)
    title = metric_format.metric_name(*row)
    said = []
    with _figure("slices", 4.8, 1.2 + (0.24 * len(contenders) + 0.34) * len(parts)) as figure:
        axes = figure.add_subplot()
        step = 0.7 / (len(contenders) + 1)
        for place, (part, records) in enumerate(parts.items()):
            values = []
            for at, name in enumerate(contenders):
                if (found := records.get(name)) is not None:
                    height = place + (at - len(contenders) / 2) * step
                    _interval(axes, found.value, found.ci_low, found.ci_high, height, colour(at))
                    values.append(f"{called[name]} {found.value:.4f}")
            best = max((records[name].value for name in evaluation.baselines if name in records), default=None)
            if best is not None:
                axes.plot([best], [place + len(contenders) / 2 * step], marker="D", color=GREY, linestyle="")
                values.append(f"best baseline {best:.4f}")
            said.append(f"{part}: {', '.join(values)}")
        _rows(axes, [_short(part) for part in parts], title)
        marks = [axes.plot([], [], marker="o", linestyle="", color=colour(at))[0] for at in range(len(contenders))]
        marks.append(axes.plot([], [], marker="D", linestyle="", color=GREY)[0])
        words = [*(_short(called[name]) for name in contenders), "best baseline of the slice"]
        figure.legend(marks, words, loc="outside lower center", ncols=1, fontsize=10)
        return _finish(figure, "slices", f"{title} by slice. {'; '.join(said)}")


def curves(epochs: dict[str, list[dict[str, Any]]]) -> list[Plot]:
    """Training loss and validation figure over the epochs of each model."""
    loss = {name: _series(lines, "loss", "prediction") for name, lines in epochs.items()}
    valid = {name: _series(lines, "valid", "ndcg@10") for name, lines in epochs.items()}
    made = (_curve("loss", "training loss (prediction)", loss), _curve("valid", "validation NDCG@10", valid))
    return [plot for plot in made if plot is not None]


def _series(lines: Sequence[dict[str, Any]], group: str, key: str) -> list[tuple[float, float]]:
    points = []
    for number, line in enumerate(lines, start=1):
        within = line.get(group)
        value = within.get(key) if isinstance(within, dict) else within
        if isinstance(value, int | float) and np.isfinite(value):
            points.append((float(line.get("epoch", number)), float(value)))
    return points


def _curve(name: str, title: str, series: dict[str, list[tuple[float, float]]]) -> Plot | None:
    series = {model: points for model, points in series.items() if points}
    if not series:
        return None
    from matplotlib.ticker import MaxNLocator

    said = []
    with _figure(name, 4.4, 3 + 0.22 * len(series)) as figure:
        axes = figure.add_subplot()
        for at, (model, points) in enumerate(series.items()):
            axes.plot(*zip(*points, strict=True), color=colour(at), marker="o", markersize=3, label=_short(model))
            values = [value for _, value in points]
            said.append(
                f"{model} from {values[0]:.4g} to {values[-1]:.4g} in {len(points)} epochs, "
                f"lowest {min(values):.4g}, highest {max(values):.4g}"
            )
        axes.set_xlabel("epoch")
        axes.set_title(title, fontsize=11)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(axis="y")
        figure.legend(loc="outside lower center", ncols=1, fontsize=10)
        return _finish(figure, name, f"{title}: {'; '.join(said)}")


def plane(points: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Points in two dimensions, those near each other staying near: t-SNE.

    Args:
        points: (n, d).

    Returns:
        (n, 2).

    Source: van der Maaten and Hinton, JMLR 9, 2008.
    """
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(points) - 1) / 3)
    made: npt.NDArray[np.float64] = TSNE(perplexity=perplexity, init="pca", random_state=0, max_iter=500).fit_transform(
        points.astype(np.float64)
    )
    return made


def item_map(
    places: npt.NDArray[np.float64],
    colours: Sequence[int],
    names: Sequence[tuple[str, npt.NDArray[np.float64]]],
    catalogue: int,
) -> Plot:
    """Items in the plane, and names of interests.

    Args:
        places: (items, 2).
        colours: number of the category of each item, -1 for none.
        names: with their places (2,), the most frequent first; one that finds no room is left out.
        catalogue: how many items there are.

    Returns:
        The plot.
    """
    with _figure("map", 5.6, 4.6) as figure:
        axes = figure.add_subplot()
        chosen = np.array(colours)
        for at in np.unique(chosen):
            own = np.flatnonzero(chosen == at)
            painted = GREY if at < 0 else colour(int(at))
            axes.plot(*places[own].T, marker=".", markersize=4, linestyle="", color=painted, alpha=0.6)
        axes.set_axis_off()
        axes.margins(0.02)
        figure.draw_without_rendering()
        taken: list[Any] = []
        shown = [name for name, place in names if _written(axes, name, place, taken)]
        said = f", with the interests {', '.join(shown)}" if shown else ""
        alike = "near each other where the model takes them for alike"
        plot = _finish(figure, "map", f"Map of {len(places):,} of {catalogue:,} items, {alike}{said}")
        return replace(plot, width=MAP_WIDTH)


def _written(axes: Any, name: str, place: npt.NDArray[np.float64], taken: list[Any]) -> bool:
    """Write a name at its place, or a line or two above or below; whether there was room beside the boxes `taken`."""
    shown = shortened(name, LONGEST_NAME)
    for step in (0, 1, -1, 2, -2):
        text = axes.annotate(
            shown, place, (0, 1.1 * step * NAME_SIZE), textcoords="offset points",
            ha="center", va="center", fontsize=NAME_SIZE, fontweight="bold",
        )  # fmt: skip
        box = text.get_window_extent()
        if not any(box.overlaps(other) for other in taken):
            taken.append(box)
            return True
        text.remove()
    return False


def _interval(axes: Any, value: float, low: float | None, high: float | None, place: float, painted: str) -> None:
    if low is not None and high is not None:
        axes.plot([low, high], [place, place], color=painted, linewidth=2)
    axes.plot([value], [place], marker="o", color=painted)


def _rows(axes: Any, names: Sequence[str], title: str) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_title(title, fontsize=11)
    axes.grid(axis="x")
