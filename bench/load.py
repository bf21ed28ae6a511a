#!/usr/bin/env python3
"""Load on a server of its own: N users who ask for speech one request after the other.

    bench/load.py [--users 1,10,50,100] [--hostile N] [--seconds 60] [--model FILE] [-- SERVE_OPTION...]

Starts build/jabbertts serve on a free port for each number of users and prints a table: requests
answered, refused with 429 (which is right when more come than can be finished) and failed (which is
not), time to first audio, whole time, seconds of sound made per second, memory of the server.  Beside them N
hostile users attack it without a pause: uploads that stall, answers that nobody reads, connections that say
nothing or nonsense, requests as large as they may be.
Needs locust (Debian: python3-locust)."""

import argparse
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import gevent.monkey

gevent.monkey.patch_all()

from locust import HttpUser, constant, task  # noqa: E402
from locust.env import Environment  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TEXTS = [
    "Good morning.",
    "The train to the coast leaves from platform nine, not from platform four.",
    "She opened the window and listened. Far away a dog was barking, and somebody laughed.",
    "We have looked at every page of the report. Most of it is right. Two figures are not, and we will "
    "have to ask the people who wrote it where they come from.",
]
BYTES_PER_SECOND = 48000  # pcm: 24 kHz, 16 bit


class Listener(HttpUser):
    wait_time = constant(0)
    counts = None  # shared by all users of a run

    @task
    def speak(self):
        body = {"model": "tts-1", "voice": "alloy", "input": random.choice(TEXTS), "response_format": "pcm",
                "seed": random.randrange(1000)}
        start = time.monotonic()
        with self.client.post("/v1/audio/speech", json=body, stream=True, catch_response=True, timeout=300) as answer:
            if answer.status_code == 429:
                answer.success()
                self.counts["refused"] += 1
                wait = answer.headers.get("retry-after")
                if not wait:
                    self.counts["failed"] += 1
                time.sleep(min(float(wait or 1), 5))
                return
            try:
                first, size = None, 0
                for piece in answer.iter_content(4096):
                    first = first or time.monotonic() - start
                    size += len(piece)
                if answer.status_code != 200 or not size:
                    raise ValueError(f"status {answer.status_code}, {size} bytes")
            except Exception as error:
                self.counts["failed"] += 1
                answer.failure(str(error))
                return
        self.counts["first"].append(first)
        self.counts["whole"].append(time.monotonic() - start)
        self.counts["audio"] += size / BYTES_PER_SECOND


LONG = ("The quick brown fox jumps over the lazy dog, and then it goes home to sleep. " * 50)[:3900]
SPEECH = '{"model": "tts-1", "voice": "alloy", "input": "%s", "response_format": "%s", "stream": %s}'


def post(path, body, length=None):
    return (f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {length or len(body)}\r\n\r\n").encode() + body.encode()


ATTACKS = [  # what is sent, how much of the answer is read, and for how long the connection stays
    (post("/v1/audio/voices", "{" + " " * 65536, 13 << 20), 0, 10),  # the rest never comes
    (post("/v1/audio/speech", SPEECH % (LONG, "wav", "false")), 0, 10),  # nobody reads
    (post("/v1/audio/speech", SPEECH % (LONG, "pcm", "true")), 1000, 10),  # and here nearly nobody
    (post("/v1/audio/speech", SPEECH % (LONG, "mp3", "true")), 1, 0),  # gone at the first byte
    (b"", 0, 10),  # says nothing
    (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ", 0, 10),  # never ends
    (b"\x16\x03\x01" + bytes(range(256)) * 100, 100, 0),  # not HTTP
    (post("/v1/audio/speech", "{" + '"a": [' * 20000), 1000, 0),
    (post("/v1/audio/speech", SPEECH % ("x" * 200000, "wav", "true")), 1000, 0),
    (b"POST /v1/audio/speech HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n{}", 100, 0),
]


def attack(port, counts):
    while True:
        data, wanted, stay = random.choice(ATTACKS)
        counts["attacks"] += 1
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=30) as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                s.sendall(data)
                while wanted > 0 and (piece := s.recv(wanted)):
                    wanted -= len(piece)
                time.sleep(stay * random.random())
        except OSError:
            time.sleep(0.1)  # refused, or cut off: as it should be


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def memory_mb(pid):
    with open(f"/proc/{pid}/status") as f:
        status = f.read()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


def start_server(options):
    port = free_port()
    command = [os.path.join(ROOT, "build", "jabbertts"), "serve", "--port", str(port), *options]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(600):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1)
            return server, port
        except OSError:
            if server.poll() is not None:
                sys.exit("load.py: the server ended at once: " + " ".join(command))
            time.sleep(0.1)
    sys.exit("load.py: the server does not get ready")


def percentile(values, p):
    return sorted(values)[min(len(values) - 1, int(len(values) * p))] if values else float("nan")


def one_run(users, hostile, seconds, options):
    server, port = start_server(options)
    counts = {"refused": 0, "failed": 0, "attacks": 0, "audio": 0.0, "first": [], "whole": []}
    Listener.counts = counts
    Listener.host = f"http://127.0.0.1:{port}"
    before = memory_mb(server.pid)
    env = Environment(user_classes=[Listener])
    runner = env.create_local_runner()
    start = time.monotonic()
    runner.start(users, spawn_rate=users)
    attackers = [gevent.spawn(attack, port, counts) for _ in range(hostile)]
    time.sleep(seconds / 2)
    middle = memory_mb(server.pid)
    time.sleep(seconds / 2)
    gevent.killall(attackers)
    runner.quit()
    took = time.monotonic() - start
    end = memory_mb(server.pid)
    server.send_signal(signal.SIGTERM)
    code = server.wait(60)
    print(f"| {users} | {counts['attacks']} | {len(counts['first'])} | {counts['refused']} | {counts['failed']} "
          f"| {percentile(counts['first'], 0.5):.2f} / {percentile(counts['first'], 0.95):.2f} "
          f"| {percentile(counts['whole'], 0.5):.2f} / {percentile(counts['whole'], 0.95):.2f} "
          f"| {counts['audio'] / took:.2f} | {before:.0f}, {middle:.0f}, {end:.0f} |", flush=True)
    return counts["failed"] == 0 and code == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", default="1,10,50,100")
    parser.add_argument("--hostile", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--model")
    parser.add_argument("serve_options", nargs="*")
    a = parser.parse_args()
    options = a.serve_options + (["--model", a.model] if a.model else [])
    print("| users | attacks | answered | refused (429) | failed | first audio p50 / p95, s | whole p50 / p95, s "
          "| audio s per s | memory at start, middle, end, MB |")
    print("|---|---|---|---|---|---|---|---|---|")
    good = [one_run(int(n), a.hostile, a.seconds, options) for n in a.users.split(",")]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
