"""A step as a command: its settings as options in groups, or as keys of --config alone; help, unknown words."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
import pytest
import typer

from eimf_cli import exit_codes
from eimf_cli.options import step
from eimf_cli.step_command import CommandContext
from eimf_core import threads
from eimf_core.config import check, setting
from eimf_core.errors import ConfigError
from eimf_core.training.config import TrainConfig
from tests.conftest import Eimf, one_error_line

Run = Callable[..., Any]


@dataclass(frozen=True)
class Settings:
    epochs: int = setting(3, "Epochs at most.")
    loss: Literal["full", "sampled"] = setting("full", "What is minimised.", group="optimisation")
    positions: Literal["decay", "absolute", "learned", "none"] = setting("decay", "Places.", "-p", group="model")
    backbone: str = setting("sa", "Backbone.", group="model", known=("sa", "dr"))
    k: list[int] = setting([10], "Cut-offs.", "-k", group="data")
    flag: bool = setting(True, "A switch.", group="machine")
    rare: float = setting(0.5, "Rarely of use.", group="optimisation", advanced=True, low=0)
    hyperparameters: dict[str, Any] = setting({}, "Inner numbers.", config_only=True)
    half_life: float | None = setting(None, "Half-life.", config_only=True, low=0)
    kind: Literal["a", "b"] = setting("a", "A kind.", config_only=True)

    def __post_init__(self) -> None:
        check(self)


def command() -> tuple[Any, dict[str, Any]]:
    """A command and what its function was called with."""
    app, called = typer.Typer(rich_markup_mode=None, add_completion=False), {}

    @step(app, example="eimf tried here", settings=Settings)
    def tried(
        directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where.")],
        settings: Settings,
        output: Annotated[Path | None, typer.Option(metavar="FILE", help="Out.", rich_help_panel="data")] = None,
    ) -> None:
        """Try it, with --half-life-of and more words that make the line so long that it has to be folded at --some-option."""  # noqa: E501
        called.update(directory=directory, settings=settings, output=output)

    return typer.main.get_command(app), called


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """The settings that a command line leads to, or what it prints where it prints."""
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments: str) -> Any:
        made, called = command()
        out = io.TextIOWrapper(io.BytesIO())
        with contextlib.redirect_stdout(out):
            made.main(list(arguments), standalone_mode=False, prog_name="tried", auto_envvar_prefix="EIMF_TRIED")
        out.flush()
        return called["settings"] if called else out.buffer.getvalue().decode()  # type: ignore[attr-defined]

    return run


def toml(tmp_path: Path, text: str) -> tuple[str, str]:
    (tmp_path / "it.toml").write_text(text)
    return "--config", str(tmp_path / "it.toml")


def test_help_leads_with_the_example_and_groups_its_options(run: Run) -> None:
    text = run("--help")
    assert text.startswith("Example:\n  eimf tried here\n\nUsage: tried [OPTIONS] DIR\n")
    headings = [line for line in text.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert headings == [f"{name}:" for name in (
        "Example", "Arguments", "Usual", "Data", "Model", "Optimisation", "Machine", "Common",
    )]  # fmt: skip
    assert text.index("Data:") < text.index("--output") < text.index("-k, --k N") < text.index("Model:")
    assert "--loss full|sampled" in text
    assert "[one of decay, absolute, learned, none; default: decay]" in " ".join(text.split())
    assert "known: sa, dr" in text
    assert "--[no-]flag" in text and "default: on" in text
    assert "--half-life-of" in text and "--some-option" in text, "an option is broken at the end of a line"
    assert max(map(len, text.splitlines())) <= 80


def test_rare_settings_and_keys_of_the_file_stand_in_help_all(run: Run) -> None:
    short, whole = run("--help"), run("--help-all")
    for name in ("--rare", "half_life", "hyperparameters"):
        assert name not in short and name in whole
    assert "4 more settings: tried --help-all" in short and "more settings" not in whole
    assert "A kind.  [one of a, b; default: a]" in whole
    assert len(short.splitlines()) < len(whole.splitlines())


def test_keys_of_the_file_are_read_from_its_table_and_its_top(run: Run, tmp_path: Path) -> None:
    config = toml(
        tmp_path, "half-life = 2\nepochs = 5\n[tried]\nkind = 'b'\nepochs = 7\n[tried.hyperparameters]\nx = 1"
    )
    settings = run(*config, "here", "--loss", "sampled")
    assert settings == Settings(epochs=7, loss="sampled", hyperparameters={"x": 1}, half_life=2.0, kind="b")
    assert type(settings.half_life) is float
    assert run(*toml(tmp_path, "[hyperparameters]\ny = 2"), "here").hyperparameters == {"y": 2}
    assert run("here") == Settings()


def test_flags_beat_environment_beats_file(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = toml(tmp_path, "[tried]\nepochs = 7\nrare = 0.1\nk = [1, 2]\nflag = false")
    monkeypatch.setenv("EIMF_TRIED_EPOCHS", "9")
    monkeypatch.setenv("EIMF_TRIED_RARE", "0.2")
    assert run(*config, "here", "--epochs", "11") == Settings(epochs=11, rare=0.2, k=[1, 2], flag=False)


def test_show_config_holds_the_keys_of_the_file_too(run: Run, tmp_path: Path) -> None:
    shown = orjson.loads(run(*toml(tmp_path, "[tried]\nkind = 'b'"), "here", "--show-config"))
    assert shown == {**vars(Settings(kind="b")), "directory": "here", "output": None}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("epochz = 3", "unknown key 'epochz'; did you mean epochs?"),
        ("[tried]\nhalf_lif = 3", "unknown key 'half_lif'; did you mean half_life?"),
        ("[tryed]\nepochs = 3", "unknown table 'tryed'; did you mean tried?"),
        ("kind = b", "it.toml: is not TOML (Invalid value (at line 1, column 8)); text stands in quotes"),
        ("zzz = 1", "unknown key 'zzz'; eimf tried --show-config lists"),
        ("[tried]\nshow_config = true", "unknown key 'show_config'"),
        ("kind = 'c'", "kind is 'c', expected a or b"),
        ("half_life = 'x'", "half_life is 'x', expected a number"),
        ("hyperparameters = 3", "hyperparameters is '3', expected a table"),
        ("epochs = 'x'", "it.toml: epochs is 'x', expected a whole number"),
        ("loss = 'x'", "it.toml: loss is 'x', expected full or sampled"),
        ("rare = -1", "it.toml: rare is -1.0, expected 0 or more"),
        ("half_life = -1", "it.toml: half_life is -1.0, expected 0 or more"),
        ("tried = 3", "'tried' is no table"),
    ],
)
def test_wrong_files_are_told(run: Run, tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError) as told:
        run(*toml(tmp_path, text), "here")
    assert words in str(told.value)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--half-life", "3"], "--half-life is set in --config: write half_life = … under [tried]"),
        (["--hyperparameters=3"], "--hyperparameters is set in --config"),
        (["--epoch", "3"], "there is no option --epoch; did you mean --epochs?"),
        (["--half-lif", "3"], "; did you mean the key half_life of --config, under [tried] in a TOML file?"),
        (["--zzz"], "there is no option --zzz; tried --help-all lists all"),
        (["--epochs", "x"], "--epochs is 'x', expected a whole number"),
        (["-k", "x"], "--k is 'x', expected a whole number"),
        (["--loss", "x"], "--loss is 'x', expected full or sampled"),
        (["--loss", "sample"], "--loss is 'sample', expected full or sampled; did you mean sampled?"),
    ],
)
def test_wrong_options_are_told(run: Run, arguments: list[str], words: str) -> None:
    with pytest.raises(ConfigError) as told:
        run("here", *arguments)
    assert words in str(told.value)


def test_a_wrong_environment_variable_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EIMF_TRIED_EPOCHS", "x")
    with pytest.raises(ConfigError, match="EIMF_TRIED_EPOCHS is 'x', expected a whole number"):
        run("here")
    monkeypatch.delenv("EIMF_TRIED_EPOCHS")
    monkeypatch.setenv("EIMF_TRIED_RARE", "-1")
    with pytest.raises(ConfigError, match=r"EIMF_TRIED_RARE is -1\.0, expected 0 or more"):
        run("here")


def test_settings_tell_their_place() -> None:
    about = CommandContext("example", Settings)
    assert list(about.config_keys()) == ["hyperparameters", "half_life", "kind"]
    assert "rare" in about.options() and "kind" not in about.options()


@pytest.mark.parametrize("command", ["prepare x", "label x", "train x", "eval m x", "recommend m --queries q"])
def test_more_threads_than_any_machine_has_are_refused_before_they_crash_it(eimf: Eimf, command: str) -> None:
    # torch ended with a segmentation fault, DuckDB did not end
    output = ["-o", "out"] if command.startswith(("prepare", "label", "train")) else []
    said = one_error_line(eimf(*command.split(), *output, "--threads", 100_000_000), 2)
    assert "--threads is 100000000, expected a number from" in said


@pytest.mark.parametrize(
    ("name", "value"), [("interests", 10**9), ("dimension", 10**9), ("learning_rate", 1e300), ("threads", 1025)]
)
def test_what_no_training_can_use_is_no_setting_of_it(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match="expected a number"):
        TrainConfig(**{name: value})


def test_threads_of_the_environment_are_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    for told, taken in (("100000000", 1024), ("3", 3), ("0", None), ("²", None), ("", None)):
        monkeypatch.setenv("OMP_NUM_THREADS", told)
        assert threads.from_environment() == taken


def test_memory_that_torch_does_not_get_is_said_as_such() -> None:
    error = RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory")
    assert exit_codes.of_exception(error).line.startswith("out of memory; use less data")
