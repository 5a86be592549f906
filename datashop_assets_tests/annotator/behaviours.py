"""How servers behave that call themselves OpenAI-compatible, and what is done: a table, and a server that does it.

`HANDLED_SERVER_BEHAVIOURS` is what `test_behaviours.py` tries, and `SERVERS` the page that people read.
"""

import json
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from datashop_assets_tests.annotator.hostile_server import MODEL
from datashop_assets_tests.handled_inputs import Example, Page, Table

Body = Any
Reply = Callable[[dict[str, Any], int], tuple[int, Body]]  # request, and how many came before -> status, body


def answered(asked: dict[str, Any], before: int = 0) -> tuple[int, Body]:
    worth = re.search(r"worth (\d)", asked["messages"][0]["content"])
    message = {"role": "assistant", "content": f"Final score: {worth[1] if worth else 0}"}
    usage = {"prompt_tokens": 50, "completion_tokens": 4}
    return 200, {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage}


def always(status: int, message: str, **more: Any) -> Reply:
    return lambda asked, before: (status, {"error": {"message": message, **more}})


def without(*parameters: str, status: int = 400, body: Callable[[str], Body] | None = None) -> Reply:
    """Refuses the first of these parameters that a request has."""

    def reply(asked: dict[str, Any], before: int) -> tuple[int, Body]:
        refused = [name for name in parameters if name in asked]
        if not refused:
            return answered(asked)
        return status, (body or _unsupported)(refused[0])

    return reply


def _unsupported(name: str) -> Body:
    return {"error": {"message": f"Unsupported parameter: '{name}'", "param": name, "code": "unsupported_parameter"}}


def _extra(name: str) -> Body:
    """As FastAPI says it, which repeats the request."""
    return {"detail": [{"type": "extra_forbidden", "loc": ["body", name], "msg": "Extra inputs are not permitted",
                        "input": "temperature top_p"}]}  # fmt: skip


def first(count: int, reply: Reply, then: Reply = answered) -> Reply:
    return lambda asked, before: (reply if before < count else then)(asked, before)


def models(*names: str) -> tuple[int, Body]:
    return 200, {"object": "list", "data": [{"id": name} for name in names]}


@dataclass(frozen=True)
class Behaviour:
    """What a server does, what is done about it, and what 12 documents then give.

    `says` is what the error or the log says, of which every part must be there. `requests` is the most that are sent.
    """

    name: str
    server: str  # what it does, for people
    handled: str  # what is done, for people
    reply: Reply
    answers: int  # of 12
    requests: int
    says: tuple[str, ...] = ()
    otherwise: str = ""
    models: tuple[int, Body] = field(default_factory=lambda: models(MODEL))


QUOTA_FIX = "raise the quota or add credit there"
HANDLED_SERVER_BEHAVIOURS = (
    Behaviour("max_tokens refused", "wants `max_completion_tokens`", "asked with that name from then on",
              without("max_tokens"), 12, 13, ("'max_tokens'",), "max_completion_tokens in place of max_tokens"),
    Behaviour("seed refused", "status 422 as plain words", "asked without it from then on",
              without("seed", status=422, body=lambda name: f"extra field: {name}"), 12, 13, ("extra field: seed",),
              "without seed"),
    Behaviour("parameters refused, the request repeated", "FastAPI's `detail`, one parameter after the other",
              "asked without each; what is repeated of the request is not read", without("seed", "temperature",
              status=422, body=_extra), 12, 14, ("Extra inputs",), "without seed, without temperature"),
    Behaviour("temperature fixed", "takes no temperature but its own", "asked without it from then on",
              without("temperature", body=lambda name: {"error": {"message":
              "Unsupported value: 'temperature' does not support 0.1 with this model.", "param": name}}), 12, 13,
              ("'temperature'",), "without temperature"),
    Behaviour("quota used up", "status 429 with `insufficient_quota`", "stops after one request",
              always(429, "You exceeded your current quota, see billing.", code="insufficient_quota"), 0, 1,
              ("no endpoint can be asked", "exceeded your current quota", QUOTA_FIX)),
    Behaviour("quota used up later", "the same after some answers", "what is answered is kept, no more is sent",
              first(5, answered, always(429, "quota used up", code="insufficient_quota")), 5, 12,
              ("quota used up", QUOTA_FIX)),
    Behaviour("quota of a minute", "status 429 that speaks of quota and billing, and ends soon", "waits, asks again",
              first(2, always(429, "You exceeded your current quota, check billing. Please retry in 0.01s.")), 12, 14),
    Behaviour("credit", "status 402", "stops after one request",
              always(402, "This request requires more credits, or fewer max_tokens."), 0, 1,
              ("requires more credits", "add credit there or lower annotator.sampling.max_tokens")),
    Behaviour("balance in a 400", "status 400, balance too low", "stops after one request",
              always(400, "Your credit balance is too low to access the API."), 0, 1, (QUOTA_FIX,)),
    Behaviour("error inside status 200", "a gateway's error in the body", "read as the status that it names",
              lambda asked, before: (200, {"error": {"code": 402, "message": "no credit"}}), 0, 1, ("no credit",)),
    Behaviour("error inside status 200, as text", "the same with the status in quotation marks", "read alike",
              lambda asked, before: (200, {"error": {"code": "401", "message": "no such key"}}), 0, 1,
              ("no such key", "DATASHOP_ANNOTATOR_KEY")),
    Behaviour("key expired", "status 401", "stops after one request", always(401, "The API key has expired."), 0, 1,
              ("has expired", "DATASHOP_ANNOTATOR_KEY")),
    Behaviour("model not served", "status 404 that names the model", "stops, with the models that it lists",
              always(404, f"The model `{MODEL}` does not exist."), 0, 1,
              ("does not exist", "annotator.model", "made/model-2"), models=models("other", "made/model-2")),
    Behaviour("model not valid", "status 400 that names the model", "stops after one request",
              always(400, f"{MODEL} is not a valid model ID"), 0, 1, ("annotator.model",)),
    Behaviour("overloaded", "status 529 for a while", "waits and asks again",
              first(3, always(529, "overloaded")), 12, 15),
    Behaviour("every request rejected", "status 400 whatever the document says", "stops after three documents and a "
              "text of our own", always(400, "the template does not render"), 0, 4,
              ("declines any text", "the template does not render")),
    Behaviour("some documents rejected", "status 400 for some documents", "those end as failed, the others go on",
              lambda asked, before: answered(asked) if "worth 1" not in asked["messages"][0]["content"]
              else (400, {"error": {"message": "cannot take this"}}), 10, 13, ("cannot take this",)),
    Behaviour("question too long", "too long a context, however short the document", "stops after a few requests",
              always(400, "This model's maximum context length is 1024 tokens. However, you requested 2048 tokens"), 0,
              12, ("no space for a document beside the question", "longer context")),
    Behaviour("never a chat completion", "status 200 and a web page", "stops after a few requests",
              lambda asked, before: (200, "<html><title>Welcome</title></html>"), 0, 8,
              ("gives no chat completion for any text", "Welcome", "ends in /v1")),
    Behaviour("an error without a status", "status 200, no choices, and why in a field of its own", "stops after a few "
              "requests, with the server's words", lambda asked, before: (200, {"choices": None, "base_resp":
              {"status_code": 1004, "status_msg": "login fail: carry the API secret key"}}), 0, 8,
              ("login fail: carry the API secret key", "correct what it names")),
    Behaviour("Ollama's own interface", "status 200 and an answer of `/api/chat`", "stops after one request",
              lambda asked, before: (200, {"message": {"role": "assistant", "content": "Final score: 3"},
              "done": True}), 0, 1, ("no chat completion", "Ollama", "ends in /v1")),
    Behaviour("a refusal without a message", "`finish_reason` is `content_filter`, and no message, for some documents",
              "those end as refused, and are not asked again", lambda asked, before: answered(asked)
              if "worth 1" not in asked["messages"][0]["content"] else
              (200, {"choices": [{"index": 0, "finish_reason": "content_filter: PROHIBITED_CONTENT"}]}), 10, 12,
              ("finish_reason content_filter",)),
    Behaviour("a reply broken off", "an `error` in the choice, for a while", "asked again",
              first(2, lambda asked, before: (200, {"choices": [{**answered(asked)[1]["choices"][0],
              "finish_reason": None, "error": {"code": 502, "message": "upstream idle timeout"}}]})), 12, 16),
    Behaviour("a gateway's page", "status 403 and a web page", "stops after one request; it is not the key",
              lambda asked, before: (403, "<html><title>Just a moment...</title></html>"), 0, 1,
              ("Just a moment...", "page of a gateway")),
    Behaviour("region not served", "status 403 that names the region", "stops after one request; it is not the key",
              always(403, "Country, region, or territory not supported", code="unsupported_country_region_territory"),
              0, 1, ("territory not supported", "ask from a region")),
    Behaviour("no list of models", "`/models` is 404", "a chat request decides", answered, 12, 12,
              models=(404, {"detail": "Not Found"})),
    Behaviour("list of models denied", "`/models` is 403", "a chat request decides", answered, 12, 12,
              models=(403, {"detail": "no"})),
    Behaviour("list of models broken", "`/models` and `/tokenize` are 500", "a chat request decides", answered, 12, 13,
              models=(500, "on fire")),
    Behaviour("bare list of models", "`/models` is a JSON list", "a chat request decides", answered, 12, 12,
              models=(200, [{"id": MODEL}])),
    Behaviour("long list of models", "`/models` of 1 MB", "read, up to 16 MB", answered, 12, 12,
              models=models(*(f"maker/{number}" + "x" * 1000 for number in range(1000)), MODEL)),
    Behaviour("model under another name", "lists `made/model:latest`", "a chat request decides", answered, 12, 12,
              models=models(f"{MODEL}:latest")),
    Behaviour("another model answers", "its answers name another `model` than was asked", "a warning with their "
              "number, and `answered as …` in the row: it may be an alias", lambda asked, before:
              (200, {**answered(asked)[1], "model": "tiny/other"}), 12, 12,
              ("12 answers name the model tiny/other where",), "answered as tiny/other"),
    Behaviour("accepted", "status 202 for a while", "asked again, whatever the body holds",
              first(2, lambda asked, before: (202, answered(asked)[1])), 12, 16),
    Behaviour("created", "status 201 and a chat completion", "read",
              lambda asked, before: (201, answered(asked)[1]), 12, 12),
    Behaviour("streams unasked", "events where one answer was asked for", "stops after a few requests and says so",
              lambda asked, before: (200, 'data: {"choices": []}\n\n'), 0, 8,
              ("stream: false",)),
    Behaviour("never a status 200", "status 202 or 204 every time", "stops after a few requests",
              lambda asked, before: (202, answered(asked)[1]), 0, 8,
              ("gives no chat completion for any text", "correct what it names")),
    Behaviour("some texts flagged", "status 403 of a moderation, for some documents", "those end as refused, the "
              "others go on", lambda asked, before: answered(asked)
              if "worth 1" not in asked["messages"][0]["content"] else
              (403, {"error": {"message": "made/model requires moderation. Your input was flagged", "code": 403}}),
              10, 12, ("Your input was flagged",)),
    Behaviour("max_tokens too low", "status 400 about the value of `max_tokens`", "stops after one request; the value "
              "is to be raised", always(400, "max_tokens must be at least 1024"), 0, 1,
              ("raise annotator.sampling.max_tokens",)),
    Behaviour("quota of a month", "status 429 that names a monthly limit", "stops after one request",
              always(429, "You've reached your monthly limit"), 0, 1, ("wait until the quota is renewed",)),
    Behaviour("model decommissioned", "status 404 that says so", "stops, with the models that it lists",
              always(404, f"The model {MODEL} has been decommissioned"), 0, 1, ("annotator.model", "made/model-2"),
              models=models("made/model-2")),
    Behaviour("providers not allowed", "status 404 about providers or a data policy", "stops after one request; it is "
              "not the address", always(404, "No endpoints found matching your data policy"), 0, 1,
              ("allow there the providers",)),
    Behaviour("byte order mark", "a byte order mark before its JSON", "left out", lambda asked, before:
              (200, "\ufeff" + json.dumps(answered(asked)[1])), 12, 12),
    Behaviour("escape sequences", "an error that would colour the terminal", "written as escapes",
              always(401, "\x1b[31mno\x1b]0;x\x07 key\u202e"), 0, 1, (r"\x1b[31mno\x1b]0;x\x07 key\u202e",)),
)  # fmt: skip
SERVERS = Page(
    "servers.md",
    "Servers",
    "How servers behave that call themselves OpenAI-compatible, and what is done. `datashop doctor` asks them in the "
    "same way as a run, and says what a run would say.",
    (
        Table(
            "What a server may do",
            "Where an endpoint can never answer, the error has the server's own words and the fix. Answers that were "
            "paid for are kept.",
            [Example(one.server, None, f"{one.handled} ({one.name})") for one in HANDLED_SERVER_BEHAVIOURS],
            ("the server", "what is done"),
            quoted=False,
        ),
    ),
    "datashop_assets_tests/annotator/behaviours.py",
)


class BehavingServer:
    """Does one behaviour on a free port. `requests` are the bodies of the chat requests that came."""

    def __init__(self, reply: Reply, listed: tuple[int, Body], certificate: tuple[Path, Path] | None = None) -> None:
        self.requests: list[dict[str, Any]] = []
        lock = threading.Lock()
        requests = self.requests

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def send(self, status: int, body: Body) -> None:
                data = (body if isinstance(body, str) else json.dumps(body)).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_GET(self) -> None:
                self.send(*(listed if urlsplit(self.path).path == "/v1/models" else (404, {"detail": "Not Found"})))

            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if urlsplit(self.path).path != "/v1/chat/completions":  # a proxy hands on the whole address
                    return self.send(500 if listed[0] == 500 else 404, {"detail": "Not Found"})
                with lock:
                    before = len(requests)
                    requests.append(asked)
                return self.send(*reply(asked, before))

            def log_message(self, *_: object) -> None:
                """In silence."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]  # of a handshake that fails
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_port
        self.url = f"http{'s' if certificate else ''}://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> "BehavingServer":
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def proxy(port: int, status: int = 200) -> Iterator[tuple[str, list[str]]]:
    """The address of an HTTP proxy that brings every request to `port` here, and the first lines that it got."""
    lines: list[str] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", port))
        except OSError:  # it is gone, as a client that stays connected finds out
            client.close()
            return
        with client, server:
            head = client.recv(65536)
            line = head.split(b"\r\n", 1)[0].decode()
            lines.append(line)
            if status != 200:
                client.sendall(f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n".encode())
                return
            if line.startswith("CONNECT "):
                client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            else:
                server.sendall(head)
            back = threading.Thread(target=_pump, args=(server, client), daemon=True)
            back.start()
            _pump(client, server)
            back.join(5)

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(client,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", lines
    finally:
        listener.close()


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass
