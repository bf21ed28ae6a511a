/* recordings.h - recordings of a speaker in a request, each with what is said in it.
 *
 *     struct recordings c = {.n = 0};
 *     if (recordings_read(&c, "references", json, &e) == 0) ...    [{"audio": base64, "text": ""}]
 *     if (recordings_voice(&c, tts, &voice, &e) == 0) ...          one voice of all of them
 *     recordings_done(&c);
 *
 * Threads: any; a voice waits for the engine thread, which encodes the recordings. */
#ifndef SERVER_RECORDINGS_H
#define SERVER_RECORDINGS_H
#include <jansson.h>
#include "jabbertts.h"
#include "server/errors.h"

struct recordings {
    struct jabbertts_clip clip[JABBERTTS_CLIPS_MAX]; /* bytes and texts are its own */
    int n;
};

/* field: what the request calls it.  text NULL: not known. */
int recordings_add(struct recordings *c, const char *field, const void *data, size_t n,
                   const char *text, struct api_error *e);
int recordings_add_base64(struct recordings *c, const char *field, const char *base64,
                          const char *text, struct api_error *e);
int recordings_read(struct recordings *c, const char *field, const json_t *list,
                    struct api_error *e);
int recordings_voice(const struct recordings *c, const char *field, struct jabbertts *tts,
                     struct jabbertts_voice **ret, struct api_error *e);
void recordings_done(struct recordings *c);

#endif
