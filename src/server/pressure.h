/* pressure.h - is there too little memory left to take another request?
 *
 * Of the process's control group (version 2), whose limit a container has: less than a twentieth
 * is free, not counting what is cached of files; without a limit, less than a fiftieth of the
 * machine's is available.
 *
 * Threads: any. */
#ifndef SERVER_PRESSURE_H
#define SERVER_PRESSURE_H
#include <stdbool.h>

#define PRESSURE_GROUP   "/sys/fs/cgroup"
#define PRESSURE_MACHINE "/proc/meminfo"

/* A file that is not there, as outside of Linux, says that there is enough. */
bool pressure_is_high(const char *group, const char *machine);

#endif
