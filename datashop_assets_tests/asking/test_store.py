"""The answer store: whole or not there, checked on read, shared by any number of writers."""

import multiprocessing
import threading
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import pytest

from datashop_assets.asking import store as parts
from datashop_assets.asking.store import AnswerStore, AnswerWriter, answers_in_order, from_line, key_of, to_line
from datashop_assets.protocols.annotator import Answer, Ended
from datashop_assets.storage.folders import Folder


@pytest.fixture(params=["disk", "gcs bucket"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    if request.param == "disk":
        return Folder(str(tmp_path / "answers"))
    return Folder(f"{request.getfixturevalue('gcs_bucket')}/{tmp_path.name}/answers")


def answer(key: str, raw: str = "Final score: 3") -> Answer:
    return Answer(key, Ended.COMPLETE, "", raw, {"a": 0.25, "b": 0.75}, "naïve ∑", False, 3, 4, 0.5, "here")


def keep(folder: Folder, keys: Iterable[str], raw: str = "Final score: 3") -> None:
    with AnswerWriter(AnswerStore(folder)) as writer:
        for key in keys:
            writer.add(to_line(key, answer(key, raw)))


def names(count: int, beginning: str = "d") -> list[str]:
    return [f"{beginning}{place}" for place in range(count)]


def test_what_was_kept_is_read_as_it_was(folder: Folder) -> None:
    keep(folder, names(100))
    lines = dict(AnswerStore(folder).lines())
    assert lines.keys() == set(names(100))
    assert from_line(lines["d7"]) == answer("d7")


def test_a_damaged_part_is_named_set_aside_and_its_answers_are_gone(
    folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    keep(folder, names(64, "a"))
    keep(folder, names(64, "b"))
    part = next(name for name in folder.names() if b"a0" in _lines(folder, name)[0])
    data = bytearray(folder.read(part))
    data[len(data) // 2] ^= 1
    folder.write(part, bytes(data))
    store = AnswerStore(folder)
    assert store.keys() == set(names(64, "b"))
    assert store.damaged == [part]
    (said,) = [record.getMessage() for record in caplog.records if record.name == "datashop"]
    assert said.startswith(f"{folder.uri}/{part} is damaged: ")
    assert folder.names() == sorted([f"damaged/{part}", *(name for name in folder.names() if "/" not in name)])
    assert AnswerStore(folder).keys() == set(names(64, "b"))


def test_what_somebody_put_beside_the_parts_is_left_alone(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path))
    keep(folder, names(10))
    (part,) = folder.names()
    strays = ["notes.txt", f"copy of {part}", "export.jsonl.zst", f"old/{part}"]
    for stray in strays:
        (tmp_path / stray).parent.mkdir(exist_ok=True)
        (tmp_path / stray).write_bytes(b"not ours")
    store = AnswerStore(folder)
    assert (store.keys(), store.damaged) == (set(names(10)), [])
    assert {(tmp_path / stray).read_bytes() for stray in strays} == {b"not ours"}


def test_a_part_that_was_cut_short_is_not_believed(folder: Folder) -> None:
    keep(folder, names(10))
    (part,) = folder.names()
    folder.write(part, folder.read(part)[:-3])
    assert AnswerStore(folder).keys() == set()


def test_small_parts_are_joined_and_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "JOINED", 3)
    folder = Folder(str(tmp_path))
    keep(folder, names(64 * 7 + 5))
    assert len(folder.names()) == 4  # two joined ones, the seventh, and the rest
    assert AnswerStore(folder).keys() == set(names(64 * 7 + 5))


def test_a_part_that_is_damaged_before_it_is_joined_is_joined_as_it_was_written(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "JOINED", 2)
    writer = parts.PartWriter(folder)
    writer.write([b'{"key":"first"}'])
    (part,) = folder.names()
    folder.write(part, b"rubbish")
    writer.write([b'{"key":"second"}'])

    store = AnswerStore(folder)
    assert (store.keys(), store.damaged) == ({"first", "second"}, [])


def test_a_reader_finds_everything_while_parts_are_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "JOINED", 2)
    folder = Folder(str(tmp_path))
    keep(folder, names(640, "before"))
    writing = threading.Thread(target=keep, args=(folder, names(64 * 40, "now")))
    writing.start()
    found = [AnswerStore(folder).keys() for _ in range(20)]
    writing.join()
    assert all(keys >= set(names(640, "before")) for keys in found)
    assert all(earlier <= later for earlier, later in pairwise(found))


def test_two_processes_add_to_one_store(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path))
    spawn = multiprocessing.get_context("spawn")
    running = [spawn.Process(target=keep, args=(folder, names(200, beginning), beginning)) for beginning in "xy"]
    for process in running:
        process.start()
    keep(folder, names(200, "x"), "a third writer's")
    for process in running:
        process.join()
    assert AnswerStore(folder).keys() == {*names(200, "x"), *names(200, "y")}
    orders = [next(answers_in_order(AnswerStore(folder), names(200, "x"), _scratch(tmp_path))) for _ in range(2)]
    assert orders[0] == orders[1]
    assert {one.raw for one in orders[0].values()} == {"a third writer's"}  # of two answers, the lesser line


def test_answers_come_in_the_order_of_the_documents_with_their_second_tries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datashop_assets.asking.store.TOGETHER", 10)
    folder, second = Folder(str(tmp_path / "answers")), key_of("d3", ("yes", "no"))
    keep(folder, [*reversed(names(25)), second, "not wanted"])
    batches = list(answers_in_order(AnswerStore(folder), names(25), _scratch(tmp_path)))
    assert [set(batch) for batch in batches] == [{*names(10), second}, set(names(20)[10:]), set(names(25)[20:])]
    assert list(_scratch(tmp_path).iterdir()) == []


def _scratch(folder: Path) -> Path:
    (folder / "scratch").mkdir(exist_ok=True)
    return folder / "scratch"


def _lines(folder: Folder, name: str) -> list[bytes]:
    return parts.read_part(folder, name) or []
