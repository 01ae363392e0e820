"""One part of the work of a command, for job arrays: `--shard 3/8`."""

from __future__ import annotations

from eimf_core.config import setting_error

WHOLE = (1, 1)


def parse(text: str | None) -> tuple[int, int]:
    """What a setting says.

    Args:
        text: such as "3/8"; None for all of the work.

    Returns:
        The part, from 1, and the number of parts.

    Raises:
        ConfigError: for anything else.
    """
    if text is None:
        return WHOLE
    part, _, parts = text.partition("/")
    # int() takes long for many digits
    if all(n.isascii() and n.isdigit() and len(n) < 10 for n in (part, parts)) and 1 <= int(part) <= int(parts):
        return int(part), int(parts)
    raise setting_error("shard", f"is '{text}', expected a part and their number, from 1/8 to 8/8")
