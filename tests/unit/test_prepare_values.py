"""Single values: words that stand for none, ids that are numbers, categories in all forms."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest

from eimf_core.errors import InputError
from eimf_core.prepare.raw_text import split_categories
from eimf_core.prepare.value_parsing import MISSING
from tests.listening import Listening
from tests.unit.test_prepare_formats import histories, lines, run


def write_log(folder: Path, *rows: str) -> None:
    (folder / "log.csv").write_text("user,item,time\n" + "".join(f"{row}\n" for row in rows))


def test_a_word_that_stands_for_no_value_is_no_id(tmp_path: Path) -> None:
    words = sorted(MISSING - {""})
    assert {"NA", "N/A", "NaN", "nan", "NULL", "null", "None", "\\N"} <= set(words)
    bad = [row for word in words for row in (f" {word},b,2", f"u,{word} ,3", f"u,c,{word}")]
    write_log(tmp_path, "u,a,1", *bad, "u,d,5", *(f"v,{at},{at}" for at in range(200)))
    with pytest.raises(InputError) as caught:
        run(tmp_path, "log.csv")
    assert str(caught.value).endswith(
        f"log.csv:3: field 'user': stands for no user ('{words[0]}'); --on-error skip leaves such rows out"
    )
    done = run(tmp_path, "log.csv", on_error="skip")
    assert histories(tmp_path)["u"] == ["a", "d"] and len(histories(tmp_path)) == 2
    expected = {f"field '{of}': stands for no {of}": len(words) for of in ("user", "item", "time")}
    assert done.report.rejected == expected


def test_a_word_that_stands_for_no_value_is_no_title(tmp_path: Path) -> None:
    write_log(tmp_path, "u,a,1", "u,b,2", "u,c,3")
    (tmp_path / "items.csv").write_text(
        "item,title,categories\na,NaN,\"['Tea', nan]\"\nb,N/A,null\nc,None the wiser,\n"
    )
    done = run(tmp_path, "log.csv", items=["items.csv"])
    made = [json.loads(line) for line in (tmp_path / "out" / "items.jsonl").read_text().splitlines()]
    assert [(item["title"], item["categories"]) for item in made] == [
        ("a", ["Tea"]),
        ("b", []),
        ("None the wiser", []),
    ]
    assert done.without_text == ["a", "b"]


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_whole_numbers_of_a_table_of_floats_are_ids_without_a_point(tmp_path: Path, form: str) -> None:
    rows = [(8, 118), (8, 119), (10, 118), (10, 119)]
    if form == "csv":
        (tmp_path / "log.csv").write_text("user,item,time\n" + "".join(f"{u}.0,{i}.0,5\n" for u, i in rows))
    elif form == "jsonl":
        text = "".join(json.dumps({"user": float(u), "item": float(i), "time": 5}) + "\n" for u, i in rows)
        (tmp_path / "log.jsonl").write_text(text)
    else:
        values = ", ".join(f"({u}::DOUBLE, {i}::DOUBLE, 5)" for u, i in rows)
        duckdb.sql(f"SELECT * FROM (VALUES {values}) AS t(user, item, time)").write_parquet(
            str(tmp_path / "log.parquet")
        )
    (tmp_path / "items.csv").write_text("item,title\n118,Tea\n119.0,Wool\n")
    told = Listening()
    done = run(tmp_path, f"log.{form}", items=["items.csv"], reporter=told)
    assert histories(tmp_path) == {"8": ["118", "119"], "10": ["118", "119"]}
    assert done.without_text == [] and done.report.described_not_in_log == 0
    assert "user ids such as 10.0 are taken as 10" in told.notes


def test_ids_with_fractions_and_words_stay_as_they_are(tmp_path: Path) -> None:
    write_log(tmp_path, "1.0,a.0,1", "1.5,7E5,2", "1,3e8,3")
    told = Listening()
    run(tmp_path, "log.csv", reporter=told)
    assert histories(tmp_path) == {"1": ["3e8"], "1.0": ["a.0"], "1.5": ["7E5"]}
    assert told.others == []


def test_119_and_119_point_0_are_one_user_in_time_order(tmp_path: Path) -> None:
    write_log(tmp_path, "119.0,a,3", "119,b,2", "119.0,c,1")
    run(tmp_path, "log.csv")
    assert [(line.user, line.items) for line in lines(tmp_path)] == [("119", ["c", "b", "a"])]
    (tmp_path / "users.csv").write_text("119.0,train\n")
    done = run(tmp_path, "log.csv", split="by-user", users=tmp_path / "users.csv")
    assert done.report.splits["train"].users == 1


def test_ids_that_have_lost_digits_are_warned_of_and_not_merged(tmp_path: Path) -> None:
    write_log(tmp_path, "7.656120E+16,a,1", "7.65612E+16,b,2")
    told = Listening()
    run(tmp_path, "log.csv", reporter=told)
    assert histories(tmp_path) == {"7.656120E+16": ["a"], "7.65612E+16": ["b"]}
    (warning,) = told.others
    assert warning.startswith("2 user ids are numbers such as 7.656120E+16, which have lost their last digits")


def test_numbers_as_java_writes_them_are_whole_or_have_lost_digits(tmp_path: Path) -> None:
    write_log(tmp_path, "1.2345678E7,a,1", "119.0,b,2", "119,c,3")
    (tmp_path / "items.csv").write_text("item,title\n")
    run(tmp_path, "log.csv")
    assert histories(tmp_path) == {"119": ["b", "c"], "12345678": ["a"]}
    (tmp_path / "log.csv").write_text("user;item\n1.23456785E7;7,65612E+16\n1.0;7.65612E16\n")
    told = Listening()
    run(tmp_path, "log.csv", reporter=told)
    assert histories(tmp_path) == {"1.0": ["7.65612E16"], "1.23456785E7": ["7,65612E+16"]}
    assert any("2 item ids are numbers such as 7,65612E+16, which have lost" in warning for warning in told.others)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("['A', \"It's\"]", ["A", "It's"]),
        ('["A", "B, C"]', ["A", "B, C"]),
        ("['A' 'B']", ["A", "B"]),
        ("('A', 'B')", ["A", "B"]),
        ("{'B', 'A'}", ["A", "B"]),
        ('{Action,"Sci Fi"}', ["Action", "Sci Fi"]),
        ("[A, B]", ["A", "B"]),
        ("[['A', 'B'], ['C']]", ["A", "B", "C"]),
        ('[{"id": 1, "name": "Drama"}, {"id": 2, "name": "Action, War"}]', ["Drama", "Action, War"]),
        ("[{'id': 16, 'name': \"Children's\"}]", ["Children's"]),
        ("{'fantasy, paranormal': 31, 'young-adult': 5}", ["fantasy, paranormal", "young-adult"]),
        ("[27, 9]", ["27", "9"]),
        ("[]", []),
        ("A|B, C", ["A", "B, C"]),
        ("A; B", ["A", "B"]),
        ("Home > Pots, Pans", ["Home", "Pots, Pans"]),
        ("A, B", ["A", "B"]),
        ("(2011)", ["(2011)"]),
        ('"A", "B, C"', ["A", "B, C"]),
        ('[[1, "Drama"], [2, "War"]]', ["Drama", "War"]),
        ("['A', 'B'", ["['A'", "'B'"]),
    ],
)
def test_categories_in_all_forms(text: str, names: list[str]) -> None:
    assert split_categories(text) == names


def test_addresses_in_upper_and_lower_case_are_warned_of(tmp_path: Path) -> None:
    rows = ["Ann@x.org,a", "ann@x.org,b", "ANN@x.org,c", "bo@x.org,a", "Bo@x.org,b", "cy@x.org,a", "Dee,a", "dee,b"]
    (tmp_path / "log.csv").write_text("user,item,time\n" + "".join(f"{row},{at}\n" for at, row in enumerate(rows)))
    told, hidden = Listening(), Listening()
    run(tmp_path, "log.csv", reporter=told)
    (warning,) = (words for words in told.warnings if "upper and lower case" in words)
    assert warning.startswith("2 e-mail addresses are written") and "such as ANN@x.org and ann@x.org; each" in warning
    assert len(histories(tmp_path)) == 8
    run(tmp_path, "log.csv", reporter=hidden, hash_users=True)
    (warning,) = (words for words in hidden.warnings if "upper and lower case" in words)
    assert warning.startswith("2 e-mail addresses are written") and "@" not in warning
    (tmp_path / "log.csv").write_text("user,item,time\nann@x.org,a,1\nAnn@x.org,b,2\n")
    run(tmp_path, "log.csv", reporter=(told := Listening()))
    assert any(words.startswith("1 e-mail address is written") for words in told.warnings)
    (tmp_path / "log.csv").write_text("user,item,time\nann@x.org,a,1\nann@x.org,b,2\nDee,a,1\ndee,a,2\n")
    run(tmp_path, "log.csv", reporter=(told := Listening()))
    assert not [words for words in told.warnings if "case" in words]
