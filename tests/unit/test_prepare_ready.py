"""Ready Sequence lines from elsewhere: what is said of them, and what is refused or left out."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from eimf_core.errors import ConfigError, InputError
from eimf_core.io import jsonl
from eimf_core.prepare.prepare import Prepared
from eimf_core.records import Item, Sequence
from tests.unit.test_prepare_formats import lines, run
from tests.unit.test_prepare_rows import rejects, write_times

READY = [
    Sequence(user="u", split="train", items=["a", "b"], times=[1, 1]),
    Sequence(user="u", split="valid", items=["a", "b"], times=[1, 1], targets=["a"]),
    Sequence(user="u", split="test", items=["a", "b", "a"], times=[1, 1, 5], targets=["c"]),
    Sequence(user="v", split="train", items=["b"], times=[3]),
]


def passed(folder: Path, made: list[Sequence], **options: Any) -> Prepared:
    jsonl.write(folder / "ready.jsonl", made)
    return run(folder, "ready.jsonl", **{"split": "temporal", **options})


def test_the_report_counts_what_users_did_not_how_often_lines_say_it(tmp_path: Path) -> None:
    made = passed(tmp_path, READY).report
    read = made.steps[0]
    assert (read.users, read.items, read.interactions) == (2, 3, 5)
    assert made.density == 4 / 6
    assert made.repeats == 1 / 5
    assert made.lengths["0%"] == 1 and made.lengths["100%"] == 4
    assert made.equal_times == 1 / 4
    assert made.period == (1, 5)
    assert [made.splits[name].interactions for name in ("train", "valid", "test")] == [3, 2, 3]


def test_histories_that_were_cut_count_each_item_as_often_as_a_line_has_it(tmp_path: Path) -> None:
    cut = [
        Sequence(user="u", split="train", items=["a", "a", "b"]),
        Sequence(user="u", split="test", items=["a", "b", "c"], targets=["d"]),
    ]
    made = passed(tmp_path, cut).report
    assert (made.steps[0].interactions, made.repeats, made.equal_times) == (5, 1 / 5, None)


@pytest.mark.parametrize(
    "options", [{"split": "leave-one-out"}, {"target": "all"}, {"valid_from": "1", "test_from": "2"}, {"max_length": 2}]
)
def test_options_that_would_change_the_lines_are_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    name = next(iter(options)).replace("_", "-")
    with pytest.raises(ConfigError, match=f"--{name}.* ready Sequence lines keep the split they have"):
        passed(tmp_path, READY, **options)


def test_descriptions_are_as_long_as_is_set(tmp_path: Path) -> None:
    jsonl.write(tmp_path / "items.jsonl", [Item(item="a", title="A", text="green tea of the highest hills")])
    passed(tmp_path, READY, items=[tmp_path / "items.jsonl"], text_length=10)
    made = {item.item: item.text for item in jsonl.read(tmp_path / "out" / "items.jsonl", Item)}
    assert made["a"] == "green…"


def test_bad_lines_are_left_out_when_that_is_asked(tmp_path: Path) -> None:
    jsonl.write(tmp_path / "ready.jsonl", READY)
    bad = ['{"user":"w","split":"train","items":[]}', "no", '{"user":"u","split":"train","items":["a"]}']
    (tmp_path / "ready.jsonl").write_text((tmp_path / "ready.jsonl").read_text() + "\n".join(bad))
    with pytest.raises(
        InputError, match=r"ready\.jsonl:5: field 'items': is empty.*--on-error skip leaves such rows out"
    ):
        run(tmp_path, "ready.jsonl", split="temporal")
    done = run(tmp_path, "ready.jsonl", split="temporal", on_error="skip")
    assert lines(tmp_path) == READY
    assert [(line, text) for line, _, text in rejects(tmp_path)] == list(zip((5, 6, 7), bad, strict=True))
    assert sum(done.report.rejected.values()) == 3


def test_a_packed_file_that_is_cut(tmp_path: Path) -> None:
    jsonl.write(tmp_path / "ready.jsonl", [Sequence(user=f"u{n}", split="train", items=[str(n)]) for n in range(9000)])
    packed = gzip.compress((tmp_path / "ready.jsonl").read_bytes())
    (tmp_path / "ready.jsonl.gz").write_bytes(packed[:-500])
    with pytest.raises(InputError, match="broken gzip stream"):
        run(tmp_path, "ready.jsonl.gz", split="temporal")


def test_what_machines_are_told(tmp_path: Path) -> None:
    write_times(tmp_path, *(1500000000000 + n for n in range(40)), "soon")
    (tmp_path / "items.csv").write_text("item,title\n" + "".join(f"i{n},T\n" for n in range(38)))
    told = run(tmp_path, "log.csv", split="temporal", on_error="skip", items=["items.csv"]).as_dict()
    assert (told["format"], told["times"], told["split"]) == (["csv"], "milliseconds", "temporal")
    assert told["valid_from"] == 1500000000.032 and told["test_from"] == 1500000000.036
    assert told["without_text"] == ["i38", "i39"] and told["items_without_text"] == 2
    assert told["rejects"] == str(tmp_path / "out" / "rejects.jsonl")
    told = run(tmp_path, "log.csv", split="none", on_error="skip", since="1500000000").as_dict()
    assert "valid_from" not in told
    write_times(tmp_path, 5)
    assert run(tmp_path, "log.csv").as_dict()["rejects"] is None


@pytest.mark.parametrize("names", [("ready.jsonl", "log.csv"), ("log.csv", "ready.jsonl")])
def test_ready_lines_and_a_raw_log_are_not_mixed(tmp_path: Path, names: tuple[str, str]) -> None:
    jsonl.write(tmp_path / "ready.jsonl", READY)
    write_times(tmp_path, 5)
    with pytest.raises(ConfigError, match="cannot be mixed"):
        run(tmp_path, *names, split="temporal")
