#!/usr/bin/env python3
"""run.py [--keep DIR] [--scale N] - the published checkpoint's names, nestings, types and sizes, with other values.

S1-mini's files as the hub has them are made on the spot, 3.6 GB of them, in the hub's cache layout (blobs, and a
snapshot of symbolic links), once as .pth and once as safetensors in parts; both are converted, looked into and spoken
with.  Takes some minutes and 10 GB in TMPDIR.  --scale 8 divides the widths, to try the script itself.
Standard library only.
"""
import argparse
import base64
import collections
import hashlib
import json
import os
import pathlib
import pickle
import shutil
import struct
import subprocess
import sys
import tempfile
import types
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = ROOT / os.environ.get("BUILD", "build") / "jabbertts"
SIZE = {"BF16": 2, "F32": 4, "BOOL": 1}
PIECE = 1 << 20

SPECIAL = ["<|begin_of_text|>", "<|end_of_text|>", "<|pad|>", "<|im_start|>", "<|im_end|>", "<|phoneme_start|>", "<|phoneme_end|>",
           "<|tool_call_start|>", "<|tool_call_end|>", "<|text|>", "<|voice|>", "<|interleave|>", "<|audio_start|>", "<|audio_end|>",
           "<|audio|>"] + ["<|semantic:%d|>" % i for i in range(4096)]
RANKS = 151643


def stack(t, p, layers, dim, heads, kv, head, ff, bf16, qk_norm=False, scale=False):
    for i in range(layers):
        q = "%slayers.%d." % (p, i)
        t[q + "attention_norm.weight"] = t[q + "ffn_norm.weight"] = (bf16, [dim])
        t[q + "attention.wqkv.weight"] = (bf16, [(heads + 2 * kv) * head, dim])
        t[q + "attention.wo.weight"] = (bf16, [dim, heads * head])
        t[q + "feed_forward.w1.weight"] = t[q + "feed_forward.w3.weight"] = (bf16, [ff, dim])
        t[q + "feed_forward.w2.weight"] = (bf16, [dim, ff])
        if qk_norm:
            t[q + "attention.q_norm.weight"] = t[q + "attention.k_norm.weight"] = (bf16, [head])
        if scale:
            t[q + "attention_layer_scale.gamma"] = t[q + "ffn_layer_scale.gamma"] = (bf16, [dim])
    t[p + "norm.weight"] = (bf16, [dim])


def language_model(c):
    t, d, f = {}, c["dim"], "BF16"
    t["embeddings.weight"] = t["output.weight"] = (f, [c["vocab_size"], d])
    t["codebook_embeddings.weight"] = (f, [c["codebook_size"] * c["num_codebooks"], d])
    t["fast_embeddings.weight"] = t["fast_output.weight"] = (f, [c["codebook_size"], d])
    stack(t, "", c["n_layer"], d, c["n_head"], c["n_local_heads"], c["head_dim"], c["intermediate_size"], f, qk_norm=True)
    stack(t, "fast_", c["n_fast_layer"], d, c["n_head"], c["n_local_heads"], c["fast_head_dim"], c["intermediate_size"], f)
    return t


def conv(t, p, n_out, n_in, k, normed=True, transposed=False):
    shape = [n_in, n_out, k] if transposed else [n_out, n_in, k]
    if normed:
        t[p + ".parametrizations.weight.original0"] = ("F32", [shape[0], 1, 1])
        t[p + ".parametrizations.weight.original1"] = ("F32", shape)
    else:
        t[p + ".weight"] = ("F32", shape)
    t[p + ".bias"] = ("F32", [n_out])


def units(t, p, first, n):
    for u in range(3):
        q = "%s.block.%d.block." % (p, first + u)
        t[q + "0.alpha"] = t[q + "2.alpha"] = ("F32", [1, n, 1])
        conv(t, q + "1.conv", n, n, 7)
        conv(t, q + "3.conv", n, n, 1)


def resample(t, p, latent, transposed):
    for i in range(2):
        q = "%s.%d." % (p, i)
        conv(t, q + "0.conv", latent, latent, 2, False, transposed)
        t[q + "1.dwconv.conv.weight"], t[q + "1.dwconv.conv.bias"] = ("F32", [latent, 1, 7]), ("F32", [latent])
        t[q + "1.norm.weight"] = t[q + "1.norm.bias"] = t[q + "1.gamma"] = ("F32", [latent])
        for m, (o, n) in (("pwconv1", (4 * latent, latent)), ("pwconv2", (latent, 4 * latent))):
            t[q + "1.%s.weight" % m], t[q + "1.%s.bias" % m] = ("F32", [o, n]), ("F32", [o])


def codec_stack(t, p, layers, dim, positions):
    stack(t, p, layers, dim, dim // 64, dim // 64, 64, 3 * dim, "F32", scale=True)
    t[p + "freqs_cis"] = ("BF16", [positions, 32, 2])
    t[p + "causal_mask"] = ("BOOL", [positions, positions])


def codec(scale):
    t, n, latent = {}, 64 // min(scale, 2), 1024 // scale
    n_out = 1536 // scale
    conv(t, "encoder.block.0.conv", n, 1, 7)
    for i, rate in enumerate((2, 4, 8, 8)):
        p = "encoder.block.%d" % (i + 1)
        units(t, p, 0, n)
        t[p + ".block.3.alpha"] = ("F32", [1, n, 1])
        conv(t, p + ".block.4.conv", 2 * n, n, 2 * rate)
        n *= 2
    codec_stack(t, "encoder.block.4.block.5.", 4, n, 16384 // scale)
    t["encoder.block.5.alpha"] = ("F32", [1, n, 1])
    conv(t, "encoder.block.6.conv", latent, n, 3)
    for book, count, size in (("semantic_quantizer", 1, 4096), ("quantizer", 9, 1024)):
        for k in range(count):
            q = "quantizer.%s.quantizers.%d." % (book, k)
            t[q + "codebook.weight"] = ("F32", [size, 8])
            for m, o, i in (("in_proj", 8, latent), ("out_proj", latent, 8)):
                t[q + m + ".weight_g"], t[q + m + ".weight_v"] = ("F32", [o, 1, 1]), ("F32", [o, i, 1])
                t[q + m + ".bias"] = ("F32", [o])
    resample(t, "quantizer.downsample", latent, False)
    resample(t, "quantizer.upsample", latent, True)
    for p in ("pre", "post"):
        codec_stack(t, "quantizer.%s_module." % p, 8, latent, 4096)
    conv(t, "decoder.model.0.conv", n_out, latent, 7)
    for i, rate in enumerate((8, 8, 4, 2)):
        p = "decoder.model.%d" % (i + 1)
        t[p + ".block.0.alpha"] = ("F32", [1, n_out, 1])
        conv(t, p + ".block.1.conv", n_out // 2, n_out, 2 * rate, transposed=True)
        n_out //= 2
        units(t, p, 2, n_out)
    t["decoder.model.5.alpha"] = ("F32", [1, n_out, 1])
    conv(t, "decoder.model.6.conv", 1, n_out, 7)
    return t


# --- values: small, none of them odd; the same few over and over, since nobody listens ---

def pattern(kind):
    if kind == "BOOL":
        return bytes(PIECE)
    h = hashlib.sha256(kind.encode()).digest() * 4
    values = [(b - 127.5) / 127.5 * 0.05 or 0.01 for b in h]
    if kind == "F32":
        one = struct.pack("<%df" % len(values), *values)
    else:
        one = b"".join(struct.pack("<f", v)[2:] for v in values)
    return one * (PIECE // len(one))


def size_of(kind, shape):
    n = SIZE[kind]
    for s in shape:
        n *= s
    return n


def write_values(f, kind, shape):
    p, left = pattern(kind), size_of(kind, shape)
    while left > 0:
        f.write(p[:min(left, PIECE)])
        left -= PIECE


# --- containers ---

class Storage:
    def __init__(self, kind, key, n):
        self.kind, self.key, self.n = kind, key, n


class Tensor:
    def __init__(self, storage, shape):
        self.storage, self.shape = storage, tuple(shape)

    def __reduce__(self):
        stride, n = [], 1
        for s in reversed(self.shape):
            stride.insert(0, n)
            n *= s
        return sys.modules["torch._utils"]._rebuild_tensor_v2, (self.storage, 0, self.shape, tuple(stride), False, collections.OrderedDict())


def fake_torch():
    """Just enough of torch's names for a pickle to mention them."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    utils._rebuild_tensor_v2 = lambda *a: None
    utils._rebuild_tensor_v2.__module__, utils._rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2.__name__ = "_rebuild_tensor_v2"
    for name in ("BFloat16Storage", "FloatStorage", "BoolStorage"):
        setattr(torch, name, type(name, (), {"__module__": "torch", "__qualname__": name}))
    sys.modules.update({"torch": torch, "torch._utils": utils})
    return {"BF16": torch.BFloat16Storage, "F32": torch.FloatStorage, "BOOL": torch.BoolStorage}


def write_pth(path, tensors, folder, nest):
    storage_types = fake_torch()

    class Pickler(pickle.Pickler):
        def persistent_id(self, o):
            return ("storage", storage_types[o.kind], o.key, "cpu", o.n) if isinstance(o, Storage) else None
    named = collections.OrderedDict()
    for i, (name, (kind, shape)) in enumerate(tensors.items()):
        named[name] = Tensor(Storage(kind, str(i), size_of(kind, shape) // SIZE[kind]), shape)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as z:
        with z.open(folder + "/data.pkl", "w") as f:
            Pickler(f, 2).dump(nest(named))
        for i, (kind, shape) in enumerate(tensors.values()):
            with z.open("%s/data/%d" % (folder, i), "w", force_zip64=True) as f:
                write_values(f, kind, shape)
        z.writestr(folder + "/version", "3\n")


def write_safetensors(path, tensors):
    at, header = 0, {"__metadata__": {"format": "pt"}}
    for name, (kind, shape) in tensors.items():
        n = size_of(kind, shape)
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [at, at + n]}
        at += n
    text = json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for kind, shape in tensors.values():
            write_values(f, kind, shape)


def write_parts(folder, stem, tensors, n):
    names, index = list(tensors), {}
    for i in range(n):
        part = "%s-%05d-of-%05d.safetensors" % (stem, i + 1, n)
        mine = names[i * len(names) // n:(i + 1) * len(names) // n]
        write_safetensors(folder / part, {m: tensors[m] for m in mine})
        index.update({m: part for m in mine})
    (folder / (stem + ".safetensors.index.json")).write_text(json.dumps({"metadata": {}, "weight_map": index}))


def write_small_files(folder, config):
    tokens = [bytes([b]) for b in range(256)]
    tokens += [b"%c%c%c" % (97 + i // 676 % 26, 97 + i // 26 % 26, 97 + i % 26) + b"%x" % i for i in range(RANKS - 256)]
    (folder / "tokenizer.tiktoken").write_text("".join("%s %d\n" % (base64.b64encode(t).decode(), i) for i, t in enumerate(tokens)))
    (folder / "special_tokens.json").write_text(json.dumps({s: RANKS + i for i, s in enumerate(SPECIAL)}))
    (folder / "config.json").write_text(json.dumps(config))


def cache_layout(files, root):
    """Files as the hub's client keeps them: content by its hash, and a snapshot of relative symbolic links."""
    home = root / "models--fishaudio--openaudio-s1-mini"
    snapshot = home / "snapshots" / ("0123456789abcdef" * 3)[:40]
    for d in (home / "blobs", home / "refs", snapshot):
        d.mkdir(parents=True)
    (home / "refs/main").write_text(snapshot.name)
    for f in sorted(files.iterdir()):
        blob = hashlib.sha256(f.name.encode()).hexdigest()
        f.rename(home / "blobs" / blob)
        (snapshot / f.name).symlink_to(os.path.join("../../blobs", blob))
    return snapshot


# --- the test ---

def run(*words, ok=(0,)):
    p = subprocess.run([str(BIN), *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if p.returncode not in ok:
        raise SystemExit("FAIL %s: %s" % (" ".join(map(str, words)), p.stderr[-600:]))
    return p.stdout, p.stderr


def expect(what, got, want):
    if got != want:
        raise SystemExit("FAIL %s: %r, wanted %r" % (what, got, want))


def try_model(snapshot, gguf, config, scale):
    said = run("convert", snapshot, "-o", gguf, "--type", "q8_0")[1]
    expect("rows of the head", "4097 of %d rows kept" % config["vocab_size"] in said, True)
    seen = json.loads(run("inspect", gguf, "--json")[0])
    shapes = {t["name"]: t["shape"] for t in seen["tensors"]}
    expect("output.weight", shapes["output.weight"], [4097, config["dim"]])
    expect("tied", seen["metadata"]["openaudio-s1.tie_word_embeddings"], False)
    expect("rate", seen["metadata"]["openaudio-s1.codec.sample_rate"], 44100)
    if scale == 1: # all but what the head leaves behind, masks and rotary tables
        expect("parameters", 0.9e9 < seen["parameters"] < 1.3e9, True)
        expect("tensors", len(shapes) > 700, True)
    ids = run("text", "--stage", "prompt", "--model", gguf, "(excited) Hi.")[0].split()
    expect("first token", int(ids[0]), RANKS + SPECIAL.index("<|interleave|>"))
    wav = str(gguf) + ".wav"
    for voice in ("alloy", "onyx"):
        run("say", "Hi.", "--model", gguf, "--voice", voice, "--max-seconds", "0.3", "-o", wav, ok=(0, 1))  # 1: cut off
        expect("sound", os.path.getsize(wav) > 20000, True)
    os.remove(wav)
    return sorted((n, tuple(s)) for n, s in shapes.items()), gguf.stat().st_size


def describe(scale):
    """config.json, and the tensors of both files: name -> (type, shape)."""
    dim = 1024 // scale
    config = {"model_type": "dual_ar", "vocab_size": 155776, "n_layer": 28 // scale, "n_head": 16, "n_local_heads": 8, "head_dim": 128 // scale,
              "dim": dim, "intermediate_size": 3072 // scale, "rope_base": 1000000, "norm_eps": 1e-6, "max_seq_len": 8192,
              "attention_qkv_bias": False, "attention_o_bias": False, "attention_qk_norm": True, "tie_word_embeddings": False,
              "codebook_size": 4096, "num_codebooks": 10, "n_fast_layer": 4, "fast_dim": None, "fast_n_head": None, "fast_n_local_heads": None,
              "fast_head_dim": 64 // scale, "fast_intermediate_size": None, "fast_attention_qkv_bias": False, "fast_attention_qk_norm": False,
              "fast_attention_o_bias": False, "scale_codebook_embeddings": True}
    return config, language_model(config), codec(scale)


def make_pth(folder, scale):
    """The files as they are published: a plain dict of tensors, and a codec with buffers, as others nest them."""
    config, lm, sound = describe(scale)
    folder.mkdir(parents=True)
    write_pth(folder / "model.pth", lm, "model", lambda d: d)
    write_pth(folder / "codec.pth", {"generator." + n: t for n, t in sound.items()} | {"discriminator.x": ("F32", [3])}, "archive",
              lambda d: {"state_dict": d, "epoch": 3})
    write_small_files(folder, config)


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--keep", type=pathlib.Path)
    a.add_argument("--scale", type=int, default=1)
    a = a.parse_args()
    config, lm, sound = describe(a.scale)
    results = []
    with tempfile.TemporaryDirectory(prefix="fullsize-") as scratch:
        for kind in ("pth", "safetensors"):
            root = (a.keep or pathlib.Path(scratch)) / kind
            if kind == "pth":
                make_pth(root / "files", a.scale)
            else:
                (root / "files").mkdir(parents=True)
                write_parts(root / "files", "model", {"model." + n: t for n, t in lm.items()}, 2)
                write_safetensors(root / "files/codec.safetensors", {n: t for n, t in sound.items() if not n.endswith("causal_mask")})
                write_small_files(root / "files", config)
            snapshot = cache_layout(root / "files", root)
            results.append(try_model(snapshot, root / "model.gguf", config, a.scale))
            print("%s: converted, looked into and spoken with; %.0f MB" % (kind, results[-1][1] / 1e6), flush=True)
            if not a.keep:
                shutil.rmtree(root)
    expect("the same tensors from both", results[0], results[1])


if __name__ == "__main__":
    main()
