"""What hostile clients and web pages try: framing, web pages, keys and owners, bodies, clients that
vanish, idle or never read."""
import base64
import json
import re
import resource
import socket
import sys
import tempfile
import time

import live
from live import check

directory = tempfile.TemporaryDirectory()
KEYS = {"a": "sk-alice-123", "b": "sk-bob-4567", "root": "sk-root-890"}


def head(who):
    return {"Authorization": "Bearer " + KEYS[who]} if who else {}


def owners():
    """Strangers and neighbours: who sees, speaks with and deletes whose voices."""
    path = directory.name + "/keys"
    with open(path, "w") as f:
        f.write("a: sk-alice-123\nb: sk-bob-4567\nroot: sk-root-890 admin\n")
    with live.Server("--threads", "1", "--api-keys-file", path, "--voice-dir",
                     directory.name + "/voices") as s:
        def ask(who, method, url, **data):
            return s.call(method, url, json=data or None, headers=head(who))

        text = "This is somebody who speaks for a while. So that one hears the voice. Enough."
        sound = base64.b64encode(ask("a", "POST", "/v1/audio/speech", **{
            **live.HELLO, "input": text, "speed": 0.9}).body).decode()
        consents, voices = {}, {}
        for who in "a", "b":
            r = ask(who, "POST", "/v1/audio/voice_consents", name="c" + who, language="en", audio=sound)
            consents[who] = r.json()["id"]
            r = ask(who, "POST", "/v1/audio/voices", name="mine", audio=sound, ref_text="secret " + who,
                    description="secret too", consent=consents[who])
            check(r.status == 200 and r.json()["owner"] == who, "each has a voice `mine`", r.body)
            voices[who] = r.json()["id"]
        r = ask("b", "POST", "/v1/audio/voices", name="x", audio=sound, consent=consents["a"])
        check(r.status == 404, "a neighbour's consent", r.body)
        for who, seen in ("a", {"a"}), ("b", {"b"}), (None, set()), ("root", {"a", "b"}):
            r = ask(who, "GET", "/v1/audio/voices")
            ids = {v["id"] for v in r.json()["data"]}
            check({w for w in voices if voices[w] in ids} == seen, f"{who} lists", ids)
            check(who or b"secret" not in r.body, "a public list has no transcripts", r.body)
            for w in "a", "b":
                want = 401 if not who else 200 if w in seen else 404
                for url in f"/v1/audio/voices/{voices[w]}", f"/v1/audio/voice_consents/{consents[w]}":
                    got = ask(who, "GET", url).status
                    check(got == want, f"{who} reads {w}'s", (url, got))
                r = ask(who, "POST", "/v1/audio/speech", **{**live.HELLO, "voice": voices[w]})
                check(r.status == (400 if want == 404 else want), f"{who} speaks as {w}", r.status)
        for method, url in ("DELETE", f"/v1/audio/voices/{voices['a']}"), \
                ("DELETE", f"/v1/audio/voice_consents/{consents['a']}"), \
                ("POST", f"/v1/audio/voice_consents/{consents['a']}"):
            r = ask("b", method, url, **({"name": "n"} if method == "POST" else {}))
            check(r.status == 404, "b changes a's", (method, url, r.status))
        check(ask("b", "DELETE", "/v1/audio/voices/mine").json()["deleted"], "b deletes b's own")
        check(ask("b", "GET", "/v1/audio/voices/mine").status == 404, "which is gone")
        check(ask("a", "GET", "/v1/audio/voices/mine").json()["id"] == voices["a"], "a's is there")
        check(ask("root", "DELETE", f"/v1/audio/voices/{voices['a']}").status == 200, "root may")
    with live.Server("--threads", "1", "--voice-dir", directory.name + "/voices") as s:
        r = s.call("POST", "/v1/audio/voices", json={"name": "all", "audio": sound, "ref_text": "secret"})
        check(r.status == 200, "without keys voices are everyone's", r.body)
        check(b"secret" not in s.call("GET", "/v1/audio/voices").body, "and its list is public")
    with live.Server("--threads", "1", "--api-keys-file", path, "--voice-dir",
                     directory.name + "/voices") as s:
        check(s.call("POST", "/v1/audio/speech", json={**live.HELLO, "voice": "all"},
                     headers=head("b")).status == 200, "a shared voice speaks for all")
        r = s.call("DELETE", "/v1/audio/voices/all", headers=head("b"))
        check(r.status == 403 and r.error()["code"] == "permission_denied", "but is not theirs", r.body)


def not_utf8():
    """What cannot be shown is not stored."""
    with live.Server("--threads", "1", "--voice-dir", directory.name + "/utf8") as s:
        for path, name in ("/v1/audio/voice_consents", "name"), ("/v1/audio/voice_consents", "language"), \
                ("/v1/audio/voices", "ref_text"), ("/v1/audio/voices", "description"):
            for bad in b"\xff\xfe", b"ok\xc3", b"\xed\xa0\x80", b"\xc0\xaf":
                fields = {"name": b"n", "language": b"en", "recording": b"RIFF", name: bad}
                body = b"".join(b'--B\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' %
                                (k.encode(), v) for k, v in fields.items()) + b"--B--\r\n"
                r = s.call("POST", path, body=body,
                           headers={"Content-Type": "multipart/form-data; boundary=B"})
                check(r.status == 400 and "not UTF-8" in r.error()["message"], (path, name, bad), r.body)
        check(s.call("GET", "/v1/audio/voice_consents").json()["data"] == [], "nothing was stored")


HOST = b"Host: localhost\r\n"
JSON = b'{"model":"x"}'
CLEAN = b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n"


def get(target=b"/health", version=b"1.1", lines=b"", host=HOST):
    return b"GET " + target + b" HTTP/" + version + b"\r\n" + host + lines + b"\r\n"


def post(lines, body=JSON, version=b"1.1"):
    return (b"POST /v1/audio/speech HTTP/" + version + b"\r\n" + HOST +
            b"Content-Type: application/json\r\n" + lines + b"\r\n" + body)


CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"d\r\n" + JSON + b"\r\n0\r\n\r\n"
# what is sent, the status of its answer, whether the connection is used for another request after it
FRAMING = [
    (get(), 200, True),
    (post(b"Content-Length: 13\r\n"), 400, True),  # a good head: the field `input` is missing
    (post(CHUNKED, CHUNKS), 400, True),
    (post(b"Content-Length: 13\r\nContent-Length: 5\r\n"), 400, False),
    (post(b"Content-Length: 13\r\ncontent-length: 13\r\n"), 400, False),
    (post(b"Content-Length: 13\r\n" + CHUNKED, b"0\r\n\r\n"), 400, False),
    (post(CHUNKED + b"Content-Length: 13\r\n", b"0\r\n\r\n"), 400, False),
    (post(b"Content-Length : 13\r\n"), 400, False),
    (post(b"Content-Length\t: 13\r\n"), 400, False),
    (post(b" Content-Length: 13\r\n"), 400, False),
    (post(b"X: y\r\n Content-Length: 13\r\n"), 400, False),  # folded
    (post(b"Content-Length: +13\r\n"), 400, False),
    (post(b"Content-Length: 13, 13\r\n"), 400, False),
    (post(b"Content-Length: 0x0d\r\n"), 400, False),
    (post(b"Content-Length: 99999999999999999999\r\n"), 413, False),
    (post(b"Transfer-Encoding: gzip, chunked\r\n", CHUNKS), 400, False),
    (post(b"Transfer-Encoding: xchunked\r\n", CHUNKS), 400, False),
    (post(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", CHUNKS), 400, False),
    (post(b"Transfer-Encoding : chunked\r\n", CHUNKS), 400, False),
    (post(CHUNKED, CHUNKS, b"1.0"), 400, False),
    (post(CHUNKED, b"-d\r\n" + CHUNKS[3:]), 400, False),
    (post(CHUNKED, b"0xd\r\n" + CHUNKS[3:]), 400, False),
    (post(CHUNKED, b" d\r\n" + CHUNKS[3:]), 400, False),
    (post(CHUNKED, b"fffffffffffffffff\r\n" + CHUNKS[3:]), 413, False),
    (get(lines=b"X-A: a\rX-B: b\r\n"), 400, False),
    (get(lines=b"X-A: a\r\r\n"), 400, False),
    (get(lines=b"X-A: a\nX-B: b\r\n"), 400, False),
    (get(lines=b"X-A: a\x00b\r\n"), 400, False),
    (get(lines=b"X-A: a\x01b\r\n"), 200, True),
    (get(lines=b"X\x00A: b\r\n"), 400, False),
    (get(lines=b"X(A: b\r\n"), 400, False),
    (get(lines=b": b\r\n"), 400, False),
    (get(lines=b"X-A\r\n"), 400, False),
    (get(lines=b"X-A: \xc3\xa9 \t\r\nX-B:\r\nX-C:\ty\r\n"), 200, True),
    (b"GET /health HTTP/1.1\nHost: localhost\n\n", 400, False),
    (get(host=b""), 400, False),
    (get(host=b"", version=b"1.0"), 200, False),
    (get(host=HOST + HOST), 400, False),
    (get(version=b"2.0"), 505, False),
    (get(version=b"1.x"), 400, False),
    (b"GET /health\r\n\r\n", 400, False),
    (get(b"/v1/models/%00"), 400, False),
    (get(b"/v1/models/tts-1%00"), 400, False),
    (get(b"/health?a=%00"), 400, False),
    (get(b"/v1/models/%zz"), 400, False),
    (get(b"/v1/models/%f"), 400, False),
    (get(b"/v1/models/%0d%0a"), 400, False),
    (get(b"/v1/models/%ff"), 400, False),
    (get(b"/v1/models/%74ts-1"), 200, True),
    (get(b"/health x"), 400, False),
    (get(b"health"), 400, False),
    (get(b"http://localhost/health"), 200, True),
    (get(b"HTTP://localhost:80/health?x"), 200, True),
    (get(b"http:///health"), 400, False),
    (get(b"http://evil.example/health"), 403, True),
    (get(b"//health"), 200, True),
    (get(b"/v1//models///tts-1"), 200, True),
    (get(b"/../health"), 404, True),
    (get(b"/health/"), 200, True),
    (get(b"/" + b"a" * 5000), 414, False),
    (get(b"/" + b"a" * 70000), 414, False),
    (get(lines=b"X: " + b"a" * 70000 + b"\r\n"), 431, False),
    (b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", 204, True),
    (b"BREW /health HTTP/1.1\r\n" + HOST + b"\r\n", 405, True),
    (b"TRACE / HTTP/1.1\r\n" + HOST + b"\r\n", 405, True),
    (b"CONNECT localhost:80 HTTP/1.1\r\n" + HOST + b"\r\n", 400, False),
    (post(b"Expect: 100-continue\r\nContent-Length: 13\r\n"), 100, None),
    (post(b"Expect: tea\r\nContent-Length: 13\r\n"), 417, False),
    (post(b"Content-Encoding: gzip\r\nContent-Length: 13\r\n"), 415, False),
    (post(b"Content-Encoding: identity\r\nContent-Length: 13\r\n"), 400, True),
    (b"\r\n" + CLEAN, 200, True),
]


def answers(s, data):
    """The statuses that come back, and whether the server closed."""
    out, closed = b"", False
    with s.socket() as c:
        c.settimeout(0.3)
        try:
            c.sendall(data)
            while True:
                block = c.recv(65536)
                if not block:
                    closed = True
                    break
                out += block
        except TimeoutError:
            pass
        except OSError:
            closed = True
    return [int(x) for x in re.findall(rb"HTTP/1\.[01] (\d{3}) ", out)], closed, out


def framing():
    """Each is followed by a clean request: a head that could be read in two ways must end the
    connection, and nothing behind it may be taken for a request."""
    with live.Server("--threads", "1") as s:
        for data, status, again in FRAMING:
            got, closed, out = answers(s, data + CLEAN)
            what = data if len(data) < 200 else data[:60] + b"..."
            check(got[:1] == [status], what, (got, status, out[:300]))
            if again is not None:
                check(got[1:] == ([200] if again else []) or (not again and b"<html>" in out), what,
                      (got, again))
                check(closed != again, what, ("closed", closed))
        check(s.speech().status == 200, "still speaks")


# Host, Origin, Sec-Fetch-Site, status of a speech request without keys on loopback
BROWSERS = [
    ("localhost", None, None, 200), ("127.0.0.1:8000", None, None, 200), ("127.9.9.9", None, None, 200),
    ("[::1]:80", None, None, 200), ("app.localhost", None, None, 200), ("LOCALHOST.", None, None, 200),
    ("evil.example", None, None, 403), ("localhost.evil.example", None, None, 403),
    ("evillocalhost", None, None, 403), ("127.0.0.1.evil.example", None, None, 403),
    ("192.168.1.2", None, None, 403), ("localhost:80:80", None, None, 403), ("a@localhost", None, None, 403),
    ("localhost", "http://localhost:3000", "same-site", 200), ("localhost", "https://127.0.0.1", None, 200),
    ("localhost", "http://[::1]:5173", "cross-site", 200), ("localhost:1", "http://localhost:1", "same-origin", 200),
    ("localhost", "https://evil.example", "cross-site", 403), ("localhost", "null", "cross-site", 403),
    ("localhost", "http://localhost.evil.example", None, 403), ("localhost", "http://evil.example/localhost", None, 403),
    ("localhost", "file://", None, 403), ("localhost", "", None, 403), ("localhost", "http://", None, 403),
    ("localhost", "chrome-extension://abc", None, 403), ("localhost", "http://evil.example#@localhost", None, 403),
    ("localhost", None, "cross-site", 403), ("localhost", None, "same-site", 403),
    ("localhost", None, "same-origin", 200), ("localhost", None, "none", 200),
]


def browsers():
    """Pages of other sites, and names that were made to point here."""
    with live.Server("--threads", "1") as s:
        for host, origin, site, status in BROWSERS:
            head = {"Host": host, **({"Origin": origin} if origin is not None else {}),
                    **({"Sec-Fetch-Site": site} if site else {})}
            r = s.call("POST", "/v1/audio/speech", json={**live.HELLO, "input": "A"}, headers=head)
            check(r.status == status, (host, origin, site), (r.status, r.body[:200]))
            if status == 403:
                check(r.error()["code"] in ("host_not_allowed", "origin_not_allowed"), host, r.body)
            allow = r.headers["Access-Control-Allow-Origin"]
            check(allow == (origin if origin and status == 200 else None), origin, allow)
            r = s.call("DELETE", "/v1/audio/voices/x", headers=head)
            check((r.status == 403) == (status == 403), (host, origin, site, "DELETE"), r.status)
            if origin:
                r = s.call("OPTIONS", "/v1/audio/speech", headers={
                    **head, "Access-Control-Request-Method": "POST",
                    "Access-Control-Request-Headers": "user-agent"})
                check(r.status == (204 if status == 200 else 403), (origin, "preflight"), r.status)
                check(r.headers["Access-Control-Allow-Headers"] == ("user-agent" if status == 200 else None),
                      (origin, "preflight"), r.headers.items())
        # What a page may send without asking first is not a speech request.
        for kind in None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", \
                "text/plain; application/json", "application/jsonp":
            r = s.call("POST", "/v1/audio/speech", body=json.dumps(live.HELLO),
                       headers={"Content-Type": kind} if kind else {})
            check(r.status == 415, kind, r.status)
        for path in "/", "/docs", "/page.js", "/openapi.json", "/v1/models", "/v1/nothing":
            r = s.call("GET", path, headers={"Origin": "https://evil.example"})
            check(r.headers["X-Content-Type-Options"] == "nosniff", path, r.headers.items())
            check(r.headers["Access-Control-Allow-Origin"] is None and r.headers["Vary"] == "Origin", path, "")
        for path in "/", "/docs":
            r = s.call("GET", path)
            check("frame-ancestors 'none'" in r.headers["Content-Security-Policy"] and
                  r.headers["X-Frame-Options"] == "DENY", path, r.headers.items())
    with live.Server("--threads", "1", env={"JABBERTTS_API_KEYS": "sk-alice-123"}) as s:
        r = s.call("GET", "/v1/models", headers={"Host": "tts.example"})
        check(r.status == 200, "with keys, any host", r.status)


def api_keys():
    """Keys as Azure's and others' clients send them."""
    with live.Server("--threads", "1", env={"JABBERTTS_API_KEYS": "sk-alice-123"}) as s:
        for name in "api-key", "x-api-key", "X-API-Key":
            for value, status in ("sk-alice-123", 400), ("sk-alice", 401), ("Bearer sk-alice-123", 401):
                r = s.call("POST", "/v1/audio/speech", json={}, headers={name: value})
                check(r.status == status, (name, value), r.status)


def peak_kib(s):
    with open(f"/proc/{s.process.pid}/status") as f:
        return int(re.search(r"VmHWM:\s+(\d+)", f.read()).group(1))


def metric(s, name):
    found = re.search(rf"^{name} (\S+)$", s.call("GET", "/metrics").body.decode(), re.M)
    return float(found.group(1)) if found else None


def memory():
    """Open uploads and unread answers are kept in files, within one budget."""
    with live.Server("--threads", "1", "--voice-dir", directory.name + "/memory", "--spool-mb", "200") as s:
        s.speech()
        before, refused, held = peak_kib(s), 0, []
        size = 13 << 20
        for _ in range(40):
            c = s.socket()
            held.append(c)
            c.sendall(b"POST /v1/voices HTTP/1.1\r\n" + HOST + b"Content-Type: multipart/form-data; "
                      b"boundary=B\r\nContent-Length: %d\r\n\r\n" % size)
            try:
                c.settimeout(5)
                c.sendall(bytes(size - 1))
            except OSError:
                pass
        check(live.wait_until(lambda: metric(s, "jabbertts_spool_bytes") >= 12 * size), "they are kept",
              metric(s, "jabbertts_spool_bytes"))
        check(metric(s, "jabbertts_spool_bytes") <= 200 << 20, "within the budget",
              metric(s, "jabbertts_spool_bytes"))
        for c in held:
            c.settimeout(0.05)
            try:
                c.sendall(b"x")
                refused += b" 429 " in c.recv(100)
            except OSError:
                pass
        check(refused >= 20, "the rest is refused", refused)
        check(s.speech().status == 200, "and speech goes on")
        grown = peak_kib(s) - before
        if "address" not in live.BINARY and "thread" not in live.BINARY:  # which keep what was freed
            check(grown < 60 << 10, "memory does not grow with bodies", f"{grown} KiB")
        for c in held:
            c.close()
        check(live.wait_until(lambda: metric(s, "jabbertts_spool_bytes") == 0, 10), "all is given back",
              metric(s, "jabbertts_spool_bytes"))


def vanished():
    """A client that closes in the middle of an upload is noticed at once."""
    with live.Server("--threads", "1", "--voice-dir", directory.name + "/vanished") as s:
        for kind in b"Content-Length: 1000000\r\n", CHUNKED:
            for half in False, True:
                c = s.socket()
                c.sendall(b"POST /v1/voices HTTP/1.1\r\n" + HOST + b"Content-Type: multipart/form-data; "
                          b"boundary=B\r\n" + kind + b"\r\n" + (b"5000\r\n" if kind == CHUNKED else b"") +
                          bytes(20000))
                check(live.wait_until(lambda: metric(s, "jabbertts_spool_bytes") > 0), "it is kept")
                start = time.monotonic()
                if half:
                    c.shutdown(socket.SHUT_WR)
                else:
                    c.close()
                check(live.wait_until(lambda: metric(s, "jabbertts_spool_bytes") == 0, 10) and
                      time.monotonic() - start < 5, "noticed at once", time.monotonic() - start)
                c.close()


def idle():
    """Idle connections make room for new ones, the oldest first."""
    with live.Server("--threads", "1", "--max-connections", "100") as s:
        crowd = [s.socket() for _ in range(150)]
        for c in crowd[:20]:
            c.settimeout(5)
        start = time.monotonic()
        for _ in range(20):
            check(s.call("GET", "/health").status == 200, "health among idle ones")
        check(time.monotonic() - start < 5, "health among idle ones", time.monotonic() - start)
        check(crowd[0].recv(10) == b"", "the oldest was closed")
        crowd[-1].sendall(CLEAN)
        check(b" 200 " in crowd[-1].recv(100), "the newest was not")
        check(metric(s, "jabbertts_connections") <= 101, "no more than the limit",
              metric(s, "jabbertts_connections"))


if __name__ == "__main__":
    files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files[1], files[1]))
    tests = [framing, browsers, api_keys, idle, vanished, memory, owners, not_utf8]
    for test in tests:  # all, or those that are named
        if test.__name__ in sys.argv[1:] or not sys.argv[1:]:
            test()
    sys.exit(live.report())
