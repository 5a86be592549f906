from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from datashop_assets_tests.dagster_door.workshop import Workshop


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    (tmp_path / "prompts").mkdir()
    return Workshop(tmp_path)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as instance:
        yield instance
