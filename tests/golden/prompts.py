#!/usr/bin/env python3
"""prompts.py - a second implementation of the tokenizer and the prompt, and the golden prompts it makes.

    prompts.py              write ../cases/prompts anew: a vocabulary that joins marks across the seam between the speaker
                            mark and the text, and prompts of every kind of first character
    prompts.py --check      compute every prompt of every set here and compare; says how many differ

Written from docs/MODEL.md, in plain Python with NumPy; needs numpy and regex.
"""
import base64
import json
import pathlib
import sys

import numpy as np
import regex

HERE = pathlib.Path(__file__).parent
PROMPTS = HERE.parent / "cases/prompts"
SPEAKER = "<|speaker:0|>"
SPACE = r"[\t\n\x0b\x0c\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
NOT_SPACE = SPACE.replace("[", "[^", 1)
PATTERN = regex.compile(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|\p{P}|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^" + SPACE[1:-1] + r"\p{L}\p{N}]+[\r\n]*|" + SPACE + r"*[\r\n]+|" + SPACE + r"+(\?!" + NOT_SPACE + r")|"
    + SPACE + "+")


class Tokenizer:
    def __init__(self, folder):
        lines = (folder / "tokenizer.tiktoken").read_bytes().split(b"\n")
        ranked = [line.split() for line in lines if line.strip() and line.split()[0] != b"="]
        self.ranks = {base64.b64decode(t): int(r) for t, r in ranked}
        names = json.loads((folder / "special_tokens.json").read_text())
        self.special = {name: len(self.ranks) + i for i, name in enumerate(names)}
        self.split = regex.compile("(" + "|".join(regex.escape(s) for s in sorted(names, key=len, reverse=True)) + ")")
        self.semantic = self.special["<|semantic:0|>"]

    def merge(self, piece):
        if piece in self.ranks:
            return [self.ranks[piece]]
        parts = [bytes([b]) for b in piece]
        while len(parts) > 1:
            rank, i = min((self.ranks.get(a + b, 1 << 30), i) for i, (a, b) in enumerate(zip(parts, parts[1:])))
            if rank == 1 << 30:
                break
            parts[i:i + 2] = [parts[i] + parts[i + 1]]
        return [self.ranks[p] for p in parts]

    def encode(self, text):
        ids = []
        for part in self.split.split(text):
            if part in self.special:
                ids.append(self.special[part])
                continue
            for m in PATTERN.finditer(part):
                ids += self.merge(m.group().encode())
        return ids


def prompt(t, text, references, n_codebook):
    """[1 + n_codebook, columns]: token ids, then codes; every part is encoded on its own."""
    def words(*parts):
        ids = [i for p in parts for i in t.encode(p)]
        return np.vstack([ids, np.zeros((n_codebook, len(ids)))]) if ids else np.zeros((1 + n_codebook, 0))
    columns = [words("<|interleave|>")]
    for ref_text, codes in references:
        columns += [words(SPEAKER, ref_text), np.vstack([t.semantic + codes[:1], codes]), words("<|im_end|>")]
    return np.hstack(columns + [words(SPEAKER, text)]).astype(int)


def make():
    """Ranks: all bytes, then pairs and triples that begin with the mark's last characters."""
    firsts = ["(", "[", "{", "\"", "'", "-", ".", "!", "?", ">", "|", "<", "$", "+", "=", "*", "\n", "\r\n", "\u201c", "\u00bf",
              "\u2014", "\u2026", "\u300c", "\uff08", "\u20ac", "\U0001f600", "\u0301", " ", "H", "7"]
    tokens = [bytes([b]) for b in range(256)]
    for f in firsts:
        f = f.encode()
        tokens += [f[:i] for i in range(2, len(f) + 1)] + [b">" + f]
    tokens += [b"|>", b"|>(", b">((", b"Hello", b" Hello"]
    tokens = list(dict.fromkeys(tokens))
    special = ["<|im_end|>", "<|interleave|>"] + ["<|semantic:%d|>" % i for i in range(8)]
    folder = PROMPTS
    (folder / "tokenizer.tiktoken").write_text("".join("%s %d\n" % (base64.b64encode(t).decode(), i) for i, t in enumerate(tokens)))
    (folder / "special_tokens.json").write_text(json.dumps({s: len(tokens) + i for i, s in enumerate(special)}, indent=0) + "\n")
    t, rng, cases = Tokenizer(folder), np.random.default_rng(1), []
    texts = [f + "Hello" for f in firsts] + ["(excited) Hello", "((Hello", "(\nHello", ">(Hello", "  Hello", "", "(", "\n\n", "<|im_end|>Hello"]
    for i, text in enumerate(texts):                  # alone; then as a reference; then behind 2 to 8 of them
        cases.append((text, []))
        cases.append(("Hello", [text]))
        n = 2 + i % 7
        cases.append((text, [texts[(i + k) % len(texts)] for k in range(n)]))
    out = []
    for text, refs in cases:
        codes = [rng.integers(0, 8, (3, 1 + int(rng.integers(3)))) for _ in refs]
        m = prompt(t, text, list(zip(refs, codes)), 3)
        out.append({"text": text, "references": [{"text": r, "codes": c.tolist()} for r, c in zip(refs, codes)], "matrix": m.tolist()})
    (folder / "prompts.json").write_text("[\n" + ",\n".join(json.dumps(c) for c in out) + "\n]\n")


def check():
    n, bad = 0, []
    t = Tokenizer(PROMPTS)
    for c in json.loads((PROMPTS / "prompts.json").read_text()):
        refs = [(r["text"], np.array(r["codes"])) for r in c["references"]]
        n, bad = n + 1, bad + [c["text"]] * (prompt(t, c["text"], refs, 3).tolist() != c["matrix"])
    for s in sorted(HERE.glob("s1-*")):
        t, g = Tokenizer(s / "checkpoint"), s / "golden"
        for name, c in json.loads((g / "prompts.json").read_text()).items():
            want = np.load(g / ("prompt_%s.npy" % name))
            refs = [(r["text"], np.load(g / r["codes"])) for r in c.get("references", [])]
            n, bad = n + 1, bad + [s.name + " " + name] * (prompt(t, c["text"], refs, len(want) - 1).tolist() != want.tolist())
    print("%d prompts, %d differ %s" % (n, len(bad), bad))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(check() if "--check" in sys.argv[1:] else make())
