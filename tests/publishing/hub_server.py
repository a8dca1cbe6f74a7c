"""A loopback stand-in for the Hub, just enough to receive a commit of small files."""

import base64
import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


class Handler(BaseHTTPRequestHandler):
    """Answer create, pre-upload and commit; keep what came on the server object."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/api/repos/create":
            request = json.loads(body)
            self.server.created.append(request)
            repo_id = f"{request.get('organization') or 'someone'}/{request['name']}"
            return self.answer({"url": f"{self.server.url}/{repo_id}"})
        if self.path == "/api/validate-yaml":
            return self.answer({"errors": [], "warnings": []})
        if "/preupload/" in self.path:
            files = json.loads(body)["files"]
            return self.answer(
                {"files": [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files]}
            )
        if "/commit/" in self.path:
            lines = [json.loads(line) for line in body.splitlines()]
            files = {v["path"]: base64.b64decode(v["content"]) for v in (x["value"] for x in lines) if "path" in v}
            self.server.commits.append(files)
            repo_id = self.path.removeprefix("/api/models/").split("/commit/")[0]
            commit = f"{self.server.url}/{repo_id}/commit/{'0' * 40}"
            return self.answer({"commitUrl": commit, "commitOid": "0" * 40, "success": True})
        return self.answer({"error": "not found"}, 404)

    def do_GET(self):
        self.answer({"name": "someone", "type": "user"} if self.path == "/api/whoami-v2" else {}, 200)

    def answer(self, content, status=200):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextmanager
def serve():
    """Run the stand-in on a free port; yields the server with `url`, `created` and `commits`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{server.server_port}"
    server.created, server.commits = [], []
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
