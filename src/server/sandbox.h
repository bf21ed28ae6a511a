/* sandbox.h - limits what an attacker who controls the server could do: no programs run, no files
 * outside of the named places, no connections to other machines, no access to other processes.
 *
 * Files and outgoing TCP by Landlock, system calls by seccomp (libseccomp); a kernel that lacks one
 * of them still applies the other.  What is open already stays usable.
 *
 * Threads: sandbox_files confines the calling thread and those that it starts later, so it is
 * called before there are others; sandbox_calls confines all. */
#ifndef SERVER_SANDBOX_H
#define SERVER_SANDBOX_H
#include <stdbool.h>
#include "base/err.h"

#define SANDBOX_PLACES 64

struct sandbox {
    const char *place[SANDBOX_PLACES]; /* directories; what is not there is left out */
    bool write[SANDBOX_PLACES];        /* else only read */
    int n_place;
    bool connect; /* other machines may be called: a database, a store of objects */
};

/* Reading the system's own directories is always allowed.  1: the kernel has no Landlock. */
int sandbox_files(const struct sandbox *s, struct err *e);
int sandbox_calls(const struct sandbox *s, struct err *e);

#endif
