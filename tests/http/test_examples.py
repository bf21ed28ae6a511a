"""The curl commands of README.md and docs/HTTP.md do what they say."""
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


with tempfile.TemporaryDirectory() as directory, \
        live.Server("--threads", "1", "--voice-dir", os.path.join(directory, "voices")) as s:
    with open(os.path.join(directory, "me.mp3"), "wb") as f:  # the recording that an example uploads
        f.write(s.speech(input="What I say there, and a little more of it.").body)
    for path in "README.md", "docs/HTTP.md":
        found = list(commands(path))
        check(found, path, "no curl command in it")
        for command in found:
            check("localhost:8000" in command, path, command)
            r = subprocess.run(command.replace("localhost:8000", f"127.0.0.1:{s.port}"), shell=True,
                               cwd=directory, capture_output=True, timeout=live.TIMEOUT)
            check(r.returncode == 0, command, r.stderr)
            name = re.search(r"-o (\S+)", command)
            if name:
                size = os.path.getsize(os.path.join(directory, name.group(1)))
                check(size > 2000, command, size)
                os.remove(os.path.join(directory, name.group(1)))
sys.exit(live.report())
