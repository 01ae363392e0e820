"""`--ray`: text encoded, users labelled and recommended for by workers of a Ray cluster, of which some die."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from eimf_core.errors import WorkersError
from eimf_core.progress import Reporter
from eimf_core.ray_cluster import ray_option
from eimf_core.ray_cluster.ray_map import RayWorkers
from eimf_core.recommend import user_blocks
from eimf_core.text import cache
from tests import workers_here
from tests.cli.test_label import write_samples
from tests.conftest import ROOT, Eimf, one_error_line
from tests.recommend_models import write_named_model
from tests.small_data import write_small_data

with_ray = pytest.mark.skipif(
    find_spec("ray") is None, reason="work on several machines is done by Ray: pip install eimf[ray]"
)


class Remarks(Reporter):
    """Keeps what is warned of."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)


# -- the workers of these tests


def squares(marker: Path, fatal: int) -> Callable[[int], int]:
    """Gives squares; over the number `fatal` the first worker dies, over -1 each, as one that the system kills does."""

    def square(number: int) -> int:
        if number == -1 or (number == fatal and not marker.exists()):
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return number**2

    return square


# -- without a cluster


def test_one_line_without_ray(eimf: Eimf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_option, "find_spec", lambda _: None)
    for command in (("cluster", tmp_path), ("label", tmp_path), ("recommend", tmp_path, "--all-users", tmp_path)):
        line = one_error_line(eimf(*command, "--ray", "local"), 2)
        assert line == 'eimf: --ray: needs Ray; run: pip install "eimf[ray]", on every machine of the cluster'


@pytest.mark.parametrize("address", ["", "here", "ray://head:10001", "head:port", "http://head:1/"])
def test_what_is_no_address(address: str, eimf: Eimf, tmp_path: Path) -> None:
    line = one_error_line(eimf("cluster", tmp_path, "--ray", address), 2)
    assert f"--ray is '{address}', expected local, or HOST:PORT" in line


def test_only_a_local_model_is_asked_by_many(eimf: Eimf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_option, "find_spec", lambda _: True)
    write_samples(tmp_path / "samples.jsonl", 4)
    line = one_error_line(eimf("label", tmp_path / "samples.jsonl", "--engine", "keywords", "--ray", "local"), 2)
    assert "--ray spreads a local model over processes, and the engine keywords asks none" in line


def test_text_and_answers_of_workers_are_the_same(eimf: Eimf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `cluster` and `recommend` give to workers, and what they make of it, without Ray."""
    started = workers_here.use(monkeypatch)
    monkeypatch.setattr(cache, "CHUNK", 5)
    for name in ("alone", "many"):
        write_small_data(tmp_path / name, times=True)
        write_named_model(tmp_path / f"{name}-model")
        ray = ("--ray", "10.0.0.1:6379") if name == "many" else ()
        of_all = ("recommend", f"{name}-model", "--all-users", name)
        for command in (("cluster", name, "--clusters", "2"), of_all, (*of_all, "-o", f"{name}.csv")):
            done = eimf(*command, *ray, cwd=tmp_path)
            assert done.returncode == 0, done.stderr.decode()
            (tmp_path / f"{name}-{command[0]}-{len(command)}").write_bytes(done.stdout)
    assert len(started) == 3
    for made in ("-cluster-4", "-recommend-4", ".csv"):
        written = (tmp_path / f"alone{made}").read_bytes()
        assert written and written == (tmp_path / f"many{made}").read_bytes()
    described = [json.loads((tmp_path / f"{name}.csv.meta.json").read_bytes()) for name in ("alone", "many")]
    assert all("ray" not in made["arguments"] for made in described)


def test_a_worker_that_reads_another_model_or_encoder_is_told(
    eimf: Eimf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers_here.use(monkeypatch)
    write_small_data(tmp_path)
    write_named_model(tmp_path / "model")
    identities = iter(["one", "other"])
    monkeypatch.setattr(user_blocks, "_identity", lambda _: next(identities))
    line = one_error_line(eimf("recommend", tmp_path / "model", "--all-users", tmp_path, "--ray", "local"), 4)
    assert "another model lies there; share one folder or copy it" in line
    other = SimpleNamespace(name="all-MiniLM-L6-v2", identity="other")
    monkeypatch.setattr("eimf_core.text.ray_encoding.open_encoder", lambda *_: other)
    line = one_error_line(eimf("cluster", tmp_path, "--ray", "local"), 4)
    assert "this encoder is another one" in line


@with_ray
def test_nothing_listens(eimf: Eimf, tmp_path: Path) -> None:
    write_small_data(tmp_path)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # taken, so that no other program listens there
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        line = one_error_line(eimf("cluster", tmp_path, "--ray", address), 4)
    assert f"--ray {address}: nothing listens there; start a cluster with 'ray start --head'" in line


# -- a cluster of this machine's own, one for each run


@with_ray
@pytest.mark.slow
def test_local_workers_are_replaced_and_leave_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("TMPDIR", "/tmp")  # sockets allow no long names
    monkeypatch.setenv("HOME", str(tmp_path))
    before, remarks = {*Path("/tmp").glob("eimf-ray-*")}, Remarks()
    with RayWorkers("local", squares, tmp_path / "died", 5, reporter=remarks) as workers:
        assert list(workers.ordered(range(30))) == [number**2 for number in range(30)]
        assert (tmp_path / "died").exists()
        ours = processes_in(workers._process.pid)
        assert addresses(ours) == {"127.0.0.1"}
        assert len(remarks.warnings) == 1 and "a worker died and is replaced" in remarks.warnings[0]
        workers.submit(30, -1)
        with pytest.raises(WorkersError, match="3 workers died over the same part"):
            workers.take()
    assert {*Path("/tmp").glob("eimf-ray-*")} <= before
    assert not [name for name in map(command, ours) if name]
    assert not (tmp_path / ".ray").exists()


def processes_in(parent: int) -> list[int]:
    """A process and all that come from it."""
    found, parents = [parent], {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    for process in found:
        found.extend(child for child, of in parents.items() if of == process)
    return found


def command(process: int) -> str:
    """What a process is called; "" where it has ended."""
    try:
        return Path(f"/proc/{process}/cmdline").read_text().replace("\0", " ").strip()
    except OSError:
        return ""


def addresses(processes: list[int]) -> set[str]:
    """The IPv4 addresses at which some of the processes listen."""
    sockets = set()
    for process in processes:
        for handle in Path(f"/proc/{process}/fd").glob("*"):
            try:
                sockets.add(os.readlink(handle))
            except OSError:
                continue
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            cells = line.split()
            if cells[3] == "0A" and f"socket:[{cells[9]}]" in sockets:
                # of IPv6 the last four bytes; the kernel writes them in the order of the machine
                raw = bytes.fromhex(cells[1].partition(":")[0][-8:])
                found.add(socket.inet_ntoa(raw[::-1] if sys.byteorder == "little" else raw))
    return found


# -- a cluster that is there already


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, str], int]]:
    """A head with two workers on the loopback interface: its address, the environment it needs, and its process."""
    with socket.socket() as free, tempfile.TemporaryDirectory(prefix="eimf-test-", dir="/tmp") as folder:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        wanted = {
            "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(16),
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "HOME": str(tmp_path_factory.mktemp("home")),
        }  # fmt: skip
        options = {
            "port": port, "node-ip-address": "127.0.0.1", "num-cpus": 2, "object-store-memory": 100_000_000,
            "include-dashboard": "false", "temp-dir": folder, "min-worker-port": 0, "max-worker-port": 0,
        }  # fmt: skip
        given = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        head = subprocess.Popen(
            [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", *given],
            env={**os.environ, **wanted, "PYTHONPATH": f"{ROOT}:{Path(__file__).parent}", "OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            from eimf_core.ray_cluster.ray_driver import is_listening

            until = time.monotonic() + 60
            while not is_listening(f"127.0.0.1:{port}"):
                assert time.monotonic() < until and head.poll() is None, "the head of the cluster did not start"
                time.sleep(0.2)
            yield f"127.0.0.1:{port}", wanted, head.pid
        finally:
            end(head.pid)
            head.wait(20)


def end(head: int) -> None:
    """End the head and all of the cluster at once, as a machine does that goes away."""
    for process in processes_in(head):
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            continue


@pytest.fixture
def killed(cluster: tuple[str, dict[str, str], int], monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Once the second answer is there, one worker is killed: its process is put here."""
    victims: list[int] = []
    taken = [0]
    take = RayWorkers.take

    def killing(self: RayWorkers) -> tuple[int, Any]:
        answer = take(self)
        taken[0] += 1
        if taken[0] == 2:
            victims.append(next(each for each in processes_in(cluster[2]) if command(each).startswith("ray::Worker")))
            os.kill(victims[0], signal.SIGKILL)
        return answer

    monkeypatch.setattr(RayWorkers, "take", killing)
    return victims


@with_ray
@pytest.mark.slow
def test_the_same_output_while_a_worker_dies(
    cluster: tuple[str, dict[str, str], int],
    killed: list[int],
    eimf: Eimf,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Recommendations for all users: the same bytes."""
    address, environment, _ = cluster
    monkeypatch.setattr(user_blocks, "BUNDLE", 1)
    monkeypatch.setattr("eimf_core.recommend.item_scores.LARGEST_BATCH", 4)
    write_small_data(tmp_path, times=True)
    write_named_model(tmp_path / "model")
    command = ("recommend", tmp_path / "model", "--all-users", tmp_path)
    alone = eimf(*command, "-o", tmp_path / "alone.csv")
    many = eimf(*command, "-o", tmp_path / "many.csv", "--ray", address, env=environment)
    assert many.returncode == 0, many.stderr.decode()
    assert killed and f"eimf: warning: --ray {address}: a worker died and is replaced" in many.stderr.decode()
    assert alone.returncode == 0 and (tmp_path / "many.csv").read_bytes() == (tmp_path / "alone.csv").read_bytes()


@with_ray
@pytest.mark.slow
def test_the_same_labels_while_a_worker_dies(
    cluster: tuple[str, dict[str, str], int], killed: list[int], eimf: Eimf, tmp_path: Path
) -> None:
    address, environment, _ = cluster
    samples = write_samples(tmp_path / "samples.jsonl", 12)
    command = ("label", samples, "--model", "bundled", "--keep-going", "--max-error-share", "100%", "--threads", "1")
    alone = eimf(*command, "-o", tmp_path / "alone.jsonl")
    many = eimf(*command, "--parallel", "2", "-o", tmp_path / "many.jsonl", "--ray", address, env=environment)
    assert many.returncode == 0, many.stderr.decode()
    assert killed and alone.returncode == 0
    assert lines(tmp_path / "many.jsonl") == lines(tmp_path / "alone.jsonl")


def lines(path: Path) -> list[dict[str, Any]]:
    """Labels without the time that each took."""
    return [{**json.loads(line), "seconds": None} for line in path.read_text().splitlines()]


@with_ray
@pytest.mark.slow
def test_a_head_that_goes_away_leaves_what_was_done(
    cluster: tuple[str, dict[str, str], int], eimf: Eimf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last test of this cluster. Text is encoded by it, and then, from what is kept, by this process alone."""
    address, environment, head = cluster
    monkeypatch.setattr(cache, "CHUNK", 1)
    for name in ("alone", "many"):
        (tmp_path / name).mkdir()
        write_small_data(tmp_path / name)
    take, taken = RayWorkers.take, [0]

    def ending(self: RayWorkers) -> tuple[int, Any]:
        taken[0] += 1
        if taken[0] == 9:
            end(head)
        return take(self)

    monkeypatch.setattr(RayWorkers, "take", ending)
    samples = tmp_path / "many.jsonl"
    done = eimf("cluster", tmp_path / "many", "-o", samples, "--ray", address, env=environment)
    line = one_error_line(done, 4)
    assert f"--ray {address}: " in line and "what was finished is kept: run the same command again" in line
    (partial,) = (tmp_path / "many" / ".cache").glob("*.partial")
    assert partial.stat().st_size >= 8 * (384 * 2 + cache.DIGEST_SIZE) and not samples.exists()
    for name in ("alone", "many"):
        assert eimf("cluster", tmp_path / name, "-o", tmp_path / f"{name}.jsonl").returncode == 0
    assert samples.read_bytes() == (tmp_path / "alone.jsonl").read_bytes()
