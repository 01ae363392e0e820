"""The report is plain text to whatever shows it."""

from __future__ import annotations

from eimf_core.evaluation import report


def test_controls_and_marks_of_direction_do_not_reach_the_page() -> None:
    page = "<p>a\x1b[31m\x00b\u202ec\u2067\ufeff</p>\n\t\u200dé"
    assert report.printable(page) == "<p>a�[31m�b�c��</p>\n\t\u200dé"
    assert report.printable("<p>é</p>\n") == "<p>é</p>\n"
