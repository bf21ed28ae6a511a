"""What hostile clients and web pages try: keys and owners of what is stored."""
import base64
import sys
import tempfile

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


if __name__ == "__main__":
    owners()
    not_utf8()
    sys.exit(live.report())
