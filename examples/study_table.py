"""From the runs of the study to its table (markdown) and its figure (SVG)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from study_differences import Difference, Differences
from study_lines import Line

PARTS = {"all": "all users", "short": "short histories", "rare": "rare items", "cold": "cold items"}
# one thing other than in both-start
OF_BOTH = {
    "category-start", "start-only", "semantic-start", "alignment-start", "distil", "independent", "item-categories",
    "distributions", "prototypes", "inherited", "random-users", "active-users",
}  # fmt: skip
# what the study makes of real histories and has a control of; labels from a file have that of NAME-shuffled
REAL_LABELS = ("keywords", "keywords-categories", "keywords-rich", "categories", "random", "active")
# histories are so long that typical users of the half are those of the quarter, and both-start is both-rich
ONE_HALF = {"ml-1m"}
# compared besides with these: what a catalogue's categories bring in words and in item vectors
FURTHER = {
    "both-categories": ("both-start", "features"),
    "both-rich": ("both-start",),
    "item-categories": ("features",),
    "aligned-categories": ("aligned",),
}
# what labels do, and what is compared with the backbone without it: runs that differ in these only are compared; by the
# names of study.toml
OF_LABELS = {
    "semantic_weight", "alignment_weight", "alignment", "item_weight", "item_contrast", "item_share", "label_start",
    "inherited_items", "inherited_weight", "labelled_steps", "labelled_share", "distil_weight", "independent",
    "item_categories", "item_events",
}  # fmt: skip


def named(part: str) -> str:
    """The study's name of a slice of eval."""
    if part == "popularity<1":
        return "cold"
    return "rare" if part.startswith("popularity=") else "frequent" if part.startswith("popularity>") else part


def groups(lines: list[Line]) -> dict[tuple[str, ...], list[Line]]:
    """Runs that differ in their seed alone, by data, setting, backbone, configuration, labels, budget, the file of the
    labels and training."""
    made: dict[tuple[str, ...], list[Line]] = {}
    for line in lines:
        same = {name: value for name, value in line["settings"].items() if name != "seed"}
        names = ("data", "setting", "backbone", "configuration", "labels", "budget")
        key = (*(line[name] for name in names), line.get("labels_sha256", ""), repr(sorted(same.items())))
        made.setdefault(key, []).append(line)
    return {key: sorted(runs, key=lambda run: run["seed"]) for key, runs in made.items()}


def training(runs: list[Line]) -> Line:
    """How runs were trained, but for the seed and what labels do."""
    return {name: value for name, value in runs[0]["settings"].items() if name not in {"seed", *OF_LABELS}}


def against(found: dict[tuple[str, ...], list[Line]], key: tuple[str, ...], configuration: str) -> list[Line] | None:
    """The runs of another configuration on the same data, setting and backbone, trained in the same way, with labels
    of the same budget or with none."""
    data, setting, backbone, budget = *key[:3], key[5]
    for other, runs in found.items():
        same = other[:3] == (data, setting, backbone) and other[3] == configuration
        if same and (other[4] == "none" or other[5] == budget) and training(runs) == training(found[key]):
            return runs
    return None


def shuffled(found: dict[tuple[str, ...], list[Line]], key: tuple[str, ...]) -> list[Line] | None:
    """The runs with labels from the file that holds the same names shuffled: those that are called NAME-shuffled."""
    for other, runs in found.items():
        same = other[:4] == key[:4] and other[5] == key[5] and other[4] == f"{key[4]}-shuffled"
        if same and training(runs) == training(found[key]):
            return runs
    return None


def control_of(configuration: str) -> str | None:
    """What a configuration is compared with besides the backbone alone: itself with shuffled words, or what it changes
    one thing of."""
    if configuration.startswith("both"):
        return configuration.replace("both", "shuffled", 1)
    if configuration in ("aligned", "aligned-categories"):
        return f"shuffled-{configuration}"
    if configuration.startswith("aligned-"):
        return "aligned"
    return "both-start" if configuration in OF_BOTH else None


def _said(compared: Difference | None) -> str:
    if compared is None:
        return ""
    gap, low, high, base = compared
    share = f"{100 * gap / base:+.1f} %" if base else ""
    if np.isnan(low) or low == high == 0.0:
        return share
    clear = "**" if low > 0 or high < 0 else ""
    interval = f"[{low:+.4f}, {high:+.4f}]"
    return f"{clear}{share}{clear} {interval}" if share else f"{clear}{interval}{clear}"


def _each_seed(runs: list[Line], alone: list[Line]) -> str:
    """The relative differences of the seeds that both have, one by one; of which, where not of all."""
    base = {run["seed"]: run["figures"]["ndcg all"] for run in alone}
    shared = [run for run in runs if base.get(run["seed"])]
    gaps = [f"{100 * (run['figures']['ndcg all'] / base[run['seed']] - 1):+.1f}" for run in shared]
    if shared == runs:
        return ", ".join(gaps)
    return ", ".join(f"seed {run['seed']}: {gap}" for run, gap in zip(shared, gaps, strict=True))


def table(lines: list[Line], known: Differences) -> str:
    """All runs, a row for each configuration: means, spread over seeds, paired differences."""
    found = groups(lines)
    rows = [
        "NDCG at 10 (20 for ml-1m), full ranking, items of the history dropped, test split. ± is the standard",
        "deviation over seeds. Differences are to the backbone alone, relative, with the paired 95 % interval of the",
        "difference over users, pooled over the seeds that both have; bold where it excludes zero. Chance between",
        "seeds is not in it: see each seed, against the same seed of the backbone alone. Nor are machines and",
        "versions: a seed done again on another day moved by up to 6 per cent. Without an interval: the values of",
        "users were lost with a machine. The control of real words is shuffled ones, that of a configuration which",
        "changes one thing of both-start (aligned) is both-start (aligned). CPU is that of training, in seconds, mean",
        "of the runs; epochs, how many were trained and how many were allowed, with patience where that may end a run.",
        "Where the best epoch, on validation, is near the last, a run may not have come to its best.",
        "",
        "| data | items | backbone | configuration | labels | epochs | seeds | NDCG | recall | all users | each seed, "
        "per cent | short histories | rare items | cold items | against its control | the same, rare items "
        "| best epoch | CPU s | CPU s an epoch |",
        f"|{'---|' * 19}",
    ]
    for key in sorted(found, key=lambda key: (*key[:3], -_limit(found[key]), _order(key[3]), key[4], key[5])):
        runs = found[key]
        data, setting, backbone, name, labels, budget = key[:6]
        figures = [run["figures"]["ndcg all"] for run in runs]
        spread = f" ± {np.std(figures, ddof=1):.4f}" if len(figures) > 1 else ""
        alone = None if name == "alone" else against(found, key, "alone")
        compared = [_said(known.between(runs, alone, f"ndcg {part}")) if alone else "" for part in PARTS]
        compared.insert(1, _each_seed(runs, alone) if alone else "")
        other = control_of(name) if labels in REAL_LABELS else None
        control = against(found, key, other) if other else shuffled(found, key)
        told = [_said(known.between(runs, control, f"ndcg {part}")) if control else "" for part in ("all", "rare")]
        recall = np.mean([run["figures"]["recall all"] for run in runs])
        cpu = [run["train_cpu_seconds"] for run in runs]
        by_epoch = [run["train_cpu_seconds"] / run["epochs"] for run in runs]
        patience = runs[0]["settings"].get("patience", _limit(runs))
        epochs = f"{np.mean([run['epochs'] for run in runs]):.0f} of {_limit(runs)}"
        epochs += f", patience {patience}" if patience < _limit(runs) else ""
        best = f"{np.mean([run['best_epoch'] for run in runs]):.0f}"
        who = labels if labels == "none" else f"{labels}, {budget}"
        cells = [
            data, setting, backbone, name, who, epochs, str(len(runs)), f"{np.mean(figures):.4f}{spread}",
            f"{recall:.4f}", *compared, *told, best, f"{np.mean(cpu):.0f}", f"{np.mean(by_epoch):.1f}",
        ]  # fmt: skip
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join([*rows, *_further(found, known)]) + "\n"


def _further(found: dict[tuple[str, ...], list[Line]], known: Differences) -> list[str]:
    """Rows of the comparisons that have no column of their own."""
    rows = []
    for key in sorted(found, key=lambda key: (*key[:3], -_limit(found[key]), key[3])):
        same = key[0] in ONE_HALF and key[3] == "both-rich"
        others = FURTHER.get(key[3], ()) if key[4] in REAL_LABELS and not same else ()
        compared = {other: against(found, key, other) for other in others}
        if key[1] == "neighbours" and key[3] == "alone":
            compared["alone, ids"] = _other_start(found, key)
        for other, theirs in compared.items():
            told = [_said(known.between(found[key], theirs, f"ndcg {part}")) for part in PARTS] if theirs else []
            if any(told):
                rows.append(f"| {' | '.join([*key[:4], other, str(_limit(found[key])), *told])} |")
    head = [
        "", "Further comparisons:", "",
        f"| data | items | backbone | configuration | against | epochs | {' | '.join(PARTS.values())} |",
        f"|{'---|' * (6 + len(PARTS))}",
    ]  # fmt: skip
    return [*head, *rows] if rows else []


def _other_start(found: dict[tuple[str, ...], list[Line]], key: tuple[str, ...]) -> list[Line] | None:
    """The same runs with item vectors that start at random."""
    start = {"item_vectors": "random"}
    for other, runs in found.items():
        same = (other[0], other[2], other[3]) == (key[0], key[2], key[3])
        if same and training(runs) == training(found[key]) | start:
            return runs
    return None


def _limit(runs: list[Line]) -> int:
    """The most epochs that runs were allowed."""
    return int(runs[0]["settings"].get("epochs", 0))


def _order(name: str) -> int:
    known = (
        "alone", "semantic", "alignment", "both", "both-shown", "both-start", "shuffled", "shuffled-shown",
        "shuffled-start", "plain",
    )  # fmt: skip
    return known.index(name) if name in known else len(known)


def figure(lines: list[Line], known: Differences, path: Path) -> None:
    """The relative differences to the backbone alone with their intervals, one panel for data and setting.

    Where there are runs that no patience has ended, only these.
    """
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "study"
    from matplotlib import pyplot

    whole = [line for line in lines if line["settings"].get("patience", 0) >= line["settings"].get("epochs", 1)]
    found = groups(whole or lines)
    panels: dict[tuple[str, str, int], list[tuple[str, float, float, float]]] = {}
    for key in sorted(found, key=lambda key: (key[1], key[0], _order(key[3]))):
        alone = None if key[3] == "alone" else against(found, key, "alone")
        compared = known.between(found[key], alone, "ndcg all") if alone else None
        if compared is not None and compared[3] and not np.isnan(compared[1]):
            gap, low, high, base = compared
            name, scale = f"{key[3]}, {key[2]}, {key[4]} {key[5]}", 100 / base
            panels.setdefault((key[0], key[1], _limit(found[key])), []).append(
                (name, scale * gap, scale * low, scale * high)
            )
    if not panels:
        return
    height = sum(len(bars) + 1.5 for bars in panels.values())
    sizes = {"height_ratios": [len(bars) + 1 for bars in panels.values()]}
    # one scale for all: otherwise a tenth of a per cent looks like ten
    drawn, axes = pyplot.subplots(
        len(panels), 1, figsize=(8, 0.35 * height + 1), squeeze=False, sharex=True, gridspec_kw=sizes
    )
    for axis, ((data, setting, epochs), bars) in zip(axes[:, 0], panels.items(), strict=True):
        for at, (_, gap, low, high) in enumerate(bars):
            colour = "tab:green" if low > 0 else "tab:red" if high < 0 else "tab:gray"
            axis.plot([low, high], [at, at], color=colour)
            axis.plot([gap], [at], "o", color=colour)
        axis.set_yticks(range(len(bars)), [bar[0] for bar in bars])
        axis.set_ylim(len(bars) - 0.5, -0.5)
        axis.axvline(0.0, color="black", linewidth=0.5)
        axis.tick_params(labelbottom=True)
        axis.set_title(f"{data}, {setting}, at most {epochs} epochs", fontsize=9, loc="left")
    drawn.supxlabel("NDCG against the backbone alone, per cent, paired 95 % interval", fontsize=9)
    drawn.tight_layout()
    drawn.savefig(path, metadata={"Date": None})
    pyplot.close(drawn)


def times(lines: list[Line], parts: dict[str, set[str]]) -> str:
    """What each part took; `parts` holds the keys of the runs that a part asks for."""
    rows = [
        "",
        "Time of each part, training and testing, one thread; a run that several parts ask for counts in each:",
        "",
        "| part | runs | of | CPU minutes | wall minutes | CPU s of the longest run |",
        "|---|---|---|---|---|---|",
    ]
    asked = set().union(*parts.values())
    every = {line["key"] for line in lines}
    for part, keys in [*sorted(parts.items()), ("no part", every - asked), ("all", every)]:
        runs = [line for line in lines if line["key"] in keys]
        cpu = [run["train_cpu_seconds"] + run["eval_cpu_seconds"] for run in runs]
        wall = sum(run["wall_seconds"] for run in runs)
        cells = [part, len(runs), len(keys), f"{sum(cpu) / 60:.0f}", f"{wall / 60:.0f}", f"{max(cpu, default=0):.0f}"]
        rows.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(rows) + "\n"


def write(lines: list[Line], parts: dict[str, set[str]], folder: Path, output: Path) -> None:
    """table.md and figure.svg of the runs, and the differences in them; `folder` holds the values of each user."""
    if lines:
        known = Differences(folder, output / "differences.jsonl")
        (output / "table.md").write_text(table(lines, known) + times(lines, parts))
        figure(lines, known, output / "figure.svg")
        known.write()
