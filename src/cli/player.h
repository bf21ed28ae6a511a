/* player.h - the loudspeaker, by libao: PulseAudio, PipeWire, ALSA and whatever else it knows.
 *
 *     if (player_open(24000, &p)) ...            a message was printed
 *     player_write(p, bytes, n);                 16-bit samples, mono; waits for the device
 *     player_close(p);                           after the last sample was heard
 *
 * One player at a time, of one thread. */
#ifndef CLI_PLAYER_H
#define CLI_PLAYER_H
#include <stddef.h>

struct player;
int player_open(int hz, struct player **ret);                   /* 0, or CLI_FAILED */
int player_write(struct player *p, const void *data, size_t n); /* 0, or JABBERTTS_ERR_IO */
void player_close(struct player *p);                            /* NULL is fine */

#endif
