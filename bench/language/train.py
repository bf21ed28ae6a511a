#!/usr/bin/env python3
"""Train src/text/latin.table, which tells Latin-script languages apart (src/text/latin.c).

    bench/language/fetch DIR                                     what it is trained on
    python3 bench/language/train.py DIR src/text/latin.table     needs numpy, scipy, brotli

A multinomial logistic regression over hashed character n-grams of words: 1 to 4 characters, word
ends included, and the whole word, three times.  Trained on sentences (GNOME's and LibreOffice's manuals, lines of
the Leipzig corpora that lingua's crates carry), and on runs of letters drawn from lingua's n-gram
models, which know more words.  Sentences are cut to 1 to 20 words.  The last 200 sentences of 3 to 20
words of each language in the crates are never trained on: `train.py DIR --held-out` prints them.

The table: "LATN", then as little-endian 16-bit integers the number of languages and of buckets, then
8 bytes a language (its name, zeros, and what speaks for it beforehand in eighths of a nat), then for each bucket ROW signed bytes, one a language and zeros,
then a float32: what a unit of those bytes is in nats.  Reproducible: the same files give the same table.
"""
import collections
import glob
import html
import json
import os
import random
import re
import struct
import sys
import unicodedata

import brotli
import numpy
import scipy.sparse

LANGUAGES = {  # code: (lingua's crate, LibreOffice's names, GNOME's names)
    "en": ("english", ["en-US"], ["C"]), "de": ("german", ["de"], ["de"]),
    "fr": ("french", ["fr"], ["fr"]), "es": ("spanish", ["es"], ["es"]),
    "it": ("italian", ["it"], ["it"]), "nl": ("dutch", ["nl"], ["nl"]),
    "pt": ("portuguese", ["pt", "pt-BR"], ["pt", "pt_BR"]), "pl": ("polish", ["pl"], ["pl"]),
    "sv": ("swedish", ["sv"], ["sv"]), "da": ("danish", ["da"], ["da"]), "nb": ("bokmal", [], []),
    "fi": ("finnish", ["fi"], ["fi"]), "cs": ("czech", ["cs"], ["cs"]), "sk": ("slovak", ["sk"], []),
    "hu": ("hungarian", ["hu"], ["hu"]), "ro": ("romanian", [], ["ro"]),
    "tr": ("turkish", ["tr"], ["tr"]), "ca": ("catalan", ["ca"], ["ca"]),
    "hr": ("croatian", [], ["hr"]), "sl": ("slovene", ["sl"], ["sl"]), "et": ("estonian", ["et"], []),
    "lt": ("lithuanian", [], ["lt"]), "lv": ("latvian", [], ["lv"]),
    "id": ("indonesian", ["id"], ["id"]), "vi": ("vietnamese", ["vi"], ["vi"]),
    "eu": ("basque", ["eu"], []),
}
CODES = list(LANGUAGES)
BUCKETS = 1 << 13
ROW = 32
PRIOR = {"en": 20, "de": 16, "fr": 16, "es": 16, "it": 16, "nl": 16, "pt": 16, "pl": 16}  # most texts
WORD_COUNTS = 3  # as much as so many n-grams: "il y a" against one long name
HELD_OUT = 200
WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


# --- features, as src/text/latin.c has them ---

def bucket(h):
    return (h ^ h >> 15) & (BUCKETS - 1)


def word_features(word, ends=True):
    """Buckets of a word; ends False: of a run of letters that may be the middle of one."""
    marked = [32] + [ord(c) for c in word] + [32] if ends else [ord(c) for c in word]
    found = []
    for start in range(len(marked)):
        h = 2166136261
        for c in marked[start:start + 4]:
            h = (h ^ c) * 16777619 & 0xffffffff
            if not (c == 32 and h == (2166136261 ^ 32) * 16777619 & 0xffffffff):
                found.append(bucket(h))
    if ends:
        h = 84696351
        for c in marked:
            h = (h ^ c) * 16777619 & 0xffffffff
        found += WORD_COUNTS * [bucket(h)]
    return found


def words_of(text):
    text = text.replace("’", "'")
    lowered = "".join(c.lower() if len(c.lower()) == 1 else c for c in unicodedata.normalize("NFC", text))
    return [w for w in WORD.findall(lowered) if any(ord(c) < 0x250 or 0x1e00 <= ord(c) < 0x1f00 for c in w)]


# --- what it is trained on ---

def crate_sentences(root, crate, unspaced=False):
    path = glob.glob(f"{root}/crates/lingua-{crate}-language-model-*/testdata/sentences.txt")[0]
    lines = [line.strip() for line in open(path, encoding="utf-8") if line.strip()]
    size = (lambda line: len(line) // 2) if unspaced else (lambda line: len(line.split()))
    held = [line for line in lines if 3 <= size(line) <= 20][-HELD_OUT:]
    return [line for line in lines if line not in set(held)], held


def crate_words(root, crate):
    folder = glob.glob(f"{root}/crates/lingua-{crate}-language-model-*/testdata")[0]
    return [line.strip() for name in ("single-words", "word-pairs")
            for line in open(f"{folder}/{name}.txt", encoding="utf-8") if line.strip()]


def manual_sentences(root, code):
    _, office, gnome = LANGUAGES[code]
    files = [f for name in gnome for f in glob.glob(f"{root}/debs/usr/share/help/{name}/*/*.page")]
    files += [f for name in office for f in
              glob.glob(f"{root}/debs/usr/share/libreoffice/help/{name}/text/**/*.html", recursive=True)]
    seen = collections.OrderedDict()
    for path in sorted(files):
        text = open(path, encoding="utf-8", errors="replace").read()
        for block in re.findall(r"<(?:p|title|desc|h\d)\b[^>]*>(.*?)</(?:p|title|desc|h\d)>", text, re.S):
            plain = html.unescape(re.sub(r"<[^>]*>", "", block))
            for sentence in re.split(r"(?<=[.!?])\s+", " ".join(plain.split())):
                if len(sentence.split()) >= 2:
                    seen[sentence] = 1
    return list(seen)


def drawn_runs(root, code, n, rng):
    """Runs of five letters with the frequency lingua's models give them."""
    p = {"": 1.0}
    folder = f"{root}/lingua/language-models/{code}"
    for name in ("unigrams", "bigrams", "trigrams", "quadrigrams", "fivegrams"):
        model = json.loads(brotli.decompress(open(f"{folder}/{name}.json.br", "rb").read()))
        longer = {}
        for fraction, grams in model["ngrams"].items():
            over, under = fraction.split("/")
            for gram in grams.split():
                if gram[:-1] in p:
                    longer[gram] = p[gram[:-1]] * int(over) / int(under)
        p = longer
    grams = sorted(p)
    weight = numpy.array([p[g] for g in grams])
    return [grams[i] for i in rng.choice(len(grams), n, p=weight / weight.sum())]


def samples(root, code, rng):
    """Lists of words (str) or runs (tuple) to learn from."""
    crate = LANGUAGES[code][0]
    train, _ = crate_sentences(root, crate)
    english = set(manual_sentences(root, "en")) if code != "en" else set()
    manuals = [s for s in manual_sentences(root, code) if s not in english]  # not all is translated
    random.Random(1).shuffle(manuals)
    texts = 6 * train + manuals[:6000] + 2 * crate_words(root, crate)
    for text in texts:
        words = words_of(text)
        if not words:
            continue
        n = min(len(words), int(rng.integers(1, 15)))
        at = int(rng.integers(0, len(words) - n + 1))
        yield words[at:at + n]
    runs = drawn_runs(root, code, 60000, rng)
    for at in range(0, len(runs), 10):
        yield [(r,) for r in runs[at:at + 10]]


def matrix(rows):
    cache, indices, values, starts = {}, [], [], [0]
    for words in rows:
        count = collections.Counter()
        for w in words:
            if w not in cache:
                cache[w] = word_features(w[0], False) if isinstance(w, tuple) else word_features(w)
            count.update(cache[w])
        indices.extend(count.keys())
        values.extend(count.values())
        starts.append(len(indices))
    return scipy.sparse.csr_matrix((numpy.array(values, "f4"), indices, starts), (len(rows), BUCKETS))


# --- learning ---

def learn(x, y, rng, epochs=6, decay=2e-7):
    """Adagrad on the cross entropy; rows are scaled as the reader's evidence is: by nothing."""
    w = numpy.zeros((BUCKETS, len(CODES)), "f4")
    g2 = numpy.full_like(w, 1e-4)
    for epoch in range(epochs):
        order, right = rng.permutation(len(y)), 0
        for at in range(0, len(y), 512):
            pick = order[at:at + 512]
            part = x[pick]
            z = part @ w
            z -= z.max(1, keepdims=True)
            p = numpy.exp(z)
            p /= p.sum(1, keepdims=True)
            right += (p.argmax(1) == y[pick]).sum()
            p[numpy.arange(len(pick)), y[pick]] -= 1
            grad = (part.T @ p) / len(pick) + decay * w
            g2 += grad * grad
            w -= 0.05 / (epoch + 1) ** 0.5 * grad / numpy.sqrt(g2)
        print(f"epoch {epoch}: {100 * right / len(y):.2f} % of the samples", flush=True)
    return w


def main(root, out):
    rng = numpy.random.default_rng(1)
    rows, y = [], []
    for i, code in enumerate(CODES):
        mine = list(samples(root, code, rng))
        rows += mine
        y += [i] * len(mine)
        print(code, len(mine), flush=True)
    x, y = matrix(rows), numpy.array(y)
    w = learn(x, y, rng, 2)
    # Names, commands and what is left of English: what a first look takes for another language goes.
    z = x @ w
    keep = z[numpy.arange(len(y)), y] > z.max(1) - 3
    w = learn(x[numpy.flatnonzero(keep)], y[keep], rng)
    w -= w.mean(1, keepdims=True)
    unit = float(numpy.abs(w).max()) / 127
    unit = min(unit, float(numpy.quantile(numpy.abs(w), 0.9995)) / 127)
    q = numpy.clip(numpy.round(w / unit), -127, 127).astype("i1")
    with open(out, "wb") as f:
        f.write(b"LATN" + struct.pack("<HH", len(CODES), BUCKETS))
        f.write(b"".join(code.encode().ljust(7, b"\0") + bytes([PRIOR.get(code, 0)]) for code in CODES))
        f.write(numpy.pad(q, ((0, 0), (0, ROW - len(CODES)))).tobytes() + struct.pack("<f", unit))
    print("unit", unit)
    right = total = 0
    for i, code in enumerate(CODES):
        _, held = crate_sentences(root, LANGUAGES[code][0])
        got = (matrix([words_of(s) for s in held]) @ q.astype("f4")).argmax(1)
        right += (got == i).sum()
        total += len(held)
        print(code, len(held), (got == i).sum(), collections.Counter(CODES[k] for k in got if k != i).most_common(3))
    print(f"held out: {100 * right / total:.2f} %")


def held_out(root):
    """The sentences that were kept aside, of S1-mini's thirteen languages and of all others here."""
    others = {"zh": ("chinese",), "ja": ("japanese",), "ko": ("korean",), "ar": ("arabic",), "ru": ("russian",)}
    for code, (crate, *_) in {**LANGUAGES, **others}.items():
        for sentence in crate_sentences(root, crate, code in ("zh", "ja"))[1]:
            print(code, sentence, sep="\t")


if __name__ == "__main__":
    if sys.argv[2] == "--held-out":
        held_out(sys.argv[1])
    else:
        main(*sys.argv[1:])
