"""How many cores a process may use, with an affinity mask and on systems that have none."""

import os

import pytest

from datashop_assets.machine import cores
from datashop_assets.storage.root import project

CODE = ("datashop_assets", "resources", "infra")


def test_the_affinity_mask_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {2, 5, 7}, raising=False)
    assert cores() == 3


def test_without_an_affinity_mask_all_cores_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert cores() == 6
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores() == 1


def test_no_other_module_asks_for_the_affinity_mask() -> None:
    """Systems that have none would end it with an `AttributeError`."""
    modules = (path for folder in CODE for path in (project() / folder).rglob("*.py"))
    asking = [str(path.relative_to(project())) for path in modules if "sched_getaffinity" in path.read_text("utf-8")]
    assert asking == ["datashop_assets/machine.py"]
