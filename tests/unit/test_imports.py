"""The import rules: what may import what, and which heavy packages are imported where."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "eimf_core"
SOURCES = sorted([*CORE.rglob("*.py"), *(ROOT / "eimf_cli").rglob("*.py"), *(ROOT / "eimf").rglob("*.py")])
HEAVY = ("torch", "sentence_transformers", "llama_cpp")
ALLOWED_IN_MODELS = ("eimf_core.models", "eimf_core.config", "eimf_core.errors", "eimf_core.plugins")


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def imports(path: Path, *, top_level: bool = False) -> tuple[str, ...]:
    """Dotted names a file imports, anywhere in it or only when it is itself imported."""
    return tuple(_imports(path, top_level))


def _imports(path: Path, top_level: bool) -> Iterator[str]:
    tree = parsed(path)
    guarded = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if top_level and node in guarded:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own(path: Path) -> set[str]:
    return {name for name in imports(path) if name.startswith(("eimf_core", "eimf_cli", "eimf."))}


def within(path: Path, *folders: str) -> bool:
    return path.relative_to(CORE).as_posix().startswith(folders)


def test_core_never_imports_what_is_on_top_of_it() -> None:
    for path in CORE.rglob("*.py"):
        assert not any(name.startswith(("eimf_cli", "eimf.")) for name in own(path)), path


def test_the_python_package_and_the_command_line_stand_beside_each_other() -> None:
    """But for progress on a terminal, which both show."""
    for path in (ROOT / "eimf").rglob("*.py"):
        assert {name for name in own(path) if name.startswith("eimf_cli")} <= {
            "eimf_cli.progress_bars.TerminalReporter"
        }
    for path in (ROOT / "eimf_cli").rglob("*.py"):
        assert not any(name.startswith("eimf.") for name in own(path)), path


def packages() -> dict[str, tuple[tuple[str, ...], set[str]]]:
    """The table of eimf_core/README.md: for each package its modules and folders, and the packages it may import.

    A package is called by its first module or folder.
    """
    rows = re.findall(
        r"^\| (`.+?) \|.+\| (.+) \|$", (CORE / "README.md").read_text().partition("\n## From a row")[0], re.M
    )
    named = [tuple(name.rstrip("/") for name in re.findall(r"`([\w/]+)`", cell)) for cell, _ in rows]
    called = {name: names[0] for names in named for name in names} | {"base modules": named[0][0]}
    return {
        names[0]: (names, {called[name] for name in re.findall(r"base modules|(?<=`)\w+", allowed)})
        for names, (_, allowed) in zip(named, rows, strict=True)
    }


PACKAGES = packages()
BASE_MODULES = next(iter(PACKAGES.values()))[0]
MODULES = {
    path.relative_to(ROOT).with_suffix("").as_posix().removesuffix("/__init__").replace("/", "."): path
    for path in CORE.rglob("*.py")
}


def imported_modules(path: Path) -> set[str]:
    """The modules of core that a file imports, anywhere in it."""
    found = set()
    for name in own(path):
        while name not in MODULES:
            name = name.rpartition(".")[0]
        found.add(name)
    return found - {"eimf_core"}


def test_every_module_stands_in_the_readme_and_is_there() -> None:
    told = [name for names, _ in PACKAGES.values() for name in names]
    there = {
        path.stem if path.is_file() else path.name
        for path in CORE.iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert len(told) == len(set(told))
    assert set(told) == there - {"__init__"}


ROOMS = sorted(path.parent for path in CORE.rglob("__init__.py") if path.parent != CORE)


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.relative_to(CORE).as_posix())
def test_a_room_says_what_its_modules_are(room: Path) -> None:
    """In the docstring of its `__init__` or in its README; forms of log in the tuple of their names."""
    told = (room / "__init__.py").read_text() + "".join(path.read_text() for path in room.glob("README.md"))
    words = set(re.findall(r"\w+", " ".join(re.findall(r"`[\w./]+`|\([\w.]+\)|\"\w+\"", told))))
    there = {path.stem for path in room.glob("*.py")} | {path.parent.name for path in room.glob("*/__init__.py")}
    assert there - words <= {"__init__"}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_what_the_readme_says(package: str) -> None:
    names, allowed = PACKAGES[package]
    home = {name: called for called, (members, _) in PACKAGES.items() for name in members}
    used = set()
    for module, path in MODULES.items():
        if module.partition(".")[2].partition(".")[0] in names:
            for other in imported_modules(path):
                used.add(home[other.split(".")[1]])
                assert used <= allowed | {package}, f"{module} imports {other}"
    assert used - {package} == allowed - {package}, "the README allows more than is needed"


@pytest.mark.parametrize("name", BASE_MODULES)
def test_base_modules_import_only_what_stands_before_them(name: str) -> None:
    below = BASE_MODULES[: BASE_MODULES.index(name)]
    room = CORE / name
    for path in room.glob("*.py") if room.is_dir() else [CORE / f"{name}.py"]:
        for imported in own(path):
            assert imported.split(".")[1] in (*below, name), f"{path}: {imported}"


def test_no_circle_of_imports() -> None:
    waiting = {module: imported_modules(path) for module, path in MODULES.items()}
    while free := [module for module, needs in waiting.items() if not needs & waiting.keys()]:
        for module in free:
            del waiting[module]
    assert not waiting, f"these import each other, or wait for some that do: {sorted(waiting)}"


def test_no_two_files_bear_one_name() -> None:
    shared = {"__init__", "config", "base", "registry"}  # the same in each room
    names = [path.stem for path in CORE.rglob("*.py") if path.stem not in shared]
    assert {name for name in names if names.count(name) > 1} == set()


def test_no_two_classes_bear_one_name() -> None:
    """So that each can be found and spoken of by its name alone."""
    names = [node.name for path in SOURCES for node in parsed(path).body if isinstance(node, ast.ClassDef)]
    assert {name for name in names if names.count(name) > 1 and not name.startswith("_")} == set()


def test_no_two_files_call_a_kind_of_array_by_one_name() -> None:
    """Those of several files stand in `numeric.arrays`."""
    names = [
        ast.unparse(node.targets[0])
        for path in SOURCES
        for node in parsed(path).body
        if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("npt.NDArray[")
    ]
    assert {name for name in names if names.count(name) > 1} == set() and "Floats" in names


def test_losses_know_no_data_and_models_no_training() -> None:
    """A backbone's auxiliary loss stands in its file; the losses of all of them in `training/losses`."""
    pure = ("eimf_core.training.losses", "eimf_core.models.readout")
    for path in (CORE / "training" / "losses").glob("*.py"):
        for imported in own(path):
            assert imported.startswith(pure), f"{path}: {imported}"
    for path in (CORE / "models").rglob("*.py"):
        for imported in own(path):
            assert imported.startswith(ALLOWED_IN_MODELS), f"{path}: {imported}"


def test_backbones_are_named_without_torch() -> None:
    program = (
        "import sys\nfrom eimf_core.models import registry\n"
        "assert registry.is_single('sasrec') and not registry.is_single('comirec-sa')\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_heavy_packages_stay_where_they_are_needed() -> None:
    for path in SOURCES:
        for imported in imports(path):
            package = imported.split(".")[0]
            inside = path.is_relative_to(CORE)
            if package == "torch":
                assert inside and within(path, "models/", "training/", "text/"), path
            elif package == "sentence_transformers":
                assert inside and within(path, "text/"), path
            elif package == "duckdb":
                assert inside and within(path, "prepare/", "io/parquet_files.py"), path
            elif package == "llama_cpp":
                assert inside and within(path, "labeling/engines/llama"), path


def test_commands_import_no_heavy_package_when_they_are_loaded() -> None:
    for path in (ROOT / "eimf_cli").glob("*.py"):
        assert not {name.split(".")[0] for name in imports(path, top_level=True)} & {*HEAVY, "duckdb", "sklearn"}, path


def test_core_neither_prints_nor_exits() -> None:
    for path in CORE.rglob("*.py"):
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                if called == "os._exit" and path.name in ("workers.py", "process_pipeline.py"):
                    continue  # a process of the service, which must not do what comes after it in the first one
                assert called not in {"print", "exit", "sys.exit", "os._exit", "input", "eval", "exec"}, (
                    f"{path}:{node.lineno}"
                )


@pytest.mark.parametrize("arguments", [["--help"], ["recommend", "--help"], ["train", "--help"], ["label", "--help"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import sys; sys.argv[0] = 'eimf'\n"
        "from eimf_cli.main import run\n"
        "try:\n    run()\nexcept SystemExit as stop:\n    assert not stop.code, stop.code\n"
        f"heavy = {{*{HEAVY!r}, 'sklearn', 'scipy', 'duckdb', 'onnxruntime'}}\n"
        "print(sorted(set(sys.modules) & heavy), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, check=True, timeout=60)
    assert done.stderr.decode().strip() == "[]"


def test_no_pickle_and_no_eval_of_configuration() -> None:
    for path in SOURCES:
        assert not {name.split(".")[0] for name in imports(path)} & {"pickle", "joblib", "shelve", "dill"}, path
        assert "torch.load(" not in path.read_text(), path
