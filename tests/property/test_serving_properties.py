"""Whatever a body holds, it is read as queries or refused in one line."""

from __future__ import annotations

import orjson
from hypothesis import given
from hypothesis import strategies as st

from eimf_core.errors import InputError
from eimf_core.serving import request_body

NAMES = ["id", "history", "titles", "text", "times", "events", "exclude", "only", "seen", "diversity", "k", "other"]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=6,
)
BODIES = (
    st.binary(max_size=60) | VALUES.map(orjson.dumps) | st.lists(VALUES.map(orjson.dumps), max_size=4).map(b"\n".join)
)


@given(BODIES, st.binary(max_size=3), st.integers(0, 60))
def test_a_body_is_queries_or_one_line(body: bytes, put_in: bytes, at: int) -> None:
    try:
        asked = request_body.read(body[:at] + put_in + body[at:], 100)
    except InputError as error:
        assert str(error) and "\n" not in str(error).strip("\n")[:200] and "Traceback" not in str(error)
    else:
        assert asked.queries and all(query.id is not None and (query.k or 0) <= 100 for query in asked.queries)
