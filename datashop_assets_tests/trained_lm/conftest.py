"""A pool, its tokens and a control, made once for all tests of this room."""

from pathlib import Path

import pytest

from datashop_assets.storage.stage_folder import StageFolder
from datashop_assets.trained_lm.training_pool import TrainingPool
from datashop_assets_tests.small_lm import decontaminate, make_filtered, make_pool, make_tokens, train_control


@pytest.fixture(scope="session")
def lm_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lm")


@pytest.fixture(scope="session")
def pool(lm_root: Path) -> StageFolder:
    return make_pool(lm_root)


@pytest.fixture(scope="session")
def tokens(lm_root: Path, pool: StageFolder) -> StageFolder:
    return make_tokens(lm_root, pool)


@pytest.fixture(scope="session")
def sums(lm_root: Path, pool: StageFolder) -> StageFolder:
    """A filtered pool that keeps what is a sum."""
    return make_filtered(lm_root, pool, lambda row: row["source"] == "sums")


@pytest.fixture(scope="session")
def training_pool(lm_root: Path, pool: StageFolder, tokens: StageFolder) -> TrainingPool:
    """What may be trained on: of these documents, all of the split `train`."""
    return TrainingPool(tokens, decontaminate(lm_root, pool))


@pytest.fixture(scope="session")
def control(lm_root: Path, training_pool: TrainingPool) -> StageFolder:
    return train_control(lm_root, training_pool)
