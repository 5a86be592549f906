"""What the pages say of inputs is what the tests assert."""

import pytest

from datashop_assets.storage.root import project
from datashop_assets_tests.documentation.handled_pages import PAGES, file_of
from datashop_assets_tests.handled_inputs import Page, markdown


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_is_what_its_tables_make(page: Page) -> None:
    fix = "run python -m datashop_assets_tests.documentation.handled_pages"
    assert file_of(page).read_text(encoding="utf-8") == markdown(page), fix


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_is_in_the_menu(page: Page) -> None:
    assert page.name in (project() / "mkdocs.yml").read_text(encoding="utf-8")
