"""A pool and an encoder, made once for all tests that score and filter it in processes."""

from pathlib import Path

import pytest

from datashop_assets.core.step import Resources
from datashop_assets.storage.root import Root
from datashop_assets_tests.filtered_pool import both_stages
from datashop_assets_tests.filtered_pool.runs import contents

SHARDS = 8
WHOLE = "whole"


@pytest.fixture
def both_root(both_inputs: Path, tmp_path: Path) -> Path:
    """A folder of a test's own with the inputs of both stages, and what an uninterrupted run makes of them."""
    for place in both_inputs.iterdir():
        (tmp_path / place.name).symlink_to(place)
    return tmp_path


@pytest.fixture(scope="session")
def both_inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("both")
    both_stages.prepare(root, SHARDS)
    both_stages.make_both(root, Root(str(root / WHOLE)), Resources())
    return root


@pytest.fixture
def whole(both_inputs: Path) -> dict[str, str]:
    """Content digests of an uninterrupted run in one process."""
    return contents(both_inputs / WHOLE)
