"""A server that speaks as vLLM does and misbehaves as servers do: `python -m ...hostile_server PORT SEED SHARE [KEY]`.

What a document says decides how it ends in the end: the score that it is worth, else its words in capitals, are the
reply. What goes wrong on the way is drawn anew for each request. `SHARE`
scales how often: at 1, a tenth are status 500, a twentieth 429, and one in a hundred each of the rest. With a KEY
it is no vLLM but a plain server behind that key: it neither tokenizes nor says how long a text its model takes.
"""

import asyncio
import random
import re
import sys
from typing import Any

from aiohttp import web

MODEL = "made/model"
CONTEXT = 4096  # tokens; every character is one
ILLS = {
    "500": 0.10,
    "429": 0.05,
    "hang": 0.01,
    "reset": 0.01,
    "garbage": 0.01,
    "none": 0.01,
    "two": 0.01,
    "nan": 0.01,
    "huge": 0.01,
}
Reply = web.StreamResponse


class HostileServer:
    def __init__(self, seed: int, share: float, key: str = "") -> None:
        self._key = key
        self._random = random.Random(seed)
        self._share = share
        self.requests = 0

    def application(self) -> web.Application:
        application = web.Application(client_max_size=2**26, middlewares=[self.guard])
        application.router.add_get("/v1/models", self.models)
        application.router.add_get("/requests", self.count)
        application.router.add_get("/health", self.count)
        if not self._key:
            application.router.add_post("/tokenize", self.tokenize)
        application.router.add_post("/v1/chat/completions", self.complete)
        return application

    @web.middleware
    async def guard(self, request: web.Request, handler: Any) -> Reply:
        if (
            self._key
            and request.path.startswith("/v1")
            and request.headers.get("Authorization") != f"Bearer {self._key}"
        ):
            return web.json_response(
                {"error": {"message": f"not with {request.headers.get('Authorization')}"}}, status=401
            )
        return await handler(request)

    async def models(self, request: web.Request) -> Reply:
        known = {} if self._key else {"max_model_len": CONTEXT}
        return web.json_response({"data": [{"id": MODEL, **known}]})

    async def count(self, request: web.Request) -> Reply:
        return web.json_response(self.requests)

    async def tokenize(self, request: web.Request) -> Reply:
        return web.json_response({"tokens": [ord(letter) for letter in (await request.json())["prompt"]]})

    async def complete(self, request: web.Request) -> Reply:
        self.requests += 1
        asked = await request.json()
        if asked["model"] != MODEL:
            return web.json_response({"error": {"message": f"The model {asked['model']} does not exist"}}, status=404)
        ill = self._ill()
        if ill in BEFORE:
            return await BEFORE[ill](request)
        body = _answer(asked)
        if isinstance(body, web.Response):
            return body
        return web.json_response(_spoilt(body, ill), dumps=_dumps)

    def _ill(self) -> str:
        drawn = self._random.random() / self._share if self._share else 1.0
        for ill, share in ILLS.items():
            if drawn < share:
                return ill
            drawn -= share
        return ""


async def _error(request: web.Request) -> Reply:
    return web.Response(status=500, text="the engine is on fire " + request.headers.get("Authorization", ""))


async def _too_many(request: web.Request) -> Reply:
    return web.Response(status=429, headers={"Retry-After": "1"}, text="slow down")


async def _hang(request: web.Request) -> Reply:
    await asyncio.sleep(3600)
    return web.Response()


async def _reset(request: web.Request) -> Reply:
    response = web.StreamResponse(headers={"Content-Length": "1000", "Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(b'{"choices": [{"mess')
    assert request.transport is not None
    request.transport.abort()
    return response


async def _garbage(request: web.Request) -> Reply:
    return web.Response(text='{"choices": [{"message": <html>')


BEFORE = {"500": _error, "429": _too_many, "hang": _hang, "reset": _reset, "garbage": _garbage}


def _answer(asked: dict[str, Any]) -> Any:
    text = "".join(turn["content"] for turn in asked["messages"])
    if "poison" in text:
        return web.json_response({"error": {"message": "this template does not render"}}, status=400)
    if len(text) + asked["max_tokens"] > CONTEXT:
        said = f"This model's maximum context length is {CONTEXT} tokens. However, you requested {len(text)} tokens"
        return web.json_response({"error": {"message": said}}, status=400)
    end = "content_filter" if "forbidden" in text else "length" if "endless" in text else "stop"
    score = re.search(r"worth (\d)", text)
    says = f"Final score: {score[1]}" if score else " ".join(sorted(set(re.findall(r"\b[A-Z]{3,}\b", text))))
    choice = {"message": {"role": "assistant", "content": says}, "finish_reason": end}
    if tokens := asked.get("logprob_token_ids"):
        likely = {token: -0.1 if chr(token) == (score and score[1]) else -4.0 for token in tokens}
        listed = [{"token": f"token_id:{token}", "logprob": value} for token, value in likely.items()]
        choice["logprobs"] = {"content": [{"token": listed[0]["token"], "logprob": -0.1, "top_logprobs": listed}]}
    usage = {"prompt_tokens": len(text), "completion_tokens": 4}
    return {"choices": [choice], "usage": usage, "system_fingerprint": "made-1-abc"}


def _spoilt(body: dict[str, Any], ill: str) -> dict[str, Any]:
    choice = body["choices"][0]
    if ill == "none":
        return {**body, "choices": []}
    if ill == "two":
        return {**body, "choices": [choice, choice]}
    if ill == "huge":
        return {**body, "choices": [{**choice, "message": {"content": "so " * 350_000}}]}
    if ill == "nan" and "logprobs" in choice:
        for one in choice["logprobs"]["content"][0]["top_logprobs"]:
            one["logprob"] = float("nan")
    return body


def _dumps(body: Any) -> str:
    import json

    return json.dumps(body)  # which writes NaN, as Python servers do


if __name__ == "__main__":
    port, seed, share = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    web.run_app(
        HostileServer(seed, share, *sys.argv[4:]).application(),
        host="127.0.0.1",
        port=port,
        print=None,
        handle_signals=False,
    )
