/* amx.h - the tile instructions of AMX: eight tiles of up to 16 rows of 64 bytes; included by amx.c
 * and conv8_amx.c.
 *
 * amx_dot(c, a, b) adds to c[m][n], 32 bits, the products of four signed bytes each of a[m] and
 * b[k][n]: b's rows are what a panel's rows are, 16 outputs of four bytes.  Tile numbers are
 * literals.  A thread that has called amx_config calls amx_release when it is done.
 *
 * Built with KERN_SIMDE the instructions are plain C: so the files are checked on a machine without
 * AMX.  Source: Intel, Architecture Instruction Set Extensions Programming Reference,
 * chapter 3. */
#ifndef KERNELS_AMX_H
#define KERNELS_AMX_H
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define AMX_ROWS  16
#define AMX_BYTES 64

struct amx_shape { /* what LDTILECFG reads */
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};

#ifdef KERN_SIMDE
static _Thread_local struct {
    struct amx_shape shape;
    uint8_t tile[8][AMX_ROWS][AMX_BYTES];
} amx_state;

static inline void amx_load_shape(const struct amx_shape *s)
{
    memset(&amx_state, 0, sizeof amx_state);
    amx_state.shape = *s;
}

static inline void amx_load(int t, const void *p, size_t stride)
{
    memset(amx_state.tile[t], 0, sizeof amx_state.tile[t]);
    for (size_t r = 0; r < amx_state.shape.rows[t]; r++)
        memcpy(amx_state.tile[t][r], (const char *)p + r * stride, amx_state.shape.row_bytes[t]);
}

static inline void amx_store(int t, void *p, size_t stride)
{
    for (size_t r = 0; r < amx_state.shape.rows[t]; r++)
        memcpy((char *)p + r * stride, amx_state.tile[t][r], amx_state.shape.row_bytes[t]);
}

static inline void amx_zero(int t)
{
    memset(amx_state.tile[t], 0, sizeof amx_state.tile[t]);
}

static inline void amx_dot(int c, int a, int b)
{
    for (int m = 0; m < amx_state.shape.rows[c]; m++)
        for (int n = 0; n < amx_state.shape.row_bytes[c] / 4; n++) {
            uint32_t sum; /* wraps */
            memcpy(&sum, &amx_state.tile[c][m][n * 4], sizeof sum);
            for (int k = 0; k < amx_state.shape.row_bytes[a]; k++)
                sum += (uint32_t)((int8_t)amx_state.tile[a][m][k] *
                                  (int8_t)amx_state.tile[b][k / 4][n * 4 + k % 4]);
            memcpy(&amx_state.tile[c][m][n * 4], &sum, sizeof sum);
        }
}

static inline void amx_release(void)
{
    memset(&amx_state, 0, sizeof amx_state);
}
#else
#include <immintrin.h>
/* Compilers do not know which memory the instructions read. */
#define amx_memory()            __asm__ volatile("" : : : "memory")
#define amx_load(t, p, stride)  _tile_loadd(t, p, stride)
#define amx_store(t, p, stride) _tile_stored(t, p, stride)
#define amx_zero(t)             _tile_zero(t)
#define amx_dot(c, a, b)        _tile_dpbssd(c, a, b)
#define amx_release()           _tile_release()

static inline void amx_load_shape(const struct amx_shape *s)
{
    amx_memory();
    _tile_loadconfig(s);
}
#endif
#ifdef KERN_SIMDE
#define amx_memory() ((void)0)
#endif

/* Tiles 0 to 3 for sums of n_row rows, 4 and 5 for as many input rows of k bytes, 6 and 7 for
 * weights; k a multiple of 4. */
static inline void amx_config(int n_row, size_t k)
{
    struct amx_shape s = {.palette = 1};
    for (int t = 0; t < 8; t++) {
        bool input = t == 4 || t == 5;
        s.row_bytes[t] = (uint16_t)(input ? k : AMX_BYTES);
        s.rows[t] = (uint8_t)(t < 6 ? (size_t)n_row : k / 4);
    }
    amx_load_shape(&s);
}

#endif
