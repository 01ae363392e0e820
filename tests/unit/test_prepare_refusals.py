"""Options that would have no effect, and words that name the wrong thing: what is said, and of which file."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from eimf_core.errors import ConfigError, InputError
from eimf_core.prepare.config import PrepareConfig
from eimf_core.prepare.prepare import prepare
from tests.listening import Listening
from tests.unit.test_prepare_formats import run


def write_log(path: Path, rows: int = 100) -> Path:
    path.write_text("user,item,time\n" + "".join(f"u{n % 10},i{n % 7},{n + 1}\n" for n in range(rows)))
    return path


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"split": "leave-one-out", "target": "first"}, "--target goes with --split temporal, not with leave-one-out"),
        (
            {"split": "leave-one-out", "valid_from": "1"},
            "--valid-from goes with --split temporal, not with leave-one-out",
        ),
        ({"seed": 3}, "--seed goes with --split by-user, not with temporal"),
        ({"split": "none", "valid_from": "1", "test_from": "2"}, "--valid-from goes with --split temporal"),
        ({"split": "leave-one-out", "valid_share": 0.2}, "--valid-share goes with --split temporal or by-user"),
        ({"split": "none", "test_share": 0.0}, "--test-share goes with --split temporal or by-user, not with none"),
        ({"valid_from": "1", "test_from": "2", "test_share": 0.2}, "--test-share has no effect beside --valid-from"),
    ],
)
def test_options_of_another_split_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        PrepareConfig(**options)


def test_shares_beside_a_given_partition_are_refused(tmp_path: Path) -> None:
    (tmp_path / "users.tsv").write_text("u1\ttrain\n")
    settings = PrepareConfig(split="by-user", valid_share=0.2)
    with pytest.raises(ConfigError, match="--valid-share has no effect beside --users"):
        prepare([write_log(tmp_path / "log.csv")], tmp_path / "out", settings, users=tmp_path / "users.tsv")


@pytest.mark.parametrize("split", ["temporal", "by-user"])
def test_a_split_that_is_to_be_empty_is_no_cause_for_a_warning(tmp_path: Path, split: str) -> None:
    said = Listening()
    settings = PrepareConfig(split=split, valid_share=0.0, threads=1)
    done = prepare([write_log(tmp_path / "log.csv")], tmp_path / "out", settings, reporter=said)
    assert done.report.splits["valid"].users == 0 and done.report.splits["test"].users
    assert said.others == []


def test_the_file_without_times_is_named(tmp_path: Path) -> None:
    write_log(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_text("user,item\nu,a\n")
    with pytest.raises(ConfigError, match=r"b\.csv: has no times"):
        run(tmp_path, "a.csv", "b.csv", split="temporal")


def test_a_cut_file_is_said_to_be_cut_before_its_lack_of_times(tmp_path: Path) -> None:
    rows = "".join(f"{n % 997} {n * 7919 % 10007}\n" for n in range(60_000))
    (tmp_path / "log.txt.gz").write_bytes(gzip.compress(rows.encode())[:-2000])
    with pytest.raises(InputError, match=r"log\.txt\.gz: broken gzip stream .*get it again"):
        run(tmp_path, "log.txt.gz", split="temporal")
    (tmp_path / "log.txt.gz").write_bytes(gzip.compress(rows.encode()))
    with pytest.raises(ConfigError, match=r"log\.txt\.gz: has no times"):
        run(tmp_path, "log.txt.gz", split="temporal")


def test_a_kind_of_behaviour_that_does_not_occur_is_told_which_do(tmp_path: Path) -> None:
    rows = ["u,a,view", "u,b,view", "u,c,buy", "u,d,"]
    (tmp_path / "log.csv").write_text("\n".join(["user,item,event", *rows, ""]))
    with pytest.raises(
        ConfigError, match=r"--event by: no row has this kind; there are view \(2\), \(none\) \(1\), buy"
    ):
        run(tmp_path, "log.csv", event=["view", "by"])
    assert run(tmp_path, "log.csv", event=["view", "buy"]).report.steps[-1].interactions == 3


def test_density_counts_a_pair_once(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item\n" + "u,a\n" * 5 + "u,b\nv,a\n")
    made = run(tmp_path, "log.csv").report
    assert (made.density, made.repeats) == (3 / 4, 4 / 7)


def test_when_no_title_fits_and_when_a_file_lacks_a_column_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("user,item,event\nu,007,view\n")
    (tmp_path / "b.csv").write_text("user,item\nu,008\n")
    (tmp_path / "items.jsonl").write_text('{"item_id":7,"title":"Bond"}\n')
    said = Listening()
    logs, items = [tmp_path / "a.csv", tmp_path / "b.csv"], [tmp_path / "items.jsonl"]
    prepare(logs, tmp_path / "out", PrepareConfig(split="none"), items=items, reporter=said)
    assert [words for words in said.warnings if "order of the lines" not in words] == [
        f"{tmp_path}/b.csv: has no event; the events of the other files do not count",
        "no item of the log has a title in the item files: the log has ids such as 007, the item files 7; name the "
        "column of the same ids with --items-item-column or --item-column",
    ]


@pytest.mark.parametrize("text", ["2024-01-01T10", "15/01/2024", "epoch", "nan"])
def test_a_time_on_the_command_line_is_what_a_time_in_a_log_is(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--since is '.*', expected a date"):
        PrepareConfig(since=text)
    assert PrepareConfig(since="2024-01-15 10:00:00 +0200").seconds("since") == 1705305600


def test_users_of_a_partition_that_the_log_lacks_are_counted(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item\n" + "u,a\nu,b\nv,a\nv,b\n")
    (tmp_path / "users.tsv").write_text("u\ttrain\nv\ttest\nw\ttest\nx\ttest\ny\tvalid\n")
    settings = PrepareConfig(split="by-user")
    done = prepare([tmp_path / "log.csv"], tmp_path / "out", settings, users=tmp_path / "users.tsv")
    reason = "in --users, but not in the log or filtered out"
    assert done.report.splits["test"].left_out == {reason: 2}
    assert done.report.splits["valid"].left_out == {reason: 1}
    assert done.report.splits["train"].left_out == {}


@pytest.mark.parametrize("name", ["sequences.jsonl", "items.jsonl", "rejects.jsonl"])
def test_a_log_or_item_file_that_would_be_overwritten_is_refused(tmp_path: Path, name: str) -> None:
    log, before = write_log(tmp_path / name), (tmp_path / name).read_bytes()
    with pytest.raises(ConfigError, match=f"{name}: is an input and would be overwritten; choose another output"):
        prepare([log], tmp_path, PrepareConfig(threads=1))
    other = write_log(tmp_path / "log.csv")
    (tmp_path / name).write_text('{"item": "i1", "title": "One"}\n')
    with pytest.raises(ConfigError, match=f"{name}: is an input"):
        prepare([other], tmp_path, PrepareConfig(threads=1), items=[tmp_path / name])
    log.write_bytes(before)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["log.csv", name])


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz"])
def test_a_line_that_is_too_long_is_told(tmp_path: Path, name: str) -> None:
    content = b"user,item,time\nu,a,1\n" + b"a" * (36 << 20)
    (tmp_path / name).write_bytes(gzip.compress(content, 1) if name.endswith(".gz") else content)
    with pytest.raises(InputError, match=r"log.csv(.gz)?:3: the line is longer than 16 MiB"):
        run(tmp_path, name)
