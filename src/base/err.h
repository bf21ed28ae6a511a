/* err.h - how every function of the project fails.
 *
 * A function that can fail returns int, 0 or one of the codes below, and takes a
 * struct err * as its last argument.  The message says what, which value, which limit and how
 * to mend it: lower case, no period, no newline.  e may be NULL when the caller needs no message.
 *
 *     if (n > LIMIT_TEXT_BYTES)
 *         return err_set(e, ERR_LIMIT, "text has %zu bytes, the limit is %d", n, LIMIT_TEXT_BYTES);
 *
 * Threads: any; a struct err belongs to its caller. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

enum {
    ERR_ARGUMENT = -1,    /* a value the caller chose is wrong */
    ERR_NOT_FOUND = -2,   /* a file, voice, model or tensor that does not exist */
    ERR_FORMAT = -3,      /* data from outside is malformed */
    ERR_UNSUPPORTED = -4, /* well formed, but not something we do */
    ERR_LIMIT = -5,       /* over a named limit */
    ERR_MEMORY = -6,      /* allocation failed */
    ERR_IO = -7,          /* the operating system refused or failed */
    ERR_BUSY = -8,        /* queue full: try later */
    ERR_CANCELLED = -9,   /* the caller cancelled it, or the engine is closing */
    ERR_INTERNAL = -10,   /* our own bug */
    ERR_DEADLINE = -11,   /* not done in the time the caller gave */
    ERR_DENIED = -13,     /* it belongs to another owner */
    ERR_AWAY = -14        /* a store on another machine does not answer: try later */
};

struct err {
    int code; /* 0 or ERR_* */
    char msg[512];
};

/* Fill e (if not NULL) and return code. */
int err_set(struct err *e, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Put "context: " in front of the message already in e; returns its code. */
int err_wrap(struct err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
