/* map.h - a file mapped for reading that may change under our feet.
 *
 * Reading beyond the end of a mapped file that was cut short is SIGBUS, which kills a process.
 * Here such pages read as zeros instead, and map_check reports it, so readers call map_check after
 * reading.  map_check also notices a file that was written to since it was opened.  A file that was
 * replaced (by rename, as installation does) stays as it was for each program that has it open.
 *
 *     if (map_open(path, &m, &e) < 0) ...
 *     use(map_data(m), map_bytes(m));
 *     if (map_check(m, &e) < 0) ...           what was read cannot be trusted
 *     map_close(m);
 *
 * map_open installs a SIGBUS handler, which passes faults outside of maps to the previous one.
 *
 * Threads: open and close any; a map is read by any. */
#ifndef BASE_MAP_H
#define BASE_MAP_H
#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"

#define MAP_MAX 1024 /* open at once in this process */

struct map;
/* ERR_NOT_FOUND, ERR_FORMAT (empty, or not a regular file), ERR_IO, ERR_LIMIT. */
int map_open(const char *path, struct map **ret, struct err *e);
void map_close(struct map *m); /* NULL is fine */
const void *map_data(const struct map *m);
size_t map_bytes(const struct map *m);
/* ERR_IO when pages were missing, or size or time are not what they were. */
int map_check(const struct map *m, struct err *e);
bool map_is_whole(const struct map *m);    /* no page was missing so far; reads one flag */
bool map_is_replaced(const struct map *m); /* its path leads to another file now, or to none */

#endif
