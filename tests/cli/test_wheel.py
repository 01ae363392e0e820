"""A built wheel works from any folder: the command, the prompts and the bundled labeler are in it."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with nothing of ours but the wheel; third-party packages come from this one."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, ROOT],
        check=True,
        timeout=300,
        cwd=folder,
    )
    wheel = next(folder.glob("eimf-*.whl"))
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
            env=environment,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = run(installed / "python", "-c", "import eimf_core; print(eimf_core.__file__)").strip()
    assert Path(where).is_relative_to(installed.parent)
    assert run(installed / "eimf", "--version").startswith("eimf ")
    program = (
        "from eimf_core import resources\n"
        "print(len(list(resources.prompts().glob('*.md'))) > 0, resources.labeler().is_file())"
    )
    assert run(installed / "python", "-c", program).split() == ["True", "True"]
