"""What clients of other servers send, and where they look: fields, names, lists, paths, sockets."""
import http.client
import json
import os
import re
import socket
import struct
import subprocess
import sys
import tempfile

import live
from live import check

directory = tempfile.TemporaryDirectory()
WAV = {"response_format": "wav", "stream": False}


def samples(r):
    return struct.unpack(f"<{(len(r.body) - 44) // 2}h", r.body[44:])


# fields beside those of HELLO, and the fields of a request that must sound the same
SAME = [
    ({"voice": None}, {"voice": "default"}),
    ({"lang_code": "a"}, {"language": "en-us"}),
    ({"lang_code": "b"}, {"language": "en-gb"}),
    ({"lang_code": "e"}, {"language": "es"}),
    ({"lang_code": "z", "input": "\u4f60\u597d"}, {"language": "cmn", "input": "\u4f60\u597d"}),
    ({"language": "Auto"}, {}), ({"language": ""}, {}), ({"language": "auto"}, {}),
    ({"language": "English"}, {"language": "en-us"}), ({"language": "ENGLISH"}, {"language": "en-us"}),
    ({"language": "British English"}, {"language": "en-gb"}),
    ({"language": "German"}, {"language": "de"}), ({"language": "de-DE"}, {"language": "de"}),
    ({"language": "de_AT"}, {"language": "de"}), ({"language": "de-Latn-AT"}, {"language": "de"}),
    ({"language": "Polish"}, {"language": "pl"}), ({"language": "fr"}, {"language": "fr-fr"}),
    ({"language": "zh-Hans-CN", "input": "\u4f60\u597d"}, {"language": "cmn", "input": "\u4f60\u597d"}),
    ({"language": "Chinese", "input": "\u4f60\u597d"}, {"language": "cmn", "input": "\u4f60\u597d"}),
    ({"language": "pt-BR"}, {"language": "pt-br"}),
    ({"voice": "af_bella"}, {"voice": "coral"}), ({"voice": "am_onyx"}, {"voice": "onyx"}),
    ({"voice": "bm_fable"}, {"voice": "fable"}), ({"voice": "af_bella(2)"}, {"voice": "coral"}),
    ({"volume_multiplier": 1}, {}), ({"normalization_options": {"normalize": True, "unit": False}}, {}),
    ({"normalization_options": {"normalize": False}, "input": "It is 12."}, {"normalize": False, "input": "It is 12."}),
    ({"reference_id": None, "ref_audio": None, "references": None}, {}),
    ({"reference_id": "", "references": [], "speaker_wav": None, "speaker_embedding": []}, {}),
    ({"input": "One. --- Two."}, {"input": "One. --- Two."}),
]
REFUSED = [
    ("ref_audio", "UklGRg=="), ("reference_id", "someone"), ("references", [{"audio": "x", "text": "y"}]),
    ("speaker_wav", "me.wav"), ("audio_prompt_path", "me.wav"), ("reference_audio", "UklGRg=="), ("speaker", "bella"),
    ("speaker_embedding", [0.1, 0.2]), ("ref_audio_path", "me.wav"), ("clone_reference", "me"),
    ("language", "Klingonese"), ("language", "qq"), ("lang_code", "q"), ("voice", "af_nobody"),
    ("voice", "xx_bella"), ("voice", "alloy(2)+nova(1)"), ("voice", "af_bella+af_sky"), ("volume_multiplier", 0), ("volume_multiplier", 11),
    ("normalization_options", True),
]
SILENT = ["---", "...", "\U0001f600", "\n", " ", "*", "\u2026", "?!", "\u3002", "***\n\n---",
          "<speak><break time='1s'/></speak>"]


def fields(s):
    for extra, like in SAME:
        a, b = s.speech(**WAV, **extra), s.speech(**WAV, **like)
        check(a.status == 200 and b.status == 200 and a.body == b.body, (extra, like),
              (a.status, b.status, a.body[:200]))
        check("ignored" not in (a.headers["x-jabbertts-warning"] or "") or "speaker_wav" in extra, (extra, "no field is ignored"), a.headers.items())
    for name, value in REFUSED:
        r = s.speech(**{name: value})
        check(r.status == 400 and r.error()["param"] in (name, "language"), (name, value), r.body[:300])
    loud, soft = s.speech(**WAV), s.speech(**WAV, volume_multiplier=0.5)
    ratio = max(map(abs, samples(soft))) / max(map(abs, samples(loud)))
    check(0.45 < ratio < 0.55, "volume_multiplier", ratio)


def silence(s):
    for text in SILENT:
        for model in "tts-1", "espeak-ng":
            r = s.speech(**WAV, input=text, model=model)
            n, hz = (len(r.body) - 44) / 2, int.from_bytes(r.body[24:28], "little")
            check(r.status == 200 and abs(n / hz - 0.2) < 0.01 and not any(samples(r)), (text, model),
                  (r.status, r.body[:200]))
    for name in "mp3", "opus", "aac", "flac", "pcm":
        r = s.speech(input="---", response_format=name)
        check(r.status == 200 and len(r.body) > 40, ("silence", name), (r.status, len(r.body)))
    r = s.speech(input="---", stream_format="sse")
    check(r.status == 200 and b"speech.audio.done" in r.body, "silence as events", r.body[:200])
    check(s.speech(input="").status == 400, "no text at all is none", "")
    russian = "Hello. \u0414\u043e\u0431\u0440\u043e\u0435 \u0443\u0442\u0440\u043e."
    warned = s.speech(input=russian, response_format="pcm")
    check("espeak-ng with the voice ru" in warned.headers["x-jabbertts-warning"], "letters that are not read", warned.headers.items())
    check(s.speech(input="Hello.").headers["x-jabbertts-warning"] is None, "no warning without a reason", "")
    with live.Server("--threads", "1", "--refuse-silence", "--fallback") as strict:
        for stream in True, False:
            r = strict.speech(input=russian, response_format="pcm", stream=stream)
            n = len(r.body) / len(warned.body)
            check(r.status == 200 and not r.broken and r.headers["x-jabbertts-warning"] is None and 0.3 < n < 3 and n != 1,
                  "and espeak-ng speaks them", (r.headers.items(), n))
        r = strict.speech(input="---")
        check(r.status == 400 and r.error()["param"] == "input", "refused when asked for", r.body)


def phonemes(s):
    """Kokoro-FastAPI's /dev/phonemize, and its mixtures of voices."""
    r = s.call("POST", "/dev/phonemize", json={"text": "Hello there. It is 12.", "language": "a"})
    got = r.json()
    check(r.status == 200 and set(got) == {"phonemes", "tokens"}, "both members", r.body)
    check(got["phonemes"] == "h\u0259l\u02c8o\u028a \u00f0\u02c8\u025b\u0279. \u026a\u027e \u026az tw\u02c8\u025blv.", "one line of IPA", got["phonemes"])
    check(len(got["tokens"]) > 5 and all(isinstance(i, int) for i in got["tokens"]), "tokens of the model", got["tokens"])
    german = s.call("POST", "/dev/phonemize", json={"text": "Guten Tag.", "language": "Deutsch"}).json()["phonemes"]
    check(german == s.call("POST", "/dev/phonemize", json={"text": "Guten Tag.", "language": "deu"}).json()["phonemes"]
          and german.endswith("k."), "a language by its own name", german)
    for body, param in ({}, "input"), ({"text": ""}, "input"), ({"text": "x" * 5000}, "input"), ({"text": 1}, "input"), ({"text": "a", "language": "qq"}, "language"):
        r = s.call("POST", "/dev/phonemize", json=body)
        check(r.status == 400 and r.error()["param"] == param, body.keys(), r.body)
    with live.Server("--threads", "1", "--model", "espeak-ng") as robot:
        r = robot.call("POST", "/dev/phonemize", json={"text": "Hello."})
        check(r.status == 200 and r.json()["tokens"] == [] and r.json()["phonemes"], "a robot has no tokens", r.body)
    r = s.call("POST", "/v1/audio/voices/combine", json="alloy+nova")
    check(r.status == 400 and r.error()["code"] == "unsupported_value", "no mixtures", r.body)


def downloads(s):
    """Kokoro-FastAPI's return_download_link: the sound once more."""
    for fields in {"response_format": "mp3"}, {"response_format": "wav", "stream": False}, {"response_format": "flac"}:
        r = s.speech(return_download_link=True, **fields)
        path = r.headers["X-Download-Path"]
        again = s.call("GET", "/v1" + path)
        check(r.status == again.status == 200 and path.endswith("." + fields["response_format"])
              and again.headers["Content-Type"] == r.headers["Content-Type"], "a link", (path, again.status))
        first = 0 if "stream" in fields else {"mp3": 1441, "flac": 42}[fields["response_format"]]
        check(len(again.body) == len(r.body) and again.body[first:] == r.body[first:], "the same sound", (len(again.body), len(r.body)))
    check(s.speech().headers["X-Download-Path"] is None, "no link that nobody asked for", "")
    check(s.call("GET", "/v1/download/req_0.mp3").status == 404 and s.call("GET", "/v1/download/..%2fx").status == 404, "no such link", "")
    paths = [s.speech(input="---", return_download_link=True).headers["X-Download-Path"] for _ in range(33)]
    check(s.call("GET", "/v1" + paths[0]).status == 404 and s.call("GET", "/v1" + paths[-1]).status == 200, "32 are kept", "")
    with live.Server("--threads", "1", "--api-keys", "a:key-one-of-a,b:key-two-of-b") as keyed:
        r = keyed.call("POST", "/v1/audio/speech", json={**live.HELLO, "return_download_link": True}, headers={"Authorization": "Bearer key-one-of-a"})
        for key, status in ("key-one-of-a", 200), ("key-two-of-b", 404), ("", 401):
            got = keyed.call("GET", "/v1" + r.headers["X-Download-Path"], headers={"Authorization": "Bearer " + key}).status
            check(got == status, "a link is its key's", (key, got))


def lists(s):
    for path in "/v1/audio/voices", "/v1/voices":
        whole = s.call("GET", path).json()["voices"]
        r = s.call("GET", path + "?legacy=true").json()
        check(r == {"voices": [v["name"] for v in whole]}, path + " legacy", r)
        r = s.call("POST", path)
        check(r.status == 200 and r.json()["voices"] == whole, "POST " + path, r.body[:200])
    for path in "/v1/models", "/v1/audio/models":
        for body in None, "{}":
            r = s.call("POST", path, body=body, headers={"Content-Type": "application/json"})
            check(r.status == 200 and r.json() == s.call("GET", path).json(), "POST " + path, r.body[:200])
    check(s.call("GET", "/v1/test").json()["status"] == "ok", "/v1/test", "")


def names():
    with live.Server("--threads", "1", "--model-name", "my-voice, kokoro,tts 2") as s:
        ids = [m["id"] for m in s.call("GET", "/v1/models").json()["data"]]
        check(ids[:4] == ["my-voice", "kokoro", "tts", "2"] and "tts-1" in ids, "names of the model", ids)
        for model in "my-voice", "kokoro", "tts-1":
            check(s.speech(model=model, input="A").status == 200, model, "")
        check(s.speech(model="jabber-tiny").status == 404, "its file's name is replaced", "")


def base_path():
    with live.Server("--threads", "1", "--base-path", "/tts/") as s:
        for path in "/tts/v1/audio/speech", "/v1/audio/speech", "//tts//v1//audio/speech":
            r = s.call("POST", path, json={**live.HELLO, "input": "A"})
            check(r.status == 200, path, r.status)
        # What a page names is relative to its own address: one without its slash would look beside it.
        for path, to in ("/tts", "tts/"), ("/tts/docs/", "../docs"), ("/docs/", "../docs"):
            r = s.call("GET", path)
            check(r.status == 308 and r.headers["Location"] == to, path, (r.status, r.headers.items()))
        for path, status in ("/tts/", 200), ("/tts/docs", 200), ("/tts/page.js", 200), \
                ("/ttsx/", 404), ("/tts/tts/", 404), ("/tts/v1/models/tts-1", 200), ("/v1/models/tts-1", 200):
            check(s.call("GET", path).status == status, path, s.call("GET", path).status)


def relative(s):
    """Pages, documents and scripts name nothing from the root, so that they work below any path."""
    for path in "/", "/docs", "/page.js", "/docs.js", "/page.css":
        text = s.call("GET", path).body.decode()
        found = re.findall(r"""(?:src|href|action)=["']/[^"']*|(?:fetch|api|getJson)\(["'`]/[^"'`]*|url\(/[^)]*""", text)
        check(found == [], path + " is relative", found)


class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def start(*flags, **more):
    """A server that has no port to find: its first line is read."""
    home = directory.name
    p = subprocess.Popen([live.BINARY, "serve", "--threads", "1", *flags], stderr=subprocess.PIPE,
                         env={**os.environ, "XDG_DATA_HOME": home, "XDG_CONFIG_HOME": home,
                              "PULSE_RUNTIME_PATH": os.path.join(home, "pulse")}, **more)
    return p, p.stderr.readline().decode()


def sockets():
    path = os.path.join(directory.name, "s.sock")
    for _ in range(2):  # the second finds what the killed first left
        p, line = start("--host", "unix:" + path)
        check("unix:" + path in line, "it says where", line)
        r = live.exchange(Unix(path), "POST", "/v1/audio/speech", {**live.HELLO, "input": "A"})
        check(r.status == 200, "over a socket in the file system", r.status)
        other, line = start("--host", "unix:" + path)
        check(other.wait(30) != 0 and "another server" in line, "taken", line)
        p.kill()
        p.wait()
    p, _ = start("--host", "unix:" + path)
    p.terminate()
    check(p.wait(30) == 0 and not os.path.exists(path), "it is removed at the end", "")
    with open(path, "w"):
        pass
    p, line = start("--host", "unix:" + path)
    check(p.wait(30) != 0 and "not a socket" in line and os.path.exists(path), "a file is not replaced", line)
    for host in "[::1]", "::1":
        p, line = start("--host", host, "--port", "0")
        if p.poll() is None and "http://[::1]:" in line:
            port = int(line.rsplit(":", 1)[1].split("/")[0])
            c = http.client.HTTPConnection("::1", port)
            check(live.exchange(c, "GET", "/health").status == 200, host, line)
            p.terminate()
        else:
            check("cannot listen" in line or "annot assign" in line, host, line)
        p.wait(30)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        script = f'exec 3<&{listening.fileno()}; LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"'
        p = subprocess.Popen(["sh", "-c", script, "sh", live.BINARY, "serve", "--threads", "1", "--host", "systemd"],
                             stderr=subprocess.PIPE, pass_fds=[listening.fileno()])
        line = p.stderr.readline().decode()
        check(f"http://127.0.0.1:{port}/v1" in line, "systemd's socket", line)
        c = http.client.HTTPConnection("127.0.0.1", port)
        check(live.exchange(c, "GET", "/health").status == 200, "systemd's socket", "")
        p.terminate()
        check(p.wait(30) == 0, "it ends", p.returncode)
    p, line = start("--host", "systemd")
    check(p.wait(30) != 0 and "passed no socket" in line, "no systemd", line)


if __name__ == "__main__":
    with live.Server("--threads", "1", "--voice-dir", os.path.join(directory.name, "voices")) as server:
        fields(server)
        silence(server)
        lists(server)
        downloads(server)
        phonemes(server)
        relative(server)
    names()
    base_path()
    sockets()
    sys.exit(live.report())
