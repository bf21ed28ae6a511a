"""What clients of ElevenLabs and Fish Audio ask, and that it is the same speech."""
import base64
import json
import struct
import sys

import live
from live import check

WAV = {"response_format": "wav", "stream": False}
TEXT = "Hello there."


def elevenlabs(s):
    def ask(path, query="", **fields):
        return s.call("POST", f"/v1/text-to-speech/{path}?{query}", json={"text": TEXT, "model_id": "eleven_flash", **fields})
    r = ask("nova", "output_format=wav_16000_0")
    check(r.status == 200 and r.body == s.speech(**WAV, input=TEXT, voice="nova", sample_rate=16000).body, "the same sound",
          (r.status, r.body[:200]))
    r = ask("nova")
    check(r.headers["content-type"] == "audio/mpeg" and "content-length" in r.headers, "MP3, whole", r.headers)
    r = ask("nova/stream", "output_format=pcm_24000")
    check(r.status == 200 and "content-length" not in r.headers and
          r.body == s.speech(input=TEXT, voice="nova", response_format="pcm").body, "or streamed", r.headers)
    r = ask("nova", "output_format=wav_16000", voice_settings={"speed": 2, "stability": 0.5}, seed=5, language_code="en")
    check(r.body == s.speech(**WAV, input=TEXT, voice="nova", sample_rate=16000, speed=2, seed=5, language="en").body,
          "its settings count")
    for path, query, status in (("nobody", "", 400), ("nova/with-timestamps", "", 404), ("nova", "output_format=ulaw_8000", 400),
                                ("nova", "output_format=mp3", 400), ("nova", "output_format=pcm_99999999999", 400)):
        r = ask(path, query)
        check(r.status == status and r.error(), (path, query), r.body)
    check(ask("nova", text="").status == 400 and ask("nova", text=None).status == 400, "a text is needed")
    for path in ("/v1/voices", "/v2/voices"):
        check("nova" in [v["voice_id"] for v in s.call("GET", path).json()["voices"]], path)


def fish(s):
    def ask(**fields):
        return s.call("POST", "/v1/tts", json={"text": TEXT, "chunk_length": 200, "latency": "normal", **fields})
    r = ask(reference_id="nova", references=[], seed=None, streaming=False)
    check(r.headers["content-type"] == "audio/wav" and r.body == s.speech(**WAV, input=TEXT, voice="nova").body,
          "the same sound, WAV by itself", (r.status, r.body[:200]))
    r = ask(format="pcm", temperature=0.5, top_p=0.7, repetition_penalty=1.2, seed=3, prosody={"speed": 1.5, "volume": 0})
    same = s.speech(input=TEXT, response_format="pcm", temperature=0.5, top_p=0.7, repetition_penalty=1.2, seed=3, speed=1.5)
    check(r.body == same.body, "its settings count", r.status)
    for fields in ({"reference_id": "nobody"}, {"text": ""}, {"format": "aiff"}, {"references": [{"audio": "!"}]}):
        r = ask(**fields)
        check(r.status == 400 and r.error(), fields, r.body)
    for body in (b"", b"[]", b"nonsense", b'"text"'):
        r = s.call("POST", "/v1/tts", body=body, headers={"Content-Type": "application/json"})
        check(r.status == 400 and r.error(), body, r.body)
    loud = ask(format="pcm", prosody={"volume": -6.0206})
    check(loud.body == s.speech(input=TEXT, response_format="pcm", volume_multiplier=10 ** (-6.0206 / 20)).body,
          "decibels", loud.status)


def form(s):
    """Fish Audio's fields as a form: texts, words of JSON, recordings as files."""
    def ask(*parts):
        body = b"".join(b'--b\r\nContent-Disposition: form-data; name="' + name + b'"' + (b'; filename="a.wav"' if name == b"reference_audio" else b"")
                        + b"\r\n\r\n" + value + b"\r\n" for name, value in parts) + b"--b--\r\n"
        return s.call("POST", "/v1/tts", body=body, headers={"Content-Type": "multipart/form-data; boundary=b"})
    text, wav, whole = (b"text", TEXT.encode()), (b"format", b"wav"), (b"streaming", b"False")
    r = ask(text, wav, whole, (b"seed", b"7"), (b"temperature", b"0.5"), (b"prosody", b'{"speed": 1.5}'), (b"reference_id", b"nova"))
    same = s.speech(**WAV, input=TEXT, seed=7, temperature=0.5, speed=1.5, voice="nova")
    check(r.status == 200 and r.body == same.body, "a form", (r.status, r.body[:200]))
    check(ask((b"text", b"12"), wav, whole).body == s.speech(**WAV, input="12").body, "a text of figures is a text", "")
    said = "Good morning. It is a fine day to be outside and to talk."
    clip = s.speech(input=said, voice="nova", **WAV).body
    r = ask(text, wav, whole, (b"reference_audio", clip), (b"reference_text", said.encode()))
    same = s.speech(**WAV, input=TEXT, voice=None, references=[{"audio": base64.b64encode(clip).decode(), "text": said}])
    check(r.status == 200 and r.body == same.body, "a recording as a file", (r.status, r.body[:200]))
    for parts in [], [(b"text", b"\xff")], [text, (b"seed", b"x")], [text, (b"reference_text", b"alone")], [text, (b"reference_audio", b"no sound")], [text, (b"reference_audio", clip), (b"reference_text", b"\xff")]:
        r = ask(*parts)
        check(r.status == 400 and r.error()["message"], [n for n, *_ in parts if n], r.body[:200])


def pack(v):
    """MessagePack, in the narrowest form for what is short, as clients send it."""
    if v is None or isinstance(v, bool):
        return {None: b"\xc0", False: b"\xc2", True: b"\xc3"}[v]
    if isinstance(v, int):
        return struct.pack(">b", v) if -32 <= v < 128 else b"\xd3" + struct.pack(">q", v)
    if isinstance(v, float):
        return b"\xcb" + struct.pack(">d", v)
    if isinstance(v, bytes):
        return b"\xc6" + struct.pack(">I", len(v)) + v
    if isinstance(v, str):
        s = v.encode()
        return (bytes([0xa0 | len(s)]) if len(s) < 32 else b"\xda" + struct.pack(">H", len(s))) + s
    if isinstance(v, list):
        return bytes([0x90 | len(v)]) + b"".join(map(pack, v))
    return b"\xde" + struct.pack(">H", len(v)) + b"".join(pack(k) + pack(x) for k, x in v.items())


def unpack(b):
    """What the server answers: it writes the widest forms."""
    kind, size = b[0], int.from_bytes(b[1:5], "big")
    if kind in (0xc2, 0xc3):
        return kind == 0xc3, b[1:]
    if kind == 0xdb:
        return b[5:5 + size].decode(), b[5 + size:]
    items, b = [], b[5:]
    for _ in range(size * (2 if kind == 0xdf else 1)):
        item, b = unpack(b)
        items.append(item)
    return (dict(zip(items[::2], items[1::2])) if kind == 0xdf else items), b


def messagepack(s):
    kind = {"Content-Type": "application/msgpack"}
    ask = lambda data: s.call("POST", "/v1/tts", body=data if isinstance(data, bytes) else pack(data), headers=kind)
    clip = s.speech(input="Good morning. It is a fine day to be outside and to talk.", voice="nova", **WAV).body
    said = "Good morning. It is a fine day to be outside and to talk."
    fields = {"text": TEXT, "format": "wav", "streaming": False, "seed": 7, "temperature": 0.5, "references": [],
              "reference_id": None, "normalize": True, "chunk_length": 200}
    check(ask(fields).body == s.speech(**WAV, input=TEXT, seed=7, temperature=0.5).body, "the same sound", "")
    r = ask({**fields, "references": [{"audio": clip, "text": said}]})
    same = s.speech(**WAV, input=TEXT, voice=None, seed=7, temperature=0.5, references=[{"audio": base64.b64encode(clip).decode(), "text": said}])
    check(r.status == 200 and r.body == same.body, "a recording in bytes", (r.status, r.body[:200]))
    for bad, why in [(b"", "empty"), (b"\xc1", "0xc1"), (b"\x81\xa4text", "too early"), (b"\x81\xa4text\xa5a", "string"),
                     (b"\xdd\xff\xff\xff\xff", "fewer bytes"), (b"\xdf\x7f\xff\xff\xff", "fewer bytes"), (b"\x91" * 50, "deep"),
                     (b"\x81\xa4text\xa1ab", "behind"), (b"\x81\xa4text\xa1\xff", "UTF-8"), (b"\x81\x01\xa1a", "name"),
                     (b"\x81\xa4seed\xca\x7f\xc0\x00\x00", "finite"), (b"\x81\xa1a\xd4\x01\x00", "extension"), (b"\x93\x01\x02\x03", "object"),
                     (b"\xd9", "number"), (pack({"text": 5}), "string")]:
        r = ask(bad)
        check(r.status == 400 and why in r.error()["message"], (bad[:20], why), r.body)
    r = s.call("POST", "/v1/audio/speech", body=pack(fields), headers=kind)
    check(r.status == 415, "OpenAI's address is not packed", r.status)
    return clip, said


def references(s, clip, said):
    def add(data, kind, query=""):
        r = s.call("POST", "/v1/references/add" + query, body=data, headers={"Content-Type": kind})
        return r.status, json.loads(r.body) if query else unpack(r.body)[0]
    form = b"".join(b"--b\r\nContent-Disposition: form-data; name=\"%s\"%s\r\n\r\n%s\r\n" % part for part in [
        (b"id", b"", b"me"), (b"text", b"", said.encode()), (b"audio", b'; filename="a.wav"', clip)]) + b"--b--\r\n"
    status, answer = add(form, "multipart/form-data; boundary=b")
    check(status == 200 and answer["success"] and answer["reference_id"] == "me", "a form, answered in MessagePack", answer)
    status, answer = add(pack({"id": "you", "text": said, "audio": clip}), "application/msgpack", "?format=json")
    check(status == 200 and answer["success"], "MessagePack, answered in JSON", answer)
    listed = unpack(s.call("GET", "/v1/references/list").body)[0]
    check(listed["success"] and {"me", "you", "amy"} <= set(listed["reference_ids"]), "both are listed", listed)
    r = s.call("POST", "/v1/tts", json={"text": TEXT, "reference_id": "me", "streaming": False})
    check(r.status == 200 and r.body == s.speech(**WAV, input=TEXT, voice="me").body, "and spoken with", r.status)
    for data, kind, status, why in [(form, "multipart/form-data; boundary=b", 400, "me"), (b"{}", "application/json", 400, "'id'"),
                                    (b'{"id":"x"}', "application/json", 400, "'audio'"), (pack({"id": "x", "audio": b"nothing"}), "application/msgpack", 400, ""),
                                    (b'{"id":"no name?","audio":"AAAA"}', "application/json", 400, "")]:
        got, answer = add(data, kind)
        check(got == status and answer["success"] is False and why in answer["message"], (data[:40], why), (got, answer))

    def remove(id, **more):
        r = s.call("DELETE", "/v1/references/delete", json={"reference_id": id}, headers={"Accept": "application/json"}, **more)
        return r.status, r.json()["success"]
    check(remove("me") == (200, True) and remove("me") == (404, False), "deleted, and then not found", "")
    r = s.call("DELETE", "/v1/references/delete?reference_id=you")
    check(r.status == 200 and "you" not in unpack(s.call("GET", "/v1/references/list").body)[0]["reference_ids"], "by the query", r.status)
    check(s.call("GET", "/v1/health").json()["status"] == s.call("POST", "/v1/health").json()["status"] == "ok", "it is well", "")


def keys(s):
    call = lambda head: s.call("POST", "/v1/text-to-speech/nova", json={"text": TEXT}, headers=head).status
    check(call({}) == 401 and call({"xi-api-key": "wrong"}) == 401 and call({"xi-api-key": "open-sesame"}) == 200, "its key")


with live.Server() as server:
    elevenlabs(server)
    fish(server)
    form(server)
    references(server, *messagepack(server))
with live.Server("--api-keys", "x:open-sesame", env={}) as server:
    keys(server)
sys.exit(live.report())
