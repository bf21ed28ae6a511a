"""What clients of ElevenLabs and Fish Audio ask, and that it is the same speech."""
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
    r = s.call("POST", "/v1/tts", body=b"\x81\xa4text\xa1a", headers={"Content-Type": "application/msgpack"})
    check(r.status == 415, "MessagePack is refused by name", r.body)


def keys(s):
    call = lambda head: s.call("POST", "/v1/text-to-speech/nova", json={"text": TEXT}, headers=head).status
    check(call({}) == 401 and call({"xi-api-key": "wrong"}) == 401 and call({"xi-api-key": "open-sesame"}) == 200, "its key")


with live.Server() as server:
    elevenlabs(server)
    fish(server)
with live.Server("--api-keys", "x:open-sesame", env={}) as server:
    keys(server)
sys.exit(live.report())
