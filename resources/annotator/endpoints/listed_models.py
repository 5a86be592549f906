"""What an endpoint lists of its models: a hint for messages, and no more. Some list nothing, some list aliases."""

import contextlib
import difflib
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from resources.annotator.endpoints.client import JsonClient
from resources.annotator.endpoints.errors import RequestError

SHOWN_MODELS = 5  # of those that an endpoint lists


def listed_models(models: Any, model: str) -> tuple[tuple[str, ...], int | None]:
    """The names that are listed, and how many tokens `model` takes where that is said."""
    entries = _entries(models)
    entry = entries.get(model, {})
    length = entry.get("max_model_len")
    return tuple(entries), length if isinstance(length, int) and length > 1 else None


def listing(listed: Sequence[str], model: str) -> str:
    """The models that are listed, those first whose names are most like `model`."""
    if not listed:
        return ""
    alike = difflib.get_close_matches(model, listed, SHOWN_MODELS, 0.0)
    more = f" and {len(listed) - len(alike)} more" if len(listed) > len(alike) else ""
    return f": it lists {', '.join(alike)}{more}"


async def better_address(client: JsonClient, url: str) -> str:
    """The address beside this one that lists models, where there is one."""
    parts = urlsplit(url)
    for address in dict.fromkeys((f"{url}/v1", f"{parts.scheme}://{parts.netloc}/v1")):
        if address == url:
            continue
        with contextlib.suppress(RequestError):
            if _entries(await client.look("GET", f"{address}/models", None)):
                return f"; {address} lists models: give that one"
    return ""


def _entries(models: Any) -> dict[str, dict[str, Any]]:
    """Name -> entry of a list of models, as OpenAI has it, as a bare list, or as Ollama has it."""
    listed = (models.get("data") or models.get("models")) if isinstance(models, dict) else models
    entries = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    return {str(one.get("id") or one.get("name")): one for one in entries if one.get("id") or one.get("name")}
