"""A server that speaks as much of BigQuery's protocol as Google's client needs to run one query."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

FIELDS = {"section": "STRING", "item": "STRING", "installations": "INTEGER", "percent": "FLOAT"}


class FakeBigQuery:
    """Takes jobs, keeps them, and answers each with the same rows. A context manager."""

    def __init__(self, rows: Sequence[Sequence[object]], *, processed: int = 0, refuse: int = 0) -> None:
        self.jobs: list[dict[str, Any]] = []
        self._rows, self._processed, self._refuse = rows, processed, refuse
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                job = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                fake.jobs.append(job)
                self.answer(fake.taken(job))

            def do_GET(self) -> None:
                self.answer(fake.result() if "/queries/" in self.path else fake.taken(fake.jobs[-1]))

            def answer(self, value: object) -> None:
                refused = {"error": {"code": fake.refuses, "message": "access denied", "errors": []}}
                body = json.dumps(refused if fake.refuses else value).encode()
                self.send_response(fake.refuses or 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @property
    def refuses(self) -> int:
        return self._refuse

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def taken(self, job: dict[str, Any]) -> dict[str, Any]:
        processed = {"totalBytesProcessed": str(self._processed)}
        taken = {"status": {"state": "DONE"}, "statistics": {**processed, "query": processed}}
        return {**job, "jobReference": job.get("jobReference", {"projectId": "project", "jobId": "dry"}), **taken}

    def result(self) -> dict[str, Any]:
        rows = [{"f": [{"v": None if value is None else str(value)} for value in row]} for row in self._rows]
        return {
            "jobComplete": True,
            "jobReference": self.jobs[-1]["jobReference"],
            "schema": {"fields": [{"name": name, "type": kind} for name, kind in FIELDS.items()]},
            "totalRows": str(len(rows)),
            "rows": rows,
        }
