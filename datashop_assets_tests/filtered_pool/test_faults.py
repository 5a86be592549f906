"""What goes wrong around scoring and filtering: a clear error or a clean wait, and nothing is lost."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import zstandard

from datashop_assets.core.step import Resources
from datashop_assets.storage.root import Root
from datashop_assets_tests.filtered_pool.both_stages import make_both
from datashop_assets_tests.filtered_pool.runs import Runs, contents, runs
from datashop_assets_tests.storage.faulty_bucket import Faults, faulty

pytestmark = pytest.mark.faults

FULL = """
import json, subprocess, sys
from pathlib import Path
from datashop_assets.core.step import Resources
from datashop_assets.storage.root import Root
from datashop_assets_tests.filtered_pool.both_stages import make_both
root, place, options = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", place], check=True)
try:
    make_both(root, Root(place), Resources())
except OSError as error:
    print(error)
subprocess.run(["mount", "-o", "remount,rw,size=64m", place], check=True)
print(json.dumps({name: made.content_digest for name, made in make_both(root, Root(place), Resources()).items()}))
"""
NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("size=8k", "No space left on device"),  # the verdicts of checks and no more
        ("size=100k", "No space left on device"),  # some shards' scores
        ("size=240k", "No space left on device"),  # all scores, some kept documents
        ("ro", "Read-only file system"),
    ],
)
def test_a_disk_that_is_full_or_closed_is_named_and_once_put_right_the_work_goes_on(
    both_root: Path, whole: dict[str, str], options: str, told: str
) -> None:
    if shutil.which("unshare") is None or subprocess.run([*NAMESPACE, "true"], check=False).returncode:
        pytest.skip("this machine lets nobody mount a disk of their own")
    (place := both_root / "disk").mkdir()
    command = [*NAMESPACE, sys.executable, "-c", FULL, str(both_root), str(place), options]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    error, made = done.stdout.splitlines()
    assert f"cannot be written: {told}. Make room there" in error
    assert (re.search(r"\([\d,]+ bytes are free", error) is None) is (options == "ro")
    assert str(place) in error
    assert json.loads(made) == whole


@pytest.mark.parametrize("kind", ["gcs_bucket", "s3_bucket"])
def test_a_bucket_holds_what_a_disk_does(
    both_root: Path, whole: dict[str, str], kind: str, request: pytest.FixtureRequest
) -> None:
    root = Root(f"{request.getfixturevalue(kind)}/{both_root.name}", str(both_root / "cache-of-bucket"))
    made = make_both(both_root, root, Resources())
    assert {name: manifest.content_digest for name, manifest in made.items()} == whole


def test_a_bucket_that_takes_nothing_is_named_and_once_opened_the_work_goes_on(
    both_root: Path, whole: dict[str, str], gcs_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = Faults(closed=True)
    root = Root(f"{gcs_bucket}/{both_root.name}", str(both_root / "cache-of-bucket"))
    with faulty(os.environ["STORAGE_EMULATOR_HOST"], faults) as address:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", address)
        with pytest.raises(OSError, match=r"(?s)cannot be written: Forbidden.*let this account write"):
            make_both(both_root, root, Resources())
        faults.closed = False
        made = make_both(both_root, root, Resources())
    assert {name: manifest.content_digest for name, manifest in made.items()} == whole


def test_two_runs_at_once_make_each_stage_once(both_root: Path, whole: dict[str, str]) -> None:
    with runs(both_root) as one, runs(both_root) as other:
        for both in (one, other):
            both.begin("shared")
        assert [one.end(), other.end()] == [0, 0]
    assert contents(both_root / "shared") == whole
    assert not list((both_root / "shared").glob("stages/*/*/lease*"))


def refused(both: Runs, capfd: pytest.CaptureFixture[str]) -> str:
    """What a run says that ends in an error."""
    both.begin("put-right")
    assert both.end() == 1
    return capfd.readouterr().err


def test_a_file_that_is_cut_short_gone_or_changed_is_named_and_once_put_right_the_work_goes_on(
    both_inputs: Path, both_root: Path, whole: dict[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    file = both_inputs / "files" / "part-5.jsonl.zst"
    before = file.read_bytes()
    with runs(both_root) as both:
        file.write_bytes(before[: len(before) // 2])
        assert "part-5.jsonl.zst is not the file that was indexed: row" in refused(both, capfd)
        file.unlink()
        assert "part-5.jsonl.zst" in refused(both, capfd)
        file.write_bytes(before)
        both.whole("put-right")
    assert contents(both_root / "put-right") == whole


def test_a_shard_that_changes_between_scoring_and_filtering_is_named(
    both_inputs: Path, both_root: Path, whole: dict[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    file = both_inputs / "files" / "part-5.jsonl.zst"
    before = file.read_bytes()
    shutil.copytree(both_root / "whole", both_root / "put-right")
    shutil.rmtree(both_root / "put-right" / "stages" / "filtered_pool")
    with runs(both_root) as both:
        file.write_bytes(with_another_text(before, left_out(both_root)))
        assert "part-5.jsonl.zst is not the file that was indexed: row" in refused(both, capfd)
        file.write_bytes(before)
        both.whole("put-right")
    assert contents(both_root / "put-right") == whole


def left_out(root: Path) -> int:
    """A row of that shard which is not kept."""
    [place] = root.glob("whole/stages/filtered_pool/*/part-5.parquet")
    return int(pl.read_parquet(place).filter(~pl.col("kept"))["row"][0])


def with_another_text(data: bytes, row: int) -> bytes:
    lines = zstandard.ZstdDecompressor().decompressobj().decompress(data).splitlines(keepends=True)
    lines[row] = lines[row].replace(b"e", b"E", 3)
    return zstandard.compress(b"".join(lines))


def test_scores_that_have_lost_a_shard_are_set_aside_and_made_again_which_is_said(
    both_root: Path, whole: dict[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(both_root / "whole", both_root / "put-right")
    shutil.rmtree(both_root / "put-right" / "stages" / "filtered_pool")
    [lost] = (both_root / "put-right").glob("stages/pool_scores/*/part-3.parquet")
    lost.unlink()
    with runs(both_root) as both:
        both.whole("put-right")
    assert "has lost part-3.parquet. It was moved to" in capfd.readouterr().err
    assert contents(both_root / "put-right") == whole
