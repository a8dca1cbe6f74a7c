"""A loopback stand-in for the Hub that the real client talks to: repositories, large files, commits, downloads.

It knows the part of the protocol that huggingface_hub 2.4 speaks where HF_HUB_DISABLE_XET is set. Each route of
`ROUTES` is a method of `Handler`, called a step; `Hub.fail_next(step, fault)` makes a step fail as a network would.
"""

import base64
import hashlib
import json
import re
import socket
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from urllib.parse import parse_qs, unquote, urlsplit

from huggingface_hub import constants

TOKEN = "hf_" + "Secret" * 5
WRITTEN_TO = ("create", "preupload", "batch", "verify", "commit")  # steps that need the token
REPO, OID, REVISION = r"(?P<repo_id>[\w.-]+/[\w.-]+)", r"(?P<oid>[0-9a-f]{64})", r"(?P<revision>[^/]+)"
ROUTES = {
    "whoami": "GET /api/whoami-v2",
    "create": "POST /api/repos/create",
    "validate": "POST /api/validate-yaml",
    "preupload": f"POST /api/models/{REPO}/preupload/main",
    "batch": f"POST /{REPO}.git/info/lfs/objects/batch",
    "upload": f"PUT /lfs/{OID}",
    "verify": f"POST /lfs/{OID}",
    "commit": f"POST /api/models/{REPO}/commit/main",
    "tree": f"GET /api/models/{REPO}/tree/{REVISION}(?P<path>/.*)?",
    "paths": f"POST /api/models/{REPO}/paths-info/{REVISION}",
    "info": f"GET /api/models/{REPO}(/revision/{REVISION})?",
    "resolve": f"(GET|HEAD) /{REPO}/resolve/{REVISION}/(?P<path>.+)",
    "download": f"(GET|HEAD) /lfs/{OID}",
}


@dataclass
class Repository:
    """A model repository: its files at each commit, oldest first, by the commit's hash."""

    private: bool
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)

    @property
    def head(self):
        return list(self.commits)[-1]

    @property
    def files(self):
        return self.commits[self.head]

    def commit(self, files):
        sha = hashlib.sha1(f"{len(self.commits)} {sorted(files)}".encode()).hexdigest()
        self.commits[sha] = files
        return sha


class Refusal(Exception):
    """An answer of the Hub that is an error: its status, message and X-Error-Code."""


class Hub(ThreadingHTTPServer):
    """The state of the Hub."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.storage = f"http://localhost:{self.server_port}/lfs"  # another host, as large files have one
        self.repositories, self.large = {}, {}
        self.requests, self.faults, self.closing = [], [], Event()

    def fail_next(self, step, fault, *, times=1, headers=None):
        """Let a step fail.

        Args:
            step: A key of `ROUTES`.
            fault: A status; or "silence" (no answer), "cut" (the connection ends in the middle of the request), "lost"
                (all is done, and the answer does not arrive), "overtaken" (somebody else commits just before).
            times: How often.
            headers: Of the answer.
        """
        self.faults += [(step, fault, headers or {})] * times

    def take_fault(self, step):
        for index, (name, fault, headers) in enumerate(self.faults):
            if name == step:
                del self.faults[index]
                return fault, headers
        return None, {}


class Handler(BaseHTTPRequestHandler):
    """Answer one request: a step returns what is sent back as JSON, or nothing where it has sent its bytes itself."""

    def handle_request(self):
        step, arguments = self.find_step()
        self.server.requests.append((step, self.headers.get("Authorization")))
        fault, headers = self.server.take_fault(step)
        if fault == "silence":
            return self.server.closing.wait(30)
        body = self.read_body(cut=fault == "cut")
        if fault == "cut":
            return self.connection.shutdown(socket.SHUT_RDWR)
        if isinstance(fault, int):
            page = b"<html>Bad gateway</html>" if fault == 502 else {"error": "as the test wants it"}
            return self.send(page, fault, headers)
        if fault == "overtaken":
            repository = self.server.repositories[arguments["repo_id"]]
            repository.commit(repository.files | {"theirs.txt": b"theirs"})
        try:
            if step in WRITTEN_TO and not self.is_known():
                raise Refusal(401, "Invalid credentials in Authorization header", "")
            content = getattr(self, step)(body, **arguments)
        except Refusal as refusal:
            status, message, code = refusal.args
            return self.send({"error": message}, status, {"X-Error-Message": message, "X-Error-Code": code})
        return None if content is None or fault == "lost" else self.send(content)

    do_GET = do_HEAD = do_POST = do_PUT = handle_request

    def find_step(self):
        """Return the name of the step and its arguments; those of Spaces have the same names as those of models."""
        path = unquote(urlsplit(self.path).path)
        self.kind = "spaces/" if "/spaces/" in path else ""
        request = f"{self.command} {path.replace('/api/spaces/', '/api/models/').replace('/spaces/', '/')}"
        for step, pattern in ROUTES.items():
            if match := re.fullmatch(pattern, request):
                return step, match.groupdict()
        return "unknown", {}

    def is_known(self):
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def find_repository(self, repo_id, revision="main"):
        repository = self.server.repositories.get(self.kind + repo_id)
        if repository is None or (repository.private and not self.is_known()):
            raise Refusal(404 if self.is_known() else 401, "Repository not found", "RepoNotFound")
        sha = repository.head if revision in (None, "main") else revision
        if sha not in repository.commits:
            raise Refusal(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return repository, sha

    def unknown(self, body):
        raise Refusal(404, "Not found", "")

    def whoami(self, body):
        return {"name": "someone", "type": "user", "orgs": []}

    def create(self, body):
        request = json.loads(body)
        kind = "spaces/" if request.get("type") == "space" else ""
        repo_id = f"{kind}{request['organization'] or 'someone'}/{request['name']}"
        address = {"url": f"{self.server.url}/{repo_id}"}
        if repo_id in self.server.repositories:
            return self.send(address | {"error": "You already created this model repo"}, 409)
        repository = self.server.repositories[repo_id] = Repository(request.get("visibility") == "private")
        repository.commit({".gitattributes": b"*.safetensors filter=lfs\n"})
        return address

    def validate(self, body):
        return {"errors": [], "warnings": []}

    def preupload(self, body, repo_id):
        held = self.find_repository(repo_id)[0].files
        answers = []
        for file in json.loads(body)["files"]:
            path = file["path"]
            mode = "lfs" if is_large(base64.b64decode(file["sample"]), file["size"]) else "regular"
            oid = object_id(held[path]) if path in held else None
            answers.append({"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        return {"files": answers}

    def batch(self, body, repo_id):
        self.find_repository(repo_id)
        objects = [{"oid": item["oid"], "size": item["size"]} for item in json.loads(body)["objects"]]
        for item in objects:
            if item["oid"] not in self.server.large:
                address = {"href": f"{self.server.storage}/{item['oid']}"}
                item["actions"] = {"upload": address, "verify": address}
        return {"transfer": "basic", "objects": objects}

    def upload(self, body, oid):
        if hashlib.sha256(body).hexdigest() != oid:
            raise Refusal(400, "The content does not match its hash", "")
        self.server.large[oid] = body
        return {}

    def verify(self, body, oid):
        if len(self.server.large.get(oid, b"")) != json.loads(body)["size"]:
            raise Refusal(404, "Not uploaded", "")
        return {}

    def commit(self, body, repo_id):
        repository, head = self.find_repository(repo_id)
        files = dict(repository.files)
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "header" and value.get("parentCommit", head) != head:
                raise Refusal(412, "A commit has happened since. Please refresh and try again.", "")
            if line["key"] == "lfsFile":
                if value["oid"] not in self.server.large:
                    raise Refusal(400, "A large file was not uploaded", "")
                files[value["path"]] = self.server.large[value["oid"]]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            if line["key"] == "deletedFile" and files.pop(value["path"], None) is None:
                raise Refusal(404, "A file with this name doesn't exist", "EntryNotFound")
        sha = repository.commit(files)  # all or nothing
        return {"commitUrl": f"{self.server.url}/{repo_id}/commit/{sha}", "commitOid": sha, "success": True}

    def info(self, body, repo_id, revision):
        repository, sha = self.find_repository(repo_id, revision)
        files = repository.commits[sha]
        siblings = [{"rfilename": path, "size": len(content)} for path, content in files.items()]
        return {"id": repo_id, "modelId": repo_id, "sha": sha, "private": repository.private, "siblings": siblings}

    def tree(self, body, repo_id, revision, path):
        repository, sha = self.find_repository(repo_id, revision)
        folder = path.strip("/") + "/" if path else ""
        files = {name: content for name, content in repository.commits[sha].items() if name.startswith(folder)}
        if not files:
            raise Refusal(404, "No such folder", "EntryNotFound")
        if parse_qs(urlsplit(self.path).query).get("recursive") == ["false"]:
            children = [folder + name.removeprefix(folder).split("/")[0] for name in files]
            files = {child: files.get(child) for child in children}
        return [describe_entry(name, content) for name, content in files.items()]

    def paths(self, body, repo_id, revision):
        files = self.find_repository(repo_id, revision)[0].files
        asked = parse_qs(body.decode())["paths"]
        folders = {path: None for path in asked if any(name.startswith(f"{path}/") for name in files)}
        return [describe_entry(path, content) for path, content in (folders | files).items() if path in asked]

    def resolve(self, body, repo_id, revision, path):
        repository, sha = self.find_repository(repo_id, revision)
        if path not in repository.commits[sha]:
            raise Refusal(404, "Entry not found", "EntryNotFound")
        content = repository.commits[sha][path]
        oid, headers = object_id(content), {"X-Repo-Commit": sha}
        if is_large(content[:512], len(content)):
            linked = {"X-Linked-Etag": f'"{oid}"', "X-Linked-Size": str(len(content))}
            return self.send({}, 302, headers | linked | {"Location": f"{self.server.storage}/{oid}"})
        return self.send_file(content, headers | {"ETag": f'"{oid}"'})

    def download(self, body, oid):
        self.send_file(self.server.large[oid], {"ETag": f'"{oid}"'})

    def read_body(self, *, cut):
        length = int(self.headers.get("Content-Length", 0))
        return self.rfile.read(length // 2 if cut else length)

    def send_file(self, content, headers):
        if asked := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            start, end = int(asked[1]), int(asked[2] or len(content) - 1)
            headers |= {"Content-Range": f"bytes {start}-{end}/{len(content)}"}
            return self.send(content[start : end + 1], 206, headers)
        return self.send(content, 200, headers)

    def send(self, content, status=200, headers=None):
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        kind = "application/octet-stream" if isinstance(content, bytes) else "application/json"
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def describe_entry(path, content):
    """Return what the Hub tells about a file, or about a folder if there is no content."""
    if content is None:
        return {"type": "directory", "path": path, "oid": "0" * 40}
    return {"type": "file", "path": path, "size": len(content), "oid": object_id(content)}


def is_large(sample, size):
    """Tell whether the Hub stores a file apart from git: it is binary, or above 10 MB."""
    return b"\0" in sample or size > 10_000_000


def object_id(content):
    """Return the name that the Hub gives a file's content: SHA-256 of a large one, git's of another."""
    if is_large(content[:512], len(content)):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@contextmanager
def use_hub(monkeypatch, cache):
    """Run the stand-in, and let huggingface_hub and transformers download from it into a cache of its own."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    with serve() as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        address = f"{hub.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address)
        yield hub


@contextmanager
def serve():
    """Run the stand-in on a free port of this machine."""
    hub = Hub()
    Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield hub
    finally:
        hub.closing.set()
        hub.shutdown()
        hub.server_close()
