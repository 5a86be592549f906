"""Writing a prompt file: from a few answers to YAML that a person goes on with, checked before it is there."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from datashop_assets.prompts.prompt import checked_slug, parse_prompt
from datashop_assets.prompts.reading import parse_yaml
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
BEGINS = "This document is useful for studying"
HEAD = "# Every setting that is not here has a default (docs/prompts.md). Check the file: datashop prompts check\n"


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
        """A rubric that has worked, for any subject: five additive points, reasons first, the score last."""
        return RUBRIC.format(subject=subject)

    def fields(self) -> dict[str, Any]:
        annotator: dict[str, Any] = {"model": self.model} if self.model else {}
        annotator["scoring"] = self.scoring
        if self.scoring == "likelihood":
            annotator["likelihood"] = {"question": QUESTION, "answer_begins": BEGINS, "targets": list(self.targets)}
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
    slug = _checked(draft.slug if isinstance(draft, Draft) else slug or "")
    place = folder / f"{slug}.yaml"
    if place.exists() or place.with_suffix(".yml").exists():
        raise _there_already(place)
    text = draft if isinstance(draft, str) else HEAD + _dumped(draft.fields())
    parse_prompt(parse_yaml(text.encode(), str(place)), slug, str(place))
    if not Folder(str(folder)).create(place.name, text.encode()):  # unlike a write, it never takes another's file away
        raise _there_already(place)
    return place


def _checked(slug: str) -> str:
    try:
        return checked_slug(slug)
    except ValueError as error:
        raise ValueError(f"{slug!r}: {error}") from None


def _there_already(place: Path) -> FileExistsError:
    return FileExistsError(f"{place} is there already; edit it, or choose another slug")


class _Dumper(yaml.SafeDumper):
    """YAML whose texts of several lines stand as they are read."""


_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None),
)


def _dumped(fields: dict[str, Any]) -> str:
    return yaml.dump(fields, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
