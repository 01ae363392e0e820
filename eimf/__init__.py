"""Multi-interest sequential recommendation from Python: the steps of the `eimf` command as functions.

    import eimf

    eimf.prepare("log.csv", "data/", items="items.csv")
    eimf.train("data/", "model/")
    eimf.open_model("model/").recommend(items=["S1200", "S1214"], k=5)

Each function is one call of `eimf_core`; nothing is loaded before it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eimf.model import Model, open_model
    from eimf.record_lists import Figures, Recommendations
    from eimf.reporting import EimfWarning
    from eimf.steps import cluster, evaluate, label, prepare, train
    from eimf_cli.progress_bars import TerminalReporter
    from eimf_core.errors import ConfigError, EimfError, InputError, LabelError, ModelError
    from eimf_core.progress import Reporter
    from eimf_core.records import Query

    __version__: str

_HOMES = {
    "eimf.steps": ("cluster", "evaluate", "label", "prepare", "train"),
    "eimf.model": ("Model", "open_model"),
    "eimf.record_lists": ("Figures", "Recommendations"),
    "eimf.reporting": ("EimfWarning",),
    "eimf_cli.progress_bars": ("TerminalReporter",),
    "eimf_core.errors": ("ConfigError", "EimfError", "InputError", "LabelError", "ModelError"),
    "eimf_core.progress": ("Reporter",),
    "eimf_core.records": ("Query",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "ConfigError",
    "EimfError",
    "EimfWarning",
    "Figures",
    "InputError",
    "LabelError",
    "Model",
    "ModelError",
    "Query",
    "Recommendations",
    "Reporter",
    "TerminalReporter",
    "cluster",
    "evaluate",
    "label",
    "open_model",
    "prepare",
    "train",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib import metadata

        try:
            return metadata.version("eimf")
        except metadata.PackageNotFoundError:
            return "from source"
    if name not in _HOME_OF:
        raise AttributeError(f"module 'eimf' has no attribute '{name}'")
    found = globals()[name] = getattr(import_module(_HOME_OF[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
