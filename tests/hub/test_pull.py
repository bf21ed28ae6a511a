"""A pull end to end: names, licence, tokens, conversion, the shelf, the cache of the hub's own client."""
import hashlib
import json
import os
import shutil
import sys

import fixture
from puller import NANO, ODD, ROOT, TINY, Home, check, live, report


def leaked(hub):
    return [r.path for r in hub.storage_requests() if r.headers.get("Authorization")]


def a_known_name(hub):
    """The three lines of the README: pull, say, and what is known of it."""
    hub.forget()
    with Home(hub, HF_TOKEN=fixture.TOKEN) as home:
        done = home.run("pull", "s1-mini")
        check(done.code == 1 and "was not accepted" in done.err and "by-nc-sa" in done.err,
              "without --accept-licence a script is refused", done)
        check(not hub.storage_requests(), "before the licence is accepted no byte is asked for",
              len(hub.storage_requests()))
        done = home.pull("s1-mini", "--type", "q8")
        check(done.code == 0 and "non-commercial use only" in done.err and "to download" in done.err,
              "pull s1-mini", done)
        check(not leaked(hub), "the token stays at the hub", leaked(hub))
        check(any(r.headers.get("Authorization") == f"Bearer {fixture.TOKEN}" for r in hub.requests),
              "the hub sees the token")
        done = home.run("models", "show", "s1-mini", "--json")
        m = json.loads(done.out)
        data = open(m["path"], "rb").read()
        check(m["sha256"] == hashlib.sha256(data).hexdigest() and m["bytes"] == len(data)
              and m["licence"] == "cc-by-nc-sa-4.0" and m["non_commercial"] and m["type"] == "q8"
              and m["commit"] == hub.repositories["fishaudio/openaudio-s1-mini"].commit,
              "models show", m)
        check(sorted(os.listdir(home.path("s1-mini"))) == sorted([os.path.basename(m["path"]), "manifest.json"])
              and not os.path.exists(home.path(".pull", "s1-mini")), "nothing else is left",
              os.listdir(home.path("s1-mini")))
        wav = os.path.join(home.tmp.name, "a.wav")
        done = home.run("say", "Hello.", "--model", "s1-mini", "-o", wav, "--max-seconds", "1")
        check(os.path.exists(wav) or "not finished" in done.err, "say --model s1-mini", done)
        check(json.loads(home.run("models", "list", "--json").out)[0]["used_at"] > 0, "when it was used")
        before = len(hub.storage_requests())
        done = home.pull("s1-mini", "--type", "q8")
        check(done.code == 0 and len(hub.storage_requests()) == before, "what is installed is not pulled again", done)
        check(home.run("models", "verify", "s1-mini").code == 0, "models verify")
        with open(m["path"], "r+b") as f:
            f.seek(len(data) // 2)
            f.write(b"\0\1\2\3")
        done = home.run("models", "verify", "s1-mini")
        check(done.code == 1 and "has changed since it was installed" in done.err, "models verify finds a change", done)
        check(home.run("models", "rm", "s1-mini").code == 0 and not os.path.exists(home.path("s1-mini")), "models rm")
        done = home.run("say", "Hello.", "--model", "s1-mini", "-o", wav)
        check(done.code == 1 and "jabbertts pull s1-mini" in done.err, "say without it tells what to do", done)


def gated(hub):
    hub.forget()
    for env, words in (({}, ("gated", "HF_TOKEN", "/fishaudio/openaudio-s1-mini")),
                       ({"HF_TOKEN": "hf_stranger"}, ("gated", "no access")),
                       ({"HF_TOKEN": "hf_wrong"}, ("refuses the token",))):
        with Home(hub, **env) as home:
            done = home.pull("s1-mini")
            check(done.code == 1 and all(w in done.err for w in words), f"gated, with {env}", done)
    with Home(hub) as home:
        os.makedirs(os.path.join(home.tmp.name, "hf"))
        with open(os.path.join(home.tmp.name, "hf", "token"), "w") as f:
            f.write(f"  {fixture.TOKEN}\n")
        done = home.pull("s1-mini", HF_HOME=os.path.join(home.tmp.name, "hf"))
        check(done.code == 0, "the token of the token file", done)
        done = home.pull("s1-mini", "--name", "other", HF_HOME=os.path.join(home.tmp.name, "hf"),
                         HF_HUB_DISABLE_IMPLICIT_TOKEN="1")
        check(done.code == 1 and "gated" in done.err, "HF_HUB_DISABLE_IMPLICIT_TOKEN", done)


def names(hub):
    hub.forget()
    with Home(hub) as home:
        for source, words in (("owner/none", "no public repository owner/none"),
                              ("jabber/tiny@v9", 'no revision "v9"'),
                              ("jabber/tiny/none.gguf", "no file none.gguf"),
                              ("nonsense", "not a known name"), ("../x/y", "not a known name"),
                              ("owner/na me", "not a known name"), ("hf://../../etc", "not a known name"),
                              (f"{hub.url}/x/y/z.bin", "no address of a .gguf"),
                              ("jabber/empty", "not an OpenAudio S1 model"), ("jabber/two", "2 GGUF files")):
            done = home.pull(source)
            check(done.code == 1 and words in done.err, f"pull {source}", done)
        for source, name in (("jabber/tiny", "tiny"), ("hf://jabber/tiny@v1.0/x", "tiny"),
                             ("jabber/two/b.gguf", "b"), (f"{hub.url}/jabber/tiny", "tiny"),
                             (f"{hub.url}/jabber/tiny/resolve/main/tiny.gguf?download=true", "tiny"),
                             (TINY, "jabber-tiny"), (ODD, "checkpoint")):
            done = home.pull(source)
            check(done.code == 0 and os.path.exists(home.path(name, "manifest.json")), f"pull {source}", done)
            home.run("models", "rm", name)
        done = home.pull(TINY, "--name", "small", "--type", "q4")
        shown = json.loads(home.run("models", "show", "small", "--json").out)
        check(done.code == 0 and shown["bytes"] < os.path.getsize(TINY) and shown["licence"] == "", "a path, quantized", shown)
        done = home.pull(TINY, "--name", "../up")
        check(done.code == 1 and "cannot be a model's name" in done.err, "a name that leads elsewhere", done)
        done = home.pull(NANO, "--type", "f16", "--name", "half")
        check(done.code == 0, "a directory, f16", done)
        done = home.pull(os.path.join(ROOT, "README.md"))
        check(done.code == 1 and "not a model that can speak" in done.err, "a file that is no model", done)
        check(sorted(n for n in os.listdir(home.models) if n[0] != ".") == ["half", "small"],
              "what failed left nothing", os.listdir(home.models))


def updates(hub):
    """A new commit: another file takes the old one's place, which who has it open keeps."""
    hub.forget()
    hub.add_directory("jabber/moving", ODD)
    with Home(hub) as home:
        check(home.pull("jabber/moving").code == 0, "pull")
        old = json.loads(home.run("models", "show", "moving", "--json").out)
        done = home.run("models", "update", "moving")
        check(done.code == 0 and "is the newest" in done.err, "nothing new", done)
        with open(old["path"], "rb") as held:
            data = held.read()
            hub.add_directory("jabber/moving", NANO)
            done = home.run("models", "update", "moving")
            new = json.loads(home.run("models", "show", "moving", "--json").out)
            check(done.code == 0 and new["commit"] != old["commit"] and new["path"] != old["path"], "update", (done, new))
            check(not os.path.exists(old["path"]), "the old file is gone")
            held.seek(0)
            check(held.read() == data, "who has the old file open keeps it")


def default(hub):
    """The model that is meant where none is named."""
    with Home(hub) as home:
        def sound(*flags):
            path = os.path.join(home.tmp.name, "out.wav")
            done = home.run("say", "Hi.", "-o", path, "--seed", "1", "--max-seconds", "1", *flags)
            with open(path, "rb") as f:
                return done.code, f.read()
        check(home.pull(ODD, "--name", "zed", "--type", "f16").code == 0, "pull")
        check(home.pull(NANO, "--name", "ann", "--type", "f16").code == 0, "pull")
        built_in = sound()
        done = home.run("models", "use", "none")
        check(done.code == 1 and "jabbertts pull none" in done.err, "use what is not there", done)
        check(home.run("models", "use", "ann").code == 0, "use")
        check(sound() == sound("--model", "ann") != built_in, "say speaks with it")
        check(sound("--model", "jabber-tiny") == built_in, "the built-in one by its name")
        rows = {m["name"]: m["default"] for m in json.loads(home.run("models", "--json").out)}
        check(rows == {"ann": True, "zed": False} and "the default" in home.run("models").out, "list", rows)
        with live.Server("--model-dir", home.models) as s:
            check(s.call("GET", "/v1/models").json()["data"][0]["id"] == "ann", "serve has it first")
        check(home.run("models", "rm", "ann").code == 0 and sound() == built_in, "it is removed")
        check(home.run("models", "use", "zed").code == 0 and home.run("models", "use", "jabber-tiny").code == 0
              and sound() == built_in, "back to the built-in one")
        check(home.pull(NANO, "--name", "ann", "--type", "f16").code == 0, "pull")
        with live.Server("--model-dir", home.models) as s:
            check([m["id"] for m in s.call("GET", "/v1/models").json()["data"][:3]] == ["zed", "ann", "jabber-tiny"],
                  "a model that comes later does not become the default", s.call("GET", "/v1/models").body[:300])


def client_cache(hub):
    """Files of the hub's own client are used, by their hashes, and never written."""
    hub.forget()
    repo = hub.repositories["jabber/nano"]
    with Home(hub) as home:
        base = os.path.join(home.tmp.name, "hub", "models--jabber--nano")
        snapshot = os.path.join(base, "snapshots", repo.commit)
        for d in (os.path.join(base, "blobs"), snapshot, os.path.join(base, "refs")):
            os.makedirs(d)
        with open(os.path.join(base, "refs", "main"), "w") as f:
            f.write(repo.commit)
        for name, data in repo.files.items():
            blob = repo.sha256[name] if name.endswith(fixture.LARGE) else repo.git[name]
            with open(os.path.join(base, "blobs", blob), "wb") as f:
                f.write(data)
            os.symlink(f"../../blobs/{blob}", os.path.join(snapshot, name))
        cache = {"HF_HUB_CACHE": os.path.join(home.tmp.name, "hub")}
        done = home.pull("jabber/nano", **cache)
        check(done.code == 0 and not hub.storage_requests(), "the cache spares the download", done)
        check(done.err.count("0 bytes to download") == 1, "and the plan says so", done)
        check(home.run("models", "rm", "nano").code == 0, "rm")
        asked = len(hub.requests)
        done = home.pull("jabber/nano", HF_HUB_OFFLINE="1", **cache)
        check(done.code == 0 and len(hub.requests) == asked, "offline, from the cache", done)
        home.run("models", "rm", "nano")
        blob = os.path.join(base, "blobs", repo.sha256["model.pth"])
        with open(blob, "r+b") as f:
            f.write(b"damaged")
        done = home.pull("jabber/nano", HF_HUB_OFFLINE="1", **cache)
        check(done.code == 1 and "damaged" in done.err, "a damaged blob, offline", done)
        done = home.pull("jabber/nano", **cache)
        check(done.code == 0 and len({r.path.split("?")[0] for r in hub.storage_requests()}) == 1,
              "a damaged blob is downloaded, and only that", (done, len(hub.storage_requests())))
        check(open(blob, "rb").read(7) == b"damaged", "the cache is not ours to write")
        home.run("models", "rm", "nano")
        shutil.rmtree(base)
        done = home.pull("jabber/nano", HF_HUB_OFFLINE="1", **cache)
        check(done.code == 1 and "HF_HUB_OFFLINE" in done.err, "offline without it", done)


def programs(hub):
    """--json: a line for each event."""
    hub.forget()
    with Home(hub) as home:
        done = home.run("pull", "jabber/nano", "--json")
        events = [json.loads(line) for line in done.out.splitlines()]
        plan = [e for e in events if e["event"] == "plan"]
        check(done.code == 1 and events[-1]["event"] == "error" and plan[0]["licence"] == "mit", "refused", done)
        done = home.pull("jabber/nano", "--json")
        events = [json.loads(line) for line in done.out.splitlines()]
        check(done.code == 0 and events[-1]["event"] == "done" and os.path.exists(events[-1]["path"]) and
              {"download", "convert", "quantize", "install"} <= {e.get("stage") for e in events}, "installed", done)
        done = home.pull("jabber/nano", "--quiet", "--name", "again")
        check(done.code == 0 and done.out == "" and done.err == "", "--quiet", done)


def main():
    with fixture.Hub() as hub:
        hub.add_directory("fishaudio/openaudio-s1-mini", NANO, licence="cc-by-nc-sa-4.0", gated=True)
        hub.add_directory("jabber/nano", NANO, licence="mit")
        with open(TINY, "rb") as f:
            tiny = f.read()
        hub.add("jabber/tiny", {"tiny.gguf": tiny, "README.md": b"# Tiny"})
        hub.add("jabber/two", {"a.gguf": b"GGUF", "b.gguf": tiny})
        hub.add("jabber/empty", {"README.md": b""})
        for test in (a_known_name, gated, names, updates, default, client_cache, programs):
            test(hub)
    return report()


if __name__ == "__main__":
    sys.exit(main())
