"""Clients that leave, stall, flood or never read; a full queue; deadlines; the end of the server."""
import concurrent.futures
import http.client
import json
import signal
import socket
import sys
import threading
import time

import live
from live import check

LONG = "The quick brown fox jumps over the lazy dog, and then it goes home to sleep. " * 40


def request(body, extra=""):
    data = json.dumps(body).encode()
    return (f"POST /v1/audio/speech HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{extra}"
            f"Content-Length: {len(data)}\r\n\r\n").encode() + data


def metric(s, name):
    for line in s.call("GET", "/metrics").body.decode().splitlines():
        if line.startswith(name + " "):
            return float(line.split()[-1])
    return None


def open_speech(s, **fields):
    c = s.socket()
    c.sendall(request({**live.HELLO, "input": LONG, "response_format": "pcm", **fields}))
    return c


def idle(s):
    return metric(s, "jabbertts_requests_active") == 0 and metric(s, "jabbertts_requests_queued") == 0


def hang_ups():
    """Whoever leaves, while sound flows or while waiting, frees the place at once."""
    with live.Server("--threads", "1", "--slots", "1") as s:
        talking = open_speech(s)
        check(talking.recv(100).startswith(b"HTTP/1.1 200"), "it speaks", "")
        waiting = open_speech(s)
        half = open_speech(s, seed=2)
        check(live.wait_until(lambda: metric(s, "jabbertts_requests_queued") == 2), "two wait",
              s.call("GET", "/metrics").body)
        waiting.close()
        half.shutdown(socket.SHUT_WR)  # half closed counts as gone
        check(live.wait_until(lambda: metric(s, "jabbertts_cancellations_total") == 2),
              "the waiting ones are cancelled", metric(s, "jabbertts_cancellations_total"))
        check(metric(s, "jabbertts_requests_active") == 1, "the other goes on", "")
        talking.close()
        check(live.wait_until(lambda: idle(s) and metric(s, "jabbertts_cancellations_total") == 3),
              "the talking one is cancelled", metric(s, "jabbertts_cancellations_total"))
        check(s.speech().status == 200, "the next is served", "")


def closed_in(c, seconds):
    """Does the server close this connection, and how soon?"""
    start = time.monotonic()
    c.settimeout(live.TIMEOUT)
    try:
        while c.recv(65536):
            pass
    except ConnectionError:
        pass
    return time.monotonic() - start < seconds


def slow_ones():
    with live.Server("--threads", "1", "--header-timeout", "1", "--body-timeout", "1",
                     "--idle-timeout", "3") as s:
        silent, drip, body = s.socket(), s.socket(), s.socket()
        body.sendall(b"POST /v1/audio/speech HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")

        def dripping():
            try:
                for letter in b"GET / HTTP/1.1\r\nX-Long: " + b"a" * 1000:
                    drip.sendall(bytes([letter]))
                    time.sleep(0.1)
            except OSError:
                return
        thread = threading.Thread(target=dripping)
        thread.start()
        check(closed_in(drip, 60), "a header that drips", "")
        check(closed_in(silent, 60), "a connection that says nothing", "")
        check(closed_in(body, 60), "a body that does not come", "")
        thread.join()
        never_reads(s)
        c = s.connect()
        check(live.exchange(c, "GET", "/health").status == 200, "still there", "")


def never_reads(s):
    c = socket.socket()
    c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    c.connect(("127.0.0.1", s.port))
    c.sendall(request({**live.HELLO, "input": LONG, "response_format": "pcm", "speed": 0.25,
                       "sample_rate": 48000}))
    check(live.wait_until(lambda: metric(s, "jabbertts_requests_active") == 1, 60), "it speaks", "")
    check(live.wait_until(lambda: idle(s), live.TIMEOUT), "who never reads is cut off", "")
    check(metric(s, "jabbertts_cancellations_total") == 1, "and counted", "")
    c.close()


def floods():
    with live.Server("--threads", "1", "--max-connections", "20") as s:
        c = s.connect()
        c.putrequest("POST", "/v1/audio/speech")
        c.putheader("Content-Length", str(1 << 30))
        c.endheaders()
        r = c.getresponse()
        check(r.status == 413 and b"1073741824" in r.read(), "a body of 1 GB", r.status)
        r = s.call("POST", "/v1/audio/speech", body=b" " * (1025 << 10),
                   headers={"Content-Type": "application/json"})
        check(r.status == 413 and r.error()["code"] == "body_too_large", "a body too large", r.status)
        c = s.socket()
        c.sendall(b"POST /v1/audio/speech HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        sent = 0
        try:
            while sent < 1 << 27:
                c.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")
                sent += 65536
        except OSError:
            pass
        check(sent < 1 << 26, "a body without end is cut off", sent)
        idle_ones = [s.socket() for _ in range(50)]
        time.sleep(0.3)
        for x in idle_ones:
            x.close()
        check(live.wait_until(lambda: s.call("GET", "/health").status == 200), "still there", "")
        for junk in b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"\x00" * 100000, b"GET / HTTP/9.9\r\n\r\n":
            x = s.socket()
            try:
                x.sendall(junk)
                x.shutdown(socket.SHUT_WR)
                while x.recv(1000):
                    pass
            except OSError:
                pass
            x.close()
        check(s.speech().status == 200, "still speaks", "")


def full_queue():
    with live.Server("--threads", "1", "--slots", "1", "--queue", "0") as s:
        held = [open_speech(s)]
        check(live.wait_until(lambda: metric(s, "jabbertts_requests_active") == 1), "one speaks", "")
        seen = None
        for _ in range(3):  # one more may wait
            c = s.connect()
            c.request("POST", "/v1/audio/speech", json.dumps({**live.HELLO, "input": LONG}),
                      {"Content-Type": "application/json"})
            c.sock.settimeout(5)
            try:
                raw = c.getresponse()
            except TimeoutError:
                held.append(c)
                continue
            seen = live.Reply(raw, raw.read(), False)
            break
        check(seen and seen.status == 429, "a full queue", seen and seen.status)
        if seen:
            e = seen.error()
            check(e["code"] == "server_busy" and e["type"] == "rate_limit_exceeded", "busy", e)
            check(int(seen.headers["retry-after"]) >= 1 and seen.headers["x-should-retry"] == "true" and
                  float(seen.headers["retry-after-ms"]) > 0, "busy", seen.headers.items())
        for c in held:
            c.close()
        check(live.wait_until(lambda: idle(s)), "free again", "")
        check(s.speech().status == 200, "served again", "")


def deadlines():
    with live.Server("--threads", "1") as s:
        late = {"X-Stainless-Timeout": "0.001"}
        r = s.call("POST", "/v1/audio/speech", json={**live.HELLO, "input": LONG}, headers=late)
        check(r.status in (504, 429), "a deadline before the first sound", (r.status, r.body[:300]))
        check(r.headers["x-should-retry"] in ("false", "true"), "told", r.headers.items())
        r.error()
        soon = {"X-Stainless-Timeout": "2"}
        for extra in {}, {"stream_format": "sse"}:
            start = time.monotonic()
            r = s.call("POST", "/v1/audio/speech", headers=soon, json={
                **live.HELLO, "input": LONG, "response_format": "wav", **extra})
            check(r.status == 200 and not r.broken and time.monotonic() - start > 2.5,
                  "once it has begun the answer takes as long as it takes", (r.status, r.broken))
        check(metric(s, "jabbertts_recent_rtf") > 0, "speed is known")
        r = s.call("POST", "/v1/audio/speech", headers={"X-Stainless-Timeout": "1"}, json={
            **live.HELLO, "input": LONG, "stream": False})
        check(r.status == 400 and "or ask for a stream" in r.error()["message"], "a whole that would "
              "begin too late", (r.status, r.body[:300]))
    with live.Server("--threads", "1", "--request-timeout", "2") as s:
        s.speech(input="So that its speed is known. And a little more of it, for the sake of the mean.")
        for extra in {}, {"stream_format": "sse"}, {"stream": False}:
            start = time.monotonic()
            r = s.speech(input=LONG, **extra)
            check(r.status == 400 and r.error()["param"] == "input" and time.monotonic() - start < 1,
                  "what cannot be done in time is refused at once", (r.status, r.body[:300]))
        check(r.headers["x-should-retry"] != "true", "and not to be tried again", r.headers.items())


def events():
    import base64
    with live.Server("--threads", "1") as s:
        plain = s.speech(response_format="wav").body
        r = s.speech(response_format="wav", stream_format="sse")
        check(r.headers["Content-Type"] == "text/event-stream; charset=utf-8", "type", r.headers.items())
        items = r.body.decode().split("\n\n")
        check(items[-2:] == ["data: [DONE]", ""], "the end", items[-2:])
        data = [json.loads(x.removeprefix("data: ")) for x in items[:-2]]
        check(all(sorted(x) == ["audio", "type"] and x["type"] == "speech.audio.delta"
                  for x in data[:-1]), "deltas", "")
        check(b"".join(base64.b64decode(x["audio"], validate=True) for x in data[:-1]) == plain,
              "the events carry the same bytes", "")
        u = data[-1]["usage"]
        check(data[-1]["type"] == "speech.audio.done" and sorted(data[-1]) == ["type", "usage"] and
              sorted(u) == ["input_tokens", "output_tokens", "total_tokens"], "done", data[-1])
        check(u["input_tokens"] > 0 and u["output_tokens"] > 0 and
              u["total_tokens"] == u["input_tokens"] + u["output_tokens"], "usage", u)


def endings():
    with live.Server("--threads", "1", "--drain-timeout", "100") as s:
        with concurrent.futures.ThreadPoolExecutor() as pool:
            last = pool.submit(s.speech, input=LONG[:1200])
            check(live.wait_until(lambda: metric(s, "jabbertts_requests_active") == 1), "it speaks", "")
            kept = s.connect()
            live.exchange(kept, "GET", "/health")
            s.process.send_signal(signal.SIGTERM)
            refused = live.wait_until(lambda: refuses(s))
            check(refused, "no new connection while stopping", "")
            r = live.exchange(kept, "GET", "/readyz")
            check(r.status == 503 and r.error()["code"] == "server_stopping", "kept alive", r.status)
            r = last.result()
            check(r.status == 200 and not r.broken, "what ran may end", (r.status, r.broken))
        s.process.wait(live.TIMEOUT)
    with live.Server("--threads", "1", "--drain-timeout", "0.1") as s:
        c = open_speech(s)
        check(c.recv(100).startswith(b"HTTP/1.1 200"), "it speaks", "")
        waiting = open_speech(s)
        s.process.send_signal(signal.SIGTERM)
        check(s.process.wait(live.TIMEOUT) == 0, "stops after the drain timeout", "")
        c.close()
        waiting.close()


def refuses(s):
    try:
        s.socket().close()
        return False
    except OSError:
        return True


hang_ups()
slow_ones()
floods()
full_queue()
deadlines()
events()
endings()
sys.exit(live.report())
