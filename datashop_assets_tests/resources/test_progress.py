"""What a long stage says of itself, in lines and on a terminal."""

import os
import pty
import sys
import time

import pytest
from rich.progress import Progress

from resources.progress import LineProgress, TerminalProgress, _TerminalBar

END = b"the end"


def test_lines_say_how_far_how_fast_and_how_long() -> None:
    said: list[str] = []
    with LineProgress(said.append, every=0).bar("scoring", 10, "documents") as bar:
        bar.advance(4)
    (line,) = said
    assert line.startswith("scoring: 4 of 10 documents, ")
    assert line.endswith(" s left")


def test_what_was_done_before_counts_as_done_and_not_in_the_rate() -> None:
    said: list[str] = []
    with LineProgress(said.append, every=0).bar("scoring", 1000, "documents") as bar:
        bar.skip(900)
        time.sleep(0.05)
        bar.advance()
    (line,) = said
    assert line.startswith("scoring: 901 of 1,000 documents, ")
    assert float(line.split(", ")[1].split()[0].replace("documents", "")) <= 20


def test_what_comes_after_a_long_wait_is_no_pace() -> None:
    """A group of answers: the first of them come together, after loading and after all of the group."""
    said: list[str] = []
    with LineProgress(said.append, every=0.1).bar("asking", 1000, "documents") as bar:
        time.sleep(0.12)
        for _ in range(64):
            bar.advance()
        time.sleep(0.12)
        bar.advance()
    first, second = said
    assert first == "asking: 1 of 1,000 documents, the first after 0 s, no pace known yet"
    assert second.startswith("asking: 65 of 1,000 documents, ")
    assert float(second.split(", ")[-1].split()[0]) < 30


def test_lines_are_few_but_the_last_is_always_said() -> None:
    said: list[str] = []
    with LineProgress(said.append, every=1000).bar("scoring", 10, "documents") as bar:
        for _ in range(10):
            bar.advance()
    assert [line[:14] for line in said] == ["scoring: 10 of"]


def test_a_bar_says_the_pace_of_now_and_the_time_that_the_rest_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resumed run, whose first group of 64 answers comes together after two minutes."""
    clock = [0.0]
    monkeypatch.setattr("resources.progress.time.monotonic", lambda: clock[0])
    shown = Progress()
    bar = _TerminalBar(shown, shown.add_task("annotations", total=600, rate=""), "documents")
    bar.skip(300)
    clock[0] = 128.0
    for _ in range(64):
        bar.advance()
    (task,) = shown.tasks
    assert (task.completed, task.total) == (64, 300)
    assert task.fields["rate"] == "0.5 documents/s, 0:07:52 left"


def test_where_there_is_no_terminal_lines_go_to_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    progress = TerminalProgress()
    with progress.bar("scoring", 2, "documents") as bar:
        bar.advance(2)
    progress.say("[not] markup")
    assert "scoring: 2 of 2 documents" in capfd.readouterr().err


def shown_by(monkeypatch: pytest.MonkeyPatch, kind: str) -> bytes:
    """What two bars, one inside another, write to a terminal of this kind."""
    leader, follower = pty.openpty()
    with open(follower, "w", closefd=False) as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setenv("TERM", kind)
        progress = TerminalProgress()
        with progress.bar("outer", 2, "shards") as outer, progress.bar("inner", 5, "documents") as inner:
            inner.advance(5)
            outer.advance(2)
    os.write(follower, END)
    shown = b""
    while END not in shown:  # a terminal hands over what it has, a piece at a time
        shown += os.read(leader, 100_000)
    os.close(leader)
    os.close(follower)
    return shown


def test_a_terminal_shows_bars_one_inside_another(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = shown_by(monkeypatch, "xterm")
    assert b"outer" in shown
    assert b"inner" in shown
    assert b"\x1b" in shown


def test_a_terminal_that_cannot_redraw_gets_a_line_each_and_no_empty_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown_by(monkeypatch, "dumb").removesuffix(END).splitlines()
    assert [line.split(b",")[0] for line in lines] == [b"inner: 5 of 5 documents", b"outer: 2 of 2 shards"]
