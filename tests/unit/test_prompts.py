"""Prompts: loading, rendering, and titles that stay data."""

from __future__ import annotations

from pathlib import Path

import pytest

from eimf_core.errors import ConfigError, ModelError
from eimf_core.labeling import answer_parser, name_checks, prompts, templates
from eimf_core.labeling.config import PROMPTS
from eimf_core.labeling.history_text import TITLE_LENGTH, clean_title
from tests.tiny_gguf import CHATML

SYSTEM_REFUSED = (
    "{% for message in messages %}{% if message.role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    "<user>{{ message['content'] }}</user>{% endfor %}"
)
SYSTEM_DROPPED = (
    "{% for message in messages %}{% if message.role != 'system' %}{{ message.content }}{% endif %}{% endfor %}"
)


def text_of(titles: list[str], template: str, name: str = "names") -> str:
    messages = prompts.render(prompts.load(name), len(titles), max_interests=4)
    return "".join(segment.text for segment in prompts.segments(messages, titles, template))


@pytest.mark.parametrize("name", prompts.names())
def test_every_form_says_what_it_wants(name: str) -> None:
    prompt = prompts.load(name)
    messages = prompts.render(prompt, 2, max_interests=3, language="Dutch")
    system, *examples, user = messages
    assert ("at most 3" in system["content"] or name == "groups") and "Dutch" in system["content"]
    assert "JSON" in system["content"] and "{{" not in system["content"]
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "user"]
    marks = ("- ", "- ") if name in ("names", "groups") else ("1. ", "2. ")
    assert prompts.plain([user], ["Tea", "Yarn"])[0]["content"] == f"{marks[0]}Tea\n{marks[1]}Yarn"
    assert prompts.render(prompt, 9, max_interests=3, language="Dutch")[:-1] == [system, *examples]
    (*same, asked) = prompts.render(prompt, 2, max_interests=3, language="Dutch", hint="Not so.")
    assert same == [system, *examples] and asked["content"] == f"{user['content']}\nNot so."


def test_the_hash_covers_template_and_schema(tmp_path: Path) -> None:
    source = prompts.resources.prompts()
    for suffix in (".md", ".schema.json"):
        (tmp_path / f"mine{suffix}").write_bytes((source / f"names{suffix}").read_bytes())
    digest = prompts.load(str(tmp_path / "mine.md")).sha256
    assert digest == prompts.load("names").sha256
    schema = tmp_path / "mine.schema.json"
    schema.write_text(schema.read_text().replace("48", "40"))
    assert prompts.load(str(tmp_path / "mine.md")).sha256 != digest


@pytest.mark.parametrize(
    ("template", "schema", "words"),
    [
        (None, None, "no such file"),
        ("text", None, "---"),
        ("no separator", "{}", "---"),
        ("a\n---\nan example without its answer\n---\nb", "{}", "a question and an answer"),
        ("a\n---\nb", "{}", "interests"),
        ("a\n---\nb", "no json", "interests"),
    ],
)
def test_broken_forms(tmp_path: Path, template: str | None, schema: str | None, words: str) -> None:
    if template is not None:
        (tmp_path / "p.md").write_text(template)
    if schema is not None:
        (tmp_path / "p.schema.json").write_text(schema)
    with pytest.raises(ConfigError, match=words):
        prompts.load(str(tmp_path / "p.md"))


def test_a_template_alone_has_the_schema_of_the_general_form(tmp_path: Path) -> None:
    (tmp_path / "mine.md").write_text("Name at most {{ max_interests }}.\n---\n{{ titles }}")
    mine = prompts.load(str(tmp_path / "mine.md"))
    assert mine.schema == prompts.load("general").schema and mine.sha256 != prompts.load("general").sha256


@pytest.mark.parametrize("name", prompts.names())
def test_the_worked_example_is_an_answer(name: str) -> None:
    """What the prompt shows as an answer is one, down to the bounds, and no title of its question."""
    prompt = prompts.load(name)
    question, answer = prompt.examples
    titles = [line.lstrip("0123456789.- ") for line in question.splitlines()]
    found = answer_parser.read(answer, prompt.schema, count=len(titles), max_interests=4, instructions="")
    history = name_checks.History(titles, frozenset())
    assert len(found) == (1 if name == "groups" else 2)
    assert all(name_checks.rejection_reason(entry.name, history, name_checks.Instructions()) is None for entry in found)
    assert [entry.name for entry in answer_parser.examples(answer)] == [entry.name for entry in found]


def test_unknown_names_are_answered_with_the_known_ones() -> None:
    told = "--prompt is 'product', expected names, general, described, movies, books or products, or a file NAME.md"
    with pytest.raises(ConfigError, match=f"^{told}; did you mean products\\?$"):
        prompts.load("product")
    with pytest.raises(ConfigError, match=r"is 'movie\.md', and there is no such file; did you mean movies\?$"):
        prompts.load("movie.md")


def test_the_prompts_that_are_offered_are_those_about_histories() -> None:
    assert {*PROMPTS, "groups"} == set(prompts.names())


def test_broken_template_code(tmp_path: Path) -> None:
    (tmp_path / "p.md").write_text("{% for %}\n---\nb")
    (tmp_path / "p.schema.json").write_bytes((prompts.resources.prompts() / "names.schema.json").read_bytes())
    with pytest.raises(ConfigError, match="cannot be rendered"):
        prompts.render(prompts.load(str(tmp_path / "p.md")), 1, max_interests=4)


def test_a_form_is_rendered_once_for_all_histories_of_a_length(monkeypatch: pytest.MonkeyPatch) -> None:
    rendered: list[str] = []
    render = templates.render
    monkeypatch.setattr(
        templates, "render", lambda source, *more, **how: rendered.append(source) or render(source, *more, **how)
    )
    form = prompts.Prompt("mine", "At most {{ max_interests }}", "{{ titles | length }}", {}, "")
    first = prompts.render(form, 3, max_interests=2)
    assert [message["content"] for message in first] == ["At most 2", "3"] and len(rendered) == 2
    first[0]["content"] = "changed"
    assert prompts.render(form, 3, max_interests=2)[0]["content"] == "At most 2" and len(rendered) == 2
    assert prompts.render(form, 4, max_interests=3)[1]["content"] == "4" and len(rendered) == 4


def test_template_code_cannot_leave_the_sandbox(tmp_path: Path) -> None:
    (tmp_path / "p.md").write_text("{{ ''.__class__.__mro__[1].__subclasses__() }}\n---\nb")
    (tmp_path / "p.schema.json").write_bytes((prompts.resources.prompts() / "names.schema.json").read_bytes())
    with pytest.raises(ConfigError, match="cannot be rendered"):
        prompts.render(prompts.load(str(tmp_path / "p.md")), 1, max_interests=4)


def test_titles_in_one_line_and_short() -> None:
    assert clean_title(" Green\n\tTea\u2028\ue0003\ue001 \u200f ") == "Green Tea 3"
    long = clean_title("tea " * 2500)
    assert len(long) <= TITLE_LENGTH and long.endswith("…")


def test_titles_are_marked_as_data_and_never_rendered() -> None:
    titles = ["{{ 7 * 7 }}", "{% raw %}", "a < b & c", "\ue0001\ue001"]
    messages = prompts.render(prompts.load("names"), len(titles), max_interests=4)
    parts = prompts.segments(messages, [clean_title(title) for title in titles], CHATML)
    assert [part.text for part in parts if part.data] == ["{{ 7 * 7 }}", "{% raw %}", "a < b & c", "1"]


def test_a_template_without_a_system_role_gets_one_message() -> None:
    text = text_of(["Tea"], SYSTEM_REFUSED)
    assert text.startswith("<user>You are given") and text.endswith("<user>- Tea</user>")
    assert text.count("<user>") == 3  # the instructions stand before the example's question
    assert "You are given" in text_of(["Tea"], SYSTEM_DROPPED)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("{% if enable_thinking is defined and enable_thinking is false %}no thoughts{% endif %}", "no thoughts"),
        ("{% generation %}{{ 'marked' }}{%- endgeneration -%} here", "markedhere"),
        ("{% for n in [1, 2, 3] %}{% if n == 2 %}{% continue %}{% endif %}{{ n }}{% endfor %}", "13"),
        ("{{ strftime_now('%d %b %Y') }}", "26 Jul 2024"),
    ],
)
def test_what_chat_templates_expect(more: str, said: str) -> None:
    """Of thinking models, trainers, loops, dates: the same on every day."""
    assert text_of(["Tea"], CHATML + more).endswith(said)


@pytest.mark.parametrize("template", ["{{ nothing.at.all }}", "{% for %}", "always the same"])
def test_a_template_that_cannot_be_used(template: str) -> None:
    with pytest.raises(ModelError, match="chat template cannot be used"):
        text_of(["Tea"], template)


@pytest.mark.parametrize(
    ("template", "bound"),
    [
        pytest.param(
            "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
            "takes more than 2 s",
            marks=pytest.mark.slow,
        ),
        ("{{ 'x' * 10**10 }}", "takes more than 256 MiB"),
        (
            "{% set n = namespace(x='a') %}{% for i in range(60) %}{% set n.x = n.x + n.x %}{% endfor %}{{ n.x }}",
            "takes more than 256 MiB",
        ),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "calls itself without end"),
        ("{{ 'x' * 5000000 }}", "becomes longer than"),
    ],
)
def test_a_template_that_would_take_for_ever_or_all_memory(template: str, bound: str) -> None:
    with pytest.raises(ModelError, match=rf"chat template: cannot be rendered \(it {bound}") as caught:
        text_of(["Tea"], template)
    assert "\n" not in str(caught.value)
    assert text_of(["Tea"], CHATML).endswith("assistant\n")


def test_a_place_that_a_template_makes_up() -> None:
    assert text_of(["Tea"], CHATML + "\ue0007\ue001" + "\ue000" + "9" * 5000 + "\ue001").count("Tea") == 1
