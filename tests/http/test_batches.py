"""Files and batches: shapes, validation, states, sounds, archives, cancelling, expiry, limits, owners,
and a batch whose server is killed again and again."""
import base64
import email
import io
import json
import os
import signal
import sys
import tarfile
import tempfile
import time
import zipfile

import live
from live import check

URL = "/v1/audio/speech"
KILLS = int(os.environ.get("BATCH_KILLS", "4"))  # `make test-kills` does 50
KILL_LINES = int(os.environ.get("BATCH_KILL_LINES", "24"))


def line(i, text=None, **body):
    return {"custom_id": f"line-{i}", "method": "POST", "url": URL,
            "body": {"model": "tts-1", "voice": "alloy", "input": f"This is number {i}." if text is None else text,
                     "response_format": "wav", "seed": i, **body}}


def lines(many):
    return "".join(json.dumps(x) + "\n" for x in many).encode()


def upload(s, content, purpose="batch", name="input.jsonl", more="", headers=None):
    body = b"".join([b'--XX\r\nContent-Disposition: form-data; name="purpose"\r\n\r\n', purpose.encode(), b"\r\n", more.encode(),
                     f'--XX\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode(), content, b"\r\n--XX--\r\n"])
    return s.call("POST", "/v1/files", body=body,
                  headers={"Content-Type": "multipart/form-data; boundary=XX", **(headers or {})})


def start(s, content, window="24h", headers=None, **more):
    f = upload(s, content, headers=headers)
    check(f.status == 200, "an upload", f.body)
    r = s.call("POST", "/v1/batches", json={"input_file_id": f.json()["id"], "endpoint": URL, "completion_window": window, **more}, headers=headers)
    check(r.status == 200, "a batch", r.body)
    return r.json()


def batch(s, b):
    r = s.call("GET", "/v1/batches/" + b["id"])
    check(r.status == 200, "a batch", r.body)
    return r.json()


def wait(s, b, *states):
    got = {}

    def there():
        nonlocal got
        got = batch(s, b)
        return got["status"] in states
    live.wait_until(there, live.TIMEOUT)
    check(got["status"] in states, states, got)
    return got


def content(s, file_id):
    r = s.call("GET", f"/v1/files/{file_id}/content")
    check(r.status == 200 and not r.broken, "content", r.body[:200])
    return r.body


def answers(s, file_id):
    return [json.loads(x) for x in content(s, file_id).splitlines()]


def whole():
    """A batch from its upload to its sounds; lines that fail have answers of their own."""
    with live.Server("--threads", "1") as s:
        f = upload(s, b"\xef\xbb\xbf" + lines([line(1), line(2, voice="nobody"), line(3, "", response_format="mp3"), line(4, response_format="mp3"),
                                               line(5, "... ---"), line(6, stream_format="sse")]) + b"\n \n")
        o = f.json()
        check(o["object"] == "file" and o["purpose"] == "batch" and o["filename"] == "input.jsonl" and o["status"] == "processed", "a file", o)
        check(o["expires_at"] - o["created_at"] == 30 * 86400, "it expires", o)
        check(s.call("GET", "/v1/files/" + o["id"]).json() == o, "the file by its id", o)
        b = start(s, content(s, o["id"]), metadata={"who": "me"})
        check(b["object"] == "batch" and b["endpoint"] == URL and b["metadata"] == {"who": "me"}, "a batch", b)
        done = wait(s, b, "completed", "failed")
        check(done["request_counts"] == {"total": 6, "completed": 3, "failed": 3}, "counts", done)
        check(done["completed_at"] >= done["in_progress_at"] >= done["created_at"], "times", done)
        good, bad = answers(s, done["output_file_id"]), answers(s, done["error_file_id"])
        check([x["custom_id"] for x in good] == ["line-1", "line-4", "line-5"], "answers, in order", good)
        check([(x["custom_id"], x["response"]["status_code"], x["response"]["body"]["error"]["param"]) for x in bad] ==
              [("line-2", 400, "voice"), ("line-3", 400, "input"), ("line-6", 400, "stream_format")], "errors", bad)
        listed = s.call("GET", "/v1/files/" + done["output_file_id"]).json()
        check(listed["bytes"] == len(content(s, done["output_file_id"])) and listed["purpose"] == "batch_output", "its size", listed)
        for x, fmt in zip(good, ["wav", "mp3", "wav"]):
            body = x["response"]["body"]
            sound = content(s, body["id"])
            check(body["format"] == fmt and body["bytes"] == len(sound) and body["seconds"] > 0.1, "a sound", body)
        same = s.call("POST", URL, json={**line(1)["body"], "stream": False})
        check(same.body == content(s, good[0]["response"]["body"]["id"]), "the sound of a request", len(same.body))
        r = s.call("GET", "/v1/files/%s/content" % good[1]["response"]["body"]["id"])
        check(r.headers["Content-Type"] == "audio/mpeg", "its type", r.headers.items())
        archives(s, done, good)
        pages(s)
        metrics = s.call("GET", "/metrics").body.decode()
        check('jabbertts_batch_lines_total{state="completed"} 3' in metrics, "lines are counted", "")


def archives(s, b, good):
    z = zipfile.ZipFile(io.BytesIO(s.call("GET", f"/v1/batches/{b['id']}/sounds.zip").body))
    t = tarfile.open(fileobj=io.BytesIO(s.call("GET", f"/v1/batches/{b['id']}/sounds.tar").body))
    check(z.testzip() is None and sorted(z.namelist()) == sorted(t.getnames()), "names", z.namelist())
    check(len(z.namelist()) == len(good) + 2, "the sounds and both lists", z.namelist())
    name = good[0]["response"]["body"]["filename"]
    sound = content(s, good[0]["response"]["body"]["id"])
    check(name == "000001-line-1.wav" and z.read(name) == sound == t.extractfile(name).read(), "a sound", name)
    check(s.call("GET", f"/v1/batches/{b['id']}/sounds.rar").status == 404, "another archive", "")


def pages(s):
    all_files = s.call("GET", "/v1/files").json()["data"]
    check({x["purpose"] for x in all_files} == {"batch", "batch_output"}, "sounds are not listed", all_files)
    first = s.call("GET", "/v1/files?limit=1&order=asc").json()
    check(first["has_more"] and first["data"] == all_files[-1:], "a page", first)
    second = s.call("GET", "/v1/files?limit=10&order=asc&after=" + first["last_id"]).json()
    check(not second["has_more"] and second["data"] == all_files[-2::-1], "the next page", second)
    check(len(s.call("GET", "/v1/files?purpose=batch_sound").json()["data"]) == 3, "sounds", "")
    for query in "limit=0", "limit=x", "order=up":
        check(s.call("GET", "/v1/files?" + query).status == 400, query, "")
    listed = s.call("GET", "/v1/batches?limit=5").json()
    check(listed["object"] == "list" and len(listed["data"]) == 1 and not listed["has_more"], "batches", listed)
    r = s.call("DELETE", "/v1/files/" + all_files[0]["id"])
    check(r.json() == {"id": all_files[0]["id"], "object": "file", "deleted": True}, "deleted", r.body)
    for call in [("GET", "/v1/files/" + all_files[0]["id"]), ("GET", "/v1/files/file-0/content"), ("DELETE", "/v1/files/file-0"),
                 ("GET", "/v1/batches/batch_0"), ("POST", "/v1/batches/batch_0/cancel"), ("POST", "/v1/batches/batch_0")]:
        r = s.call(*call)
        check(r.status == 404 and r.error()["code"] in ("not_found", "unknown_url"), call, r.body)


def refused():
    """Uploads, batches and lines that are wrong: which field, which line."""
    with live.Server("--threads", "1", "--batch-lines", "3", "--batch-open", "1", "--batch-mb", "1", "--max-body-kib", "8") as s:
        r = upload(s, b"{}", purpose="fine-tune")
        check(r.status == 400 and r.error()["param"] == "purpose", "another purpose", r.body)
        r = s.call("POST", "/v1/files", body=b"{}", headers={"Content-Type": "application/json"})
        check(r.status == 415, "no form", r.body)
        r = upload(s, b"x" * (2 << 20))
        check(r.status == 413 and "1024 KiB" not in r.error()["message"], "too large", r.body)
        part = '--XX\r\nContent-Disposition: form-data; name="expires_after[%s]"\r\n\r\n%s\r\n'
        r = upload(s, b"{}", more=part % ("anchor", "created_at") + part % ("seconds", "60"))
        check(r.status == 400 and r.error()["param"] == "expires_after", "it expires too soon", r.body)
        r = upload(s, b"{}", more=part % ("anchor", "created_at") + part % ("seconds", "3600"), name='../"x')
        check(r.json()["expires_at"] - r.json()["created_at"] == 3600 and "/" not in r.json()["filename"], "an hour", r.body)
        f = upload(s, lines([line(1)])).json()["id"]
        good = {"input_file_id": f, "endpoint": URL, "completion_window": "24h"}
        for change, param in [({"input_file_id": "file-0"}, "input_file_id"), ({"endpoint": "/v1/embeddings"}, "endpoint"),
                              ({"completion_window": "soon"}, "completion_window"), ({"completion_window": "99d"}, "completion_window"),
                              ({"metadata": {"a": 1}}, "metadata"), ({"metadata": [1]}, "metadata"),
                              ({"output_expires_after": {"anchor": "created_at", "seconds": 1}}, "output_expires_after")]:
            r = s.call("POST", "/v1/batches", json={**good, **change})
            check(r.status in (400, 404) and r.error()["param"] == param, change, r.body)
        check(s.call("POST", "/v1/batches", json=[1]).status == 400, "no object", "")
        bad_lines(s)
        long = start(s, lines([line(i, "A long sentence that goes on and on. " * 100) for i in range(3)]))
        r = s.call("POST", "/v1/batches", json=good)
        check(r.status == 429 and "batch_open" in r.error()["message"] and r.headers["retry-after"], "one batch at a time", r.body)
        r = s.call("POST", f"/v1/batches/{long['id']}/cancel")
        check(r.json()["status"] in ("cancelling", "cancelled") and r.json()["cancelling_at"], "cancelling", r.body)


def bad_lines(s):
    def failed(data, want):
        got = wait(s, start(s, data), "failed", "completed", "in_progress")
        errors = (got["errors"] or {}).get("data", [])
        check(got["status"] == "failed" and [(e["line"], e["code"]) for e in errors] == want, want, got)
        check(got["output_file_id"] is None and got["request_counts"]["total"] == 0, "nothing is spoken", got)
    wrong = [{**line(1), "custom_id": ""}, {**line(2), "method": "GET"}, {**line(3), "url": "/v1/x"}, {**line(4), "body": "x"}]
    failed(lines(wrong) + b"{not json\n\n[1]\n",
           [(1, "invalid_custom_id"), (2, "invalid_method"), (3, "mismatched_endpoint"), (4, "invalid_body"), (5, "invalid_json_line"),
            (7, "invalid_json_line")])
    failed(lines([line(1), line(2), line(1)]), [(3, "duplicate_custom_id")])
    failed(lines([line(i) for i in range(5)]), [(4, "too_many_lines"), (5, "too_many_lines")])
    failed(b"\n", [(None, "empty_file")])
    failed(lines([line(1), line(2, "x" * 20000)]), [(2, "line_too_long")])
    failed(lines([{**line(1), "custom_id": "a\udcff"}]).replace(b"\\udcff", b"\xff"), [(1, "invalid_json_line")])


def ends_early():
    """Cancelled and expired batches have their files, and every line an answer."""
    with live.Server("--threads", "1", "--batch-rows", "2") as s:
        text = "A sentence that takes a little while, and then another one comes. " * 6
        for window, end, code in ("24h", "cancelled", "batch_cancelled"), ("3s", "expired", "batch_expired"):
            b = start(s, lines([line(i, text) for i in range(60)]), window=window)
            check(live.wait_until(lambda: batch(s, b)["request_counts"]["completed"] >= 1, live.TIMEOUT), "a line is done", b)
            if end == "cancelled":
                s.call("POST", f"/v1/batches/{b['id']}/cancel")
            got = wait(s, b, end, "completed")
            n = got["request_counts"]
            check(n["total"] == 60 and n["completed"] + n["failed"] == 60 and n["failed"] > 0, "all lines", got)
            bad = answers(s, got["error_file_id"])
            check(len(answers(s, got["output_file_id"])) == n["completed"] and len(bad) == n["failed"], "both files", n)
            check(all(x["response"] is None and x["error"]["code"] == code for x in bad), code, bad[0])
            r = s.call("POST", f"/v1/batches/{b['id']}/cancel")
            check(r.status == 400 and "ended" in r.error()["message"], "it has ended", r.body)


def owners():
    """Each key has its own files and batches, and an administrator all."""
    keys = {"JABBERTTS_API_KEYS": "a:sk-aaaaaa, b:sk-bbbbbb"}
    with live.Server("--threads", "1", env=keys) as s:
        a, b = ({"Authorization": "Bearer sk-" + k * 6} for k in "ab")
        mine = start(s, lines([line(1)]), headers=a)
        for who, status in (a, 200), (b, 404), ({}, 401):
            for path in "/v1/batches/" + mine["id"], "/v1/files/" + mine["input_file_id"], f"/v1/files/{mine['input_file_id']}/content", \
                    f"/v1/batches/{mine['id']}/sounds.zip":
                check(s.call("GET", path, headers=who).status == status, (path, status), "")
        check(s.call("GET", "/v1/files", headers=b).json()["data"] == [], "nothing of the other", "")
        r = s.call("POST", "/v1/batches", headers=b, json={"input_file_id": mine["input_file_id"], "endpoint": URL, "completion_window": "24h"})
        check(r.status == 404, "not the other's file", r.body)
        check(s.call("DELETE", "/v1/files/" + mine["input_file_id"], headers=b).status == 404, "nor may it be deleted", "")


def together():
    """Several inputs in one request, as JSON, multipart and ZIP."""
    with live.Server("--threads", "1", "--slots", "2", "--queue", "1") as s:
        ask = {"voice": "alloy", "seed": 4, "items": [{"input": f"Number {i}."} for i in range(6)] +
               [{"input": "Other.", "voice": "nova", "response_format": "mp3"}, {"input": ""}, {"input": "x", "voice": "nobody"}, 7]}
        r = s.call("POST", URL + "/batch", json=ask)
        o = r.json()
        check(r.status == 200 and (o["total"], o["succeeded"], o["failed"]) == (10, 7, 3), "counts", r.body[-200:])
        got = {x["index"]: x for x in o["results"]}
        check(sorted(got) == list(range(10)), "each once", sorted(got))
        check([got[i]["status"] for i in range(10)] == ["success"] * 7 + ["error"] * 3, "states", "")
        want = {i: s.call("POST", URL, json={"model": "tts-1", "response_format": "wav", "stream": False, **ask, **ask["items"][i]}).body for i in range(7)}
        check(all(base64.b64decode(got[i]["audio_data"]) == want[i] for i in range(7)), "the sounds of single requests", "")
        check(got[6]["media_type"] == "audio/mpeg" and got[0]["usage"]["total_tokens"] > 0, "type, usage", got[6]["media_type"])
        z = s.call("POST", URL + "/batch", json=ask, headers={"Accept": "application/zip"})
        z = zipfile.ZipFile(io.BytesIO(z.body))
        check(z.testzip() is None and z.read("003.wav") == want[3] and "009.json" in z.namelist() and len(z.namelist()) == 10, "ZIP", z.namelist())
        m = s.call("POST", URL + "/batch", json=ask, headers={"Accept": "multipart/mixed"})
        parts = email.message_from_bytes(b"Content-Type: " + m.headers["Content-Type"].encode() + b"\r\n\r\n" + m.body).get_payload()
        named = {p.get_filename(): p for p in parts}
        check(len(named) == 10 and named["6.mp3"].get_content_type() == "audio/mpeg", "multipart", sorted(named))
        check(b'filename="3.wav"\r\n\r\n' + want[3] + b"\r\n--" in m.body, "the bytes of a part", len(m.body))
        for body, code in ({}, "missing_required_parameter"), ({"items": 1}, "invalid_type"), ({"items": []}, "invalid_value"), \
                ({"items": [{"input": "x"}] * 33}, "invalid_value"), ([], "invalid_json"):
            r = s.call("POST", URL + "/batch", json=body)
            check(r.status == 400 and r.error()["code"] == code, code, r.body)


def beside():
    """Interactive requests take the slots of lines again and again: the sounds are the same, tokens are counted once."""
    todo = [line(i, f"This is number {i}. It has more than one sentence, and goes on for a little while. " * 3) for i in range(6)]
    with live.Server("--threads", "1", "--slots", "2") as s:
        b = start(s, lines(todo))
        n = 0
        while batch(s, b)["status"] in ("validating", "in_progress") and n < 300:
            texts = [s.connect() for _ in range(3)]
            for c in texts:
                c.request("POST", URL, body=json.dumps({**live.HELLO, "input": "Make room, please, at once."}), headers={"Content-Type": "application/json"})
            check(all(c.getresponse().status == 200 for c in texts), "requests beside it", n)
            n += 1
        done = wait(s, b, "completed")
        used = [x["response"]["body"] for x in answers(s, done["output_file_id"])]
        check(n > 3 and len(used) == 6, "both went on", (n, done))
        for x, body in zip(todo, used):
            alone = s.call("POST", URL, json={**x["body"], "stream": False})
            check(alone.body == content(s, body["id"]), "the same sound", x)
        again = wait(s, start(s, lines(todo)), "completed")
        check(again["usage"] == done["usage"], "the same usage", (again["usage"], done["usage"]))


def killed():
    """Kill -9 at random moments: each line is in the output once, and its sound is the same."""
    todo = lines([line(i, f"This is number {i}, and it is a somewhat longer sentence.") for i in range(KILL_LINES)])
    home = tempfile.TemporaryDirectory()
    flags = ("--threads", "1", "--voice-dir", home.name)
    with live.Server(*flags) as s:
        plain = wait(s, start(s, todo), "completed")
        want = {x["custom_id"]: content(s, x["response"]["body"]["id"]) for x in answers(s, plain["output_file_id"])}
        took = plain["completed_at"] - plain["created_at"] + 1
    check(len(want) == KILL_LINES, "the undisturbed run", len(want))
    b = None
    for i in range(KILLS):
        s = live.Server(*flags)
        s.__enter__()
        b = b or start(s, todo)
        time.sleep(0.05 + (took * 1.5 / KILLS) * ((i * 7919) % 101) / 101)
        s.process.send_signal(signal.SIGKILL)
        s.process.wait()
    with live.Server(*flags) as s:
        done = wait(s, b, "completed", "failed", "expired")
        got = answers(s, done["output_file_id"])
        check(done["request_counts"] == {"total": KILL_LINES, "completed": KILL_LINES, "failed": 0}, "all lines", done)
        check([x["custom_id"] for x in got] == [f"line-{i}" for i in range(KILL_LINES)], "each once", got)
        check(all(content(s, x["response"]["body"]["id"]) == want[x["custom_id"]] for x in got), "the same sounds", "")
        sounds = s.call("GET", "/v1/files?purpose=batch_sound").json()["data"]
        check(len(sounds) == 2 * KILL_LINES, "no sound is left over", len(sounds))


tests = {f.__name__: f for f in (whole, refused, ends_early, owners, together, beside, killed)}
for name in sys.argv[1:] or tests:
    tests[name]()
sys.exit(live.report())
