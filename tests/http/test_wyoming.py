"""The Wyoming protocol, spoken by hand: what its own client sends, pieces of text, hostile events."""
import json
import re
import socket
import sys

import live
from live import check


class Peer:
    def __init__(self, server):
        port = int(re.search(r"tcp://127\.0\.0\.1:(\d+)", server.text()).group(1))
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=live.TIMEOUT)
        self.file = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *why):
        self.file.close()
        self.socket.close()

    def send(self, kind, data=None, apart=False):
        head, body = {"type": kind}, b""
        if data is not None and apart:
            body = json.dumps(data).encode()
            head["data_length"] = len(body)
        elif data is not None:
            head["data"] = data
        self.socket.sendall(json.dumps(head).encode() + b"\n" + body)

    def event(self):
        try:
            line = self.file.readline()
        except ConnectionResetError:  # closed with some of what we sent unread
            line = b""
        if not line:
            return None, {}, b""
        head = json.loads(line)
        data = json.loads(self.file.read(head["data_length"]) or b"{}")
        return head["type"], data, self.file.read(head["payload_length"])

    def sound(self):
        """Of audio-start to audio-stop: the rate and the bytes."""
        kind, data, _ = self.event()
        check(kind == "audio-start" and data["width"] == 2 and data["channels"] == 1, "sound starts", (kind, data))
        rate, pcm = data.get("rate"), b""
        while True:
            kind, data, payload = self.event()
            if kind != "audio-chunk":
                break
            check(data["timestamp"] == len(pcm) // 2 * 1000 // rate, "a chunk says when it is", data)
            pcm += payload
        check(kind == "audio-stop", "and stops", (kind, data))
        return rate, pcm


def info(s):
    with Peer(s) as p:
        p.send("describe")
        kind, data, _ = p.event()
        check(kind == "info" and not data["asr"], "info", kind)
        program = data["tts"][0]
        check(program["supports_synthesize_streaming"] is True and program["installed"], "it streams", program.keys())
        names = [v["name"] for v in program["voices"]]
        check("alloy" in names and "amy" in names, "its voices", names)
        check(all(v["languages"] and "attribution" in v for v in program["voices"]), "each has a language")
        p.send("ping", {"text": "x"})
        check(p.event()[:2] == ("pong", {"text": "x"}), "pong")


def speak(s):
    http = s.speech(input="Hello there. Good morning.", response_format="pcm", sample_rate=16000, stream=False).body
    with Peer(s) as p:
        p.send("synthesize", {"text": "Hello there. Good morning.", "voice": {"name": "alloy"}})
        rate, pcm = p.sound()
        check(rate == 16000 and len(pcm) > 0.8 * len(http), "a text is spoken", (rate, len(pcm), len(http)))
        p.send("synthesize", {"text": "Hello there. Good morning.", "voice": {"name": "alloy"}}, apart=True)
        check(p.sound()[1] == pcm, "data may follow the line; the sound is the same")
        p.send("synthesize-start", {"voice": {"name": "alloy"}})
        p.send("synthesize-chunk", {"text": "Hello th"})
        p.send("synthesize-chunk", {"text": "ere. Good"})
        check(p.event()[0] == "audio-start", "sound starts")
        kind, _, payload = p.event()
        check(kind == "audio-chunk" and payload, "the first sentence is spoken before the last has come", kind)
        p.send("synthesize-chunk", {"text": " morning."})
        p.send("synthesize", {"text": "Hello there. Good morning."})
        p.send("synthesize-stop")
        streamed = payload
        while (event := p.event())[0] == "audio-chunk":
            streamed += event[2]
        check(event[0] == "audio-stop" and streamed == pcm, "in pieces it is the same sound, once", len(streamed))
        check(p.event()[0] == "synthesize-stopped", "stopped")


def hostile(s):
    for kind, data, code in (("synthesize", {"text": "x", "voice": {"name": "nobody"}}, "bad-request"),
                             ("synthesize", {}, "bad-request"), ("synthesize-chunk", {"text": "x"}, "bad-request"),
                             ("transcribe", {}, "unknown-event")):
        with Peer(s) as p:
            p.send(kind, data)
            while (event := p.event())[0] not in ("error", None):
                pass
            check(event[0] == "error" and event[1]["code"] == code, (kind, code), event)
            p.send("ping")
            while (event := p.event())[0] not in ("pong", None):
                pass
            check(event[0] == "pong", "the connection lives on", event)
    for raw in (b"no json\n", b"[]\n", b'{"type":1}\n', b'{"type":"ping","data_length":-1}\n', b'{"type":"ping","data":[]}\n',
                b'{"type":"ping","data_length":99999999}\n', b'{"type":"ping","data_length":3}\nxxx', b"x" * 70000,
                b'{"type":"' + b"x" * 100 + b'"}\n'):
        with Peer(s) as p:
            p.socket.sendall(raw)
            check(p.event()[0] == "error", raw[:40])
            check(p.event()[0] is None, "and it is closed", raw[:40])
    for _ in range(20):  # leave in the middle
        with Peer(s) as p:
            p.send("synthesize", {"text": "A long sentence that nobody will ever hear to its end. " * 20})
            p.event()
    check(live.wait_until(lambda: s.call("GET", "/readyz").json().get("active", 0) == 0, 60), "they are cancelled",
          s.call("GET", "/readyz").body)
    idle = []

    def taken():  # those who left may still count
        idle.append(Peer(s))
        idle[-1].send("ping")
        if idle[-1].event()[0] != "pong":
            idle.pop().__exit__()
        return len(idle) == 16
    check(live.wait_until(taken, 60), "sixteen connections", len(idle))
    with Peer(s) as p:
        check(p.event()[0] is None, "the seventeenth connection is closed")
    for p in idle:
        p.__exit__()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return str(s.getsockname()[1])


with live.Server("--wyoming", free_port()) as server:
    live.wait_until(lambda: "tcp://" in server.text())
    for test in (info, speak, hostile):
        test(server)
sys.exit(live.report())
