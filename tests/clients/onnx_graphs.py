"""tests/clients/onnx_graphs.py - exported folders, checked by ONNX's own package and run in ONNX Runtime, against what
the original computes (tests/golden) and against themselves: whole and in parts, alone and in a batch."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

import numpy as np
import onnx
import onnxruntime as ort

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
BINARY = os.path.join(ROOT, os.environ.get("BUILD", "build"), "jabbertts")
GOLDEN = os.path.join(ROOT, "tests", "golden")
BUILT_IN = os.path.join(ROOT, "models", "jabber-tiny.gguf")
SETS = ["s1-nano", "s1-odd", "s1-one"]
GRAPHS = ["slow", "fast", "decoder", "encoder"]
LOGITS = 1e-4  # of the peak; the golden README's tolerance
SAMPLES = 1e-4


def run(*arguments):
    subprocess.run([BINARY, *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Graph:
    """A session; what it remembers goes from an output `next.X` to the input X."""

    def __init__(self, folder, name):
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self.session = ort.InferenceSession(os.path.join(folder, name + ".onnx"), options, providers=["CPUExecutionProvider"])
        self.shape = {i.name: i.shape for i in self.session.get_inputs()}
        self.outputs = [o.name for o in self.session.get_outputs()]

    def __call__(self, **inputs):
        return dict(zip(self.outputs, self.session.run(None, inputs)))

    def past(self, batch, length=0):
        return {n: np.zeros((length, batch, *s[2:]), np.float32) for n, s in self.shape.items() if n.endswith((".key", ".value"))}

    def fresh(self, batch):
        state = {n: np.zeros((batch, *s[1:]), np.float32) for n, s in self.shape.items() if n.endswith(".state")}
        return {**state, **self.past(batch)}

    def stream(self, name, out, parts, batch, frames_of):
        state, done, results = self.fresh(batch), 0, []
        for part in parts:
            got = self(**{name: part}, position=np.array([done], np.int64), **state)
            state = {n: got["next." + n] for n in state}
            done += frames_of(part)
            results.append(got[out])
        return np.concatenate(results, -1)


class Speaker:
    """Prompts and frames of one sequence after the other, or of several together."""

    def __init__(self, folder):
        self.slow, self.fast = Graph(folder, "slow"), Graph(folder, "fast")

    def feed(self, columns, past=None, lengths=None):
        """columns: one [T, 1 + Q] for each sequence; they and the past end together."""
        n, longest = len(columns), max(len(c) for c in columns)
        batch = np.zeros((n, longest, columns[0].shape[1]), np.int32)
        for i, c in enumerate(columns):
            batch[i, longest - len(c):] = c
        past = past or self.slow.past(n)
        lengths = np.zeros(n, np.int64) if lengths is None else lengths
        fresh = np.array([len(c) for c in columns], np.int64)
        got = self.slow(columns=batch, past_length=lengths, new_length=fresh, **past)
        return got, past, lengths, fresh

    def append(self, got, past, lengths, fresh):
        """Each sequence's past, at the end of arrays as long as the longest needs."""
        n = int((lengths + fresh).max())
        longer = self.slow.past(len(lengths), n)
        for name, old in past.items():
            new = got["new." + name]
            for i, (a, b) in enumerate(zip(lengths, fresh)):
                longer[name][n - a - b:n - b, i] = old[len(old) - a:, i]
                longer[name][n - b:, i] = new[len(new) - b:, i]
        return longer, lengths + fresh

    def frame(self, hidden, code, n_book):
        """The most likely codes of a frame."""
        past, codes = self.fast.past(1), [code]
        state = hidden[None, None]
        while len(codes) < n_book:
            got = self.fast(hidden=state, codes=np.array([[codes[-1]]], np.int32), **past)
            past = {n: np.concatenate([p, got["new." + n]]) for n, p in past.items()}
            codes.append(int(got["logits"][0].argmax()))
            state = state[:, :0]
        return codes


class Folder(unittest.TestCase):
    name = None

    @classmethod
    def setUpClass(cls):
        cls.tmp = tempfile.TemporaryDirectory()
        cls.folder = os.path.join(cls.tmp.name, "onnx")
        model = BUILT_IN
        if cls.name in SETS:
            model = os.path.join(cls.tmp.name, "model.gguf")
            run("convert", os.path.join(GOLDEN, cls.name, "checkpoint"), "-o", model, "--type", "f32")
        cls.model = model
        run("export", model, "--onnx", cls.folder)

    @classmethod
    def tearDownClass(cls):
        cls.tmp.cleanup()

    def near(self, got, want, tolerance, what):
        peak = np.abs(want).max()
        self.assertEqual(got.shape, want.shape, what)
        self.assertLess(np.abs(got - want).max(), tolerance * peak, what)

    def check_schema(self, folder=None):
        for name in GRAPHS:
            path = os.path.join(folder or self.folder, name + ".onnx")
            onnx.checker.check_model(path, full_check=True)
            model = onnx.load(path, load_external_data=False)
            onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
            self.assertEqual([(o.domain, o.version) for o in model.opset_import], [("", 17)])
        self.assertEqual(len([f for f in os.listdir(self.folder) if "tmp" in f]), 0)

    def check_parts(self, n_book, size):
        """Any split of codes, any batch: the same samples; and so back."""
        decoder, encoder = Graph(self.folder, "decoder"), Graph(self.folder, "encoder")
        codes = np.random.default_rng(1).integers(0, size, (2, n_book, 23)).astype(np.int32)
        whole = decoder.stream("codes", "samples", [codes], 2, lambda p: p.shape[2])
        hop = whole.shape[1] // 23
        for split in ([1] * 23, [7, 1, 15], [20, 3]):
            parts = np.split(codes[:1], np.cumsum(split)[:-1], 2)
            got = decoder.stream("codes", "samples", parts, 1, lambda p: p.shape[2])
            self.near(got, whole[:1], SAMPLES, f"decoded in parts of {split}")
        at_once = encoder.stream("samples", "codes", [whole], 2, lambda p: p.shape[1] // hop)
        parts = np.split(whole[1:], [3 * hop, 4 * hop], 1)
        got = encoder.stream("samples", "codes", parts, 1, lambda p: p.shape[1] // hop)
        self.assertGreater((got == at_once[1:]).mean(), 0.98, "a clip encoded in parts")


class BuiltIn(Folder):
    name = "jabber-tiny"

    def test_schema_is_kept(self):
        self.check_schema()

    def test_parts_are_the_whole(self):
        codes = Graph(self.folder, "decoder").shape["codes"]
        self.check_parts(codes[1], 256)

    def test_int8_is_valid_and_small(self):
        eight, matrix = os.path.join(self.tmp.name, "eight"), os.path.join(self.tmp.name, "imatrix")
        run("calibrate", self.model, "--text", os.path.join(ROOT, "tests", "cases", "calibrate.txt"), "-o", matrix)
        run("export", self.model, "--onnx", eight, "--type", "int8", "--imatrix", matrix)
        self.check_schema(eight)
        size = [sum(os.path.getsize(os.path.join(f, n)) for n in os.listdir(f)) for f in (self.folder, eight)]
        self.assertLess(size[1], 0.5 * size[0])
        Graph(eight, "slow"), Graph(eight, "decoder")

    def test_half_precision_is_near(self):
        half = os.path.join(self.tmp.name, "half")
        run("export", self.model, "--onnx", half, "--type", "f16")
        size = [sum(os.path.getsize(os.path.join(f, n)) for n in os.listdir(f)) for f in (self.folder, half)]
        self.assertLess(size[1], 0.6 * size[0])
        logits = []
        for folder in (self.folder, half):
            slow = Speaker(folder)
            width = slow.slow.shape["columns"][2]
            columns = np.zeros((12, width), np.int32)
            columns[:, 0] = np.arange(12)
            logits.append(slow.feed([columns])[0]["logits"])
        self.near(logits[1], logits[0], 1e-2, "half precision")


class Golden(Folder):
    def array(self, name):
        return np.load(os.path.join(GOLDEN, self.name, "golden", name + ".npy"))

    def setUp(self):
        with open(os.path.join(GOLDEN, self.name, "golden", "manifest.json")) as f:
            manifest = json.load(f)
        self.first, self.last, self.end = (manifest[k] for k in ("semantic_begin_id", "semantic_end_id", "im_end_id"))
        self.rows = [*range(self.first, self.last + 1), self.end]

    def prompt(self, name):
        return np.ascontiguousarray(self.array("prompt_" + name).T.astype(np.int32))

    def check_language_model(self):
        s = Speaker(self.folder)
        ref, plain, short = (self.prompt(n) for n in ("ref1", "plain", "plain_short"))
        got, past, lengths, fresh = s.feed([ref])
        self.near(got["logits"][0], self.array("lm_prefill_logits").reshape(-1)[self.rows], LOGITS, "logits of a prompt")
        self.near(got["hidden"][0], self.array("lm_prefill_hidden").reshape(-1), LOGITS, "hidden state of a prompt")
        past, lengths = s.append(got, past, lengths, fresh)
        want = self.array("lm_step_logits")
        for i, column in enumerate(self.array("lm_step_inputs").astype(np.int32)):
            got, past, lengths, fresh = s.feed([column[None]], past, lengths)
            self.near(got["logits"][0], want[i][self.rows], LOGITS, f"logits of step {i}")
            past, lengths = s.append(got, past, lengths, fresh)
        # in parts, and together with shorter ones
        past = lengths = None
        for part in np.split(ref, [1, 30, 31]):
            got, past, lengths, fresh = s.feed([part], past, lengths)
            past, lengths = s.append(got, past, lengths, fresh)
        alone = [s.feed([p])[0]["logits"][0] for p in (ref, plain, short)]
        self.near(got["logits"][0], alone[0], LOGITS, "a prompt in parts")
        together, past, lengths, fresh = s.feed([ref, plain, short])
        for i in range(3):
            self.near(together["logits"][i], alone[i], LOGITS, f"prompt {i} in a batch")
        past, lengths = s.append(together, past, lengths, fresh)
        step = s.feed([self.array("lm_step_inputs").astype(np.int32)[:1]] * 3, past, lengths)[0]
        self.near(step["logits"][0], want[0][self.rows], LOGITS, "a step in a batch of different lengths")

    def check_greedy(self):
        s, want = Speaker(self.folder), self.array("gen_greedy")
        got, past, lengths, fresh = s.feed([self.prompt("gen_greedy")])
        for i in range(want.shape[1]):
            token = int(want[0, i])  # the original draws from all tokens, the graph knows those that can be sound
            if token in self.rows:
                self.assertEqual(self.rows[int(got["logits"][0].argmax())], token, f"token {i}")
            codes = s.frame(got["hidden"][0], max(0, token - self.first), want.shape[0] - 1)
            self.assertEqual([token, *codes], want[:, i].tolist(), f"frame {i}")
            past, lengths = s.append(got, past, lengths, fresh)
            got, past, lengths, fresh = s.feed([np.array([[token, *codes]], np.int32)], past, lengths)

    def check_codec(self):
        decoder, encoder = Graph(self.folder, "decoder"), Graph(self.folder, "encoder")
        codes, wav = self.array("codec_codes").astype(np.int32)[None], self.array("codec_wav").reshape(1, -1)
        got = decoder.stream("codes", "samples", [codes], 1, lambda p: p.shape[2])
        self.assertLess(np.abs(got - wav).max(), SAMPLES, "samples")
        codes, tail = self.array("codec_long_codes").astype(np.int32)[None], self.array("codec_long_wav_tail").reshape(1, -1)
        for parts in ([codes], np.split(codes, [5, 6, 17], 2)):
            got = decoder.stream("codes", "samples", parts, 1, lambda p: p.shape[2])
            self.assertLess(np.abs(got[:, -tail.shape[1]:] - tail).max(), SAMPLES, "the end of a long stretch")
        hop = wav.shape[1] // self.array("codec_codes").shape[1]
        for name in ("enc", "enc_short", "enc_long"):
            pcm = self.array(name + "_wav")
            scale = np.iinfo(pcm.dtype).max + 1 if pcm.dtype.kind == "i" else 1
            pcm = np.pad(pcm.reshape(-1).astype(np.float32) / scale, (0, -pcm.size % hop))[None]
            want = self.array(name + "_codes")
            for cut in (1, 3):
                parts = np.array_split(pcm.reshape(-1, hop), min(cut, len(pcm.reshape(-1, hop))))
                got = encoder.stream("samples", "codes", [p.reshape(1, -1) for p in parts], 1, lambda p: p.shape[1] // hop)
                self.assertEqual(got[0].tolist(), want.tolist(), f"codes of {name} in {cut}")

    def test_set(self):
        for check in (self.check_schema, self.check_language_model, self.check_greedy, self.check_codec):
            with self.subTest(check.__name__):
                check()
        with self.subTest("parts"):
            self.check_parts(self.array("codec_codes").shape[0], 100)


class Nano(Golden):
    name = "s1-nano"


class Odd(Golden):
    name = "s1-odd"


class One(Golden):
    name = "s1-one"


def load_tests(loader, _tests, _pattern):
    return unittest.TestSuite(loader.loadTestsFromTestCase(c) for c in (Nano, Odd, One, BuiltIn))


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[1:]])
