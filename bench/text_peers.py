#!/usr/bin/env python3
"""text_peers.py golden FILE | nemo FOLDER: the text front end over public test sets.

golden: english_golden_rules.py of pySBD (benchmarks/ of `pip download --no-binary :all: pysbd`): how
    many rules of sentence boundaries hold.  A piece that ends with a comma or a word is a breath, no
    boundary; a short sentence that is spoken together with the next counts if its own mark is kept.
nemo: tests/nemo_text_processing/en/data_text_normalization of NVIDIA's NeMo-text-processing: how many
    cases are read word for word alike, and the others, for a person to judge: habits differ ("and",
    "zero" or "oh").  The test sets are not part of this project.
"""
import glob
import re
import runpy
import subprocess
import sys

TINY = 16  # characters; src/text/split.c joins shorter sentences to the next


def run(stage, text):
    return subprocess.run(["build/jabbertts", "text", "--language", "en", "--stage", stage], input=text,
                          capture_output=True, text=True, check=False).stdout.strip("\n")


def letters(text):
    return re.sub(r"[^a-z]", "", text.lower())


def ends(sentences):
    """Letters up to each end of a sentence but the last, read aloud alike."""
    said = [letters(run("normalized", s)) for s in sentences]
    return {sum(map(len, said[:i + 1])) for i in range(len(said) - 1)}


def golden(path):
    rules = runpy.run_path(path)["GOLDEN_EN_RULES"]
    good = 0
    for text, want in rules:
        pieces = run("sentences", text).split("\n")
        breaths = {sum(len(letters(q)) for q in pieces[:i + 1]) for i, p in enumerate(pieces)
                   if not re.search(r"[.!?][\"')]*$", p)}
        joined = {sum(len(letters(run("normalized", s))) for s in want[:i + 1])
                  for i, s in enumerate(want) if len(s) < TINY}
        expected, got = ends(want), ends(pieces)
        holds = not (got - breaths - expected) and not (expected - got - joined)
        good += holds
        if not holds:
            print(text, pieces, sep="\n    ")
    print(f"{good} of {len(rules)} rules hold")


def plain(text):
    words = re.sub(r"[^a-z0-9' ]", " ", text.lower()).split()
    return "".join(w for w in words if w != "and")


def nemo(folder):
    cases = good = 0
    for path in sorted(glob.glob(folder + "/test_cases_*.txt")):
        for line in open(path, encoding="utf-8"):
            written, *spoken = line.rstrip("\n").split("~")
            got = run("normalized", written)
            cases += 1
            alike = plain(got) in {plain(s) for s in spoken}
            good += alike
            if not alike:
                print(f"{written}\n    {got}\n    {' | '.join(spoken)}")
    print(f"{good} of {cases} alike; judge the others")


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in ("golden", "nemo"):
        sys.exit(__doc__)
    {"golden": golden, "nemo": nemo}[sys.argv[1]](sys.argv[2])
