"""The page of `eval --report`: nothing from elsewhere, everything escaped, and what a browser makes of it."""

from __future__ import annotations

import re
import struct
import zlib
from html.parser import HTMLParser
from pathlib import Path

import orjson
import pytest

from eimf_core import dataset
from eimf_core.evaluation.config import EvalConfig
from eimf_core.evaluation.evaluate import evaluate
from eimf_core.evaluation.report import sampled_users
from eimf_core.io import jsonl
from eimf_core.model_directory import artifact
from eimf_core.records import Item
from tests.browser import Browser, chromium
from tests.conftest import Eimf, one_error_line
from tests.recommend_models import write_named_model
from tests.small_data import write_small_data
from tests.small_models import taste_vectors, write_small_model

pytestmark = pytest.mark.slow

EVIL = '<script>alert("x")</script> & $\\frac{1}{2}$ \x1b[31m'
SECTIONS = ("summary", "comparison", "slices", "training", "map", "interests", "examples", "never", "run")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data with hostile titles and categories, and two models with training curves."""
    folder = tmp_path_factory.mktemp("report")
    (folder / "data").mkdir()
    write_small_data(folder / "data")
    items = [
        Item(item=item.item, title=f"{EVIL} {item.title}", categories=[*item.categories, EVIL])
        for item in dataset.load_items(folder / "data" / "items.jsonl")
    ]
    jsonl.write(folder / "data" / "items.jsonl", items)
    epochs = [{"epoch": at, "loss": {"prediction": 3.0 / at}, "valid": {"ndcg@10": 0.1 * at}} for at in (1, 2, 3)]
    for name, seed in (("model", 1), ("<b>other", 2)):
        vectors = taste_vectors(items, seed=seed)
        config = artifact.open_model(write_small_model(folder / name, items, vectors, seed=seed)).config
        from tests.small_models import halves_network

        weights = {"item_vectors": vectors, "item_counts": vectors[:, 0].astype("int64")}
        contents = artifact.Contents(
            config=config, items=items, weights=weights, network=halves_network(), epochs=epochs
        )
        artifact.write(folder / name, contents)
    return folder


@pytest.fixture(scope="module")
def page(folder: Path, eimf: Eimf) -> Path:
    command = ("eval", "model", "<b>other", "data", "-k", "5", "-k", "10", "-m", "all", "--report", "page.html")
    done = eimf(*command, "--slice", "history", "--slice", "category", "-o", "metrics.jsonl", cwd=folder)
    assert done.returncode == 0, done.stderr.decode()
    return folder / "page.html"


def test_interests_are_those_that_recommend_tells(eimf: Eimf, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    write_small_data(tmp_path / "data")
    write_named_model(tmp_path / "model")
    evaluation = evaluate([tmp_path / "model"], tmp_path / "data", EvalConfig(k=[10]))
    sample = sampled_users.draw(evaluation, evaluation.systems[0])
    asked = ("recommend", "model", "--sequences", "data", "--as-tested", "-k", "10", "--user")
    several = 0
    for at, row in enumerate(sample.users[:5]):
        told = orjson.loads(eimf(*asked, evaluation.users.user(row), cwd=tmp_path).stdout)
        listed = [evaluation.dataset.items[int(item) - 1].item for item in sample.lists[at] if item]
        assert listed == [item["item"] for item in told["items"]]
        names = {interest["index"]: interest.get("name") for interest in told["interests"]}
        behind = {interest["index"]: interest["anchors"][0]["title"] for interest in told["interests"]}
        wanted = [names[item["interest"]] or f"like {behind[item['interest']]}" for item in told["items"]]
        name_of = {item: interest.name for interest in sample.interests[at] for item in interest.items}
        assert [name_of[int(item)] for item in sample.lists[at] if item] == wanted
        assert [interest.number for interest in sample.interests[at]] == list(range(1, len(sample.interests[at]) + 1))
        several += len(sample.interests[at]) > 1
    assert several


class Parts(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.said: list[str] = []
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.said.append(data)


def test_nothing_is_loaded_and_titles_stay_text(page: Path) -> None:
    parts = Parts(page.read_text())
    assert not {"script", "iframe", "object", "embed", "img", "b"} & set(parts.tags)
    for tag, name, value in parts.attributes:
        assert not name.startswith("on"), (tag, name)
        if name in ("src", "href", "xlink:href"):
            assert value.startswith("#") or value == "data:,", (tag, name, value)
    assert "url(http" not in page.read_text()
    text = " ".join(parts.said)
    assert '<script>alert("x")</script> & $\\frac{1}{2}$ \ufffd[31m' in text
    assert "\x1b" not in page.read_text()
    assert "<b>other" in text


def test_every_part_is_there_and_every_plot_has_words(page: Path) -> None:
    parts = Parts(page.read_text())
    identifiers = [value for _, name, value in parts.attributes if name == "id"]
    assert set(SECTIONS) <= set(identifiers)
    assert len(identifiers) == len(set(identifiers)), "an id twice"
    references = {value for _, name, value in parts.attributes if name == "xlink:href"}
    references |= {f"#{found}" for found in re.findall(r"url\(#([^)]+)\)", page.read_text())}
    assert {value.removeprefix("#") for value in references} <= set(identifiers)
    plots = [value for tag, name, value in parts.attributes if tag == "svg" and name == "aria-label"]
    assert len(plots) == parts.tags.count("svg") == 6
    assert any("NDCG@5 with 95 % intervals: model 0." in words for words in plots)
    (written,) = re.findall(r"with the interests (.*)", "\n".join(plots))
    names = written.split(", like ")
    drawn = re.findall(r'<div class="map">.*?</svg>', page.read_text(), re.DOTALL)
    assert names and drawn[0].count("<text") >= len(names)
    text = " ".join(" ".join(parts.said).split())
    assert "24, all of them ranked" in text and "27 whose targets are all in their history" in text
    assert (
        "eimf eval model '<b>other' data --k 5 --k 10 --metrics recall " in text
        and "--slice history --slice category --report page.html" in text
    )
    assert re.search(r"seed 0 resamples", text) and re.search(r"numpy \d", text) and "How model was trained" in text
    assert re.search(r"data/sequences.jsonl [0-9a-f]{16} ", text)


def test_the_best_comes_first(page: Path) -> None:
    rows = re.findall(r"<td class=\"(?:model|quiet)\">([^<]*)<.*?</td><td>.*?</td><td>([\d.]+)<", page.read_text())
    figures = [float(figure) for _, figure in rows[:7]]
    assert {name for name, _ in rows[:7]} >= {"model", "&lt;b&gt;other", "ease", "popularity"}
    assert figures == sorted(figures, reverse=True) and figures[0] > figures[-1]


def test_items_that_no_list_holds(page: Path, folder: Path) -> None:
    from eimf_core.evaluation.config import EvalConfig
    from eimf_core.evaluation.evaluate import evaluate
    from eimf_core.evaluation.report import unrecommended_items

    evaluation = evaluate([folder / "model"], folder / "data", EvalConfig(k=[1], baselines="none"))
    found = unrecommended_items.unrecommended_items(evaluation, str(folder / "model"))
    (listed,) = (result.recommended[1][1:] for result in evaluation.results)
    assert found.places == len(evaluation.users) == listed.sum()
    assert found.table.rows[0][1].text == str((listed == 0).sum()) and 0 < (listed == 0).sum() < 24
    counts = [count for _, count in found.items]
    assert len(counts) == (listed == 0).sum() and counts == sorted(counts, reverse=True)


def test_what_changed_since_a_previous_report(eimf: Eimf, folder: Path, page: Path) -> None:
    asked = ("eval", "model", "data", "-k", "5", "--baselines", "none", "--table")
    for previous in ("page.html", "metrics.jsonl"):
        done = eimf(*asked, "--compare-with", previous, "--report", "next.html", "--force", cwd=folder)
        assert done.returncode == 0, done.stderr.decode()
        assert f"since {previous}\n" in done.stdout.decode()
        figures = re.findall(r"NDCG@5 +(0\.\d{4} \[.*?\]) +(0\.\d{4} \[.*?\]) +0\.0000", done.stdout.decode())
        assert len(figures) == 1 and figures[0][0] == figures[0][1]
        assert 'id="previous"' in (folder / "next.html").read_text()
    # the only model of today, and of then
    assert eimf("eval", "model", "data", "-k", "5", "-o", "alone.jsonl", cwd=folder).returncode == 0
    renamed = eimf("eval", "<b>other", *asked[2:], "--compare-with", "alone.jsonl", cwd=folder).stdout.decode()
    assert re.search(r"^ +<b>other \(then model\) +NDCG@5 +0\.\d{4} .* [+-]?0\.\d{4} *$", renamed, re.M)
    other = eimf(*asked, "--split", "valid", "--compare-with", "page.html", cwd=folder).stdout.decode()
    assert "since page.html; not the same split: test then, valid now" in other
    # lines on stdout hold no change: the end of stderr says it
    lines = eimf("eval", "<b>other", *asked[2:-1], "--compare-with", "alone.jsonl", cwd=folder)
    assert re.search(r"^<b>other \(then model\): NDCG@5 [+-]?0\.\d{4} since alone.jsonl$", lines.stderr.decode(), re.M)
    none = eimf("eval", "model", "data", "-k", "7", "--baselines", "none", "--compare-with", "alone.jsonl", cwd=folder)
    assert "alone.jsonl: holds no NDCG@7 of a model that is evaluated now; nothing is compared" in none.stderr.decode()


@pytest.mark.parametrize("content", ["<!doctype html><p>Hello</p>", "{}\n", "", "\x00"])
def test_what_is_no_previous_report(eimf: Eimf, folder: Path, content: str) -> None:
    (folder / "strange.html").write_text(content)
    done = eimf("eval", "model", "data", "--compare-with", "strange.html", "--report", "no.html", cwd=folder)
    told = "eimf: strange.html: is neither a report of eval --report nor lines of eval -o; give one of these"
    assert one_error_line(done, 3) == told
    missing = one_error_line(eimf("eval", "model", "data", "--compare-with", "nowhere.html", cwd=folder), 2)
    assert missing == "eimf: nowhere.html: no such file"
    assert not list(folder.glob("*no.html*"))


def test_the_page_appears_whole_or_not_at_all(eimf: Eimf, folder: Path) -> None:
    one_error_line(eimf("eval", "model", "data", "--report", "data", cwd=folder), 2)
    one_error_line(eimf("eval", "model", "nowhere", "--report", "new.html", cwd=folder), 2)
    assert not list(folder.glob("*new.html*"))


def test_slices_are_chosen_where_none_are(eimf: Eimf, folder: Path) -> None:
    done = eimf("eval", "model", "data", "--baselines", "none", "--report", "plain.html", "-q", cwd=folder)
    assert done.returncode == 0, done.stderr.decode()
    text = (folder / "plain.html").read_text()
    assert "history&lt;" in text and "popularity&gt;=" in text and 'id="comparison"' not in text


def colours(png: bytes) -> int:
    """Number of different pixels of a PNG without interlacing."""
    at, data, width, channels = 8, b"", 0, 0
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        kind, body = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        if kind == b"IHDR":
            width, channels = struct.unpack(">I", body[:4])[0], {2: 3, 6: 4}[body[9]]
        elif kind == b"IDAT":
            data += body
        at += length + 12
    raw = zlib.decompress(data)
    # filtered rows do: an empty picture has next to no different values
    step = width * channels + 1
    rows = (raw[start + 1 : start + step] for start in range(0, len(raw), step))
    return len({row[at : at + channels] for row in rows for at in range(0, len(row), channels)})


MAP_RIGHT = "return document.querySelector('.map svg').getBoundingClientRect().right"


def pick(browser: Browser) -> None:
    """Opening a user closes the one before."""
    browser.run("document.querySelectorAll('.picker summary')[0].click()")
    browser.run("document.querySelectorAll('.picker summary')[3].click()")
    shown = browser.run("return [...document.querySelectorAll('.picker details')].map(each => each.open)")
    assert shown.index(True) == 3 and sum(shown) == 1
    tall = "return document.querySelectorAll('.picker details')[3].getBoundingClientRect().height"
    assert browser.run(tall) > 200


def test_in_a_real_browser(page: Path) -> None:
    with chromium() as browser:
        for width in (390, 1280):
            pictures = []
            for dark in (False, True):
                browser.show_as(width=width, height=844, dark=dark)
                browser.open(page)
                assert browser.messages() == []
                assert browser.run("return document.documentElement.scrollWidth <= innerWidth"), "scrolls sideways"
                assert browser.run("return document.querySelectorAll('section').length") == len(SECTIONS)
                assert browser.run("return performance.getEntriesByType('resource').length") == 0
                back = browser.run("return getComputedStyle(document.body).backgroundColor")
                light = sum(map(int, re.findall(r"\d+", back)[:3])) / 3
                assert light < 60 if dark else light > 200
                pictures.append(browser.picture())
                boxes = browser.run(
                    "return [...document.querySelectorAll('svg.plot')].map(plot => { const box = "
                    "plot.getBoundingClientRect(); return {x: box.x + scrollX, y: box.y + scrollY, "
                    "width: box.width, height: box.height, marks: plot.querySelectorAll('path, use, text').length} })"
                )
                assert len(boxes) == 6
                if width == 1280:
                    wide = "return [...document.querySelectorAll('.wide')].every(t => t.scrollWidth <= t.clientWidth)"
                    assert browser.run(wide), "a table scrolls sideways"
                    places = "const box = document.querySelector('.legend').getBoundingClientRect(); return box.left"
                    assert browser.run(places) > browser.run(MAP_RIGHT), "the legend is not beside the map"
                    assert browser.run("return innerWidth - document.querySelector('main').clientWidth") < 100
                for box in boxes:
                    assert box["width"] >= 300 and box["height"] >= 80 and box.pop("marks") > 10
                    assert colours(browser.picture(box)) > 30, "an empty plot"
            assert pictures[0] != pictures[1]
        pick(browser)
        # text in plots can be read on a phone
        sizes = (
            "return [...document.querySelectorAll('svg.plot text')].map(text => text.getBoundingClientRect().height)"
        )
        browser.show_as(width=390, height=844, dark=False)
        browser.open(page)
        assert min(browser.run(sizes)) >= 9
