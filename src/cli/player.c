#include "cli/player.h"

#include <ao/ao.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/cli.h"

struct player {
    ao_device *device;
};

static const char *player_why(int error)
{
    static const struct {
        int error;
        const char *why;
    } whys[] = {{AO_ENODRIVER, "no driver for sound is installed"},
                {AO_EOPENDEVICE, "there is none, or it is in use"},
                {AO_EBADFORMAT, "it does not take this sample rate"}};
    for (size_t i = 0; i < sizeof whys / sizeof *whys; i++)
        if (whys[i].error == error)
            return whys[i].why;
    return "libao cannot use it";
}

/* Without a device ALSA writes a page to standard error; it is suppressed in favour of this
 * program's message. */
static int mute(void)
{
    int heard = dup(2), silent = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (silent >= 0) {
        dup2(silent, 2);
        close(silent);
    }
    return heard;
}

static void unmute(int heard)
{
    if (heard >= 0) {
        dup2(heard, 2);
        close(heard);
    }
}

int player_open(int hz, struct player **ret)
{
    ao_sample_format format = {.bits = 16,
                               .rate = hz,
                               .channels = 1,
                               .byte_format = AO_FMT_LITTLE,
                               .matrix = (char[]){"M"}};
    ao_option *options = NULL;
    struct player *p = calloc(1, sizeof *p);
    if (!p)
        return cli_fail("out of memory for the player");
    ao_initialize();
    ao_append_option(&options, "quiet", "");
    int heard = mute();
    int driver = ao_default_driver_id();
    p->device = driver < 0 ? NULL : ao_open_live(driver, &format, options);
    int error = driver < 0 ? AO_ENODRIVER : errno;
    unmute(heard);
    ao_free_options(options);
    if (p->device) {
        *ret = p;
        return 0;
    }
    ao_shutdown();
    free(p);
    return cli_fail("cannot open the sound device: %s; write a file with -o instead",
                    player_why(error));
}

int player_write(struct player *p, const void *data, size_t n)
{
    /* libao writes to what it is given only in byte orders that are not the machine's. */
    return ao_play(p->device, (char *)(uintptr_t)data, (uint_32)n) ? 0 : JABBERTTS_ERR_IO;
}

void player_close(struct player *p)
{
    if (!p)
        return;
    ao_close(p->device);
    ao_shutdown();
    free(p);
}
