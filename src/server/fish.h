/* fish.h - bodies as Fish Audio's clients send them: MessagePack, JSON or a form, by their
 * Content-Type.
 *
 * Threads: any. */
#ifndef SERVER_FISH_H
#define SERVER_FISH_H
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include "server/errors.h"

struct request;
bool fish_is_packed(const struct request *r);
bool fish_is_form(const struct request *r);
/* An object. */
int fish_read(const struct request *r, const char *body, size_t n, json_t **ret,
              struct api_error *e);

#endif
