"""Words and characters that a listener gets wrong.  The listener is Whisper base in int8, beam 5.

Sentences are listened to in pages of at most 28 s, half a second apart, since Whisper hears half a
minute at a time whatever it is given.  Numbers and abbreviations are written out on both sides by
`jabbertts text`, so that "$5" is no error for "five dollars"."""

import os
import re
import subprocess

import numpy as np

from ear.home import HOME
from ear.systems import BIN

HZ = 16000
PAGE_S, GAP_S = 28.0, 0.5
BRITISH = {"grey": "gray", "harbour": "harbor", "colour": "color", "centre": "center", "ok": "okay",
           "neighbour": "neighbor", "neighbours": "neighbors", "theatre": "theater", "metre": "meter",
           "metres": "meters", "tyre": "tire", "favourite": "favorite"}


class Listener:
    def __init__(self, threads, notes):
        from faster_whisper import WhisperModel
        self.model = WhisperModel(os.path.join(HOME, "whisper-base"), device="cpu", compute_type="int8",
                                  cpu_threads=threads)
        self.notes = notes

    def transcribe(self, pcm):
        parts, _ = self.model.transcribe(pcm, language="en", beam_size=5,
                                         condition_on_previous_text=False)
        return " ".join(p.text.strip() for p in parts)

    def hear(self, pcm):
        return self.notes.of("words", pcm, lambda: self.transcribe(pcm))


def spoken(texts):
    """Each text as words, numbers written out: a list of lists."""
    marked = "\n\n".join(" ".join(t.split()) or "-" for t in texts)
    out = subprocess.run([BIN, "text", "--stage", "normalized", "-i", "-"], input=marked,
                         capture_output=True, text=True, check=True).stdout
    lines = [line for line in re.split(r"\n\s*\n", out.strip("\n"))]
    if len(lines) != len(texts):  # a text that normalizes to nothing shifts the others: one by one
        lines = texts if len(texts) == 1 else [" ".join(w) for t in texts for w in spoken([t])]
    words = [re.findall(r"[^\W_]+(?:'[^\W_]+)*", t.lower().replace("’", "'")) for t in lines]
    return [[BRITISH.get(w, w) for w in one] for one in words]


def distance(a, b):
    """Levenshtein."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        corner, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            corner, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, corner + (x != y))
    return row[-1]


def pages(items):
    """Indices of items = [(kind, text, pcm at HZ)], grouped to pages of one kind."""
    page, length = [], 0.0
    for i, (kind, _, pcm) in enumerate(items):
        s = len(pcm) / HZ + GAP_S
        if page and (length + s > PAGE_S or kind != items[page[0]][0]):
            yield page
            page, length = [], 0.0
        page.append(i)
        length += s
    if page:
        yield page


def errors(listener, items):
    """For each page: kind, words, wrong words, characters, wrong characters, expected, heard."""
    gap, rows = np.zeros(int(GAP_S * HZ), np.float32), []
    for page in pages(items):
        pcm = np.concatenate([p for i in page for p in (items[i][2], gap)])
        rows.append((items[page[0]][0], " ".join(items[i][1] for i in page), listener.hear(pcm)))
    want, got = spoken([r[1] for r in rows]), spoken([r[2] for r in rows])
    return [dict(kind=kind, words=len(w), wrong=distance(w, g), chars=len("".join(w)),
                 wrong_chars=distance("".join(w), "".join(g)), expected=text, heard=heard)
            for (kind, text, heard), w, g in zip(rows, want, got)]


def rate(rows, wrong="wrong", of="words"):
    """Rate and the interval that holds 95 % of 2000 resamplings of the pages."""
    a, b = np.array([r[wrong] for r in rows], float), np.array([r[of] for r in rows], float)
    pick = np.random.default_rng(1).integers(0, len(a), (2000, len(a)))
    low, high = np.percentile(a[pick].sum(1) / b[pick].sum(1), [2.5, 97.5])
    return a.sum() / b.sum(), low, high
