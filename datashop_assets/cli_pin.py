"""`datashop prompts pin`: the written rubric becomes part of the prompt file."""

from pathlib import Path

import click
import orjson

from datashop_assets import cli_tables as tables
from datashop_assets.planning import State, plan
from datashop_assets.prompts.errors import PromptError
from datashop_assets.prompts.pinning import pinned
from datashop_assets.prompts.store import PromptStore, default_prompts
from datashop_assets.rubric.build import RUBRIC_FILE
from datashop_assets.storage.root import default_root


@click.command()
@click.argument("prompt")
def pin(prompt: str) -> None:
    """Write the rubric that was made from PROMPT's targets into its file, in their place.

    The lines of the targets stay as comments. What the annotator has answered to this rubric is not asked again.
    """
    store = PromptStore(default_prompts(), default_root())
    with tables.clear_errors(PromptError, OSError, ValueError):
        file = _file(store, prompt)
        text = pinned(file, _written(store, prompt))
        unfinished = file.with_name(f".{file.name}.unfinished")
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(file)
    tables.say(f"{file}: the rubric is pinned; the targets stand below it as comments")


def _file(store: PromptStore, slug: str) -> Path:
    store.load(slug)
    files = [path for path in (store.folder / f"{slug}{ending}" for ending in (".yaml", ".yml")) if path.exists()]
    if not files:
        raise ValueError(f"{slug} has no file in {store.folder}; it was stored by a script, where the rubric belongs")
    return files[0]


def _written(store: PromptStore, slug: str) -> str:
    planned = plan(store.load(slug), store.root)["rubric"]
    if planned.state is not State.CURRENT:
        raise ValueError(f"the rubric of {slug} is {planned.state}; run `datashop run {slug} --until rubric` first")
    return str(orjson.loads(planned.output.file(RUBRIC_FILE).read_bytes())["text"])
