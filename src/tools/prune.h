/* prune.h - taking parts out of a model: what can go, what the rest becomes, the file.
 *
 * All that can go is inputs of a matrix, in units: a feed-forward layer's column, a key head with
 * the query heads that share it, a channel inside the codec.  The rows that make a unit's inputs
 * (its sources) go with it.  What it gave is put into the inputs that stay by least squares over
 * what the matrix is given while the model speaks.  Single weights are the same without sources:
 * they become zero where they are.  A layer is different: it goes whole, and the matrix before it
 * takes over.
 *
 *     prune_plan(&p, &e);      what could go
 *     ... m->products of each matrix, of its inputs ...
 *     prune_fit(&p, &e);       what goes, and the weights that result
 *     prune_write(&p, path, &e);
 *
 * Threads: one; fitting has threads of its own. */
#ifndef TOOLS_PRUNE_H
#define TOOLS_PRUNE_H
#include "model/model.h"

enum prune_part {
    PRUNE_FEED_FORWARD,
    PRUNE_HEADS,
    PRUNE_LAYERS,
    PRUNE_CODEC,
    PRUNE_WEIGHTS, /* of 32 in a row, the share that stays */
    PRUNE_PAIRS    /* of 4 in a row, 2 */
};

#define PRUNE_SOURCES 6

struct prune_source { /* unit u is made by rows from + u n to from + (u + 1) n - 1 */
    char tensor[80];
    int from, n;
};

struct prune_matrix {
    char name[80]; /* of its tensor */
    int n_out, n_in;
    int unit, n_keep; /* inputs of a unit; units that stay */
    struct prune_source source[PRUNE_SOURCES];
    int n_source;
    const struct prune_matrix *like; /* its inputs are these; NULL: its own */
    double *products;                /* [n_in, n_in] sum of a a' over inputs a, the lower half */
    double *cross;                   /* [n_in, n_out] sum of a d', d being what it is to give in
                                      * addition; NULL: nothing */
    double n_row;
    bool *gone;     /* [n_in / unit] */
    float *weights; /* [n_out, inputs that stay] */
};

struct prune_stack { /* one of the two transformers */
    const char *prefix;
    const struct spec_transformer *s;
    double *turn;   /* [n_layer] mean of 1 - cos(input, output) of each layer */
    double n_row;   /* of which this is the sum, while listening */
    bool *gone;     /* [n_layer] */
    float *x, *act; /* while listening: [rows, dim], [rows, n_ff] */
};

struct prune_length { /* a number among the metadata that becomes another */
    char key[80];
    int value;
};

struct prune {
    struct model model;
    enum prune_part part;
    double keep;
    struct prune_matrix *matrix;
    int n_matrix, max_matrix;
    struct prune_stack stack[2];
    struct prune_length length[8];
    int n_length;
};

int prune_plan(struct prune *p, struct err *e);
/* Once turn is known: which layers go, and the matrices before them. */
int prune_plan_layers(struct prune *p, struct err *e);
struct prune_matrix *prune_find(const struct prune *p, const char *tensor); /* NULL: none */
int prune_kept(const struct prune_matrix *m);                               /* inputs that stay */
/* A layer's new number, or -1 where it goes. */
int prune_layer_number(const struct prune_stack *k, int layer);
int prune_fit(struct prune *p, int n_thread, struct err *e);
int prune_write(const struct prune *p, const char *path, struct err *e);
void prune_done(struct prune *p); /* all but the model */

#endif
