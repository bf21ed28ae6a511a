/* fuzz_audio.c - any bytes as a sound file. */
#include <stddef.h>
#include <stdint.h>
#include "audio/audio.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    float *pcm;
    size_t n;
    struct err e;
    if (audio_decode_memory(&(struct audio_file){data, size}, 16000, 10, &pcm, &n, &e) == 0)
        mem_free(pcm);
    return 0;
}
