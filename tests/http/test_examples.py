"""The documents: their curl commands do what they say, and their links lead somewhere."""
import glob
import os
import re
import subprocess
import sys
import tempfile

import live
from live import check


def commands(path):
    with open(path) as f:
        text = f.read()
    for block in re.findall(r"```sh\n(.*?)```", text, re.S):
        for command in re.findall(r"^curl .*?[^\\]$", block, re.S | re.M):
            yield command


def unfenced(path):
    """A document without its blocks of code."""
    with open(path) as f:
        return re.sub(r"```.*?```", "", f.read(), flags=re.S)


def anchors(path):
    """What GitHub calls a document's headings."""
    headings = re.findall(r"^#+ (.*)$", unfenced(path), re.M)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def links():
    for path in [*glob.glob("*.md"), *glob.glob("docs/*.md"), "python/README.md"]:
        for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", unfenced(path)):
            name, _, anchor = link.partition("#")
            target = os.path.normpath(os.path.join(os.path.dirname(path), name)) if name else path
            check(os.path.exists(target) and (not anchor or anchor in anchors(target)), f"{path}: {link}", "leads nowhere")


links()
with tempfile.TemporaryDirectory() as directory, \
        live.Server("--threads", "1", "--voice-dir", os.path.join(directory, "voices")) as s:
    with open(os.path.join(directory, "me.mp3"), "wb") as f:  # the recording that an example uploads
        f.write(s.speech(input="What I say there, and a little more of it.").body)
    for path in "README.md", "docs/HTTP.md", "docs/GUIDE.md", "docs/INTEGRATIONS.md":
        found = list(commands(path))
        check(found, path, "no curl command in it")
        for command in found:
            check("localhost:8000" in command, path, command)
            r = subprocess.run(command.replace("localhost:8000", f"127.0.0.1:{s.port}") + " --fail", shell=True,
                               cwd=directory, capture_output=True, timeout=live.TIMEOUT)
            check(r.returncode == 0, command, r.stderr)
            name = re.search(r"-o (\S+)", command)
            if name and r.returncode == 0:
                size = os.path.getsize(os.path.join(directory, name.group(1)))
                check(size > 2000, command, size)
                os.remove(os.path.join(directory, name.group(1)))
sys.exit(live.report())
