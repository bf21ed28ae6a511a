"""tests/torch/s1.py - the model in PyTorch, written from docs/MODEL.md: a second opinion, and the measure of a well-known
framework on the same file.

    s1.py check MODEL.gguf SET      against the golden set of that checkpoint (tests/golden/s1-nano)
    s1.py bench MODEL.gguf          in JSON, the part of what jabbertts bench says that bench/engines compares

MODEL.gguf is in f32, f16, bf16 or q8_0; it computes in f32.  Prompts, steps, and sound a chunk at a time with what a
stream remembers, as the program does.  No sampler: it takes the likeliest.
"""
import argparse
import json
import os
import resource
import struct
import time

import numpy as np
import torch
import torch.nn.functional as F

SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
ARCH = "openaudio-s1."


class File:
    """A GGUF: `keys`, and tensors by name, outermost dimension first, as floats."""

    def __init__(self, path):
        self.map, self.at = np.memmap(path, np.uint8, "r"), 8
        n_tensor, n_key = self.scalar("Q"), self.scalar("Q")
        self.keys = {}
        for _ in range(n_key):
            name = self.text().decode()
            self.keys[name] = self.value(self.scalar("I"))
        self.where = {}
        for _ in range(n_tensor):
            name = self.text().decode()
            shape = [self.scalar("Q") for _ in range(self.scalar("I"))][::-1]
            self.where[name] = shape, self.scalar("I"), self.scalar("Q")
        self.data = (self.at + 31) // 32 * 32

    def scalar(self, kind):
        (v,) = struct.unpack_from("<" + kind, self.map, self.at)
        self.at += struct.calcsize("<" + kind)
        return v

    def text(self):
        n = self.scalar("Q")
        self.at += n
        return self.map[self.at - n:self.at].tobytes()

    def value(self, kind):
        if kind == 8:
            return self.text()
        if kind != 9:
            return self.scalar(SCALARS[kind])
        kind, n = self.scalar("I"), self.scalar("Q")
        return [self.value(kind) for _ in range(n)]

    def __contains__(self, name):
        return name in self.where

    def __getitem__(self, name):
        shape, kind, offset = self.where[name]
        n, at = int(np.prod(shape)), self.data + offset
        if kind == 8:  # q8_0
            blocks = self.map[at:at + n // 32 * 34].reshape(-1, 34)
            v = blocks[:, :2].copy().view(np.float16).astype(np.float32) * blocks[:, 2:].copy().view(np.int8)
        elif kind == 30:  # bf16
            v = (self.map[at:at + 2 * n].view(np.uint16).astype(np.uint32) << 16).view(np.float32)
        else:
            kind = {0: np.float32, 1: np.float16}[kind]
            v = self.map[at:at + n * np.dtype(kind).itemsize].view(kind).astype(np.float32)
        return torch.from_numpy(v.reshape(shape))

    def matrix(self, name):
        bias = name + ".bias"
        return self[name + ".weight"], self[bias] if bias in self else None


def rotary(base, dim, n):
    """[n, dim / 2] cosines and sines, rounded to bfloat16 as the original's are."""
    exponent = np.arange(0, dim, 2, dtype=np.float32) / np.float32(dim)
    step = np.float32(1) / (np.float64(base) ** exponent.astype(np.float64)).astype(np.float32)
    angle = np.arange(n, dtype=np.float32)[:, None] * step[None]
    return [torch.from_numpy(f(angle)).bfloat16().float() for f in (np.cos, np.sin)]


def rms(x, weight, eps):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * weight


class Stack:
    """Transformer layers.  x [T, dim] at positions first, first + 1, ...; past: what the layers remember, a list."""

    def __init__(self, file, keys, prefix):
        key = lambda name: file.keys[ARCH + keys + name]
        self.n_layer, self.H, self.K = key("block_count"), key("attention.head_count"), key("attention.head_count_kv")
        self.D, self.eps = key("attention.key_length"), key("attention.layer_norm_rms_epsilon")
        self.window = key("attention.sliding_window")
        self.cos, self.sin = rotary(key("rope.freq_base"), self.D, key("context_length"))
        get = lambda name: file[name] if name in file else None
        self.layers = []
        for i in range(self.n_layer):
            p = f"{prefix}blk.{i}."
            y = {name: file.matrix(p + name) for name in ("attn_qkv", "attn_output", "ffn_down")}
            y["gate_up"] = torch.cat([file[p + "ffn_gate.weight"], file[p + "ffn_up.weight"]])
            for name in ("attn_norm", "ffn_norm", "attn_q_norm", "attn_k_norm", "attn_scale", "ffn_scale"):
                y[name] = get(p + name + ".weight")
            self.layers.append(y)
        self.norm = file[prefix + "output_norm.weight"]

    def rotate(self, x, first):
        n = x.shape[1]
        a, b = x[..., 0::2], x[..., 1::2]
        cos, sin = self.cos[first:first + n], self.sin[first:first + n]
        return torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2)

    def attend(self, q, k, v, n_past):
        T, S = q.shape[1], k.shape[1]
        mask = None
        if T > 1 or (self.window and S > self.window):
            i, j = torch.arange(T)[:, None] + n_past, torch.arange(S)[None]
            mask = j <= i
            if self.window:
                mask &= j > i - self.window
        group = self.H // self.K
        if group > 1:
            k, v = k.repeat_interleave(group, 0), v.repeat_interleave(group, 0)
        return F.scaled_dot_product_attention(q[None], k[None], v[None], attn_mask=mask)[0]

    def run(self, x, first, past):
        for i, y in enumerate(self.layers):
            T = x.shape[0]
            qkv = F.linear(rms(x, y["attn_norm"], self.eps), *y["attn_qkv"]).view(T, -1, self.D).transpose(0, 1)
            q, k, v = qkv.split([self.H, self.K, self.K])
            if y["attn_q_norm"] is not None:
                q, k = rms(q, y["attn_q_norm"], self.eps), rms(k, y["attn_k_norm"], self.eps)
            q, k = self.rotate(q, first), self.rotate(k, first)
            n_past = 0
            if past[i] is not None:
                n_past = past[i][0].shape[1]
                k, v = (torch.cat([a, b], 1) for a, b in zip(past[i], (k, v)))
            past[i] = (k, v) if not self.window else (k[:, -self.window:], v[:, -self.window:])
            out = self.attend(q, k, v, n_past).transpose(0, 1).reshape(T, -1)
            out = F.linear(out, *y["attn_output"])
            x = x + (out if y["attn_scale"] is None else out * y["attn_scale"])
            gate, up = F.linear(rms(x, y["ffn_norm"], self.eps), y["gate_up"]).chunk(2, -1)
            out = F.linear(F.silu(gate) * up, y["ffn_down"][0])
            x = x + (out if y["ffn_scale"] is None else out * y["ffn_scale"])
        return x

    def empty(self):
        return [None] * self.n_layer


class LanguageModel:
    def __init__(self, file):
        key = lambda name: file.keys[ARCH + name]
        self.slow, self.fast = Stack(file, "", ""), Stack(file, "fast.", "fast.")
        self.Q, self.size = key("codebook_count"), key("codebook_size")
        self.first, self.last, self.end = key("semantic_begin"), key("semantic_end"), key("im_end")
        self.scale = (self.Q + 1) ** -0.5 if key("scale_codebook_embeddings") else 1
        self.tokens, self.books = file["token_embd.weight"], file["codebook_embd.weight"]
        rows = [*range(self.first, self.last + 1), self.end]
        head = self.tokens if key("tie_word_embeddings") else file["output.weight"]
        self.head = head if len(head) == len(rows) else head[rows]
        self.codes, self.fast_head = file["fast.token_embd.weight"], file["fast.output.weight"]
        self.project = file.matrix("fast.proj_in") if "fast.proj_in.weight" in file else None
        self.begin()

    def begin(self):
        self.past, self.n = self.slow.empty(), 0

    def feed(self, columns):
        """columns [T, 1 + Q] -> hidden [dim], logits of what can be sound."""
        x = self.tokens[columns[:, 0]]
        sound = (columns[:, 0] >= self.first) & (columns[:, 0] <= self.last)
        books = self.books[columns[:, 1:] + torch.arange(self.Q) * self.size].sum(1)
        x = torch.where(sound[:, None], (x + books) * self.scale, x)
        x = self.slow.run(x, self.n, self.past)[-1]
        self.n += len(columns)
        return x, F.linear(rms(x, self.slow.norm, self.slow.eps), self.head)

    def fast_logits(self, x, past, k):
        x = self.fast.run(x, k, past)[-1]
        return F.linear(rms(x, self.fast.norm, self.fast.eps), self.fast_head)

    def frame(self, hidden, code):
        """The codes of a frame, the likeliest."""
        x = F.linear(hidden, *self.project) if self.project else hidden
        x, past, codes = torch.stack([x, self.codes[code]]), self.fast.empty(), [code]
        for k in range(1, self.Q):
            logits = self.fast_logits(x, past, 0 if k == 1 else k)
            codes.append(int(logits[:1024].argmax()))
            x = self.codes[codes[-1]][None]
        return codes


class Decoder:
    """Codes to samples, a stretch at a time."""

    def __init__(self, file):
        key = lambda name: file.keys[ARCH + name]
        self.file, self.sizes = file, [key("codec.semantic_size")] + [key("codec.residual_size")] * key("codebook_count")
        self.books = [(file[f"codec.rvq.{i}.codebook.weight"], *file.matrix(f"codec.rvq.{i}.out_proj"))
                      for i in range(key("codebook_count"))]
        self.post = Stack(file, "codec.post.", "codec.post.")
        self.factors, self.rates, self.weights = key("codec.factors")[::-1], key("codec.decoder_rates"), {}
        self.begin()

    def begin(self):
        self.past, self.n, self.state = self.post.empty(), 0, {}

    def kernel(self, name, depthwise):
        if name not in self.weights:
            w, bias = self.file.matrix("codec." + name)
            if depthwise:  # [tap, channel]
                w = w.t()[:, None]
            else:  # [out, tap, in]
                w = (w[:, None] if w.dim() == 2 else w).transpose(1, 2)
            bias = bias.repeat(len(w) // len(bias))  # transposed: the same for each phase
            self.weights[name] = w.contiguous(), bias
        return self.weights[name]

    def conv(self, x, name, dilation=1, up=1, depthwise=False):
        w, bias = self.kernel(name, depthwise)
        n = (w.shape[2] - 1) * dilation
        if n:
            x = torch.cat([self.state.get(name, x.new_zeros(x.shape[0], n)), x], 1)
            self.state[name] = x[:, -n:]
        y = F.conv1d(x[None], w, bias, dilation=dilation, groups=len(w) if depthwise else 1)[0]
        return y if up == 1 else y.view(up, -1, y.shape[1]).permute(1, 2, 0).flatten(1)

    def snake(self, x, name):
        alpha = self.weights.setdefault(name, self.file["codec." + name][:, None])
        return x + torch.sin(alpha * x) ** 2 / (alpha + 1e-9)

    def next(self, x, name):
        get = lambda what: self.weights.setdefault(name + what, self.file[f"codec.{name}{what}.weight"])
        linear = lambda y, what: F.linear(y, *self.weights.setdefault(name + what, self.file.matrix(f"codec.{name}{what}")))
        y = self.conv(x, name + "dw", depthwise=True).t()
        norm_bias = self.weights.setdefault(name + "norm.bias", self.file[f"codec.{name}norm.bias"])
        y = F.layer_norm(y, y.shape[-1:], get("norm"), norm_bias, 1e-6)
        return x + (linear(F.gelu(linear(y, "pw1")), "pw2") * get("gamma")).t()

    def decode(self, codes):
        """codes [Q, T] -> samples"""
        x = sum(F.linear(book[codes[i].clamp(max=self.sizes[i] - 1)], w, bias)
                for i, (book, w, bias) in enumerate(self.books))
        x = self.post.run(x, self.n, self.past)
        self.n += codes.shape[1]
        x = rms(x, self.post.norm, self.post.eps).t()
        for i, factor in enumerate(self.factors):
            x = self.next(self.conv(x, f"up.{i}.conv", up=factor), f"up.{i}.")
        x = self.conv(x, "dec.conv_in")
        for b, rate in enumerate(self.rates):
            x = self.conv(self.snake(x, f"dec.{b}.snake.alpha"), f"dec.{b}.up", up=rate)
            for u, dilation in enumerate((1, 3, 9)):
                p = f"dec.{b}.res.{u}."
                y = self.conv(self.snake(x, p + "snake1.alpha"), p + "conv1", dilation)
                x = x + self.conv(self.snake(y, p + "snake2.alpha"), p + "conv2")
        return torch.tanh(self.conv(self.snake(x, "dec.snake.alpha"), "dec.conv_out"))[0]


# --- against a golden set ---


def near(got, want, tolerance, what):
    off = float(np.abs(got.numpy() - want).max())
    assert got.shape == want.shape and off <= tolerance, f"{what}: off by {off:.3g}, at most {tolerance:.3g}"
    print(f"{what}: {off:.2g} of {tolerance:.2g}")


def check(path, folder):
    read = lambda name: np.load(os.path.join(folder, "golden", name + ".npy"))
    columns = lambda name: torch.from_numpy(read(name).astype(np.int64))
    file = File(path)
    lm, decoder = LanguageModel(file), Decoder(file)
    rows = [*range(lm.first, lm.last + 1), lm.end]
    logits, steps = read("lm_prefill_logits").reshape(-1), read("lm_step_logits")
    near(lm.feed(columns("prompt_ref1").t())[1], logits[rows], 1e-4 * np.abs(logits).max(), "logits of a prompt")
    for i, column in enumerate(columns("lm_step_inputs")):
        near(lm.feed(column[None])[1], steps[i][rows], 1e-4 * np.abs(steps).max(), f"logits of step {i}")
    lm.begin()
    want = read("gen_greedy")
    hidden, logits = lm.feed(columns("prompt_gen_greedy").t())
    for i in range(want.shape[1]):
        token = int(want[0, i])
        assert token not in rows or rows[int(logits.argmax())] == token, f"token {i}"
        codes = lm.frame(hidden, max(0, token - lm.first))
        assert [token, *codes] == want[:, i].tolist(), f"frame {i}: {codes}"
        hidden, logits = lm.feed(torch.tensor([[token, *codes]]))
    print(f"greedy: {want.shape[1]} frames the same")
    near(decoder.decode(columns("codec_codes")), read("codec_wav").reshape(-1), 1e-4, "samples")
    for parts in (132, 7):
        decoder.begin()
        got = torch.cat([decoder.decode(c) for c in columns("codec_long_codes").split(parts, 1)])
        tail = read("codec_long_wav_tail").reshape(-1)
        near(got[-len(tail):], tail, 1e-4, f"samples of a long stretch, {parts} frames at a time")


# --- the measure ---


def best(times, scale=1.0):
    return {"best": min(times) * scale, "median": sorted(times)[len(times) // 2] * scale}


def bench(path, threads):
    began = time.perf_counter()
    torch.set_num_threads(threads or torch.get_num_threads())
    file = File(path)
    lm, decoder = LanguageModel(file), Decoder(file)
    codes = (torch.arange(8 * lm.Q) * 37 % 64).view(lm.Q, 8)
    decoder.decode(codes)  # makes its weights
    load = time.perf_counter() - began
    column = torch.zeros(1, 1 + lm.Q, dtype=torch.int64)
    column[0, 0] = lm.first + 1

    def timed(f, *a):
        t = time.perf_counter()
        got = f(*a)
        return time.perf_counter() - t, got

    def filled(n):
        lm.begin()
        return timed(lm.feed, column.repeat(n, 1))

    def frame():
        slow, (hidden, logits) = timed(lm.feed, column)
        return slow, timed(lm.frame, hidden, min(int(logits.argmax()), 63))[0]

    prompt = [filled(256)[0] for _ in range(3)]
    frames = []
    for context in (300, 1000):
        if context + 24 > len(lm.slow.cos):
            continue
        filled(context)
        pairs = [frame() for _ in range(24)]
        frames.append({"context": context, "batch": 1, "slow_ms": best([a for a, _ in pairs], 1e3),
                       "fast_ms": best([b for _, b in pairs], 1e3), "frame_ms": best([a + b for a, b in pairs], 1e3)})
    sound = [timed(decoder.decode, codes)[0] / 8 for _ in range(6)]
    seconds = decoder.decode(codes).numel() / 8 / file.keys[ARCH + "codec.sample_rate"]
    decoder.begin()
    first = filled(48)[0] + sum(frame()) + timed(decoder.decode, codes[:, :1])[0]
    total = frames[0]["frame_ms"]["best"] * 1e-3 + min(sound)
    return {"load_s": load, "prefill_tokens_per_s": {"best": 256 / min(prompt)}, "frames": frames,
            "codec_rtf": best(sound, 1 / seconds), "total_rtf": {"best": total / seconds}, "first_audio_s": first,
            "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024e-6}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("command", choices=["check", "bench"])
    p.add_argument("model")
    p.add_argument("set", nargs="?")
    p.add_argument("--threads", type=int, default=0)
    o = p.parse_args()
    with torch.inference_mode():
        if o.command == "check":
            check(o.model, o.set)
        else:
            print(json.dumps(bench(o.model, o.threads)))


if __name__ == "__main__":
    main()
