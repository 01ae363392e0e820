"""Outputs: never an input, nothing foreign replaced, links followed, all of them together, leftovers removed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from eimf_core.errors import ConfigError
from eimf_core.io import directories, files, outputs, provenance
from tests import in_process
from tests.small_data import write_small_data

DESCRIBED: dict[str, Any] = {"command": "test", "versions": {}}


def run(*paths: Path, content: str = "new", **more: Any) -> None:
    """A command that writes all of these, each with its sidecar."""
    with outputs.claimed(paths, **more) as places:
        for place in places.values():
            with files.atomic(place) as stream:
                stream.write(content.encode())
            provenance.write(place, DESCRIBED)


def killed(action: Callable[[], None], call: str, number: int) -> bool:
    """Run an action in a process that ends by SIGKILL before such a call of `os`; False: it came to its end."""
    child = os.fork()
    if not child:
        original, seen = getattr(os, call), 0

        def counted(*arguments: Any, **more: Any) -> Any:
            nonlocal seen
            seen += 1
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments, **more)

        setattr(os, call, counted)
        code = 1
        try:
            action()
            code = 0
        finally:
            os._exit(code)
    status = os.waitpid(child, 0)[1]
    assert status in (0, signal.SIGKILL)
    return bool(status)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_an_input_is_no_output_whatever_its_name(tmp_path: Path) -> None:
    read = tmp_path / "read.jsonl"
    run(read)
    (tmp_path / "link").symlink_to(read)
    os.link(read, tmp_path / "hard")
    (tmp_path / "folder").symlink_to(tmp_path)
    before = read.read_bytes()
    for name in ("read.jsonl", "link", "hard", "folder/read.jsonl"):
        for inputs in ([read], [tmp_path / "link"]):
            with pytest.raises(ConfigError, match="is an input and would be overwritten"):
                run(tmp_path / name, inputs=inputs, force=True)
    # its sidecar would be written over it
    with pytest.raises(ConfigError, match="is an input"):
        run(tmp_path / "read.jsonl", inputs=[provenance.sidecar(read)], force=True)
    with pytest.raises(ConfigError, match="is an input"):
        run(provenance.sidecar(read), inputs=[provenance.sidecar(read)], force=True)
    assert read.read_bytes() == before


def test_no_output_is_spread_among_other_files(tmp_path: Path) -> None:
    home, here = tmp_path / "home", tmp_path / "here"
    (here / "inside").mkdir(parents=True)
    home.mkdir()
    write_small_data(here / "inside", users=4)
    before = sorted(tmp_path.rglob("*"))
    commands = {"prepare": "log.csv", "run": "log.csv", "train": "inside", "compare": "inside --backbones narm"}
    for path, name in (("/", "prepare"), ("//", "run"), (".", "train"), ("inside/..", "compare"),
                       ("../here", "prepare"), (home, "train"), (home, "compare"), (f"{here}/", "prepare"),
                       (".", "run")):  # fmt: skip
        given = [name, *commands[name].split(), "-o", path]
        done = in_process.eimf(given, stdin=b"", cwd=here, environment={"HOME": str(home)})
        assert done.returncode == 2 and b"give the output a directory of its own" in done.stderr, (given, done.stderr)
    assert sorted(tmp_path.rglob("*")) == before


def test_one_file_for_two_outputs(tmp_path: Path) -> None:
    one = tmp_path / "one"
    (tmp_path / "link").symlink_to(one)
    for other in (one, tmp_path / "link", provenance.sidecar(one)):
        with pytest.raises(ConfigError, match="would be written twice"):
            run(one, other)
    with pytest.raises(ConfigError, match="two outputs"):
        run(Path("-"), Path("-"))
    assert [path.name for path in tmp_path.iterdir()] == ["link"]


def test_only_what_a_run_wrote_is_replaced_without_force(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.touch()
    # nothing is lost of an empty file
    run(out)
    run(out, content="newer")
    out.write_text("by hand")
    for refused, words in ((out, "was changed since eimf wrote it"), (tmp_path / "other", "no run of eimf wrote it")):
        refused.write_text("by hand")
        with pytest.raises(ConfigError, match=f"{refused.name}: .*{words}; .*--force"):
            run(refused)
        assert refused.read_text() == "by hand"
        run(refused, force=True)
        assert refused.read_text() == "new"
    provenance.sidecar(tmp_path / "third").write_text('{"their": "own"}')
    with pytest.raises(ConfigError, match=r"third\.meta\.json: .*no run of eimf wrote it"):
        run(tmp_path / "third")
    # a sidecar of an earlier version says nothing of the content
    provenance.sidecar(out).write_bytes(orjson.dumps(DESCRIBED))
    run(out)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_link_stays_and_leads_to_the_new_file(tmp_path: Path) -> None:
    target = tmp_path / "disk" / "target"
    target.parent.mkdir()
    link = tmp_path / "link"
    link.symlink_to(target)
    for text in ("first", "second"):
        run(link, content=text)
        assert link.is_symlink() and target.read_text() == text
    # two names of one file have one lock
    with files.locked(link), pytest.raises(ConfigError, match="another process"):
        run(target)
    with files.atomic(link) as stream:
        stream.write(b"third")
    assert link.is_symlink() and target.read_text() == "third"


def test_a_directory_behind_a_link_is_replaced_there(tmp_path: Path) -> None:
    target, link = tmp_path / "v1", tmp_path / "current"
    link.symlink_to("v1")
    for name in ("a", "b"):
        with directories.replaced(link, keep=tmp_path / "before") as fresh:
            (fresh / name).touch()
        assert link.is_symlink() and [path.name for path in target.iterdir()] == [name]
    assert [path.name for path in (tmp_path / "before").iterdir()] == ["a"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["before", "current", "v1"]


def test_a_regular_file_is_no_device_wherever_it_lies(tmp_path: Path) -> None:
    folder = Path("/dev/shm")
    if not os.access(folder, os.W_OK):
        pytest.skip("no /dev/shm here")
    out = folder / f"eimf-test-{os.getpid()}"
    try:
        run(out, content="a long first text")
        run(out, content="short")
        assert out.read_text() == "short" and provenance.sidecar(out).is_file() and not files.is_device(out)
    finally:
        out.unlink(missing_ok=True)
        provenance.sidecar(out).unlink(missing_ok=True)


def test_an_open_file_of_the_process_is_written_to_at_its_end(tmp_path: Path) -> None:
    with open(tmp_path / "log", "a") as stream:
        stream.write("before\n")
        stream.flush()
        with files.atomic(f"/dev/fd/{stream.fileno()}") as out:
            out.write(b"after\n")
        run(Path(f"/dev/fd/{stream.fileno()}"))
    assert content(tmp_path) == {"log": b"before\nafter\nnew"}


@pytest.mark.slow
def test_a_kill_between_two_outputs_leaves_no_mixture_for_long(tmp_path: Path) -> None:
    """Before any of the moves: the old files, or such as the same command replaces without --force."""
    one, two = tmp_path / "one", tmp_path / "two"
    run(one, two, content="old")
    number = 1
    while killed(lambda: run(one, two, content="new"), "replace", number):
        states = {path.read_text() for path in (one, two)}
        assert states <= {"old", "new"}
        run(one, two, content="old")
        assert sorted(content(tmp_path)) == ["one", "one.meta.json", "two", "two.meta.json"]
        assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
        number += 1
    assert number > 4


def test_both_outputs_wait_for_the_end_of_the_work(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    run(one, two, content="old")
    with pytest.raises(KeyboardInterrupt), outputs.claimed([one, two]) as places:
        places[str(one)].write_text("new")
        raise KeyboardInterrupt
    assert one.read_text() == two.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 4


def test_a_kill_while_a_directory_is_replaced_loses_no_model(tmp_path: Path) -> None:
    target, kept = tmp_path / "model", tmp_path / "model.previous"

    def replace(name: str) -> None:
        with directories.replaced(target, keep=kept) as fresh:
            (fresh / name).touch()

    replace("first")
    for step in (1, 2):

        def between(step: int = step) -> None:
            original, calls = directories._put, 0

            def put(*arguments: Path) -> None:
                nonlocal calls
                calls += 1
                if calls == step:
                    os.kill(os.getpid(), signal.SIGKILL)
                original(*arguments)

            directories._put = put
            replace("second")

        assert killed(between, "kill", 99)
        assert [path.name for path in target.iterdir()] == ["first"]
    replace("third")
    assert [path.name for path in kept.iterdir()] == ["first"]
    assert [path.name for path in target.iterdir()] == ["third"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "model.previous"]


def test_leftovers_of_other_outputs_stay(tmp_path: Path) -> None:
    names = [".out.abcd_123.tmp", ".out.jsonl.abcd_123.tmp", ".out.abcd_1234.tmp", ".out.lock", "out.abcd_123.tmp"]
    for name in names:
        (tmp_path / name).touch()
    (tmp_path / ".out.00000000.tmp").mkdir()
    run(tmp_path / "out")
    assert sorted(content(tmp_path)) == sorted([*set(names) - {names[0], ".out.lock"}, "out", "out.meta.json"])


def test_a_full_disk_names_the_file() -> None:
    with pytest.raises(OSError, match=r"No space left.*'/dev/full'"), files.atomic("/dev/full") as stream:
        stream.write(b"line\n")
