from __future__ import annotations

from pathlib import Path

import pytest

from loadtest.bench import report
from loadtest.bench.report import Section, surroundings, table, write


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "docs" / "benchmarks.md"
    monkeypatch.setattr(report, "PAGE", path)
    return path


def test_a_table_is_markdown() -> None:
    assert table(("server", "ms"), [("a", "1")]) == "| server | ms |\n| --- | ---: |\n| a | 1 |"


def test_sections_are_written_between_their_marks_and_replaced(page: Path) -> None:
    for name, text in (("herd", "first"), ("memory", "kept"), ("herd", "second")):
        section = Section(name, name, text)
        write(section, section.markdown("here"))
    written = page.read_text()
    assert written.startswith("# Benchmarks")
    assert "first" not in written
    assert written.index("second") < written.index("kept")
    assert written.count("<!-- begin: bench herd -->") == written.count("<!-- end: bench herd -->") == 1


def test_what_people_wrote_around_the_marks_stays(page: Path) -> None:
    section = Section("herd", "Herds", "figures")
    write(section, section.markdown("here"))
    page.write_text("Before.\n" + page.read_text() + "After.\n")
    write(section, section.markdown("there"))
    written = page.read_text()
    assert written.startswith("Before.\n")
    assert written.endswith("After.\n")
    assert "there" in written


def test_the_surroundings_name_versions_and_what_else_ran() -> None:
    text = surroundings(["Varnish 7.1.1"], 1.5)
    assert "Varnish 7.1.1" in text
    assert "Load average before the run: 1.50" in text
