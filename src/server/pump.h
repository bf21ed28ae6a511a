/* pump.h - sound of one request, from the engine through an encoder to a sink, as far as it goes.
 *
 *     if (pump_new(tts, &request, &encoder, &options, &pump, &e) < 0) ...
 *     pump_run(pump, &e)        whenever the sink was woken, or has room again
 *     pump_free(pump);
 *
 * On the public header alone: a protocol is a sink.  It knows neither HTTP nor sockets.
 *
 * Threads: one at a time, but for pump_sink.wake, which the engine calls from any. */
#ifndef SERVER_PUMP_H
#define SERVER_PUMP_H
#include <stdbool.h>
#include <stddef.h>
#include "jabbertts.h"

struct pump_sink {
    /* Encoded bytes, in order; < 0 stops the pump, which returns it. */
    int (*write)(void *cookie, const void *data, size_t n);
    bool (*has_room)(void *cookie); /* false: the pump stops until it is run again */
    void (*wake)(void *cookie);     /* there is sound: run the pump.  The engine's lock is held */
    void *cookie;
};

enum pump_step {
    PUMP_WAIT,  /* the engine has no sound yet, and will wake the sink */
    PUMP_FULL,  /* the sink has no room */
    PUMP_END,   /* all is written */
    PUMP_SHORT, /* a limit ended sentences before the model did; what is written is not all */
};

/* The sink, and options of the pump. */
struct pump_options {
    struct pump_sink sink;
    double volume;    /* factor of amplitude; 0: 1 */
    double silence_s; /* of a text without anything to say; 0: it is refused */
};

struct pump;
/* Submit a request.  The encoder's in_hz, sink and cookie are the pump's to set; PCM is 24 kHz
 * where no rate is asked for. */
int pump_new(struct jabbertts *tts, const struct jabbertts_request *r,
             const struct jabbertts_encoder_options *encoder, const struct pump_options *options,
             struct pump **ret, struct jabbertts_error *e);
/* enum pump_step, or a negative status.  After the end or a failure it must not be run again. */
int pump_run(struct pump *p, struct jabbertts_error *e);
void pump_cancel(struct pump *p);
/* Afterwards the sink is not woken any more.  NULL is fine. */
void pump_free(struct pump *p);

/* After PUMP_END: what replaces the first bytes written, as jabbertts_encoder_head. */
size_t pump_head(const struct pump *p, unsigned char head[JABBERTTS_HEAD_MAX]);
/* NULL: a text without anything to say. */
const struct jabbertts_stream *pump_stream(const struct pump *p);
void pump_progress(const struct pump *p, struct jabbertts_progress *ret);
double pump_seconds(const struct pump *p); /* of sound made so far */

#endif
