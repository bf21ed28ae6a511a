#!/usr/bin/env python3
"""bench/replicas.py - how many replicas carry how many listeners: a discrete-event simulation of measured replicas.

    jabbertts bench MODEL --json >bench.json
    bench/replicas.py bench.json                          the fewest replicas for 10 and 1000 listeners (or --listeners)
    bench/replicas.py bench.json --share 0.33 --price 0.05    who listens a third of the time; what a core costs an hour
    bench/replicas.py bench.json --check 1,2,3 --users 20     the same run with real servers on this machine

A listener asks for a text, hears it, pauses, asks again.  The balancer sends a request to the replica with the fewest.
A replica makes sound at the rate that the benchmark's rows of several requests measured for as many as it has at work,
in equal parts; more than its slots wait in order.  The first sound of a request comes as late as it did there, and
after its wait.  Replicas are enough when 95 of 100 first sounds come within --first seconds and no more than one of 100
requests is made slower than it is heard.

--check starts servers with --threads as the benchmark had, and users in real time; its rows stand beside those of the
simulation, with --share.  On a machine whose cores the servers share, or others use, believe the order of magnitude."""

import argparse
import heapq
import http.client
import json
import math
import os
import random
import re
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TEXTS = [
    "Good morning.",
    "The train to the coast leaves from platform nine, not from platform four.",
    "She opened the window and listened. Far away a dog was barking, and somebody laughed.",
    "We have looked at every page of the report. Most of it is right. Two figures are not, and we will have to ask the "
    "people who wrote it where they come from.",
]
LENGTHS = [0.9, 4.3, 5.7, 9.6]  # seconds, of TEXTS in the built-in voice
BYTES_PER_SECOND = 48000  # pcm


class Machine:
    """What jabbertts bench says of one replica."""

    def __init__(self, path, slots, which):
        with open(path) as f:
            bench = json.load(f)
        rows = sorted((r["requests"], r["rtf"][which], r["first_audio_p50_s"][which]) for r in bench["speech"] if r["sentences"] == 1)
        self.threads, self.slots = bench["threads"], slots
        self.speed = [0.0] + [1 / self.between(rows, k, 1) for k in range(1, slots + 1)]  # seconds of sound a second
        self.first = [0.0] + [self.between(rows, k, 2) for k in range(1, slots + 1)]

    @staticmethod
    def between(rows, k, column):
        for a, b in zip(rows, rows[1:]):
            if a[0] <= k <= b[0]:
                return a[column] + (b[column] - a[column]) * (k - a[0]) / (b[0] - a[0])
        return rows[-1][column]


class Replica:
    """Equal parts for all at work: every one of them gets as much sound, so one clock of sound is enough."""

    def __init__(self, machine):
        self.machine, self.sound, self.at = machine, 0.0, 0.0
        self.working, self.waiting, self.turn = [], [], 0  # (sound at its end, request)

    def advance(self, now):
        n = len(self.working)
        if n:
            self.sound += (now - self.at) * self.machine.speed[n] / n
        self.at = now

    def take(self, now, request):
        request["begins"] = now
        heapq.heappush(self.working, (self.sound + request["length"], request["id"], request))
        request["first"] = now + self.machine.first[len(self.working)] - request["asked"]

    def next_end(self):
        n = len(self.working)
        return self.at + max(0.0, self.working[0][0] - self.sound) * n / self.machine.speed[n] if n else math.inf


class Simulation:
    def __init__(self, machine, replicas, listeners, share, seconds, seed=1):
        self.random, self.share = random.Random(seed), share
        self.replicas = [Replica(machine) for _ in range(replicas)]
        self.machine, self.seconds = machine, seconds
        self.fewest = [(0, i) for i in range(replicas)]  # a heap of (open requests, replica), old entries among them
        self.open = [0] * replicas
        self.events, self.n, self.done, self.made = [], 0, [], 0.0
        for _ in range(listeners):
            self.push(self.random.uniform(0, 8 / share), "ask", 0)

    def push(self, at, what, of):
        self.n += 1
        heapq.heappush(self.events, (at, self.n, what, of))

    def change(self, i, by):
        self.open[i] += by
        heapq.heappush(self.fewest, (self.open[i], i))

    def choose(self):
        while self.fewest[0][0] != self.open[self.fewest[0][1]]:
            heapq.heappop(self.fewest)
        return self.fewest[0][1]

    def plan(self, i):
        r = self.replicas[i]
        r.turn += 1
        if r.working:
            self.push(r.next_end(), "end", (i, r.turn))

    def ask(self, now):
        i = self.choose()
        r = self.replicas[i]
        request = {"id": self.n, "asked": now, "length": self.random.choice(LENGTHS)}
        r.advance(now)
        if len(r.working) < self.machine.slots:
            r.take(now, request)
        else:
            r.waiting.append(request)
        self.change(i, 1)
        self.plan(i)

    def end(self, now, i):
        r = self.replicas[i]
        r.advance(now)
        _, _, request = heapq.heappop(r.working)
        if r.waiting:
            r.take(now, r.waiting.pop(0))
        self.change(i, -1)
        self.plan(i)
        heard = max(now, request["asked"] + request["first"] + request["length"])
        if now > self.seconds / 4:  # after all have begun
            self.done.append((request["first"], now - request["asked"] - request["first"] > request["length"]))
            self.made += request["length"]
        self.push(heard + request["length"] * (1 / self.share - 1) * self.random.expovariate(1), "ask", 0)

    def run(self):
        while self.events and self.events[0][0] < self.seconds:
            now, _, what, of = heapq.heappop(self.events)
            if what == "ask":
                self.ask(now)
            elif self.replicas[of[0]].turn == of[1]:
                self.end(now, of[0])
        return summary([d[0] for d in self.done], [d[1] for d in self.done], self.made / (self.seconds * 0.75))


def summary(first, late, per_s):
    first = sorted(first)
    return {"requests": len(first), "first_p50": first[len(first) // 2], "first_p95": first[len(first) * 95 // 100],
            "late": sum(late) / len(late), "sound_per_s": per_s} if first else None


def fewest(machine, listeners, o):
    """The least number of replicas that is enough, to 2 of 100."""
    seconds = max(80 / o.share, 600 if listeners < 100 else 0) if listeners <= 10000 else 48 / o.share
    n = max(1, math.floor(listeners * o.share / max(machine.speed)))
    if listeners > 10000:  # little is gained by more of them: begin where a hundredth has ended
        n = max(n, math.floor(fewest(machine, listeners // 100, o)[0] * 98))
    while True:
        r = Simulation(machine, n, listeners, o.share, seconds).run()
        if r and r["first_p95"] <= o.first and r["late"] <= 0.01:
            return n, r
        n = max(n + 1, math.ceil(n * 1.02))


def table(machine, o):
    print("| listeners | replicas | one more, to lose one | cores | first sound p50 / p95, s | slower than heard | seconds made a second | busy |"
          + (" cost an hour |" if o.price else ""))
    print("|---:" * (8 + bool(o.price)) + "|")
    for listeners in o.listeners:
        n, r = fewest(machine, listeners, o)
        busy = r["sound_per_s"] / n / max(machine.speed)
        print(f"| {listeners} | {n} | {n + 1} | {(n + 1) * machine.threads} | {r['first_p50']:.2f} / {r['first_p95']:.2f} | {r['late']:.1%} "
              f"| {r['sound_per_s']:.1f} | {busy:.0%} |" + (f" {(n + 1) * machine.threads * o.price:.2f} |" if o.price else ""), flush=True)


# --- the same with servers ---

class Server:
    def __init__(self, o, machine):
        import socket
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        command = [os.path.join(ROOT, os.environ.get("BUILD", "build"), "jabbertts"), "serve", "--port", str(self.port),
                   "--threads", str(machine.threads), "--slots", str(machine.slots)] + (["--model", o.model] if o.model else [])
        self.open, self.process = 0, subprocess.Popen(command, stderr=subprocess.DEVNULL)

    def ready(self):
        try:
            c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            c.request("GET", "/readyz")
            return c.getresponse().status == 200
        except OSError:
            return False


def listen(servers, lock, begun, until, share, results, seed):
    chance = random.Random(seed)
    time.sleep(chance.uniform(0, begun - time.monotonic()))
    while time.monotonic() < until:
        body = json.dumps({"model": "tts-1", "voice": "alloy", "input": chance.choice(TEXTS), "response_format": "pcm", "seed": chance.randrange(999)})
        with lock:
            server = min(servers, key=lambda s: s.open)
            server.open += 1
        asked, first, size = time.monotonic(), None, 0
        c = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
        c.request("POST", "/v1/audio/speech", body, {"Content-Type": "application/json"})
        answer = c.getresponse()
        while piece := answer.read1(4096):
            first = first or time.monotonic()
            size += len(piece)
        ended, length = time.monotonic(), size / BYTES_PER_SECOND
        with lock:
            server.open -= 1
            if first and asked > begun:
                results.append((first - asked, ended - first > length, length))
        c.close()
        heard = max(ended, (first or ended) + length) + length * (1 / share - 1) * chance.expovariate(1)
        time.sleep(max(0.0, heard - time.monotonic()))


def measure(machine, replicas, o):
    servers = [Server(o, machine) for _ in range(replicas)]
    try:
        while not all(s.ready() for s in servers):
            time.sleep(0.2)
        lock, results, begun = threading.Lock(), [], time.monotonic() + 8 / o.share  # when all have begun
        users = [threading.Thread(target=listen, args=(servers, lock, begun, begun + o.seconds, o.share, results, i))
                 for i in range(o.users)]
        for u in users:
            u.start()
        for u in users:
            u.join()
        return summary([r[0] for r in results], [r[1] for r in results], sum(r[2] for r in results) / (time.monotonic() - begun))
    finally:
        for s in servers:
            s.process.terminate()
            s.process.wait()


def check(machine, o):
    print("| replicas | users | | requests | first sound p50 / p95, s | slower than heard | seconds made a second |\n|---:|---:|---|---:|---:|---:|---:|")
    for n in o.check:
        for name, r in (("servers", measure(machine, n, o)), ("simulation", Simulation(machine, n, o.users, o.share, 600).run())):
            print(f"| {n} | {o.users} | {name} | {r['requests']} | {r['first_p50']:.3f} / {r['first_p95']:.3f} | {r['late']:.1%} | {r['sound_per_s']:.2f} |", flush=True)


def numbers(said):
    if not re.fullmatch(r"\d+(,\d+)*", said):
        raise argparse.ArgumentTypeError(f"'{said}' is not numbers with commas between them")
    return [int(x) for x in said.split(",")]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("bench")
    p.add_argument("--listeners", type=numbers, default=[10, 1000])
    p.add_argument("--share", type=float, default=1.0, help="of the time that a listener listens (default 1)")
    p.add_argument("--first", type=float, default=1.0, help="seconds within which 95 of 100 first sounds come (default 1)")
    p.add_argument("--slots", type=int, default=8, help="of a replica (default 8)")
    p.add_argument("--which", choices=["best", "median"], default="best", help="of the benchmark's rounds")
    p.add_argument("--price", type=float, help="of a core an hour")
    p.add_argument("--check", type=numbers, help="with as many servers on this machine")
    p.add_argument("--users", type=int, default=10)
    p.add_argument("--seconds", type=float, default=40)
    p.add_argument("--model")
    o = p.parse_args()
    if not 0 < o.share <= 1:
        p.error("--share is above 0 and at most 1")
    machine = Machine(o.bench, o.slots, o.which)
    (check if o.check else table)(machine, o)
    return 0


if __name__ == "__main__":
    sys.exit(main())
