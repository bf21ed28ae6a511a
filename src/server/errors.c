/* errors.c - the one table of faults: status, type and code of each. */
#include <stdarg.h>
#include <stdio.h>

#include "server/errors.h"

#define STORE_RETRY_S 5

static const char invalid[] = "invalid_request_error";
static const char limited[] = "rate_limit_exceeded";
static const char server[] = "server_error";

static const struct {
    int status;
    const char *type, *code;
} faults[N_FAULT] = {
    [FAULT_NONE] = {200, NULL, NULL},
    [FAULT_BAD_HTTP] = {400, invalid, "invalid_http"},
    [FAULT_EXPECT] = {417, invalid, "expectation_failed"},
    [FAULT_ENCODING] = {415, invalid, "unsupported_content_encoding"},
    [FAULT_HOST] = {403, invalid, "host_not_allowed"},
    [FAULT_ORIGIN] = {403, invalid, "origin_not_allowed"},
    [FAULT_BAD_JSON] = {400, invalid, "invalid_json"},
    [FAULT_MISSING] = {400, invalid, "missing_required_parameter"},
    [FAULT_WRONG_TYPE] = {400, invalid, "invalid_type"},
    [FAULT_INVALID_VALUE] = {400, invalid, "invalid_value"},
    [FAULT_TOO_LONG] = {400, invalid, "string_above_max_length"},
    [FAULT_TOO_SHORT] = {400, invalid, "string_below_min_length"},
    [FAULT_UNKNOWN_FIELD] = {400, invalid, "unknown_parameter"},
    [FAULT_UNSUPPORTED] = {400, invalid, "unsupported_value"},
    [FAULT_NO_KEY] = {401, invalid, "missing_api_key"},
    [FAULT_BAD_KEY] = {401, invalid, "invalid_api_key"},
    [FAULT_DENIED] = {403, invalid, "permission_denied"},
    [FAULT_NO_URL] = {404, invalid, "unknown_url"},
    [FAULT_NO_MODEL] = {404, invalid, "model_not_found"},
    [FAULT_NOT_FOUND] = {404, invalid, "not_found"},
    [FAULT_METHOD] = {405, invalid, "method_not_allowed"},
    [FAULT_TIMEOUT] = {504, server, "deadline_exceeded"},
    [FAULT_RANGE] = {416, invalid, "range_not_satisfiable"},
    [FAULT_BODY_TOO_LARGE] = {413, invalid, "body_too_large"},
    [FAULT_URL_TOO_LONG] = {414, invalid, "url_too_long"},
    [FAULT_CONTENT_TYPE] = {415, invalid, "unsupported_content_type"},
    [FAULT_RATE] = {429, limited, "rate_limit_exceeded"},
    [FAULT_BUSY] = {429, limited, "server_busy"},
    [FAULT_STOPPING] = {503, server, "server_stopping"},
    [FAULT_CANCELLED] = {499, server, "cancelled"},
    [FAULT_INCOMPLETE] = {500, server, "incomplete_audio"},
    [FAULT_MEMORY] = {503, server, "out_of_memory"},
    [FAULT_STORAGE] = {503, server, "out_of_storage"},
    [FAULT_STORE] = {503, server, "store_unavailable"},
    [FAULT_INTERNAL] = {500, server, "internal_error"},
};

/* The engine's codes, negated, as faults. */
static const enum fault of_engine[] = {
    [-JABBERTTS_ERR_ARGUMENT] = FAULT_INVALID_VALUE,
    [-JABBERTTS_ERR_NOT_FOUND] = FAULT_INVALID_VALUE,
    [-JABBERTTS_ERR_FORMAT] = FAULT_INVALID_VALUE,
    [-JABBERTTS_ERR_UNSUPPORTED] = FAULT_UNSUPPORTED,
    [-JABBERTTS_ERR_LIMIT] = FAULT_INVALID_VALUE,
    [-JABBERTTS_ERR_MEMORY] = FAULT_MEMORY,
    [-JABBERTTS_ERR_IO] = FAULT_INTERNAL,
    [-JABBERTTS_ERR_BUSY] = FAULT_BUSY,
    [-JABBERTTS_ERR_CANCELLED] = FAULT_CANCELLED,
    [-JABBERTTS_ERR_INTERNAL] = FAULT_INTERNAL,
    [-JABBERTTS_ERR_DEADLINE] = FAULT_TIMEOUT,
    [-JABBERTTS_ERR_DENIED] = FAULT_DENIED,
    [-JABBERTTS_ERR_AWAY] = FAULT_STORE,
};

int api_status(enum fault fault)
{
    return faults[fault].status;
}

const char *api_code(enum fault fault)
{
    return faults[fault].code;
}

int api_fail(struct api_error *e, enum fault fault, const char *param, const char *format, ...)
{
    va_list args;
    *e = (struct api_error){.fault = fault};
    snprintf(e->param, sizeof e->param, "%s", param ? param : "");
    va_start(args, format);
    vsnprintf(e->message, sizeof e->message, format, args);
    va_end(args);
    return -1;
}

int api_fail_engine(struct api_error *e, const char *param, const struct jabbertts_error *from)
{
    size_t i = from->code < 0 ? (size_t)-from->code : 0;
    enum fault fault =
        i > 0 && i < sizeof of_engine / sizeof *of_engine ? of_engine[i] : FAULT_INTERNAL;
    api_fail(e, fault, api_status(fault) == 400 ? param : NULL, "%s", from->message);
    if (fault == FAULT_BUSY || fault == FAULT_STORE)
        e->retry_after_s = from->retry_after_s > 0 ? from->retry_after_s
                           : fault == FAULT_STORE  ? STORE_RETRY_S
                                                   : 1;
    return -1;
}

json_t *api_error_json(const struct api_error *e)
{
    return json_pack("{s:{s:s,s:s,s:s?,s:s?}}", "error", "message", e->message, "type",
                     faults[e->fault].type, "param", e->param[0] ? e->param : NULL, "code",
                     faults[e->fault].code);
}
