"""Where the annotator is: read from the environment in this one place.

What is asked stands in the prompt file; where it is asked, and with which key, is a matter of the machine.
"""

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from datashop_assets.storage.root import default_root, project
from resources.annotator.endpoints.addresses import checked_url
from resources.annotator.endpoints.pacing import Policy

HOMES = ("embedded", "server", "endpoints")
KEY = "DATASHOP_ANNOTATOR_KEY"


@dataclass(frozen=True)
class ServerSettings:
    """A vLLM server that is started here. `arguments` are handed to it as they are, after those below."""

    python: Path
    tensor_parallel_size: int | None = None  # None: as the model's name says, 8 for one that is not known
    max_model_len: int = 8192
    dtype: str = "auto"
    revision: str = ""
    arguments: tuple[str, ...] = ()
    start_deadline: float = 1800.0  # seconds; a 70B model is loaded and compiled in some ten minutes
    restarts: int = 3
    logs: Path = Path("logs")
    cache: Path = Path("cache")


@dataclass(frozen=True)
class AnnotatorSettings:
    """`key` is a secret: it is not shown, logged or stored."""

    home: str
    urls: tuple[str, ...]
    policy: Policy
    server: ServerSettings
    key: str = field(default="", repr=False)


def from_environment(environment: Mapping[str, str] | None = None) -> AnnotatorSettings:
    """Raises `ValueError` that names variable, value and mend."""
    given = {name: text for name, text in (os.environ if environment is None else environment).items() if text}
    home = given.get("DATASHOP_ANNOTATOR", "embedded")
    if home not in HOMES:
        raise ValueError(f"DATASHOP_ANNOTATOR is {home!r}; use one of {', '.join(HOMES)}")
    urls = tuple(checked_url(url) for url in given.get("DATASHOP_ANNOTATOR_URLS", "").replace(",", " ").split())
    if home == "endpoints" and not urls:
        raise ValueError(
            "DATASHOP_ANNOTATOR is endpoints and DATASHOP_ANNOTATOR_URLS is empty; name one address or more"
        )
    return AnnotatorSettings(home, tuple(dict.fromkeys(urls)), _policy(given), _server(given), _key(given))


def _policy(given: Mapping[str, str]) -> Policy:
    return Policy(
        attempts=_whole(given, "DATASHOP_ANNOTATOR_ATTEMPTS", Policy.attempts),
        deadline=_number(given, "DATASHOP_ANNOTATOR_DEADLINE", Policy.deadline),
        patience=_number(given, "DATASHOP_ANNOTATOR_PATIENCE", Policy.patience),
        most=_whole(given, "DATASHOP_ANNOTATOR_CONCURRENCY", Policy.most),
    )


def _server(given: Mapping[str, str]) -> ServerSettings:
    root = default_root()
    folder = root.folder.local
    return ServerSettings(
        python=project() / given.get("DATASHOP_VLLM_PYTHON", ".venv-vllm/bin/python"),
        tensor_parallel_size=_whole(given, "DATASHOP_VLLM_TENSOR_PARALLEL_SIZE", 0) or None,
        max_model_len=_whole(given, "DATASHOP_VLLM_MAX_MODEL_LEN", ServerSettings.max_model_len),
        dtype=given.get("DATASHOP_VLLM_DTYPE", ServerSettings.dtype),
        revision=given.get("DATASHOP_VLLM_REVISION", ""),
        arguments=tuple(shlex.split(given.get("DATASHOP_VLLM_ARGUMENTS", ""))),
        start_deadline=_number(given, "DATASHOP_VLLM_START_DEADLINE", ServerSettings.start_deadline),
        logs=(root.cache if folder is None else folder) / "logs",
        cache=root.cache,
    )


def _key(given: Mapping[str, str]) -> str:
    """The key itself, or what the variable named in DATASHOP_ANNOTATOR_KEY_VARIABLE holds."""
    name = given.get("DATASHOP_ANNOTATOR_KEY_VARIABLE", KEY)
    if name != KEY and name not in given:
        raise ValueError(f"DATASHOP_ANNOTATOR_KEY_VARIABLE names {name!r}, which is not set; set it to the key")
    key = given.get(name, "").strip()
    if not (key.isascii() and key.isprintable()):
        raise ValueError(f"the key in {name} holds a character that no HTTP header can; set it anew")
    return key


def _number(given: Mapping[str, str], name: str, default: float) -> float:
    text = given.get(name, str(default))
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 < number < 1e9 and text != str(default):
        raise ValueError(f"{name} is {text!r}; give a number above 0")
    return number


def _whole(given: Mapping[str, str], name: str, default: int) -> int:
    number = _number(given, name, default)
    if not number.is_integer():  # a half request at a time would be none
        raise ValueError(f"{name} is {given[name]!r}; give a whole number")
    return int(number)
