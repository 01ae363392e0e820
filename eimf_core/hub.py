"""Files on the model hub: from this machine if they are here, else downloaded by huggingface_hub."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from eimf_core.errors import ModelError


def fetch(get: Callable[[bool], str], refusal: str) -> Path:
    """Fetch a file; the library's own remarks on each try are kept back.

    Args:
        get: gives the path; called with True it looks on this machine alone, with False on the hub too.
        refusal: what the error says before the reason.

    Raises:
        ModelError: where the file is neither here nor to be had.
    """
    from huggingface_hub.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        for local in (True, False):
            try:
                return Path(get(local))
            except Exception as error:
                # many kinds, of several libraries: no network, no such name, no permission
                problem = " ".join(str(error).split())[:200]
    finally:
        logging.set_verbosity(level)
    raise ModelError(f"{refusal} ({problem})")
