"""Wheel and sdist: what README names is in them, and the wheel works from any folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist and the wheel."""
    folder = tmp_path_factory.mktemp("dist")
    tool = tmp_path_factory.mktemp("hatchling")
    constraints = ROOT / "constraints.txt"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-warn-conflicts", "-c", constraints, "--target", tool]
    subprocess.run([*pip, "hatchling"], check=True, timeout=300)
    build = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-t", "wheel", "-d", folder]
    environment = {**os.environ, "PYTHONPATH": str(tool)}
    subprocess.run(build, check=True, timeout=300, cwd=ROOT, env=environment, capture_output=True)
    # what a package index would build of the sdist
    with tarfile.open(next(folder.glob("eimf-*.tar.gz"))) as archive:
        archive.extractall(folder / "sdist", filter="data")
    again = [*build[:4], "-t", "wheel", "-d", folder / "again"]
    subprocess.run(again, check=True, timeout=300, cwd=next((folder / "sdist").iterdir()), env=environment)
    return folder


def documents() -> set[str]:
    """All that README links to within the project, folders left out, and README itself."""
    linked = re.findall(r"\]\(([\w./-]+)(?:#[\w-]+)?\)", (ROOT / "README.md").read_text())
    return {"README.md", *(path for path in linked if (ROOT / path).is_file())}


@pytest.mark.slow
def test_the_sdist_holds_all_that_the_readme_names(built: Path) -> None:
    with tarfile.open(next(built.glob("eimf-*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = documents() | {"constraints.txt", "tests/run.sh", "examples/configs/beauty.toml", "prompts/general.md"}
    assert wanted <= names, wanted - names
    assert not any(name.startswith((".ci", ".git/", "examples/.work", ".venv")) for name in names)


@pytest.mark.slow
def test_the_wheel_holds_the_documents_of_the_code_and_no_tests(built: Path) -> None:
    with zipfile.ZipFile(next(built.glob("eimf-*.whl"))) as archive:
        names = set(archive.namelist())
    wanted = {name for name in documents() if name.startswith("eimf_core/")}
    wanted |= {f"eimf_core/bundled/{name}" for name in ("CHANGELOG.md", "CITATION.cff", "prompts/general.schema.json")}
    assert wanted <= names, wanted - names
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"eimf", "eimf_core", "eimf_cli"}
    assert {"eimf/py.typed", "eimf_core/py.typed", "eimf/README.md"} <= names


@pytest.mark.slow
def test_a_wheel_of_the_sdist_is_the_wheel_of_the_checkout(built: Path) -> None:
    content = []
    for folder in (built, built / "again"):
        with zipfile.ZipFile(next(folder.glob("eimf-*.whl"))) as archive:
            content.append({each.filename: each.CRC for each in archive.infolist()})
    assert content[0] == content[1]


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with nothing of ours but the wheel; third-party packages come from this one."""
    folder = tmp_path_factory.mktemp("wheel")
    wheel = next(built.glob("eimf-*.whl"))
    environment = folder / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True, timeout=120)
    python = environment / "bin" / "python"
    site = Path(
        subprocess.run(
            [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    )
    # paths added this way are not searched for further .pth files, so the checkout stays out
    (site / "third_party.pth").write_text(sysconfig.get_path("purelib") + "\n")
    install = [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index"]
    subprocess.run([*install, "--force-reinstall", wheel], check=True, timeout=120)
    return environment / "bin"


@pytest.mark.slow
def test_wheel_finds_prompts_and_labeler(installed: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    def run(*command: object) -> str:
        done = subprocess.run(
            list(map(str, command)),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            env={key: value for key, value in environment.items() if key != "PYTHONPATH"},
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = run(installed / "python", "-c", "import eimf_core; print(eimf_core.__file__)").strip()
    assert Path(where).is_relative_to(installed.parent)
    assert run(installed / "eimf", "--version").startswith("eimf ")
    assert run(installed / "python", "-c", "import eimf; print(eimf.__version__, eimf.open_model)").startswith("0.")
    program = (
        "from eimf_core import resources\n"
        "print(len(list(resources.prompts().glob('*.md'))) > 0, resources.labeler().is_file())"
    )
    assert run(installed / "python", "-c", program).split() == ["True", "True"]
