"""Makes models/ear.gguf of what two packages ship: bench/quality pack.

    speech   Silero's voice activity detector, version 5 (MIT), from faster-whisper's assets: is there speech?
    speaker  Resemblyzer's speaker encoder (Apache-2.0): whose?

Matrices are [outputs, taps, inputs], in 16 bits; src/model/ear.h says how they are used."""

import importlib.util
import os

import numpy as np

from ear.home import ROOT
from ear.speaker import Speakers, mel_filters

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


def fields(data):
    """(number, value) of a protobuf message: ints, or bytes."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
    while at < len(data):
        key = varint()
        kind, n = key & 7, {FIXED64: 8, FIXED32: 4}.get(key & 7)
        if kind == VARINT:
            yield key >> 3, varint()
            continue
        if kind == BYTES:
            n = varint()
        yield key >> 3, data[at:at + n]
        at += n


def onnx_weights(path):
    """Name to array of the initializers (5) of an ONNX file's graph (7), as far as they are floats."""
    found = {}
    with open(path, "rb") as f:
        graph = next(value for number, value in fields(f.read()) if number == 7)
    for number, tensor in fields(graph):
        if number != 5:
            continue
        dims, kind, name, raw = [], 0, "", b""
        for k, v in fields(tensor):
            if k == 1:
                dims += [v] if isinstance(v, int) else [x for x in varints(v)]
            elif k == 2:
                kind = v
            elif k == 8:
                name = v.decode()
            elif k == 9:
                raw = v
        if kind == 1 and raw:
            found[name] = np.frombuffer(raw, np.float32).reshape(dims)
    return found


def varints(data):
    value = shift = 0
    for byte in data:
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            yield value
            value = shift = 0


def taps(w):
    """[outputs, inputs, taps] as [outputs, taps, inputs], flat behind the first."""
    return np.ascontiguousarray(w.transpose(0, 2, 1)).reshape(len(w), -1)


def tensors():
    home = importlib.util.find_spec("faster_whisper").submodule_search_locations[0]
    silero = {}
    for part in ("encoder", "decoder"):
        silero.update(onnx_weights(os.path.join(home, "assets", f"silero_{part}_v5.onnx")))
    yield "speech.basis", silero["feature_extractor.forward_basis_buffer"][:, 0]
    for i in range(4):
        yield f"speech.conv.{i}.weight", taps(silero[f"conv{i}.weight"])
        yield f"speech.conv.{i}.bias", silero[f"conv{i}.bias"]
    yield "speech.in.weight", silero["rnn.weight_ih"]
    yield "speech.in.bias", silero["rnn.bias_ih"] + silero["rnn.bias_hh"]
    yield "speech.state.weight", silero["rnn.weight_hh"]
    yield "speech.out.weight", silero["conv1d.weight"][:, :, 0]
    yield "speech.out.bias", silero["conv1d.bias"]
    t = np.arange(400)
    angle = 2 * np.pi * np.outer(np.arange(201), t) / 400
    window = np.hanning(401)[:-1]
    yield "speaker.basis", np.concatenate([np.cos(angle), np.sin(angle)]) * window
    yield "speaker.mel", mel_filters() * 1000  # of the order of 1, which 16 bits hold well
    w = Speakers().w
    for i in range(3):
        yield f"speaker.{i}.in.weight", w[f"lstm.weight_ih_l{i}"]
        yield f"speaker.{i}.in.bias", w[f"lstm.bias_ih_l{i}"] + w[f"lstm.bias_hh_l{i}"]
        yield f"speaker.{i}.state.weight", w[f"lstm.weight_hh_l{i}"]
    yield "speaker.out.weight", w["linear.weight"]
    yield "speaker.out.bias", w["linear.bias"]


def pack():
    from gguf import GGUFWriter
    path = os.path.join(ROOT, "models", "ear.gguf")
    w = GGUFWriter(path, "jabbertts-ear")
    w.add_name("ear")
    w.add_license("MIT AND Apache-2.0")
    w.add_description("Silero's voice activity detector, version 5 (MIT, Silero Team); Resemblyzer's speaker encoder "
                      "(Apache-2.0, Resemble AI)")
    for name, t in tensors():
        w.add_tensor(name, np.ascontiguousarray(t, np.float32 if t.ndim == 1 else np.float16))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    print(path, os.path.getsize(path))
