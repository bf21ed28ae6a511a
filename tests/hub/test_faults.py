"""What goes wrong between a hub and a disk: each has its own text, and the next pull goes on from there."""
import concurrent.futures
import hashlib
import json
import os
import random
import re
import resource
import signal
import socket
import subprocess
import sys
import time

import fixture
from puller import BINARY, NANO, TINY, Home, check, report

CHUNK = 4 << 20
SOURCE = "jabber/tiny"


def model(home):
    """The installed file's bytes, found through the manifest."""
    return open(json.loads(home.run("models", "show", "tiny", "--json").out)["path"], "rb").read()


def part(home):
    """Chunks that the journal of an unfinished pull names, and whose bytes are right."""
    base = home.path(".pull", "tiny", "source", "tiny.gguf")
    try:
        lines = open(base + ".chunks").read().split("\n")[1:-1]
        with open(base + ".part", "rb") as f:
            data = f.read()
    except OSError:
        return set()
    noted = {int(i): h for i, h in (line.split() for line in lines)}
    return {i for i, h in noted.items() if hashlib.sha256(data[i * CHUNK:(i + 1) * CHUNK]).hexdigest() == h}


def asked(requests):
    """Chunks that range requests touch."""
    found = set()
    for r in requests:
        a, b = map(int, re.fullmatch(r"bytes=(\d+)-(\d+)", r.range or f"bytes=0-{1 << 30}").groups())
        found |= set(range(a // CHUNK, min(b, len(r.server.hub.data) - 1) // CHUNK + 1))
    return found


def first(n, answer):
    """A fault of the first n requests (the body must not be touched by others)."""
    left = [n]

    def fault(request):
        if request.command == "HEAD" or left[0] == 0:
            return False
        left[0] -= 1
        answer(request)
        return True
    return fault


def recovers(hub):
    """What passes by itself."""
    def broken(request):
        request.answer(206 if request.range else 200,
                       {"Content-Length": 1 << 20,
                        "Content-Range": f"bytes {request.range[6:]}/{len(hub.data)}"})
        request.cut()

    def middle(request):
        a, b = map(int, request.range[6:].split("-"))
        request.send_response(206)
        request.send_header("Content-Range", f"bytes {a}-{b}/{len(hub.data)}")
        request.send_header("Content-Length", str(b - a + 1))
        request.end_headers()
        request.wfile.write(hub.data[a:a + (b - a) // 2])
        request.cut()

    cases = {
        "broken before a byte": ("storage", first(3, broken)),
        "broken in the middle": ("storage", first(3, middle)),
        "429 with Retry-After": ("storage", first(2, lambda r: r.answer(429, {"Retry-After": "1"}))),
        "429 with a date": ("hub", first(1, lambda r: r.answer(429, {"Retry-After": time.strftime(
            "%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 1))}))),
        "429 with RateLimit": ("hub", first(1, lambda r: r.answer(429, {"RateLimit": '"api";r=0;t=1'}))),
        "500, 502, 503": ("hub", first(3, lambda r: r.answer(random.choice([500, 502, 503])))),
        "503 of the storage": ("storage", first(2, lambda r: r.answer(503))),
        "a signature that expired": ("storage", first(3, lambda r: r.answer(403, {}, b"<Code>AccessDenied</Code>"))),
        "another redirect of the storage": ("storage", first(1, lambda r: r.answer(307, {"Location": r.path + "&again=1"}))),
        "a stalled line": ("storage", first(1, lambda r: time.sleep(3))),
    }
    for what, (where, fault) in cases.items():
        hub.forget()
        setattr(hub.fault, where, fault)
        with Home(hub, HF_TOKEN=fixture.TOKEN) as home:
            done = home.pull(SOURCE)
            check(done.code == 0 and model(home) == hub.data, what, done)
            check(not [r for r in hub.storage_requests() if r.headers.get("Authorization")], f"{what}: no token leaks")
    hub.forget()
    hub.fault.no_range = True
    with Home(hub) as home:
        done = home.pull(SOURCE)
        check(done.code == 0 and model(home) == hub.data, "a server without ranges", done)
    hub.forget()
    hub.fault.valid_s = 0.3
    hub.fault.bytes_per_second = 8 << 20
    with Home(hub) as home:
        done = home.pull(SOURCE, "--connections", "2")
        check(done.code == 0 and model(home) == hub.data, "addresses that last 0.3 s", done)
        check(len([r for r in hub.requests if r.command == "HEAD"]) > 1, "are asked for again")
    for spelling in ('W/"%s"', "%s", '"%s"'):
        hub.forget()
        hub.fault.etag = lambda h, s=spelling: s % h
        with Home(hub) as home:
            check(home.pull("jabber/nano").code == 0, f"etags as {spelling}")


def refused(hub):
    """What does not pass: exit code 1 and a text; nothing is installed."""
    def forever(status, head=None):
        return lambda r: r.answer(status, head or {}) or True
    cases = {
        "wrong hash": ("change", lambda d: d[:999] + b"?" + d[1000:], "has the hash"),
        "fewer bytes": ("change", lambda d: d[:-5000], "has fewer bytes"),
        "far fewer bytes": ("change", lambda d: d[:10], "fewer bytes"),
        "more bytes": ("change", lambda d: d + b"more", "has more bytes"),
        "a size that lies": ("linked_size", lambda n: n - 1, "has more bytes"),
        "no hash": ("etag", lambda h: '"md5"', "names no hash"),
        "429 for an hour": ("storage", forever(429, {"Retry-After": "3600"}), "pull again in 3600 s"),
        "a fault for good": ("hub", forever(500), "a fault of its own (500)"),
        "forbidden": ("hub", forever(403), "forbids"),
        "a login page": ("hub", lambda r: r.answer(200, {}, b"<html>Log in</html>") or True, "not JSON"),
        "a circle": ("hub", lambda r: r.answer(302, {"Location": r.path}) or True, "redirects in a circle"),
        "an address that is none": ("hub", lambda r: r.answer(302, {"Location": "file:///etc/passwd"}) or True, "another host"),
    }
    for what, (where, fault, words) in cases.items():
        hub.forget()
        setattr(hub.fault, where, fault)
        with Home(hub) as home:
            done = home.pull(SOURCE)
            check(done.code == 1 and words in done.err, what, done)
            check(not os.path.exists(home.path("tiny")), f"{what}: nothing is installed")
            hub.forget()
            done = home.pull(SOURCE)
            check(done.code == 0 and model(home) == hub.data, f"{what}: the next pull is whole", done)
    hub.forget()
    with Home(hub) as home:
        s = socket.socket()
        s.bind(("127.0.0.1", 0))
        for env, words in (({"HF_ENDPOINT": "http://127.0.0.1:%d" % s.getsockname()[1]}, "cannot connect"),
                           ({"HF_ENDPOINT": "http://no-such-host.invalid"}, "cannot find no-such-host.invalid"),
                           ({"HF_ENDPOINT": "https://127.0.0.1:%d" % int(hub.url.split(":")[2])}, "connection"),
                           ({"HF_ENDPOINT": "ftp://x"}, "must begin with https://"),
                           ({"http_proxy": "http://127.0.0.1:%d" % s.getsockname()[1]}, "cannot connect"),
                           ({"HF_TOKEN": "a\nX-Other: b"}, "no token has"),
                           ({"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE")):
            done = home.pull(SOURCE, **env)
            check(done.code == 1 and words in done.err, f"with {env}", done)


def proxied(hub):
    """Everything goes through http_proxy, and not what no_proxy names."""
    hub.forget()
    seen = []

    class Proxy(fixture.Handler):
        def run(self):
            seen.append(self.path)
            self.answer(418)

        def note(self):
            pass
    s = fixture.Server(("127.0.0.1", 0), Proxy)
    fixture.threading.Thread(target=s.serve_forever, args=(0.05,), daemon=True).start()
    proxy = "http://127.0.0.1:%d" % s.server_address[1]
    with Home(hub) as home:
        done = home.pull(SOURCE, http_proxy=proxy)
        check(done.code == 1 and "status 418" in done.err and seen[0].startswith(hub.url + "/api/models"), "http_proxy", (done, seen))
        done = home.pull(SOURCE, http_proxy=proxy, no_proxy="127.0.0.1,127.0.0.2")
        check(done.code == 0, "no_proxy", done)
    s.shutdown()


def secure(hub):
    """HTTPS with a certificate of one's own: refused, and trusted with --ca-file and SSL_CERT_FILE."""
    import ssl
    hub.forget()
    with Home(hub) as home:
        cert, key = (os.path.join(home.tmp.name, n) for n in ("cert.pem", "key.pem"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=hub",
                        "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
                       check=True, stderr=subprocess.DEVNULL)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        s = fixture.Server(("127.0.0.1", 0), fixture.HubHandler)
        s.hub = hub
        s.socket = context.wrap_socket(s.socket, server_side=True)
        fixture.threading.Thread(target=s.serve_forever, args=(0.05,), daemon=True).start()
        url = "https://127.0.0.1:%d" % s.server_address[1]
        done = home.pull("jabber/small", HF_ENDPOINT=url)
        check(done.code == 1 and "not trusted" in done.err and "--ca-file" in done.err, "a certificate nobody signed", done)
        done = home.pull("jabber/small", "--ca-file", os.path.join(home.tmp.name, "none"), HF_ENDPOINT=url)
        check(done.code == 1, "a CA file that is not there", done)
        done = home.pull("jabber/small", "--ca-file", cert, HF_ENDPOINT=url)
        check(done.code == 1 and "no redirect from https to http" in done.err, "from https down to http", done)
        hub.add("jabber/files", {n: b"{}" for n in ("config.json", "special_tokens.json")})
        done = home.pull("jabber/files", HF_ENDPOINT=url, SSL_CERT_FILE=cert)
        check(done.code == 1 and "not an OpenAudio S1 model" in done.err, "SSL_CERT_FILE", done)
        s.shutdown()


def killed(hub):
    """kill -9 at random moments: what is noted is never asked for again, and the end is right."""
    hub.forget()
    hub.fault.bytes_per_second = 20 << 20
    chance = random.Random(20)
    n_kill = n_done = n_kept = 0
    with Home(hub) as home:
        while n_kill < 40:
            kept = part(home)
            hub.requests.clear()
            p = home.start("pull", SOURCE, "--accept-licence", "--connections", "3")
            if n_kill % 4:  # else while it starts
                while not hub.storage_requests() and p.poll() is None:
                    time.sleep(0.005)
            time.sleep(chance.uniform(0, 0.5))
            p.kill()
            p.communicate()
            n_kill += 1
            n_kept += len(kept)
            check(not asked(hub.storage_requests()) & kept, "chunks that are noted are not asked for again",
                  (asked(hub.storage_requests()), kept))
            check(part(home) >= kept or not os.path.exists(home.path(".pull", "tiny", "source", "tiny.gguf.part")),
                  "nor lost", (part(home), kept))
            if os.path.exists(home.path("tiny", "manifest.json")) or chance.random() < 0.1:
                kept = part(home)
                hub.requests.clear()
                done = home.pull(SOURCE)
                check(done.code == 0 and model(home) == hub.data, "the pull after a kill", done)
                check(not asked(hub.storage_requests()) & kept, "nor by the pull that ends", kept)
                check(home.run("models", "verify", "tiny").code == 0, "its hash")
                home.run("models", "rm", "tiny")
                n_done += 1
        check(n_done > 1 and n_kept > 40, "the test tests something", (n_done, n_kept))
        done = home.pull(SOURCE)
        check(done.code == 0 and model(home) == hub.data, "the last pull", done)
    hub.forget()
    with Home(hub) as home:  # while it converts
        for _ in range(10):
            p = home.start("pull", "jabber/nano", "--accept-licence")
            time.sleep(chance.uniform(0.1, 0.6))
            p.kill()
            p.communicate()
        done = home.pull("jabber/nano")
        check(done.code == 0 and home.run("models", "verify", "nano").code == 0, "after kills in the conversion", done)
        check(not os.listdir(home.path(".pull")) and len(os.listdir(home.path("nano"))) == 2, "nothing is left",
              os.listdir(home.path("nano")))


def torn(hub):
    """What a power cut leaves: noted chunks whose bytes are not there, a line half written."""
    hub.forget()
    hub.fault.bytes_per_second = 10 << 20
    with Home(hub) as home:
        p = home.start("pull", SOURCE, "--accept-licence", "--connections", "2")
        while len(part(home)) < 3:
            time.sleep(0.05)
        p.kill()
        p.communicate()
        base = home.path(".pull", "tiny", "source", "tiny.gguf")
        lost = min(part(home))
        with open(base + ".part", "r+b") as f:
            f.seek(lost * CHUNK + 77)
            f.write(b"\0" * 4096)
        with open(base + ".chunks", "a") as f:
            f.write("7 0123")
        kept = part(home)
        check(lost not in kept and kept, "some are right", kept)
        hub.forget()
        done = home.pull(SOURCE)
        check(done.code == 0 and model(home) == hub.data, "torn", done)
        check(lost in asked(hub.storage_requests()) and not kept & asked(hub.storage_requests()), "only what is lost comes again",
              (asked(hub.storage_requests()), kept))


def stopped(hub):
    """Ctrl-C: exit code 130, and the next pull goes on."""
    hub.forget()
    hub.fault.bytes_per_second = 10 << 20
    with Home(hub) as home:
        p = home.start("pull", SOURCE, "--accept-licence", "--connections", "2")
        while len(part(home)) < 2:
            time.sleep(0.05)
        p.send_signal(signal.SIGINT)
        p.communicate(timeout=20)
        check(p.returncode == 130, "Ctrl-C", p.returncode)
        kept = part(home)
        hub.forget()
        done = home.pull(SOURCE)
        check(done.code == 0 and not kept & asked(hub.storage_requests()), "goes on", (done, kept))


def full(hub):
    """A disk that fills up, or is too small from the start."""
    hub.forget()
    with Home(hub) as home:
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (15 << 20, 15 << 20))
        p = subprocess.run([BINARY, "pull", SOURCE, "--accept-licence", "--connections", "1"], env=home.env, text=True,
                           stderr=subprocess.PIPE, preexec_fn=limit)
        # the file gets its length first, so the limit shows at once
        check(p.returncode == 1 and "the disk is full" in p.stderr, "a limit on files", (p.returncode, p.stderr))
        check(home.pull(SOURCE).code == 0, "and then without it")
    with Home(hub) as home:
        os.makedirs(home.models)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=110m", "tmpfs", home.models], stderr=subprocess.DEVNULL).returncode:
            print("  no tmpfs of a size can be mounted here (needs root): the disk that fills up is left out")
            return
        try:
            filler = home.path("filler")
            hub.fault.bytes_per_second = 12 << 20
            p = home.start("pull", SOURCE, "--accept-licence", "--connections", "1")
            while not part(home):
                time.sleep(0.02)
            subprocess.run(["dd", "if=/dev/zero", f"of={filler}", "bs=1M"], stderr=subprocess.DEVNULL)
            out, err = p.communicate(timeout=60)
            check(p.returncode == 1 and "the disk is full" in err and "goes on" in err, "a disk that fills up", (p.returncode, err))
            kept = part(home)
            hub.forget()
            done = home.pull(SOURCE)
            check(done.code == 1 and "too small" in done.err and not hub.storage_requests(), "is seen before the first byte", done)
            os.unlink(filler)
            done = home.pull(SOURCE)
            check(done.code == 0 and model(home) == hub.data and kept and not kept & asked(hub.storage_requests()),
                  "with room again it goes on", (done, kept))
        finally:
            subprocess.run(["umount", home.models])


def at_once(hub):
    """Two pulls of one name: one waits for the other, and then finds it installed."""
    hub.forget()
    hub.fault.bytes_per_second = 30 << 20
    with Home(hub) as home, concurrent.futures.ThreadPoolExecutor() as pool:
        both = list(pool.map(lambda _: home.pull(SOURCE), range(2)))
        check([d.code for d in both] == [0, 0] and model(home) == hub.data, "two at once", both)
        check(hub.bytes_sent() == len(hub.data), "downloaded once", hub.bytes_sent())


def alone(test):
    """One test with a hub of its own."""
    with fixture.Hub() as hub:
        with open(TINY, "rb") as f:
            hub.data = f.read()
        hub.add(SOURCE, {"tiny.gguf": hub.data})
        hub.add("jabber/small", {"small.gguf": b"GGUF" * 100})
        hub.add_directory("jabber/nano", NANO)
        begin = time.monotonic()
        test(hub)
        print(f"{test.__name__}: {time.monotonic() - begin:.1f} s", flush=True)


def main():
    tests = (refused, recovers, killed, proxied, secure, torn, stopped, full, at_once)
    wanted = [t for t in tests if len(sys.argv) < 2 or t.__name__ in sys.argv]
    with concurrent.futures.ThreadPoolExecutor(3) as pool:  # they wait most of the time
        list(pool.map(alone, wanted))
    return report()


if __name__ == "__main__":
    sys.exit(main())
