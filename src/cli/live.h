/* live.h - standard input as it comes, to a talk (server/talk.h).
 *
 *     live_start(talk, &l);         reads on a thread of its own
 *     ... talk_read ...
 *     live_stop(l);                 also before the end of the input
 *
 * What stands there is spoken when a sentence ends, when nothing came for LIVE_PAUSE_S, or at the
 * end.  A signal (cli_interrupted) cancels the talk. */
#ifndef CLI_LIVE_H
#define CLI_LIVE_H
#include "server/talk.h"

#define LIVE_PAUSE_S 2.0 /* longer than a language model stops between two words */

struct live;
int live_start(struct talk *t, struct live **ret); /* 0, or CLI_FAILED */
void live_stop(struct live *l);                    /* NULL is fine */

#endif
