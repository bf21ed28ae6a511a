/* Any bytes as the body of a speech request; byte 0 chooses strictness. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/params.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct speech_params p;
    struct api_error e = {0};
    if (n == 0)
        return 0;
    struct param_limits limits = {100, data[0] & 1};
    if (params_parse((const char *)data + 1, n - 1, &limits, &p, &e) < 0) {
        json_t *json = api_error_json(&e);
        if (!e.fault || !e.message[0] || (e.param[0] && !json && strlen(e.param) < 30))
            abort();
        json_decref(json);
        return 0;
    }
    if (!p.model[0] || !p.voice[0] || p.n_char < 1 || p.n_char > 100 || !(p.speed >= 0.25) ||
        p.speed > 4 || p.seed < 0 || (p.sample_rate && p.sample_rate < 8000) ||
        p.response_format > FORMAT_PCM)
        abort();
    for (const char *s = p.ignored; *s; s++)
        if (*s < ' ' || *s > '~')
            abort();
    params_done(&p);
    return 0;
}
