"""What several commands take: the prompt store of the environment, and names to complete."""

import click
from click.shell_completion import CompletionItem

from datashop_assets.prompts.store import SUFFIXES, PromptStore, default_prompts
from datashop_assets.settings import read_settings
from datashop_assets.storage.root import default_root
from datashop_assets.terminal import tables


def store() -> PromptStore:
    """Ends the command with the fix where a variable is wrong."""
    with tables.clear_errors(ValueError):
        settings = read_settings()
    return PromptStore(default_prompts(settings), default_root(settings))


def prompt_names(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Slugs of prompts, for a shell that asks. Files are only listed, not read: it must be quick and cannot fail."""
    try:
        files = sorted(path for path in default_prompts().iterdir() if path.suffix in SUFFIXES)
    except (OSError, ValueError):
        return []
    return [CompletionItem(path.stem) for path in files if path.stem.startswith(incomplete)]


def stage_names(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from datashop_assets.graph import GRAPH

    return [CompletionItem(stage.name) for stage in GRAPH if stage.name.startswith(incomplete)]
