"""A server of our own for the tests in this folder, on a free port of the loopback interface.

    with live.Server("--strict") as s:
        r = s.call("POST", "/v1/audio/speech", json={"model": "tts-1", ...})
        r.status, r.headers["x-request-id"], r.body, r.json()
    check(condition, "what should have been", detail); sys.exit(live.report())
"""
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import time

# No settings of whoever runs the tests, but for the engine, which make test-onnx chooses.
CLEAN = {k: v for k, v in os.environ.items() if k == "JABBERTTS_ENGINE" or not k.startswith("JABBERTTS_")}
BINARY = os.path.join(os.environ.get("BUILD", "build"), "jabbertts")
TIMEOUT = 300  # the machine may be busy; nothing here should take a second
HELLO = {"model": "tts-1", "voice": "alloy", "input": "Hi."}
_done = {"checks": 0, "failed": 0}


def check(good, what, detail=""):
    _done["checks"] += 1
    if not good:
        _done["failed"] += 1
        print(f"FAIL: {what}: {detail}", flush=True)


def report():
    print(f"{_done['checks']} checks, {_done['failed']} failed")
    return 1 if _done["failed"] or not _done["checks"] else 0


def wait_until(condition, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


class Reply:
    def __init__(self, raw, body, broken):
        self.status, self.headers, self.body, self.broken = raw.status, raw.headers, body, broken

    def json(self):
        return json.loads(self.body)

    def error(self):
        """The error object, after checking its shape."""
        e = self.json().get("error")
        check(isinstance(e, dict) and sorted(e) == ["code", "message", "param", "type"],
              "an error has exactly the four keys", self.body)
        return e or {}


class Server:
    def __init__(self, *flags, env=None):
        self.flags, self.env = flags, env or {}

    def __enter__(self):
        self.log = tempfile.TemporaryFile()
        self.home = tempfile.TemporaryDirectory()
        self.process = subprocess.Popen(
            [BINARY, "serve", "--port", "0", *self.flags], stderr=self.log,
            env={**CLEAN, "XDG_CONFIG_HOME": self.home.name,
                 "XDG_DATA_HOME": self.home.name,
                 "PULSE_RUNTIME_PATH": os.path.join(self.home.name, "pulse"),  # else one in /tmp, which stays
                 **self.env})
        url = None

        def started():
            nonlocal url
            url = re.search(r"https?://[\d.]+:(\d+)", self.text())
            return url or self.process.poll() is not None
        wait_until(started, TIMEOUT)
        if not url:
            raise SystemExit("the server did not start: " + self.text())
        self.port = int(url.group(1))
        return self

    def __exit__(self, kind, value, trace):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(TIMEOUT)
            except subprocess.TimeoutExpired:
                self.process.kill()
                check(False, "the server stops when told to", self.text())
        check(self.process.returncode == 0, "the server ends with exit code 0",
              (self.process.returncode, self.text()[-4000:]))

    def text(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)

    def socket(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT)

    def call(self, method, path, json=None, body=None, headers=None):
        return exchange(self.connect(), method, path, json, body, headers)

    def speech(self, **fields):
        return self.call("POST", "/v1/audio/speech", json={**HELLO, **fields})


def exchange(c, method, path, data=None, body=None, headers=None):
    head = dict(headers or {})
    if data is not None:
        body = json.dumps(data)
        head.setdefault("Content-Type", "application/json")
    try:
        c.request(method, path, body=body, headers=head)
    except BrokenPipeError:
        pass  # refused while it was sent: the answer says why
    raw = c.getresponse()
    try:
        return Reply(raw, raw.read(), False)
    except http.client.IncompleteRead as e:
        return Reply(raw, e.partial, True)
