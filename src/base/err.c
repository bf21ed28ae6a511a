#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *e, int code, const char *format, ...)
{
    if (e) {
        va_list args;
        e->code = code;
        va_start(args, format);
        vsnprintf(e->msg, sizeof e->msg, format, args);
        va_end(args);
    }
    return code;
}

int err_wrap(struct err *e, const char *format, ...)
{
    char context[256], rest[sizeof e->msg];
    va_list args;

    if (!e)
        return ERR_INTERNAL;
    va_start(args, format);
    vsnprintf(context, sizeof context, format, args);
    va_end(args);
    memcpy(rest, e->msg, sizeof rest);
    /* A message that no longer fits is cut at its end: its beginning names the place. */
    size_t n = strlen(context);
    memcpy(e->msg, context, n);
    memcpy(e->msg + n, ": ", 2);
    size_t room = sizeof e->msg - n - 3, n_rest = strnlen(rest, sizeof rest);
    if (n_rest > room)
        n_rest = room;
    memcpy(e->msg + n + 2, rest, n_rest);
    e->msg[n + 2 + n_rest] = 0;
    return e->code;
}
