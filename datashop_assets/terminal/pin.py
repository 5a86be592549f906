"""`datashop prompts pin`: the written rubric becomes part of the prompt file."""

from pathlib import Path

import click
import orjson

from datashop_assets.core.plan import State
from datashop_assets.graph import plan
from datashop_assets.prompts.editing import pinned
from datashop_assets.prompts.parsing import PromptError
from datashop_assets.prompts.store import SUFFIXES, PromptStore
from datashop_assets.rubric.build import RUBRIC_FILE
from datashop_assets.storage.folders import Folder
from datashop_assets.terminal import tables
from datashop_assets.terminal.names import prompt_names, store

EXAMPLES = """\b
Examples:
  datashop prompts pin mathematics           after `datashop run mathematics --until rubric`
"""


@click.command(epilog=EXAMPLES)
@click.argument("prompt", shell_complete=prompt_names)
def pin(prompt: str) -> None:
    """Write the rubric that was made from PROMPT's targets into its file, in their place.

    The lines of the targets stay as comments. What the annotator has answered to this rubric is not asked again.
    """
    known = store()
    with tables.clear_errors(PromptError, OSError, ValueError):
        file = _file(known, prompt)
        text = pinned(file, _written(known, prompt))
        Folder(str(file.parent)).write(file.name, text.encode())
    tables.say(f"{file}: the rubric is pinned; the targets stand below it as comments")


def _file(known: PromptStore, slug: str) -> Path:
    known.load(slug)
    files = [path for path in (known.folder / f"{slug}{suffix}" for suffix in SUFFIXES) if path.exists()]
    if not files:
        raise ValueError(f"{slug} has no file in {known.folder}; it was stored by a script, where the rubric belongs")
    return files[0]


def _written(known: PromptStore, slug: str) -> str:
    planned = plan(known.load(slug), known.root)["rubric"]
    if planned.state is not State.CURRENT:
        raise ValueError(f"the rubric of {slug} is {planned.state}; run `datashop run {slug} --until rubric` first")
    return str(orjson.loads(planned.output.file(RUBRIC_FILE).read_bytes())["text"])
