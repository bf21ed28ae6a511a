#include "engine/hearing.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audio/audio.h"
#include "engine/engine.h"

#define EAR_FILE    "ear.gguf"
#define WINDOW_S    ((double)EAR_WINDOW / EAR_HZ)
#define SPEECH      0.5f /* probability from which a window counts as speech, */
#define NO_SPEECH   0.1f /* and below which as what stands between the words */
#define LOUD_DB     20.0 /* below the loudest windows */
#define LEAST_S     0.5  /* of speech */
#define LEAST_SHARE 0.5  /* of what is loud */
#define LEAST_GAPS  6    /* windows without speech that tell the noise, */
#define SOFT_GAPS   0.25 /* by the softest of them: a breath is none; */
#define SOFT_SHARE  0.05 /* without gaps, the softest of all */
#define NOISE_DB    25.0 /* less than that costs likeness (docs/QUALITY.md) */
#define SHORT_S     3.0  /* less speech makes a poorer voice */
#define ONE_SPEAKER                                                                                \
    0.62            /* two halves of one speaker's recording are more alike (docs/QUALITY.md) */
#define MIN_GROUP 2 /* prints */

void hearing_advise(struct hearing *h, const char *format, ...)
{
    size_t n = strlen(h->advice);
    va_list args;
    va_start(args, format);
    if (n > 0 && n + 2 < sizeof h->advice)
        h->advice[n++] = ' ';
    vsnprintf(h->advice + n, sizeof h->advice - n, format, args);
    va_end(args);
}

static double hearing_level(const float *pcm)
{
    double sum = 1e-12 * EAR_WINDOW;
    for (int i = 0; i < EAR_WINDOW; i++)
        sum += (double)pcm[i] * (double)pcm[i];
    return sum / EAR_WINDOW;
}

static int hearing_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static bool hearing_is_gap(const float *p, size_t i)
{
    return p[i] < NO_SPEECH && (i == 0 || p[i - 1] < NO_SPEECH);
}

/* What is there when nobody speaks, as mean square: what a quarter of the gaps do not reach, for a
 * word's end or a breath that counts as one is much louder than noise.  Speech without gaps comes
 * near the noise in its closures.  level [n_window] is sorted away. */
static double hearing_floor(double *level, size_t n_window, const float *p)
{
    size_t n_gap = 0, n = 0;
    for (size_t i = 0; i < n_window; i++)
        n_gap += hearing_is_gap(p, i);
    bool gaps = n_gap >= LEAST_GAPS;
    for (size_t i = 0; i < n_window; i++)
        if (!gaps || hearing_is_gap(p, i))
            level[n++] = level[i];
    qsort(level, n, sizeof *level, hearing_compare);
    return level[(size_t)((double)n * (gaps ? SOFT_GAPS : SOFT_SHARE))];
}

/* Is it speech, and how noisy is it?  level [n_window] is for work. */
static int hearing_judge(const float *pcm, size_t n_window, const float *p, double *level,
                         struct hearing *h, struct err *e)
{
    double loudest = 0, speech = 0;
    int n_loud = 0, n_both = 0, n_speech = 0;
    for (size_t i = 0; i < n_window; i++) {
        level[i] = hearing_level(pcm + i * EAR_WINDOW);
        loudest = fmax(loudest, level[i]);
    }
    for (size_t i = 0; i < n_window; i++) {
        bool loud = level[i] > loudest * pow(10, -LOUD_DB / 10), is = p[i] >= SPEECH;
        n_loud += loud;
        n_both += loud && is;
        n_speech += is;
        speech += is ? level[i] : 0;
    }
    h->speech_s = n_speech * WINDOW_S;
    if (n_speech > 0)
        h->noise_db = fmax(0, 10 * log10(speech / n_speech / hearing_floor(level, n_window, p)));
    if (h->speech_s >= LEAST_S && n_both >= LEAST_SHARE * n_loud)
        return 0;
    return err_set(
        e, ERR_FORMAT,
        "there seems to be no speech in the recording, or more music or noise than "
        "speech: speech is heard in %.1f s of the %.1f s that are loud; send a recording "
        "of one person who speaks",
        n_both * WINDOW_S, n_loud * WINDOW_S);
}

/* The speech alone, each stretch with a window around it, moved to the front; its samples. */
static size_t hearing_keep_speech(float *pcm, size_t n_window, const float *p)
{
    size_t n = 0;
    for (size_t i = 0; i < n_window; i++) {
        bool near = p[i] >= SPEECH || (i > 0 && p[i - 1] >= SPEECH) ||
                    (i + 1 < n_window && p[i + 1] >= SPEECH);
        if (near)
            memmove(pcm + n++ * EAR_WINDOW, pcm + i * EAR_WINDOW, EAR_WINDOW * sizeof *pcm);
    }
    return n * EAR_WINDOW;
}

/* How alike two groups of prints are, parted from the two that are furthest apart; 1: too few. */
static double hearing_groups(const float prints[][EAR_PRINT], int n)
{
    float group[2][EAR_PRINT_MAX][EAR_PRINT], mean[2][EAR_PRINT];
    int size[2] = {0}, first = 0, second = 0;
    double least = 2;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < i; j++)
            if (ear_likeness(prints[i], prints[j]) < least) {
                least = ear_likeness(prints[i], prints[j]);
                first = i;
                second = j;
            }
    for (int i = 0; i < n; i++) {
        int k = ear_likeness(prints[i], prints[first]) < ear_likeness(prints[i], prints[second]);
        memcpy(group[k][size[k]++], prints[i], sizeof group[k][0]);
    }
    if (size[0] < MIN_GROUP || size[1] < MIN_GROUP)
        return 1;
    for (int k = 0; k < 2; k++)
        ear_mean(group[k], size[k], mean[k]);
    return ear_likeness(mean[0], mean[1]);
}

/* pcm is changed. */
static int hearing_listen(struct ear *ear, float *pcm, size_t n, struct hearing *h, struct err *e)
{
    float prints[EAR_PRINT_MAX][EAR_PRINT];
    size_t n_window = n / EAR_WINDOW;
    float *p = mem_try(n_window + 1, sizeof *p);
    double *level = mem_try(n_window + 1, sizeof *level);
    int rc = 0, n_print = 0;
    if (p && level) {
        ear_speech(ear, pcm, n, p);
        rc = hearing_judge(pcm, n_window, p, level, h, e);
        if (rc == 0)
            n_print = ear_prints(ear, pcm, hearing_keep_speech(pcm, n_window, p), prints);
    } else {
        rc = err_set(e, ERR_MEMORY, "out of memory to listen to a recording");
    }
    mem_free(p);
    mem_free(level);
    h->has_print = n_print > 0;
    if (rc < 0 || n_print == 0)
        return rc;
    ear_mean(prints, n_print, h->print);
    h->apart = hearing_groups(prints, n_print);
    if (h->speech_s < SHORT_S)
        hearing_advise(h, "Only %.1f s of it are speech: 3 to 10 s make a better voice.",
                       h->speech_s);
    if (h->noise_db >= 0 && h->noise_db < NOISE_DB)
        hearing_advise(h,
                       "The noise between the words is only %.0f dB below them, which costs "
                       "likeness: record in a quiet room, near the microphone.",
                       h->noise_db);
    if (h->apart < HEARING_ONE_SPEAKER)
        hearing_advise(h, "There seem to be two speakers: a voice needs one.");
    return 0;
}

int hearing_of(struct models *all, const float *pcm, size_t n, struct hearing *h, struct err *e)
{
    char path[4096];
    int rc = 0;
    *h = (struct hearing){.noise_db = -1, .apart = 1};
    float *copy = mem_try(n + 1, sizeof *copy);
    if (!copy)
        return err_set(e, ERR_MEMORY, "out of memory to listen to a recording");
    memcpy(copy, pcm, n * sizeof *copy);
    audio_remove_dc(copy, n);
    pthread_mutex_lock(&all->ear_lock);
    if (!all->ear && engine_shipped(EAR_FILE, path, sizeof path) == 0)
        rc = ear_open(path, &all->ear, e);
    if (rc == 0 && all->ear)
        rc = hearing_listen(all->ear, copy, n, h, e);
    pthread_mutex_unlock(&all->ear_lock);
    mem_free(copy);
    return rc;
}
