"""Endpoints that are probed, without a server."""

import asyncio
import json
from typing import Any

import pytest

from resources.annotator.endpoints.client import JsonClient
from resources.annotator.endpoints.fleet import Fleet
from resources.annotator.endpoints.pacing import Policy
from resources.annotator.endpoints.probing import Capabilities, probe


@pytest.mark.parametrize("served", [5, True, "made/model", {"id": "made/model"}, ["made/model"], None, [None]])
def test_a_list_of_models_that_is_none_says_nothing(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def look(*_: Any) -> Any:
        return {"data": served}

    monkeypatch.setattr(JsonClient, "look", look)
    fleet = Fleet(["http://host/v1"], Policy())
    assert asyncio.run(probe(fleet, "made/model", needs_tokens=False)) == Capabilities(None, tokenizes=False)
    assert fleet.endpoints[0].listed == ()


@pytest.mark.parametrize("key", ["sk-plain", 'sk-"quoted"', "sk/slashed+=", "sk-\\back"])
@pytest.mark.parametrize("escape", [False, True])
def test_a_key_is_hidden_however_json_writes_it(key: str, escape: bool) -> None:
    body = json.dumps({"error": f"not with {key}"})
    shown = JsonClient(key, deadline=1.0).hide(body.replace("/", "\\/") if escape else body)
    assert json.loads(shown) == {"error": "not with [key]"}
