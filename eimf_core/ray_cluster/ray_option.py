"""The option `--ray` of three steps: what it says, and what is no value of it. Nothing of Ray is imported."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from eimf_core.config import setting, setting_error
from eimf_core.errors import ConfigError

LOCAL = "local"


def option(what: str) -> Any:
    """The setting `ray` of a step; `what` it does, as the first words of the help."""
    return setting(
        None,
        f"{what}: those of this machine (local), or of the Ray cluster that it is part of.",
        group="machine",
        metavar=f"{LOCAL}|HOST:PORT",
        advanced=True,
    )


def check_address(address: str | None) -> None:
    """Raises ConfigError for a value of `--ray` that is no address, or where Ray is not installed."""
    if address is None:
        return
    host, _, port = address.rpartition(":")
    if address != LOCAL and not (host and "/" not in host and port.isascii() and port.isdigit() and len(port) < 6):
        raise setting_error(
            "ray", f"is '{address}', expected {LOCAL}, or HOST:PORT of a cluster that this machine is part of"
        )
    if find_spec("ray") is None:
        raise ConfigError('--ray: needs Ray; run: pip install "eimf[ray]", on every machine of the cluster')
