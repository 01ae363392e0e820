"""examples/serve: the image holds what the service imports, and the unit starts what there is."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from tests.recommend_models import write_named_model

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "examples" / "serve"
DOCKERFILE = (FOLDER / "Dockerfile").read_text()
SERVED = """
import sys
from importlib import metadata
from pathlib import Path
from eimf_cli import main
from tests.serving import running
with running(Path(sys.argv[1])) as service:
    for body in (b'{"history":["tea-1"]}', b'{"text":"green tea"}', b'{"titles":["gren tea"]}'):
        assert service.ask("/recommend", body)[0] == 200
    assert service.ask("/similar?item=tea-1")[0] == 200
known = metadata.packages_distributions()
print(*{name for module in list(sys.modules) for name in known.get(module.partition(".")[0], ())})
"""


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def required() -> set[str]:
    lines = (FOLDER / "requirements.txt").read_text().splitlines()
    return {canonical(line) for line in lines if not line.startswith("#")}


def test_each_package_has_a_version() -> None:
    pinned = {canonical(line.split("==")[0]) for line in (ROOT / "constraints.txt").read_text().splitlines()}
    assert required() <= pinned


@pytest.mark.slow
def test_the_service_imports_no_other_package(tmp_path: Path) -> None:
    model = write_named_model(tmp_path / "model", words=True)
    done = subprocess.run([sys.executable, "-c", SERVED, model], capture_output=True, cwd=ROOT, check=True, timeout=120)
    imported = {canonical(name) for name in done.stdout.decode().split()}
    assert {"uvicorn", "numpy", "tokenizers"} <= imported
    assert imported - {"eimf", "setuptools"} <= required()


def instructions() -> list[tuple[str, str]]:
    joined = re.sub(r"\\\n\s*", " ", DOCKERFILE)
    lines = [line for line in joined.splitlines() if line and not line.startswith("#")]
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines)]


def test_the_image_is_small_runs_without_rights_and_checks_its_health() -> None:
    made = instructions()
    last = max(at for at, (name, _) in enumerate(made) if name == "FROM")
    given = dict(made[last:])
    assert all(re.fullmatch(r"python:3\.\d+-slim( AS build)?", rest) for name, rest in made if name == "FROM")
    assert given["USER"].isdigit() and int(given["USER"]) > 0
    command = given["HEALTHCHECK"].partition("CMD ")[2]
    program = orjson.loads(command)[2]
    assert "/health" in program and f":{given['EXPOSE']}/" in program
    compile(program, "HEALTHCHECK", "exec")
    assert orjson.loads(given["ENTRYPOINT"]) == ["eimf", "serve"]
    for name, rest in made:
        sources = [] if "--from=" in rest or name != "COPY" else rest.split()[:-1]
        assert all((ROOT / source).exists() for source in sources), rest


def test_what_is_built_of_the_checkout_is_let_in() -> None:
    """Patterns of the ignore file, against what pyproject.toml puts into a wheel."""
    let_in = [line[1:] for line in (FOLDER / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] == "!"]
    wheel = (
        (ROOT / "pyproject.toml").read_text().partition("[tool.hatch.build.targets.wheel]")[2].partition("exclude")[0]
    )
    needed = ["pyproject.toml", "README.md", "LICENSE", *re.findall(r'^"([^"]+)" = ', wheel, flags=re.MULTILINE)]
    needed += re.findall(r'"(\w+)"', wheel.partition("packages = [")[2].partition("]")[0])
    assert len(needed) > 6
    for name in needed:
        assert any(Path(name).match(pattern) or name == pattern for pattern in let_in), name


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd")
def test_the_unit_is_one(tmp_path: Path) -> None:
    text = (FOLDER / "eimf.service").read_text()
    command = re.search(r"^ExecStart=(.+)", text, flags=re.MULTILINE)
    assert command
    words = shlex.split(command[1])
    assert words[0].endswith("/eimf") and words[1] == "serve"
    unit = tmp_path / "eimf.service"
    unit.write_text(text.replace(words[0], sys.executable))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, timeout=60, check=False)
    assert str(unit.name) not in done.stderr.decode(), done.stderr
