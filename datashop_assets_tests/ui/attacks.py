"""A page of another site that sends this machine all that a browser lets a page send."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

EVIL = "evil.example.com"  # the browser is told that this name is 127.0.0.1, as an attacker's name server would say
# Each way adds a partition named after it, which shows whether it worked.
SCRIPT = """async (dagster) => {
  const add = way => `mutation { addDynamicPartition(partitionsDefName: "prompts", partitionKey: "${way}", `
    + 'repositorySelector: {repositoryName: "__repository__", repositoryLocationName: "datashop"}) { __typename } }';
  const wipe = 'mutation { wipeAssets(assetPartitionRanges: [{assetKey: {path: ["rubric"]}}]) { __typename } }';
  const asked = (way, query) => `${dagster}/graphql?query=${encodeURIComponent(query || add(way))}`;
  const body = (way, query) => JSON.stringify({query: query || add(way)});
  const tried = {};
  const fetched = async (way, address, options) => {
    try { tried[way] = (await fetch(address, {mode: "no-cors", credentials: "include", ...options})).type; }
    catch (error) { tried[way] = "refused"; }
  };
  await fetched("get", asked("get"));
  await fetched("get-wipe", asked("get-wipe", wipe));
  await fetched("post-wipe", `${dagster}/graphql`, {method: "POST", body: body("post-wipe", wipe)});
  await fetched("json-wipe", `${dagster}/graphql`,
    {method: "POST", mode: "cors", headers: {"Content-Type": "application/json"}, body: body("json-wipe", wipe)});
  await fetched("post-address", asked("post-address"), {method: "POST"});
  await fetched("post-text", `${dagster}/graphql`, {method: "POST", body: body("post-text")});
  await fetched("post-form", asked("post-form"), {method: "POST", body: new URLSearchParams({a: "b"})});
  await fetched("post-json", `${dagster}/graphql`,
    {method: "POST", mode: "cors", headers: {"Content-Type": "application/json"}, body: body("post-json")});
  await fetched("post-graphql", `${dagster}/graphql`,
    {method: "POST", mode: "cors", headers: {"Content-Type": "application/graphql"}, body: add("post-graphql")});
  await fetched("report", `${dagster}/report_asset_materialization/evil_asset`, {method: "POST"});
  await new Promise(done => {
    const image = new Image();
    image.onload = image.onerror = done;
    image.src = asked("image");
  });
  await new Promise(done => {
    const script = document.createElement("script");
    script.onload = script.onerror = done;
    script.src = asked("script");
    document.body.append(script);
  });
  await new Promise(done => {
    const frame = document.createElement("iframe");
    frame.name = "frame";
    document.body.append(frame);
    const form = document.createElement("form");
    form.method = "POST"; form.target = "frame"; form.action = asked("form"); form.enctype = "text/plain";
    document.body.append(form);
    form.submit();
    setTimeout(done, 3000);
  });
  tried.websocket = await new Promise(done => {
    const socket = new WebSocket(`${dagster.replace("http", "ws")}/graphql`, "graphql-ws");
    socket.onopen = () => done("open");
    socket.onerror = () => done("refused");
  });
  return tried;
}"""
WAYS = (
    *("get", "post-address", "post-text", "post-form", "post-json", "post-graphql"),
    *("image", "script", "form"),
)


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><body>another site")

    def log_message(self, *_: object) -> None: ...


@contextmanager
def another_site() -> Iterator[int]:
    """The port of 127.0.0.1 on which its one page is."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
