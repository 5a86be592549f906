"""Writing prompt files: a new one from a few answers, and a written rubric put into the file that asked for it.

What is written is checked as any prompt file is, before it takes its place.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from datashop_assets.prompts.parsing import Problem, PromptError, parse_yaml, read_yaml
from datashop_assets.prompts.prompt import checked_slug, parse_prompt
from datashop_assets.storage.folders import Folder

RUBRIC = """\
You judge how useful a text would be to somebody who studies {subject}. Read the text between the lines, then add up
points:

- 1 point if the text touches {subject} at all.
- 1 point if it says something about it that a learner could remember and use.
- 1 point if it explains, so that a learner would understand the idea better after reading.
- 1 point if it reasons step by step, with an example.
- 1 point if it is careful and complete enough to be handed out in a course as it stands.

----- text -----
{{example}}
----- end of text -----

Give your reasons in at most 60 words. Then write the total on a line of its own: "Final score: N", where N is a whole
number from 0 to 5.
"""
QUESTION = "Document:\n{example}\n\nWhat school subject does this document belong to?"
ANSWER_BEGINS = "This document is useful for studying"
HEAD = "# Every setting that is not here has a default (docs/prompts.md). Check the file: datashop prompts check\n"
PINNED_SECTIONS = ("targets", "writing")  # what a pinned rubric replaces


@dataclass(frozen=True)
class Draft:
    """A prompt in the making. None means the default, which the file then does not mention."""

    slug: str
    name: str
    rubric: str | None = None
    scoring: str = "likelihood"
    targets: tuple[str, ...] = ()
    model: str | None = None
    pool: str | None = None
    keep: float = 0.1

    @staticmethod
    def suggested(subject: str = "the subject") -> str:
        """A rubric for any subject, of a form that works: five additive points, reasons first, the score last."""
        return RUBRIC.format(subject=subject)

    def fields(self) -> dict[str, Any]:
        """The fields of the prompt file."""
        annotator: dict[str, Any] = {"model": self.model} if self.model else {}
        annotator["scoring"] = self.scoring
        if self.scoring == "likelihood":
            annotator["likelihood"] = {
                "question": QUESTION,
                "answer_begins": ANSWER_BEGINS,
                "targets": list(self.targets),
            }
        fields = {
            "name": self.name,
            "automatic": False,
            "rubric": self.rubric or self.suggested(" and ".join(self.targets) or self.name.lower()),
            "annotator": annotator,
            "keep": {"fraction": self.keep},
        }
        data = {"pretraining_pool": self.pool, "annotation_sample": self.pool} if self.pool else {}
        return fields | data


def write_draft(draft: Draft | str, folder: Path, slug: str | None = None) -> Path:
    """Writes `<slug>.yaml`, whole or not at all. A text is written as it stands.

    Raises `PromptError` where the file would be bad, `FileExistsError` where there is one of that name.
    """
    slug = draft.slug if isinstance(draft, Draft) else slug or ""
    try:
        checked_slug(slug)
    except ValueError as error:
        raise ValueError(f"{slug!r}: {error}") from None
    place = folder / f"{slug}.yaml"
    text = draft if isinstance(draft, str) else HEAD + _dumped(draft.fields())
    taken = place.exists() or place.with_suffix(".yml").exists()
    if not taken:
        parse_prompt(parse_yaml(text.encode(), str(place)), slug, str(place))
        # unlike a write, it never replaces a file that somebody else made meanwhile
        taken = not Folder(str(folder)).create(place.name, text.encode())
    if taken:
        raise FileExistsError(f"{place} already exists; edit it, or choose another slug")
    return place


def pinned(file: Path, rubric: str) -> str:
    """The text of the prompt file with `rubric` in place of its targets. All other lines stay as they are.

    The lines of `targets` and `writing` stay too, as comments: they say where the rubric came from. Raises
    `PromptError` where the file cannot be edited so.
    """
    fields = read_yaml(file)
    if not isinstance(fields, dict) or "targets" not in fields:
        raise PromptError(str(file), [Problem("targets", None, "is missing, so there is no written rubric to pin")])
    new = _literal_block(rubric)
    if "processor" not in fields:  # a written rubric asks for label words, which is the default only beside targets
        new.append("processor: {type: medu}")
    lines = file.read_text(encoding="utf-8").splitlines()
    for name, (first, end) in _sections_to_replace(file, lines).items():
        lines[first:end] = (new if name == "targets" else []) + [f"# {one}" for one in lines[first:end]]
    text = "\n".join(lines) + "\n"
    _check_pinned(file, text, fields, rubric)
    return text


def _dumped(fields: dict[str, Any]) -> str:
    """YAML in which a text of several lines is a literal block."""
    return yaml.dump(fields, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


class _Dumper(yaml.SafeDumper): ...


_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None),
)


def _literal_block(rubric: str) -> list[str]:
    """The lines of the field `rubric`. The sign keeps the text's last line break, or the lack of one."""
    sign = "|2" + ("+" if rubric.endswith("\n") else "-")
    return [f"rubric: {sign}", *(f"  {line}" if line else "" for line in rubric.removesuffix("\n").split("\n"))]


def _sections_to_replace(file: Path, lines: list[str]) -> dict[str, tuple[int, int]]:
    """First line and the one after the last of each, the last section first: lines above an edit keep their numbers."""
    document = yaml.compose(file.read_text(encoding="utf-8"), yaml.SafeLoader)
    assert isinstance(document, yaml.MappingNode)
    places = {}
    for key, value in reversed(document.value):
        if key.value in PINNED_SECTIONS:
            first, end = key.start_mark.line, value.end_mark.line + (value.end_mark.column > 0)
            while end > first + 1 and not lines[end - 1].strip():
                end -= 1
            places[key.value] = (first, end)
    return places


def _check_pinned(file: Path, text: str, before: dict[str, Any], rubric: str) -> None:
    """Raises `PromptError` where the edited file does not say the same as before, but for the rubric."""
    after = parse_yaml(text.encode(), str(file))
    kept = {name: value for name, value in before.items() if name not in PINNED_SECTIONS}
    if after != {"processor": {"type": "medu"}, **kept, "rubric": rubric}:
        fix = "cannot be edited line by line; write each section on lines of its own, or copy the rubric by hand"
        raise PromptError(str(file), [Problem("targets", None, fix)])
    one, other = (parse_prompt(fields, file.stem, str(file)).annotator for fields in (before, after))
    if one.scoring == "score_token" and one.score_token != other.score_token:
        fix = f"the rubric asks for words; give options, {dict(one.score_token.options)}, before it is pinned"
        raise PromptError(str(file), [Problem("annotator.score_token", None, fix)])
