"""Puts a written rubric into its prompt file in place of the targets. All other lines stay as they are.

The lines of `targets` and `writing` stay too, as comments: they say where the rubric came from.
"""

from pathlib import Path
from typing import Any

import yaml

from datashop_assets.prompts.errors import Problem, PromptError
from datashop_assets.prompts.prompt import parse_prompt
from datashop_assets.prompts.reading import parse_yaml, read_yaml

REPLACED = ("targets", "writing")
INDENT = "  "


def pinned(file: Path, rubric: str) -> str:
    """The text of the prompt file with `rubric` in it. Raises `PromptError` where the file cannot be edited so."""
    fields = read_yaml(file)
    if not isinstance(fields, dict) or "targets" not in fields:
        raise PromptError(str(file), [Problem("targets", None, "is missing, so there is no written rubric to pin")])
    lines = file.read_text(encoding="utf-8").splitlines()
    for name, (first, last) in _places(file, lines).items():
        new = [*_block(rubric), *_processor(fields)] if name == "targets" else []
        lines[first:last] = new + [f"# {one}" for one in lines[first:last]]
    text = "\n".join(lines) + "\n"
    _check(file, text, fields, rubric)
    return text


def _places(file: Path, lines: list[str]) -> dict[str, tuple[int, int]]:
    """First line and the one after the last of each section that is replaced, the last section first."""
    document = yaml.compose(file.read_text(encoding="utf-8"), yaml.SafeLoader)
    assert isinstance(document, yaml.MappingNode)
    found = {}
    for key, value in reversed(document.value):
        if key.value in REPLACED:
            first, last = key.start_mark.line, value.end_mark.line + (value.end_mark.column > 0)
            while last > first + 1 and not lines[last - 1].strip():
                last -= 1
            found[key.value] = (first, last)
    return found


def _block(rubric: str) -> list[str]:
    """The rubric as a literal block; the sign keeps its last line break or the lack of one."""
    sign = "|2" + ("-" if not rubric.endswith("\n") else "+")
    return [f"rubric: {sign}", *(f"{INDENT}{line}" if line else "" for line in rubric.removesuffix("\n").split("\n"))]


def _processor(fields: dict[str, Any]) -> list[str]:
    """A written rubric asks for label words, which is the default only beside targets."""
    return [] if "processor" in fields else ["processor: {type: medu}"]


def _check(file: Path, text: str, before: dict[str, Any], rubric: str) -> None:
    """The edited file says the same as before, but for the rubric. Raises `PromptError` where it does not."""
    after = parse_yaml(text.encode(), str(file))
    kept = {name: value for name, value in before.items() if name not in REPLACED}
    wanted = {"processor": {"type": "medu"}, **kept, "rubric": rubric}
    if after != wanted:
        mend = "cannot be edited line by line; write each section on lines of its own, or copy the rubric by hand"
        raise PromptError(str(file), [Problem("targets", None, mend)])
    one, other = (parse_prompt(fields, file.stem, str(file)).annotator for fields in (before, after))
    if one.scoring == "score_token" and one.score_token != other.score_token:
        mend = f"the rubric asks for words; give options, {dict(one.score_token.options)}, before it is pinned"
        raise PromptError(str(file), [Problem("annotator.score_token", None, mend)])
