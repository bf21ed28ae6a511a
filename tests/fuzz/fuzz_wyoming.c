/* Heads of Wyoming events, and where text that is still being written is cut. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "server/talk.h"
#include "server/wyoming.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wyoming_head h;
    struct err e;
    if (wyoming_parse((const char *)data, size, &h, &e) == 0)
        json_decref(h.data);
    for (int ended = 0; ended < 2; ended++) {
        size_t n = talk_cut((const char *)data, size, ended);
        assert(n <= size && (!ended || size == 0 || n > 0));
    }
    return 0;
}
