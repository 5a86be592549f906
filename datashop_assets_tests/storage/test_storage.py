"""Shards, manifests and folders: whole or not there, on a disk and in a bucket."""

import errno
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import fsspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.storage.digests import RowsDigest, digest_of, unit_hash
from datashop_assets.storage.folders import Folder, checked_name
from datashop_assets.storage.leases import Held, LostLeaseError, Owner, lease
from datashop_assets.storage.manifest import MANIFEST, Manifest, content_digest
from datashop_assets.storage.root import Root
from datashop_assets.storage.scratch import remove_scratch, scratch_folder
from datashop_assets.storage.shards import BATCH_ROWS, read_frames, read_rows, write_frames
from datashop_assets.storage.stage_folder import DamagedStageError, StageFolder
from datashop_assets.storage.stage_writer import StageWriter

ROWS = [{"id": f"d{i}", "text": "naïve ∑ text\n" * i, "score": i / 7} for i in range(20)]
SCHEMA = {"id": pl.String, "text": pl.String, "score": pl.Float64}


@pytest.fixture(params=["disk", "memory bucket", "gcs bucket", "s3 bucket"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    if request.param == "disk":
        return Folder(str(tmp_path / "stage"))
    if request.param == "memory bucket":
        return Folder(f"memory://{tmp_path.name}/stage")
    bucket = request.getfixturevalue(f"{request.param.split()[0]}_bucket")
    return Folder(f"{bucket}/{tmp_path.name}/stage")


def finish(folder: Folder, scratch: Path, model: bytes = b"weights") -> StageFolder:
    """A small finished stage: two shards, a file, and a folder of two files."""
    writer = StageWriter(folder, scratch)
    writer.write_rows("a.jsonl.zst", ROWS)
    writer.write_rows("b.parquet", ROWS, SCHEMA)
    writer.put_bytes("model.bin", model)
    writer.put_bytes("model/config.json", b"{}")
    writer.put_bytes("model/weights.bin", model)
    files = writer.files()
    writer.close(
        Manifest(
            stage="tests",
            plan_digest="p",
            content_digest=content_digest(files),
            code_version="1",
            config={},
            inputs={},
            files=files,
            metrics={},
            seconds=0.0,
            finished_at="",
            versions={},
            machine={},
        )
    )
    return StageFolder(folder)


def test_rows_come_back_as_they_were_written(folder: Folder, tmp_path: Path) -> None:
    stage = finish(folder, tmp_path / "scratch")
    assert list(stage.rows("a.jsonl.zst")) == ROWS
    assert list(stage.rows("b.parquet")) == ROWS
    assert stage.table("b.parquet").to_dicts() == ROWS
    assert stage.file("model.bin").read_bytes() == b"weights"
    assert [shard.rows for shard in stage.shards] == [20, 20]


def test_what_another_process_writes_is_seen_after_a_listing(folder: Folder) -> None:
    """A bucket's client keeps listings, by which a file of a moment ago is not there, or is of its size before."""
    folder.write("a.txt", b"first")
    folder.write("below/b.txt", b"first")
    other, place = fsspec.core.url_to_fs(folder.uri, skip_instance_cache=True)
    for number, listing in enumerate([folder.names, folder.folders, folder.child("below").names]):
        listing()
        name = f"below/{number}.txt"
        assert not folder.exists(name)
        for written in (b"12345", b"123456789"):
            other.pipe_file(f"{place}/{name}", written)
            assert folder.exists(name)
            assert folder.size(name) == len(written)
            assert folder.read(name) == written
        assert name in folder.names()


def test_a_stage_that_is_made_again_is_read_anew(folder: Folder, tmp_path: Path) -> None:
    assert finish(folder, tmp_path / "scratch").file("model.bin").read_bytes() == b"weights"
    again = finish(folder, tmp_path / "scratch", b"others!")
    assert again.file("model.bin").read_bytes() == b"others!"


def test_files_of_one_folder_are_read_side_by_side(folder: Folder, tmp_path: Path) -> None:
    """As a model's configuration and weights must be, also where they are copies out of a bucket."""
    files = finish(folder, tmp_path / "scratch").files("model/")
    (place,) = {file.parent for file in files.values()}
    assert sorted(file.name for file in place.iterdir()) == ["config.json", "weights.bin"]


def test_the_content_digest_is_of_rows_not_of_formats(folder: Folder, tmp_path: Path) -> None:
    stage = finish(folder, tmp_path / "scratch")
    expected = RowsDigest()
    for row in ROWS:
        expected.add(row)
    assert {file.content for file in stage.shards} == {expected.hexdigest()}


def test_a_stage_without_manifest_is_refused(folder: Folder, tmp_path: Path) -> None:
    StageWriter(folder, tmp_path).write_rows("a.jsonl.zst", ROWS)
    with pytest.raises(DamagedStageError, match="not finished"):
        StageFolder(folder).check()


def test_a_missing_shard_is_refused_by_name(folder: Folder, tmp_path: Path) -> None:
    stage = finish(folder, tmp_path / "scratch")
    folder.remove("b.parquet")
    with pytest.raises(DamagedStageError, match=r"lost b\.parquet"):
        stage.check()
    with pytest.raises(DamagedStageError, match=r"lost b\.parquet"):
        next(stage.rows("b.parquet"))


def test_an_altered_shard_is_refused_by_name(folder: Folder, tmp_path: Path) -> None:
    stage = finish(folder, tmp_path / "scratch")
    data = bytearray(folder.read("a.jsonl.zst"))
    data[len(data) // 2] ^= 1
    folder.write("a.jsonl.zst", bytes(data))
    with pytest.raises(DamagedStageError, match=r"a\.jsonl\.zst was altered"):
        next(stage.rows("a.jsonl.zst"))
    folder.write("a.jsonl.zst", bytes(data[:-3]))
    with pytest.raises(DamagedStageError, match=r"a\.jsonl\.zst has"):
        stage.check()


def test_an_unreadable_manifest_is_refused(folder: Folder, tmp_path: Path) -> None:
    stage = finish(folder, tmp_path / "scratch")
    manifest = json.loads(folder.read(MANIFEST))
    folder.write(MANIFEST, json.dumps({**manifest, "files": "none"}).encode())
    with pytest.raises(DamagedStageError, match="cannot be read"):
        StageFolder(stage.folder).check()


def test_writing_that_fails_leaves_the_old_file_and_no_trace(folder: Folder) -> None:
    folder.write("file", b"old")

    def write_half() -> None:
        with folder.writing("file") as file:
            file.write(b"half of the n")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_half()
    assert folder.read("file") == b"old"
    assert folder.names() == ["file"]


def test_what_a_killed_process_left_half_written_has_no_name_and_is_swept(tmp_path: Path) -> None:
    folder, writer = Folder(str(tmp_path / "stage")), StageWriter(Folder(str(tmp_path / "stage")), tmp_path)
    writer.begin({"input": "one"})
    left = [tmp_path / "stage" / name for name in (".a.parquet.0f", "documents/.a.jsonl.zst.0f", ".lease.json.0f")]
    for file in left:
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"half")
    assert folder.names() == ["receipts/begun"]
    writer.begin({"input": "one"})
    assert [file.exists() for file in left] == [False, False, True]  # a lease is another run's, written just now
    writer.begin({"input": "another"})
    assert folder.names() == ["receipts/begun"]


def test_a_half_written_record_of_what_was_made_is_no_record(tmp_path: Path) -> None:
    root = Root(str(tmp_path))
    root.record_made("tides", "rubric", "digest")
    (tmp_path / "prompts" / "tides" / "made" / ".encoder.0f").write_bytes(b"half")
    assert root.stages_made("tides") == {"rubric"}


def test_a_place_that_is_no_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "stage").write_bytes(b"a file")
    folder = Folder(str(tmp_path / "stage"))
    for write in (folder.write, folder.create):
        with pytest.raises(OSError, match=r"stage/a\.bin cannot be written: Not a directory"):
            write("a.bin", b"")


@pytest.mark.parametrize("reason", [errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EACCES])
@pytest.mark.parametrize("call", ["mkdir", "open", "replace"])
def test_a_disk_that_takes_nothing_is_named_whichever_call_it_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, reason: int
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(reason, os.strerror(reason), "a name that nobody knows")

    folder = Folder(str(tmp_path / "stage"))
    with monkeypatch.context() as patch:
        patch.setattr(Path, call, refused)
        with pytest.raises(OSError, match=rf"stage/a\.bin cannot be written: {os.strerror(reason)}\. Make room"):
            folder.write("a.bin", b"")
    assert folder.names() == []


# Not in the GCS bucket: the emulator does not enforce `if_generation_match`.
def test_a_table_is_read_a_part_at_a_time(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    frames = (pl.DataFrame({"id": [random.bytes(64).hex() for _ in range(BATCH_ROWS)]}) for _ in range(8))
    with (path := tmp_path / "a.parquet").open("wb") as file:
        write_frames(file, frames, {"id": pl.String})
    for read in (lambda: read_frames(file, ["id"]), lambda: read_rows("a.parquet", file)):
        with Counted(path) as file:
            next(iter(read()))
            assert 0 < file.taken < path.stat().st_size / 2


class Counted(io.FileIO):
    """A file that counts the bytes which are read of it."""

    taken = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.taken += len(data)
        return data


@pytest.mark.parametrize("folder", ["disk", "memory bucket", "s3 bucket"], indirect=True)
def test_a_file_is_created_once(folder: Folder) -> None:
    assert folder.create("lease", b"first")
    assert not folder.create("lease", b"second")
    assert folder.read("lease") == b"first"


def test_a_resumed_writer_knows_what_is_finished(folder: Folder, tmp_path: Path) -> None:
    StageWriter(folder, tmp_path).write_rows("a.jsonl.zst", ROWS)
    resumed = StageWriter(folder, tmp_path)
    assert resumed.finished("a.jsonl.zst")
    assert not resumed.finished("b.jsonl.zst")


def test_volatile_columns_are_kept_and_not_digested(folder: Folder, tmp_path: Path) -> None:
    writer = StageWriter(folder, tmp_path)
    quick = writer.write_rows("a.jsonl.zst", [{"id": "x", "seconds": 1.0}], volatile=("seconds",))
    slow = writer.write_rows("b.jsonl.zst", [{"id": "x", "seconds": 2.0}], volatile=("seconds",))
    assert quick.content == slow.content
    assert quick.checksum != slow.checksum


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.lists(st.dictionaries(st.text(), JSON, max_size=4), max_size=20))
def test_any_json_row_survives_a_shard(rows: list[dict[str, object]]) -> None:
    folder = Folder("memory://wild")
    StageWriter(folder, Path("/nonexistent")).write_rows("a.jsonl.zst", rows)
    from datashop_assets.storage.shards import read_rows

    with folder.open("a.jsonl.zst") as file:
        assert list(read_rows("a.jsonl.zst", file)) == rows


@given(JSON)
def test_a_digest_does_not_depend_on_the_order_of_keys(value: object) -> None:
    assert digest_of({"a": value, "b": 1}) == digest_of({"b": 1, "a": value})


@given(st.text(), st.text())
def test_a_unit_hash_lies_in_the_unit_interval(key: str, name: str) -> None:
    assert 0 <= unit_hash(key, name) < 1


@pytest.mark.parametrize("name", ["../up", "a/../b", "/absolute", "", "a//b", "a b", ".hidden", "a\x00", "a/"])
def test_a_name_that_could_leave_its_folder_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot name a file"):
        checked_name(name)


HOLDER = """
import sys, time
from datashop_assets.storage.folders import Folder
from datashop_assets.storage.leases import LostLeaseError, lease
with lease(Folder(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lease of `tmp_path`."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_lease_is_waited_for_and_a_dead_owner_does_not_keep_it(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    killer = subprocess.Popen(
        [sys.executable, "-c", f"import time, os; time.sleep(2); os.kill({holder.pid}, {signal.SIGKILL})"]
    )
    started = time.monotonic()
    while holder.poll() is None and time.monotonic() - started < 1:
        time.sleep(0.1)
    assert holder.poll() is None
    reaper = threading.Thread(target=holder.wait)  # as init would: else the dead process stays a zombie
    reaper.start()
    with lease(Folder(str(tmp_path))) as held:
        assert held.waited
    assert time.monotonic() - started < 20
    killer.wait()
    reaper.join()
    assert list(tmp_path.iterdir()) == []


def test_a_writer_whose_lease_was_taken_over_puts_nothing_in_place(folder: Folder, tmp_path: Path) -> None:
    """As of a run that was stopped (Ctrl-Z, a machine asleep) for longer than a lease lasts, and then went on."""
    (tmp_path / "file").write_bytes(b"late")
    with lease(folder) as held:
        late = StageWriter(folder, tmp_path / "scratch", held.holder)
        late.write_rows("a.jsonl.zst", ROWS)
        folder.write("lease.json", json.dumps({"id": "another"}).encode())
        manifest = finish(folder, tmp_path / "scratch").manifest
        there = {name: folder.checksum(name) for name in folder.names()}
        for write in (
            lambda: late.write_rows("b.parquet", ROWS[:1], SCHEMA),
            lambda: late.write_frames("c.parquet", [pl.DataFrame(ROWS, SCHEMA)], SCHEMA),
            lambda: late.put_bytes("model.bin", b"late"),
            lambda: late.put_file("model.bin", tmp_path / "file"),
            lambda: late.close(manifest),
        ):
            with pytest.raises(LostLeaseError, match=r"lost its lease of .* to process 0 on an unknown machine"):
                write()
    assert {name: folder.checksum(name) for name in folder.names()} == there


@pytest.mark.parametrize("left", [b"", b"\0" * 90, b"[]", b'{"id": "x"'])
@pytest.mark.parametrize("name", ["lease.json", "claim-nobody.json"])
def test_a_lease_that_cannot_be_read_is_taken_over(tmp_path: Path, left: bytes, name: str) -> None:
    """As a machine leaves it that lost its power."""
    folder = Folder(str(tmp_path))
    folder.write("lease.json", b"")
    folder.write(name, left)
    with lease(folder) as held:
        assert json.loads(folder.read("lease.json"))["id"] == held.holder
    assert folder.names() == []


def test_a_heart_goes_on_beating_after_a_beat_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beats: list[bytes] = []

    def write(folder: Folder, name: str, data: bytes) -> None:
        beats.append(data)
        raise RuntimeError("503, as a bucket's client says it")

    monkeypatch.setattr("datashop_assets.storage.leases.BEATS", 0.01)
    monkeypatch.setattr(Folder, "write", write)
    with lease(Folder(str(tmp_path))):
        while len(beats) < 3:
            time.sleep(0.01)


def test_a_lease_elsewhere_runs_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Folder(str(tmp_path))
    """Also where its owner's clock was ahead: a time in it is nothing that a waiter goes by."""
    owner = {"id": "x", "machine": "other ", "process": 1, "prompt": "tides", "since": "2030-01-01 00:00:00 UTC"}
    folder.write("lease.json", json.dumps({**owner, "beat": 4070908800.0}).encode())
    monkeypatch.setattr("datashop_assets.storage.leases.EXPIRES", 1.0)
    started, said = time.monotonic(), list[str]()
    with lease(folder, say=said.append) as held:
        assert (held.waited, held.rival) == (True, False)
    assert time.monotonic() - started >= 1
    who = "process 1 on other for 'tides' since 2030-01-01 00:00:00 UTC"
    assert said == [f"waits for {who}, which makes {folder.uri}", f"takes over {folder.uri} from {who}, which is dead"]


def test_an_owner_whose_heart_beats_is_waited_for_whatever_its_clock_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datashop_assets.storage.leases.EXPIRES", 0.6)
    folder, stop = Folder(str(tmp_path)), threading.Event()
    owner = Owner(id="x", machine="other ", process=1, since="1970-01-01 00:00:00 UTC")

    def beat() -> None:
        for count in range(16):
            folder.write("lease.json", owner.model_copy(update={"beat": count}).model_dump_json().encode())
            time.sleep(0.1)
        stop.set()
        folder.remove("lease.json")

    folder.write("lease.json", owner.model_dump_json().encode())
    beating = threading.Thread(target=beat)
    beating.start()
    with lease(folder) as held:
        assert stop.is_set(), "it has stopped beating by itself"
        assert (held.waited, held.rival) == (True, False)
    beating.join()


SLEEPER = """
import sys, time
from pathlib import Path
from datashop_assets.storage import leases
from datashop_assets.storage.folders import Folder
from datashop_assets.storage.stage_writer import StageWriter
leases.BEATS = 0.1
folder = Folder(sys.argv[1])
with leases.lease(folder) as held:
    writer = StageWriter(folder, Path(sys.argv[2]), held.holder)
    writer.begin({})
    print("held", flush=True)
    sys.stdin.readline()
    try:
        writer.put_bytes("late", b"")
    except leases.LostLeaseError as error:
        print(error)
"""


def test_a_process_stopped_for_longer_than_its_lease_says_to_whom_it_lost_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datashop_assets.storage.leases.EXPIRES", 1.0)
    folder, pipes = Folder(str(tmp_path / "stage")), {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    command = [sys.executable, "-c", SLEEPER, folder.uri, str(tmp_path / "scratch")]
    with subprocess.Popen(command, text=True, **pipes) as sleeper:
        assert sleeper.stdout is not None
        assert sleeper.stdout.readline() == "held\n"
        os.kill(sleeper.pid, signal.SIGSTOP)
        with lease(folder, "tides") as held:
            assert (held.waited, held.rival) == (True, True)
            os.kill(sleeper.pid, signal.SIGCONT)
            said, _ = sleeper.communicate("go on\n", timeout=30)
    assert (
        f"lost its lease of {folder.uri} to process {os.getpid()} on {socket.gethostname()} for 'tides' since" in said
    )
    assert sleeper.returncode == 0


def test_a_scratch_folder_passes_from_the_dead_to_the_living_and_is_not_shared_with_who_may_come_back(
    tmp_path: Path,
) -> None:
    base = tmp_path / "digest"
    first = scratch_folder(base, Held("a" * 32, waited=False))
    assert first == base
    assert scratch_folder(base, Held("b" * 32, waited=True)) == base, "of a process that was killed"
    taken = scratch_folder(base, Held("c" * 32, waited=True, rival=True))
    assert taken == tmp_path / "digest.cccccccc"
    assert scratch_folder(base, Held("d" * 32, waited=False)) == taken, "the first may still come back"
    remove_scratch(base)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", [b"", b"{}", b"half"])
def test_a_file_that_is_not_what_its_receipt_says_is_not_finished(tmp_path: Path, damage: bytes) -> None:
    writer = StageWriter(Folder(str(tmp_path / "stage")), tmp_path / "scratch")
    writer.put_bytes("a.bin", b"whole")
    assert writer.finished("a.bin")
    writer.folder.write("a.bin", b"whol")
    assert not writer.finished("a.bin")
    writer.folder.write("a.bin", b"whole")
    writer.folder.write("receipts/a.bin.json", damage)
    assert not writer.finished("a.bin")
    with pytest.raises(
        DamagedStageError, match=r"stage/receipts/a\.bin\.json cannot be read: .*remove /.*/stage; `datashop run"
    ):
        writer.files()


def test_what_somebody_put_into_an_unfinished_stage_stops_nothing(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path / "stage"))
    writer = StageWriter(folder, tmp_path / "scratch")
    writer.begin({"input": "one"})
    writer.put_bytes("a.bin", b"whole")
    for stray in ("my notes.txt", "receipts/my notes.json", "receipts/other.json", "receipts/README", "~lock"):
        (tmp_path / "stage" / stray).write_text("{}")
    assert [file.name for file in writer.files()] == ["a.bin"]
    writer.begin({"input": "another"})
    assert writer.files() == ()
    assert (tmp_path / "stage" / "my notes.txt").exists(), "what is not ours is left alone"


def test_what_somebody_put_beside_the_records_of_what_was_made_stops_nothing(tmp_path: Path) -> None:
    root = Root(str(tmp_path))
    root.record_made("tides", "rubric", "0" * 32)
    made = tmp_path / "prompts" / "tides" / "made"
    (made / "my notes.txt").write_text("a note")
    (made / "encoder").write_bytes(b"\xff half of a dig")
    assert root.stages_made("tides") == {"encoder", "rubric"}
    assert root.last_made("tides", "rubric") == root.stage("rubric", "0" * 32)
    assert root.last_made("tides", "encoder") is None
    assert root.last_made("tides", "evaluation") is None


def test_a_name_that_no_file_can_have_is_refused_with_its_folder() -> None:
    with pytest.raises(ValueError, match=r"/somewhere/stage: 'my notes\.txt' cannot name a file"):
        Folder("/somewhere/stage").read("my notes.txt")


@pytest.mark.parametrize("data", [b"", b"\r", b"a\r", b"a\n", b"a\r\n", b"\n\n--==0==", bytes(range(256)) + b"\r"])
def test_a_bucket_keeps_every_byte(gcs_bucket: str, tmp_path: Path, data: bytes) -> None:
    folder = Folder(f"{gcs_bucket}/{tmp_path.name}")
    folder.write("bytes", data)
    assert folder.read("bytes") == data
