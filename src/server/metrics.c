#include "server/metrics.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

/* Bounds of the buckets; 0 ends the list. */
static const double seconds[METRICS_BUCKETS] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
                                                1,     2.5,  5,     10,   30,  120,  600};
static const double ratios[METRICS_BUCKETS] = {0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.85,
                                               1,    1.2, 1.5, 2,    3,   5,   10};
static const double lengths[METRICS_BUCKETS] = {0.5, 1,  2.5, 5,   10,  20,
                                                40,  80, 160, 320, 640, 1800};

static const struct {
    const char *name, *help;
    const double *buckets; /* NULL: a counter */
} rows[N_METRIC] = {
    [METRIC_REQUESTS] = {"jabbertts_requests_total", "Requests answered.", NULL},
    [METRIC_REQUEST_SECONDS] = {"jabbertts_request_seconds",
                                "From a request's head to the last byte of its answer.", seconds},
    [METRIC_ERRORS] = {"jabbertts_errors_total", "Errors told to clients, by code.", NULL},
    [METRIC_CANCELLATIONS] = {"jabbertts_cancellations_total",
                              "Generations given up because the client was gone.", NULL},
    [METRIC_RETRIES] = {"jabbertts_retries_total", "Requests that a client said it repeats.", NULL},
    [METRIC_CHARACTERS] = {"jabbertts_characters_total", "Characters of text spoken.", NULL},
    [METRIC_AUDIO_SECONDS] = {"jabbertts_audio_seconds_total", "Seconds of sound made.", NULL},
    [METRIC_SENT_BYTES] = {"jabbertts_sent_bytes_total", "Bytes of answers' bodies.", NULL},
    [METRIC_QUEUE_SECONDS] = {"jabbertts_queue_seconds",
                              "From a speech request to the start of its generation.", seconds},
    [METRIC_FIRST_AUDIO_SECONDS] = {"jabbertts_first_audio_seconds",
                                    "From a speech request to its first sound.", seconds},
    [METRIC_RTF] = {"jabbertts_rtf", "Generation time of a request over the length of its sound.",
                    ratios},
    [METRIC_SPEECH_SECONDS] = {"jabbertts_speech_seconds", "Length of a request's sound.", lengths},
    [METRIC_BATCH_LINES] = {"jabbertts_batch_lines_total", "Lines of batches stored, by state.",
                            NULL},
    [METRIC_REFUSED] = {"jabbertts_refused_total", "Requests refused before generation, by reason.",
                        NULL},
    [METRIC_DROPPED] = {"jabbertts_metrics_dropped_total",
                        "Observations lost because there are too many series.", NULL},
};

struct series {
    struct series *next;
    char labels[128];
    double sum;
    uint64_t count, bucket[METRICS_BUCKETS];
};

void metrics_init(struct metrics *m)
{
    *m = (struct metrics){.started = time(NULL)};
    pthread_mutex_init(&m->lock, NULL);
    metrics_add(m, METRIC_CANCELLATIONS, "", 0);
    metrics_add(m, METRIC_CHARACTERS, "", 0);
    metrics_add(m, METRIC_AUDIO_SECONDS, "", 0);
    metrics_add(m, METRIC_SENT_BYTES, "", 0);
    metrics_add(m, METRIC_RETRIES, "", 0);
    metrics_add(m, METRIC_DROPPED, "", 0);
}

void metrics_done(struct metrics *m)
{
    for (int i = 0; i < N_METRIC; i++)
        for (struct series *s = m->first[i], *next; s; s = next) {
            next = s->next;
            mem_free(s);
        }
    pthread_mutex_destroy(&m->lock);
}

/* With the lock held; NULL: no room for another. */
static struct series *metrics_find(struct metrics *m, enum metric id, const char *labels)
{
    struct series **p = &m->first[id];
    while (*p && strcmp((*p)->labels, labels) != 0)
        p = &(*p)->next;
    if (*p || m->n_series == METRICS_SERIES || strlen(labels) >= sizeof(*p)->labels)
        return *p;
    *p = mem_try(1, sizeof **p);
    if (*p) {
        snprintf((*p)->labels, sizeof(*p)->labels, "%s", labels);
        m->n_series++;
    }
    return *p;
}

void metrics_add(struct metrics *m, enum metric id, const char *labels, double value)
{
    pthread_mutex_lock(&m->lock);
    struct series *s = metrics_find(m, id, labels);
    if (!s && (s = metrics_find(m, METRIC_DROPPED, "")) != NULL) {
        id = METRIC_DROPPED;
        value = 1;
    }
    if (s) {
        s->sum += value;
        s->count++;
        const double *bound = rows[id].buckets;
        for (int i = 0; bound && i < METRICS_BUCKETS && bound[i] > 0; i++)
            s->bucket[i] += value <= bound[i];
    }
    pthread_mutex_unlock(&m->lock);
}

static int print_histogram(struct buf *to, enum metric id, const struct series *s)
{
    const char *name = rows[id].name, *comma = s->labels[0] ? "," : "";
    const char *open = s->labels[0] ? "{" : "", *close = s->labels[0] ? "}" : "";
    int rc = 0;
    for (int i = 0; rc == 0 && i < METRICS_BUCKETS && rows[id].buckets[i] > 0; i++)
        rc = buf_add_format(to, "%s_bucket{%s%sle=\"%g\"} %llu\n", name, s->labels, comma,
                            rows[id].buckets[i], (unsigned long long)s->bucket[i]);
    if (rc == 0)
        rc = buf_add_format(to, "%s_bucket{%s%sle=\"+Inf\"} %llu\n", name, s->labels, comma,
                            (unsigned long long)s->count);
    if (rc == 0)
        rc = buf_add_format(to, "%s_sum%s%s%s %.10g\n%s_count%s%s%s %llu\n", name, open, s->labels,
                            close, s->sum, name, open, s->labels, close,
                            (unsigned long long)s->count);
    return rc;
}

int metrics_print(struct metrics *m, struct buf *to)
{
    int rc = 0;
    pthread_mutex_lock(&m->lock);
    for (int i = 0; i < N_METRIC && rc == 0; i++) {
        bool histogram = rows[i].buckets != NULL;
        if (!m->first[i])
            continue;
        rc = buf_add_format(to, "# HELP %s %s\n# TYPE %s %s\n", rows[i].name, rows[i].help,
                            rows[i].name, histogram ? "histogram" : "counter");
        for (const struct series *s = m->first[i]; s && rc == 0; s = s->next)
            rc = histogram
                     ? print_histogram(to, (enum metric)i, s)
                     : buf_add_format(to, "%s%s%s%s %.10g\n", rows[i].name, s->labels[0] ? "{" : "",
                                      s->labels, s->labels[0] ? "}" : "", s->sum);
    }
    pthread_mutex_unlock(&m->lock);
    return rc;
}

int metrics_print_value(struct buf *to, const char *name, const char *type, const char *help,
                        double value)
{
    return buf_add_format(to, "# HELP %s %s\n# TYPE %s %s\n%s %.10g\n", name, help, name, type,
                          name, value);
}

static int n_open_files(void)
{
    int n = -3; /* ".", ".." and the directory itself */
    DIR *d = opendir("/proc/self/fd");
    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n;
}

int metrics_print_process(const struct metrics *m, struct buf *to)
{
    struct rusage u;
    struct rlimit files;
    size_t whole, resident = mem_process_bytes(&whole);
    getrusage(RUSAGE_SELF, &u);
    getrlimit(RLIMIT_NOFILE, &files);
    double cpu = (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
                 (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
    int rc =
        metrics_print_value(to, "process_cpu_seconds_total", "counter", "Processor time.", cpu);
    if (rc == 0)
        rc = metrics_print_value(to, "process_resident_memory_bytes", "gauge", "Resident memory.",
                                 (double)resident);
    if (rc == 0)
        rc = metrics_print_value(to, "process_virtual_memory_bytes", "gauge", "Virtual memory.",
                                 (double)whole);
    if (rc == 0)
        rc = metrics_print_value(to, "process_open_fds", "gauge", "Open files.", n_open_files());
    if (rc == 0)
        rc = metrics_print_value(to, "process_max_fds", "gauge", "Most files that may be open.",
                                 (double)files.rlim_cur);
    return rc == 0
               ? metrics_print_value(to, "process_start_time_seconds", "gauge",
                                     "Start of the server, seconds since 1970.", (double)m->started)
               : rc;
}
