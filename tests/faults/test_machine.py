"""Faults of the machine: a log that nobody reads, signals, limits of the operating system, a full disk,
a locked database, and the end of the process at any moment."""
import base64
import json
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "http"))
import live  # noqa: E402
from damage import damage  # noqa: E402
from live import check  # noqa: E402

MOMENTS = int(os.environ.get("FAULTS_MOMENTS", "10"))  # kills; 100 for the long run
LONG = "The quick brown fox jumps over the lazy dog, and then it goes home to sleep. " * 30
directory = tempfile.TemporaryDirectory()


def path(name):
    return os.path.join(directory.name, name)


def bearer(key):
    return {"Authorization": "Bearer " + key}


class Limited(live.Server):
    """A server with limits of the operating system, or with a standard error of our own."""

    def __init__(self, *flags, limits=(), env=None):
        super().__init__(*flags, env=env)
        self.limits = limits

    def __enter__(self):
        popen = subprocess.Popen

        def limit():
            for which, value in self.limits:
                resource.setrlimit(which, (value, value))
        subprocess.Popen = lambda *a, **k: popen(*a, preexec_fn=limit, **k)
        try:
            return super().__enter__()
        finally:
            subprocess.Popen = popen


def stuck_log():
    """Nobody reads standard error: requests go on, lines are counted as lost, SIGTERM ends it."""
    out, into = os.pipe()
    home = tempfile.TemporaryDirectory()
    process = subprocess.Popen([live.BINARY, "serve", "--port", "0", "--threads", "1"], stderr=into,
                               env={**os.environ, "XDG_DATA_HOME": home.name})
    os.close(into)
    line = b""
    while not line.endswith(b"\n"):
        line += os.read(out, 1)
    s = live.Server()
    s.port = int(line.rsplit(b":", 1)[1].split(b"/")[0])
    long_path = "/v1/models/" + "x" * 900
    start = time.monotonic()
    c = s.connect()
    for _ in range(600):
        live.exchange(c, "GET", long_path)
    check(time.monotonic() - start < 60, "600 requests are answered", time.monotonic() - start)
    lost = [x for x in s.call("GET", "/metrics").body.decode().splitlines()
            if x.startswith("jabbertts_log_dropped_total")]
    check(float(lost[0].split()[1]) > 0, "lines are lost, and counted", lost)
    check(s.speech().status == 200, "it speaks")
    process.send_signal(signal.SIGTERM)
    try:
        check(process.wait(30) == 0, "SIGTERM ends it", process.returncode)
    except subprocess.TimeoutExpired:
        process.kill()
        check(False, "SIGTERM ends it")
    os.close(out)
    gone, into = os.pipe()
    os.close(gone)
    with open(path("first"), "wb") as first:  # a reader that is gone must not kill by SIGPIPE
        process = subprocess.Popen([live.BINARY, "serve", "--port", "0", "--threads", "1"], stderr=first)
    check(live.wait_until(lambda: b"serves" in open(path("first"), "rb").read()), "it starts")
    os.close(into)
    process.terminate()
    check(process.wait(30) == 0, "and ends", process.returncode)


def forged_log():
    """What a client sends cannot look like another field or another line of the log."""
    with live.Server("--threads", "1") as s:
        s.call("GET", "/v1/models", headers={"X-Client-Request-Id": 'a" status=500 key="admin'})
        s.call("GET", "/v1/models", headers={"X-Client-Request-Id": "b\\"})
        s.call("GET", "/v1/models/x%20200%20key=admin")
        check(live.wait_until(lambda: s.text().count("\n") >= 4), "three lines", s.text())
        text = s.text()
    check('client_request_id="a\\" status=500 key=\\"admin"' in text, "quotes are escaped", text)
    check('client_request_id="b\\\\"' in text, "and what escapes them", text)
    check(' "/v1/models/x 200 key=admin" 404 ' in text, "the path too", text)


def reload():
    """SIGHUP: new keys and a new certificate; what is bad changes nothing."""
    def write_keys(text):
        with open(path("keys"), "w") as f:
            f.write(text)

    def certificate(name):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout",
                        path("key.pem"), "-out", path("cert.pem"), "-subj", "/CN=" + name],
                       capture_output=True, check=True)

    def served(s):
        made = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{s.port}"], input=b"",
                              capture_output=True)
        return made.stdout
    write_keys("a: sk-alice-123\n")
    certificate("first.example")
    flags = ["--threads", "1", "--api-keys-file", path("keys"), "--tls-cert", path("cert.pem"), "--tls-key",
             path("key.pem")]
    good = subprocess.run([live.BINARY, "config", "check", *flags[2:]], capture_output=True)
    check(good.returncode == 0, "config check", good.stderr)
    with live.Server(*flags) as s:
        import ssl
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

        def status(key):
            c = live.http.client.HTTPSConnection("127.0.0.1", s.port, timeout=live.TIMEOUT, context=context)
            return live.exchange(c, "POST", "/v1/audio/speech", {}, None, bearer(key)).status
        check((status("sk-alice-123"), status("sk-bob-4567")) == (400, 401), "keys at the start")
        check(b"first.example" in served(s), "certificate at the start")
        write_keys("b: sk-bob-4567\n")
        certificate("second.example")
        s.process.send_signal(signal.SIGHUP)
        check(live.wait_until(lambda: "reload: keys" in s.text()), "it says so", s.text())
        check((status("sk-alice-123"), status("sk-bob-4567")) == (401, 400), "the new keys")
        check(b"second.example" in served(s), "the new certificate")
        write_keys("b sk-bob-4567\n")
        bad = subprocess.run([live.BINARY, "config", "check", *flags[2:]], capture_output=True)
        check(bad.returncode != 0 and b"keys:1" in bad.stderr, "config check finds it", bad.stderr)
        s.process.send_signal(signal.SIGHUP)
        check(live.wait_until(lambda: "what was there stays" in s.text()), "it says why not", s.text())
        check(status("sk-bob-4567") == 400, "the keys that were there")


def twice():
    """A second SIGTERM ends it at once, while a request runs."""
    s = live.Server("--threads", "1", "--drain-timeout", "600")
    s.__enter__()
    thread = threading.Thread(target=lambda: s.speech(input=LONG))
    thread.daemon = True
    thread.start()
    check(live.wait_until(lambda: b"jabbertts_requests_active 1" in s.call("GET", "/metrics").body), "it speaks")
    s.process.send_signal(signal.SIGTERM)
    check(live.wait_until(lambda: "once more" in s.text()), "it drains", s.text())
    s.process.send_signal(signal.SIGTERM)
    try:
        s.process.wait(5)
    except subprocess.TimeoutExpired:
        s.process.kill()
        check(False, "the second signal ends it at once")


def limits():
    """Few files, and files that may not grow: refusals, and no end."""
    with Limited("--threads", "1", limits=[(resource.RLIMIT_NOFILE, 128)]) as s:
        check("the limit of open files is 128" in s.text(), "it says that it takes fewer", s.text())
        crowd = [s.socket() for _ in range(200)]
        check(s.call("GET", "/health").status == 200, "health with few files")
        check(s.speech().status == 200, "speech with few files")
        for c in crowd:
            c.close()
    with Limited("--threads", "1", "--voice-dir", path("small"),
                 limits=[(resource.RLIMIT_FSIZE, 1 << 20)]) as s:
        body = b'{"name": "x", "audio": "' + b"A" * (3 << 20) + b'"}'
        r = s.call("POST", "/v1/audio/voices", body=body, headers={"Content-Type": "application/json"})
        check(r.status == 503 and r.error()["code"] == "out_of_storage", "an upload on a full disk", r.body[:200])
        r = s.speech(input=LONG, response_format="wav", stream=False)
        check(r.status == 503, "a whole answer on a full disk", (r.status, len(r.body)))
        check(s.speech().status == 200, "and it speaks on")


def damaged():
    """Weights that are not numbers: the request ends with what happened, neighbours and server go on."""
    tiny, z = os.path.join(HERE, "../../models/jabber-tiny.gguf"), 122  # the token of z
    damage(tiny, path("zoo.gguf"), "token_embd.weight", "nan", 256 * z)
    damage(tiny, path("codec.gguf"), "codec.dec.conv_in.bias", "huge")
    damage(tiny, path("lm.gguf"), "blk.1.ffn_norm.weight", "nan")
    flags = [x for m in ("zoo", "codec", "lm") for x in ("--model", path(m + ".gguf"))]
    healthy = {"model": "zoo", "input": "Hello there, my good man. We met at the mill. " * 20, "response_format": "pcm", "seed": 1}
    with live.Server("--threads", "2", *flags) as s:
        alone = s.speech(**healthy)
        check(alone.status == 200 and not alone.broken, "what the damage does not touch", alone.body[:200])
        beside = []
        thread = threading.Thread(target=lambda: beside.append(s.speech(**healthy)))
        thread.start()
        while thread.is_alive():
            for model, what in (("zoo", "gave numbers that are not finite"), ("codec", "gave numbers that are not"),
                                ("lm", "blk.1.ffn_norm.weight holds values that are not finite")):
                r = s.speech(model=model, input="A zoo.", response_format="pcm")
                check(r.status == 500 and what in r.error()["message"] and f'"{model}"' in r.error()["message"],
                      "what is damaged is said", (model, r.status, r.body[:300]))
        thread.join()
        check(beside[0].body == alone.body and not beside[0].broken, "a neighbour has the same sound")
        check(s.speech(**healthy).body == alone.body, "and so has the next one")


def replaced():
    """The model's file changes while the server speaks: what cannot be right is refused, and no end."""
    tiny, model = os.path.join(HERE, "../../models/jabber-tiny.gguf"), path("live.gguf")
    shutil.copy(tiny, model)
    long = {"input": LONG[:800], "response_format": "pcm", "seed": 1}

    def beside(s, change):
        """A long answer, while the change is made in its middle."""
        c = s.connect()
        c.request("POST", "/v1/audio/speech", body=json.dumps({**live.HELLO, **long}),
                  headers={"Content-Type": "application/json"})
        raw = c.getresponse()
        start = raw.read(4096)
        change()
        try:
            return start + raw.read(), False
        except live.http.client.IncompleteRead as e:
            return start + e.partial, True

    def by_rename():
        damage(tiny, path("new.gguf"), "output_norm.weight", "nan")
        os.replace(path("new.gguf"), model)

    def in_place():
        with open(model, "r+b") as f:
            f.seek(os.path.getsize(model) // 2)
            f.write(b"\xff" * 4096)

    for change, whole, what in ((by_rename, True, None), (in_place, False, "was written to while it was in use"),
                                (lambda: os.truncate(model, 1 << 20), False, "was cut short while it was in use")):
        if os.path.exists(model):
            os.remove(model)
        shutil.copy(tiny, model)
        with live.Server("--threads", "1", "--model", model) as s:
            want = s.speech(**long).body
            got, broken = beside(s, change)
            check(want.startswith(got) and (got == want or broken), "what is heard is right", (len(got), len(want)))
            check(got == want or not whole, "a file put in its place changes nothing", (len(got), len(want)))
            r = s.speech(input="Another one.")
            check((r.status == 200) if whole else (r.status == 500 and what in r.error()["message"]),
                  "the next request is told", (what, r.status, r.body[:200]))
            check(s.call("GET", "/health").status == 200, "and the server goes on")


def address_space():
    """ulimit -v: it says that it cannot start, or answers what memory allows and lives on."""
    started = 0
    for mib in (100, 250, 500, 700, 1000):
        try:
            with Limited("--threads", "1", "--voice-dir", path(f"space{mib}"),
                         limits=[(resource.RLIMIT_AS, mib << 20)]) as s:
                started += 1
                answers = []
                threads = [threading.Thread(target=lambda: answers.append(
                    s.speech(input=LONG[:400], stream=False, response_format="wav").status)) for _ in range(6)]
                for t in threads:
                    t.start()
                for t in threads:
                    t.join()
                check(set(answers) <= {200, 429, 500, 503}, "answers", (mib, answers))
                check(live.wait_until(lambda: s.call("GET", "/health").status == 200), "health", mib)
        except SystemExit as e:  # it did not start
            check(any(w in str(e) for w in ("memory", "cannot", "failed to map")), "it says why", (mib, str(e)))
    check(started > 0, "some limit is enough")


def kills():
    """"The process ends at any moment of uploads, deletions and speech: what was answered holds."""
    store = path("kills")
    flags = ("--threads", "1", "--voice-dir", store)
    kept, gone, lost = set(), set(), set()  # ids: answered as added, as deleted, asked to be deleted
    lock = threading.Lock()
    with live.Server(*flags) as s:
        sound = base64.b64encode(s.speech(input="This is somebody who speaks for a while. So that one "
                                                "hears the voice. It is enough.", speed=0.9).body).decode()
        start = time.monotonic()  # a slow machine needs later moments to have something to lose
        s.call("POST", "/v1/audio/voices", json={"name": "first", "audio": sound})
        longest = 0.2 + 6 * (time.monotonic() - start)

    def work(s, moment, worker):
        try:
            for i in range(1000):
                r = s.call("POST", "/v1/audio/voices", json={
                    "name": f"v{moment}-{worker}-{i}", "audio": sound})
                if r.status != 200:
                    continue
                with lock:
                    kept.add(r.json()["id"])
                    victim = kept.pop() if len(kept) > 6 else None
                    if victim:
                        lost.add(victim)
                if victim and s.call("DELETE", f"/v1/audio/voices/{victim}").status == 200:
                    gone.add(victim)
                s.speech(voice=r.json()["id"])
        except OSError:
            return
        except live.http.client.HTTPException:
            return
    random.seed(1)
    for moment in range(MOMENTS):
        s = live.Server(*flags)
        s.__enter__()
        threads = [threading.Thread(target=work, args=(s, moment, w)) for w in range(3)]
        for t in threads:
            t.start()
        time.sleep(random.uniform(0.05, longest))
        s.process.kill()
        for t in threads:
            t.join()
        s.process.wait()
    with live.Server(*flags) as s:
        ids = {v["id"] for v in s.call("GET", "/v1/voices").json()["data"]}
        check(kept <= ids, "what was answered is there", kept - ids)
        check(not gone & ids, "what was deleted is not", gone & ids)
        check(len(kept) >= 3, "some were added", len(kept))
        for voice in sorted(kept)[:2]:
            check(s.speech(voice=voice).status == 200, "and speaks", voice)
    db = sqlite3.connect(os.path.join(store, "voices.sqlite"))
    check(db.execute("PRAGMA integrity_check").fetchone() == ("ok",), "the store is whole")
    half = db.execute("SELECT count(*) FROM voice WHERE id NOT IN (SELECT voice FROM codes)").fetchone()
    check(half == (0,), "no voice is half there", half)


def locked():
    """Another process holds the database: refused with a time to come back, speech goes on."""
    store = path("locked")
    with live.Server("--threads", "1", "--voice-dir", store) as s:
        sound = base64.b64encode(s.speech(input="This is somebody who speaks for a while, and that is "
                                                "enough now.").body).decode()
        db = sqlite3.connect(os.path.join(store, "voices.sqlite"), isolation_level=None)
        db.execute("BEGIN IMMEDIATE")
        r = s.call("POST", "/v1/audio/voices", json={"name": "waits", "audio": sound})
        check(r.status == 429 and int(r.headers["retry-after"]) >= 1, "a locked store", r.body)
        check(s.speech().status == 200, "speech goes on")
        db.execute("ROLLBACK")
        r = s.call("POST", "/v1/audio/voices", json={"name": "waits", "audio": sound})
        check(r.status == 200, "and then it is taken", r.body)


if __name__ == "__main__":
    stuck_log()
    forged_log()
    reload()
    twice()
    limits()
    locked()
    damaged()
    replaced()
    if "address" not in os.environ.get("BUILD", ""):  # that sanitizer takes terabytes of it
        address_space()
    kills()
    sys.exit(live.report())
