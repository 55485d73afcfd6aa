"""A stand-in for W&B's server: answers what the clients ask, and keeps what they send."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ANSWERS = {  # the fields of a GraphQL question -> what is told
    "viewer": {"id": "1", "entity": "me", "username": "me", "flags": "{}", "teams": {"edges": []}},
    "models": {"pageInfo": {"endCursor": None, "hasNextPage": False}, "edges": []},
    "upsertModel": {"model": {"id": "1", "name": "capsnet", "entityName": "me"}},
    "createCustomChart": {"chart": {"id": "me/chart"}},
    "upsertView": {
        "inserted": True,
        "view": {
            "id": "view",
            "name": "nw-view-v",
            "displayName": "",
            "description": "",
            "project": {"name": "capsnet", "entityName": "me"},
            "spec": '{"version": 5}',
            "createdAt": "2017-10-26T00:00:00Z",
            "updatedAt": "2017-10-26T00:00:00Z",
        },
    },
}


@dataclass
class Server:
    url: str
    sent: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # variables, by field
    refused: set[str] = field(default_factory=set)

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        name = next((name for name in ANSWERS if f"{name}(" in question["query"]), "viewer")
        self.sent.setdefault(name, []).append(question.get("variables") or {})
        if name in self.refused:
            return {"errors": [{"message": "no, not that"}], "data": None}
        return {"data": {name: ANSWERS[name]}}


@contextmanager
def serving() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told = server.answer(json.loads(body)) if self.path == "/graphql" else {}
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(told).encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        server = Server(f"http://127.0.0.1:{http.server_port}")
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield server
        http.shutdown()
