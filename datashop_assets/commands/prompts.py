"""`datashop new-prompt` and `datashop prompts`: prompt files written, checked, and given the rubric that was made."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from datashop_assets.commands.shared import clear_errors, complain, deployment, prompt_names, say, settings_here
from datashop_assets.core.plan import State
from datashop_assets.datasets import EMBEDDED
from datashop_assets.documents.sources import find_source_files
from datashop_assets.prompts.annotator_settings import SUBJECTS
from datashop_assets.prompts.editing import Draft, pinned, write_draft
from datashop_assets.prompts.prompt import Prompt
from datashop_assets.prompts.section import Scoring
from datashop_assets.prompts.store import SUFFIXES, default_prompts
from datashop_assets.shipped import shipped
from datashop_assets.storage.folders import Folder

if TYPE_CHECKING:
    from datashop_assets.deployment import Deployment

NEW_EXAMPLES = """\b
Examples:
  datashop new-prompt                        asks for what it needs
  datashop new-prompt tides --name Tides --targets physics,geography --keep 0.05
  datashop new-prompt proofs --name Proofs --rubric-file rubric.txt --scoring generate --model Llama-3.3-70B-Instruct
  datashop new-prompt mathematics --example mathematics    a copy of an example that comes with Datashop
"""
CHECK_EXAMPLES = """\b
Examples:
  datashop prompts check                     before a commit, or when the sensor leaves a prompt out
"""
PIN_EXAMPLES = """\b
Examples:
  datashop prompts pin mathematics           after `datashop run mathematics --until rubric`
"""
OPTIONS = ", ".join(SUBJECTS)


@click.command("new-prompt", epilog=NEW_EXAMPLES)
@click.argument("slug", required=False)
@click.option("--name", help="What people call it; default: the slug.")
@click.option("--rubric", help="The rubric, with {example} where the document goes.")
@click.option(
    "--rubric-file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Read it from a file."
)
@click.option("--scoring", type=click.Choice(get_args(Scoring)), help="How the annotator scores.")
@click.option("--targets", metavar="A,B", help=f"For likelihood, the subjects that score: {OPTIONS}.")
@click.option("--model", help="The annotator; default: the small one that comes with Datashop.")
@click.option("--pool", metavar="URI", help="The documents: a path, glob or address; default: the embedded pool.")
@click.option("--keep", type=float, metavar="FRACTION", help="The share of documents to keep; default 0.1.")
@click.option("--example", metavar="NAME", help="Copy an example that comes with Datashop.")
def new_prompt(slug: str | None, example: str | None, rubric_file: Path | None, **given: str | float | None) -> None:
    """Write a prompt file, SLUG.yaml, that is valid. Asks for what is not given, where there is somebody to ask."""
    asks = sys.stdin.isatty()
    with clear_errors():
        slug = slug or _asked(asks, "Slug (a-z, 0-9 and -; the file's name)", "the slug")
        folder = default_prompts(settings_here())
        if example is not None:
            place = _copied(example, slug, folder)
        else:
            if rubric_file is not None:
                given["rubric"] = rubric_file.read_text(encoding="utf-8")
            place = write_draft(_draft(slug, given, asks), folder)
    say(f"Wrote {place}\nLook through it, then: datashop run {slug}")


def _draft(slug: str, given: dict[str, str | float | None], asks: bool) -> Draft:
    """What was given, and what a person answers. Nothing is asked twice."""
    scoring = str(given["scoring"] or ("likelihood" if given["model"] is None else "generate"))
    name = given["name"] or _or_asked(asks, "Name", slug.replace("-", " ").capitalize())
    targets = given["targets"]
    if scoring == "likelihood" and not targets:
        targets = _asked(asks, f"Subjects that score, of {OPTIONS}", "--targets")
    rubric = given["rubric"] or (_edited() if asks else None)
    keep = given["keep"] if given["keep"] is not None else float(_or_asked(asks, "Share of documents to keep", "0.1"))
    return Draft(
        slug=slug,
        name=str(name),
        rubric=str(rubric) if rubric else None,
        scoring=scoring,
        targets=tuple(one.strip() for one in str(targets or "").split(",") if one.strip()),
        model=str(given["model"]) if given["model"] else None,
        pool=str(given["pool"]) if given["pool"] else None,
        keep=float(keep),
    )


def _asked(asks: bool, question: str, what: str) -> str:
    if not asks:
        raise ValueError(
            f"{what} is missing, and this is no terminal to ask at; `datashop new-prompt --help` shows how to give it"
        )
    answer: str = click.prompt(question)
    return answer


def _or_asked(asks: bool, question: str, default: str) -> str:
    answer: str = click.prompt(question, default=default) if asks else default
    return answer


def _edited() -> str | None:
    """The rubric as written in an editor; None keeps the one that is suggested."""
    say("The rubric: an editor opens with a suggestion; {example} stands where the document goes.")
    return click.edit(Draft.suggested(), extension=".txt") if click.confirm("Edit it now?", default=False) else None


def _copied(example: str, slug: str, folder: Path) -> Path:
    examples = {path.stem: path for path in shipped("prompts").glob("*.yaml")}
    if example not in examples:
        raise ValueError(f"there is no example {example!r}; use one of {', '.join(sorted(examples))}")
    return write_draft(examples[example].read_text(encoding="utf-8"), folder, slug=slug)


@click.group()
def prompts() -> None:
    """The prompt files."""


@prompts.command(epilog=CHECK_EXAMPLES)
def check() -> None:
    """Check every prompt file. The exit code is 1 if one is bad.

    A prompt whose documents are not on this machine is good all the same, and that is said.
    """
    store = deployment(settings_here()).prompts
    with clear_errors():
        good, problems = store.slugs(), store.problems()
    for slug in good:
        say("; ".join([f"{slug}: good", *_absent_documents(store.load(slug))]))
    if not good and not problems:
        say(f"There is no prompt file in {store.folder}; their names end in {' or '.join(SUFFIXES)}")
    for error in problems.values():
        complain(str(error))
    sys.exit(1 if problems else 0)


def _absent_documents(prompt: Prompt) -> Iterator[str]:
    """What of the prompt's pool and sample names no file of this machine. Buckets are not asked."""
    for field in ("pretraining_pool", "annotation_sample"):
        uri = getattr(prompt, field).uri
        if uri and uri != EMBEDDED and "://" not in uri:
            try:
                find_source_files(uri)
            except (OSError, ValueError) as error:
                yield f"{field}: {error}"


@prompts.command(epilog=PIN_EXAMPLES)
@click.argument("prompt", shell_complete=prompt_names)
def pin(prompt: str) -> None:
    """Write the rubric that was made from PROMPT's targets into its file, in their place.

    The lines of the targets stay as comments. What the annotator has answered to this rubric is not asked again.
    """
    here = deployment(settings_here())
    with clear_errors():
        here.prompts.load(prompt)
        files = [path for path in (here.prompts.folder / f"{prompt}{suffix}" for suffix in SUFFIXES) if path.exists()]
        if not files:
            raise ValueError(
                f"{prompt} has no file in {here.prompts.folder}: it was stored by a script; write the rubric there"
            )
        text = pinned(files[0], _written_rubric(here, prompt))
        Folder(str(files[0].parent)).write(files[0].name, text.encode())
    say(f"{files[0]}: the rubric is pinned; the targets stand below it as comments")


def _written_rubric(here: "Deployment", slug: str) -> str:
    from datashop_assets.rubric.results import RubricResult, rubric_text

    plan = here.plan(slug)
    rubric = plan.get(RubricResult.step)
    if rubric is None:
        raise ValueError(f"{slug} has no rubric to pin: its question shows none")
    if rubric.state is not State.CURRENT:
        raise ValueError(f"the rubric of {slug} is {rubric.state}; run `datashop run {slug} --until rubric` first")
    return rubric_text(plan.output(RubricResult))
