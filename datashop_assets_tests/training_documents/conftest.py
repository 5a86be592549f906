"""A pool and what is drawn from it, made once for all tests of this package."""

import pytest

from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets_tests.small_lm import TokenizedPool, make_pool, tokenize_pool


@pytest.fixture(scope="session")
def pool(tmp_path_factory: pytest.TempPathFactory) -> StageFolder:
    return make_pool(tmp_path_factory.mktemp("pool"))


@pytest.fixture(scope="session")
def tokenized(tmp_path_factory: pytest.TempPathFactory, pool: StageFolder) -> TokenizedPool:
    return tokenize_pool(tmp_path_factory.mktemp("tokenized"), pool)
