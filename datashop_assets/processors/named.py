"""A processor by the name that a prompt file gives it: a known one, or a class of the user's by its import path."""

import inspect
import pkgutil
import sys
from collections.abc import Mapping
from typing import Any

from datashop_assets.processors.finalscore import FinalScore
from datashop_assets.processors.medu import Medu
from datashop_assets.protocols.processor import Parsed, Processor
from datashop_assets.storage.digests import digest_of_bytes

KNOWN: Mapping[str, type[Any]] = {"finalscore0-5": FinalScore, "medu": Medu}


def processor(name: str, options: Mapping[str, Any]) -> Processor:
    """An instance, tried on one reply. Raises `ValueError` that says what is wrong with it, and the mend."""
    found = _class(name)
    try:
        made = found(**options)
        parsed, answers = made.parse(""), tuple(made.answers)
    except Exception as error:
        raise ValueError(
            f"{name} cannot be used with options {dict(options)}: {type(error).__name__}: {error}; it is called with "
            "the options by name, must have `answers`, and `parse(reply)` must read any text, also an empty one"
        ) from error
    if not isinstance(parsed, Parsed) or not all(isinstance(answer, str) for answer in answers):
        raise ValueError(f"{name}.parse must return a Parsed of datashop_assets.protocols.processor, and answers texts")
    if unread := [answer for answer in answers if made.parse(answer).score is None]:
        raise ValueError(f"{name}.parse does not read {unread[0]!r}, which its `answers` offer; remove or read it")
    return made  # type: ignore[no-any-return]


def version_of(name: str) -> str:
    """What changes when the class reads replies otherwise: its `version`, else a digest of its module's source."""
    found = _class(name)
    if isinstance(version := getattr(found, "version", None), str):
        return version
    try:
        return digest_of_bytes(inspect.getsource(sys.modules[found.__module__]).encode())
    except (OSError, TypeError) as error:
        raise ValueError(f"{name} has no source that can be read; give the class a `version`") from error


def _class(name: str) -> type[Any]:
    if name in KNOWN:
        return KNOWN[name]
    try:
        found = pkgutil.resolve_name(name)
    except Exception as error:
        raise ValueError(
            f"{name} cannot be imported ({type(error).__name__}: {error}); use finalscore0-5, medu, or the import path "
            "package.module:Class of a class that stands on PYTHONPATH"
        ) from error
    if not inspect.isclass(found):
        raise ValueError(f"{name} is no class but {type(found).__name__}; name the class itself")
    if not callable(getattr(found, "parse", None)):  # before it is called: `subprocess:Popen` would run its options
        raise ValueError(f"{name} is no processor: the class has no `parse(reply)`; name another, or write it")
    return found
