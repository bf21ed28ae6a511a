"""Users' voices: uploads in every shape, lists and pages, consents; hostile names and forms; a server
killed in the middle of uploads, a locked store."""
import base64
import os
import re
import sqlite3
import tempfile
import threading
import time

import live
from live import check

directory = tempfile.TemporaryDirectory()
store = os.path.join(directory.name, "voices")
flags = ("--threads", "1", "--voice-dir", store)
BOUNDARY = "----form7MA4YWxk"


def form(fields, boundary=BOUNDARY):
    body = b""
    for name, value in fields:
        file = isinstance(value, bytes)
        body += (f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"' +
                 ('; filename="me; name=x.mp3"\r\nContent-Type: audio/mpeg' if file else "") +
                 "\r\n\r\n").encode() + (value if file else value.encode()) + b"\r\n"
    return body + f"--{boundary}--\r\n".encode()


def upload(s, path, fields, boundary=BOUNDARY):
    return s.call("POST", path, body=form(fields, boundary), headers={
        "Content-Type": f"multipart/form-data; boundary={boundary}"})


def refused(r, status, word, what):
    e = r.error()
    check(r.status == status and word in e.get("message", ""), what, (r.status, r.body[:300]))


def several(s, sound):
    """Several recordings of a voice: in a form, as JSON, and in the request itself; one sound of all three."""
    texts, coded = ("Hello there.", "How are you?"), base64.b64encode(sound).decode()
    clips = [{"audio": coded, "text": text} for text in texts]
    r = upload(s, "/v1/audio/voices", [("name", "two")] + [("audio_sample", sound)] * 2 +
               [("ref_text", text) for text in texts])
    check(r.status == 200 and r.json()["recordings"] == 2 and r.json()["transcript"] == texts[0], "two in a form", r.body)
    r = s.call("POST", "/v1/audio/voices", json={"name": "list", "references": clips})
    check(r.status == 200 and r.json()["recordings"] == 2, "two in a list", r.body)
    said = [s.speech(response_format="wav", seed=3, **how) for how in (
        {"voice": "two"}, {"voice": "list"}, {"voice": None, "references": clips},
        {"voice": None, "references": clips[:1]}, {"voice": None, "ref_audio": coded, "ref_text": texts[0]})]
    check(all(r.status == 200 for r in said), "speak with them", [r.body[:200] for r in said])
    check(said[0].body == said[1].body == said[2].body, "the same sound", "another")
    check(said[3].body == said[4].body != said[0].body, "of one", "the sound of two")
    refused(upload(s, "/v1/audio/voices", [("name", "x"), ("file", sound), ("text", "a"), ("text", "b")]), 400,
            "more transcripts", "too many transcripts")
    refused(upload(s, "/v1/audio/voices", [("name", "x")] + [("file", sound)] * 9), 400, "more than 8", "nine")
    refused(upload(s, "/v1/audio/voice_consents", [("name", "x"), ("language", "en")] + [("file", sound)] * 2),
            400, "the limit is 1", "a consent of two")
    for clips, word in (([{"audio": "UklGRg=="}] * 9, "more than 8"), ([{"text": "x"}], "entry 0"),
                        ([{"audio": "%%"}], "base64"), ([{"audio": "UklGRg=="}], "not a sound"), (7, "must be a list")):
        refused(s.speech(voice=None, references=clips), 400, word, word)
    refused(s.speech(voice="amy", references=[{"audio": coded}]), 400, "both choose", "voice and references")


def made_again(s, sound):
    """A recording that says far more than its text: nothing has its voice's pace, so all is made three times."""
    voice = {"voice": None, "references": [{"audio": base64.b64encode(sound).decode(), "text": "a"}], "input": "Hello there."}
    count = lambda r: r.headers.get("x-jabbertts-repaired")
    for how, want in (({"stream": False, "repair": 2}, "2"), ({"stream": False}, None), ({"stream": False, "repair": 0}, None)):
        r = s.speech(response_format="wav", **voice, **how)
        check(r.status == 200 and count(r) == want, f"made again with {how}", (r.status, count(r), r.body[:200]))
    r = s.speech(stream_format="sse", repair=2, **voice)
    check(b'"repaired":2}' in r.body, "the last event says so", r.body[-200:])
    refused(s.speech(repair=3), 400, "0 to 2", "repair 3")
    text = s.call("GET", "/metrics").body.decode()
    check(re.search(r"^jabbertts_repaired_total 4$", text, re.M), "counted", re.findall(r"jabbertts_repaired.*", text))


def add_and_speak(s, sound):
    r = upload(s, "/v1/audio/voice_consents",
               [("name", "J\u00f6rg agrees"), ("language", "de-AT"), ("recording", sound)])
    consent = r.json()
    check(r.status == 200 and consent["object"] == "audio.voice_consent" and
          consent["id"].startswith("cons_") and consent["language"] == "de-AT", "consent", r.body)
    r = upload(s, "/v1/audio/voices", [("name", "official"), ("audio_sample", sound),
                                       ("consent", consent["id"])])
    v = r.json()
    check(r.status == 200 and v["object"] == "audio.voice" and v["id"].startswith("voice_") and
          v["name"] == "official" and abs(v["created_at"] - time.time()) < 600, "voice", r.body)
    r = upload(s, "/v1/voices", [("name", "community"), ("file", sound), ("ref_text", "Hello.")])
    check(r.status == 200 and r.json()["transcript"] == "Hello.", "file and ref_text", r.body)
    for name, audio in ("plain", base64.b64encode(sound).decode()), \
            ("url", "data:audio/mpeg;base64," + base64.b64encode(sound).decode()):
        r = s.call("POST", "/v1/audio/voices", json={"name": name, "audio": audio})
        check(r.status == 200, "JSON with base64", r.body)
    several(s, sound)
    made_again(s, sound)
    sounds = []
    for voice in v["id"], "official", {"id": v["id"]}:
        r = s.speech(voice=voice, response_format="wav", seed=3)
        check(r.status == 200, "speak with it", (voice, r.body[:200]))
        sounds.append(r.body)
    check(len(sounds[0]) > 1000 and len(set(sounds)) == 1, "id and name are one voice", sounds[0][:60])
    return v["id"], consent["id"]


def lists(s, voice, consent):
    r = s.call("GET", "/v1/audio/voices").json()
    ids = [v["id"] for v in r["voices"]]
    check(r["voices"] == r["data"] and voice in ids and "alloy" in ids and not r["has_more"], "list", ids)
    about = {v["id"]: (v.get("language"), v.get("description")) for v in r["voices"]}
    check(about["amy"] == ("en-US", "a woman, clear, middle pitch"), "a built-in voice is described", about["amy"])
    check(about["alloy"] == ("en-US", "another name of amy"), "and its other name", about["alloy"])
    de = {v["id"]: v for v in s.call("GET", "/v1/voices?model=espeak-ng").json()["voices"]}["de"]
    check((de["language"], de["description"]) == ("de", "German"), "espeak-ng's are languages", de)
    seen, after = [], None
    while True:
        page = s.call("GET", "/v1/voices?limit=7" + (f"&after={after}" if after else "")).json()
        seen += [v["id"] for v in page["data"]]
        after = page["last_id"]
        check(len(page["data"]) <= 7 and page["first_id"] == page["data"][0]["id"], "a page", page)
        if not page["has_more"]:
            break
    check(seen == ids, "all pages make the list", (seen, ids))
    for query in "limit=0", "limit=101", "limit=x", "after=nobody":
        check(s.call("GET", "/v1/voices?" + query).status == 400, query)
    check(s.call("GET", f"/v1/audio/voices/{voice}").json()["name"] == "official", "get")
    check(s.call("GET", "/v1/audio/voices/alloy").json()["id"] == "alloy", "get one of the model")
    r = s.call("GET", "/v1/audio/voice_consents?limit=1").json()
    check(r["object"] == "list" and r["first_id"] == r["last_id"] == consent, "consents", r)
    path = f"/v1/audio/voice_consents/{consent}"
    check(s.call("POST", path, json={"name": "Renamed"}).json()["name"] == "Renamed", "rename")
    check(s.call("GET", path).json()["name"] == "Renamed", "renamed")
    refused(s.call("DELETE", path), 400, "delete that first", "a consent in use")


def refusals(s, sound):
    for path in "..%2f..%2fetc%2fpasswd", "../../etc/passwd", "voice_0", "a" * 900, "'; DROP TABLE voice":
        for method in "GET", "DELETE":
            r = s.call(method, "/v1/audio/voices/" + path.replace(" ", "%20"))
            check(r.status in (400, 404), "a path trick", (path, r.status, r.body[:100]))
    refused(s.call("DELETE", "/v1/voices/alloy"), 400, "belongs to the model", "the model's voice")
    refused(upload(s, "/v1/voices", [("name", "../x"), ("file", sound)]), 400, "letters", "a name")
    refused(upload(s, "/v1/voices", [("name", "alloy"), ("file", sound)]), 400, "the model has", "taken")
    refused(upload(s, "/v1/voices", [("name", "official"), ("file", sound)]), 400, "already", "taken")
    refused(upload(s, "/v1/voices", [("file", sound)]), 400, "'name' is missing", "no name")
    refused(upload(s, "/v1/voices", [("name", "x")]), 400, "'audio_sample' is missing", "no sound")
    refused(upload(s, "/v1/voices", [("name", "x"), ("file", b"no sound at all")]), 400, "sound", "noise")
    refused(upload(s, "/v1/voices", [("name", "x"), ("file", sound), ("consent", "cons_none")]), 404,
            "no consent", "unknown consent")
    refused(upload(s, "/v1/audio/voice_consents", [("name", "x"), ("recording", sound)]), 400,
            "'language' is missing", "consent without language")
    refused(s.call("POST", "/v1/voices", json={"name": 5}), 400, "must be a string", "a number")
    refused(s.call("POST", "/v1/voices", json={"name": "x", "audio": "%%%"}), 400, "base64", "base64")
    refused(s.call("POST", "/v1/voices", body=b"x", headers={"Content-Type": "text/plain"}), 415,
            "multipart", "another type")
    whole = form([("name", "x"), ("file", sound)])
    for body, kind in (whole[:-9], BOUNDARY), (whole, "other"), (b"", BOUNDARY), (whole, "a" * 71), \
            (b"--%s--" % BOUNDARY.encode(), BOUNDARY), (form([("n", "v")] * 40), BOUNDARY):
        r = s.call("POST", "/v1/voices", body=body, headers={
            "Content-Type": "multipart/form-data; boundary=" + kind})
        refused(r, 400, "the form cannot be read", "a damaged form")
    big = upload(s, "/v1/voices", [("name", "x"), ("file", sound + bytes(10 << 20))])
    refused(big, 400, "the limit is 10485760", "over 10 MiB")
    with s.socket() as c: # refused by its head: the rest of the body is not waited for
        c.sendall(b"POST /v1/voices HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (15 << 20))
        head = c.recv(4096)
        check(b" 413 " in head.split(b"\r\n")[0], "far over the limit", head)


def locked(s, sound):
    db = sqlite3.connect(os.path.join(store, "voices.sqlite"), isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    r = upload(s, "/v1/voices", [("name", "waits"), ("file", sound)])
    refused(r, 429, "locked", "a locked store")
    check(int(r.headers["retry-after"]) >= 1, "and when to try again", r.headers.items())
    check(s.speech().status == 200, "speaks meanwhile")
    db.close()


def killed(sound):
    """Uploads run while the server is killed: what was answered is there, nothing is half there."""
    told = []

    def add(s, i):
        try:
            r = upload(s, "/v1/voices", [("name", f"k{i}"), ("file", sound)])
            if r.status == 200:
                told.append(r.json()["id"])
        except OSError:
            pass
    s = live.Server(*flags)
    s.__enter__()
    threads = [threading.Thread(target=add, args=(s, i)) for i in range(12)]
    for t in threads:
        t.start()
    live.wait_until(lambda: len(told) >= 3)
    s.process.kill()
    for t in threads:
        t.join()
    s.process.wait()
    with live.Server(*flags) as s:
        ids = [v["id"] for v in s.call("GET", "/v1/voices").json()["data"]]
        check(len(told) >= 3 and set(told) <= set(ids), "what was answered is kept", (told, ids))
        check(s.speech(voice=told[0]).status == 200, "and speaks")
    db = sqlite3.connect(os.path.join(store, "voices.sqlite"))
    check(db.execute("PRAGMA integrity_check").fetchone() == ("ok",), "the store is whole")
    half = db.execute("SELECT count(*) FROM voice WHERE id NOT IN (SELECT voice FROM codes)").fetchone()
    check(half == (0,), "no voice is half there", half)
    check({f.split("-")[0] for f in os.listdir(store)} == {"voices.sqlite", "jobs.sqlite", "jobs.sqlite.lock"},
          "no other files", os.listdir(store))


def main():
    with live.Server(*flags) as s:
        sound = s.speech(input="This is somebody who speaks for a while. So that one hears the voice. "
                               "It is enough now.", speed=0.9).body
        voice, consent = add_and_speak(s, sound)
        lists(s, voice, consent)
        refusals(s, sound)
        locked(s, sound)
        r = s.call("DELETE", "/v1/audio/voices/official")
        check(r.status == 200 and r.json() == {"id": "official", "object": "audio.voice", "deleted": True},
              "delete by name", r.body)
        refused(s.call("GET", f"/v1/audio/voices/{voice}"), 404, "no voice", "it is gone")
        r = s.call("DELETE", f"/v1/audio/voice_consents/{consent}")
        check(r.json().get("deleted") is True, "then the consent can go", r.body)
        refused(s.speech(voice=voice), 400, "no voice", "and cannot be spoken with")
    killed(sound)
    return live.report()


raise SystemExit(main())
