/* ear.h - what two small networks hear in a recording: where there is speech, and whose.
 *
 *     if (ear_open("models/ear.gguf", &ear, &e) < 0) ...
 *     n = ear_speech(ear, pcm, n_sample, p);            p[i]: of the i-th 32 ms
 *     n = ear_prints(ear, pcm, n_sample, prints);       of 1.6 s each, 0.8 s apart
 *
 * Sound is mono at EAR_HZ.  Speech: Silero's voice activity detector, version 5.  A window and the
 * last 64 samples before it go through a short Fourier transform, four convolutions and an LSTM.
 * Speakers: Resemblyzer's encoder (L. Wan et al., "Generalized End-to-End Loss for Speaker
 * Verification", arXiv:1710.10467): mel spectra, three layers of LSTM, the last state projected to
 * a print of length 1; the cosine of two prints is how alike two speakers sound.  LSTM:
 * S. Hochreiter, J. Schmidhuber, Neural Computation 9(8), 1997; gates are in the order input,
 * forget, cell, output.  bench/quality pack makes the file.
 *
 * Threads: one at a time. */
#ifndef MODEL_EAR_H
#define MODEL_EAR_H
#include <stddef.h>
#include "base/err.h"

#define EAR_HZ        16000
#define EAR_WINDOW    512 /* samples that one probability is of */
#define EAR_PRINT     256 /* numbers of a print */
#define EAR_PRINT_MAX 16  /* prints of one recording: of a longer one, evenly taken */

struct ear;
int ear_open(const char *path, struct ear **ret, struct err *e);
void ear_close(struct ear *ear); /* NULL is fine */

/* The probability of speech in each whole window of n samples: p [n / EAR_WINDOW]. */
void ear_speech(struct ear *ear, const float *pcm, size_t n, float *p);
/* Prints of n samples of speech, which may not hold long silences; any level.  Returns how many:
 * at least one (what is shorter than 1.6 s is filled up with silence); 0: no memory. */
int ear_prints(struct ear *ear, const float *pcm, size_t n, float prints[][EAR_PRINT]);

/* The mean of n prints, of length 1 again. */
void ear_mean(const float prints[][EAR_PRINT], int n, float mean[EAR_PRINT]);
double ear_likeness(const float *a, const float *b); /* cosine */

#endif
