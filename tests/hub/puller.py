"""`jabbertts pull` and its kin against the hub of fixture.py, in a home of their own.

    with puller.Home(hub) as home:
        done = home.run("pull", "s1-mini", "--accept-licence")
        done.code, done.out, done.err
    check(condition, "what should have been", detail); sys.exit(report())
"""
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(os.path.join(HERE, "..", ".."))
sys.path[:0] = [os.path.join(HERE, "..", "http")]
import live  # noqa: E402,F401
from live import BINARY, TIMEOUT, check, report  # noqa: E402,F401

NANO = os.path.join(ROOT, "tests/golden/s1-nano/checkpoint")
ODD = os.path.join(ROOT, "tests/golden/s1-odd/checkpoint")
TINY = os.path.join(ROOT, "models/jabber-tiny.gguf")


class Done:
    def __init__(self, process, out, err):
        self.code, self.out, self.err = process.returncode, out, err

    def __repr__(self):
        return f"exit code {self.code}, out {self.out[-400:]!r}, err {self.err[-800:]!r}"


class Home:
    def __init__(self, hub, **env):
        self.tmp = tempfile.TemporaryDirectory()
        clean = {k: v for k, v in os.environ.items()
                 if not re.match("JABBERTTS_|HF_|HUGGING|.*_proxy$|SSL_CERT_FILE|XDG_", k, re.I)}
        self.env = {**clean, "HOME": self.tmp.name, "XDG_DATA_HOME": os.path.join(self.tmp.name, "data"),
                    "XDG_CONFIG_HOME": os.path.join(self.tmp.name, "config"),
                    "PULSE_RUNTIME_PATH": os.path.join(self.tmp.name, "pulse"),
                    "HF_ENDPOINT": hub.url, "HF_HUB_DOWNLOAD_TIMEOUT": "2", **env}
        self.models = os.path.join(self.env["XDG_DATA_HOME"], "jabbertts", "models")

    def __enter__(self):
        return self

    def __exit__(self, *why):
        self.tmp.cleanup()

    def start(self, *arguments, **env):
        return subprocess.Popen([BINARY, *arguments], env={**self.env, **env}, text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def run(self, *arguments, **env):
        p = self.start(*arguments, **env)
        return Done(p, *p.communicate(timeout=TIMEOUT))

    def pull(self, source, *flags, **env):
        return self.run("pull", source, "--accept-licence", *flags, **env)

    def path(self, *names):
        return os.path.join(self.models, *names)
