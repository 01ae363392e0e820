"""A split of users made elsewhere, in all forms that are usual."""

from __future__ import annotations

from pathlib import Path

import pytest

from eimf_core.errors import InputError
from eimf_core.prepare.user_split import read_partition

FORMS = {
    "tabs": "u 1\ttrain\n2\ttest\n",
    "commas and a header": "user,split\nu 1,train\n2,test\n",
    "quotes": '"user";"split"\n"u 1";"train"\n"2";"test"\n',
    "blanks": "u 1 train\n2 test\n",
    "JSON": '{"user":"u 1","split":"train"}\n{"split":"test","user":2}\n',
    "another key": '{"user_id":"u 1","split":"train"}\n{"user_id":"2","split":"test"}\n',
    "Python": "{'user': 'u 1', 'split': 'train'}\n{'user': 2, 'split': 'test'}\n",
}


@pytest.mark.parametrize("form", FORMS)
def test_users_and_splits(tmp_path: Path, form: str) -> None:
    for encoding in ("utf-8", "utf-16"):
        (tmp_path / "users").write_text(FORMS[form], encoding=encoding)
        assert read_partition(tmp_path / "users", tmp_path) == {"u 1": "train", "2": "test"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "a\ttrain\nb\tdev\n",
            r"users:2: is 'b\tdev', expected a user and one of train, valid, test, such as u7,train",
        ),
        ('{"user":"a"}\n', r"users:1: is '{\"user\":\"a\"}', expected"),
        ("a,train\na,test\n", "users:2: user 'a' is in two splits"),
        ("user,split\n", "users: is empty"),
        ("a,training\nb,test\n", "users:1: is 'a,training', expected a user and one of"),
    ],
)
def test_a_line_that_is_none(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "users").write_text(text)
    with pytest.raises(InputError, match=words):
        read_partition(tmp_path / "users", tmp_path)
