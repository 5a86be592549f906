"""Ctrl-C, `kill` and a closed terminal: a command stops in order, says so in one line, and ends with the signal's code.

What it has started ends with it (`datashop_assets/processes`), and what is finished is kept.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import click

from datashop_assets.commands.shared import complain

RESUMABLE = ("run", "estimate")  # commands that go on where they were stopped


class StoppableGroup(click.Group):
    """Commands that signals stop."""

    def invoke(self, ctx: click.Context) -> Any:
        with _received() as received:
            try:
                return super().invoke(ctx)
            except KeyboardInterrupt:
                goes_on = "; the same command goes on" if ctx.invoked_subcommand in RESUMABLE else ""
                complain(f"Stopped{goes_on}")
                sys.exit(128 + (received() or signal.SIGINT))


@contextmanager
def _received() -> Iterator[Any]:
    """Has SIGTERM and SIGHUP interrupt as Ctrl-C does, and yields what says which signal came last.

    The interpreter itself writes it into a pipe, also while Dagster has put handlers of its own in place. A signal that
    this process was started to ignore, as `nohup` does, stays ignored.
    """
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    handled = [each for each in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(each) is signal.SIG_DFL]
    for each in handled:
        signal.signal(each, _interrupt)

    def last() -> int:
        try:
            return os.read(reading, 4096)[-1]
        except BlockingIOError:
            return 0

    try:
        yield last
    finally:
        for each in handled:
            signal.signal(each, signal.SIG_DFL)
        signal.set_wakeup_fd(before)
        os.close(reading)
        os.close(writing)


def _interrupt(_: int, frame: FrameType | None) -> None:
    """What Ctrl-C would do now: inside a step, Dagster's own interruption."""
    handler = signal.getsignal(signal.SIGINT)
    if callable(handler):
        handler(signal.SIGINT, frame)
    raise KeyboardInterrupt
