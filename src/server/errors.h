/* errors.h - errors as clients see them: one table of status, type and code.
 *
 *     return api_fail(&e, FAULT_MISSING, "voice", "the field '%s' is missing", "voice");
 *
 * Threads: any. */
#ifndef SERVER_ERRORS_H
#define SERVER_ERRORS_H
#include <jansson.h>
#include "jabbertts.h"

/* What went wrong, as a client sees it; the table in errors.c gives status, type and code. */
enum fault {
    FAULT_NONE,
    FAULT_BAD_HTTP, /* ambiguous: two programs might read it differently */
    FAULT_EXPECT,
    FAULT_ENCODING, /* of the body */
    FAULT_HOST,     /* a name that is not ours */
    FAULT_ORIGIN,   /* a web page that may not call */
    FAULT_BAD_JSON,
    FAULT_MISSING, /* a required field */
    FAULT_WRONG_TYPE,
    FAULT_INVALID_VALUE,
    FAULT_TOO_LONG, /* a string */
    FAULT_TOO_SHORT,
    FAULT_UNKNOWN_FIELD,
    FAULT_UNSUPPORTED,
    FAULT_NO_KEY,
    FAULT_BAD_KEY,
    FAULT_DENIED, /* known, and not allowed */
    FAULT_NO_URL,
    FAULT_NO_MODEL,
    FAULT_NOT_FOUND,
    FAULT_METHOD,
    FAULT_TIMEOUT,
    FAULT_RANGE, /* a range outside of the content */
    FAULT_BODY_TOO_LARGE,
    FAULT_URL_TOO_LONG,
    FAULT_CONTENT_TYPE,
    FAULT_RATE,
    FAULT_BUSY,
    FAULT_STOPPING,
    FAULT_CANCELLED,
    FAULT_INCOMPLETE, /* a limit ended the sound before the text was spoken */
    FAULT_MEMORY,
    FAULT_STORAGE, /* no room to keep a body or an answer */
    FAULT_STORE,   /* the database or the bucket cannot be reached */
    FAULT_INTERNAL,
    N_FAULT
};

struct api_error {
    enum fault fault;
    char param[64]; /* ""; no field is to blame */
    char message[640];
    double retry_after_s; /* > 0: when to try again */
};

/* Fill e and return -1.  param may be NULL. */
int api_fail(struct api_error *e, enum fault fault, const char *param, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* The engine's error as the client's.  param: the field it is about, if known. */
int api_fail_engine(struct api_error *e, const char *param, const struct jabbertts_error *from);
int api_status(enum fault fault);
const char *api_code(enum fault fault);
/* {"error":{"message","type","param","code"}}; NULL when out of memory */
json_t *api_error_json(const struct api_error *e);

#endif
