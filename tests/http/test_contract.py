"""Each field of a speech request: valid edges, invalid edges, wrong types; then headers and paths."""
import sys

import live
from live import check

ABSENT = object()
FORMATS = {"mp3": "audio/mpeg", "opus": "audio/opus", "aac": "audio/aac", "m4a": "audio/mp4", "flac": "audio/flac",
           "wav": "audio/wav", "pcm": "audio/pcm"}

# The fields' valid edges, several in a request so that little is spoken.
VALID = [
    {"model": "jabber-tiny", "input": "A", "voice": "default", "speed": 0.25, "seed": 0,
     "temperature": 0, "top_p": 1, "repetition_penalty": 0.9, "sample_rate": 8000,
     "instructions": None, "stream": False, "stream_format": "audio"},
    {"model": "gpt-4o-mini-tts-2025-12-15", "voice": {"id": "echo"}, "speed": 4.0,
     "seed": 2**53 - 1, "temperature": 2, "top_p": 0.01, "repetition_penalty": 2,
     "sample_rate": 48000, "language": "en-us", "instructions": "x" * 4096},
    {"lang_code": "en", "volume_multiplier": 2, "language": None, "stream": True},
]

# field, value, status, code, what the message must contain
CASES = [
    ("model", ABSENT, 400, "missing_required_parameter", "'model'"),
    ("model", None, 400, "invalid_type", "got null"),
    ("model", 1, 400, "invalid_type", "got a number"),
    ("model", "tts-2", 404, "model_not_found", "did you mean 'tts-1'"),
    ("model", "x" * 129, 400, "string_above_max_length", "129 characters; the limit is 128"),
    ("input", ABSENT, 400, "missing_required_parameter", "'input'"),
    ("input", "", 400, "string_below_min_length", "empty"),
    ("input", ["a"], 400, "invalid_type", "got an array"),
    ("input", "\u00e9" * 4097, 400, "string_above_max_length",
     "4097 characters; the limit is 4096 (max_input_chars)"),
    ("voice", {"id": 3}, 400, "invalid_type", "got a number"),
    ("voice", {}, 400, "invalid_value", "exactly one member"),
    ("voice", {"id": "echo", "x": 1}, 400, "invalid_value", "exactly one member"),
    ("voice", "", 400, "string_below_min_length", "empty"),
    ("voice", "ballade", 400, "invalid_value", "did you mean 'ballad'"),
    ("voice", "../../etc/passwd", 400, "invalid_value", "no voice"),
    ("voice", True, 400, "invalid_type", "got a boolean"),
    ("instructions", "x" * 4097, 400, "string_above_max_length", "4097"),
    ("instructions", 5, 400, "invalid_type", "a string"),
    ("response_format", "ogg", 400, "invalid_value", "mp3, opus, aac, m4a, flac, wav, pcm"),
    ("response_format", "MP3", 400, "invalid_value", "Did you mean \"mp3\"?"),
    ("response_format", 3, 400, "invalid_type", "a string"),
    ("speed", 0.2499, 400, "invalid_value", "must be 0.25 to 4"),
    ("speed", 4.001, 400, "invalid_value", "must be 0.25 to 4"),
    ("speed", "1", 400, "invalid_type", "a number"),
    ("stream_format", "events", 400, "invalid_value", "audio, sse"),
    ("stream", "no", 400, "invalid_type", "true or false"),
    ("seed", 2**53, 400, "invalid_value", "9007199254740991"),
    ("seed", -2, 400, "invalid_value", "-1 to"),
    ("seed", 1.5, 400, "invalid_type", "an integer"),
    ("seed", 10**30, 400, "invalid_json", ""),
    ("temperature", 2.01, 400, "invalid_value", "0 to 2"),
    ("temperature", -0.01, 400, "invalid_value", "0 to 2"),
    ("top_p", 0, 400, "invalid_value", "0.01 to 1"),
    ("repetition_penalty", 2.1, 400, "invalid_value", "0.5 to 2"),
    ("repetition_penalty", 0.4, 400, "invalid_value", "0.5 to 2"),
    ("sample_rate", 7999, 400, "invalid_value", "8000 to 48000"),
    ("sample_rate", 48001, 400, "invalid_value", "8000 to 48000"),
    ("sample_rate", 8001, 400, "invalid_value", "11025 would do"),
    ("language", "x" * 33, 400, "string_above_max_length", "limit is 32"),
    ("language", 1, 400, "invalid_type", "a string"),
]


def fields(s):
    for extra in VALID:
        r = s.speech(**{"input": "Hi.", **extra})
        check(r.status == 200 and len(r.body) > 300 and not r.broken, extra, r.body[:200])
    for name, value, status, code, text in CASES:
        data = {**live.HELLO, name: value}
        if value is ABSENT:
            del data[name]
        r = s.call("POST", "/v1/audio/speech", json=data)
        what = f"{name} = {str(value)[:40]!r}"
        check(r.status == status, what, (r.status, status, r.body[:300]))
        check(r.headers["x-request-id"].startswith("req_"), what + ": x-request-id", "")
        e = r.error()
        check(e.get("code") == code, what, e)
        check(text in e.get("message", ""), what, e)
        check(e.get("type") == "invalid_request_error", what, e)
        check(e.get("param") == (None if code == "invalid_json" else name), what, e)


def bodies(s):
    for body, text in [(b"", "the body is empty"), (b"{", "not valid JSON"), (b"[]", "got an array"),
                       (b'{"input":"\xff\xfe"}', "decode"), (b'{"input":"a\\u0000b"}', "NUL"),
                       (b'{"input":"\\ud800"}', "unicode"), (b"\x00" * 100, "not valid JSON"),
                       (b"[" * 100000, "not valid JSON")]:
        r = s.call("POST", "/v1/audio/speech", body=body,
                   headers={"Content-Type": "application/json"})
        e = r.error()
        check(r.status == 400 and e["code"] == "invalid_json", body[:20], (r.status, r.body[:200]))
        check(text.lower() in e["message"].lower(), body[:20], e)
    r = s.call("POST", "/v1/audio/speech", body="input=hello",
               headers={"Content-Type": "application/x-www-form-urlencoded"})
    check(r.status == 415 and "Content-Type: application/json" in r.error()["message"], "415", r.body)
    r = s.call("POST", "/v1/audio/speech", json=live.HELLO,
               headers={"Content-Type": "application/json; charset=utf-8"})
    check(r.status == 200, "a content type with parameters", r.status)


def formats(s):
    pcm = s.speech(response_format="pcm")
    seconds = len(pcm.body) / 2 / 24000
    check(0.4 < seconds < 4, "pcm is 24 kHz, 16 bit, mono", seconds)
    for name, kind in FORMATS.items():
        r = s.speech(response_format=name)
        check(r.status == 200 and r.headers["Content-Type"] == kind, name, r.headers.items())
        check(r.headers["Transfer-Encoding"] == "chunked", name + " is chunked", r.headers.items())
        check(r.headers["Content-Disposition"] == f'attachment; filename="speech.{name}"', name,
              r.headers.items())
        check(not r.broken and len(r.body) > 1000, name, len(r.body))
        whole = s.speech(response_format=name, stream=False)
        check(int(whole.headers["Content-Length"]) == len(whole.body), name + " whole", "")
        first = {"wav": 44, "flac": 42, "mp3": 1441}.get(name, 0)  # where a length stands
        check(len(whole.body) == len(r.body) and whole.body[first:] == r.body[first:],
              name + ": whole or streamed, the same sound", "")
        check((whole.body == r.body) == (first == 0), name + ": a whole one says its length", "")
        if name == "flac":
            total = int.from_bytes(whole.body[21:26], "big") & (1 << 36) - 1
            check(total > 0 and r.body[21:26][-4:] == bytes(4), "flac: samples are told", whole.body[:42])
    other = s.speech(response_format="pcm", seed=7)
    check(other.body != pcm.body, "another seed, another sound", "")
    check(other.headers["x-jabbertts-seed"] == "7", "the seed is told", other.headers.items())
    seeds = {s.speech(response_format="pcm", seed=-1).headers["x-jabbertts-seed"] for _ in range(2)}
    check(len(seeds) == 2 and all(0 <= int(x) < 2**53 for x in seeds), "-1 draws a seed", seeds)


def wav_sizes(s):
    r = s.speech(response_format="wav").body
    check(r[4:8] == r[40:44] == b"\xff\xff\xff\xff", "a streamed wav has no sizes", r[:44])
    w = s.speech(response_format="wav", stream=False).body
    check(int.from_bytes(w[4:8], "little") == len(w) - 8, "a whole wav has its size", w[:44])
    check(int.from_bytes(w[40:44], "little") == len(w) - 44, "a whole wav has its size", w[:44])
    check(w[44:] == r[44:], "the same samples in both", "")


def strictness(s):
    r = s.speech(volume=3, **{"bad\nname": 1})
    check(r.status == 200 and r.headers["x-jabbertts-warning"] ==
          "unknown fields ignored: volume, bad?name", "unknown fields are told", r.headers.items())
    with live.Server("--strict", "--threads", "1") as strict:
        r = strict.speech(temprature=1)
        e = r.error()
        check(r.status == 400 and e["code"] == "unknown_parameter" and e["param"] == "temprature" and
              "did you mean 'temperature'" in e["message"], "strict", e)


def lists(s):
    models = s.call("GET", "/v1/models").json()
    ids = [m["id"] for m in models["data"]]
    check(models["object"] == "list" and ids[0] == "jabber-tiny" and "tts-1-hd" in ids, "models", ids)
    for m in models["data"]:
        check(sorted(m) == ["created", "id", "jabbertts", "object", "owned_by"], "a model's shape", m)
        check(s.call("GET", "/v1/models/" + m["id"]).json() == m, "list and get agree", m)
    r = s.call("GET", "/v1/models/a%2Fb")
    check(r.status == 404 and r.error()["code"] == "model_not_found", "an unknown model", r.body)
    check([m["id"] for m in s.call("GET", "/v1/audio/models").json()["models"]] == ids, "audio", "")
    for path in "/v1/audio/voices", "/v1/voices":
        v = s.call("GET", path).json()
        names = {x["id"] for x in v["voices"]}
        openai = set("alloy ash ballad coral echo fable onyx nova sage shimmer verse marin cedar".split())
        check(openai <= names and v["voices"] == v["data"] and v["object"] == "list", path, names)
        check(all(isinstance(x["name"], str) for x in v["voices"]), path, v)


def espeak(s):
    for voice in "de", "alloy", "en-us+f3":
        r = s.speech(model="espeak-ng", voice=voice, response_format="wav", stream=False)
        rate = int.from_bytes(r.body[24:28], "little")
        check(r.status == 200 and rate == 22050 and len(r.body) > 10000, voice, (r.status, rate))
    r = s.speech(model="espeak-ng", voice="nonsense")
    check(r.status == 400 and r.error()["param"] == "voice", "no such voice", r.body)


def paths(s):
    r = s.call("GET", "/v1/nothing")
    check(r.status == 404 and r.error()["code"] == "unknown_url", "an unknown URL", r.body)
    r = s.call("GET", "/v1/audio/speech")
    check(r.status == 405 and r.headers["Allow"] == "POST, OPTIONS", "a wrong method", r.body)
    r.error()
    r = s.call("DELETE", "/v1/models")
    check(r.status == 405 and r.headers["Allow"] == "GET, HEAD, POST, OPTIONS", "a wrong method", r.body)
    r = s.call("HEAD", "/v1/models")
    check(r.status == 200 and r.body == b"" and int(r.headers["Content-Length"]) > 100, "HEAD", r.body)
    for path in "/health", "/healthz", "/readyz", "/v1/models/":
        status = 404 if path == "/v1/models/x" else 200
        check(s.call("GET", path).status == status, path, "")
    for path, kind in (("/", "text/html"), ("/docs", "text/html"), ("/page.css", "text/css"),
                       ("/page.js", "text/javascript"), ("/openapi.json", "application/json")):
        r = s.call("GET", path)
        check(r.status == 200 and r.headers["Content-Type"].startswith(kind), path, r.headers)
    r = s.call("GET", "/" + "x" * 2000)
    check(r.status == 414, "a long path", r.status)
    r.error()
    c = s.connect()
    for _ in range(5):
        check(live.exchange(c, "GET", "/v1/models").status == 200, "keep-alive", "")
        check(live.exchange(c, "POST", "/v1/nothing", {"a": "b"}).status == 404, "keep-alive", "")


if __name__ == "__main__":
    with live.Server("--threads", "1") as server:
        fields(server)
        bodies(server)
        formats(server)
        wav_sizes(server)
        strictness(server)
        lists(server)
        espeak(server)
        paths(server)
    sys.exit(live.report())
