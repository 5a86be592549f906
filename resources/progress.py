"""How far a long stage is: a bar on the terminal, or lines in a log, at most one in `EVERY` seconds."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta

import dagster as dg
from pydantic import Field
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from datashop_assets.protocols.progress import Bar
from datashop_assets.protocols.progress import Progress as ProgressProtocol
from datashop_assets.terminal import PrintableConsole

EVERY = 10.0  # seconds


class TerminalProgress:
    """Bars on standard error as it was when this was made, so that they stay on screen while Dagster captures it.

    Where standard error is no terminal, or one that cannot redraw a line, lines are written instead.
    """

    def __init__(self) -> None:
        # kept open until the process ends
        self.console = PrintableConsole(file=open(os.dup(sys.stderr.fileno()), "w", buffering=1, closefd=False))  # noqa: SIM115
        # rich's own time left goes by the last moments: after a group that came at once it is a second for all the rest
        rate = TextColumn("{task.fields[rate]}")
        columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), rate)
        self._shown = Progress(*columns, console=self.console, transient=True)

    def say(self, line: str) -> None:
        """Writes a line above the bars."""
        self.console.print(line, soft_wrap=True)

    @contextmanager
    def bar(self, name: str, total: float, unit: str) -> Iterator[Bar]:
        if not self.console.is_interactive:  # a file, or a terminal that cannot draw over what it shows (TERM=dumb)
            with LineProgress(self.say).bar(name, total, unit) as lines:
                yield lines
            return
        task = self._shown.add_task(name, total=total, rate=f"the first {unit} awaited")
        self._shown.start()
        try:
            yield _TerminalBar(self._shown, task, unit)
        finally:
            self._shown.refresh()  # a bar that was short between two refreshes is seen all the same
            self._shown.remove_task(task)
            if not self._shown.tasks:
                self._shown.stop()


class LineProgress:
    """Lines handed to `say`."""

    def __init__(self, say: Callable[[str], object], every: float = EVERY) -> None:
        self._say = say
        self._every = every

    @contextmanager
    def bar(self, name: str, total: float, unit: str) -> Iterator[Bar]:
        yield _ProgressLines(name, total, unit, self._say, self._every)


class RunLogProgress(dg.ConfigurableResource[ProgressProtocol]):
    """Says how far a step is by lines in the log of the Dagster run."""

    every: float = Field(default=EVERY, ge=0, description="Seconds between two lines of one step, at least")

    def bar(self, name: str, total: float, unit: str) -> AbstractContextManager[Bar]:
        return LineProgress(dg.get_dagster_logger("datashop").info, self.every).bar(name, total, unit)


class _TerminalBar:
    def __init__(self, shown: Progress, task: TaskID, unit: str) -> None:
        self._shown, self._task, self._unit = shown, task, unit
        self._done, self._started = 0.0, time.monotonic()

    def advance(self, amount: float = 1) -> None:
        self._done += amount
        rate = self._done / max(time.monotonic() - self._started, 1e-9)
        left = max((self._total or 0) - self._done, 0) / rate
        said = f"{rate:,.1f} {self._unit}/s, {timedelta(seconds=round(left))} left"
        self._shown.update(self._task, advance=amount, rate=said)

    def skip(self, amount: float = 1) -> None:
        """Less is left to do, rather than more done: the time left is that of the rest."""
        self._shown.update(self._task, total=max((self._total or 0) - amount, 0))

    @property
    def _total(self) -> float | None:
        return self._shown.tasks[self._shown.task_ids.index(self._task)].total


class _ProgressLines:
    def __init__(self, name: str, total: float, unit: str, say: Callable[[str], object], every: float) -> None:
        self._name, self._total, self._unit, self._say, self._every = name, total, unit, say, every
        self._done, self._skipped, self._started = 0.0, 0.0, time.monotonic()
        self._said, self._first = self._started, 0.0

    def skip(self, amount: float = 1) -> None:
        self._done += amount
        self._skipped += amount

    def advance(self, amount: float = 1) -> None:
        self._done += amount
        now = time.monotonic()
        self._first = self._first or now
        if now - self._said < self._every and self._done < self._total:
            return
        self._said = now
        self._say(f"{self._name}: {self._done:,.0f} of {self._total:,.0f} {self._unit}, {self._pace(now)}")

    def _pace(self, now: float) -> str:
        """The first of a group come after a wait for all of it, and after loading: they tell no pace."""
        took = max(now - self._started, 1e-9)
        rate = (self._done - self._skipped) / took
        if not rate or (now - self._first < self._every and self._done < self._total):
            return f"the first after {took:,.0f} s, no pace known yet"
        return f"{rate:,.1f} {self._unit}/s, {(self._total - self._done) / rate:,.0f} s left"
