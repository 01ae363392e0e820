"""Engine `batch`: requests to a file, results of OpenAI's and vLLM's form back, what is wrong with them, and kills."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from eimf_core.errors import ConfigError, InputError, LabelError
from eimf_core.io import jsonl, provenance
from eimf_core.labeling import label
from eimf_core.labeling.config import LabelConfig
from eimf_core.records import BatchRequest, Label
from tests.conftest import Eimf, one_error_line
from tests.listening import Listening
from tests.openai_endpoint import GOOD, reply, write_samples

Say = Callable[[BatchRequest], Any]


class Service:
    """A folder with samples, a service that answers files of requests, and the run that reads its results."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.samples = write_samples(folder, 5)
        self.output = folder / "labels.jsonl"
        self.requests = folder / "labels.requests.jsonl"
        self.heard = Listening()

    def run(self, *results: Path, force: bool = False, **settings: Any) -> label.LabelSummary:
        given = {
            "engine": "batch",
            "model": "m",
            "prompt": "described",
            "results": [str(path) for path in results],
            **settings,
        }
        return label.label(self.samples, self.output, LabelConfig(**given), force=force, reporter=self.heard)

    def answer(self, say: Say = lambda request: openai(request), name: str = "results.jsonl") -> Path:
        """The results of the requests that are there; a line is what `say` gives: plain data, bytes or None."""
        lines = [say(request) for request in jsonl.read(self.requests, BatchRequest)]
        path = self.folder / name
        path.write_bytes(b"".join(_line(line) + b"\n" for line in lines if line is not None))
        return path

    def labels(self) -> dict[str, Label]:
        return {entry.user: entry for entry in jsonl.read(self.output, Label)}

    def kept(self) -> int:
        partial = self.output.with_name("labels.jsonl.partial")
        return partial.read_bytes().count(b"\n") if partial.exists() else 0


def _line(line: Any) -> bytes:
    return line if isinstance(line, bytes) else orjson.dumps(line)


def openai(request: BatchRequest, text: str = GOOD) -> dict[str, Any]:
    response = {"status_code": 200, "request_id": "r", "body": reply(text)}
    return {"id": "batch_req_1", "custom_id": request.custom_id, "response": response, "error": None}


def refused(request: BatchRequest, words: str, status: int = 400) -> dict[str, Any]:
    body = {"error": {"message": words, "type": "invalid_request_error"}}
    response = {"status_code": status, "request_id": "r", "body": body}
    return {"id": "batch_req_1", "custom_id": request.custom_id, "response": response, "error": None}


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path)


def number(request: BatchRequest) -> int:
    """The attempt that a request is."""
    return int(request.custom_id.partition("-")[2])


# -- there and back


def test_requests_are_written_and_results_read(service: Service) -> None:
    summary = service.run()
    assert (summary.unanswered, summary.further, summary.requests) == (5, 0, str(service.requests))
    assert not service.output.exists() and not service.kept()
    lines = [orjson.loads(line) for line in service.requests.read_bytes().splitlines()]
    assert len({line["custom_id"] for line in lines}) == 5 and all(len(line["custom_id"]) <= 64 for line in lines)
    for line in lines:
        assert set(line) == {"custom_id", "method", "url", "body"}
        assert (line["method"], line["url"]) == ("POST", "/v1/chat/completions")
        assert line["body"]["model"] == "m" and line["body"]["response_format"]["type"] == "json_schema"
        assert line["body"]["messages"][0]["role"] == "system"
    assert b"secret" not in service.requests.read_bytes()
    assert provenance.hashes(provenance.sidecar(service.requests))
    # results come in any order
    results = service.answer()
    results.write_bytes(b"\n".join(reversed(results.read_bytes().splitlines())))
    assert service.run(results).errors == 0
    made = service.labels()
    assert len(made) == 5 and all(entry.interests[0].items == ["a"] for entry in made.values())
    assert made["secret-0"].engine == "batch" and made["secret-0"].tokens == {"prompt": 9, "answer": 5}
    assert {path.name for path in service.folder.iterdir()} == {
        "samples.jsonl", "results.jsonl", "labels.jsonl", "labels.jsonl.meta.json"
    }  # fmt: skip
    assert str(results) in orjson.loads(provenance.sidecar(service.output).read_bytes())["inputs"]
    assert service.run(results).reused == 5


@pytest.mark.parametrize(
    "form",
    [
        # vLLM's runner, a service that gives the body as text, and files that are packed
        lambda each: {"id": "vllm-1", "custom_id": each.custom_id, "error": None,
                      "response": {"status_code": 200, "request_id": "vllm-batch-1", "body": reply(GOOD)}},
        lambda each: {"custom_id": each.custom_id, "response": {"body": orjson.dumps(reply(GOOD)).decode()}},
        lambda each: openai(each, f"<think>so</think>```json\n{GOOD}\n```"),
    ],
)  # fmt: skip
def test_other_forms_of_results(service: Service, form: Say) -> None:
    service.run()
    results = service.answer(form)
    results.write_bytes(gzip.compress(results.read_bytes()))
    assert service.run(results).errors == 0 and len(service.labels()) == 5


def test_parts_of_the_results_one_after_the_other(service: Service) -> None:
    """A service that takes a part of the requests only: what was answered is kept meanwhile."""
    service.run()
    whole = service.answer().read_bytes().splitlines(keepends=True)
    first, second = service.folder / "first.jsonl", service.folder / "second.jsonl"
    first.write_bytes(b"".join(whole[:3]))
    second.write_bytes(b"".join(whole[3:]))
    with pytest.raises(InputError) as told:
        service.run(first)
    assert (told.value.file, told.value.line) == (str(service.requests), 1)
    assert "no result for this request and for 1 more; what was answered is kept" in str(told.value)
    assert service.kept() == 3 and not service.output.exists()
    assert service.requests.read_bytes().count(b"\n") == 2
    assert service.run(second).reused == 3 and len(service.labels()) == 5


# -- refused answers


def test_refused_answers_are_asked_again_in_a_second_file(service: Service) -> None:
    service.run()
    first = [each.custom_id for each in jsonl.read(service.requests, BatchRequest)]

    def say(request: BatchRequest) -> Any:
        if request.custom_id == first[0]:
            return openai(request, "I cannot.")
        return refused(request, "overloaded", 503) if request.custom_id == first[1] else openai(request)

    with pytest.raises(LabelError, match=r"2 of 5 users have no label.*labels.requests.jsonl asks again"):
        service.run(service.answer(say))
    errors = sorted(entry.error or "" for entry in service.labels().values())
    assert errors[:3] == [""] * 3 and errors[3] == "HTTP 503: overloaded" and errors[4].startswith("not JSON")
    second = list(jsonl.read(service.requests, BatchRequest))
    assert [number(each) for each in second] == [2, 2] and [each.body["seed"] for each in second] == [1, 1]
    assert all(each.body["temperature"] > 0 for each in second)
    # another run without results changes nothing
    before = service.requests.read_bytes()
    with pytest.raises(LabelError):
        service.run()
    assert service.requests.read_bytes() == before
    summary = service.run(service.answer(name="second.jsonl"))
    assert (summary.errors, summary.reused, summary.requests) == (0, 3, None) and not service.requests.exists()
    assert sorted(entry.attempts for entry in service.labels().values()) == [1, 1, 1, 2, 2]


def test_all_results_are_read_though_the_first_are_bad(service: Service) -> None:
    """Another run would stop at its first users and tell of the model; here all answers are there already."""
    write_samples(service.folder, 12)
    service.run()
    summary = service.run(service.answer(lambda request: openai(request, "no")), max_error_share="1")
    assert (summary.errors, summary.further) == (12, 12)


def test_what_is_good_in_an_answer_is_not_asked_about_again(service: Service) -> None:
    """One of its names is a title of the history."""
    service.run()
    told = [{"name": name, "description": "Likes it.", "items": [1]} for name in ("Wool Yarn", "hot drinks")]
    text = orjson.dumps({"interests": told}).decode()
    summary = service.run(service.answer(lambda request: openai(request, text)))
    assert (summary.errors, summary.further) == (0, 0)
    assert {interest.name for entry in service.labels().values() for interest in entry.interests} == {"hot drinks"}


def test_the_results_of_all_rounds_at_once_give_the_same(service: Service, tmp_path: Path) -> None:
    service.run()
    first = service.answer(lambda request: openai(request, "no"), "first.jsonl")
    with pytest.raises(LabelError):
        service.run(first)
    second = service.answer(name="second.jsonl")
    service.output.unlink()
    assert service.run(first, second).errors == 0
    assert {entry.attempts for entry in service.labels().values()} == {2}


def test_after_the_last_attempt_the_error_stays(service: Service) -> None:
    service.run(max_error_share="1")
    for attempt in range(1, 4):
        results = service.answer(lambda request: openai(request, "no"), f"{attempt}.jsonl")
        summary = service.run(results, max_error_share="1")
        assert (summary.errors, summary.further) == (5, 0 if attempt == 3 else 5)
    assert {entry.attempts for entry in service.labels().values()} == {3} and not service.requests.exists()


def test_few_errors_finish_the_labels_and_may_be_asked_again(service: Service) -> None:
    service.run()
    seen: list[str] = []

    def say(request: BatchRequest) -> Any:
        seen.append(request.custom_id)
        return openai(request, "no" if len(seen) == 1 else GOOD)

    summary = service.run(service.answer(say), max_error_share="20%")
    assert (summary.errors, summary.further) == (1, 1) and len(service.labels()) == 5


def test_what_the_service_refuses_is_asked_otherwise(service: Service) -> None:
    service.run()
    words = "response_format: json_schema is not known, expected json_object; Unsupported parameter: 'seed'"
    with pytest.raises(LabelError):
        service.run(service.answer(lambda request: refused(request, words)))
    bodies = [each.body for each in jsonl.read(service.requests, BatchRequest)]
    assert all("seed" not in body for body in bodies)
    assert {body["response_format"]["type"] for body in bodies} == {"json_object"}
    assert service.heard.warnings == [
        "further requests ask with response_format json_object, without seed, since the results say so"
    ]
    second = service.answer(lambda request: refused(request, "response_format is not known"), "second.jsonl")
    with pytest.raises(LabelError):
        service.run(service.folder / "results.jsonl", second)
    assert all("response_format" not in each.body for each in jsonl.read(service.requests, BatchRequest))


# -- results that are wrong


def foreign(lines: list[bytes]) -> list[bytes]:
    return [*lines[:2], lines[2].replace(orjson.loads(lines[2])["custom_id"].encode(), b"f" * 32 + b"-1"), *lines[3:]]


@pytest.mark.parametrize(
    ("change", "line", "words"),
    [
        (lambda lines: [*lines, lines[1]], 6, "field 'custom_id': '.*-1' is there already, at .*results.jsonl:2;"),
        (foreign, 3, "field 'custom_id': 'f{32}-1' belongs to no request of this run; are these"),
        (lambda lines: [*lines, b'{"custom_id": 5}'], 6, "field 'custom_id': is missing in a result of a batch"),
        (lambda lines: [*lines, b"[1]"], 6, "field 'custom_id': is missing"),
        (lambda lines: [b"{", *lines, b"{"], 1, "not a JSON object .* 1 more line cannot be used"),
        (lambda lines: [*lines, b'{"custom_id": "a", "body": {}}'], 6, "is a request, expected the result"),
    ],
)
def test_lines_that_are_no_results(service: Service, change: Any, line: int, words: str) -> None:
    service.run()
    results = service.answer()
    results.write_bytes(b"\n".join(change(results.read_bytes().splitlines())))
    with pytest.raises(InputError, match=f"results.jsonl:{line}: {words}.*what was answered is kept") as told:
        service.run(results)
    assert told.value.line == line
    assert service.kept() == (4 if change is foreign else 5) and not service.output.exists()


def test_results_of_other_settings_are_foreign(service: Service) -> None:
    service.run()
    results = service.answer()
    with pytest.raises(InputError, match=r"belongs to no request of this run.*4 more lines"):
        service.run(results, seed=7)
    assert not service.kept() and service.requests.read_bytes().count(b"\n") == 5


@pytest.mark.parametrize(
    "line",
    [
        {"response": None, "error": {"code": "batch_expired", "message": "\x1bexpired"}},
        {"response": {"status_code": 400, "body": None}, "error": {"object": "error", "message": "expired"}},
        {"response": {"status_code": 500, "body": {"error": "expired"}}, "error": None},
    ],
)  # fmt: skip
def test_lines_of_error_files(service: Service, line: dict[str, Any]) -> None:
    service.run()
    results = service.answer(lambda request: {"custom_id": request.custom_id, **line})
    summary = service.run(results, max_error_share="1")
    assert (summary.errors, summary.further) == (5, 5)
    assert all(entry.error and entry.error.endswith(": expired") for entry in service.labels().values())


@pytest.mark.parametrize("body", [None, 5, [], "x", {"choices": []}, {"choices": [{"message": {"content": 5}}]}])
def test_bodies_that_are_no_completions(service: Service, body: Any) -> None:
    service.run()
    results = service.answer(lambda each: {"custom_id": each.custom_id, "response": {"status_code": 200, "body": body}})
    summary = service.run(results, max_error_share="1")
    assert summary.errors == 5 and "OpenAI-compatible" in (summary.first_error or "")


# -- as people type it


def test_what_the_command_line_says(eimf: Eimf, service: Service) -> None:
    command = (
        "label",
        service.samples,
        "--engine",
        "batch",
        "--model",
        "m",
        "--prompt",
        "described",
        "-o",
        service.output,
    )
    done = eimf(*command)
    assert (
        done.returncode == 0 and b"labels.requests.jsonl: 5 requests in the OpenAI batch form; run them" in done.stderr
    )
    results = service.answer()
    short = service.folder / "short.jsonl"
    short.write_bytes(results.read_bytes().split(b"\n")[0])
    assert "labels.requests.jsonl:1: --results holds no result" in one_error_line(eimf(*command, "--results", short), 3)
    done = eimf(*command, "--results", results)
    assert done.returncode == 0 and b"5 users labelled, 1 of them by an earlier run" in done.stderr
    assert b"tokens/s" not in done.stderr, "the service's tokens took another time than this run"
    other = (*command[:3], "batch", "--model", "m")
    assert "-o FILE" in one_error_line(eimf(*other), 2)
    assert "--model NAME" in one_error_line(
        eimf("label", service.samples, "--engine", "batch", "-o", service.output), 2
    )
    done = eimf(*command[:-2], "--dry-run")
    assert done.returncode == 0 and done.stdout.count(b"\n") == 5


def test_files_that_are_no_run_of_ours_are_left_alone(service: Service) -> None:
    service.requests.write_text("mine")
    with pytest.raises(ConfigError, match=r"labels.requests.jsonl: is there already, and no run of eimf wrote it"):
        service.run()
    assert service.requests.read_text() == "mine"
    service.run(force=True)
    results = service.answer()
    with pytest.raises(ConfigError, match="is an input and would be overwritten"):
        service.run(results, service.requests)
