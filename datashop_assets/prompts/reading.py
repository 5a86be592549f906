"""YAML as prompt files use it: plain data, nothing hidden. Repeated keys and aliases are refused, not resolved."""

import math
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from datashop_assets.prompts.errors import Problem, PromptError

LARGEST = 1_000_000  # bytes; a rubric is a page
DEEPEST = 50  # levels of sections and lists
PLAIN = (str, int, float, date, type(None))  # a bool is an int, a time a date


class _Loader(yaml.SafeLoader):
    """The safe loader, without aliases (they can grow without bound) and with every key once."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.YAMLError(f"line {mark.line + 1}: aliases (*name) are not allowed; write the value out")
        return super().compose_node(parent, index)

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError, TypeError):  # what the safe loader raises for `!!bool maybe`
            said = f"{str(node.value)[:80]!r} is no {node.tag.rpartition(':')[2]}"
            raise yaml.YAMLError(f"line {node.start_mark.line + 1}: {said}; quote it if it is text") from None

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if key.tag != "tag:yaml.org,2002:str":
                raise yaml.YAMLError(f"line {key.start_mark.line + 1}: the key {key.value!r} is no text; quote it")
            if key.value in seen:
                raise yaml.YAMLError(f"line {key.start_mark.line + 1}: {key.value!r} stands twice; remove one")
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> Any:
    """The file's content. Raises `PromptError` for what cannot be read: size, encoding, syntax."""
    try:
        size = path.stat().st_size
        data = path.read_bytes() if size <= LARGEST else b""
    except OSError as error:
        raise PromptError(str(path), [Problem("", path.name, f"cannot be read: {error.strerror}")]) from None
    if size > LARGEST:
        raise PromptError(str(path), [Problem("", f"{size} bytes", f"a prompt file has at most {LARGEST} bytes")])
    return parse_yaml(data, str(path))


def _said(error: Exception) -> str:
    """Where and what, on one line."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}; mend it there or just before"
    return str(error)


def parse_yaml(data: bytes, file: str) -> Any:
    try:
        content = yaml.load(data.decode("utf-8"), _Loader)  # noqa: S506, a safe loader made stricter
    except UnicodeDecodeError as error:
        mend = f"byte {error.start} is not UTF-8; save the file as UTF-8"
        raise PromptError(file, [Problem("", data[error.start : error.start + 1], mend)]) from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise PromptError(file, [Problem("", "", f"is not YAML: {_said(error)}")]) from None
    if content is None:
        raise PromptError(file, [Problem("", "", "is empty; give at least `name`, `rubric` and `annotator`")])
    return content


def not_plain(value: Any, place: tuple[str, ...] = ()) -> Iterator[Problem]:
    """What YAML and Python can say and JSON cannot, so that no digest could be made of it."""
    if len(place) > DEEPEST:
        yield Problem(".".join(place[:3]), "...", f"is nested over {DEEPEST} levels deep; write it flat")
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from not_plain(key, (*place, key))
            yield from not_plain(each, (*place, key))
    elif isinstance(value, list | tuple):
        for number, each in enumerate(value):
            yield from not_plain(each, (*place, str(number)))
    elif mend := _mend(value):
        yield Problem(".".join(place), value, mend)


def _mend(value: Any) -> str:
    """Nothing where it is a plain value."""
    if not isinstance(value, PLAIN) or (isinstance(value, float) and type(value) is not float):
        return f"is a {type(value).__name__}; write text, a number, a list or a section"
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return "is too large a number; write a smaller one, or quote it if it is text"
    if isinstance(value, float) and not math.isfinite(value):
        return "is no finite number; write one, or leave the field out"
    if isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value):
        return "holds half a character (a lone surrogate); write the whole character"
    return ""
