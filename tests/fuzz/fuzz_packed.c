/* MessagePack: what can be read, written, and read again is the same. */
#include <assert.h>
#include <stdint.h>

#include "server/packed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *first = NULL, *again = NULL;
    struct api_error e;
    struct buf b;
    if (packed_read(data, size, &first, &e) < 0) {
        assert(e.fault == FAULT_BAD_JSON && e.message[0]);
        return 0;
    }
    buf_init(&b, 64 << 20);
    assert(packed_write(first, &b) == 0);
    assert(packed_read(b.data, b.len, &again, &e) == 0);
    assert(json_equal(first, again));
    buf_done(&b);
    json_decref(first);
    json_decref(again);
    return 0;
}
