"""Windows, as far as it can be imitated here: without the modules, calls and flags that only POSIX systems have.

What is Windows' own cannot be: its paths, its code pages, that an open file is not removed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.recommend_models import write_named_model
from tests.small_data import write_small_data

PROGRAM = """
import asyncio, errno, http.client, os, shutil, signal, socket, subprocess, sys, tempfile, threading, time, types
import fcntl as real

def locking(handle, mode, count):
    assert os.lseek(handle, 0, os.SEEK_CUR) > 1 << 30 and count == 1
    try:
        real.flock(handle, real.LOCK_EX | real.LOCK_NB)
    except BlockingIOError:
        raise PermissionError(errno.EACCES, "Permission denied") from None

sys.modules["msvcrt"] = types.SimpleNamespace(locking=locking, LK_NBLCK=2)
for name in ("fcntl", "resource", "termios", "tty", "pty", "pwd", "grp", "syslog", "uvloop"):
    sys.modules[name] = None
shutil._use_fd_functions = tempfile._O_TMPFILE_WORKS = False
for name in (
    "pread", "preadv", "pwrite", "fork", "getuid", "geteuid", "getgid", "getpgid", "killpg", "setsid", "mkfifo",
    "statvfs", "sched_getaffinity", "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_SYNC", "fchmod", "chown",
    "WNOHANG", "getloadavg", "nice", "wait", "getpriority",
):
    if hasattr(os, name):
        delattr(os, name)
for name in ("SIGHUP", "SIGKILL", "SIGALRM", "SIGPIPE", "SIGUSR1", "SIGWINCH", "SIGSTOP", "pthread_sigmask", "alarm"):
    delattr(signal, name)
opened = os.open

def without_directories(path, flags, mode=0o777, *, dir_fd=None):
    assert dir_fd is None and not os.path.isdir(path), "Windows opens no directory"
    return opened(path, flags, mode)

os.open = without_directories

from eimf_cli import exit_codes, main
from eimf_core.io import files, system_files
from eimf_core.errors import ConfigError
from eimf_core.text import cache, numpy_encoder

with files.locked("out.jsonl"):
    try:
        with files.locked("out.jsonl"):
            sys.exit("a lock is given twice")
    except ConfigError:
        pass
assert not os.path.exists(".out.jsonl.lock")
handle = opened("model/config.json", os.O_RDONLY)
assert system_files.read_at(handle, 1, 0) == b"{" and system_files.read_at(handle, 1, 0) == b"{"
assert cache.encode_cached(["moon filter", "tea"], numpy_encoder.packaged(), "cache").shape == (2, 384)
assert [name[-4:] for name in os.listdir("cache")] == [".npy"]
for command in (
    ["recommend", "model", "--items", "tea-1,tea-2", "-k", "2", "-v"],
    ["recommend", "model", "--all-users", "data", "-o", "all.jsonl"],
    ["recommend", "model", "--text", "green tea", "-k", "2"],
    ["similar", "model", "tea-1"],
    ["verify", "model"],
    ["eval", "model", "data", "-o", "figures.jsonl", "-m", "all"],
):
    outcome = main.execute(command)
    exit_codes.report(outcome)
    assert outcome.code == 0, command

with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
answers = []

def asks():
    for _ in range(600):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            connection.request("POST", "/recommend", '{"history":["tea-1","tea-2"]}')
            answer = connection.getresponse()
            answers.append((answer.status, answer.read()))
            break
        except ConnectionRefusedError:
            time.sleep(0.1)
    signal.raise_signal(signal.SIGINT)

threading.Thread(target=asks).start()
outcome = main.execute(["serve", "model", "--port", str(port)])
exit_codes.report(outcome)
assert outcome.code == 0 and answers[0][0] == 200 and b'"item":"tea-' in answers[0][1], (outcome, answers)
"""


@pytest.mark.slow
def test_recommend_eval_and_serve_need_nothing_that_windows_lacks(tmp_path: Path, environment: dict[str, str]) -> None:
    write_small_data(tmp_path / "data")
    write_named_model(tmp_path / "model", words=True)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert b'"item":"tea-' in done.stdout and b"s of CPU time\n" in done.stderr
    for name in ("all.jsonl", "figures.jsonl"):
        assert (tmp_path / name).stat().st_size
    assert not [name for name in os.listdir(tmp_path) if name.endswith((".lock", ".tmp"))]
