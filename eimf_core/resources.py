"""Where the bundled prompts and the bundled labeler are, installed from a wheel or in a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_WHEEL = _PACKAGE / "bundled"


def prompts() -> Path:
    """The folder with NAME.md and NAME.schema.json."""
    return _WHEEL / "prompts" if _WHEEL.is_dir() else _PACKAGE.parent / "prompts"


def labeler() -> Path:
    """The GGUF file of the tiny labeler of the example shop."""
    folder = _WHEEL / "labeler" if _WHEEL.is_dir() else _PACKAGE.parent / "examples" / "labeler"
    return folder / "shop-labeler.gguf"
