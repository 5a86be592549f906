"""From the bytes of a prompt file to plain values, and from what is wrong with them to an error that says the fix.

YAML is read as prompt files use it: repeated keys and aliases are refused, not resolved. An error names file, field,
value and fix.
"""

import difflib
import math
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from datashop_assets.prompts.section import HIDDEN, hide_secrets, names_a_secret

MAX_BYTES = 1_000_000  # a rubric is a page
MAX_DEPTH = 50  # levels of sections and lists
MAX_SHOWN = 80  # characters of a value that an error repeats
OTHER_BASE = re.compile(r"[-+]?(?:0[\d_]+$|[\d_.]*:)")  # in YAML 1.1; 0x and 0b say what they are
MAX_PROBLEMS = 20  # of one file that are worked out; the others are counted


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a prompt file."""

    field: str  # dotted; empty where the whole file is meant
    value: Any
    fix: str  # what is wrong, and what to do about it

    def __str__(self) -> str:
        shown = hide_secrets(_shown(self.value))
        shown = shown if len(shown) <= MAX_SHOWN else f"{shown[:MAX_SHOWN]}…"
        if self.field:
            return f"{self.field} = {shown}: {self.fix}"
        return self.fix if self.value in ("", None) else f"{shown}: {self.fix}"


class PromptError(Exception):
    """One prompt file cannot be used. Other files are not affected."""

    def __init__(self, file: str, problems: Sequence[Problem]) -> None:
        super().__init__(in_utf8("\n".join(f"{file}: {problem}" for problem in problems)))
        self.file = file
        self.problems = tuple(problems)


def _shown(value: Any) -> str:
    try:
        return repr(value)
    except ValueError:  # Python writes no whole number of more than 4,300 digits, alone or in a list
        digits = f"a number of some {value.bit_length() * 3 // 10:,} digits" if isinstance(value, int) else ""
        return digits or "a value with a number of thousands of digits"


def first_problems(problems: Iterator[Problem], total: int | None = None) -> list[Problem]:
    """The first `MAX_PROBLEMS`, and one that says how many more there are; `total`, where it is known without them."""
    first = list(islice(problems, MAX_PROBLEMS))
    more = sum(1 for _ in problems) if total is None else total - len(first)
    return [*first, Problem("", None, f"and {more:,} more; correct these first")] if more else first


def in_utf8(text: str) -> str:
    """`text` as any terminal, log or database takes it: names of files may hold bytes that are not UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()


def read_yaml(path: Path) -> Any:
    """The file's content. Raises `PromptError` for what cannot be read: size, encoding, syntax."""
    try:
        return parse_yaml(_regular(path), str(path))
    except OSError as error:
        raise PromptError(str(path), [Problem("", path.name, f"cannot be read: {error.strerror}")]) from None


def _regular(path: Path) -> bytes:
    """What a regular file holds, or one that a link leads to, up to a byte more than a prompt file may have.

    A pipe would have us wait for ever, a device never ends, and to open some devices is to act on them.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        fix = "is no regular file; remove it, or put the file itself in its place"
        raise PromptError(str(path), [Problem("", path.name, fix)])
    with open(path, "rb", opener=_without_waiting) as file:
        return file.read(MAX_BYTES + 1)


def _without_waiting(path: str, flags: int) -> int:
    """In case a pipe has taken the file's place since we looked."""
    return os.open(path, flags | os.O_NONBLOCK)


def parse_yaml(data: bytes, file: str) -> Any:
    """The content of `data`, which was read from `file`. Raises `PromptError`."""
    if len(data) > MAX_BYTES:
        fix = f"a prompt file has at most {MAX_BYTES:,} bytes; remove what is no prompt, or put documents into a source"
        raise PromptError(file, [Problem("", f"more than {MAX_BYTES:,} bytes", fix)])
    try:
        content = yaml.load(data.decode("utf-8"), _Loader)  # noqa: S506, a safe loader made stricter
    except UnicodeDecodeError as error:
        fix = f"byte {error.start} is not UTF-8; save the file as UTF-8"
        raise PromptError(file, [Problem("", data[error.start : error.start + 1], fix)]) from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        message = str(error)
        if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
            mark = error.problem_mark
            message = f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}; fix it there or just before"
        raise PromptError(file, [Problem("", "", f"is not YAML: {message}")]) from None
    if content is None:
        raise PromptError(file, [Problem("", "", "is empty; give at least `name`, `rubric` and `annotator`")])
    return content


class _Loader(yaml.SafeLoader):
    """The safe loader, without aliases (they can grow without bound), with every key once, and with numbers to base 10.

    YAML 1.1 reads 030 as 24 and 1:30 as 90, which nobody means who writes them here.
    """

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.YAMLError(f"line {mark.line + 1}: aliases (*name) are not allowed; write the value out")
        return super().compose_node(parent, index)

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        if node.tag.endswith((":int", ":float")) and OTHER_BASE.match(node.value):
            written = node.value if len(node.value) <= MAX_SHOWN else f"{node.value[:MAX_SHOWN]}…"
            wrong = f"{written!r} is not a number to base 10"
            raise yaml.YAMLError(
                f"line {node.start_mark.line + 1}: {wrong}; write it without leading zeros or colons, or quote it"
            )
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError, TypeError):  # what the safe loader raises for `!!bool maybe`
            wrong = f"{str(node.value)[:80]!r} is not a valid {node.tag.rpartition(':')[2]}"
            raise yaml.YAMLError(f"line {node.start_mark.line + 1}: {wrong}; quote it if it is text") from None

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            line = f"line {key.start_mark.line + 1}"
            if key.tag != "tag:yaml.org,2002:str":
                raise yaml.YAMLError(f"{line}: the key {key.value!r} is not text; quote it")
            if key.value in seen:
                raise yaml.YAMLError(f"{line}: {key.value!r} appears twice; remove one")
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def non_json_values(value: Any, place: tuple[str, ...] = ()) -> Iterator[Problem]:
    """What YAML and Python can hold and JSON cannot, so that it has no digest."""
    if len(place) > MAX_DEPTH:
        yield Problem(".".join(place[:3]), "...", f"is nested over {MAX_DEPTH} levels deep; write it flat")
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from non_json_values(key, (*place, key))
            yield from non_json_values(each, (*place, key))
    elif isinstance(value, list | tuple):
        for number, each in enumerate(value):
            yield from non_json_values(each, (*place, str(number)))
    elif fix := _fix_of_scalar(value):
        yield Problem(".".join(place), value, fix)


def _fix_of_scalar(value: Any) -> str:
    """Empty where JSON can hold it. A bool is an int, and a time is a date."""
    if not isinstance(value, str | int | float | date | None) or (
        isinstance(value, float) and type(value) is not float
    ):
        return f"is a {type(value).__name__}; write text, a number, a list or a section"
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return "is too large a number; write a smaller one, or quote it if it is text"
    if isinstance(value, float) and not math.isfinite(value):
        return "is not a finite number; write one, or leave the field out"
    if isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value):
        return "holds half a character (a lone surrogate); write the whole character"
    return ""


def validation_problems(error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """What pydantic says is wrong with the fields of `model`, with the fix."""
    # a default that follows from another field cannot be made where that field is wrong, which is said already
    errors = error.errors(include_url=False)
    details = [detail for detail in errors if detail["type"] != "default_factory_not_called"]
    return first_problems((_validation_problem(dict(detail), model) for detail in details), len(details))


def _validation_problem(detail: dict[str, Any], model: type[BaseModel]) -> Problem:
    path = [str(part) for part in detail["loc"]]
    field, kind, value = ".".join(path), detail["type"], detail["input"]
    if kind == "missing":
        return Problem(field, None, "is missing; add it")
    if kind == "extra_forbidden":
        secret = names_a_secret(path[-1]) and isinstance(value, str)
        return Problem(field, HIDDEN if secret else value, _fix_of_unknown(path, model))
    if isinstance(value, dict | BaseModel):  # an error about what the fields of a section are together
        value = "this section"
    if kind == "value_error":
        return Problem(field, value, str(detail["ctx"]["error"]))
    fix = _fix_of_quoted_number(value, kind) or "change it"
    return Problem(field, value, f"{detail['msg'][0].lower()}{detail['msg'][1:]}; {fix}")


def _fix_of_unknown(path: list[str], model: type[BaseModel]) -> str:
    """The closest field of the section that `path` leads to, else its fields and the section that has such a one."""
    whole = model
    for name in path[:-1]:
        if not (sections := _sections(model, name)):
            return "unknown field; remove it"
        model = sections[0]
    if close := difflib.get_close_matches(path[-1], model.model_fields, n=1):
        return f"unknown field; did you mean {close[0]!r}?"
    others = [name for name in whole.model_fields for one in _sections(whole, name) if path[-1] in one.model_fields]
    elsewhere = f"; {path[-1]!r} is a field of {' and of '.join(others)}" if others else ""
    return f"unknown field; use {', '.join(model.model_fields)}{elsewhere}"


def _sections(model: type[BaseModel], name: str) -> list[type[BaseModel]]:
    """The types of section that a field may hold; none of one that is unknown or holds something else."""
    annotation = model.model_fields[name].annotation if name in model.model_fields else None
    options = [annotation, *getattr(annotation, "__args__", ())]
    return [each for each in options if isinstance(each, type) and issubclass(each, BaseModel)]


def _fix_of_quoted_number(value: Any, kind: str) -> str:
    """How a number is written that YAML took for text; empty for other text."""
    if not isinstance(value, str) or kind not in ("float_type", "int_type"):
        return ""
    if match := re.fullmatch(r"([+-]?\d+)(\.\d*)?[eE]([+-]?)(\d+)", value.strip()):
        whole, part, sign, exponent = match.groups()
        fix = f"in YAML an exponent needs a point and a sign: write {whole}{part or '.0'}e{sign or '+'}{exponent}"
        return fix if kind == "float_type" else "write out all digits"
    return "write it without quotes" if re.fullmatch(r"[+-]?\d+(\.\d*)?", value.strip()) else ""
