"""The pages of `docs/` that are made from the tests' own tables.

`python -m datashop_assets_tests.documentation.handled_pages` writes them. To add a page, put its tables beside the
tests that use them (see `handled_inputs`) and name it in `PAGES` and in `mkdocs.yml`.
"""

from collections.abc import Sequence
from pathlib import Path

from datashop_assets.storage.root import project
from datashop_assets_tests.annotator.behaviours import SERVERS
from datashop_assets_tests.asking.reply_examples import REPLIES
from datashop_assets_tests.documents.handled_files import FILES
from datashop_assets_tests.handled_inputs import Page, markdown

PAGES: Sequence[Page] = (REPLIES, FILES, SERVERS)


def file_of(page: Page) -> Path:
    return project() / "docs" / page.name


if __name__ == "__main__":
    for page in PAGES:
        file_of(page).write_text(markdown(page), encoding="utf-8")
