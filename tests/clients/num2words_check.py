"""Numbers as num2words, a program of others, spells them: cardinals in eleven languages, English
ordinals, years and decimals.  Punctuation, hyphens and the English "and" do not count; where
num2words follows another norm, it is said below.  Run by run.py."""

import os
import subprocess
import unittest

from num2words import num2words

BINARY = os.path.join(os.environ.get("BUILD", "build"), "jabbertts")
# 1100 to 2099 alone are read as years.
NUMBERS = [*range(130), 199, 200, 201, 342, 500, 999, 1000, 1001, 2345, 10000, 12345, 99999, 100000, 123456, 1000000,
           2500000, 1000000000]
# Italian: the accent of -tré, and 118, a mistake of theirs. Portuguese: theirs is of Portugal, ours of
# Brazil. Dutch: their accents on een. Russian: the one before a thousand may be left out.
SAME = {"it": [("tré", "tre"), ("diciotto", "dicotto"), ("milioni e ", "milioni ")],
        "pt": [("dezesse", "dezasse"), ("dezenove", "dezanove"), ("um bilhão", "mil milhões")], "nl": [("één", "een")],
        "ru": [("одна тысяча", "тысяча")]}


def fold(words, language):
    for mark, instead in ("-", " "), (",", ""), (" and ", " "), ("\u00ad", ""), (".", ""), *SAME.get(language, []):
        words = words.lower().replace(mark, instead)
    return words.strip()


def read(lines, language):
    done = subprocess.run([BINARY, "text", "--stage", "normalized", "--language", language], check=True, text=True,
                          input="\n\n".join(lines) + "\n", stdout=subprocess.PIPE)
    return [line for line in done.stdout.split("\n") if line.strip()]


class Spelled(unittest.TestCase):
    def same(self, language, written, words):
        got = read(written, language)
        self.assertEqual(len(got), len(words))
        for w, g, o in zip(written, got, words):
            self.assertEqual(fold(g, language), fold(o, language), w)

    def test_cardinals(self):
        for language in "en de fr es it pt nl pl ru ja ko".split():
            with self.subTest(language):
                self.same(language, [str(n) for n in NUMBERS], [num2words(n, lang=language) for n in NUMBERS])

    def test_english_ordinals(self):
        ends = {1: "st", 2: "nd", 3: "rd"}
        numbers = [*range(1, 130), 200, 342, 1000]
        written = [f"the {n}{'th' if n % 100 in (11, 12, 13) else ends.get(n % 10, 'th')} one" for n in numbers]
        self.same("en", written, [f"the {num2words(n, to='ordinal')} one" for n in numbers])

    def test_english_years(self):
        years = [1066, 1492, 1776, 1900, 1905, 1984, 1999, 2000, 2001, 2009, 2010, 2024]
        self.same("en", [f"in the year {y}" for y in years], [f"in the year {num2words(y, to='year')}" for y in years])

    def test_english_decimals(self):
        numbers = ["0.5", "3.14", "2.71828", "10.01", "98.6", "1000.25"]
        self.same("en", numbers, [num2words(n) for n in map(float, numbers)])


if __name__ == "__main__":
    unittest.main()
