from __future__ import annotations

from pathlib import Path

from loadtest.shows.page import write
from loadtest.shows.report import Report


def report(title: str, value: str) -> Report:
    told = Report(title, [("fetches", value)])
    told.expect("it is kept", holds=True)
    return told


def test_a_section_is_replaced_and_the_others_stay(tmp_path: Path) -> None:
    page = tmp_path / "shows.md"
    write(page, {"one": report("first", "1"), "two": report("second", "2")}, "Today.")
    write(page, {"one": report("first", "3")}, "Tomorrow.")
    text = page.read_text()
    assert text.startswith("# Shows\n")
    assert text.count("<!-- begin: show") == text.count("<!-- end: show") == 2
    assert "`make show WHAT=one`. Tomorrow.\n\n| figure | value |\n| --- | ---: |\n| fetches | 3 |" in text
    assert "`make show WHAT=two`. Today." in text
    assert "| fetches | 1 |" not in text
