from __future__ import annotations

from pathlib import Path

from proxy.config.docs import REFERENCE_FILE, SETTINGS_PAGE, main, settings_page
from proxy.config.settings import Config
from proxy.config.shape import sections_of

ROOT = Path(__file__).parents[2]


def test_the_settings_page_is_up_to_date() -> None:
    assert (ROOT / SETTINGS_PAGE).read_text() == settings_page(), "run python -m proxy.config.docs"


def test_the_settings_page_has_every_setting() -> None:
    page = settings_page()
    for path, model in sections_of(Config):
        section = page.split(f"\n## {f'`{path}`' if path else 'The file'}\n")[1].split("\n## ")[0]
        for name in model.model_fields:
            assert f"| `{name}` |" in section, f"{path}.{name}"


def test_both_files_are_written_below_the_directory_named(tmp_path: Path) -> None:
    assert main([str(tmp_path)]) == 0
    for path in (SETTINGS_PAGE, REFERENCE_FILE):
        assert (tmp_path / path).read_text() == (ROOT / path).read_text()
