"""A stand-in for W&B's server: answers what the clients ask, and keeps what they send."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

VIEW = {
    "id": "view",
    "name": "nw-view-v",
    "displayName": "",
    "description": "",
    "project": {"name": "capsnet", "entityName": "me"},
    "spec": '{"version": 5}',
    "createdAt": "2017-10-26T00:00:00Z",
    "updatedAt": "2017-10-26T00:00:00Z",
}
PROJECT = {
    "id": "project",
    "name": "capsnet",
    "entity": {"id": "entity", "name": "me"},
}
ARTIFACT = {  # as it is once all of it is there
    "id": "1",
    "artifactSequence": {"name": "one", "project": None},
    "artifactType": {"name": "dataset"},
    "versionIndex": 0,
    "description": None,
    "metadata": None,
    "ttlDurationSeconds": -2,
    "ttlIsInherited": True,
    "tags": [],
    "historyStep": None,
    "state": "COMMITTED",
    "size": 1,
    "digest": "1",
    "commitHash": "1",
    "fileCount": 1,
    "createdAt": "2017-10-26T00:00:00Z",
    "updatedAt": None,
}
NOTHING = {"pageInfo": {"endCursor": None, "hasNextPage": False}, "edges": []}


@dataclass
class Server:
    url: str
    sent: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # variables, by question
    refused: set[str] = field(default_factory=set)

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        told = question.get("variables") or {}
        known = self.answers(told.get("input", told))
        name = next((name for name in known if f"{name}(" in question["query"]), "viewer")
        self.sent.setdefault(name, []).append(told.get("input", told))
        if name in self.refused:
            return {"errors": [{"message": "no, not that"}], "data": None}
        return {"data": {name: known[name]}}

    def answers(self, told: dict[str, Any]) -> dict[str, Any]:
        """By field of a GraphQL question, what is answered to `told`."""
        upload = {"uploadUrl": f"{self.url}/upload", "uploadHeaders": []}
        stored = [
            {"node": {"name": file["name"], "artifact": {"id": file["artifactID"]}, **upload}}
            for file in told.get("artifactFiles") or []
        ]
        made = {"id": told.get("digest"), "state": "PENDING", "artifactSequence": {"id": "1"}}
        bucket = {"id": "run", "name": told.get("name"), "project": PROJECT, "historyLineCount": 0}
        return {
            "viewer": {"id": "1", "entity": "me", "flags": "{}", "teams": {"edges": []}},
            "models": NOTHING,
            "project": None,
            "artifact": ARTIFACT,
            "upsertModel": {"model": {"id": "1", "name": "capsnet", "entityName": "me"}},
            "createCustomChart": {"chart": {"id": "me/chart"}},
            "upsertView": {"inserted": True, "view": VIEW},
            "upsertBucket": {"inserted": True, "bucket": bucket},
            "createArtifactManifest": {"artifactManifest": {"id": "manifest", "file": upload}},
            "createArtifactFiles": {"files": {"edges": stored}},
            "createArtifact": {"artifact": made},
            "commitArtifact": {"artifact": {"id": told.get("artifactID")}},
            "useArtifact": {"artifact": {"id": told.get("artifactID")}},
            "createRunFiles": {
                "runID": "run",
                "uploadHeaders": [],
                "files": [{"name": name, **upload} for name in told.get("files", [])],
            },
        }


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

        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        server = Server(f"http://127.0.0.1:{http.server_port}")
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield server
        http.shutdown()
