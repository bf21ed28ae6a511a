/* audio.h - sound files in and out: libav* decodes and encodes, Sonic changes speed.
 *
 * Inside the project sound is mono f32 PCM.  Threads: any; an encoder belongs to one thread. */
#ifndef AUDIO_AUDIO_H
#define AUDIO_AUDIO_H
#include <stddef.h>
#include "base/err.h"

/* Decode any file or memory block libav knows to mono f32 at `hz`; channels are averaged.
 * More than max_seconds of sound is ERR_LIMIT, no sound at all ERR_FORMAT.
 * *pcm is freed with mem_free. */
int audio_decode_file(const char *path, int hz, double max_seconds, float **pcm, size_t *n,
                      struct err *e);
struct audio_file { /* a sound file's bytes in memory; borrowed */
    const void *data;
    size_t n;
};
int audio_decode_memory(const struct audio_file *f, int hz, double max_seconds, float **pcm,
                        size_t *n, struct err *e);

struct audio_sound { /* borrowed */
    const float *pcm;
    size_t n;
    int hz;
};
/* The same at another rate, by way of a sound file of 16 bits in memory.  *pcm: mem_free. */
int audio_resample(const struct audio_sound *from, int hz, float **pcm, size_t *n, struct err *e);

/* Is it a recording of speech that can serve as a voice: min_s to max_s long, not too quiet, not
 * clipped, and neither silence, noise nor a tone?  By levels alone: speech has pauses.  Direct
 * current is no level. */
int audio_check_speech(const float *pcm, size_t n, int hz, double min_s, double max_s,
                       struct err *e);

void audio_remove_dc(float *pcm, size_t n);

/* Make a recording of speech what a model was trained on, in place: no direct current, at most a
 * tenth of a second of silence around it, and lufs loud (BS.1770; 0: as loud as it is).  Of *n
 * samples at least half a second stays; silence is left alone. */
int audio_prepare_speech(float *pcm, size_t *n, int hz, double lufs, struct err *e);

/* How many of n samples to keep, at most max_s seconds: up to the middle of the quietest fifth of a
 * second in the last half of that time. */
size_t audio_cut_at_pause(const float *pcm, size_t n, int hz, double max_s);

enum audio_format { AUDIO_MP3, AUDIO_OPUS, AUDIO_AAC, AUDIO_M4A, AUDIO_FLAC, AUDIO_WAV, AUDIO_PCM };
struct audio_format_info {
    const char *name, *type; /* "opus"; Content-Type */
    const char *endings;     /* of file names, with spaces */
};
/* NULL after the last format. */
const struct audio_format_info *audio_format_at(size_t i);
/* name: a format's name, or a file's name with one of its endings: "mp3", "x.ogg" */
int audio_format_from_name(const char *name, enum audio_format *ret, struct err *e);

/* Receives encoded bytes in order; return < 0 to stop (the encoder then returns that). */
typedef int (*audio_sink)(void *cookie, const void *data, size_t n, struct err *e);

struct audio_encoder_options {
    enum audio_format format;
    int in_hz;      /* of the samples written */
    int out_hz;     /* 0: in_hz, or the nearest rate the format allows (opus 48000) */
    double speed;   /* 0.25..4.0, 0 = 1; pitch kept */
    int bit_rate;   /* 0: the format's default */
    double seconds; /* WAV: < 0 header of a stream of unknown length, sound follows at once;
                     * >= 0 exact header: everything is kept until audio_encoder_finish */
    audio_sink sink;
    void *cookie;
};
struct audio_encoder;
int audio_encoder_new(const struct audio_encoder_options *o, struct audio_encoder **ret,
                      struct err *e);
/* Samples outside [-1, 1] are clipped.  Bytes reach the sink as soon as the codec gives them. */
int audio_encoder_write(struct audio_encoder *a, const float *pcm, size_t n, struct err *e);
int audio_encoder_finish(struct audio_encoder *a, struct err *e); /* flush: no sample is lost */
/* After finish: the bytes that replace the first ones that the sink got, where it can go back to
 * them, because the length is known now: sizes of WAV, STREAMINFO of FLAC with samples and MD5, the
 * first frame of MP3 with frames and padding.  Their number, at most AUDIO_HEAD_MAX; 0: none. */
#define AUDIO_HEAD_MAX 1441
size_t audio_encoder_head(const struct audio_encoder *a, unsigned char head[AUDIO_HEAD_MAX]);
void audio_encoder_free(struct audio_encoder *a);

/* 44-byte header of 16-bit mono WAV; n_sample SIZE_MAX for a stream of unknown length. */
void audio_wav_header(int hz, size_t n_sample, unsigned char header[44]);

#endif
