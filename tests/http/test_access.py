"""Keys, rates, web pages, TLS; metrics as promtool likes them; what the log says and keeps quiet."""
import hashlib
import json
import os
import shutil
import ssl
import subprocess
import sys
import tempfile

import live
from live import check

SECRET = "a text that nobody may log"
directory = tempfile.TemporaryDirectory()


def path(name):
    return os.path.join(directory.name, name)


def bearer(key):
    return {"Authorization": "Bearer " + key}


def keys():
    with open(path("keys"), "w") as f:
        f.write("# names and keys\nalice: sk-alice-123\nbob: sha256:%s rate=2\n" %
                hashlib.sha256(b"sk-bob-456").hexdigest())
    with live.Server("--threads", "1", "--api-keys-file", path("keys"), "--log", "json",
                     env={"JABBERTTS_API_KEYS": "carol:sk-carol-789, sk-nameless-1"}) as s:
        r = s.speech()
        e = r.error()
        check(r.status == 401 and e["code"] == "missing_api_key", "no key", r.body)
        check(r.headers["WWW-Authenticate"] == "Bearer", "no key", r.headers.items())
        for key in "sk-alice-1234", "sk-alice-12", "", "sha256:" + "0" * 64, "\u00e9" * 300:
            r = s.call("POST", "/v1/audio/speech", json=live.HELLO,
                       headers={"Authorization": ("Bearer " + key).encode()})
            check(r.status == 401 and r.error()["type"] == "invalid_request_error", key, r.body)
        for key in "sk-alice-123", "sk-carol-789", "sk-nameless-1":
            r = s.call("POST", "/v1/audio/speech", json={}, headers=bearer(key))
            check(r.status == 400, key, r.status)
        for url, status in [("/health", 200), ("/readyz", 200), ("/v1/models", 200),
                            ("/v1/audio/voices", 200), ("/metrics", 401), ("/v1/nothing", 404)]:
            check(s.call("GET", url).status == status, url + " without a key", status)
        check(s.call("GET", "/metrics", headers=bearer("sk-carol-789")).status == 200, "metrics", "")
        rate(s)
        log = s.text()
    check('"key":"alice"' in log and '"key":"key-2"' in log, "the log names keys", log)
    check("sk-" not in log, "the log holds no key", log)


def rate(s):
    seen = [s.call("POST", "/v1/audio/speech", json={}, headers=bearer("sk-bob-456"))
            for _ in range(3)]
    check([r.status for r in seen] == [400, 400, 429], "two a minute", [r.status for r in seen])
    check([r.headers["x-ratelimit-remaining-requests"] for r in seen] == ["1", "0", "0"], "rate", "")
    r = seen[2]
    e = r.error()
    check(e["type"] == "rate_limit_exceeded" and e["code"] == "rate_limit_exceeded", "rate", e)
    check(1 <= int(r.headers["retry-after"]) <= 30, "retry-after", r.headers.items())
    check(0 < int(r.headers["retry-after-ms"]) <= 30000, "retry-after-ms", r.headers.items())
    check(r.headers["x-should-retry"] == "true", "x-should-retry", r.headers.items())
    check(r.headers["x-ratelimit-limit-requests"] == "2", "limit", r.headers.items())
    check(s.call("POST", "/v1/audio/speech", json={}, headers=bearer("sk-alice-123")).status == 400,
          "another key has its own rate", "")


def pages():
    with live.Server("--threads", "1", "--cors-origins", "https://a.example, https://b.example") as s:
        for origin, allowed in [("https://b.example", True), ("https://c.example", False)]:
            r = s.call("OPTIONS", "/v1/audio/speech", headers={
                "Origin": origin, "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization,user-agent,x-anything-new"})
            got = r.headers["Access-Control-Allow-Origin"]
            check(r.status == (204 if allowed else 403) and got == (origin if allowed else None),
                  origin, (r.status, got))
            if allowed:
                names = r.headers["Access-Control-Allow-Headers"]
                check(names == "authorization,user-agent,x-anything-new", "headers are echoed", names)
                check("POST" in r.headers["Access-Control-Allow-Methods"], "methods", "")
            r = s.call("POST", "/v1/audio/speech", json={}, headers={"Origin": origin})
            got = r.headers["Access-Control-Expose-Headers"]
            check(r.status == (400 if allowed else 403) and
                  (("x-request-id" in got) if allowed else got is None), origin, (r.status, got))
        check(s.call("OPTIONS", "/v1/nothing").status == 404, "OPTIONS of nothing", "")


def tls():
    made = subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                           "-keyout", path("key.pem"), "-out", path("cert.pem"), "-subj",
                           "/CN=localhost"], capture_output=True)
    check(made.returncode == 0, "openssl makes a certificate", made.stderr)
    with live.Server("--threads", "1", "--tls-cert", path("cert.pem"), "--tls-key",
                     path("key.pem")) as s:
        check("at https://" in s.text(), "the URL says https", s.text())
        context = ssl.create_default_context(cafile=path("cert.pem"))
        context.check_hostname = False
        c = live.http.client.HTTPSConnection("127.0.0.1", s.port, timeout=live.TIMEOUT,
                                             context=context)
        r = live.exchange(c, "POST", "/v1/audio/speech", live.HELLO)
        check(r.status == 200 and len(r.body) > 1000, "speech over TLS", r.status)
    for cert, key in [("cert.pem", "cert.pem"), ("none.pem", "key.pem"), ("cert.pem", None)]:
        flags = ["--tls-cert", path(cert)] + (["--tls-key", path(key)] if key else [])
        r = subprocess.run([live.BINARY, "serve", "--port", "0", *flags], capture_output=True,
                           timeout=live.TIMEOUT)
        check(r.returncode == 1 and b"pem" in r.stderr or b"tls_key" in r.stderr, flags, r.stderr)


def logs_and_metrics():
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    with live.Server("--threads", "1", "--log", "json") as s:
        r = s.call("POST", "/v1/audio/speech", json={**live.HELLO, "input": SECRET}, headers={
            "traceparent": parent, "X-Client-Request-Id": "mine\u00ff\x01".encode("latin-1"),
            "X-Stainless-Retry-Count": "1"})
        check(r.status == 200, "speech", r.status)
        s.call("GET", "/health")
        s.call("POST", "/v1/audio/speech", json={"model": 1})
        check(live.wait_until(lambda: s.text().count("\n") >= 3), "two lines", s.text())
        lines = sorted((json.loads(x) for x in s.text().splitlines()[1:]), key=lambda x: x["status"])
        metrics(s)
        text = s.text()
    check(SECRET not in text and len(lines) == 2, "no text, no probe in the log", text)
    first = lines[0]
    for name, value in {"request_id": r.headers["x-request-id"], "status": 200, "format": "mp3",
                        "trace_id": parent[3:35], "parent_id": parent[36:52], "retry": 1,
                        "characters": len(SECRET), "voice": "alloy", "bytes": len(r.body)}.items():
        check(first.get(name) == value, "log " + name, first)
    check(first["audio_seconds"] > 0.5 and first["rtf"] > 0, "log", first)
    check(lines[1]["status"] == 400 and lines[1]["code"] == "invalid_type", "log", lines[1])
    with live.Server("--threads", "1", "--log-text") as s:
        s.call("POST", "/v1/audio/speech", json={**live.HELLO, "input": "Ah.\nOh no.", "stream": False})
        check(live.wait_until(lambda: 'text="Ah.?Oh no."' in s.text()), "text when asked for", s.text())


def metrics(s):
    r = s.call("GET", "/metrics")
    check(r.headers["Content-Type"].startswith("text/plain; version=0.0.4"), "type", r.headers.items())
    values = dict(line.rsplit(" ", 1) for line in r.body.decode().splitlines() if line[0] != "#")
    for name, value in {'jabbertts_requests_total{route="speech",status="200"}': 1,
                        'jabbertts_errors_total{code="invalid_type"}': 1,
                        "jabbertts_characters_total": len(SECRET), "jabbertts_retries_total": 1,
                        "jabbertts_first_audio_seconds_count": 1, "jabbertts_rtf_count": 1,
                        "jabbertts_queue_seconds_count": 1,
                        "jabbertts_requests_active": 0, "jabbertts_cancellations_total": 0}.items():
        check(float(values.get(name, "nan")) == value, name, values.get(name))
    check(float(values["process_resident_memory_bytes"]) > 1e6, "memory", "")
    check(float(values["jabbertts_audio_seconds_total"]) > 0.5, "sound", "")
    check(any(v.startswith("jabbertts_build_info{version=") for v in values), "build info", "")
    promtool = shutil.which("promtool")
    if not promtool:
        print("promtool is not here: install the package prometheus")
        check(False, "promtool", "")
        return
    lint = subprocess.run([promtool, "check", "metrics"], input=r.body, capture_output=True)
    check(lint.returncode == 0 and not lint.stderr, "promtool", (lint.stdout, lint.stderr))


keys()
pages()
tls()
logs_and_metrics()
sys.exit(live.report())
