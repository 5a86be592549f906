"""What is wrong with a prompt file, said so that it can be mended: file, field, value, mend."""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from datashop_assets.prompts.secrets import HIDDEN, hidden, names_a_secret

EXPONENT, NUMBER = re.compile(r"([+-]?\d+)(\.\d*)?[eE]([+-]?)(\d+)"), re.compile(r"[+-]?\d+(\.\d*)?")
LONGEST = 80  # characters of a value that an error repeats


@dataclass(frozen=True)
class Problem:
    field: str  # dotted, empty where the whole file is meant
    value: Any
    mend: str

    def __str__(self) -> str:
        shown = hidden(repr(self.value))
        shown = shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}…"
        named = f"{self.field} = {shown}" if self.field else shown if self.value not in ("", None) else ""
        return f"{named}: {self.mend}" if named else self.mend


class PromptError(Exception):
    """One prompt file cannot be used. Other files are not affected."""

    def __init__(self, file: str, problems: Sequence[Problem]) -> None:
        super().__init__(in_utf8("\n".join(f"{file}: {problem}" for problem in problems)))
        self.file = file
        self.problems = tuple(problems)


def in_utf8(text: str) -> str:
    """`text` as any terminal, log or database takes it: names of files may hold bytes that are no UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()


def problems_of(error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """The problems that pydantic found, in this project's words."""
    return [_problem(dict(detail), model) for detail in error.errors(include_url=False)]


def _problem(detail: dict[str, Any], model: type[BaseModel]) -> Problem:
    place = [str(part) for part in detail["loc"]]
    field, kind = ".".join(place), detail["type"]
    if kind == "missing":
        return Problem(field, None, "is missing; add it")
    if kind == "extra_forbidden":
        secret = names_a_secret(place[-1]) and isinstance(detail["input"], str)
        return Problem(field, HIDDEN if secret else detail["input"], _unknown(place, model))
    if kind == "value_error":
        return Problem(field, _brief(detail["input"]), str(detail["ctx"]["error"]))
    mend = _number_of_text(detail["input"], kind)
    return Problem(
        field, _brief(detail["input"]), f"{detail['msg'][0].lower()}{detail['msg'][1:]}; {mend or 'change it'}"
    )


def _number_of_text(value: Any, kind: str) -> str:
    """How a number is written that YAML took for text; empty for other text."""
    if not isinstance(value, str) or kind not in ("float_type", "int_type"):
        return ""
    if match := EXPONENT.fullmatch(value.strip()):
        whole, part, sign, exponent = match.groups()
        said = f"in YAML an exponent needs a point and a sign: write {whole}{part or '.0'}e{sign or '+'}{exponent}"
        return said if kind == "float_type" else "write out all digits"
    return "write it without quotes" if NUMBER.fullmatch(value.strip()) else ""


def _brief(value: Any) -> Any:
    """A whole section is not repeated in an error about what its fields are together."""
    return value if not isinstance(value, dict | BaseModel) else "this section"


def _unknown(place: list[str], model: type[BaseModel]) -> str:
    known = _fields(place[:-1], model)
    close = difflib.get_close_matches(place[-1], known, n=1)
    return f"unknown field; did you mean {close[0]!r}?" if close else f"unknown field; known are {', '.join(known)}"


def _fields(section: list[str], model: type[BaseModel]) -> list[str]:
    for name in section:
        annotation = model.model_fields[name].annotation if name in model.model_fields else None
        options = [annotation, *getattr(annotation, "__args__", ())]
        found = [each for each in options if isinstance(each, type) and issubclass(each, BaseModel)]
        if not found:
            return []
        model = found[0]
    return list(model.model_fields)
