"""Answers that are kept: the same bytes again, from a directory that survives the server, is bounded,
and may be damaged or full; and what HTTP says about them."""
import concurrent.futures
import glob
import os
import shutil
import sys
import tempfile

import live
from live import check

TAKES = "/v1/audio/takes/"


def metric(s, name):
    for line in s.call("GET", "/metrics").body.decode().splitlines():
        if line.startswith(name + " "):
            return float(line.split()[1])
    return None


def files(folder, ending=".take"):
    return sorted(glob.glob(os.path.join(folder, "*" + ending)))


def formats(s, folder):
    for name in ["mp3", "opus", "aac", "m4a", "flac", "wav", "pcm"]:
        first = s.speech(response_format=name)
        again = s.speech(response_format=name)
        whole = s.speech(response_format=name, stream=False)
        check(first.headers["Transfer-Encoding"] == "chunked" and first.headers["ETag"].startswith('W/"'),
              name + ": made while it is sent", first.headers.items())
        check(int(again.headers["Content-Length"]) == len(again.body) == len(first.body),
              name + ": kept, with its length", again.headers.items())
        check(again.body == whole.body, name + ": streamed or not, one take", "")
        head = {"wav": 44, "flac": 42, "mp3": 1441}.get(name, 0)
        check(again.body[head:] == first.body[head:], name + ": the same sound", "")
        check(again.headers["Content-Type"] == first.headers["Content-Type"] and
              again.headers["x-jabbertts-seed"] == "0" and again.headers["Accept-Ranges"] == "bytes" and
              again.headers["Content-Disposition"] == f'attachment; filename="speech.{name}"',
              name, again.headers.items())
        check("W/" + again.headers["ETag"] == first.headers["ETag"], name + ": one tag", "")
    check(len(files(folder)) == 7, "a file for each", files(folder))
    wav = s.speech(response_format="wav").body
    check(int.from_bytes(wav[4:8], "little") == len(wav) - 8, "a kept wav has its size", wav[:44])


def differences(s):
    """What decides the sound decides the name, and nothing else does."""
    def tag(**fields):
        r = s.speech(stream=False, **fields)
        check(r.status == 200, fields, r.body[:200])
        return r.headers["ETag"]
    base = tag()
    other = [{"input": "Ho."}, {"voice": "nova"}, {"seed": 1}, {"speed": 1.5}, {"temperature": 0.5},
             {"top_p": 0.5}, {"repetition_penalty": 1.5}, {"response_format": "wav"},
             {"sample_rate": 24000}, {"volume_multiplier": 0.5}, {"normalize": False},
             {"context_sentences": 1}]
    tags = [tag(**x) for x in other]
    check(len({base, *tags}) == 1 + len(other), "each is another take", (base, tags))
    for same in [{"seed": 0}, {"speed": 1}, {"model": "jabber-tiny"}, {"voice": {"id": "alloy"}},
                 {"stream_format": "audio"}]:
        check(tag(**same) == base, f"{same} is the same take", "")
    drawn = s.speech(seed=-1)
    again = s.speech(seed=int(drawn.headers["x-jabbertts-seed"]))
    check(len(again.body) == len(drawn.body) and again.headers["Accept-Ranges"] == "bytes",
          "a seed that was drawn is kept under its number", again.headers.items())


def shapes(s):
    for path, extra in [("/v1/audio/speech", {"stream_format": "sse"}),
                        ("/v1/audio/speech", {"stream_format": "sse", "timestamp_granularities": ["word"]}),
                        ("/v1/audio/speech/timestamps", {}), ("/dev/captioned_speech", {}),
                        ("/dev/captioned_speech", {"stream": False})]:
        data = {**live.HELLO, "input": "Two words.", **extra}
        first, again = (s.call("POST", path, json=data) for _ in range(2))
        check(first.body == again.body and "ETag" in again.headers and again.headers["Accept-Ranges"],
              f"{path} {extra}: kept", (first.body[:80], again.headers.items()))
        check(first.headers["Content-Type"] == again.headers["Content-Type"], path, "")
    r = [s.speech(input='<speak><voice name="nova">Hi.</voice></speak>') for _ in range(2)]
    check(r[1].status == 200 and "ETag" not in r[1].headers, "a text that names voices is not kept", "")
    r = [s.speech(model="espeak-ng") for _ in range(2)]
    check(r[1].status == 200 and "ETag" not in r[1].headers, "espeak-ng, never twice the same, is not kept", "")
    r = [s.speech(return_download_link=True) for _ in range(2)]
    path = "/v1" + r[1].headers["X-Download-Path"]
    check(path.startswith(TAKES) and s.call("GET", path).body == r[1].body, "it is its own download", path)


def conditions(s):
    r = s.speech(stream=False)
    tag, n, where = r.headers["ETag"], len(r.body), r.headers["Content-Location"]

    def get(headers=None, path=where, method="GET"):
        return s.call(method, path, headers=headers)
    check(get().body == r.body and get().headers["Content-Type"] == "audio/mpeg", "by its address", where)
    head = get(method="HEAD")
    check(head.status == 200 and int(head.headers["Content-Length"]) == n and not head.body, "HEAD", "")
    for match in [tag, "W/" + tag, f'"x", {tag}']:
        for answer in [get({"If-None-Match": match}),
                       s.call("POST", "/v1/audio/speech", json=live.HELLO, headers={"If-None-Match": match})]:
            check(answer.status == 304 and not answer.body and answer.headers["ETag"] == tag, match,
                  (answer.status, answer.headers.items()))
    check(get({"If-None-Match": '"other"'}).status == 200, "another tag", "")
    for method in ["GET", "HEAD"]:
        answer = get({"If-None-Match": "*"}, method=method)
        check(answer.status == 304 and not answer.body and answer.headers["ETag"] == tag, f"{method} of any tag",
              answer.status)
    check(get({"If-None-Match": "*"}, TAKES + "0" * 64).status == 404, "any tag of what is not there", "")
    answer = s.call("POST", "/v1/audio/speech", json=live.HELLO, headers={"If-None-Match": "*"})
    check(answer.status == 200 and answer.body == r.body, "a request to speak is no address", answer.status)
    for text, part in [("bytes=0-99", (0, 100)), ("bytes=100-", (100, n)), ("bytes=-7", (n - 7, n)),
                       (f"bytes=5-{n + 9}", (5, n)), (f"bytes=-{n + 5}", (0, n)), ("Bytes=3-3", (3, 4))]:
        for answer in [get({"Range": text}),
                       s.call("POST", "/v1/audio/speech", json=live.HELLO, headers={"Range": text})]:
            check(answer.status == 206 and answer.body == r.body[part[0]:part[1]] and
                  answer.headers["Content-Range"] == f"bytes {part[0]}-{part[1] - 1}/{n}", text,
                  (answer.status, answer.headers.items()))
    for text in [f"bytes={n}-", "bytes=-0", f"bytes={2**64 - 1}-", "bytes=99999999999999999999-"]:
        answer = get({"Range": text})
        check(answer.status == 416 and answer.headers["Content-Range"] == f"bytes */{n}" and
              answer.error()["code"] == "range_not_satisfiable", text, (answer.status, answer.body[:200]))
    for text in ["bytes=5-2", "bytes=a-b", "bytes=", "bytes=-", "lines=1-2", "bytes=0-1,4-5", "bytes=1-2x",
                 "bytes=+1-2", "bytes= 1-2"]:
        check(get({"Range": text}).status == 200, f"{text} is passed over", "")
    for only_if, status in [(tag, 206), ('"other"', 200), ("W/" + tag, 200),
                            ("Wed, 21 Oct 2015 07:28:00 GMT", 200)]:
        check(get({"Range": "bytes=0-9", "If-Range": only_if}).status == status, f"If-Range {only_if}", "")
    for path in [TAKES + "0" * 64, TAKES + "x", TAKES + "../secret", TAKES + "A" * 64]:
        check(get(path=path).status == 404, path, "")


def together(s):
    """Many ask for the same at once: all get it, and one file is there."""
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        bodies = list(pool.map(lambda _: s.speech(input="All at once.", response_format="pcm").body, range(8)))
    check(len(set(bodies)) == 1 and len(bodies[0]) > 1000, "one sound for all", [len(b) for b in bodies])
    with s.socket() as gone:  # who leaves in the middle leaves nothing
        text = b'{"model":"tts-1","input":"' + b"A long text that nobody hears to its end. " * 60 + b'"}'
        gone.sendall(b"POST /v1/audio/speech HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                     b"Content-Length: %d\r\n\r\n%s" % (len(text), text))
        gone.recv(100)
    check(live.wait_until(lambda: metric(s, "jabbertts_cancellations_total") == 1), "it is noticed", "")


def damage(s, folder):
    r = s.speech(input="Damaged.", response_format="pcm", stream=False)
    path = os.path.join(folder, r.headers["ETag"].strip('"') + ".take")
    for harm in [lambda f: (f.seek(-1, 2), f.write(b"x" if r.body[-1:] != b"x" else b"y")),
                 lambda f: f.truncate(1000), lambda f: f.truncate(3), lambda f: (f.seek(0), f.write(b"J" * 90))]:
        lost = metric(s, "jabbertts_takes_lost_total")
        with open(path, "r+b") as f:
            harm(f)
        check(s.call("GET", TAKES + r.headers["ETag"].strip('"')).status == 404, "damage is not sent", "")
        check(not os.path.exists(path) and metric(s, "jabbertts_takes_lost_total") == lost + 1,
              "what is damaged is removed", "")
        again = s.speech(input="Damaged.", response_format="pcm", stream=False)
        check(again.body == r.body and os.path.exists(path), "and made again", "")


def full(folder):
    """Nothing can be written: that costs no answer."""
    with live.Server("--threads", "1", "--cache-dir", folder) as s:
        shutil.rmtree(folder)
        r = [s.speech() for _ in range(2)]
        check(all(x.status == 200 and len(x.body) > 1000 and not x.broken for x in r), "spoken all the same", "")
        check(metric(s, "jabbertts_takes_lost_total") == 2, "and counted", "")


def bounded():
    def speak(text):
        return s.speech(input=text, response_format="wav", sample_rate=48000, stream=False)
    with tempfile.TemporaryDirectory() as folder, \
            live.Server("--cache-dir", folder, "--cache-size", "1") as s:
        path = os.path.join(folder, speak("First.").headers["ETag"].strip('"') + ".take")
        for i in range(16):
            speak(f"Number {i}.")
            speak("First.")  # it is used again and again, so it stays
        size = sum(os.path.getsize(f) for f in files(folder))
        check(size <= 1 << 20 and metric(s, "jabbertts_take_evictions_total") > 0, "within the limit", size)
        check(metric(s, "jabbertts_takes_bytes") == size, "and told", metric(s, "jabbertts_takes_bytes"))
        check(os.path.exists(path), "what is used stays", files(folder))
        check(metric(s, "jabbertts_take_hits_total") == 16, "and is found", "")
        long = speak("It goes on and on, and on and on, and on, on, on. " * 4)
        check(len(long.body) > 1 << 20 and "ETag" not in long.headers, "what is over the limit is spoken",
              len(long.body))
        check(os.path.exists(path), "and not kept", "")


def main():
    with tempfile.TemporaryDirectory() as folder:
        takes = os.path.join(folder, "takes")
        with live.Server("--cache-dir", takes) as s:
            formats(s, takes)
            hits, misses = metric(s, "jabbertts_take_hits_total"), metric(s, "jabbertts_take_misses_total")
            check((hits, misses) == (15, 7), "hits and misses are counted", (hits, misses))
            differences(s)
            shapes(s)
            conditions(s)
            together(s)
            damage(s, takes)
            check(not [f for f in os.listdir(takes) if not f.endswith(".take")], "nothing half", os.listdir(takes))
            s.process.kill()
            s.process.wait()
            s.process.returncode = 0  # for live.py: that was meant
        half = os.path.join(takes, "0" * 64 + ".take.1-0")
        open(half, "wb").close()
        with live.Server("--cache-dir", takes) as s:
            check(not os.path.exists(half), "what a killed server left is swept away", "")
            r = s.speech()
            check(r.headers["Accept-Ranges"] == "bytes" and metric(s, "jabbertts_take_hits_total") == 1,
                  "a restart keeps it", r.headers.items())
        full(takes)
    bounded()
    with live.Server() as s:
        check("ETag" not in s.speech().headers and s.call("GET", TAKES + "0" * 64).status == 404,
              "without a directory nothing is kept", "")
    sys.exit(live.report())


main()
