"""The report of `eimf prepare` as tables on stderr."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eimf_cli import dates, terminal
from eimf_core.errors import counted

if TYPE_CHECKING:
    from eimf_core.prepare.prepare import Prepared
from eimf_core.text_cleaning import shortened_at_word

LONGEST_CELL = 40
MAX_NAMED = 5
"""Characters of a title in the first rows; items without text that are named."""


def show(done: Prepared) -> None:
    """Print what was read, what each filter removed, what is left and how it was split."""
    report = done.report
    if report.first_rows:
        terminal.table("First rows, as they were understood", *_first_rows(report.first_rows), to_stderr=True)
    terminal.table(
        "Interactions",
        ("after", "users", "items", "interactions", "removed"),
        [(step.name, step.users, step.items, step.interactions, step.removed) for step in report.steps],
        to_stderr=True,
    )
    terminal.table("What is left", ("of", "is"), _summary(done), to_stderr=True)
    columns = ("split", "users", "interactions", "targets", "items", "cold items", "cold targets", "cold users")
    terminal.table(
        "Splits (cold: not in training)",
        columns,
        [
            (
                name, size.users, size.interactions, size.targets, size.items, size.cold_items, size.cold_targets,
                size.cold_users,
            )
            for name, size in report.splits.items()
        ],
        to_stderr=True,
    )  # fmt: skip
    for name, size in report.splits.items():
        for reason, count in size.left_out.items():
            terminal.info(f"{name}: {counted(count, 'user')} without a line ({reason})")
    if report.unused:
        terminal.info(f"{report.unused:,} interactions are in no line")
    for reason, count in report.rejected.items():
        terminal.info(f"left out: {counted(count, 'row')} ({reason})")
    if done.rejects:
        terminal.info(f"{done.rejects}: the rows that were left out")
    terminal.info(f"{done.directory}: sequences.jsonl and items.jsonl written")


def _first_rows(rows: list[dict[str, Any]]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Columns and cells of the first rows; a column that is empty in all of them is left out."""
    cells = [
        {
            "user": row["user"],
            "item": row["item"],
            "time": "" if row["time"] is None else dates.moment(row["time"]),
            "event": row["event"] or "",
            "title": shortened_at_word(row["title"] or "", LONGEST_CELL),
            "categories": shortened_at_word(", ".join(row["categories"]), LONGEST_CELL),
        }
        for row in rows
    ]
    columns = tuple(name for name in cells[0] if name in ("user", "item") or any(row[name] for row in cells))
    return columns, [tuple(row[name] for name in columns) for row in cells]


def _summary(done: Prepared) -> list[tuple[str, str]]:
    report = done.report
    found = [("density", f"{report.density:.3%}")]
    if report.lengths:
        found.append(("interactions a user", _spread(report.lengths)))
    if report.period:
        found.append(("period", f"{dates.moment(report.period[0])} to {dates.moment(report.period[1])}"))
    if report.equal_times is not None:
        share = f"{report.equal_times:.1%} of the interactions"
        order = f", in the order of {report.ordered_by or 'the file'}" if report.equal_times else ""
        found.append(("same time as the one before", share + order))
    if report.repeats is not None:
        found.append(("item the user had before", f"{report.repeats:.1%} of the interactions"))
    for name in ("valid_from", "test_from"):
        if name in done.facts:
            found.append((name.replace("_", " "), dates.moment(done.facts[name])))
    named = ", ".join(done.without_text[:MAX_NAMED]) + (" …" if len(done.without_text) > MAX_NAMED else "")
    found.append(("items without text", f"{report.items_without_text:,}" + (f": {named}" if named else "")))
    if report.described_not_in_log:
        found.append(("described, but not in the log", counted(report.described_not_in_log, "item")))
    return found


def _spread(quantiles: dict[str, int]) -> str:
    """Quantiles by their percentages, the least and the most in front."""
    least, (share, bound), *others, most = quantiles.items()
    said = [f"{share} have at most {bound:,}", *(f"{name} {value:,}" for name, value in others)]
    return f"{least[1]:,} to {most[1]:,}; {', '.join(said)}"
