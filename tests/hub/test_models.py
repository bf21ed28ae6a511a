"""Several models at once: those that are installed, chosen by name, within a budget of memory that
holds two of three."""
import concurrent.futures
import json
import os
import random
import sys

import fixture
from puller import NANO, TINY, Home, check, live, report

ASK = {"input": "One two.", "response_format": "pcm", "seed": 1, "temperature": 0.5}
NAMES = ("large", "middle", "small")


def listed(s):
    return {m["id"]: m["jabbertts"] for m in s.call("GET", "/v1/models").json()["data"]}


def metric(s, name):
    return next(float(line.split()[-1]) for line in s.call("GET", "/metrics").body.decode().splitlines()
                if line.startswith(name + " "))


def speak(s, model):
    return s.call("POST", "/v1/audio/speech", json={**ASK, "model": model, "voice": "default"})


def known(s):
    models = listed(s)
    check(list(models)[:3] == sorted(NAMES) and "tts-1" in models and "espeak-ng" in models, "all that are installed", models)
    check(models["tts-1"]["name"] == "large" and models["large"]["file_bytes"] > models["small"]["file_bytes"],
          "OpenAI's names are the first one's", models)
    check(models["middle"]["licence"] == "cc-by-nc-4.0" and models["middle"]["non_commercial"]
          and not models["small"]["non_commercial"], "licences", models)
    check(models["large"]["sample_rate"] == 16000 and models["espeak-ng"]["engine"] == "espeak-ng", "rates", models)
    check(s.call("GET", "/v1/models/middle").json()["jabbertts"]["licence_url"].endswith("by-nc/4.0/"), "one of them")
    voices = {m: {v["id"] for v in s.call("GET", f"/v1/audio/voices?model={m}").json()["voices"]} for m in ("large", "small")}
    check("alloy" in voices["large"] and "alloy" in voices["small"], "voices of a model", voices)
    r = s.call("GET", "/v1/audio/voices?model=none")
    check(r.status == 404 and r.error()["code"] == "model_not_found", "voices of none", r.body)
    r = speak(s, "smal")
    check(r.status == 404 and "did you mean 'small'" in r.error()["message"], "a name that is none", r.body)


def mixed(s, budget):
    """200 requests in random order from eight users."""
    alone = {m: speak(s, m).body for m in NAMES}
    check(len({bytes(b) for b in alone.values()}) == 3, "three models, three sounds")
    chance = random.Random(3)
    order = [chance.choice(NAMES) for _ in range(200)]
    most = []

    def one(model):
        r = speak(s, model)
        most.append(metric(s, "jabbertts_models_bytes"))
        return model, r.status, r.body
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        done = list(pool.map(one, order))
    bad = [(m, status, body[:200]) for m, status, body in done if status != 200]
    check(not bad, "no request fails", (len(bad), bad[:2]))
    check(all(body == alone[m] for m, status, body in done if status == 200), "each says what it says alone")
    check(0 < max(most) <= budget, "the models stay within the budget", (max(most), budget))
    check(1 <= sum(listed(s)[m]["loaded"] for m in NAMES) <= 2, "at most two are loaded")


def main():
    with fixture.Hub() as hub, Home(hub) as home:
        hub.add_directory("jabber/middle", NANO, licence="cc-by-nc-4.0")
        hub.add_directory("jabber/small", NANO, licence="mit")
        check(home.pull(TINY, "--name", "large").code == 0, "pull")
        check(home.pull("jabber/middle", "--type", "q8").code == 0 and home.pull("jabber/small", "--type", "f16").code == 0, "pull")
        home.env["XDG_CONFIG_HOME"] = os.path.join(home.tmp.name, "config")
        models = ("--model-dir", home.models, "--threads", "2", "--slots", "2", "--context", "300",
                  "--max-wait", "0", "--queue", "200", "--prefix-mb", "8")
        with live.Server(*models) as s:
            known(s)
            cost = {m: listed(s)[m]["memory_bytes"] for m in NAMES}
        least = min(cost.values())
        budget = (sum(cost.values()) - least // 2) // (1 << 20) + 1
        named = [w for m in NAMES for w in ("--model", m)]
        with live.Server(*models, *named, "--memory-budget", str(budget)) as s:
            mixed(s, budget << 20)
        done = home.run("serve", *models, *named, "--memory-budget", "1", "--port", "0")
        check(done.code == 1 and "memory budget is 1 MiB" in done.err, "a budget that holds none", done)
        done = home.run("serve", *models, "--model", "none", "--port", "0")
        check(done.code == 1 and "jabbertts pull none" in done.err, "a model that is not installed", done)
        done = home.run("config", "show", "--model", "a", "--model", "b")
        check(done.out.count("\nmodel = ") == 2, "config show", done.out[:600])
        print(json.dumps(cost), budget)
    return report()


if __name__ == "__main__":
    sys.exit(main())
