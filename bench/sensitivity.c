/* sensitivity ORIGINAL SCRATCH [IMATRIX [TEXT]] - what each kind of matrix costs when it alone is
 * in few bits: 4 for the language model's, 8 for the codec's.  ORIGINAL is a model file in f32;
 * SCRATCH is written again and again.  One line per kind: divergence of the slow and of the fast
 * transformer in nats, the codec's signal-to-noise ratio in dB.  docs/MODEL.md rests the table of
 * `mixed` on it. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jabbertts_tools.h"
#include "model/quantize.h"

static const char *const kinds[] = {"token_embd",
                                    "codebook_embd",
                                    "blk.*attn_qkv",
                                    "blk.*attn_output",
                                    "blk.*ffn_gate",
                                    "blk.*ffn_down",
                                    "blk.0.",
                                    "blk.1.",
                                    "blk.2.",
                                    "blk.3.",
                                    "fast.token_embd",
                                    "fast.output.",
                                    "fast.proj_in",
                                    "fast.blk.*attn_qkv",
                                    "fast.blk.*attn_output",
                                    "fast.blk.*ffn_gate",
                                    "fast.blk.*ffn_down",
                                    "fast.blk.0.",
                                    "fast.blk.1.",
                                    "codec.rvq.",
                                    "codec.post.",
                                    "codec.up.",
                                    "codec.dec.conv_in",
                                    "codec.dec.0.",
                                    "codec.dec.1.",
                                    "codec.dec.2.",
                                    "codec.dec.3.",
                                    "codec.dec.conv_out"};

/* kind: a beginning, or a beginning, a star and something behind it.  ffn_up goes with ffn_gate:
 * both are one matrix when they run. */
static bool is_of(const char *name, const char *kind)
{
    const char *star = strchr(kind, '*');
    size_t n = star ? (size_t)(star - kind) : strlen(kind);
    if (strncmp(name, kind, n))
        return false;
    return !star || strstr(name + n, star + 1) ||
           (!strcmp(star + 1, "ffn_gate") && strstr(name + n, "ffn_up"));
}

static enum kern_type choose(void *cookie, const struct gguf_tensor *t, enum kern_type planned)
{
    (void)planned;
    if (!is_of(t->name, cookie))
        return KERN_F32;
    return !strncmp(t->name, "codec.", 6) ? KERN_Q8_0 : KERN_Q4_0;
}

static int measure(const char *kind, int argc, char **argv)
{
    struct quantize_options q = {.input = argv[1],
                                 .output = argv[2],
                                 .scheme = QUANTIZE_Q4,
                                 .imatrix = argc > 3 && *argv[3] ? argv[3] : NULL,
                                 .n_thread = 1,
                                 .cookie = (void *)(uintptr_t)kind,
                                 .choose = choose};
    struct jabbertts_eval_options v = {
        .model = argv[2], .reference = argv[1], .threads = 1, .text = argc > 4 ? argv[4] : NULL};
    struct err e = {0};
    struct jabbertts_error error = {0};
    char *text;
    double slow = 0, fast = 0, snr = 0;
    if (quantize_file(&q, &e) < 0 || jabbertts_eval(&v, 1, &text, &error) < 0) {
        fprintf(stderr, "sensitivity: %s%s\n", e.msg, error.message);
        return 1;
    }
    json_t *j = json_loads(text, 0, NULL);
    json_unpack(j, "{s:{s:F}, s:{s:F}}", "slow", "kl_mean", &slow, "fast", "kl_mean", &fast);
    json_unpack(j, "{s:{s:F}}", "codec", "snr_db", &snr);
    printf("%-22s %9.6f %9.6f %7.2f\n", kind, slow, fast, snr);
    fflush(stdout);
    json_decref(j);
    free(text);
    return 0;
}

int main(int argc, char **argv)
{
    int failed = 0;
    if (argc < 3) {
        fprintf(stderr, "usage: sensitivity ORIGINAL SCRATCH [IMATRIX [TEXT]]\n");
        return 2;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && !failed; i++)
        failed = measure(kinds[i], argc, argv);
    return failed;
}
