"""A pool, its tokens and a control, made once for all tests of this package."""

from pathlib import Path

import pytest

from datashop_assets.core.step import StepOutput
from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.trained_lm.results import ControlLMResult
from datashop_assets_tests.small_lm import TokenizedPool, make_filtered, make_pool, tokenize_pool, train_control


@pytest.fixture(scope="session")
def lm_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lm")


@pytest.fixture(scope="session")
def pool(lm_root: Path) -> StageFolder:
    return make_pool(lm_root)


@pytest.fixture(scope="session")
def sums(lm_root: Path, pool: StageFolder) -> StageFolder:
    """A filtered pool that keeps what is a sum."""
    return make_filtered(lm_root, pool, lambda row: row["source"] == "sums")


@pytest.fixture(scope="session")
def tokenized(lm_root: Path, pool: StageFolder) -> TokenizedPool:
    return tokenize_pool(lm_root, pool)


@pytest.fixture(scope="session")
def control(lm_root: Path, tokenized: TokenizedPool) -> StepOutput[ControlLMResult]:
    return train_control(lm_root, tokenized)
