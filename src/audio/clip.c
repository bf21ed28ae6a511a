/* clip.c - checks that a recording is speech, and good enough for a voice. */
#include <ebur128.h>
#include <math.h>
#include <stdint.h>
#include <string.h>
#include "audio/audio.h"
#include "base/mem.h"

#define FRAME_MS   20
#define CLIP_LEVEL 0.998 /* of full scale */
#define CLIP_SHARE 0.005 /* of all samples: more is heard as distortion */
#define QUIET_DB   (-50.0)
#define SWING_DB                                                                                   \
    12.0               /* loud frames over soft ones: speech has pauses, noise and tones have not  \
                        */
#define ACTIVE_DB 20.0 /* below the loudest frames still counts as speech */
#define ACTIVE_S  0.5
#define SILENT_DB 40.0 /* below the loudest frames is no speech */

/* A histogram of frame levels, one bin a decibel, serves for ranks and counts. */
struct levels {
    uint32_t bin[121]; /* -120..0 dB */
    uint32_t n;
};

static double decibel(double mean_square)
{
    return mean_square > 1e-12 ? 10 * log10(mean_square) : -120;
}

static double clip_mean(const float *pcm, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)pcm[i];
    return n ? sum / (double)n : 0;
}

void audio_remove_dc(float *pcm, size_t n)
{
    float mean = (float)clip_mean(pcm, n);
    for (size_t i = 0; i < n; i++)
        pcm[i] -= mean;
}

/* Levels of what pcm has beside its DC offset. */
static void clip_measure(const float *pcm, size_t n, size_t frame, struct levels *l)
{
    double mean = clip_mean(pcm, n);
    for (size_t at = 0; at + frame <= n; at += frame) {
        double sum = 0;
        for (size_t i = at; i < at + frame; i++)
            sum += ((double)pcm[i] - mean) * ((double)pcm[i] - mean);
        double db = decibel(sum / (double)frame);
        l->bin[db >= 0 ? 120 : (int)(db + 120)]++;
        l->n++;
    }
}

/* The level that `share` of the frames do not reach. */
static double rank(const struct levels *l, double share)
{
    double want = share * l->n, seen = 0;
    for (int i = 0; i < 121; i++) {
        seen += l->bin[i];
        if (seen >= want)
            return i - 120;
    }
    return 0;
}

static int check_clipping(const float *pcm, size_t n, struct err *e)
{
    size_t n_clipped = 0;
    for (size_t i = 0; i < n; i++)
        n_clipped += fabs((double)pcm[i]) >= CLIP_LEVEL;
    double share = (double)n_clipped / (double)n;
    if (share <= CLIP_SHARE)
        return 0;
    return err_set(e, ERR_FORMAT,
                   "the recording is clipped: %.1f %% of it is at full scale, the limit "
                   "is %.1f %%; record it at a lower level",
                   100 * share, 100 * CLIP_SHARE);
}

int audio_check_speech(const float *pcm, size_t n, int hz, double min_s, double max_s,
                       struct err *e)
{
    struct levels l = {.n = 0};
    double seconds = (double)n / hz;
    if (seconds < min_s)
        return err_set(e, ERR_ARGUMENT, "the recording is %.2f s long, at least %g s are needed",
                       seconds, min_s);
    if (seconds > max_s)
        return err_set(e, ERR_LIMIT, "the recording is %.1f s long, the limit is %g s", seconds,
                       max_s);
    clip_measure(pcm, n, (size_t)(hz * FRAME_MS / 1000), &l);
    double loud = rank(&l, 0.95), soft = rank(&l, 0.05), active = 0;
    if (loud < QUIET_DB)
        return err_set(e, ERR_FORMAT,
                       "the recording is too quiet: its loud parts are at %.0f dB, at "
                       "least %.0f dB are needed",
                       loud, QUIET_DB);
    for (int i = 0; i < 121; i++)
        active += i - 120 >= loud - ACTIVE_DB ? l.bin[i] * (FRAME_MS / 1000.0) : 0;
    if (active < ACTIVE_S || loud - soft < SWING_DB)
        return err_set(
            e, ERR_FORMAT,
            "there seems to be no speech in the recording: %.1f s of it are "
            "loud, and loud and soft parts differ by %.0f dB; at least %.1f s and %.0f dB "
            "are expected",
            active, loud - soft, ACTIVE_S, SWING_DB);
    return check_clipping(pcm, n, e);
}

/* From the first to the last frame that is not far below the loud ones, and a margin. */
static void find_speech(const float *pcm, size_t n, int hz, size_t *first, size_t *end)
{
    struct levels l = {.n = 0};
    size_t frame = (size_t)(hz * FRAME_MS / 1000), margin = (size_t)hz / 10, seen = 0;
    clip_measure(pcm, n, frame, &l);
    double least = rank(&l, 0.95) - SILENT_DB;
    *first = n;
    *end = 0;
    for (size_t at = 0; at + frame <= n; at += frame) {
        double sum = 0;
        for (size_t i = at; i < at + frame; i++)
            sum += (double)pcm[i] * (double)pcm[i];
        if (decibel(sum / (double)frame) < least)
            continue;
        *first = *first == n ? at : *first;
        *end = at + frame;
        seen++;
    }
    *first = *first > margin ? *first - margin : 0;
    *end = *end + margin < n ? *end + margin : n;
    if (seen == 0 || *end - *first < (size_t)hz / 2) {
        *first = 0;
        *end = n;
    }
}

static int set_loudness(float *pcm, size_t n, int hz, double lufs, struct err *e)
{
    double now;
    ebur128_state *s = ebur128_init(1, (unsigned long)hz, EBUR128_MODE_I);
    if (!s || ebur128_add_frames_float(s, pcm, n) || ebur128_loudness_global(s, &now)) {
        if (s)
            ebur128_destroy(&s);
        return err_set(e, ERR_MEMORY, "out of memory to measure loudness");
    }
    ebur128_destroy(&s);
    if (!isfinite(now)) /* silent, or shorter than a block of 400 ms */
        return 0;
    float gain = (float)pow(10, (lufs - now) / 20);
    for (size_t i = 0; i < n; i++)
        pcm[i] *= gain;
    return 0;
}

int audio_prepare_speech(float *pcm, size_t *n, int hz, double lufs, struct err *e)
{
    size_t first, end;
    audio_remove_dc(pcm, *n);
    find_speech(pcm, *n, hz, &first, &end);
    *n = end - first;
    memmove(pcm, pcm + first, *n * sizeof *pcm);
    return lufs < 0 ? set_loudness(pcm, *n, hz, lufs, e) : 0;
}

size_t audio_cut_at_pause(const float *pcm, size_t n, int hz, double max_s)
{
    size_t most = (size_t)(max_s * hz), window = (size_t)hz / 5, step = (size_t)hz / 50;
    size_t best = most;
    double least = INFINITY;
    if (n <= most)
        return n;
    for (size_t at = most / 2; at + window <= most; at += step) {
        double sum = 0;
        for (size_t i = at; i < at + window; i++)
            sum += (double)pcm[i] * (double)pcm[i];
        if (sum <= least) { /* of equal ones the last: more is kept */
            least = sum;
            best = at + window / 2;
        }
    }
    return best;
}
