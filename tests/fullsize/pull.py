#!/usr/bin/env python3
"""pull.py [--dir DIR] [--scale N] [TYPE...] - a model of S1-mini's size, from a hub to the first sound.

A hub on loopback (tests/hub/fixture.py) has the files that run.py makes, with other values than the published ones.
For each TYPE (default: mixed) two commands run: `jabbertts pull fishaudio/openaudio-s1-mini --type TYPE` and `say --model`.
Prints what each took: seconds, of the processor too, and the most memory.  The files stay in DIR, if it is given.
Standard library only.
"""
import argparse
import json
import mmap
import os
import pathlib
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "hub")]
import run as made  # noqa: E402
import fixture  # noqa: E402
from puller import Home  # noqa: E402

NAME = "fishaudio/openaudio-s1-mini"


def files_in(folder):
    files = {}
    for path in sorted(folder.iterdir()):
        with open(path, "rb") as f:
            files[path.name] = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
    return files


def peak_kb(pid):
    """Most memory so far.  What wait4 says begins with that of this program, which has the files mapped."""
    try:
        with open(f"/proc/{pid}/status") as f:
            return max([int(line.split()[1]) for line in f if line.startswith("VmHWM:")], default=0)
    except OSError:
        return 0


def measured(home, *words):
    """Runs a command; its exit code, what it took, and what it said."""
    start, peak, done = time.monotonic(), 0, 0
    p = home.start(*words)
    while not done:
        peak = max(peak, peak_kb(p.pid))
        done, status, used = os.wait4(p.pid, os.WNOHANG)
        time.sleep(0.1)
    p.returncode = os.waitstatus_to_exitcode(status)
    took = {"seconds": round(time.monotonic() - start, 1), "processor_s": round(used.ru_utime + used.ru_stime, 1),
            "peak_mb": round(peak * 1024 / 1e6)}
    error = p.stderr.read()
    if p.returncode not in (0, 1):  # 1: a voice of random weights does not end by itself
        raise SystemExit(f"FAIL {' '.join(words)}: {error}")
    return p.returncode, took, error


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--dir", type=pathlib.Path)
    a.add_argument("--scale", type=int, default=1)
    a.add_argument("types", nargs="*", default=["mixed"])
    a = a.parse_args()
    with tempfile.TemporaryDirectory(prefix="fullsize-") as scratch:
        folder = (a.dir or pathlib.Path(scratch)) / "files"
        if not folder.exists():
            made.make_pth(folder, a.scale)
        with fixture.Hub() as hub:
            hub.add(NAME, files_in(folder), licence="cc-by-nc-sa-4.0")
            for kind in a.types:
                with Home(hub, TMPDIR=scratch) as home:
                    code, pulled, error = measured(home, "pull", NAME, "--type", kind, "--accept-licence", "--name", "s1")
                    made.expect("pull", (code, error if code else ""), (0, ""))
                    wav = os.path.join(home.tmp.name, "out.wav")
                    _, said, error = measured(home, "say", "Hello there.", "--model", "s1", "--max-seconds", "1", "-o", wav)
                    made.expect("sound", os.path.exists(wav) and os.path.getsize(wav) > 20000, True)
                    size = json.loads(home.run("models", "show", "s1", "--json").out)["bytes"]
                    print(json.dumps({"type": kind, "file_mb": round(size / 1e6), "pull": pulled, "say": said}), flush=True)


if __name__ == "__main__":
    main()
