"""What became of the rows: orders that were cancelled, goods that came back, columns that are not used."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.listening import Listening
from tests.unit.test_prepare_formats import histories, run

ORDERS = """order,customer,sku,date,qty,status,cancelled_at
1,u,a,2024-01-01,1,completed,
2,u,b,2024-01-02,-1,refunded,2024-02-02
3,v,a,2024-01-03,1,cancelled,2024-02-03
4,v,b,2024-01-04,2,pending,
5,v,c,2024-01-05,2,shipped,
"""


def said(tmp_path: Path, text: str, name: str = "log.csv", **options: object) -> tuple[Listening, list[str]]:
    """What is told, and the warnings about statuses."""
    (tmp_path / name).write_text(text)
    told = Listening()
    run(tmp_path, name, reporter=told, **options)
    return told, [words.removeprefix(f"{tmp_path / name}: ") for words in told.warnings if "count like" in words]


def test_what_was_undone_is_warned_of_with_the_options_that_leave_it_out(tmp_path: Path) -> None:
    told, warnings = said(tmp_path, ORDERS)
    assert warnings == [
        "'qty' is below 0 in 1 of 5 interactions, which count like the others; --rating-column qty --min-rating 0 "
        "leaves them out",
        "'status' is cancelled in 1, pending in 1, refunded in 1 of 5 interactions, which count like the others; "
        "--event-column status --event completed --event shipped leaves them out",
        "'cancelled_at' is 2024-02-02 in 1, 2024-02-03 in 1 of 5 interactions, which count like the others; "
        "--event-column cancelled_at --event '' leaves them out",
    ]
    (columns,) = (words for words in told.notes if "columns: " in words)
    assert columns.endswith("time from 'date'; not used: order, qty, status, cancelled_at")
    assert histories(tmp_path) == {"u": ["a", "b"], "v": ["a", "b", "c"]}


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ({"event_column": "status", "event": ["completed", "shipped"]}, {"u": ["a"], "v": ["c"]}),
        ({"event_column": "cancelled_at", "event": [""]}, {"u": ["a"], "v": ["b", "c"]}),
        ({"rating_column": "qty", "min_rating": 0}, {"u": ["a"], "v": ["a", "b", "c"]}),
    ],
)
def test_the_options_that_are_named_leave_it_out(
    tmp_path: Path, options: dict[str, object], left: dict[str, list[str]]
) -> None:
    _, warnings = said(tmp_path, ORDERS, **options)
    assert histories(tmp_path) == left
    # what the filters have dropped is not counted
    assert not any("refunded" in words for words in warnings)


@pytest.mark.parametrize(
    ("column", "values", "warning", "note"),
    [
        ("status", ["complete", "complete"], "", ""),
        (
            "order_status",
            ["paid", "shipped"],
            "",
            "'order_status' is paid in 1, shipped in 1; all count; --event-column",
        ),
        ("status", ["cancelled", "cancelled"], "leave them out of the file", ""),
        ("payment status", ["paid", "on hold"], "--event-column 'payment status' --event paid leaves them out", ""),
        ("state", ["CA", "NY"], "", "'state' is CA in 1, NY in 1; all count"),
        ("is_returned", ["0", "1"], "--event-column is_returned --event 0 leaves", ""),
        ("returned_at", ["2024-01-01", "2024-01-02"], "", ""),
        ("refunded", ["false", "false"], "", ""),
        ("return_reason", ["too small", "broken"], "", ""),
        ("event", ["add_to_cart", "remove_from_cart"], "; --event add_to_cart leaves them out", ""),
        ("event", ["view", "cart"], "", "'event' is cart in 1, view in 1; all count; --event cart keeps one kind"),
        ("quantity", ["1", "2"], "", ""),
        ("Menge", ["1,5", "-1,5"], "--rating-column Menge --min-rating 0", ""),
    ],
)
def test_kinds_of_rows(tmp_path: Path, column: str, values: list[str], warning: str, note: str) -> None:
    quoted = [f'"{value}"' for value in values]
    told, warnings = said(tmp_path, f"user,item,time,{column}\nu,a,1,{quoted[0]}\nu,b,2,{quoted[1]}\n")
    assert len(warnings) == bool(warning) and all(warning in words for words in warnings)
    notes = [words for words in told.notes if "all count" in words]
    assert len(notes) == bool(note) and all(note in words for words in notes)


def test_states_are_counted_in_every_kind_of_file_and_beside_bad_rows(tmp_path: Path) -> None:
    objects = '{"user":"u","item":"a","time":1,"status":"ok"}\n{"user":"u","item":"b","time":2,"status":"void"}\n'
    for bad in ("", '{"user":null,"item":"b","time":2,"status":"void"}\n'):
        _, warnings = said(tmp_path, objects + bad, "log.jsonl", on_error="skip")
        assert [words.partition(";")[0] for words in warnings] == [
            "'status' is void in 1 of 2 interactions, which count like the others"
        ]
    (tmp_path / "more.jsonl").write_text('{"user":"u","item":"c","time":3}\n')
    told = Listening()
    run(tmp_path, "more.jsonl", "log.jsonl", reporter=told, on_error="skip")
    assert [words for words in told.others if "void in 1 of 3" in words] == told.others != []


def test_a_column_of_many_values_is_none_of_kinds(tmp_path: Path) -> None:
    rows = "".join(f"u,i{at},{at},failed {at},{at if at % 2 else ''}\n" for at in range(60))
    _, warnings = said(tmp_path, "user,item,time,status,refunded_at\n" + rows + "u,x,99,,\n")
    assert [words.partition(";")[0] for words in warnings] == [
        "'refunded_at' is filled in 30 of 61 interactions, which count like the others"
    ]


def test_orders_of_shopify_and_woocommerce_say_what_became_of_them(tmp_path: Path) -> None:
    shopify = (
        "Name,Email,Financial Status,Created at,Cancelled at,Lineitem sku,Lineitem name\n"
        "#1,u@x.org,paid,2024-01-01 10:00:00 +0000,,a,Tea\n#1,,,,,b,Jam\n"
        "#2,u@x.org,refunded,2024-01-02 10:00:00 +0000,,c,Rug\n#2,,,,,d,Mug\n"
        "#3,u@x.org,paid,2024-01-03 10:00:00 +0000,2024-01-04 10:00:00 +0000,e,Mat\n"
    )
    _, warnings = said(tmp_path, shopify)
    assert [words.partition(",")[0] for words in warnings] == ["'event' is refunded in 2"]
    said(tmp_path, shopify, event=["paid"])
    assert histories(tmp_path) == {"u@x.org": ["a", "b"]}
    woocommerce = (
        "Order Number,Order Status,Order Date,Email (Billing),SKU,Item Name\n"
        "1,wc-completed,2024-01-01 10:00,u@x.org,a,Tea\n2,wc-cancelled,2024-01-02 10:00,u@x.org,b,Jam\n"
    )
    _, warnings = said(tmp_path, woocommerce)
    assert [words.partition(";")[2] for words in warnings] == [" --event wc-completed leaves them out"]
    said(tmp_path, woocommerce.replace("Order Status,", "").replace("wc-completed,", "").replace("wc-cancelled,", ""))
    assert histories(tmp_path) == {"u@x.org": ["a", "b"]}
