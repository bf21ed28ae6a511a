"""Word times over HTTP: events beside the sound, one JSON, and the shape of Kokoro-FastAPI's clients."""
import base64
import json
import sys

import live
from live import check

TEXT = "It costs $5.50 in the U.S. – “really”. Good."
WORDS = ["It", "costs", "$5.50", "in", "the", "U.S.", "really", "Good"]


def ordered(words, start="start", end="end"):
    times = [t for w in words for t in (w[start], w[end])]
    return times == sorted(times) and times[0] >= 0


def whole(s):
    r = s.call("POST", "/v1/audio/speech/timestamps", json={**live.HELLO, "input": TEXT, "response_format": "wav"})
    check(r.status == 200 and r.headers["content-type"] == "application/json", "one JSON", r.body[:200])
    j = r.json()
    plain = s.speech(input=TEXT, response_format="wav", stream=False)
    check(base64.b64decode(j["audio"]) [44:] == plain.body[44:], "its sound is that of /v1/audio/speech")
    check([w["word"] for w in j["words"]] == [w if w != "U.S." else j["words"][5]["word"] for w in WORDS],
          "words as they were written", j["words"])
    check(j["words"][5]["word"].startswith("U.S"), "an abbreviation is one word", j["words"][5])
    check(ordered(j["words"]) and j["words"][-1]["end"] <= j["duration"], "times rise", j["words"])
    for w in j["words"]:
        check(TEXT[w["char_start"]:w["char_end"]] == w["word"], "places are code points of the text", w)
    check(" ".join(x["text"] for x in j["sentences"]).startswith("It costs $5.50"), "sentences", j["sentences"])
    check(j["sentences"][0]["start"] == j["words"][0]["start"], "a sentence begins with its first word", j)
    slow = s.call("POST", "/v1/audio/speech/timestamps",
                  json={**live.HELLO, "input": TEXT, "speed": 0.5, "timestamp_granularities": ["word"]}).json()
    check("sentences" not in slow, "only what was asked for", list(slow))
    check(abs(slow["words"][-1]["start"] - 2 * j["words"][-1]["start"]) < 0.1, "at half the speed, twice as late",
          (slow["words"][-1], j["words"][-1]))


def events(s):
    body = {**live.HELLO, "input": TEXT, "stream_format": "sse", "timestamp_granularities": ["word", "sentence"]}
    r = s.call("POST", "/v1/audio/speech", json=body)
    seen = [json.loads(line[6:]) for line in r.body.decode().splitlines()
            if line.startswith("data: ") and line != "data: [DONE]"]
    words = [w for e in seen if e["type"] == "speech.audio.words" for w in e["words"]]
    sentences = [w for e in seen if e["type"] == "speech.audio.sentences" for w in e["sentences"]]
    check([w["word"] for w in words][:3] == WORDS[:3] and len(words) == len(WORDS), "each word once", words)
    check(ordered(words) and ordered(sentences), "in order", (words, sentences))
    check(sentences[-1]["end"] == words[-1]["end"], "the last sentence ends with the last word", sentences)
    check(seen[-1]["type"] == "speech.audio.done", "done is the last", seen[-1])
    without = s.call("POST", "/v1/audio/speech", json={**body, "timestamp_granularities": []})
    check(b"speech.audio.words" not in without.body, "no times unless asked for")
    for value, code in ((["syllable"], "invalid_value"), ("word", "invalid_type"), ([1], "invalid_value")):
        r = s.call("POST", "/v1/audio/speech", json={**body, "timestamp_granularities": value})
        check(r.status == 400 and r.error()["param"] == "timestamp_granularities", (value, code), r.body)
    r = s.call("POST", "/v1/audio/speech", json={**live.HELLO, "timestamp_granularities": ["word"]})
    check(r.status == 400 and "sse" in r.error()["message"], "sound alone has no place for times", r.body)


def kokoro(s):
    body = {**live.HELLO, "input": TEXT, "response_format": "pcm"}
    r = s.call("POST", "/dev/captioned_speech", json={**body, "stream": False})
    j = r.json()
    check(sorted(j) == ["audio", "audio_format", "timestamps"] and j["audio_format"] == "audio/pcm", "its shape", j.keys())
    check(len(j["timestamps"]) == len(WORDS) and ordered(j["timestamps"], "start_time", "end_time"), "its times",
          j["timestamps"])
    lines = [json.loads(x) for x in s.call("POST", "/dev/captioned_speech", json=body).body.splitlines()]
    check(len(lines) > 1 and b"".join(base64.b64decode(x["audio"]) for x in lines) == base64.b64decode(j["audio"]),
          "lines carry the same sound", len(lines))
    check([w for x in lines for w in x["timestamps"]] == j["timestamps"], "and the same times", lines[-1]["timestamps"])
    j = s.call("POST", "/dev/captioned_speech", json={**body, "stream": False, "return_timestamps": False}).json()
    check(j["timestamps"] is None, "none when they are not wanted", j["timestamps"])
    silent = s.call("POST", "/dev/captioned_speech", json={**body, "stream": False, "input": "---"}).json()
    check(silent["timestamps"] == [], "silence has no words", silent["timestamps"])


with live.Server() as server:
    for test in (whole, events, kokoro):
        test(server)
sys.exit(live.report())
