"""Ctrl-C, `kill` and a closed terminal: a command stops in order, says so in one line, and ends with the signal's code.

What it has started ends with it (`datashop_assets/processes`), and what is finished is kept.
"""

import errno
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType
from typing import Any, TextIO

import click

from datashop_assets.commands.shared import complain

OUTPUT_LOST = 2
RESUMABLE = ("run", "estimate")  # commands that go on where they were stopped


class StoppableGroup(click.Group):
    """Commands that signals stop, and an output that takes no more."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        with ExitStack() as stack:
            for name, stream in (("standard output", sys.stdout), ("standard error", sys.stderr)):
                if stream is not None:
                    stack.enter_context(_watched(name, stream))
            try:
                return super().main(*args, **kwargs)
            except _OutputLostError as lost:
                with suppress(_OutputLostError):
                    complain(str(lost))
                raise SystemExit(OUTPUT_LOST) from None

    def invoke(self, ctx: click.Context) -> Any:
        with _received() as received:
            try:
                return super().invoke(ctx)
            except KeyboardInterrupt:
                goes_on = "; the same command goes on" if ctx.invoked_subcommand in RESUMABLE else ""
                complain(f"Stopped{goes_on}")
                sys.exit(128 + (received() or signal.SIGINT))


class _OutputLostError(Exception):
    """Standard output or error takes no more, as on a full disk."""


@contextmanager
def _watched(name: str, stream: TextIO) -> Iterator[None]:
    """Has an output that fails raise `_OutputLostError`, to tell it from a file that a command works on.

    A pipe that nobody reads any more is no failure: click ends the command in silence.
    """
    lost = False

    def watched(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            nonlocal lost
            try:
                return method(*args)
            except OSError as error:
                if error.errno == errno.EPIPE:
                    raise
                lost = True
                raise _OutputLostError(f"{name} cannot be written: {error.strerror or error}") from error

        return call

    own = vars(stream)
    own |= {"write": watched(stream.write), "flush": watched(stream.flush)}
    try:
        yield
    finally:
        del own["write"], own["flush"]
        if lost:  # Python would write the rest when it ends, and fail again
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


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
