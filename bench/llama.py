#!/usr/bin/env python3
"""Language model of S1-mini's shape, random weights: llama.cpp beside jabbertts, in turns, in one run.

    debootstrap --variant=minbase sid DIR        # or any system with llama.cpp; DIR outside this tree
    chroot DIR apt-get install -y --no-install-recommends llama.cpp-tools python3-gguf
    build/jabbertts convert --random s1-mini --type q4_0 -o q4.gguf      # and q8_0
    bench/llama.py --root DIR --rounds 3 q4_0=q4.gguf q8_0=q8.gguf

llama.cpp has no dual transformer: slow and fast become two models of the same shapes (Qwen3's block is
the same), heads cut to the 4097 and 1024 rows that S1-mini can draw (4224 here, a multiple of its
blocks).  Its frame is one slow token at the given depth and nine fast ones, as ours (users of it
would need ten).  Sampling is left out of its time and is in ours.  Median of all rounds; a sample of
llama.cpp's is the mean of 24 tokens, of ours one frame.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys

SHAPES = {  # layers, head size, rows of the head
    "slow": (28, 128, 4224),
    "fast": (4, 64, 1024),
}
DIM, HEADS, KV_HEADS, FF = 1024, 16, 8, 3072


def write_shape(path, n_layer, head_dim, n_vocab):
    """A model file in halves; needs Debian's python3-gguf (runs inside --root)."""
    import gguf
    import numpy as np
    rng = np.random.default_rng(0)
    w = gguf.GGUFWriter(path, "qwen3")
    w.add_block_count(n_layer)
    w.add_context_length(8192)
    w.add_embedding_length(DIM)
    w.add_feed_forward_length(FF)
    w.add_head_count(HEADS)
    w.add_head_count_kv(KV_HEADS)
    w.add_key_length(head_dim)
    w.add_value_length(head_dim)
    w.add_rope_freq_base(1e6)
    w.add_layer_norm_rms_eps(1e-6)
    w.add_vocab_size(n_vocab)
    w.add_file_type(1)
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("qwen2")
    w.add_token_list([b"t%d" % i for i in range(n_vocab)])
    w.add_token_types([1] * n_vocab)
    w.add_token_merges(["t 1"])
    w.add_bos_token_id(0)
    w.add_eos_token_id(1)

    def matrix(name, *shape):
        w.add_tensor(name, (rng.standard_normal(shape, dtype=np.float32) * 0.02).astype(np.float16))

    def ones(name, n):
        w.add_tensor(name, np.ones(n, np.float32))

    matrix("token_embd.weight", n_vocab, DIM)
    matrix("output.weight", n_vocab, DIM)
    ones("output_norm.weight", DIM)
    for i in range(n_layer):
        p = "blk.%d." % i
        ones(p + "attn_norm.weight", DIM)
        ones(p + "ffn_norm.weight", DIM)
        ones(p + "attn_q_norm.weight", head_dim)
        ones(p + "attn_k_norm.weight", head_dim)
        matrix(p + "attn_q.weight", HEADS * head_dim, DIM)
        matrix(p + "attn_k.weight", KV_HEADS * head_dim, DIM)
        matrix(p + "attn_v.weight", KV_HEADS * head_dim, DIM)
        matrix(p + "attn_output.weight", DIM, HEADS * head_dim)
        matrix(p + "ffn_gate.weight", FF, DIM)
        matrix(p + "ffn_up.weight", FF, DIM)
        matrix(p + "ffn_down.weight", DIM, FF)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


class Llama:
    """llama.cpp's programs, in a changed root or here."""

    def __init__(self, root, threads):
        self.prefix = ["chroot", root] if root else []
        self.outside = (root or "") + "/tmp/jabbertts-bench"
        self.threads = str(threads)
        os.makedirs(self.outside, exist_ok=True)

    def run(self, *command):
        return subprocess.run([*self.prefix, *command], check=True, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True).stdout

    def prepare(self, types):
        inside = "/tmp/jabbertts-bench"
        shutil.copy(os.path.abspath(__file__), self.outside + "/llama.py")
        for name, shape in SHAPES.items():
            half = f"{inside}/{name}-f16.gguf"
            if not os.path.exists(f"{self.outside}/{name}-f16.gguf"):
                self.run("python3", inside + "/llama.py", "--write", half, *map(str, shape))
            for t in types:
                if not os.path.exists(f"{self.outside}/{name}-{t}.gguf"):
                    self.run("llama-quantize", "--pure", half, f"{inside}/{name}-{t}.gguf", t.upper(),
                             self.threads)

    def samples(self, name, t, *options):
        """Milliseconds a token, one number per repetition."""
        out = self.run("llama-bench", "-m", f"/tmp/jabbertts-bench/{name}-{t}.gguf", "-t", self.threads,
                       "-r", "3", "-o", "jsonl", *options)
        j = json.loads(out.splitlines()[-1])
        return [ns * 1e-6 / (j["n_gen"] or j["n_prompt"]) for ns in j["samples_ns"]]


def ours(program, model, threads):
    out = subprocess.run([program, "bench", "--json", "--threads", str(threads), model], check=True,
                         stdout=subprocess.PIPE, text=True).stdout
    j = json.loads(out)
    found = {"prompt 256, tokens/s": j["prefill_tokens_per_s"]["median"]}
    for f in j["frames"]:
        found[f"frame, {f['batch']} at {f['context']}, ms"] = f["frame_ms"]["median"]
    return found


def theirs(llama, t):
    fast = llama.samples("fast", t, "-p", "0", "-n", "24")
    found = {"prompt 256, tokens/s":
             1e3 / statistics.median(llama.samples("slow", t, "-p", "256", "-n", "0"))}
    for depth in (300, 1000):
        slow = llama.samples("slow", t, "-p", "0", "-n", "24", "-d", str(depth))
        found[f"frame, 1 at {depth}, ms"] = statistics.median(slow) + 9 * statistics.median(fast)
    return found


def main():
    if sys.argv[1:2] == ["--write"]:
        return write_shape(sys.argv[2], *map(int, sys.argv[3:6]))
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--root", help="directory that llama.cpp is installed in as a system")
    p.add_argument("--program", default="build/jabbertts")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("models", nargs="+", metavar="TYPE=FILE")
    o = p.parse_args()
    models = dict(m.split("=", 1) for m in o.models)
    llama = Llama(o.root, o.threads)
    llama.prepare(models)
    for t, model in models.items():
        a, b = {}, {}
        for _ in range(o.rounds):
            for into, found in ((a, ours(o.program, model, o.threads)), (b, theirs(llama, t))):
                for k, v in found.items():
                    into.setdefault(k, []).append(v)
        print(f"{t:26} {'jabbertts':>10} {'llama.cpp':>10} {'times as fast':>14}")
        for k in b:
            x, y = statistics.median(a[k]), statistics.median(b[k])
            print(f"{k:26} {x:10.1f} {y:10.1f} {(x / y if 'tokens/s' in k else y / x):14.2f}")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
