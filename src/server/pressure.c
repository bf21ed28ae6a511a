#include "server/pressure.h"

#include <stdio.h>
#include <string.h>

/* The number behind a name in lines of "name number", or of the first line where name is "". */
static bool pressure_read(const char *path, const char *name, double *ret)
{
    char line[256];
    size_t n = strlen(name);
    bool found = false;
    FILE *f = fopen(path, "r");
    while (f && !found && fgets(line, sizeof line, f))
        found = strncmp(line, name, n) == 0 && sscanf(line + n, " %lf", ret) == 1;
    if (f)
        fclose(f);
    return found;
}

static bool pressure_of_group(const char *dir, bool *high)
{
    char path[3][256];
    static const char *const names[] = {"memory.max", "memory.current", "memory.stat"};
    double most, used, files;
    for (int i = 0; i < 3; i++)
        snprintf(path[i], sizeof path[i], "%.200s/%s", dir, names[i]);
    /* "max": there is no limit */
    if (!pressure_read(path[0], "", &most) || !pressure_read(path[1], "", &used) ||
        !pressure_read(path[2], "inactive_file ", &files))
        return false;
    *high = used - files > most * 0.95;
    return true;
}

bool pressure_is_high(const char *group, const char *machine)
{
    double all, free;
    bool high = false;
    if (pressure_of_group(group, &high))
        return high;
    return pressure_read(machine, "MemTotal:", &all) &&
           pressure_read(machine, "MemAvailable:", &free) && free < all * 0.02;
}
