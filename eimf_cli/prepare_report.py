"""The report of `eimf prepare` as tables on stderr."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from eimf_cli import terminal

if TYPE_CHECKING:
    from eimf_core.prepare.prepare import Prepared

NO_DATE = 1e8
NAMED = 5
"""Items without text that are named."""


def show(done: Prepared) -> None:
    """Print what was read, what each filter removed, what is left and how it was split."""
    made = done.report
    terminal.table(
        "Interactions",
        ("after", "users", "items", "interactions", "removed"),
        [(step.name, step.users, step.items, step.interactions, step.removed) for step in made.steps],
        to_stderr=True,
    )
    terminal.table("What is left", ("of", "is"), _figures(done), to_stderr=True)
    columns = ("split", "users", "interactions", "targets", "items", "cold items", "cold targets", "cold users")
    terminal.table(
        "Splits (cold: not in training)",
        columns,
        [
            (
                name, size.users, size.interactions, size.targets, size.items, size.cold_items, size.cold_targets,
                size.cold_users,
            )
            for name, size in made.splits.items()
        ],
        to_stderr=True,
    )  # fmt: skip
    for name, size in made.splits.items():
        for reason, count in size.left_out.items():
            terminal.info(f"{name}: {_counted(count, 'user')} without a line ({reason})")
    if made.unused:
        terminal.info(f"{made.unused:,} interactions are in no line")
    for reason, count in made.rejected.items():
        terminal.info(f"left out: {_counted(count, 'row')} ({reason})")
    if done.rejects:
        terminal.info(f"{done.rejects}: the rows that were left out")
    terminal.info(f"{done.directory}: sequences.jsonl and items.jsonl written")


def _figures(done: Prepared) -> list[tuple[str, str]]:
    made = done.report
    found = [("density", f"{made.density:.3%}")]
    if made.lengths:
        found.append(("interactions a user", ", ".join(f"{name} {value:,}" for name, value in made.lengths.items())))
    if made.period:
        found.append(("period", f"{_date(made.period[0])} to {_date(made.period[1])}"))
    if made.equal_times is not None:
        share = f"{made.equal_times:.1%} of the interactions"
        found.append(("same time as the one before", f"{share}, in file order" if made.equal_times else share))
    if made.repeats is not None:
        found.append(("item the user had before", f"{made.repeats:.1%} of the interactions"))
    for name in ("valid_from", "test_from"):
        if name in done.facts:
            found.append((name.replace("_", " "), _date(done.facts[name])))
    named = ", ".join(done.without_text[:NAMED]) + (" …" if len(done.without_text) > NAMED else "")
    found.append(("items without text", f"{made.items_without_text:,}" + (f": {named}" if named else "")))
    if made.described_not_in_log:
        found.append(("described, but not in the log", f"{made.described_not_in_log:,} items"))
    return found


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" + ("s" if count != 1 else "")


def _date(seconds: Any) -> str:
    """A time as a date; small numbers, which are none, as they are."""
    if 0 <= seconds < NO_DATE:
        return f"{seconds:g}"
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return str(seconds)
