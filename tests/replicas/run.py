#!/usr/bin/env python3
"""tests/replicas/run.py - replicas on one PostgreSQL behind HAProxy, all on the loopback interface.

While users speak and a batch runs, a random replica is killed (-9) every few seconds and started again;
then the database is stopped for a while.  No line may be lost or doubled, no request may fail whose
sound had not begun.  Needs Debian's postgresql and haproxy; exits 77 without them.
REPLICAS_SECONDS (20) is how long replicas are killed, REPLICAS_AWAY (5) how long the database is away,
REPLICAS_USERS (6), REPLICAS_LINES (60)."""
import glob
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
sys.path[:0] = [HERE, os.path.join(HERE, "..", "http")]
import bucket as buckets  # noqa: E402
import live  # noqa: E402
from live import check  # noqa: E402

SECONDS, AWAY, USERS, LINES = (int(os.environ.get("REPLICAS_" + k, v))
                               for k, v in (("SECONDS", 20), ("AWAY", 5), ("USERS", 6), ("LINES", 60)))
URL = "/v1/audio/speech"
RATE = 40  # requests a minute
POSTGRES = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
HAPROXY = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
directory = tempfile.TemporaryDirectory()
os.chmod(directory.name, 0o755)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Database:
    def __init__(self):
        self.port, self.data = free_port(), os.path.join(directory.name, "db")
        os.mkdir(self.data)
        if os.getuid() == 0:  # PostgreSQL refuses to run as root
            shutil.chown(self.data, "postgres", "postgres")
        self.run("initdb", "-D", self.data, "-A", "trust", "-U", "postgres", "--no-sync")
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        self.start()

    def run(self, program, *arguments):
        command = [os.path.join(POSTGRES[-1], program), *arguments]
        if os.getuid() == 0:
            command = ["runuser", "-u", "postgres", "--", *command]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT, cwd="/")

    def start(self):
        self.run("pg_ctl", "-D", self.data, "-w", "-l", os.path.join(self.data, "log"), "-o",
                 f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= ", "start")

    def ask(self, sql):
        return subprocess.run(["psql", "-At", self.url, "-c", sql], check=True, stdout=subprocess.PIPE, text=True).stdout.split()

    def stop(self):
        self.run("pg_ctl", "-D", self.data, "-w", "-m", "immediate", "stop")


class Replica:
    def __init__(self, i, store, bucket, *more):
        self.port, self.home = free_port(), os.path.join(directory.name, f"replica{i}")
        self.command = [live.BINARY, "serve", "--port", str(self.port), "--threads", "1", "--store", store, "--batch-rows", "4"]
        self.command += more
        self.command += bucket.flags if bucket else []
        self.secrets = bucket.environment if bucket else {}
        self.log = open(os.path.join(directory.name, f"log{i}"), "ab")
        self.start()

    def start(self):
        clean = {k: v for k, v in os.environ.items() if not k.startswith("JABBERTTS_")}
        own = {"XDG_DATA_HOME": self.home, "XDG_CONFIG_HOME": self.home, "PULSE_RUNTIME_PATH": os.path.join(self.home, "pulse")}
        self.process = subprocess.Popen(self.command, stderr=self.log, env={**clean, **own, **self.secrets})

    def ready(self):
        try:
            return live.exchange(connect(self.port), "GET", "/readyz").status == 200
        except OSError:
            return False

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def connect(port):
    import http.client
    return http.client.HTTPConnection("127.0.0.1", port, timeout=live.TIMEOUT)


def call(port, method, path, **more):
    return live.exchange(connect(port), method, path, **more)


def user(port, stop, results, i):
    """One after the other: (status, how much of the body came before it broke)."""
    n = 0
    while not stop.is_set():
        n += 1
        try:
            r = call(port, "POST", URL, data={**live.HELLO, "input": f"User {i} says this for the time number {n}."})
            results.append((r.status, len(r.body), r.broken))
        except Exception as e:  # what http.client raises where no answer came
            results.append((0, 0, repr(e)))


def line(i):
    return {"custom_id": f"line-{i}", "method": "POST", "url": URL,
            "body": {"model": "tts-1", "voice": "alloy", "input": f"This is line {i}, and it is spoken once. " * 3, "response_format": "flac", "seed": i}}


def start_batch(port, n):
    body = b'--X\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--X\r\nContent-Disposition: form-data; name="file"; ' \
        b'filename="a"\r\n\r\n' + "".join(json.dumps(line(i)) + "\n" for i in range(n)).encode() + b"\r\n--X--\r\n"
    f = call(port, "POST", "/v1/files", body=body, headers={"Content-Type": "multipart/form-data; boundary=X"})
    check(f.status == 200, "an upload", f.body)
    r = call(port, "POST", "/v1/batches", data={"input_file_id": f.json()["id"], "endpoint": URL, "completion_window": "24h"})
    check(r.status == 200, "a batch", r.body)
    return r.json()["id"]


def check_batch(port, batch, n):
    def done():
        r = call(port, "GET", "/v1/batches/" + batch)
        return r.status == 200 and r.json()["status"] == "completed"
    check(live.wait_until(done, live.TIMEOUT), "the batch ends", call(port, "GET", "/v1/batches/" + batch).body)
    b = call(port, "GET", "/v1/batches/" + batch).json()
    check(b["request_counts"] == {"total": n, "completed": n, "failed": 0}, "all lines", b)
    got = [json.loads(x) for x in call(port, "GET", f"/v1/files/{b['output_file_id']}/content").body.splitlines()]
    check([x["custom_id"] for x in got] == [f"line-{i}" for i in range(n)], "each once", len(got))
    sounds = call(port, "GET", "/v1/files?purpose=batch_sound").json()["data"]
    check(len({x["id"] for x in sounds}) == len(sounds), "no sound is doubled", len(sounds))
    for i in range(0, n, max(1, n // 8)):
        body = got[i]["response"]["body"]
        alone = call(port, "POST", URL, data={**line(i)["body"], "stream": False}).body
        check(call(port, "GET", f"/v1/files/{body['id']}/content").body == alone, "the same sound", i)
    return len(sounds)


def killing(port, replicas):
    stop, results = threading.Event(), []
    batch = start_batch(port, LINES)
    users = [threading.Thread(target=user, args=(port, stop, results, i)) for i in range(USERS)]
    for t in users:
        t.start()
    end, kills = time.monotonic() + SECONDS, 0
    while time.monotonic() < end:
        time.sleep(random.uniform(1.5, 4))
        r = random.choice(replicas)
        r.kill()
        kills += 1
        time.sleep(0.5)
        r.start()
        check(live.wait_until(r.ready, live.TIMEOUT), "it comes back")
    stop.set()
    for t in users:
        t.join()
    n = check_batch(port, batch, LINES)
    check(n == LINES, "one sound a line", n)
    bad = [x for x in results if x[0] != 200 or (x[2] and x[1] == 0)]
    broken = sum(1 for x in results if x[0] == 200 and x[2])
    check(len(results) > USERS and not bad, "requests fail only when their sound had begun", bad[:5])
    print(f"{kills} replicas killed, {len(results)} requests, {broken} broken in their sound, {len(bad)} failed otherwise")


def without_database(port, database):
    batch = start_batch(port, LINES)
    time.sleep(1)
    database.stop()
    time.sleep(1)
    r = call(port, "GET", "/v1/batches")
    check(r.status == 503 and int(r.headers["retry-after"]) >= 1 and r.error()["code"] == "store_unavailable", "503", (r.status, r.body))
    check(call(port, "POST", URL, data=live.HELLO).status == 200, "speech needs no database")
    time.sleep(AWAY)
    database.start()
    check(live.wait_until(lambda: call(port, "GET", "/v1/batches").status == 200, 60), "it is back")
    n = check_batch(port, batch, LINES)
    check(n == 2 * LINES, "one sound a line", n)


def stored(port, r):
    return r.status == 200 and call(port, "GET", f"/v1/files/{r.json()['id']}/content").body


def sick_bucket(port, database, bucket):
    """Objects instead of rows; a bucket that is full, slow, shut: 503 for what needs it, and then all goes on."""
    large = b"x" * 300000
    r = upload(port, "/v1/files", {"purpose": "batch"}, large)
    check(stored(port, r) == large and r.json()["id"] in bucket.objects(), "an upload is an object", r.body)
    for i, mode in enumerate(("full", "slow", "shut")):
        batch = start_batch(port, LINES)
        time.sleep(1)
        bucket.gate.mode = mode
        busy = upload(port, "/v1/files", {"purpose": "batch"}, large)
        check(busy.status == 503 and int(busy.headers["retry-after"]) >= 1 and busy.error()["code"] == "store_unavailable", f"{mode}: 503", (busy.status, busy.body[:200]))
        if mode != "full":
            got = call(port, "GET", f"/v1/files/{r.json()['id']}/content")
            check(got.status == 503, f"{mode}: nothing is read", got.status)
        for _ in range(5):
            check(call(port, "POST", URL, data=live.HELLO).status == 200, "speech needs no bucket")
            time.sleep(AWAY / 5)
        bucket.gate.mode = "open"
        check(live.wait_until(lambda: upload(port, "/v1/files", {"purpose": "batch"}, large).status == 200, 60), "it takes uploads again")
        check(check_batch(port, batch, LINES) == (3 + i) * LINES, "one sound a line")
    check(call(port, "DELETE", "/v1/files/" + r.json()["id"]).status == 200, "deleted")
    check(live.wait_until(lambda: r.json()["id"] not in bucket.objects(), 100), "and its object is swept away")
    files, orphans = (set(database.ask(q)) for q in ("SELECT id FROM file WHERE object = 1", "SELECT id FROM orphan"))
    objects = bucket.objects()
    check(len(files) > 2 * LINES and files <= objects and objects <= files | orphans, "each file has its object, each object its file", (len(files), len(objects), len(orphans), sorted(objects - files - orphans)[:3]))
    command = [live.BINARY, "serve", "--port", "0", "--voice-dir", os.path.join(directory.name, "wrong"), *bucket.flags]
    wrong = subprocess.run(command, env={**os.environ, **bucket.environment, "AWS_SECRET_ACCESS_KEY": "another"}, stderr=subprocess.PIPE, text=True, timeout=60)
    check(wrong.returncode == 1 and "the bucket refuses to store: 403 SignatureDoesNotMatch" in wrong.stderr, "a wrong key", wrong.stderr)
    check(len(bucket.gate.forged) == 1, "every request is signed", bucket.gate.forged)
    print(f"{len(objects)} objects of {len(files)} files, {len(orphans)} to be swept, {bucket.gate.n} requests to the bucket")


def upload(port, path, fields, sound):
    body = b"".join(b'--X\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (k.encode(), v.encode()) for k, v in fields.items())
    body += b'--X\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n' + sound + b"\r\n--X--\r\n"
    return call(port, "POST", path, body=body, headers={"Content-Type": "multipart/form-data; boundary=X"})


def say(port, voice):
    return call(port, "POST", URL, data={**live.HELLO, "voice": voice, "response_format": "wav", "seed": 3, "stream": False})


def shared_voices(replicas, database):
    """What one replica stores, all speak; what one deletes, none."""
    first, second, third = (r.port for r in replicas)
    sound = call(first, "POST", URL, data={**live.HELLO, "input": "This is me. I speak for a while.", "response_format": "wav", "stream": False}).body
    consent = upload(first, "/v1/audio/voice_consents", {"name": "I agree", "language": "en"}, sound)
    check(consent.status == 200, "a consent", consent.body)
    r = upload(second, "/v1/audio/voices", {"name": "me", "consent": consent.json()["id"]}, sound)
    check(r.status == 200, "a voice with another's consent", r.body)
    said = [say(port, voice) for port in (first, second, third) for voice in ("me", r.json()["id"])]
    check([x.status for x in said] == [200] * 6 and len({x.body for x in said}) == 1, "all speak it", [(x.status, x.body[:90]) for x in said])
    r = upload(third, "/v1/audio/voices", {"name": "me"}, sound)
    check(r.status == 400 and b"already" in r.body, "a name is one's", r.body)
    r = call(third, "DELETE", "/v1/audio/voice_consents/" + consent.json()["id"])
    check(r.status == 400 and b"delete that first" in r.body, "a consent that is used", r.body)
    database.stop()
    r = say(first, "me")
    check(r.status == 200 and r.body == said[0].body, "what was spoken is spoken while the database is away", r.body[:200])
    for r in (say(first, "stranger"), upload(first, "/v1/audio/voices", {"name": "other"}, sound), call(second, "GET", "/v1/audio/voice_consents")):
        check(r.status == 503 and int(r.headers["retry-after"]) >= 1 and r.error()["code"] == "store_unavailable", "the rest is not", (r.status, r.body[:200]))
    database.start()
    check(live.wait_until(lambda: call(third, "DELETE", "/v1/audio/voices/me").status == 200, 30), "deleted")
    for port in (first, second, third):
        check(live.wait_until(lambda: say(port, "me").status == 400, 5), "none speaks what is deleted", say(port, "me").body[:200])
    check(call(first, "DELETE", "/v1/audio/voice_consents/" + consent.json()["id"]).status == 200, "and the consent")


def shared_rates(store):
    """Who has spent a rate at one replica has spent it at all."""
    several = [Replica(f"-rate{i}", store, None, "--rate-limit", str(RATE)) for i in range(3)]
    for r in several:
        check(live.wait_until(r.ready, live.TIMEOUT), "a replica is ready")
    speak = lambda r: call(r.port, "POST", URL, data=live.HELLO)
    began, first = time.monotonic(), []
    while len(first) < 2 * RATE and first[-1:] != [429]:
        first.append(speak(several[0]).status)
        time.sleep(0.03)
    time.sleep(0.5)
    late = [speak(r) for _ in range(RATE) for r in several[1:]]
    passed = first.count(200) + sum(r.status == 200 for r in late)
    filled = RATE * (time.monotonic() - began) / 60
    check(first.count(200) >= RATE, "a rate may be spent at one replica", first)
    check(passed <= RATE + filled + 2 * max(4, RATE / 4) + 1, "the others know soon", (passed, filled))
    check(late[-1].status == 429 and int(late[-1].headers["retry-after"]) >= 1, "429", (late[-1].status, late[-1].headers))
    print(f"a rate of {RATE} a minute: {first.count(200)} requests at one replica, {passed - first.count(200)} more at two others in {time.monotonic() - began:.0f} s")
    for r in several:
        r.kill()


def main():
    if not POSTGRES or not HAPROXY:
        print("skipped: postgresql or haproxy is not installed")
        return 77
    random.seed(int(os.environ.get("REPLICAS_SEED", "1")))
    database, replicas, proxy, bucket = Database(), [], None, None
    try:
        bucket = buckets.open_bucket(directory.name)
        replicas = [Replica(i, database.url, bucket) for i in (1, 2, 3)]
        for r in replicas:
            check(live.wait_until(r.ready, live.TIMEOUT), "a replica is ready", open(r.log.name).read())
        port = free_port()
        env = {**os.environ, "LISTEN": f"127.0.0.1:{port}", **{f"REPLICA{i + 1}": f"127.0.0.1:{r.port}" for i, r in enumerate(replicas)}}
        proxy = subprocess.Popen([HAPROXY, "-db", "-f", os.path.join(ROOT, "packaging/haproxy/haproxy.cfg")], env=env, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        check(live.wait_until(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0), "the proxy listens")
        shared_rates(database.url)
        shared_voices(replicas, database)
        killing(port, replicas)
        without_database(port, database)
        if bucket:
            sick_bucket(port, database, bucket)
    finally:
        for r in replicas:
            r.kill()
        if proxy:
            proxy.kill()
            proxy.wait()
        if bucket:
            bucket.close()
        database.stop()
    return live.report()


if __name__ == "__main__":
    sys.exit(main())
