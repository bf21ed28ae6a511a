"""Whose voice is it: the network of Resemblyzer (Resemble AI, Apache-2.0) in numpy, from the weights that
its package has.  Three layers of LSTM over mel spectra of 1.6 s (GE2E, arXiv:1710.10467), 256 numbers.
Likeness is the cosine of two of them: about 0.9 for takes of one speaker, 0.5 to 0.7 for others."""

import os
import pickle

import numpy as np

from ear.sound import active

HZ, MEL, WINDOW, STEP = 16000, 40, 160, 77
DTYPE = {"FloatStorage": np.float32, "LongStorage": np.int64, "IntStorage": np.int32}


class Table(dict):
    """Stands for OrderedDict: may carry attributes."""


class Reader(pickle.Unpickler):
    """PyTorch's format before 1.6: three small pickles, the object, and then the tensors' storages."""

    def __init__(self, f):
        super().__init__(f)
        self.storages = {}

    def find_class(self, module, name):
        if name in DTYPE:
            return name
        if name == "OrderedDict":
            return Table
        if name == "_rebuild_tensor_v2":
            return lambda s, at, shape, stride, *_: (s, at, shape)
        if name == "_rebuild_parameter":
            return lambda tensor, *_: tensor
        raise pickle.UnpicklingError(f"{module}.{name}")

    def persistent_load(self, saved):
        self.storages[saved[2]] = saved[1]
        return saved[2]


def read_legacy(path):
    with open(path, "rb") as f:
        for _ in range(3):
            Reader(f).load()
        reader = Reader(f)
        tree = reader.load()
        data = {}
        for key in Reader(f).load():
            n = int(np.fromfile(f, np.int64, 1)[0])
            data[key] = np.fromfile(f, DTYPE[reader.storages[key]], n)
    return {k: data[s][at:at + int(np.prod(shape))].reshape(shape)
            for k, (s, at, shape) in tree["model_state"].items() if len(shape)}


def mel_filters():
    """Slaney's scale and areas, as librosa's default: linear to 1 kHz, then logarithmic."""
    step = np.log(6.4) / 27
    to_hz = lambda m: np.where(m < 15, m * 200 / 3, 1000 * np.exp(step * (m - 15)))
    top = 15 + np.log(HZ / 2 / 1000) / step
    edge = to_hz(np.linspace(0, top, MEL + 2))
    f = np.fft.rfftfreq(400, 1 / HZ)
    up = (f - edge[:-2, None]) / (edge[1:-1] - edge[:-2])[:, None]
    down = (edge[2:, None] - f) / (edge[2:] - edge[1:-1])[:, None]
    return np.maximum(0, np.minimum(up, down)) * (2 / (edge[2:] - edge[:-2]))[:, None]


class Speakers:
    def __init__(self):
        import importlib.util
        home = importlib.util.find_spec("resemblyzer").submodule_search_locations[0]
        self.w = read_legacy(os.path.join(home, "pretrained.pt"))
        self.filters = mel_filters()

    def lstm(self, x, layer):
        """x [batch, time, features]; gates in PyTorch's order: input, forget, cell, output."""
        w, u = self.w[f"lstm.weight_ih_l{layer}"], self.w[f"lstm.weight_hh_l{layer}"]
        pre = x @ w.T + self.w[f"lstm.bias_ih_l{layer}"] + self.w[f"lstm.bias_hh_l{layer}"]
        h = c = np.zeros((len(x), u.shape[1]), np.float32)
        out = np.empty(pre.shape[:2] + (u.shape[1],), np.float32)
        squash = lambda v: 1 / (1 + np.exp(-v))
        for t in range(x.shape[1]):
            i, f, g, o = np.split(pre[:, t] + h @ u.T, 4, axis=1)
            c = squash(f) * c + squash(i) * np.tanh(g)
            h = squash(o) * np.tanh(c)
            out[:, t] = h
        return out

    def print(self, pcm):
        """pcm at HZ: 256 numbers of length 1.  Silence is left out, the level is made -30 dB."""
        on = np.convolve(active(pcm, HZ, 30), np.ones(11), "same") > 0
        pcm = np.concatenate([pcm[:len(on) * 160].reshape(-1, 160)[on].ravel(), np.zeros(1)])
        pcm = pcm * (10 ** (-30 / 20) / (np.sqrt((pcm ** 2).mean()) + 1e-9))
        pcm = np.pad(pcm, 200, mode="constant")
        frames = np.lib.stride_tricks.sliding_window_view(pcm, 400)[::160] * np.hanning(401)[:-1]
        mel = ((np.abs(np.fft.rfft(frames)) ** 2) @ self.filters.T).astype(np.float32)
        if len(mel) < WINDOW:
            mel = np.pad(mel, ((0, WINDOW - len(mel)), (0, 0)))
        x = np.stack([mel[at:at + WINDOW] for at in range(0, len(mel) - WINDOW + 1, STEP)])
        for layer in range(3):
            x = self.lstm(x, layer)
        e = np.maximum(0, x[:, -1] @ self.w["linear.weight"].T + self.w["linear.bias"])
        e = (e / np.linalg.norm(e, axis=1, keepdims=True)).mean(0)
        return e / np.linalg.norm(e)
