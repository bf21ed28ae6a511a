#!/usr/bin/env python3
"""bench/times.py - how far are word times from those that Whisper hears?

    bench/times.py [--n 60] [--model FILE] [--voice NAME] [--dir DIR]

Sentences are bench/sentences.txt.  The listener is Whisper base in int8 (bench/ear/home.py installs
it); its times come from its own attention, in steps of 20 ms, and are no truth either: words that it
hears otherwise are left out, and starts are compared, since it ends words where the next begins.
Prints the median, the 90th and 95th percentile of the error, and whether the order was ever wrong."""

import argparse
import difflib
import json
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from ear.home import HOME, ROOT, enter  # noqa: E402

BIN = os.path.join(ROOT, os.environ.get("BUILD", "build"), "jabbertts")


def plain(word):
    return re.sub(r"[^a-z0-9']", "", word.lower().replace("’", "'"))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--n", type=int, default=60)
    p.add_argument("--model")
    p.add_argument("--voice")
    p.add_argument("--dir")
    a = p.parse_args()
    enter(__file__)
    from faster_whisper import WhisperModel, decode_audio
    listener = WhisperModel(os.path.join(HOME, "whisper-base"), device="cpu", compute_type="int8",
                            cpu_threads=2)
    with open(os.path.join(HERE, "sentences.txt"), encoding="utf-8") as f:
        texts = [line.strip() for line in f if line.strip()][:a.n]
    starts, n_word, disordered = [], 0, 0
    with tempfile.TemporaryDirectory() as made:
        folder = a.dir or made
        for i, text in enumerate(texts):
            wav, times = (os.path.join(folder, f"{i}{e}") for e in (".wav", ".json"))
            extra = (["--model", a.model] if a.model else []) + (["--voice", a.voice] if a.voice else [])
            subprocess.run([BIN, "say", text, "-o", wav, "--captions", times, *extra], check=True,
                           stderr=subprocess.DEVNULL)
            with open(times, encoding="utf-8") as f:
                ours = json.load(f)["words"]
            parts, _ = listener.transcribe(decode_audio(wav, sampling_rate=16000), language="en",
                                           beam_size=5, word_timestamps=True)
            theirs = [w for part in parts for w in part.words]
            n_word += len(ours)
            disordered += sum(x["end"] > y["start"] + 1e-6 or x["start"] > x["end"]
                              for x, y in zip(ours, ours[1:]))
            same = difflib.SequenceMatcher(None, [plain(w["word"]) for w in ours],
                                           [plain(w.word) for w in theirs], autojunk=False)
            for block in same.get_matching_blocks():
                for k in range(block.size):
                    o, t = ours[block.a + k], theirs[block.b + k]
                    starts.append((abs(o["start"] - t.start), o["start"] - t.start, text, o["word"]))
    error = sorted(s[0] for s in starts)
    signed = sorted(s[1] for s in starts)

    def at(share, of):
        return 1000 * of[min(len(of) - 1, int(share * len(of)))]
    spread = sorted(abs(s - at(.5, signed) / 1000) for s in signed)
    print(f"{len(texts)} sentences, {n_word} words, {len(error)} heard as written; error of starts in ms: "
          f"median {at(.5, error):.0f}, p90 {at(.9, error):.0f}, p95 {at(.95, error):.0f}; "
          f"signed median {at(.5, signed):.0f}, without it median {at(.5, spread):.0f}, p95 "
          f"{at(.95, spread):.0f}; out of order {disordered}")
    for s in sorted(starts, reverse=True)[:5]:
        print(f"  {1000 * s[1]:+.0f} ms: {s[3]!r} in {s[2]!r}")


if __name__ == "__main__":
    main()
