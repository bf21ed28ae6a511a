/* spectrum.h - how far two sounds are apart, as a listener might hear it.
 *
 * Multi-resolution spectral distance: R. Yamamoto, E. Song, J.-M. Kim, "Parallel WaveGAN", ICASSP
 * 2020, equations 4 to 6.  Over magnitudes |X| of the reference and |Y| of the other, at the
 * paper's three resolutions (transform 1024, 2048, 512; hop 120, 240, 50; Hann window 600, 1200,
 * 240):
 *     convergence = | |X| - |Y| |_F / | |X| |_F      magnitude = mean of |log |X| - log |Y||
 * both averaged over the resolutions.  Squared magnitudes are at least 1e-7, so that silence counts
 * as equal to silence.
 *
 * Threads: any. */
#ifndef AUDIO_SPECTRUM_H
#define AUDIO_SPECTRUM_H
#include <stddef.h>
#include "base/err.h"

struct spectrum_distance {
    double convergence, magnitude;
};
/* Two sounds of n samples.  One shorter than a window is padded with zeros. */
int spectrum_compare(const float *reference, const float *other, size_t n,
                     struct spectrum_distance *ret, struct err *e);

#endif
