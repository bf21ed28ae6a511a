/* metrics.h - counters and histograms for Prometheus.
 *
 *     metrics_add(&m, METRIC_REQUESTS, "route=\"speech\",status=\"200\"", 1);
 *     metrics_print(&m, &buf);                       the text format, version 0.0.4
 *
 * One row in metrics.c says what each metric is; the values of gauges are taken when asked for.
 * Labels must come from a bounded set.  Threads: any. */
#ifndef SERVER_METRICS_H
#define SERVER_METRICS_H
#include <pthread.h>
#include <stdint.h>
#include <time.h>
#include "base/buf.h"

#define METRICS_SERIES  1024
#define METRICS_BUCKETS 14

enum metric {
    METRIC_REQUESTS,
    METRIC_REQUEST_SECONDS,
    METRIC_ERRORS,
    METRIC_CANCELLATIONS,
    METRIC_RETRIES,
    METRIC_CHARACTERS,
    METRIC_AUDIO_SECONDS,
    METRIC_SENT_BYTES,
    METRIC_QUEUE_SECONDS,
    METRIC_FIRST_AUDIO_SECONDS,
    METRIC_RTF,
    METRIC_SPEECH_SECONDS,
    METRIC_BATCH_LINES,
    METRIC_REFUSED,
    METRIC_DROPPED,
    N_METRIC
};

struct metrics {
    pthread_mutex_t lock;
    struct series *first[N_METRIC]; /* (lock) in the order of appearance */
    int n_series;                   /* (lock) */
    time_t started;
};

void metrics_init(struct metrics *m);
void metrics_done(struct metrics *m);
/* Add to a counter, or observe in a histogram.  labels: "" or name="value",... */
void metrics_add(struct metrics *m, enum metric id, const char *labels, double value);
int metrics_print(struct metrics *m, struct buf *to);
/* A gauge or counter that is known now.  type: "gauge" or "counter". */
int metrics_print_value(struct buf *to, const char *name, const char *type, const char *help,
                        double value);
/* process_*: memory, processor time, files, start */
int metrics_print_process(const struct metrics *m, struct buf *to);

#endif
