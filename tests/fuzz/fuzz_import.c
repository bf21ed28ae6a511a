/* The text files of a checkpoint directory.  The first byte of the input says which one the rest
 * is: config.json, the codec's yaml, a voice, or special_tokens.json.  The others are fixed, and so
 * small that the import fails at the first missing tensor, behind all of them. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const struct {
    const char *name, *text;
} files[] = {
    {"config.json",
     "{\"dim\":8,\"n_head\":2,\"intermediate_size\":8,\"n_layer\":1,\"n_fast_layer\":1,"
     "\"max_seq_len\":64,\"vocab_size\":8,\"num_codebooks\":2,\"codebook_size\":2}"},
    {"modded_dac_vq.yaml", "sample_rate: 8000\nquantizer:\n  post_module: &m\n    window_size: 4\n"
                           "    config: {head_dim: 4}\n  pre_module: *m\n"},
    {"voices/v.json", "{\"name\":\"v\",\"text\":\"t\",\"codes\":[[0,1],[1,0]]}"},
    {"special_tokens.json", "{\"<|im_end|>\":1,\"<|semantic:0|>\":2,\"<|semantic:1|>\":3}"},
    {"tokenizer.tiktoken", "YQ== 0\n"},
};
#define N_TARGET 4
#define N_FILE   (sizeof files / sizeof *files)

static char dir[64], output[80];

static void put(const char *name, const void *data, size_t n)
{
    char path[160];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "wb");
    if (!f || (n > 0 && fwrite(data, 1, n, f) != n) || fclose(f) != 0)
        abort();
}

/* A safetensors file whose tensors all show the same zeros. */
static void put_tensors(const char *name, const char *header)
{
    static unsigned char all[8 + 4096 + 1024];
    size_t n = strlen(header);
    memset(all, 0, sizeof all);
    all[0] = (unsigned char)n;
    all[1] = (unsigned char)(n >> 8);
    memcpy(all + 8, header, n);
    put(name, all, 8 + n + 1024);
}

static void remove_all(void)
{
    static const char *const more[] = {"model.safetensors", "codec.safetensors", "voices", ""};
    char path[160];
    for (size_t i = 0; i < N_FILE + 4; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, i < N_FILE ? files[i].name : more[i - N_FILE]);
        remove(path);
    }
}

static void set_up(void)
{
    char path[160];
    snprintf(dir, sizeof dir, "/tmp/fuzz_import-%ld", (long)getpid());
    snprintf(output, sizeof output, "%s/out.gguf", dir);
    snprintf(path, sizeof path, "%s/voices", dir);
    if (mkdir(dir, 0700) || mkdir(path, 0700))
        abort();
    for (size_t i = 0; i < N_FILE; i++)
        put(files[i].name, files[i].text, strlen(files[i].text));
    put_tensors("model.safetensors", "{\"embeddings.weight\":{\"dtype\":\"F32\",\"shape\":[8,8],"
                                     "\"data_offsets\":[0,256]}}");
    put_tensors("codec.safetensors",
                "{\"decoder.model.0.conv.weight\":{\"dtype\":\"F32\",\"shape\":[4,4,7],"
                "\"data_offsets\":[0,448]},"
                "\"decoder.model.1.block.1.conv.weight\":{\"dtype\":\"F32\",\"shape\":[4,2,4],"
                "\"data_offsets\":[0,128]},"
                "\"quantizer.upsample.0.0.conv.weight\":{\"dtype\":\"F32\",\"shape\":[4,4,2],"
                "\"data_offsets\":[0,128]},"
                "\"quantizer.post_module.layers.0.attention.wqkv.weight\":{\"dtype\":\"F32\","
                "\"shape\":[12,4],\"data_offsets\":[0,192]}}");
    atexit(remove_all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct import_options o = {
        .directory = dir, .output = output, .type = -1, .sampling = {-1, -1, -1}};
    struct err e = {0};
    if (!*dir)
        set_up();
    if (n == 0)
        return 0;
    size_t which = data[0] % N_TARGET;
    put(files[which].name, data + 1, n - 1);
    if (import_convert(&o, &e) == 0 || e.code >= 0 || !e.msg[0] || access(output, F_OK) == 0)
        abort();
    put(files[which].name, files[which].text, strlen(files[which].text));
    return 0;
}
