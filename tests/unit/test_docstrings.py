"""Functions that other modules use say what they take and return.

This is asked of module-level functions, and of public methods of public classes, that another module uses and that
take three or more arguments, or take or return arrays or tensors. Overriding methods are described where they are
first declared, those of a protocol there, and the `forward` of a network in the docstring of its class. The docstring
of a metric is its entry of `eval --help-metrics`; its arguments are those of its table.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from eimf_core.evaluation import metrics

ROOT = Path(__file__).resolve().parents[2]
ON_TOP = ("eimf", "eimf_cli")
SOURCES = sorted(path for package in ("eimf_core", *ON_TOP) for path in (ROOT / package).rglob("*.py"))
DESCRIBED = (".", *sorted({*ON_TOP, *(place.parent.name for place in (ROOT / "eimf_core").glob("*/*.py"))}))
"""The packages of eimf_core, and those on top of it; ".": the modules that are in none."""
METRICS = {(function.__module__.rpartition(".")[2], function.__name__) for function in metrics.METRICS.values()}
MANY = 3
"""Arguments that need a description, however plain their types."""
ARRAYS = re.compile(r"\b(NDArray|ndarray|Tensor)\b")
SECTION = re.compile(r"^ *(?:Args|Returns|Yields|Raises|Source|Attributes):", re.MULTILINE)

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Described(NamedTuple):
    """A function and the name by which it is reported."""

    name: str
    node: Function
    arguments: Sequence[ast.arg]


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def of_arrays() -> re.Pattern[str]:
    """Annotations of arrays: those of numpy and torch, and what modules name by them."""
    names = {"NDArray", "ndarray", "Tensor"}
    for path in SOURCES:
        for node in parsed(path).body:
            if isinstance(node, ast.Assign) and ARRAYS.search(ast.unparse(node.value)):
                names |= {target.id for target in node.targets if isinstance(target, ast.Name) and target.id.istitle()}
    return re.compile(rf"\b({'|'.join(sorted(names))})\b")


@cache
def used_names(path: Path) -> frozenset[str]:
    """What a module imports by name, or reads of something by a dot."""
    imported = (
        alias.name for node in ast.walk(parsed(path)) if isinstance(node, ast.ImportFrom) for alias in node.names
    )
    read = (node.attr for node in ast.walk(parsed(path)) if isinstance(node, ast.Attribute))
    return frozenset((*imported, *read))


@cache
def methods_of_classes() -> dict[str, set[str]]:
    """The names of the methods of the classes of a name, wherever it is defined."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in SOURCES:
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.ClassDef):
                found[node.name] |= {inner.name for inner in node.body if isinstance(inner, Function)}
    return found


@cache
def protocol_methods() -> frozenset[str]:
    classes = (node for path in SOURCES for node in parsed(path).body if isinstance(node, ast.ClassDef))
    protocols = (node for node in classes if "Protocol" in base_names(node))
    return frozenset(inner.name for node in protocols for inner in node.body if isinstance(inner, Function))


def base_names(node: ast.ClassDef) -> list[str]:
    return [ast.unparse(base).split("[")[0].split(".")[-1] for base in node.bases]


def functions(path: Path) -> Iterator[Described]:
    """The public functions of a module, and the public methods of its public classes that override none."""
    for node in parsed(path).body:
        if isinstance(node, Function):
            yield Described(node.name, node, arguments_of(node))
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            bases = base_names(node)
            inherited = set().union(*(methods_of_classes().get(base, set()) for base in bases))
            if "Protocol" not in bases:
                inherited |= protocol_methods()
            for inner in node.body:
                if isinstance(inner, Function) and inner.name not in inherited and not is_attribute(inner):
                    yield Described(f"{node.name}.{inner.name}", inner, arguments_of(inner, method=True))


def is_attribute(node: Function) -> bool:
    return any(ast.unparse(decorator).endswith("property") for decorator in node.decorator_list)


def arguments_of(node: Function, *, method: bool = False) -> list[ast.arg]:
    static = any(ast.unparse(decorator) == "staticmethod" for decorator in node.decorator_list)
    listed = [*node.args.posonlyargs, *node.args.args]
    further = [argument for argument in (node.args.vararg, node.args.kwarg) if argument is not None]
    return [*listed[int(method and not static) :], *node.args.kwonlyargs, *further]


def needs_description(found: Described, path: Path) -> bool:
    name = found.node.name
    if name.startswith("_") or name == "forward" or (path.stem, name) in METRICS:
        return False
    # the docstring of a command is its help
    if any(ast.unparse(decorator).startswith("step(") for decorator in found.node.decorator_list):
        return False
    if not any(name in used_names(other) for other in SOURCES if other != path):
        return False
    annotations = [argument.annotation for argument in found.arguments] + [found.node.returns]
    arrays = any(node is not None and of_arrays().search(ast.unparse(node)) for node in annotations)
    return arrays or len(found.arguments) >= MANY


def missing(found: Described) -> list[str]:
    """What the docstring of a function lacks."""
    text = ast.get_docstring(found.node) or ""
    sections = {match.group().strip(): match.end() for match in SECTION.finditer(text)}

    def section(name: str) -> str | None:
        if name not in sections:
            return None
        start = sections[name]
        return text[start : min((match.start() for match in SECTION.finditer(text, start)), default=len(text))]

    described = re.findall(r"^ {4}(\*{0,2}\w+(?:, \*{0,2}\w+)*):", section("Args:") or "", re.MULTILINE)
    names = {name.lstrip("*") for line in described for name in line.split(", ")}
    lacking = [argument.arg for argument in found.arguments if argument.arg not in names]
    lacking += [f"{name} (no argument)" for name in sorted(names - {argument.arg for argument in found.arguments})]
    returns = found.node.returns
    if returns is not None and ast.unparse(returns) not in ("None", "NoReturn"):
        lacking += ["Returns"] if section("Returns:") is None and section("Yields:") is None else []
    return lacking


def modules(package: str) -> list[Path]:
    place = ROOT / package if package in ON_TOP else ROOT / "eimf_core" / package
    assert place.is_dir(), package
    return sorted(place.glob("*.py") if package == "." else place.rglob("*.py"))


@pytest.mark.parametrize("package", DESCRIBED)
def test_what_other_modules_use_says_its_arguments_and_what_it_returns(package: str) -> None:
    lacking = [
        f"{path.relative_to(ROOT)}:{found.node.lineno} {found.name}: {', '.join(missing(found))}"
        for path in modules(package)
        for found in functions(path)
        if needs_description(found, path) and missing(found)
    ]
    assert not lacking, "\n".join(lacking)


def test_a_docstring_without_an_argument_is_noticed() -> None:
    text = '''
def both(left: int, right: int, more: int) -> int:
    """Of two.

    Args:
        left, right: numbers.
        other: none.
    """
'''
    (node,) = ast.parse(text).body
    assert isinstance(node, Function)
    assert missing(Described("both", node, arguments_of(node))) == ["more", "other (no argument)", "Returns"]
