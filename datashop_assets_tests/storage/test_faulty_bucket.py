"""A bucket that misbehaves: the same command finishes the work, with the same digests."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from datashop_assets.core.step import Resources
from datashop_assets.runner import DatashopRunner
from datashop_assets.storage.folders import Folder
from datashop_assets.storage.root import Root
from datashop_assets_tests.orchestration.workshop import Workshop
from datashop_assets_tests.small import experiment
from datashop_assets_tests.storage.faulty_bucket import Faults, faulty
from resources.compute import LocalCompute

STAGES = ("pretraining_pool", "annotation_sample", "rubric", "decontamination", "pool_tokens")


@pytest.fixture
def pool(tmp_path: Path) -> str:
    return str(Workshop(tmp_path).documents())


def digests(uri: str, pool: str, cache: Path) -> dict[str, tuple[str, str]]:
    """Makes the stages below `uri`; plan and content digest of each."""
    tools, prompts = Resources(compute=LocalCompute()), Path(pool).parent
    runner = DatashopRunner(experiment("tides", pool), Root(uri, str(cache)), tools, prompts)
    made = runner.run(*STAGES)
    return {
        name: (each.output.manifest.plan_digest, each.output.manifest.content_digest) for name, each in made.items()
    }


@pytest.fixture
def expected(pool: str, tmp_path: Path) -> dict[str, tuple[str, str]]:
    return digests(str(tmp_path / "disk"), pool, tmp_path / "cache-of-disk")


def lost_twice() -> Iterator[bool]:
    yield from (True, True)
    while True:
        yield False


@pytest.mark.faults
@pytest.mark.parametrize("kind", ["fails", "is slow", "loses a shard", "loses a receipt", "loses a manifest"])
def test_the_same_command_finishes_the_work(
    kind: str,
    pool: str,
    expected: dict[str, tuple[str, str]],
    gcs_bucket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turns = lost_twice()
    faults = {
        "fails": Faults(fail_every=9),
        "is slow": Faults(delay=0.02),
        "loses a shard": Faults(lose=lambda name: name.endswith(".parquet") and next(turns)),
        "loses a receipt": Faults(lose=lambda name: name.endswith(".parquet.json") and next(turns)),
        "loses a manifest": Faults(lose=lambda name: name.endswith("manifest.json") and next(turns)),
    }[kind]
    with faulty(os.environ["STORAGE_EMULATOR_HOST"], faults) as address:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", address)
        uri = f"{gcs_bucket}/{tmp_path.name}"
        for _ in range(2 if kind.startswith("loses") else 0):
            with pytest.raises(OSError, match="are there; run again"):
                digests(uri, pool, tmp_path / "cache")
        assert digests(uri, pool, tmp_path / "cache") == expected
    assert faults.requests > 50
    assert (faults.failed > 0) == (kind == "fails")
    assert (len(faults.lost) == 2) == kind.startswith("loses")


def test_a_write_that_was_lost_is_named(gcs_bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with faulty(os.environ["STORAGE_EMULATOR_HOST"], Faults(lose=lambda name: True)) as address:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", address)
        with pytest.raises(OSError, match=r"model\.bin: 7 bytes were written and None are there"):
            Folder(f"{gcs_bucket}/{tmp_path.name}").write("model.bin", b"weights")


def test_a_bucket_that_takes_nothing_is_named(gcs_bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Folder(f"{gcs_bucket}/{tmp_path.name}")
    with faulty(os.environ["STORAGE_EMULATOR_HOST"], Faults(closed=True)) as address:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", address)
        for write in (folder.write, folder.create):
            with pytest.raises(OSError, match=r"(?s)model\.bin cannot be written: Forbidden.*let this account write"):
                write("model.bin", b"weights")
        assert folder.names() == []
