"""A bucket for tests: moto's S3 server, behind a gate that checks every signature by itself and can be
slow, full or shut.

    b = bucket.open_bucket(directory)           None: moto is not installed and cannot be
    b.flags, b.environment               for `jabbertts serve`
    b.gate.mode = "full"                 or "slow", "shut", "open"
    b.objects()                          the names that moto has
    b.close()"""
import hashlib
import hmac
import http.client
import http.server
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import venv

NAME, PREFIX, REGION, KEY, SECRET = "sounds", "jabber/tts", "eu-test-1", "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG"
FULL = b"<Error><Code>InsufficientStorage</Code><Message>no space is left</Message></Error>"


def moto_server():
    """The program; installed below $BUILD on first use."""
    found = shutil.which("moto_server")
    home = os.path.join(os.environ.get("BUILD", "build"), "clients", "moto")
    program = os.path.join(home, "bin", "moto_server")
    if not found and not os.path.exists(program):
        try:
            venv.create(home, with_pip=True, clear=True)
            subprocess.run([os.path.join(home, "bin", "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check", "moto[server,s3]==5.2.5"], check=True)
        except (OSError, subprocess.CalledProcessError):
            shutil.rmtree(home, ignore_errors=True)
            return None
    return found or program


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def signature(method, path, headers, body):
    """What AWS's signature of this request must be, from the headers that it says are signed."""
    given = re.match(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/s3/aws4_request, SignedHeaders=([^,]+), Signature=(\w+)$", headers.get("Authorization", ""))
    if not given or given[1] != KEY or given[3] != REGION:
        return False
    path, _, query = path.partition("?")
    digest = hashlib.sha256(body).hexdigest()
    signed = "".join(f"{h}:{headers[h].strip()}\n" for h in given[4].split(";"))
    canonical = "\n".join([method, path, query, signed, given[4], digest])
    scope = f"{given[2]}/{REGION}/s3/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", headers["x-amz-date"], scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + SECRET).encode()
    for part in (given[2], REGION, "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    good = hmac.new(key, text.encode(), hashlib.sha256).hexdigest() == given[5]
    return good and headers.get("x-amz-content-sha256") == digest and {"host", "x-amz-date", "x-amz-content-sha256"} <= set(given[4].split(";"))


class Gate(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, moto):
        self.moto, self.mode, self.forged, self.n = moto, "open", [], 0
        super().__init__(("127.0.0.1", 0), Passage)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        pass  # a client that gave up, or was killed


class Passage(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, headers, body):
        self.send_response(status)
        for k, v in headers:
            self.send_header(k, v)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def pass_on(self):
        gate = self.server
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        gate.n += 1
        if not signature(self.command, self.path, self.headers, body):
            gate.forged.append((self.command, self.path, dict(self.headers)))
            self.answer(403, [], b"<Error><Code>SignatureDoesNotMatch</Code><Message>not signed so</Message></Error>")
            return
        if gate.mode == "shut":
            self.close_connection = True
            return
        if gate.mode == "slow":
            time.sleep(30)
        if gate.mode == "full" and self.command == "PUT":
            self.answer(507, [], FULL)
            return
        c = http.client.HTTPConnection("127.0.0.1", gate.moto, timeout=30)
        c.request(self.command, self.path, body, {k: v for k, v in self.headers.items() if k.lower() in ("range", "content-type", "host", "x-amz-date", "authorization")})
        r = c.getresponse()
        data = r.read()
        self.answer(r.status, [("Content-Type", r.headers.get("Content-Type", "text/plain"))], data)
        c.close()

    do_GET = do_PUT = do_DELETE = pass_on


class Bucket:
    def __init__(self, program, directory):
        self.port = free_port()
        self.log = open(os.path.join(directory, "moto.log"), "wb")
        self.process = subprocess.Popen([program, "-H", "127.0.0.1", "-p", str(self.port)], stdout=self.log, stderr=self.log)
        end = time.monotonic() + 60
        while time.monotonic() < end and socket.socket().connect_ex(("127.0.0.1", self.port)):
            time.sleep(0.2)
        self.moto("PUT", f"/{NAME}", f"<CreateBucketConfiguration><LocationConstraint>{REGION}</LocationConstraint></CreateBucketConfiguration>")
        self.gate = Gate(self.port)
        self.flags = ["--bucket", f"s3://{NAME}/{PREFIX}", "--bucket-endpoint", f"http://127.0.0.1:{self.gate.server_port}",
                      "--bucket-region", REGION, "--bucket-above", "8"]
        self.environment = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}

    def moto(self, method, path, body=None):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        c.request(method, path, body, {"Authorization": f"AWS4-HMAC-SHA256 Credential={KEY}/20260101/{REGION}/s3/aws4_request, SignedHeaders=host, Signature=0"})
        r = c.getresponse()
        return r.status, r.read().decode()

    def objects(self):
        names, more = set(), ""
        while True:
            text = self.moto("GET", f"/{NAME}?list-type=2{more}")[1]
            names |= {k[len(PREFIX) + 1:] for k in re.findall(r"<Key>([^<]+)</Key>", text)}
            token = re.search(r"<NextContinuationToken>([^<]+)<", text)
            if not token:
                return names
            more = "&continuation-token=" + token[1]

    def close(self):
        self.gate.shutdown()
        self.process.kill()
        self.process.wait()


def open_bucket(directory):
    program = moto_server()
    if not program:
        print("skipped: the bucket, since moto cannot be installed", file=sys.stderr)
        return None
    return Bucket(program, directory)
