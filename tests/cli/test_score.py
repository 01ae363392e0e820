"""`eimf score LABELS` on the bundled shop, and its bad input."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from eimf_core.io import jsonl
from eimf_core.records import HistoryItem, Item, LabelQuality, Sample
from tests.conftest import ROOT, Eimf, one_error_line

SHOP = ROOT / "examples" / "shop"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, eimf: Eimf) -> Path:
    """Samples of twenty customers of the shop, and keyword labels of them."""
    folder = tmp_path_factory.mktemp("quality")
    titles = {item.item: item.title for item in jsonl.read(SHOP / "items.jsonl", Item)}
    bought: dict[str, list[str]] = {}
    for line in (SHOP / "interactions.csv").read_text().splitlines()[1:]:
        user, item, _ = line.split(",")
        bought.setdefault(user, []).append(item)
    samples = [
        Sample(
            key=f"{at:016x}", user=user, cluster=0, cluster_size=20, distance=0.0,
            history=[HistoryItem(item=item, title=titles[item]) for item in bought[user]],
        )
        for at, user in enumerate(sorted(bought)[:20])
    ]  # fmt: skip
    jsonl.write(folder / "samples.jsonl", samples)
    done = eimf("label", folder / "samples.jsonl", "--engine", "keywords", "-o", folder / "labels.jsonl")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_keywords_recover_more_of_the_shop_than_chance(eimf: Eimf, made: Path, tmp_path: Path) -> None:
    truth = ("--truth", SHOP / "truth.items.jsonl", "--truth-users", SHOP / "truth.users.jsonl")
    score = ("score", made / "labels.jsonl", "--samples", made / "samples.jsonl")
    done = eimf(*score, *truth)
    assert done.returncode == 0, done.stderr
    (first,) = (LabelQuality(**orjson.loads(line)) for line in done.stdout.splitlines())
    assert first.engine == "keywords" and first.users == 20 and first.first_try is None
    assert first.recall > 3 * first.by_chance and first.recall > 0.4
    assert f"{first.recall:.4f}" in done.stderr.decode()
    # categories, wide as they are, stand in where nothing better is known
    out = tmp_path / "quality.jsonl"
    done = eimf(*score, "--truth", SHOP / "items.jsonl", "-o", out)
    assert done.returncode == 0 and done.stdout == b""
    (proxy,) = jsonl.read(out, LabelQuality)
    assert proxy.users == 20 and proxy.recall > proxy.by_chance


@pytest.mark.slow
def test_the_bundled_labeler_beats_keywords(eimf: Eimf, made: Path, tmp_path: Path) -> None:
    pytest.importorskip("llama_cpp")
    samples, out = made / "samples.jsonl", tmp_path / "bundled.jsonl"
    assert eimf("label", samples, "--model", "bundled", "-o", out).returncode == 0
    truth = ("--truth", SHOP / "truth.items.jsonl", "--truth-users", SHOP / "truth.users.jsonl")
    done = eimf("score", out, made / "labels.jsonl", "--samples", samples, *truth)
    bundled, keywords = (LabelQuality(**orjson.loads(line)) for line in done.stdout.splitlines())
    assert (bundled.engine, keywords.engine) == ("llama-cpp", "keywords")
    assert bundled.recall > keywords.recall + 0.1 and bundled.precision > keywords.precision + 0.1
    assert (bundled.items_right or 0) > (keywords.items_right or 0)


def test_bad_input(eimf: Eimf, made: Path, tmp_path: Path) -> None:
    samples, labels, truth = made / "samples.jsonl", made / "labels.jsonl", SHOP / "truth.items.jsonl"
    for arguments, code, words in (
        ([labels], 2, "--truth"),
        (["--truth", truth], 2, "LABELS"),
        ([tmp_path / "none.jsonl", "--truth", truth], 2, "none.jsonl"),
        ([labels, "--truth", tmp_path / "none.jsonl"], 2, "none.jsonl"),
        ([samples, "--truth", truth], 3, "samples.jsonl:1: field"),
        ([labels, "--truth", labels], 3, "labels.jsonl:1: field 'item'"),
        ([labels, "--truth", truth, "-o", labels], 2, "input"),
        (["-", "--truth", "-"], 2, "only once"),
        ([labels, "--truth", truth, "--encoder", "./no-encoder"], 2, "no-encoder"),
    ):
        assert words in one_error_line(eimf("score", *arguments, "--samples", samples), code)
    assert labels.stat().st_size
