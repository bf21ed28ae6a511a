/* model_test.h - what only tests look at: stages between input and output of the language model and
 * of the codec, and tokens as text. */
#ifndef MODEL_MODEL_TEST_H
#define MODEL_MODEL_TEST_H
#include "model/codec.h"
#include "model/lm.h"
#include "model/tokenizer.h"

/* What enters layer i of the slow transformer and leaves the last one: out
 * [n_layer + 1, n_column, dim].  n_column <= max_row. */
void lm_slow_layers(struct lm *m, const struct lm_feed *feed, float *out, struct kern_exec *x);
/* Position 0 of the fast transformer alone, from what the stack itself consumes, [n, fast_dim],
 * behind the projection; lm_fast_step with k = 1 may follow. */
void lm_fast_begin_at(struct lm *m, const float *in, int n, float *logits, struct kern_exec *x);
/* [fast_dim] what the fast transformer consumes for hidden [dim]. */
void lm_fast_input(struct lm *m, const float *hidden, float *out, struct kern_exec *x);

/* Called with the name of each stage of the codec and its data [n_row, n_channel], time first,
 * while decoding or encoding; NULL switches it off. */
void codec_set_probe(struct codec *c, codec_probe probe, void *cookie);

/* Concatenation of the tokens' bytes (may end inside a UTF-8 sequence); free with mem_free. */
int tokenizer_decode(const struct tokenizer *t, const int32_t *id, size_t n, char **ret,
                     size_t *n_bytes, struct err *e);

#endif
