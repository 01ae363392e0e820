"""The encoder without torch gives the vectors of sentence-transformers."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from eimf_core.text import numpy_encoder, transformers_encoder

TEXTS = [
    "dark Scandinavian crime",
    "Toy Story (1995)",
    "",
    "   ",
    "naïve Käse, Straße; 東京 \U0001fad6 <|im_end|>",
    "a",
    "long " * 200,
    *[f"title number {n} of {n * 7919 % 101} things, with {'words ' * (n % 23)}" for n in range(60)],
]


def test_what_is_alike_is_near() -> None:
    made = numpy_encoder.packaged().encode(["knitting wool", "a skein of yarn", "space telescope"])
    assert made[0] @ made[1] > 0.5 > 0.3 > made[0] @ made[2]


@pytest.mark.slow
def test_agrees_with_sentence_transformers() -> None:
    ours = numpy_encoder.packaged()
    theirs = transformers_encoder.packaged()
    assert (ours.name, ours.identity, ours.dimension) == (theirs.name, theirs.identity, theirs.dimension)
    made, expected = ours.encode(TEXTS), theirs.encode(TEXTS)
    assert made.dtype == np.float32
    np.testing.assert_allclose(made, expected, atol=2e-6)
    # what stands in a batch with it changes nothing
    np.testing.assert_allclose(ours.encode(TEXTS[1:2])[0], made[1], atol=1e-6)


def test_gelu_is_exact_enough() -> None:
    from math import erf, sqrt

    x = np.linspace(-8, 8, 4001, dtype=np.float32)
    exact = np.array([value * 0.5 * (1 + erf(value / sqrt(2))) for value in x.astype(float)])
    np.testing.assert_allclose(numpy_encoder.gelu(x), exact, atol=1e-6)


def test_loads_no_torch() -> None:
    program = (
        "import sys\nfrom eimf_core.text import numpy_encoder\n"
        "assert numpy_encoder.packaged().encode(['tea']).shape == (1, 384)\n"
        "assert not {'torch', 'transformers', 'sentence_transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
