"""A hub on the loopback interface, as huggingface.co answers: an API, `resolve` with redirects, and a
storage host of another address that wants signed addresses and must never see a token.

    with fixture.Hub() as hub:
        hub.add("owner/name", {"config.json": b"{}", "model.pth": b"..."}, licence="mit")
        hub.fault.storage = lambda request: ...       see Faults
        run a client with HF_ENDPOINT = hub.url
        hub.requests                                  what was asked, in order

Large files (by suffix) are kept at the storage host, with X-Linked-ETag and X-Linked-Size at the hub;
small ones are answered by the hub after a relative redirect, as the real one does."""
import hashlib
import http.server
import json
import os
import socket
import socketserver
import threading
import time
import urllib.parse

LARGE = (".pth", ".gguf", ".safetensors", ".tiktoken")
TOKEN = "hf_fixturetoken"


def git_hash(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Repository:
    def __init__(self, files, licence, gated, private):
        self.files, self.licence, self.gated, self.private = dict(files), licence, gated, private
        self.sha256 = {n: hashlib.sha256(d).hexdigest() for n, d in files.items()}
        self.git = {n: git_hash(d) for n, d in files.items()}
        self.commit = hashlib.sha1(json.dumps(self.git, sort_keys=True).encode()).hexdigest()


class Faults:
    """What goes wrong.  Each is called with the request and may answer itself (and return True)."""
    hub = staticmethod(lambda request: False)
    storage = staticmethod(lambda request: False)
    change = staticmethod(lambda data: data)  # what the storage host keeps instead
    no_range = False
    bytes_per_second = 0  # of one connection; 0: as fast as it goes
    valid_s = 3600  # how long a signed address lasts
    etag = staticmethod(lambda hexa: f'"{hexa}"')
    linked_size = staticmethod(lambda size: size)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *args):
        pass

    def note(self):
        self.sent = 0
        self.range = self.headers.get("Range")
        self.server.hub.note(self)

    def answer(self, status, headers=None, body=b""):
        self.send_response(status)
        for k, v in (headers or {}).items():
            self.send_header(k, str(v))
        if "Content-Length" not in (headers or {}):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def cut(self):
        """The line drops: no more is sent, and the client sees the end."""
        self.close_connection = True
        try:
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def stream(self, data):
        rate, step = self.server.hub.fault.bytes_per_second, 64 << 10
        if rate:
            step = min(step, max(1024, rate // 50))
        for i in range(0, len(data), step):
            self.wfile.write(data[i:i + step])
            self.sent += len(data[i:i + step])
            if rate:
                time.sleep(step / rate)

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        self.note()
        try:
            self.run()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True


class HubHandler(Handler):
    def fail(self, status, code, message):
        self.answer(status, {"X-Error-Code": code, "X-Error-Message": message}, message.encode())

    def may(self, repo, name):
        given = self.headers.get("Authorization")
        token = given[len("Bearer "):] if given and given.startswith("Bearer ") else None
        if token and token not in (TOKEN, "hf_stranger"):
            self.answer(401, {"X-Error-Message": "Invalid credentials in Authorization header"})
        elif repo is None or (repo.private and token != TOKEN):
            self.fail(404 if token else 401, "RepoNotFound", "Repository not found")
        elif name is not None and repo.gated and token != TOKEN:
            self.fail(403 if token else 401, "GatedRepo", "Access to this model is restricted.")
        else:
            return True
        return False

    def run(self):
        hub = self.server.hub
        if hub.fault.hub(self):
            return
        path = urllib.parse.urlsplit(self.path).path.strip("/").split("/")
        path = [urllib.parse.unquote(p) for p in path]
        if path[:2] == ["api", "models"]:
            self.info(path[2:])
        elif path[:2] == ["api", "resolve-cache"]:
            self.small("/".join(path[3:5]), path[5], "/".join(path[6:]))
        elif len(path) > 4 and path[2] == "resolve":
            self.resolve("/".join(path[:2]), path[3], "/".join(path[4:]))
        else:
            self.answer(404)

    def info(self, path):
        name = "/".join(path[:2])
        repo = self.server.hub.repositories.get(name)
        if not self.may(repo, None):
            return
        revision = path[3] if path[2:3] in (["revision"], ["tree"]) else "main"
        if revision not in ("main", "v1.0/x", repo.commit):
            self.fail(404, "RevisionNotFound", "Invalid rev id")
            return
        if path[2:3] == ["tree"]:
            self.tree(repo)
            return
        body = json.dumps({
            "id": name, "modelId": name, "sha": repo.commit, "private": repo.private,
            "gated": "manual" if repo.gated else False, "tags": [f"license:{repo.licence}"],
            "cardData": {"license": repo.licence} if repo.licence else None,
            "siblings": [{"rfilename": n, "size": len(d), "blobId": repo.git[n]}
                         for n, d in sorted(repo.files.items())]})
        self.answer(200, {"Content-Type": "application/json"}, body.encode())

    def tree(self, repo):
        body = [{"type": "file", "path": n, "size": len(d), "oid": repo.git[n],
                 **({"lfs": {"oid": repo.sha256[n], "size": len(d), "pointerSize": 130}} if n.endswith(LARGE) else {})}
                for n, d in sorted(repo.files.items())]
        self.answer(200, {"Content-Type": "application/json"}, json.dumps(body).encode())

    def file(self, name, revision, file):
        repo = self.server.hub.repositories.get(name)
        if not self.may(repo, file):
            return None
        if revision not in ("main", repo.commit):
            self.fail(404, "RevisionNotFound", "Invalid rev id")
        elif file not in repo.files:
            self.fail(404, "EntryNotFound", "Entry not found")
        else:
            return repo, repo.files[file]
        return None

    def resolve(self, name, revision, file):
        hub, found = self.server.hub, self.file(name, revision, file)
        if not found:
            return
        repo, data = found
        head = {"X-Repo-Commit": repo.commit, "Vary": "Origin"}
        if not file.endswith(LARGE):
            self.answer(307, {**head, "ETag": hub.fault.etag(repo.git[file]),
                              "Location": f"/api/resolve-cache/models/{name}/{repo.commit}/{urllib.parse.quote(file)}"})
            return
        digest = repo.sha256[file]
        until = time.time() + hub.fault.valid_s
        self.answer(302, {**head, "X-Linked-ETag": hub.fault.etag(digest),
                          "X-Linked-Size": hub.fault.linked_size(len(data)), "X-Xet-Hash": digest,
                          "ETag": '"this is of the redirect"',
                          "Location": f"{hub.storage_url}/{digest}?Expires={until:.3f}&Signature=abc%2Bdef"})

    def small(self, name, commit, file):
        found = self.file(name, commit, file)
        if found:
            self.answer(200, {"X-Repo-Commit": found[0].commit, "Content-Type": "text/plain",
                              "ETag": self.server.hub.fault.etag(found[0].git[file])}, found[1])


class StorageHandler(Handler):
    def run(self):
        hub = self.server.hub
        if hub.fault.storage(self):
            return
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        data = hub.blobs().get(url.path.strip("/"))
        if self.headers.get("Authorization"):
            self.answer(400, {}, b"Only one auth mechanism allowed")
        elif data is None:
            self.answer(404)
        elif float(query.get("Expires", 0)) < time.time() or query.get("Signature") != "abc+def":
            self.answer(403, {"Content-Type": "application/xml"}, b"<Code>AccessDenied</Code>")
        else:
            self.send(hub.fault.change(data))

    def send(self, data):
        first, last, size = 0, len(data) - 1, len(data)
        partial = self.range and not self.server.hub.fault.no_range
        if partial:
            a, b = self.range.removeprefix("bytes=").split("-")
            first, last = int(a), min(int(b) if b else last, last)
            if first >= size:
                self.answer(416, {"Content-Range": f"bytes */{size}"})
                return
        self.send_response(206 if partial else 200)
        if partial:
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.send_header("Content-Length", str(last - first + 1))
        self.send_header("ETag", '"md5 of something"')
        self.end_headers()
        if self.command != "HEAD":
            self.stream(memoryview(data)[first:last + 1])


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        pass


class Hub:
    def __init__(self):
        self.repositories, self.requests, self.fault = {}, [], Faults()
        self.lock = threading.Lock()
        self.servers, self.known, self.kept = [], None, {}

    def __enter__(self):
        for address, handler in (("127.0.0.1", HubHandler), ("127.0.0.2", StorageHandler)):
            s = Server((address, 0), handler)
            s.hub = self
            threading.Thread(target=s.serve_forever, args=(0.05,), daemon=True).start()
            self.servers.append(s)
        self.url, self.storage_url = (f"http://{s.server_address[0]}:{s.server_address[1]}" for s in self.servers)
        return self

    def __exit__(self, *why):
        for s in self.servers:
            s.shutdown()
            s.server_close()

    def add(self, name, files, licence="apache-2.0", gated=False, private=False):
        self.repositories[name] = Repository(files, licence, gated, private)
        return self.repositories[name]

    def add_directory(self, name, path, **more):
        files = {}
        for base, _, names in os.walk(path):
            for n in names:
                full = os.path.join(base, n)
                with open(full, "rb") as f:
                    files[os.path.relpath(full, path)] = f.read()
        return self.add(name, files, **more)

    def blobs(self):
        """What the storage host keeps, by SHA-256; worked out again only when something was added."""
        key = [(n, id(r), len(r.files)) for n, r in self.repositories.items()]
        with self.lock:
            if self.known != key:
                self.kept = {r.sha256[n]: d for r in self.repositories.values()
                             for n, d in r.files.items() if n.endswith(LARGE)}
                self.known = key
            return self.kept

    def note(self, handler):
        with self.lock:
            self.requests.append(handler)

    def forget(self):
        with self.lock:
            self.requests.clear()
        self.fault = Faults()

    def storage_requests(self):
        with self.lock:
            return [r for r in self.requests if isinstance(r, StorageHandler)]

    def bytes_sent(self):
        return sum(r.sent for r in self.storage_requests())
