"""Text vectors: encoded once, kept by content, resumed, and refused clearly when they cannot be had."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import subprocess
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import constants

from eimf_core.errors import ConfigError, ModelError
from eimf_core.io import hub
from eimf_core.numeric.arrays import Floats
from eimf_core.progress import SILENT, Reporter
from eimf_core.records import Item
from eimf_core.text import cache
from eimf_core.text.cache import encode_cached, encode_items
from eimf_core.text.encoder_input import item_text
from eimf_core.text.loading import FEW, open_encoder
from eimf_core.text_cleaning import clean_item
from tests.listening import Listening


class WordEncoder:
    """A deterministic stand-in: hashed bag of words, so that shared words make texts alike."""

    name = "words"
    identity = "words@1"
    dimension = 16

    def __init__(self) -> None:
        self.encoded: list[str] = []

    def encode(self, texts: Sequence[str], reporter: Reporter = SILENT) -> Floats:
        self.encoded += texts
        vectors = np.full((len(texts), self.dimension), 1e-3, dtype=np.float32)
        for row, words in enumerate(texts):
            for word in words.lower().split():
                vectors[row, zlib.crc32(word.encode("utf-8", "replace")) % self.dimension] += 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_item_text_holds_title_categories_and_the_start_of_the_description() -> None:
    item = Item(item="1", title=" Green\n Tea ", categories=["Tea", "Drinks", "Drinks", ""], text="long words " * 90)
    words = item_text(clean_item(item))
    assert words.startswith("Green Tea. Tea, Drinks. long words")
    assert len(words) < 300 and words.endswith(" long")
    assert item_text(Item(item="1", title="")) == ""
    assert item_text(Item(item="1", title="The Tea", categories=["the tea"])) == "The Tea"


def test_items_have_the_row_of_their_index(tmp_path: Path) -> None:
    items = [Item(item=name, title=name) for name in ("b b", "", "a", "b b")]
    vectors = encode_items(tmp_path, items, WordEncoder())
    assert vectors.shape == (5, 16) and vectors.dtype == np.float16
    assert not vectors[0].any() and not vectors[2].any()
    assert np.array_equal(vectors[1], vectors[4])
    expected = WordEncoder().encode(["b b", "a"])
    assert np.allclose(vectors[[1, 3]], expected, atol=1e-3)


def test_a_second_run_encodes_nothing_and_a_grown_one_what_is_new(tmp_path: Path) -> None:
    encoder = WordEncoder()
    first = encode_cached(["x", "y", "x"], encoder, tmp_path)
    assert sorted(encoder.encoded) == ["x", "y"]
    again = encode_cached(["x", "y", "x"], encoder, tmp_path)
    assert len(encoder.encoded) == 2 and isinstance(again, np.memmap)
    assert np.array_equal(first, again)
    grown = encode_cached(["xy", "", "y", "x"], encoder, tmp_path)
    assert encoder.encoded[2:] == ["xy"]
    assert np.array_equal(grown[[3, 2]], first[:2]) and not grown[1].any()
    assert np.array_equal(grown[0], WordEncoder().encode(["xy"])[0].astype(np.float16))
    encoder.identity = "words@2"
    encode_cached(["x", "y", "x"], encoder, tmp_path)
    assert len(encoder.encoded) == 5
    assert all(path.suffix == ".npy" for path in tmp_path.iterdir())


def test_a_header_that_numpy_cannot_parse_and_a_pipe_in_the_place_of_vectors(tmp_path: Path) -> None:
    first = np.array(encode_cached(["x", "y"], WordEncoder(), tmp_path))
    (path,) = tmp_path.glob("*.npy")
    for header in (b"{'descr': (\n", b"{'descr' 1 2", b"\xff"):
        path.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
        assert np.array_equal(encode_cached(["x", "y"], WordEncoder(), tmp_path), first)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(OSError, match="it is no regular file"):
        encode_cached(["x", "y"], WordEncoder(), tmp_path)


def test_fewer_texts_than_before_do_not_even_open_the_encoder(tmp_path: Path) -> None:
    whole = encode_cached(["x", "y", "z"], WordEncoder(), tmp_path)

    class Closed(WordEncoder):
        @property
        def dimension(self) -> int:  # type: ignore[override]
            pytest.fail("opened")

    assert np.array_equal(encode_cached(["z", "x"], Closed(), tmp_path), whole[[2, 0]])


def test_a_file_of_an_earlier_version_without_digests_counts_as_a_whole(tmp_path: Path) -> None:
    first = np.array(encode_cached(["x", "y"], WordEncoder(), tmp_path))
    (path,) = tmp_path.glob("*.npy")
    path.write_bytes(path.read_bytes()[: -2 * cache.DIGEST_SIZE - 32])
    encoder = WordEncoder()
    assert np.array_equal(encode_cached(["x", "y"], encoder, tmp_path), first) and not encoder.encoded
    assert np.array_equal(encode_cached(["y", "z", "x"], encoder, tmp_path)[[2, 0]], first)
    assert sorted(encoder.encoded) == ["x", "y", "z"]


def test_an_interrupted_run_goes_on_whatever_is_reused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "CHUNK", 2)
    texts = [f"word{number}" for number in range(6)]
    whole = encode_cached(texts, WordEncoder(), tmp_path / "whole")
    encode_cached(texts[1:3], WordEncoder(), tmp_path / "cut")

    class Stopped(WordEncoder):
        def encode(self, texts: Sequence[str], reporter: Reporter = SILENT) -> Floats:
            if self.encoded:
                raise KeyboardInterrupt
            return super().encode(texts, reporter)

    with pytest.raises(KeyboardInterrupt):
        encode_cached(texts, Stopped(), tmp_path / "cut")
    # what was reused at first is gone when it goes on
    for path in (tmp_path / "cut").glob("*.npy"):
        path.unlink()
    encoder = WordEncoder()
    assert np.array_equal(encode_cached(texts, encoder, tmp_path / "cut"), whole)
    assert 0 < len(encoder.encoded) < 6


@pytest.mark.parametrize("flipped", [None, 0, 2, 3])
def test_an_interrupted_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flipped: int | None) -> None:
    monkeypatch.setattr(cache, "CHUNK", 2)
    texts = [f"word{number} and more" for number in range(7)]
    whole = encode_cached(texts, WordEncoder(), tmp_path / "whole")

    class Stopped(WordEncoder):
        def encode(self, texts: Sequence[str], reporter: Reporter = SILENT) -> Floats:
            if len(self.encoded) >= 4:
                raise KeyboardInterrupt
            return super().encode(texts, reporter)

    with pytest.raises(KeyboardInterrupt):
        encode_cached(texts, Stopped(), tmp_path / "cut")
    (partial,) = (tmp_path / "cut").glob("*.partial")
    content = bytearray(partial.read_bytes())
    if flipped is not None:
        content[len(content) * flipped // 4 + 1] ^= 1
    partial.write_bytes(bytes(content) + b"torn")
    encoder = WordEncoder()
    assert np.array_equal(encode_cached(texts, encoder, tmp_path / "cut"), whole)
    # rows before the damaged one are kept
    assert len(encoder.encoded) == 3 + (0 if flipped is None else 4 - flipped)
    assert not list((tmp_path / "cut").glob("*.partial"))


def test_a_damaged_file_is_made_again(tmp_path: Path) -> None:
    good = np.array(encode_cached(["a", "b"], WordEncoder(), tmp_path))
    (path,) = tmp_path.glob("*.npy")
    whole = path.read_bytes()
    flipped = [whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in (129, len(whole) - 40, len(whole) - 1)]
    for damage in (whole[:100], b"", b"no array", whole[:-2], whole[:-40], whole[:-60], whole + b"more", *flipped):
        path.write_bytes(damage)
        assert np.array_equal(encode_cached(["a", "b"], WordEncoder(), tmp_path), good)
        assert path.read_bytes() == whole
        path.write_bytes(damage)
        # nor is anything of it taken for other texts
        assert np.array_equal(encode_cached(["b", "a"], WordEncoder(), tmp_path), good[::-1])
        for other in set(tmp_path.glob("*.npy")) - {path}:
            other.unlink()


def test_what_a_killed_run_was_writing_is_removed_unless_it_lives(tmp_path: Path) -> None:
    for name in (".text-dead.npy.abcdefgh.tmp", ".text-alive.npy.abcdefgh.tmp", "text-alive.partial"):
        (tmp_path / name).touch()
    with open(tmp_path / "text-alive.partial", "rb") as writing:
        fcntl.flock(writing, fcntl.LOCK_EX)
        encode_cached(["a"], WordEncoder(), tmp_path)
        assert {path.name for path in tmp_path.glob(".*")} == {".text-alive.npy.abcdefgh.tmp"}
    encode_cached(["b"], WordEncoder(), tmp_path)
    assert not list(tmp_path.glob(".*"))


def test_nothing_to_encode_and_hostile_text(tmp_path: Path) -> None:
    assert encode_cached([], WordEncoder(), tmp_path).shape == (0, 16)
    assert not encode_cached(["", " \n"], WordEncoder(), tmp_path).any()
    hostile = ["[SEP] <|im_end|>", "\x1b[31m", "\udcff", "x" * 100_000, "👩‍👩‍👧", "‮abc"]
    assert np.isfinite(encode_cached(hostile, WordEncoder(), tmp_path)).all()


def test_a_folder_that_cannot_be_written_costs_only_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warnings: list[str] = []

    class Listening(Reporter):
        def warn(self, message: str) -> None:
            warnings.append(message)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    vectors = encode_cached(["a", "", "b"], WordEncoder(), tmp_path / "no", Listening())
    assert vectors.shape == (3, 16) and len(warnings) == 1 and not vectors[1].any()


def test_an_encoder_that_gives_nonsense_is_named(tmp_path: Path) -> None:
    class Broken(WordEncoder):
        def encode(self, texts: Sequence[str], reporter: Reporter = SILENT) -> Floats:
            return np.full((len(texts), 16), np.nan, dtype=np.float32)

    with pytest.raises(ModelError, match="words"):
        encode_cached(["a"], Broken(), tmp_path)
    assert not list(tmp_path.glob("*.npy"))


@pytest.mark.slow
def test_what_is_no_encoder_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    for name, kind in (("file", ConfigError), ("none", ConfigError), ("empty", ModelError)):
        with pytest.raises(kind, match=name):
            open_encoder(str(tmp_path / name))
    (tmp_path / "empty" / "model.safetensors").write_bytes(b"\0" * 20)
    with pytest.raises(ModelError, match="empty"):
        open_encoder(str(tmp_path / "empty")).encode(["a"])


@pytest.mark.slow
def test_the_packaged_encoder_and_a_copy_of_it(tmp_path: Path) -> None:
    from eimf_core.text.transformers_encoder import packaged_folder

    copy = shutil.copytree(packaged_folder(), tmp_path / "mine")
    first, second = open_encoder(), open_encoder(str(copy))
    assert first.name == "all-MiniLM-L6-v2" and second.name == "mine"
    assert first.identity.split("@")[1] == second.identity.split("@")[1]
    vectors = first.encode(["a cup of tea", "a \udcff stray byte", "tea cup", "", "a cup of tea"])
    assert vectors.shape == (5, first.dimension) == (5, 384) and vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.array_equal(vectors[0], vectors[4])
    assert vectors[0] @ vectors[2] > 0.7 > vectors[0] @ vectors[1]
    assert np.allclose(second.encode(["tea cup"])[0], vectors[2], atol=1e-5)
    (copy / "1_Pooling" / "config.json").write_text("{}")
    assert open_encoder(str(copy)).identity != second.identity


@pytest.mark.slow
def test_few_texts_need_no_torch_and_have_the_same_vectors() -> None:
    few, many = open_encoder(None, FEW), open_encoder("packaged", FEW + 1)
    assert type(few) is not type(many) and type(many) is type(open_encoder())
    assert few.identity == many.identity
    vectors = few.encode(["tea cup", "", "a \udcff stray byte", "tea cup"])
    assert np.array_equal(vectors[0], vectors[3])
    assert np.allclose(vectors, many.encode(["tea cup", "", "a \udcff stray byte", "tea cup"]), atol=2e-6)


@pytest.mark.slow
def test_a_hub_name_without_a_network_is_one_line_and_kept_vectors_need_no_torch(tmp_path: Path) -> None:
    program = f"""
import sys
from eimf_core.errors import ModelError
from eimf_core.text.cache import encode_cached
from eimf_core.text.loading import open_encoder
try:
    open_encoder("nobody/no-such-encoder")
except ModelError as error:
    assert "nobody/no-such-encoder" in str(error) and "\\n" not in str(error), error
else:
    raise AssertionError
encode_cached(["a"], open_encoder(), {str(tmp_path)!r})
assert "torch" not in sys.modules
"""
    encode_cached(["a"], open_encoder(texts=1), tmp_path)
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hub")}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=env, timeout=120)
    assert done.returncode == 0 and done.stderr == "", done.stderr


def test_a_hub_that_cannot_be_reached_is_one_line(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library's remarks on each of its tries are kept back, and only meanwhile."""
    asked: list[bool] = []

    def get(local: bool) -> str:
        asked.append(local)
        logging.getLogger("huggingface_hub.utils._http").warning("Retrying")
        raise OSError("no\nnetwork" + 99 * " here")

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    told = r"m\.gguf: not here \(no network( here)+…\); try again, or give --model FILE\.gguf$"
    with pytest.raises(ModelError, match=told) as unreachable:
        hub.fetch(get, "m.gguf: not here", "--model FILE.gguf")
    assert len(str(unreachable.value)) < 360
    assert asked == [True, False] and not caplog.records
    logging.getLogger("huggingface_hub.utils._http").warning("heard again")
    assert len(caplog.records) == 1
    assert hub.fetch(lambda local: "here", "", "") == Path("here")


def test_nothing_is_fetched_where_the_environment_forbids_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    listening = Listening()
    told = r"a/b/c\.gguf: could not be had from the hub \(HF_HUB_OFFLINE is set, .*\); unset it, or give --model F$"
    with pytest.raises(ModelError, match=told):
        hub.fetch_file("a/b", "c.gguf", listening, "1 GB", instead="--model F")
    assert not listening.notes
