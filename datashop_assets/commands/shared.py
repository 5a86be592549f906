"""What commands have in common: the deployment they work on, names that a shell completes, and how they speak.

Colour obeys NO_COLOR, as rich does. Everything but JSON is for people and may change. All that is printed goes through
`printable`: prompts, documents and servers have written a part of it.
"""

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from datashop_assets.graph import GRAPH
from datashop_assets.printable import printable
from datashop_assets.prompts.parsing import PromptError
from datashop_assets.prompts.store import SUFFIXES, default_prompts
from datashop_assets.settings import Settings, read_settings
from datashop_assets.storage.stage_folder import DamagedStageError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from datashop_assets.deployment import Deployment

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


def settings_here() -> Settings:
    """What the environment says, read once a command; ends the command with the fix where a variable is wrong."""
    with clear_errors():
        return read_settings()


def deployment(settings: Settings) -> "Deployment":
    from datashop_assets.deployment import Deployment

    return Deployment.of(settings)


@contextmanager
def clear_errors(*more: type[Exception]) -> Iterator[None]:
    """Errors that a person can fix are printed without a traceback, and end the command with code 2."""
    kinds: tuple[type[Exception], ...] = (PromptError, OSError, ValueError, DamagedStageError, *more)
    try:
        yield
    except kinds as error:
        complain(str(error))
        sys.exit(2)


def prompt_names(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Slugs of prompts, for a shell that asks. Files are only listed, not read: it must be quick and cannot fail."""
    try:
        files = sorted(path for path in default_prompts(read_settings()).iterdir() if path.suffix in SUFFIXES)
    except (OSError, ValueError):
        return []
    return [CompletionItem(path.stem) for path in files if path.stem.startswith(incomplete)]


def stage_names(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in GRAPH.names if name.startswith(incomplete)]


def say(text: str) -> None:
    from datashop_assets.terminal import PrintableConsole

    PrintableConsole().print(text, soft_wrap=True)


def complain(text: str) -> None:
    """In red, on standard error."""
    from datashop_assets.terminal import PrintableConsole

    PrintableConsole(stderr=True).print(text, style="red", soft_wrap=True)


def say_table(shown: "RenderableType") -> None:
    """Prints a table, or whatever rich can print."""
    from datashop_assets.terminal import PrintableConsole

    PrintableConsole().print(shown)


def say_json(text: str | bytes) -> None:
    """One JSON object, for a machine; a terminal shows it without obeying what stands in it."""
    click.echo(printable(text.decode() if isinstance(text, bytes) else text))


def print_traceback(kind: type[BaseException], error: BaseException, frames: TracebackType | None) -> None:
    """What Python prints of an error that nobody caught, whose message may repeat what others wrote."""
    sys.stderr.write(printable("".join(traceback.format_exception(kind, error, frames))))


def duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = int(seconds) // 60
    return f"{minutes} min {int(seconds) % 60} s" if minutes < 60 else f"{minutes // 60:,} h {minutes % 60} min"
