"""The documentation is true: commands parse, options and files exist, and README stays short."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer
from typer.testing import CliRunner

from eimf_cli.main import STEPS, app
from eimf_core import dataset
from eimf_core.io import jsonl
from eimf_core.models import registry
from eimf_core.prepare import input_discovery as formats
from eimf_core.records import Label, Recommendation, Sample, Sequence

ROOT = Path(__file__).resolve().parents[2]
LONGEST_README, MAX_WORDS = 250, 2300
FOLDERS = ("eimf_core", "examples", "tests")
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in [*ROOT.glob("*.md"), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.md"))]
    if ".work" not in path.parts
)
TEXTS = {page: (ROOT / page).read_text() for page in PAGES}
DESCRIBED = [page for page in PAGES if page != "CHANGELOG.md"]
"""Pages that speak of what there is; the change log names options that are gone."""
OPTION = re.compile(r"(?<![\w-])(--[a-z][a-z-]*[a-z]|-[a-zA-Z])(?![\w-])")
PATH = re.compile(r"(?:eimf_core|eimf_cli|examples|prompts|tests)/[\w./-]*\w")
OTHERS = re.compile(r"(eimf|pip|python -m (venv|pip)|git|torchrun|vllm|split|CMAKE_ARGS)\b")
"""How code that is checked elsewhere, or is not ours, begins."""


class Command(NamedTuple):
    """A command on a page; `whole` where it is written to be typed, not named in a sentence."""

    page: str
    words: tuple[str, ...]
    whole: bool


GROUP: Any = typer.main.get_command(app)


@cache
def options_of(step: str) -> frozenset[str]:
    command = GROUP.get_command(None, step)
    assert command is not None, f"there is no command 'eimf {step}'"
    return frozenset(
        {"--help", "-h", *(flag for each in command.params for flag in (*each.opts, *each.secondary_opts))}
    )


@cache
def steps() -> tuple[str, ...]:
    return tuple(GROUP.list_commands(None))


def run_in_process(*words: str) -> str:
    result = CliRunner().invoke(app, words)
    assert result.exception is None or isinstance(result.exception, SystemExit), f"{words}: {result.exception}"
    assert result.exit_code == 0, f"{words}: {result.output}"
    return result.output


def code_lines(text: str) -> Iterator[str]:
    """Lines of fenced and of indented code, continued lines joined."""
    fenced, waiting = False, ""
    for line in text.splitlines():
        if line.startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            waiting += line.strip()
            if waiting.endswith("\\"):
                waiting = waiting[:-1]
            else:
                yield waiting
                waiting = ""


def quoted(text: str) -> list[str]:
    """What stands between single backticks, also across the end of a line."""
    return re.findall(r"(?<!`)`([^`]+)`(?!`)", re.sub(r"```.*?```", "", text, flags=re.DOTALL).replace("\n", " "))


def without_remark(line: str) -> str:
    return re.split(r"\s{3,}|\s#", line)[0]


def commands(page: str) -> Iterator[Command]:
    """What a page says to type, without redirections."""
    for lines, whole in ((code_lines(TEXTS[page]), True), (quoted(TEXTS[page]), False)):
        for line in lines:
            for part in re.split(r"\s+[|<>&]+\s*|;\s|\s>>", line.removeprefix("$ ")):
                if part.startswith("eimf "):
                    yield Command(page, tuple(shlex.split(without_remark(part))), whole)


COMMANDS = sorted({command for page in DESCRIBED for command in commands(page)})


def test_readme_is_short() -> None:
    assert len(TEXTS["README.md"].splitlines()) <= LONGEST_README
    assert len(TEXTS["README.md"].split()) <= MAX_WORDS


def test_the_pages_are_found_and_hold_commands() -> None:
    """The tests below would pass on nothing."""
    packages = {
        f"eimf_core/{room}/README.md" for room in ("prepare", "clustering", "labeling", "evaluation", "recommend")
    }
    others = {"README.md", "CHANGELOG.md", "eimf_core/README.md", "examples/study/README.md", "tests/README.md"}
    assert packages | others | {"tests/benchmarks/README.md"} <= set(PAGES)
    assert sum(command.whole for command in COMMANDS if command.page == "README.md") >= 10


@pytest.mark.parametrize("step", steps())
def test_every_command_leads_its_help_with_an_example_that_parses(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    found = re.search(r"Examples?:\n +(eimf .+)", run_in_process(step, "--help"))
    assert found, step
    _, name, *words = shlex.split(re.split(r" [|<>] ", found.group(1))[0])
    assert name == step
    run_in_process(step, *words, "--show-config")


def test_every_step_stands_in_the_readme() -> None:
    assert {command.words[1] for command in COMMANDS if command.page == "README.md"} >= set(STEPS)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: f"{command.page}: {' '.join(command.words)}"[:90])
def test_commands_of_the_documentation_parse(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    step, *words = command.words[1:]
    if step == "STEP":  # `eimf STEP --help`
        return
    options = [word.partition("=")[0] for word in words if OPTION.fullmatch(word.partition("=")[0])]
    assert set(options) <= options_of(step), command
    if command.whole and not {"--help", "-h", "--help-all", "--help-metrics"} & set(options):
        run_in_process(step, *words, "--show-config")


def script(path: str) -> Path:
    """A script; of a package that is run as a module, the file that runs."""
    return ROOT / path if (ROOT / path).exists() else (ROOT / path).with_suffix("") / "__main__.py"


@pytest.mark.parametrize("page", DESCRIBED)
def test_options_named_in_the_text_exist(page: str) -> None:
    """`--option` alone, or of a script that the page names."""
    of_any = {option for step in steps() for option in options_of(step)} | {"--version"}
    named = {path for path in PATH.findall(TEXTS[page]) if path.endswith((".py", ".sh")) and "NAME" not in path}
    named |= {module.replace(".", "/") + ".py" for module in re.findall(r"python -m (tests[\w.]+\w)", TEXTS[page])}
    of_scripts = "".join(script(path).read_text() for path in named)
    for code in quoted(TEXTS[page]):
        if not OTHERS.match(code):
            for option in OPTION.findall(code):
                assert option in of_any or f'"{option}"' in of_scripts or f"{option})" in of_scripts, (
                    f"{option} in {code}"
                )


@pytest.mark.parametrize("page", PAGES)
def test_files_named_in_the_documentation_exist(page: str) -> None:
    """From the root, or from where the page lies; NAME stands for any name."""
    for path in re.findall(r"`([\w./-]+/|[\w./-]+\.(?:py|sh|md|toml|jsonl|cff|txt|gguf))`", TEXTS[page]):
        ours = PATH.match(path) or (page == "eimf_core/README.md" and not path.endswith(".jsonl"))
        if "NAME" in path or not ours or path.startswith("examples/.work"):
            continue
        assert (ROOT / path).exists() or (ROOT / page).parent.joinpath(path).exists(), f"{page}: {path}"


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", TEXTS[page]):
        if target.startswith(("http:", "https:")):
            continue
        path, _, section = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), f"{page}: {target}"
        assert not section or section in sections(file.read_text()), f"{page}: {target}"


def sections(text: str) -> set[str]:
    """The anchors of a page's headings."""
    titles = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in titles}


def test_scripts_named_in_the_documentation_know_their_options() -> None:
    """`python -m tests.benchmarks.X --option`: the script names the option."""
    for page in DESCRIBED:
        for line in [*code_lines(TEXTS[page]), *quoted(TEXTS[page])]:
            found = re.match(r"python (-m )?((?:tests|examples)[\w./]+)(.*)", line)
            if not found:
                continue
            name = found.group(2).replace(".", "/") + ".py" if found.group(1) else found.group(2)
            text = script(name).read_text()
            for option in OPTION.findall(without_remark(found.group(3))):
                assert f'"{option}"' in text, f"{page}: {line}"


def test_top_level_holds_what_it_should() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    if not tracked:
        pytest.skip("not a git checkout")
    allowed = {
        "eimf", "eimf_cli", "eimf_core", "prompts", "examples", "tests", "pyproject.toml", "README.md", "CHANGELOG.md",
        "CITATION.cff", "LICENSE", ".ci", ".gitignore", "constraints.txt",
    }  # fmt: skip
    assert {path.split("/")[0] for path in tracked} <= allowed


def test_the_readme_has_every_backbone() -> None:
    rows = dict(re.findall(r"^\| `([\w-]+)` \| [^|]+ \| (one|several) \|", TEXTS["README.md"], flags=re.MULTILINE))
    assert rows == {name: "one" if registry.is_single(name) else "several" for name in registry.BACKBONES}


def test_the_readme_of_prepare_has_every_format() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \|", TEXTS["eimf_core/prepare/README.md"], flags=re.MULTILINE)
    assert set(rows) >= {log.name for log in formats.LOGS}


def test_what_the_map_says_to_add_a_line_to_is_there() -> None:
    places = re.findall(r"`([\w.]+)` of `([\w/.]+\.py)`", TEXTS["eimf_core/README.md"])
    assert len(places) >= 4
    for name, path in places:
        text = (ROOT / ("" if path.startswith("eimf_") else "eimf_core") / path).read_text()
        assert all(re.search(rf"\b{part}\b", text) for part in name.split(".")), f"{name} of {path}"


def test_a_line_of_each_record_is_one() -> None:
    (text,) = re.findall(r"^## Records\n(.*?)^## ", TEXTS["eimf_core/README.md"], re.MULTILINE | re.DOTALL)
    lines = [line.encode() for line in code_lines(text) if line.startswith("{")]
    kinds = (Sequence, Sample, Label, Recommendation)
    found = [jsonl.decode(line, kind, file="", number=1) for line, kind in zip(lines, kinds, strict=True)]
    assert [type(record) for record in found] == list(kinds)


def test_labels_of_the_readme_are_of_three_customers(tmp_path: Path) -> None:
    shop = ROOT / "examples" / "shop"
    run_in_process("prepare", f"{shop}/interactions.csv", "--items", f"{shop}/items.jsonl", "-o", f"{tmp_path}/data")
    data = dataset.load(tmp_path / "data", ("train",))
    users = data.splits["train"].users
    by_key = dict(zip(data.training_keys(), users, strict=True))
    lines = [line for line in code_lines(TEXTS["README.md"]) if '"interests":' in line]
    found = [jsonl.decode(line.encode(), Label, file="", number=1) for line in lines]
    owners = {by_key[label.key] if label.key else label.user for label in found}
    assert len(owners) == len(lines) == 3 and owners <= set(users)
    assert all(data.vocab.get(item) for label in found for interest in label.interests for item in interest.items)
