"""The processors that come with Datashop, and how the name in a prompt file becomes one.

`finalscore0-5` reads a number after `Final score:` (`final_scores`), `medu` one of the words Great, Good, Okay, Poor
and Useless as 5 to 1 (`labels`). Both leave to `verdicts` where a verdict may stand and what is refused. Any other name
is the import path of a class of the user's.
"""

import inspect
import pkgutil
import sys
import threading
from collections.abc import Mapping
from typing import Any

from datashop_assets.asking.final_scores import FinalScore
from datashop_assets.asking.labels import Medu
from datashop_assets.protocols.processor import Parsed, Processor
from datashop_assets.storage.digests import digest_of_bytes

KNOWN: Mapping[str, type[Any]] = {"finalscore0-5": FinalScore, "medu": Medu}


def processor(name: str, options: Mapping[str, Any]) -> Processor:
    """An instance, tried on one reply. Raises `ValueError` that says what is wrong with it, and the fix."""
    cls = _class(name)
    try:
        instance = cls(**options)
        parsed, answers = instance.parse(""), tuple(instance.answers)
        read = [instance.parse(answer) for answer in answers if isinstance(answer, str)]
    except BaseException as error:  # also one that exits
        if _stops_us(error):
            raise
        raise ValueError(
            f"{name} cannot be used with options {dict(options)}: {type(error).__name__}: {error}; it is called with "
            "the options by name, must have `answers`, and `parse(reply)` must read any text, also an empty one"
        ) from error
    if not all(isinstance(one, Parsed) for one in (parsed, *read)) or len(read) < len(answers):
        raise ValueError(f"{name}.parse must return a Parsed of datashop_assets.protocols.processor, and answers texts")
    if unread := [answer for answer, one in zip(answers, read, strict=True) if one.score is None]:
        raise ValueError(f"{name}.parse does not read {unread[0]!r}, which its `answers` offer; remove or read it")
    return instance  # type: ignore[no-any-return]


def version_of(name: str) -> str:
    """What changes when the class reads replies otherwise: its `version`, else a digest of its module's source."""
    cls = _class(name)
    if isinstance(version := getattr(cls, "version", None), str):
        return version
    try:
        return digest_of_bytes(inspect.getsource(sys.modules[cls.__module__]).encode())
    except (OSError, TypeError) as error:
        raise ValueError(f"{name} has no source that can be read; give the class a `version`") from error


def _class(name: str) -> type[Any]:
    if name in KNOWN:
        return KNOWN[name]
    try:
        cls = pkgutil.resolve_name(name)
    except BaseException as error:
        if _stops_us(error):
            raise
        raise ValueError(
            f"{name} cannot be imported ({type(error).__name__}: {error}); use finalscore0-5, medu, or the import path "
            "package.module:Class of a class on PYTHONPATH"
        ) from error
    if not inspect.isclass(cls):
        raise ValueError(f"{name} is a {type(cls).__name__}, not a class; name the class itself")
    if not callable(getattr(cls, "parse", None)):  # before it is called: `subprocess:Popen` would run its options
        raise ValueError(f"{name} is not a processor: the class has no `parse(reply)`; name another, or write it")
    return cls


def _stops_us(error: BaseException) -> bool:
    """Whether a signal ends what we do, rather than a processor's code: signals reach the main thread alone."""
    by_signal = isinstance(error, KeyboardInterrupt) or type(error).__module__.startswith("dagster.")
    return by_signal and threading.current_thread() is threading.main_thread()
