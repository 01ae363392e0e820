"""What torchrun does with two processes of `eimf`, without importing torch three times.

A server of multiprocessing has imported what training needs; all processes are forked from it. torchrun itself takes
part in some tests: what stands here has to look the same to the processes, and to end them in the same way.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import sys
from pathlib import Path

PRELOADED = ["eimf_core.training.train", "torch.onnx", "onnxruntime", "typer"]
"""Training first: it says how torch does its sums before that is loaded."""
SIZE = 2


class TwoProcesses:
    """`eimf ARGUMENTS` twice, as one run; `patch` is run by both first. Looks like the Popen of a torchrun.

    Attributes:
        returncode: 0 when both ended with 0, 1 when one did not, None before.
    """

    def __init__(self, arguments: list[str], patch: str, environment: dict[str, str], stderr: Path) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        self._stderr = stderr
        stderr.touch()
        self._process = context.Process(target=_launch, args=(arguments, patch, environment, str(stderr)))
        self._process.start()

    @property
    def pid(self) -> int:
        """Of the process that waits for both, and of their process group."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        """The return code as far as it is known."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; raises TimeoutError."""
        self._process.join(timeout)
        if self.returncode is None:
            raise TimeoutError(self._stderr.read_text())
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[None, bytes]:
        """Wait for the end; nothing, and what both wrote on stderr."""
        self.wait(timeout)
        return None, self._stderr.read_bytes()


def _launch(arguments: list[str], patch: str, environment: dict[str, str], stderr: str) -> None:
    """Fork both and end one when the other has failed, as torchrun does."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    target = os.open(stderr, os.O_WRONLY | os.O_APPEND)
    for number in (1, 2):
        os.dup2(target, number)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(SIZE)}
    known = {**environment, **address, "TORCHELASTIC_RUN_ID": "none", "TORCHELASTIC_USE_AGENT_STORE": "True"}
    running = [_fork(arguments, patch, {**known, "RANK": str(rank), "LOCAL_RANK": str(rank)}) for rank in range(SIZE)]

    from torch.distributed import TCPStore

    # the store outlives whichever process fails
    store = TCPStore("127.0.0.1", port, is_master=True, wait_for_workers=False)
    code = 0
    while running:
        ended, status = os.wait()
        running.remove(ended)
        if status and not code:
            code = 1
            for other in running:
                os.kill(other, signal.SIGTERM)
    del store
    os._exit(code)


def _fork(arguments: list[str], patch: str, environment: dict[str, str]) -> int:
    """The number of a process that runs `eimf ARGUMENTS`."""
    process = os.fork()
    if process:
        return process
    try:
        # but for settings of the caller's what stands there stays: importing training said how MKL does its sums
        for name in [name for name in os.environ if name.startswith("EIMF_")]:
            del os.environ[name]
        os.environ.update(environment)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
        sys.argv = ["eimf", *arguments]
        exec(patch, {})
        from eimf_cli.main import run

        run()
    except SystemExit as ended:
        os._exit(ended.code if isinstance(ended.code, int) else int(bool(ended.code)))
    finally:
        os._exit(70)
