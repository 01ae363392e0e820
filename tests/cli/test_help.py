"""What every command has in common: its help, its options, completion in the shell, near words, -v."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import orjson
import pytest
import typer

from eimf_cli import main
from eimf_cli.options import COMMON
from eimf_cli.step_command import HEADINGS, group_of
from eimf_core.config import GROUPS, choices
from eimf_core.evaluation.slices import SLICES
from eimf_core.labeling.config import PROMPTS
from tests.conftest import Eimf, one_error_line

COMMANDS = [*main.STEPS, *main.FURTHER]
MAX_SHOWN = 25


def command_of(name: str) -> tuple[Any, Any]:
    """A command and its context."""
    group: Any = typer.main.get_command(main.app)
    context: Any = typer.Context(group, info_name="eimf", **group.context_settings)
    command = group.get_command(context, name)
    return command, typer.Context(command, info_name=name, parent=context, **command.context_settings)


def flags(parameter: Any) -> list[str]:
    return [*parameter.opts, *parameter.secondary_opts]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_a_help_a_group_and_its_choices(eimf: Eimf, name: str) -> None:
    command, context = command_of(name)
    helped = eimf(name, "--help-all")
    text = " ".join(helped.stdout.decode().split())
    assert helped.returncode == 0 and helped.stderr == b""
    for parameter in command.get_params(context):
        assert parameter.help and parameter.help[0] and parameter.help.strip()[-1] in ".!)", parameter.name
        assert group_of(parameter) in HEADINGS, parameter.name
        assert not parameter.hidden or group_of(parameter) in GROUPS, parameter.name
        allowed = list(map(str, choices(parameter.type_descriptor.annotation)))
        assert not allowed or "|".join(allowed) in text or f"one of {', '.join(allowed)}" in text, parameter.name
    for field in context.obj.options().values():
        assert field.metadata["group"] in GROUPS, field.name


@pytest.mark.parametrize("name", COMMANDS)
def test_help_all_lists_every_option_and_every_key(eimf: Eimf, name: str) -> None:
    command, context = command_of(name)
    whole, short = (eimf(name, option).stdout.decode() for option in ("--help-all", "--help"))
    for parameter in command.get_params(context):
        if parameter.param_type_name == "option":
            positive = f"[no-]{parameter.opts[0].removeprefix('--')}"
            shown = all(f"{flag} " in f"{whole} ".replace(",", " ").replace("\n", " ") for flag in flags(parameter))
            assert shown or f"--{positive}" in whole, parameter.name
            listed = re.search(rf"^ +(-., )?{re.escape(parameter.opts[0])}[ ,\n]", short, flags=re.MULTILINE)
            assert not (parameter.hidden and listed), parameter.name
    for key in context.obj.config_keys():
        assert re.search(rf"^  {key}\b", whole, flags=re.MULTILINE) and not re.search(rf"^  {key}\b", short), key


@pytest.mark.parametrize("name", COMMANDS)
def test_help_leads_with_an_example_that_parses(eimf: Eimf, name: str) -> None:
    text = eimf(name, "--help").stdout.decode()
    found = re.match(r"Example:\n  eimf (.+)\n\nUsage: eimf ", text)
    assert found, text
    words = shlex.split(found.group(1).split(" | ")[0].split(" > ")[0])
    assert words[0] == name
    done = eimf(*words, "--show-config")
    assert done.returncode == 0, done.stderr.decode()
    shown = orjson.loads(done.stdout)
    command, context = command_of(name)
    expected = {each.name for each in command.params} - COMMON.keys() | context.obj.config_keys().keys()
    # an eager option that prints and stops is no setting
    assert expected == shown.keys()


@pytest.mark.parametrize("name", COMMANDS)
def test_the_usual_help_is_short(name: str) -> None:
    command, context = command_of(name)
    shown = [each for each in command.get_params(context) if each.param_type_name == "option" and not each.hidden]
    assert len(shown) <= MAX_SHOWN, [each.name for each in shown]


@pytest.mark.parametrize("option", ["encoder", "threads", "ray", "force"])
def test_an_option_of_several_commands_has_one_place_and_one_form(option: str) -> None:
    places = {
        name: (group_of(each), flags(each))
        for name in COMMANDS
        for each in command_of(name)[0].params
        if each.name == option
    }
    first, *others = places.values()
    assert others and all(each == first for each in others), places


@pytest.mark.parametrize("arguments", [(), ("-h",), ("--help",)])
def test_eimf_alone_prints_its_help(eimf: Eimf, arguments: tuple[str, ...]) -> None:
    done = eimf(*arguments)
    text = done.stdout.decode()
    assert (done.returncode, done.stderr) == (0, b"") and text.startswith("Usage: eimf")
    listed = re.findall(r"^  (\w+)  +\S", text[text.index("The six steps:\n") :], flags=re.MULTILINE)
    assert listed == COMMANDS
    assert "env var" not in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("trian",), "there is no command 'trian'; did you mean train?"),
        (("rec", "model"), "did you mean recommend?"),
        (("zzz",), "there is no command 'zzz'; eimf --help lists"),
        (("train", "--epoch", "3"), "there is no option --epoch; did you mean --epochs?"),
        (("train", "--epochs"), "requires an argument. (see 'eimf train --help')"),
        (("train", "-o", "m"), "Missing argument 'DIR'. (see"),
        (("score", "x"), "Missing option '--samples' and '--truth'. (see"),
        (("--help-all",), "eimf STEP --help-all lists them"),
        (("train",), "DIR"),
        (("train", "a", "b", "-o", "c"), "unexpected extra argument(s) (b); a name with blanks stands in quotes (see"),
        (("recommend", "m", "--items", "A", "B"), "in quotes, ids are separated by commas: --items A,B"),
        (("recommend", "m", "--top", "3"), "there is no option --top; eimf recommend --help-all lists all"),
        (("run", "x", "--user-column", "u", "-o", "d"), "of eimf prepare: write user_column = … under [prepare] in"),
        (
            ("compare", "d", "--epochs", "3", "-o", "r"),
            "of eimf train: write epochs = … in a TOML file, and give that as",
        ),
        (("run", "x", "--item", "u", "-o", "d"), "there is no option --item; did you mean --items?"),
        (("--verson",), "--version"),
        (("train", "d", "-o", "m", "--backbone", "comirek"), "or several joined by +; did you mean comirec-sa?"),
        (("train", "d", "-o", "m", "--backbone", "narm+sasrek"), "--backbone is 'sasrek', expected comirec-sa, "),
        (("train", "d", "-o", "m", "--backbone", "narm+sasrek"), "; did you mean sasrec?"),
        (("compare", "d", "-o", "r", "--backbones", "narm,sasrek"), "--backbones has 'sasrek', expected comirec-sa, "),
        (("compare", "d", "-o", "r", "--backbones", "narm,sasrek"), "; did you mean sasrec?"),
        (("prepare", "x", "-o", "d", "--format", "instakart"), "parquet or csv; did you mean instacart?"),
        (("prepare", "x", "-o", "d", "--split", "temp"), "by-user or none; did you mean temporal?"),
        (("label", "x", "--engine", "keyword"), "keywords or categories; did you mean keywords?"),
        (
            ("eval", "m", "d", "--slice", "popularty=10"),
            "cold, popularity, category or repeat; did you mean popularity?",
        ),
        (("eval", "m", "d", "--metrics", "ndgc"), "(eimf eval --help-metrics tells them); did you mean ndcg?"),
        (("train", "d", "-o", "m", "--alignment", "1"), "did you mean the key alignment_weight of --config, under"),
    ],
)
def test_what_is_not_known_is_answered_with_what_is_near(eimf: Eimf, arguments: tuple[str, ...], words: str) -> None:
    assert words in one_error_line(eimf(*arguments), 2)


def test_a_key_of_another_command_is_sent_to_its_table(eimf: Eimf, tmp_path: Path) -> None:
    (tmp_path / "shop.toml").write_text('user_column = "Kunde"\n[train]\nepochs = 2\n')
    line = one_error_line(eimf("train", "d", "--config", tmp_path / "shop.toml", "-o", "m", cwd=tmp_path), 2)
    assert "unknown key 'user_column'; it is a setting of eimf prepare: write it under [prepare]" in line


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("eimf re", {"recommend"}),
        ("eimf train data --device ", {"auto", "cpu", "cuda", "mps"}),
        ("eimf train data --backbone com", {"comirec-sa", "comirec-dr"}),
        ("eimf recommend model --seen k", {"keep"}),
        ("eimf eval model data --split ", {"test", "valid"}),
        ("eimf label samples --engine key", {"keywords"}),
        ("eimf label samples --prompt ", set(PROMPTS)),
        ("eimf eval model data --metrics ndcg", {"ndcg", "ndcg_hits"}),
        ("eimf eval model data --metrics recall,nd", {"recall,ndcg", "recall,ndcg_hits"}),
        ("eimf eval model data --slice ", set(SLICES)),
        ("eimf train data --backbone narm+sas", {"narm+sasrec"}),
        ("eimf label samples --model qwen2.5-coder-1", {"qwen2.5-coder-1.5b"}),
        ("eimf train --help-", {"--help-all"}),
        ("eimf prepare log --max-l", {"--max-length"}),
    ],
)
def test_bash_completes_names_and_values(eimf_process: Eimf, line: str, expected: set[str]) -> None:
    words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
    done = eimf_process(env={**words, "_EIMF_COMPLETE": "complete_bash"})
    assert done.returncode == 0 and set(done.stdout.decode().split()) == expected, done


def test_verbose_says_what_takes_the_time(eimf: Eimf, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(
        "user,item,time\n" + "".join(f"u{n % 9},i{n % 7},{1_000_000 + n}\n" for n in range(200))
    )
    command = ("prepare", tmp_path / "log.csv", "--json", "-o", tmp_path / "data")
    lines = eimf(*command, "-v").stderr.decode().splitlines()
    assert any(re.fullmatch(r"reading .*log\.csv: \d+\.\d s", line) for line in lines), lines
    last = r"eimf \S.*, Python 3\.\S+, numpy .*; seed 0; \d+\.\d s, \d+\.\d s of CPU time, [\d,]+ MiB of memory at most"
    assert re.fullmatch(last, lines[-1]), lines
    assert "CPU time" not in eimf(*command).stderr.decode()
