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
    const struct jabbertts_request *r = &p.request;
    const struct jabbertts_encoder_options *o = &p.encoder;
    struct jabbertts_format format;
    if (!p.model[0] || (r->voice && !r->voice[0]) || p.n_char < 1 || p.n_char > 100 ||
        (o->speed != 0 && !(o->speed >= 0.25 && o->speed <= 4)) || r->seed >> 53 ||
        (o->out_hz && o->out_hz < 8000) || jabbertts_format_find(o->format, &format) < 0)
        abort();
    for (const char *s = p.ignored; *s; s++)
        if (*s < ' ' || *s > '~')
            abort();
    params_done(&p);
    return 0;
}
