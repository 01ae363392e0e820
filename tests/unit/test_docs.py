"""The README is true: every command is there, as --help says it, and nothing it names is missing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from eimf_cli import main
from eimf_cli.main import STEPS
from tests.conftest import Eimf

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def help_of(eimf: Eimf, *step: str) -> str:
    done = eimf(*step, "--help")
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def options_of(step: str) -> set[str]:
    context: Any = typer.Context(typer.main.get_command(main.app))
    parameters = context.command.get_command(context, step).get_params(context)
    return {flag for parameter in parameters for flag in (*parameter.opts, *parameter.secondary_opts)} | {"-h"}


@pytest.mark.parametrize("step", STEPS)
def test_every_command_has_an_example_and_stands_in_the_readme(eimf: Eimf, step: str) -> None:
    text = help_of(eimf, step)
    assert re.search(rf"Example:\n +eimf {step} ", text), text
    assert f"eimf {step} " in README


def test_the_example_in_each_help_parses(eimf: Eimf) -> None:
    for step in STEPS:
        example = re.search(r"Example:\n +eimf (.+)", help_of(eimf, step))
        assert example
        words = example.group(1).split(" | ")[0].split(" > ")[0].split()
        done = eimf(*words, "--show-config")
        assert done.returncode == 0, f"{words}: {done.stderr.decode()}"


def test_options_named_in_the_readme_exist() -> None:
    for line in re.findall(r"^ *\$? ?(eimf .+)$", README, flags=re.MULTILINE):
        for part in re.split(r"\s*\|\s*", line):
            words = part.split()
            if words[:1] != ["eimf"] or len(words) < 2 or words[1] not in STEPS:
                continue
            known = options_of(words[1])
            for option in re.findall(r"(?<!\S)(--[a-z][a-z-]+|-[a-zA-Z])(?=[\s=\]|]|$)", part):
                assert option in known, f"{option} in: {part}"


def test_files_named_in_the_readme_exist() -> None:
    for path in re.findall(r"`((?:examples|prompts|tests)/[\w./-]+)`", README):
        if not path.startswith("examples/.work"):
            assert (ROOT / path).exists(), path


def test_top_level_holds_what_it_should() -> None:
    import subprocess

    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    if not tracked:
        pytest.skip("not a git checkout")
    allowed = {
        "eimf_cli", "eimf_core", "prompts", "examples", "tests", "pyproject.toml", "README.md",
        "LICENSE", ".ci", ".gitignore", "constraints.txt",
    }  # fmt: skip
    assert {path.split("/")[0] for path in tracked} <= allowed
