/* imatrix.h - importance: the mean square of what each input channel of a matrix is given.
 *
 * A quantizer that knows it spends its error where little is multiplied with it.  The file is a
 * GGUF as llama.cpp's imatrix tool writes it (general.type "imatrix"): per matrix NAME.in_sum2
 * [n_in], the sums of squares, and NAME.counts [1], over how many rows; convolutions count a row
 * once, whatever their taps.  Beside them we write NAME.in_max [n_in], the largest magnitudes,
 * which a file may lack.  It is hostile until imatrix_read has returned.
 *
 *     imatrix_new(&m, &e);
 *     imatrix_add(m, "blk.0.ffn_down.weight", in, n_row, n_in, &e); ...
 *     imatrix_write(m, "a.imatrix", "sentences", 24, &e);
 *
 * Threads: one at a time. */
#ifndef MODEL_IMATRIX_H
#define MODEL_IMATRIX_H
#include "formats/gguf.h"

struct imatrix;
int imatrix_new(struct imatrix **ret, struct err *e);
void imatrix_free(struct imatrix *m); /* NULL is fine */

/* in [n_row, n_in]; a name keeps the n_in it came with first. */
int imatrix_add(struct imatrix *m, const char *name, const float *in, int n_row, int n_in,
                struct err *e);
/* text names what was said, n_sentence how much of it. */
int imatrix_write(const struct imatrix *m, const char *path, const char *text, int n_sentence,
                  struct err *e);

int imatrix_open(const char *path, struct imatrix **ret, struct err *e);
int imatrix_read(const struct gguf *g, struct imatrix **ret, struct err *e); /* copies */
/* Mean squares [n_in] of a matrix into out; ERR_NOT_FOUND, or ERR_FORMAT for another n_in. */
int imatrix_find(const struct imatrix *m, const char *name, int64_t n_in, float *out,
                 struct err *e);
/* Largest magnitudes [n_in] likewise; ERR_NOT_FOUND also where the file does not have them. */
int imatrix_find_max(const struct imatrix *m, const char *name, int64_t n_in, float *out,
                     struct err *e);

#endif
