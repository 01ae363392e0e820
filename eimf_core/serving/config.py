"""Settings of `eimf serve`: where it listens, and bounds on what a client may take."""

from __future__ import annotations

from dataclasses import dataclass

from eimf_core.config import check, setting
from eimf_core.recommend.config import QueryConfig


@dataclass(frozen=True)
class ServeConfig(QueryConfig):
    """Where the service listens, and what a client may take of it."""

    host: str = setting("127.0.0.1", "Address to listen on; one that other machines reach needs a token or --open.")
    port: int = setting(8000, "Port to listen on; 0 takes a free one and says which.", low=0, high=65535)
    open: bool = setting(False, "Listen for other machines without a token: whoever reaches the port gets answers.")
    most_items: int = setting(1000, "Largest k that a query may ask for.", low=1, group="data", advanced=True)
    max_body: int = setting(
        1024, "Largest body of a request, in KiB; a larger one gets status 413.", metavar="KIB", low=1, group="machine",
        advanced=True,
    )  # fmt: skip
    timeout: float = setting(
        10.0, "Most seconds to send a request, to make its answer (then status 503), and to read the answer.",
        metavar="SECONDS", above=0, high=3600, group="machine", advanced=True,
    )  # fmt: skip
    connections: int = setting(
        1000,
        "Most connections that are open at once; a further one gets status 503.",
        low=1,
        group="machine",
        advanced=True,
    )
    workers: int | None = setting(
        None, "Processes that answer; if not given one a processor (Linux), at most 8, or as OMP_NUM_THREADS says.",
        group="machine", low=1, high=64,
    )  # fmt: skip

    def __post_init__(self) -> None:
        check(self)
