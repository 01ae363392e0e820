"""Checking answers, asking again, resuming: with an engine that says what the test wants."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from eimf_core.errors import ConfigError, InputError, LabelError
from eimf_core.io import files, jsonl, provenance
from eimf_core.labeling import answer_parser, label, name_checks, prompts
from eimf_core.labeling.config import LabelConfig
from eimf_core.labeling.engines.base import Answer, Request, SynchronousEngine
from eimf_core.progress import SILENT, Reporter
from eimf_core.records import HistoryItem, Label, Sample
from tests.listening import Listening

TITLES = ["Green Tea", "Wool Yarn", "Tea Pot", "Knitting Needles"]
DESCRIBED = prompts.load("described")
GOOD = orjson.dumps(
    {"interests": [{"name": "tea", "description": "Drinks tea every day.", "items": [1, 3, 3]}]}
).decode()


def sample(number: int, titles: list[str] = TITLES) -> Sample:
    history = [HistoryItem(item=f"i{at}", title=title) for at, title in enumerate(titles)]
    return Sample(key=f"{number:016x}", user=f"user-{number}", cluster=1, cluster_size=9, distance=0.5, history=history)


class Scripted(SynchronousEngine):
    """Answers with what `say` returns for (user number, try)."""

    name = "scripted"
    model = "none"
    model_sha256 = None
    uses_prompt = True
    parallel = 3

    def __init__(self, say: Callable[[int, int], str | Answer]) -> None:
        super().__init__()
        self.prompt = DESCRIBED
        self.say = say
        self.asks: list[Request] = []
        self.settings: dict[str, Any] = {}

    def answer(self, request: Request) -> Answer:
        self.asks.append(request)
        said = self.say(int(request.sample.key, 16), request.seed)
        return Answer(number=request.number, text=said) if isinstance(said, str) else said


Run = Callable[..., tuple[Scripted, label.LabelSummary]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    def go(
        say: Callable[[int, int], str | Answer] = lambda user, seed: GOOD,
        samples: list[Sample] | None = None,
        reporter: Reporter = SILENT,
        **settings: Any,
    ) -> tuple[Scripted, label.LabelSummary]:
        engine = Scripted(say)
        monkeypatch.setattr(label, "open_engine", lambda *_: engine)
        jsonl.write(tmp_path / "samples.jsonl", samples or [sample(number) for number in range(6)])
        config = LabelConfig(**settings)
        summary = label.label(tmp_path / "samples.jsonl", tmp_path / "labels.jsonl", config, reporter=reporter)
        return engine, summary

    return go


def labels(folder: Path) -> dict[str, Label]:
    found = {entry.user: entry for entry in jsonl.read(folder / "labels.jsonl", Label)}
    assert len(found) == (folder / "labels.jsonl").read_bytes().count(b"\n")
    return found


# -- answers


def read(text: str, name: str = "described", count: int = 4) -> list[answer_parser.AnsweredInterest]:
    prompt = prompts.load(name)
    return answer_parser.read(text, prompt.schema, count=count, max_interests=4, instructions=instructions(prompt))


def instructions(prompt: prompts.Prompt) -> str:
    return "\n".join([prompt.system, *prompt.examples])


def described(**changes: Any) -> str:
    entry = {"name": "tea", "description": "Drinks tea every day.", "items": [1, 3], **changes}
    return orjson.dumps({"interests": [entry]}).decode()


def test_a_good_answer() -> None:
    assert read(described(items=[3, 1, 3])) == [answer_parser.AnsweredInterest("tea", "Drinks tea every day.", (3, 1))]
    assert read("```json\n" + described() + "\n```")[0].name == "tea"
    assert read("<think>\nHm {}.\n</think>\n\n" + described())[0].name == "tea"
    assert [entry.name for entry in read('{"interests": ["tea", " knitting  wool"]}', "names")] == [
        "tea",
        "knitting wool",
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not JSON"),
        ("tea", "not JSON"),
        (GOOD[:-3], "not JSON"),
        ('{"interests": []}', "list of 1 to 4"),
        ('{"interests": [], "more": 1}', "not an object"),
        ("[]", "not an object"),
        (described(items=[5]), "no number of a title"),
        (described(items=[0]), "no number of a title"),
        (described(items=["1"]), "no number of a title"),
        (described(items=[True]), "no number of a title"),
        (described(items=[]), "list of 1 to 4"),
        (described(name="..."), "no letter"),
        (described(name="x"), "characters"),
        (described(name="y" * 49), "characters"),
        (described(name=7), "no text"),
        (described(name="a\u0000b"), "control"),
        (described(name="Interests"), "placeholder"),
        (described(description="   "), "characters"),
        (described(description="A thing in one to three plain words that is bought."), "repeats the instructions"),
        (described(description="Trains hawks and needs new gear for them."), "example"),
    ],
)
def test_an_unusable_answer(text: str, reason: str) -> None:
    with pytest.raises(answer_parser.UnusableError, match=reason):
        read(text)


def test_an_interest_said_twice_is_one() -> None:
    told = [("Tea", "Some tea.", [1]), ("yarn", "Knits.", [2, 4]), ("tea", "More tea.", [3, 1])]
    interests = [{"name": name, "description": text, "items": items} for name, text, items in told]
    assert read(orjson.dumps({"interests": interests}).decode()) == [
        answer_parser.AnsweredInterest("Tea", "Some tea.", (1, 3)),
        answer_parser.AnsweredInterest("yarn", "Knits.", (2, 4)),
    ]
    assert [entry.name for entry in read('{"interests": ["tea", "yarn", "tea"]}', "names")] == ["tea", "yarn"]
    interests[2]["items"] = [9]  # dropped or not, all of an answer has to be right
    with pytest.raises(answer_parser.UnusableError, match="no number of a title"):
        read(orjson.dumps({"interests": interests}).decode())


def test_several_names_in_one_are_an_interest_each() -> None:
    def names_in(*said: str, most: int = 4, name: str = "names") -> list[str]:
        prompt = prompts.load(name)
        text = orjson.dumps({"interests": said}).decode()
        found = answer_parser.read(text, prompt.schema, count=4, max_interests=most, instructions="")
        return [entry.name for entry in found]

    assert names_in("mystery, sci-fi") == ["mystery", "sci-fi"]
    assert names_in("power equipment,", "tea.") == ["power equipment", "tea"]
    assert names_in("tea, yarn", "wool, felt", "1,000 pieces") == ["tea", "yarn", "wool, felt", "1,000 pieces"]
    assert names_in("wood, other") == ["wood"]
    # never more than were asked for: the last holds the rest
    assert names_in("a tea, b tea, c tea", "yarn", most=3) == ["a tea", "b tea, c tea", "yarn"]
    assert names_in("glue, tape", name="groups", most=1) == ["glue, tape"]
    # what repeats itself or was cut is judged as it is
    assert names_in("Floating, Foam, Foam") == ["Floating, Foam, Foam"]
    assert names_in(cut := f"tea, {'y' * 43}") == [cut]
    # an interest with its items is one
    assert read(described(name="tea, yarn,"))[0].name == "tea, yarn"


# -- asking


def test_a_label_says_where_it_comes_from(run: Run, tmp_path: Path) -> None:
    _, summary = run()
    made = labels(tmp_path)["user-3"]
    assert made.key == sample(3).key and made.cluster == 1 and made.error is None
    assert [(entry.name, entry.items) for entry in made.interests] == [("tea", ["i0", "i2"])]
    assert (made.items_by, made.engine, made.attempts, made.seed) == ("model", "scripted", 1, 0)
    assert made.prompt_sha256 == DESCRIBED.sha256
    assert (summary.labels, summary.errors, summary.first_try) == (6, 0, 6)
    assert provenance.read_facts(tmp_path / "labels.jsonl")["first_try"] == 6
    assert not list(tmp_path.glob("*.partial")) and not list(tmp_path.glob(".*lock"))


def test_asked_again_with_another_seed(run: Run, tmp_path: Path) -> None:
    engine, summary = run(lambda user, seed: GOOD if seed == 7 + user % 3 else "no", seed=7)
    made = labels(tmp_path)
    assert [made[f"user-{user}"].attempts for user in range(6)] == [1, 2, 3, 1, 2, 3]
    assert [made[f"user-{user}"].seed for user in range(3)] == [7, 8, 9]
    assert summary.first_try == 2 and len(engine.asks) == 12


def test_after_the_last_try_the_error_is_recorded(run: Run, tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=r"1 of 6 .*not JSON"):
        run(lambda user, seed: "no" if user == 2 else GOOD)
    failed = labels(tmp_path)["user-2"]
    assert failed.interests == [] and failed.attempts == 3
    assert failed.error is not None and "not JSON" in failed.error
    _, summary = run(lambda user, seed: "no" if user == 2 else GOOD, max_error_share="20%")
    assert summary.errors == 1


def names(*names: str) -> str:
    return orjson.dumps(
        {"interests": [{"name": name, "items": [1], "description": "Likes it."} for name in names]}
    ).decode()


def test_a_copied_title_is_asked_about_in_another_way(run: Run, tmp_path: Path) -> None:
    engine, summary = run(lambda user, seed: names("drinks") if user or seed else names("drinks", "Green Tea"))
    first, again = (ask for ask in engine.asks if ask.sample.key == sample(0).key)
    assert first.hint == "" and again.hint == name_checks.HINTS["title"] and again.seed == 1
    made = labels(tmp_path)["user-0"]
    assert [entry.name for entry in made.interests] == ["drinks"] and made.attempts == 2
    assert (summary.answers, summary.refused) == (7, {"title": 1})


def test_what_is_good_in_answers_that_are_refused_to_the_last_is_kept(run: Run, tmp_path: Path) -> None:
    said = {0: names("Green Tea"), 1: names("drinks", "Tea Pot", "crafts"), 2: names("drinks", "1. Tea")}
    _, summary = run(lambda user, seed: said[seed], keep_going=True)
    made = labels(tmp_path)["user-0"]
    assert [entry.name for entry in made.interests] == ["drinks", "crafts"] and made.attempts == 3
    assert summary.refused == {"title": 12, "number": 6} and summary.errors == 0


def test_nothing_good_is_an_error_that_says_why(run: Run, tmp_path: Path) -> None:
    run(lambda user, seed: names("Green Tea") if user == 2 else GOOD, max_error_share="1")
    assert labels(tmp_path)["user-2"].error == "'Green Tea' is a title of the history"


@pytest.mark.parametrize(
    ("say", "words"),
    [
        (lambda user, seed: "no", "8 of the first 8 users have no label (not JSON"),
        (
            lambda user, seed: names("drinks", "Green Tea", "Tea Pot"),
            "the first answer was refused for 8 of the first 8 users (most often a name is a title of the history)",
        ),
        # for whatever reasons, and whatever the second answer was
        (
            lambda user, seed: GOOD if seed or user > 4 else (names("1. Tea"), "no")[user % 2],
            "the first answer was refused for 5 of the first 8 users (most often a name is the number of a title)",
        ),
    ],
)
def test_a_model_that_is_too_small_is_told_after_eight_users(
    run: Run, tmp_path: Path, say: Callable[[int, int], str], words: str
) -> None:
    many = [sample(number) for number in range(20)]
    with pytest.raises(LabelError, match=r"One of its answers: .*larger instruct model.*--keep-going") as stopped:
        run(say, samples=many)
    assert words in str(stopped.value)
    partial = tmp_path / "labels.jsonl.partial"
    assert partial.read_bytes().count(b"\n") == 8
    # what was kept counts: nothing is asked
    asked: list[int] = []
    with pytest.raises(LabelError, match=r"of the first 8 users.*--keep-going"):
        run(lambda user, seed: asked.append(user) or GOOD, samples=many)
    assert not asked
    _, summary = run(say, samples=many, keep_going=True, max_error_share="1")
    assert summary.reused == 8 and len(labels(tmp_path)) == 20
    # a finished file needs no answers
    run(say, samples=many, max_error_share="1")


def test_labels_of_an_interrupted_run_count_as_the_first(run: Run) -> None:
    many = [sample(number) for number in range(20)]

    def say(user: int, seed: int) -> str:
        if user == 5 and stopping:
            raise StopError
        return "no" if user < 5 else GOOD

    stopping = True
    with pytest.raises(StopError):
        run(say, samples=many)
    stopping = False
    with pytest.raises(LabelError, match="5 of the first 8 users have no label"):
        run(say, samples=many)


def test_a_crash_is_no_refused_answer(run: Run) -> None:
    many = [sample(number) for number in range(20)]
    _, summary = run(lambda user, seed: Answer(number=user, text=GOOD, crashes=1), samples=many)
    assert (summary.errors, summary.first_try, summary.refused) == (0, 0, {})


def test_names_are_held_against_the_example_and_the_schema_of_the_prompt(run: Run, tmp_path: Path) -> None:
    said = ["paper folding", "hawk hoods", "z" * 48]
    paper = [sample(user, ["Paper Tea Filter", "Tea Pot"]) for user in range(3)]
    run(lambda user, seed: names(said[user]).replace("[1]", "[2]"), samples=paper, max_error_share="1")
    assert [labels(tmp_path)[f"user-{user}"].error for user in range(3)] == [
        "'paper folding' repeats the example of the instructions",
        "'hawk hoods' repeats the example of the instructions",
        f"'{'z' * 48}' is as long as a name may get, so it was probably cut",
    ]


def test_another_model_is_not_advised_where_none_answered(run: Run) -> None:
    many = [sample(number) for number in range(20)]
    with pytest.raises(LabelError, match="8 of the first 8 users have no label") as stopped:
        run(lambda user, seed: Answer(number=user, error="crash", final=True), samples=many)
    assert "larger" not in str(stopped.value) and "--keep-going" in str(stopped.value)


def test_half_of_the_first_users_may_fail(run: Run) -> None:
    many = [sample(number) for number in range(20)]
    _, summary = run(lambda user, seed: "no" if user % 2 else GOOD, samples=many, max_error_share="1")
    assert summary.errors == 10


def test_a_final_error_is_not_asked_again(run: Run, tmp_path: Path) -> None:
    engine, summary = run(lambda user, seed: Answer(number=user, error="crash", final=True) if not user else GOOD,
                          max_error_share="1")  # fmt: skip
    assert len(engine.asks) == 6 and labels(tmp_path)["user-0"].attempts == 1
    assert (summary.answers, summary.refused) == (5, {}), "it never came to an answer"


def test_only_the_latest_titles_are_shown(run: Run, tmp_path: Path) -> None:
    def say(user: int, seed: int) -> Answer:
        return Answer(number=user, text=described(items=[1]), trimmed=1)

    engine, _ = run(say, max_titles=3)
    assert [entry.item for entry in engine.asks[0].sample.history] == ["i1", "i2", "i3"]
    made = labels(tmp_path)["user-0"]
    # the engine left out one more: its number 1 is the second of the three
    assert made.trimmed == 2 and made.interests[0].items == ["i2"]


def test_blank_titles_are_not_shown_and_a_blank_history_is_an_error(run: Run, tmp_path: Path) -> None:
    samples = [sample(0, [" ", "Tea Pot"]), sample(1, ["", "\u200b"])]
    engine, _ = run(lambda user, seed: described(items=[1]), samples=samples, max_error_share="1")
    made = labels(tmp_path)
    assert made["user-0"].interests[0].items == ["i1"]
    assert made["user-1"].error == "the history has no titles" and len(engine.asks) == 1


# -- going on


class StopError(Exception):
    pass


def stop_at(number: int) -> Callable[[int, int], str]:
    def say(user: int, seed: int) -> str:
        if user == number:
            raise StopError
        return GOOD

    return say


def test_an_interrupted_run_goes_on(run: Run, tmp_path: Path) -> None:
    with pytest.raises(StopError):
        run(stop_at(4))
    partial = tmp_path / "labels.jsonl.partial"
    assert not (tmp_path / "labels.jsonl").exists() and partial.read_bytes().count(b"\n") == 4
    with partial.open("ab") as stream:
        stream.write(b'{"key": "torn')
    engine, summary = run()
    assert sorted(int(ask.sample.key, 16) for ask in engine.asks) == [4, 5]
    assert summary.reused == 4 and len(labels(tmp_path)) == 6 and not partial.exists()


def test_nothing_finished_leaves_nothing(run: Run, tmp_path: Path) -> None:
    with pytest.raises(StopError):
        run(stop_at(0))
    assert {path.name for path in tmp_path.iterdir()} == {"samples.jsonl"}


def test_a_finished_output_is_taken_over_as_far_as_it_fits(run: Run, tmp_path: Path) -> None:
    run()
    before = labels(tmp_path)
    engine, summary = run(samples=[sample(number) for number in range(3, 8)], discard=True)
    assert sorted(int(ask.sample.key, 16) for ask in engine.asks) == [6, 7]
    made = labels(tmp_path)
    assert summary.reused == 3 and set(made) == {f"user-{number}" for number in range(3, 8)}
    assert made["user-4"] == before["user-4"]


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"max_interests": 3}, {"language": "German"}, {"max_titles": 2}, {"model": "x"}]
)
def test_another_request_is_another_label(run: Run, tmp_path: Path, change: dict[str, Any]) -> None:
    run()
    before = {entry.request for entry in labels(tmp_path).values()}
    engine, summary = run(lambda user, seed: described(items=[1]), **change, discard=True)
    if change == {"model": "x"}:  # how the model is named on the command line does not matter, its hash does
        assert not engine.asks
        return
    assert len(engine.asks) == 6 and summary.reused == 0
    assert not before & {entry.request for entry in labels(tmp_path).values()}


def test_labels_of_other_settings_or_samples_are_lost_only_with_discard(run: Run, tmp_path: Path) -> None:
    listening = Listening()
    run(reporter=listening)
    run(samples=[sample(number) for number in range(8)], reporter=listening)
    output, partial = tmp_path / "labels.jsonl", tmp_path / "labels.jsonl.partial"
    before = output.read_bytes()
    os.utime(output, times=(then := time.time() - 3 * 86400, then))
    told = r"labels\.jsonl: holds 5 labels made .*, the last written 3\.0 days ago, which .* --discard to give them up$"
    with pytest.raises(ConfigError, match=told):
        run(samples=[sample(number) for number in range(3)], reporter=listening)
    with pytest.raises(ConfigError, match=r"holds 8 labels .* --discard to give them up$"):
        run(seed=1, reporter=listening)
    assert output.read_bytes() == before and not partial.exists() and listening.warnings == []
    run(samples=[sample(number) for number in range(3)], discard=True, reporter=listening)
    assert len(labels(tmp_path)) == 3 and listening.warnings == [
        f"{output}: 5 labels made with other settings or samples: discarded"
    ]


def test_labels_that_were_written_by_hand_are_counted_one_by_one(run: Run, tmp_path: Path) -> None:
    lines = "".join(f'{{"user":"u{number}","interests":[{{"name":"tea"}}]}}\n' for number in range(3))
    (tmp_path / "labels.jsonl").write_text(lines)
    with pytest.raises(ConfigError, match="holds 3 labels made with"):
        run()
    assert (tmp_path / "labels.jsonl").read_text() == lines


def test_a_journal_of_other_settings_is_kept_until_discard_says_so(run: Run, tmp_path: Path) -> None:
    output, partial = tmp_path / "labels.jsonl", tmp_path / "labels.jsonl.partial"
    run(samples=[sample(number) for number in range(3)])
    with pytest.raises(StopError):
        run(stop_at(2), seed=1, discard=True)
    finished, journal = output.read_bytes(), partial.read_bytes()
    assert journal.count(b"\n") == 2
    # two of the journal, three of the output
    with pytest.raises(ConfigError, match="holds 5 labels"):
        run(seed=2)
    # the output alone would be lost
    with pytest.raises(ConfigError, match="holds 3 labels"):
        run(seed=1)
    assert (output.read_bytes(), partial.read_bytes()) == (finished, journal)
    _, summary = run(seed=1, discard=True)
    assert summary.reused == 2 and len(labels(tmp_path)) == 6


def test_errors_of_other_settings_are_no_loss(run: Run, tmp_path: Path) -> None:
    run(lambda user, seed: "no", max_error_share="1")
    _, summary = run(seed=1)
    assert (summary.errors, summary.reused) == (0, 0)


def test_errors_stay_until_they_are_asked_again(run: Run, tmp_path: Path) -> None:
    run(lambda user, seed: "no" if user == 2 else GOOD, max_error_share="1")
    engine, summary = run(max_error_share="1")
    assert not engine.asks and summary.errors == 1
    engine, summary = run(retry_errors=True)
    assert len(engine.asks) == 1 and summary.errors == 0


def test_an_input_is_no_output(run: Run, tmp_path: Path) -> None:
    run()
    (tmp_path / "same.jsonl").symlink_to("samples.jsonl")
    before = (tmp_path / "samples.jsonl").read_bytes()
    for name, items in (("samples.jsonl", None), ("same.jsonl", None), ("labels.jsonl", "labels.jsonl")):
        config = LabelConfig(engine="categories", items=items and str(tmp_path / items))
        with pytest.raises(ConfigError, match="is an input"):
            label.label(tmp_path / "samples.jsonl", tmp_path / name, config)
    assert (tmp_path / "samples.jsonl").read_bytes() == before


def test_a_second_writer_is_told(run: Run, tmp_path: Path) -> None:
    with files.locked(tmp_path / "labels.jsonl"), pytest.raises(ConfigError, match="being written"):
        run()


def test_repeated_samples_are_left_out(run: Run, tmp_path: Path) -> None:
    run(samples=[sample(0), sample(0), sample(1)])
    assert len(labels(tmp_path)) == 2


# -- labels that others wrote


def test_a_line_needs_whose_it_is_and_names(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text('{"user":"u","interests":[{"name":"tea"}]}\n{"key":"k","interests":[]}\n')
    first, second = jsonl.read(path, Label)
    assert (first.user, first.key, first.interests[0].items, first.error) == ("u", "", [], None)
    assert second.key == "k" and first.engine == "by hand"
    for line, words in (
        ('{"interests":[{"name":"tea"}]}', "mine.jsonl:1: needs 'user' or 'key'"),
        ('{"user":"u"}', "mine.jsonl:1: field 'interests': is missing"),
        ('{"user":"u","interests":[{"items":[]}]}', "field 'interests[0].name': is missing"),
    ):
        path.write_text(line)
        with pytest.raises(InputError) as refused:
            list(jsonl.read(path, Label))
        assert words in str(refused.value)


def test_a_sample_needs_a_user_and_a_history(tmp_path: Path) -> None:
    """Its label has no key, so that it is the user's in training."""
    lines = [f'{{"user":"u{number}","history":[{{"item":"a","title":"Green Tea"}}]}}' for number in (1, 2, 1)]
    (tmp_path / "mine.jsonl").write_text("\n".join(lines))
    reporter = Listening()
    label.label(tmp_path / "mine.jsonl", tmp_path / "own.jsonl", LabelConfig(engine="keywords"), reporter=reporter)
    assert [(entry.user, entry.key) for entry in jsonl.read(tmp_path / "own.jsonl", Label)] == [("u1", ""), ("u2", "")]
    assert any("1 sample with the key of an earlier one left out" in line for line in reporter.warnings)


# -- settings


@pytest.mark.parametrize(
    "wrong",
    [
        {"engine": "oracle"},
        {"parallel": 0},
        {"attempts": 0},
        {"context": -1},
        {"temperature": -0.1},
        {"max_error_share": "many"},
        {"max_error_share": "101%"},
        {"gpu_layers": -2},
        {"timeout": 86_401},
    ],
)
def test_settings_that_make_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as refused:
        LabelConfig(**wrong)
    name = next(iter(wrong))
    assert str(refused.value).startswith((f"--{name.replace('_', '-')} ", f"{name} (in --config) "))


def test_error_share_in_both_spellings() -> None:
    assert LabelConfig(max_error_share="5%").error_share == LabelConfig(max_error_share="0.05").error_share == 0.05
