/* clips.h - recordings of a speaker, named on the command line: files, and folders of files.
 *
 *     struct clips c = {.n = 0};
 *     if ((code = clips_gather(o, "me.wav", &c)) == 0)
 *         ... c.path[i], c.text[i] ...
 *     clips_done(&c);
 *
 * What is said in a recording comes from the options (--voice-text, --text; in the recordings'
 * order), else from the file beside it that has the same name with the ending .lab or .txt, as
 * fish-speech's folders have it. */
#ifndef CLI_CLIPS_H
#define CLI_CLIPS_H
#include "cli/options.h"

struct clips {
    char *path[JABBERTTS_CLIPS_MAX];
    char *text[JABBERTTS_CLIPS_MAX]; /* NULL: not known */
    int n;
};

/* first (a file or folder; NULL: none), then those of --reference.  0, or the exit code, told. */
int clips_gather(const struct options *o, const char *first, struct clips *c);
void clips_done(struct clips *c);

#endif
