#include "audio/effect.h"

#include <math.h>
#include <sonic.h>

#include "base/mem.h"

#define KNEE 0.9f /* of full scale: above it amplified sound bends */

struct effect {
    sonicStream sonic;
    float volume;
};

int effect_new(int hz, struct effect **ret, struct err *e)
{
    struct effect *fx = mem_try(1, sizeof *fx);
    if (fx)
        fx->sonic = sonicCreateStream(hz, 1);
    if (!fx || !fx->sonic) {
        mem_free(fx);
        return err_set(e, ERR_MEMORY, "out of memory to change speed");
    }
    fx->volume = 1;
    *ret = fx;
    return 0;
}

void effect_free(struct effect *fx)
{
    if (!fx)
        return;
    sonicDestroyStream(fx->sonic);
    mem_free(fx);
}

void effect_begin(struct effect *fx, double rate, double volume)
{
    sonicSetSpeed(fx->sonic, (float)rate);
    fx->volume = (float)volume;
}

int effect_write(struct effect *fx, const float *pcm, int n, struct err *e)
{
    if (n > 0 && !sonicWriteFloatToStream(fx->sonic, (float *)pcm, n))
        return err_set(e, ERR_MEMORY, "out of memory to change speed");
    return 0;
}

/* Full scale is approached, never passed: the slope is 1 at the knee. */
static float bend(float v)
{
    float over = fabsf(v) - KNEE;
    if (over <= 0)
        return v;
    return copysignf(KNEE + (1 - KNEE) * tanhf(over / (1 - KNEE)), v);
}

int effect_read(struct effect *fx, float *pcm, int n_max)
{
    int n = sonicReadFloatFromStream(fx->sonic, pcm, n_max);
    for (int i = 0; i < n; i++)
        pcm[i] = fx->volume > 1 ? bend(pcm[i] * fx->volume) : pcm[i] * fx->volume;
    return n;
}

void effect_end(struct effect *fx)
{
    sonicFlushStream(fx->sonic);
}
