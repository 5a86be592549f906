"""Which requests the web servers answer: those that a person's own browser, or a program, sends to them on purpose.

A page of any site can have the browser that shows it send requests to this machine. Neither Dagster's webserver nor a
server for cards knows who asks, so that such a page could launch runs and wipe assets. Every request therefore names a
host of ours (else a site could point its own name at 127.0.0.1 and read what is answered), and none comes from another
origin, by what browsers say of it in `Origin` and `Sec-Fetch-Site`. A program that sends neither header is answered.
"""

import re
from collections.abc import Sequence
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from datashop_assets.settings import HOSTS

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
HEALTH = "/server_info"  # asked by the address of a pod or machine; it says nothing but versions
_HOST = re.compile(r"([a-z0-9.-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?")


class SameOriginMiddleware:
    """Refuses what another site has a browser send. `hosts` are the names that are ours beside those of loopback."""

    def __init__(self, app: ASGIApp, hosts: Sequence[str] = ()) -> None:
        self.app = app
        self._hosts = frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        refusal = self._refusal(scope, Headers(scope=scope))
        if refusal is not None:
            await refusal(scope, receive, send)
            return

        async def unframed(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Frame-Options"] = "SAMEORIGIN"
            await send(message)

        await self.app(scope, receive, unframed)

    def _refusal(self, scope: Scope, headers: Headers) -> PlainTextResponse | None:
        host = headers.get("host", "").lower()
        named = _HOST.fullmatch(host)
        if (named is None or named[1] not in {*LOOPBACK, *self._hosts}) and scope["path"] != HEALTH:
            fix = f"open http://127.0.0.1 instead, or add the name to {HOSTS} where this server is started"
            return PlainTextResponse(f"{host!a} is not a name of this server; {fix}\n", 421)
        origin = headers.get("origin")
        if origin is not None and not self._is_ours(origin.lower(), host):
            return PlainTextResponse(f"a page of {origin!a} may not send requests to {host}\n", 403)
        site = headers.get("sec-fetch-site", "none")
        if site not in ("none", "same-origin") and not _opens_a_page(scope, headers):
            return PlainTextResponse(f"a page of another site ({site!a}) may not send requests to {host}\n", 403)
        if scope["type"] == "http" and _changes_by_address(scope):
            fix = "send it by POST, as JSON"
            return PlainTextResponse(
                f"an address can hold a GraphQL query and nothing else; {fix}\n", 405, {"Allow": "POST"}
            )
        return None

    def _is_ours(self, origin: str, host: str) -> bool:
        """A proxy may have put another `Host` in place of the name that the browser was given."""
        try:
            parts = urlsplit(origin)
        except ValueError:  # brackets that hold no address
            return False
        return parts.scheme in ("http", "https") and (parts.netloc == host or parts.hostname in self._hosts)


def _opens_a_page(scope: Scope, headers: Headers) -> bool:
    """Whether a person follows a link here, in a window of its own: nothing is sent along, nothing can be read."""
    to = headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")
    return scope["type"] == "http" and scope["method"] in ("GET", "HEAD") and to == ("navigate", "document")


def _changes_by_address(scope: Scope) -> bool:
    """Whether the address itself holds anything but GraphQL queries."""
    from graphql import GraphQLError, OperationDefinitionNode, OperationType, parse

    queries = parse_qs(scope["query_string"].decode("latin-1")).get("query", [])
    for query in queries if scope["path"].rstrip("/").endswith("/graphql") else ():
        try:
            definitions = parse(query).definitions
        except (GraphQLError, RecursionError):  # Dagster, with less on its stack, may understand what is too deep here
            return True
        operations = [one.operation for one in definitions if isinstance(one, OperationDefinitionNode)]
        if any(operation is not OperationType.QUERY for operation in operations):
            return True
    return False
