from __future__ import annotations

from loadtest.shows.report import Report


def report(*checks: bool) -> Report:
    told = Report("a promise", [("clients", "1,000"), ("fetches", "1")])
    for holds in checks:
        told.expect("it is kept", holds=holds)
    return told


def test_a_show_is_right_when_every_sentence_held() -> None:
    assert report(True, True).is_right
    assert not report(True, False).is_right


def test_a_show_without_a_sentence_has_shown_nothing() -> None:
    assert not report().is_right


def test_the_text_has_figures_and_sentences() -> None:
    assert report(True, False).text() == (
        "a promise\n\n  clients  1,000\n  fetches  1\n\n  OK      it is kept\n  FAILED  it is kept\n"
    )


def test_the_page_has_them_as_markdown() -> None:
    assert report(False).markdown() == (
        "| figure | value |\n| --- | ---: |\n| clients | 1,000 |\n| fetches | 1 |\n\n"
        "- **FAILED**: it is kept."
    )
