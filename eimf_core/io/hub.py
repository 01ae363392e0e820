"""Files on the model hub: from this machine if they are here, else downloaded by huggingface_hub."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from eimf_core.errors import ModelError
from eimf_core.progress import Reporter
from eimf_core.text_cleaning import clean, shortened_at_word

_SHA256 = re.compile("[0-9a-f]{64}")
LONGEST_SHOWN = 300  # characters of what the library says


@dataclass(frozen=True)
class HubFile:
    """A file of a repository on the hub.

    Attributes:
        path: where it lies on this machine.
        revision: the commit of the repository that it is from.
        sha256: what the hub announces, if it does, which it does of large files.
    """

    path: Path
    revision: str | None
    sha256: str | None


def fetch_file(repository: str, name: str, reporter: Reporter, about: str, *, instead: str) -> HubFile:
    """One file of a repository.

    Args:
        repository: OWNER/NAME.
        name: of the file in it.
        reporter: is told before a download begins.
        about: what to say of the file then, such as its size.
        instead: the option that does without the hub.

    Returns:
        Where the file is, and what is known of it.

    Raises:
        ModelError: where the file is neither here nor to be had.
    """
    import huggingface_hub

    def get(local: bool) -> str:
        if not local:
            reporter.note(f"fetching {repository}/{name} from the hub, once{about and f' ({about})'}")
        return str(huggingface_hub.hf_hub_download(repository, name, local_files_only=local))

    return described(fetch(get, f"{repository}/{name}: could not be had from the hub", instead))


def described(path: Path) -> HubFile:
    """What the hub's folder on this machine tells of a file: the link to it names the commit, its target the hash."""
    revision = next((each.name for each in path.parents if each.parent.name == "snapshots"), None)
    blob = path.resolve().name
    return HubFile(path, revision, blob if _SHA256.fullmatch(blob) else None)


def fetch(get: Callable[[bool], str], refusal: str, instead: str) -> Path:
    """Fetch a file; the library's own remarks on each try are kept back.

    Args:
        get: gives the path; called with True it looks on this machine alone, with False on the hub too.
        refusal: what the error says before the reason.
        instead: the option that does without the hub, which the error ends with.

    Returns:
        Where it is.

    Raises:
        ModelError: where the file is neither here nor to be had.
    """
    from huggingface_hub import constants
    from huggingface_hub.utils import logging
    from huggingface_hub.utils.tqdm import disable_progress_bars

    if not sys.stderr.isatty():
        disable_progress_bars()
    level = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        for local in (True, False)[: 1 if constants.HF_HUB_OFFLINE else 2]:
            try:
                return Path(get(local))
            except Exception as error:
                # many kinds, of several libraries: no network, no such name, no permission
                problem = shortened_at_word(clean(str(error)), LONGEST_SHOWN)
    finally:
        logging.set_verbosity(level)
    if constants.HF_HUB_OFFLINE:
        raise ModelError(f"{refusal} (HF_HUB_OFFLINE is set, so nothing is fetched); unset it, or give {instead}")
    raise ModelError(f"{refusal} ({problem}); try again, or give {instead}")
