"""50 WebSockets that are spoken to, interrupted and left, and what remains of them: memory, files, threads.

    python3 tests/sockets.py [--seconds 120] [--sockets 50] [--model PATH]

`make test-sockets` runs it; SOCKET_SECONDS=600 for ten minutes.  Each of the sockets writes texts in pieces, listens a
little, cancels in most of its turns (barge-in), hears the end in some, and leaves without a word in others.  After a
quarter of the time and at the end the server is left alone until it has unloaded the model and given memory back, and
is read: it may have grown by GROWTH at most, and every file and thread must be gone.  By the handshake and frames of
RFC 6455, written here."""
import argparse
import base64
import json
import os
import random
import re
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "http"))
import live  # noqa: E402

GROWTH = 16 << 20  # bytes; holes between blocks that are in use take some, a leak of 4 KiB a turn more in two minutes
IDLE = 2  # seconds until the model is unloaded
WORDS = "one small boat lay at the quiet pier while rain fell over hills and houses far away".split()


class Socket:
    def __init__(self, server):
        self.s = server.socket()
        key = base64.b64encode(os.urandom(16)).decode()
        self.s.sendall(f"GET /v1/audio/speech/stream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                       f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode())
        self.file = self.s.makefile("rb")
        if b" 101 " not in self.file.readline():
            raise ConnectionError("no WebSocket")
        while self.file.readline() not in (b"\r\n", b""):
            pass

    def send(self, **message):
        data, mask = json.dumps(message).encode(), os.urandom(4)
        size = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + struct.pack(">H", len(data))
        self.s.sendall(b"\x81" + size + mask + bytes(c ^ mask[i % 4] for i, c in enumerate(data)))

    def receive(self):
        """A message: bytes of sound, or JSON."""
        head = self.file.read(2)
        if len(head) < 2:
            raise ConnectionError("closed")
        n = head[1] & 127
        n = struct.unpack(">H", self.file.read(2))[0] if n == 126 else struct.unpack(">Q", self.file.read(8))[0] if n == 127 else n
        data = self.file.read(n)
        return data if head[0] & 15 == 2 else json.loads(data)

    def until(self, kind, most=None):
        """What comes up to a message of this kind, or so many messages of sound."""
        n = 0
        while True:
            m = self.receive()
            if isinstance(m, bytes):
                n += 1
                if most and n >= most:
                    return None
            elif m["type"] == kind:
                return m
            elif m["type"] == "error" and m["error"]["code"] != "server_busy":
                raise AssertionError(m)
            elif m["type"] == "error":
                return None

    def close(self):
        self.file.close()
        self.s.close()


def turn(k, r, count):
    text = " ".join(r.choices(WORDS, k=r.randint(4, 30))) + ". "
    k.send(type="start", voice=r.choice(["nova", "echo"]), response_format=r.choice(["pcm", "mp3", "opus"]), seed=r.randint(0, 9))
    for i in range(0, len(text), 9):
        k.send(type="text", text=text[i:i + 9])
    if r.random() < 0.2:  # heard to its end
        k.send(type="end")
        k.until("done")
        count["heard"] += 1
        return
    k.send(type="flush")
    k.until("done", most=r.randint(1, 4))
    if r.random() < 0.1:
        raise ConnectionError("left in the middle")
    k.send(type="cancel")
    k.until("cancelled")
    count["interrupted"] += 1


def worker(server, end, seed, count):
    r, k = random.Random(seed), None
    while time.monotonic() < end:
        try:
            k = k or Socket(server)
            turn(k, r, count)
        except (ConnectionError, OSError, TimeoutError):
            count["left"] += 1
            if k:
                k.close()
            k = None
    if k:
        k.close()


def state(server):
    with open(f"/proc/{server.process.pid}/status") as f:
        text = f.read()
    return {"memory": int(re.search(r"VmRSS:\s+(\d+)", text).group(1)) << 10,
            "threads": int(re.search(r"Threads:\s+(\d+)", text).group(1)),
            "files": len(os.listdir(f"/proc/{server.process.pid}/fd"))}


def settled(server, before):
    live.wait_until(lambda: state(server)["threads"] <= before["threads"] and state(server)["files"] <= before["files"], 60)
    time.sleep(2 * IDLE)
    return state(server)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--seconds", type=float, default=120)
    p.add_argument("--sockets", type=int, default=50)
    p.add_argument("--model")
    o = p.parse_args()
    count = {"heard": 0, "interrupted": 0, "left": 0}
    with live.Server("--queue", "1000", "--max-wait", "0", "--idle-unload", str(IDLE), *(["--model", o.model] if o.model else [])) as s:
        s.speech()
        before = state(s)
        warm = None
        for seconds in (o.seconds / 4, o.seconds * 3 / 4):
            end = time.monotonic() + seconds
            threads = [threading.Thread(target=worker, args=(s, end, i, count)) for i in range(o.sockets)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            now = settled(s, before)
            print(f"after {seconds:.0f} s: {count}, {now['memory'] >> 20} MiB, {now['threads']} threads, {now['files']} files", flush=True)
            warm = warm or now
        live.check(count["interrupted"] > o.sockets and count["heard"] > 0, "they were spoken to", count)
        live.check(now["memory"] - warm["memory"] < GROWTH, "memory stays", (warm, now))
        live.check(now["threads"] <= before["threads"] and now["files"] <= before["files"], "nothing is left", (before, now))
        live.check(s.speech().status == 200, "and it serves", "")
    sys.exit(live.report())


main()
