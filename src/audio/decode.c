/* decode.c - sound files to mono f32.
 *
 *     bytes (file or memory) -> demuxer -> decoder -> mean of the channels -> resampler -> pcm
 *
 * libav only ever sees the bytes through our own reader: no name or address in a hostile file can
 * make it open another file or a network connection, and playlists are not among the formats. */
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/channel_layout.h>
#include <libavutil/opt.h>
#include <libswresample/swresample.h>
#include "audio/audio.h"
#include "base/limits.h"
#include "base/mem.h"

#define READ_BYTES 32768
/* Sample rates that are accepted.  Others are damage, and resampling them would take memory without
 * bound. */
#define MIN_HZ 1000
#define MAX_HZ 768000

/* Containers of sound, and of film with sound; nothing that refers to other files. */
#define CONTAINERS                                                                                 \
    "wav,w64,aiff,au,caf,mp3,flac,ogg,aac,loas,mov,matroska,asf,amr,ac3,eac3,wv,tta,ape,avi,voc,"  \
    "mpegts,mpeg,flv"

struct source {
    FILE *file; /* NULL: memory */
    const unsigned char *data;
    size_t size, pos;
};

struct decoder {
    struct source src;
    AVIOContext *io;
    AVFormatContext *format;
    AVCodecContext *codec;
    AVPacket *packet;
    AVFrame *frame;
    SwrContext *swr; /* NULL while the file has the wanted rate */
    int stream, in_hz, hz;
    float *mono; /* [n_mono] one frame, channels averaged */
    size_t n_mono;
    float *pcm; /* [n] of room for cap */
    size_t n, cap, max;
};

static int source_read(void *cookie, uint8_t *buf, int size)
{
    struct source *s = cookie;
    size_t n = size > 0 ? (size_t)size : 0;
    if (s->file) {
        n = fread(buf, 1, n, s->file);
        if (n == 0 && ferror(s->file))
            return AVERROR(EIO);
    } else {
        if (n > s->size - s->pos)
            n = s->size - s->pos;
        if (n > 0)
            memcpy(buf, s->data + s->pos, n);
        s->pos += n;
    }
    return n > 0 ? (int)n : AVERROR_EOF;
}

static int64_t source_seek(void *cookie, int64_t offset, int whence)
{
    struct source *s = cookie;
    whence &= ~AVSEEK_FORCE;
    if (whence == AVSEEK_SIZE)
        return (int64_t)s->size;
    if (s->file) {
        if (fseeko(s->file, (off_t)offset, whence) < 0)
            return AVERROR(errno);
        return (int64_t)ftello(s->file);
    }
    int64_t from = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? (int64_t)s->pos : (int64_t)s->size;
    if (offset < -from || offset > (int64_t)s->size - from)
        return AVERROR(EINVAL);
    s->pos = (size_t)(from + offset);
    return from + offset;
}

static int decode_fail_av(struct err *e, int code, int av, const char *what)
{
    char why[AV_ERROR_MAX_STRING_SIZE] = "";
    av_strerror(av, why, sizeof(why));
    return err_set(e, av == AVERROR(ENOMEM) ? ERR_MEMORY : code, "%s: %s", what, why);
}

static void decoder_done(struct decoder *d)
{
    swr_free(&d->swr);
    av_frame_free(&d->frame);
    av_packet_free(&d->packet);
    avcodec_free_context(&d->codec);
    avformat_close_input(&d->format);
    if (d->io) {
        av_freep(&d->io->buffer);
        avio_context_free(&d->io);
    }
    if (d->src.file)
        fclose(d->src.file);
    mem_free(d->mono);
    mem_free(d->pcm);
}

static int open_container(struct decoder *d, struct err *e)
{
    unsigned char *buffer = av_malloc(READ_BYTES);
    int can_seek = !d->src.file || fseeko(d->src.file, 0, SEEK_SET) == 0;
    if (buffer)
        d->io = avio_alloc_context(buffer, READ_BYTES, 0, &d->src, source_read, NULL,
                                   can_seek ? source_seek : NULL);
    if (!d->io) {
        av_free(buffer);
        return err_set(e, ERR_MEMORY, "out of memory for a sound file's reader");
    }
    d->format = avformat_alloc_context();
    if (!d->format)
        return err_set(e, ERR_MEMORY, "out of memory for a sound file's reader");
    d->format->pb = d->io;
    AVDictionary *options = NULL;
    av_dict_set(&options, "format_whitelist", CONTAINERS, 0);
    av_dict_set(&options, "protocol_whitelist", "none", 0);
    int r = avformat_open_input(&d->format, "", NULL, &options); /* frees format on failure */
    av_dict_free(&options);
    if (r < 0)
        return decode_fail_av(e, ERR_FORMAT, r, "not a sound file we can read");
    r = avformat_find_stream_info(d->format, NULL);
    if (r < 0)
        return decode_fail_av(e, ERR_FORMAT, r, "sound file has no readable stream");
    return 0;
}

static int decode_open_codec(struct decoder *d, struct err *e)
{
    const AVCodec *codec = NULL;
    d->stream = av_find_best_stream(d->format, AVMEDIA_TYPE_AUDIO, -1, -1, &codec, 0);
    if (d->stream < 0)
        return err_set(e, ERR_FORMAT, "no sound in the file, or in a codec that is unknown here");
    for (unsigned i = 0; i < d->format->nb_streams; i++)
        if ((int)i != d->stream)
            d->format->streams[i]->discard = AVDISCARD_ALL;
    d->codec = avcodec_alloc_context3(codec);
    d->packet = av_packet_alloc();
    d->frame = av_frame_alloc();
    if (!d->codec || !d->packet || !d->frame)
        return err_set(e, ERR_MEMORY, "out of memory for a sound decoder");
    int r = avcodec_parameters_to_context(d->codec, d->format->streams[d->stream]->codecpar);
    if (r < 0)
        return decode_fail_av(e, ERR_FORMAT, r, "sound file's parameters are damaged");
    d->codec->thread_count = 1;
    d->codec->pkt_timebase = d->format->streams[d->stream]->time_base;
    r = avcodec_open2(d->codec, codec, NULL);
    if (r < 0)
        return decode_fail_av(e, ERR_FORMAT, r, "sound decoder does not accept the file");
    return 0;
}

/* Room in pcm for n more samples. */
static int reserve(struct decoder *d, size_t n, struct err *e)
{
    if (n > d->max - d->n)
        return err_set(e, ERR_LIMIT, "sound is longer than the limit of %.6g seconds",
                       (double)d->max / d->hz);
    if (d->n + n <= d->cap)
        return 0;
    size_t cap = d->cap ? d->cap : 65536;
    while (cap < d->n + n)
        cap *= 2;
    float *pcm = mem_grow(d->pcm, cap, sizeof(*pcm));
    if (!pcm)
        return err_set(e, ERR_MEMORY, "out of memory for %zu samples of sound", cap);
    d->pcm = pcm;
    d->cap = cap;
    return 0;
}

/* Feed n mono samples (NULL: the end of this rate) through the resampler into pcm. */
static int decode_append(struct decoder *d, const float *mono, size_t n, struct err *e)
{
    if (!d->swr) {
        int r = reserve(d, n, e);
        if (r < 0 || n == 0)
            return r;
        memcpy(d->pcm + d->n, mono, n * sizeof(*mono));
        d->n += n;
        return 0;
    }
    /* In slices: swr counts in int, and a slice bounds how far one call can pass the limit. */
    while (n > 0 || !mono) {
        int slice = n < 16384 ? (int)n : 16384;
        int room = swr_get_out_samples(d->swr, slice);
        float *out = room > 0 ? mem_try((size_t)room, sizeof(*out)) : NULL;
        if (room > 0 && !out)
            return err_set(e, ERR_MEMORY, "out of memory to resample %d samples", room);
        const uint8_t *in = (const uint8_t *)mono;
        uint8_t *to = (uint8_t *)out;
        int got = room > 0 ? swr_convert(d->swr, &to, room, mono ? &in : NULL, slice) : 0;
        int r = got < 0 ? decode_fail_av(e, ERR_INTERNAL, got, "resampler")
                        : reserve(d, (size_t)got, e);
        for (int i = 0; r == 0 && i < got; i++)
            d->pcm[d->n++] = isfinite(out[i]) ? out[i] : 0;
        mem_free(out);
        if (r < 0 || (!mono && got == 0))
            return r;
        if (mono)
            mono += slice;
        n -= (size_t)slice;
    }
    return 0;
}

static int decode_set_rate(struct decoder *d, int in_hz, struct err *e)
{
    if (in_hz == d->in_hz)
        return 0;
    if (in_hz < MIN_HZ || in_hz > MAX_HZ)
        return err_set(e, ERR_UNSUPPORTED, "sound has %d samples a second, supported are %d to %d",
                       in_hz, MIN_HZ, MAX_HZ);
    if (d->swr) { /* the rate changed inside the file: finish the old one */
        int r = decode_append(d, NULL, 0, e);
        if (r < 0)
            return r;
        swr_free(&d->swr);
    }
    d->in_hz = in_hz;
    if (in_hz == d->hz)
        return 0;
    AVChannelLayout mono = AV_CHANNEL_LAYOUT_MONO;
    int r = swr_alloc_set_opts2(&d->swr, &mono, AV_SAMPLE_FMT_FLT, d->hz, &mono, AV_SAMPLE_FMT_FLT,
                                in_hz, 0, NULL);
    if (r >= 0)
        r = swr_init(d->swr);
    return r < 0 ? decode_fail_av(e, ERR_UNSUPPORTED, r, "cannot resample the sound") : 0;
}

/* Sample i of one plane as a float; the packed form of a format reads the same. */
static double sample(const uint8_t *plane, enum AVSampleFormat packed, size_t i)
{
    switch (packed) {
    case AV_SAMPLE_FMT_U8:
        return (plane[i] - 128) / 128.0;
    case AV_SAMPLE_FMT_S16:
        return ((const int16_t *)plane)[i] / 32768.0;
    case AV_SAMPLE_FMT_S32:
        return ((const int32_t *)plane)[i] / 2147483648.0;
    case AV_SAMPLE_FMT_S64:
        return (double)((const int64_t *)plane)[i] / 9223372036854775808.0;
    case AV_SAMPLE_FMT_FLT:
        return (double)((const float *)plane)[i];
    default:
        return ((const double *)plane)[i];
    }
}

static int decode_take_frame(struct decoder *d, struct err *e)
{
    const AVFrame *f = d->frame;
    int n_ch = f->ch_layout.nb_channels, planar = av_sample_fmt_is_planar(f->format);
    enum AVSampleFormat packed = av_get_packed_sample_fmt(f->format);
    size_t n = f->nb_samples > 0 ? (size_t)f->nb_samples : 0;
    if (n_ch < 1 || packed == AV_SAMPLE_FMT_NONE)
        return err_set(e, ERR_FORMAT, "sound has %d channels of format %d", n_ch, f->format);
    int r = decode_set_rate(d, f->sample_rate, e);
    if (r < 0)
        return r;
    if (n > d->n_mono) {
        float *mono = mem_grow(d->mono, n, sizeof(*mono));
        if (!mono)
            return err_set(e, ERR_MEMORY, "out of memory for a frame of %zu samples", n);
        d->mono = mono;
        d->n_mono = n;
    }
    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        for (int c = 0; c < n_ch; c++)
            sum += planar ? sample(f->extended_data[c], packed, i)
                          : sample(f->extended_data[0], packed, i * (size_t)n_ch + (size_t)c);
        float mean = (float)(sum / n_ch);
        d->mono[i] = isfinite(mean) ? mean : 0;
    }
    return n > 0 ? decode_append(d, d->mono, n, e) : 0;
}

/* Give the decoder a packet (NULL: the end) and take every frame it has. */
static int decode_packet(struct decoder *d, const AVPacket *packet, struct err *e)
{
    int r = avcodec_send_packet(d->codec, packet);
    if (r == AVERROR(ENOMEM))
        return decode_fail_av(e, ERR_MEMORY, r, "decoder");
    /* Other failures are damage in this packet: like every player, go on with the next. */
    while ((r = avcodec_receive_frame(d->codec, d->frame)) >= 0) {
        r = decode_take_frame(d, e);
        av_frame_unref(d->frame);
        if (r < 0)
            return r;
    }
    return r == AVERROR(ENOMEM) ? decode_fail_av(e, ERR_MEMORY, r, "decoder") : 0;
}

static int decode_all(struct decoder *d, struct err *e)
{
    int r = open_container(d, e);
    if (r == 0)
        r = decode_open_codec(d, e);
    while (r == 0 && av_read_frame(d->format, d->packet) >= 0) {
        if (d->packet->stream_index == d->stream)
            r = decode_packet(d, d->packet, e);
        av_packet_unref(d->packet);
    }
    if (r == 0)
        r = decode_packet(d, NULL, e);
    if (r == 0 && d->swr)
        r = decode_append(d, NULL, 0, e);
    if (r == 0 && d->n == 0)
        r = err_set(e, ERR_FORMAT, "the file holds no sound, or nothing of it can be decoded");
    return r;
}

static int decode(struct decoder *d, double max_seconds, float **pcm, size_t *n, struct err *e)
{
    if (d->hz < MIN_HZ || d->hz > MAX_HZ)
        return err_set(e, ERR_ARGUMENT, "sample rate %d, wanted %d to %d", d->hz, MIN_HZ, MAX_HZ);
    if (!(max_seconds > 0 && max_seconds <= 1e6))
        return err_set(e, ERR_ARGUMENT, "limit of %g seconds, wanted more than 0 and at most 1e6",
                       max_seconds);
    av_log_set_level(AV_LOG_QUIET);
    d->max = (size_t)(max_seconds * d->hz);
    int r = decode_all(d, e);
    if (r < 0)
        return r;
    *pcm = d->pcm;
    *n = d->n;
    d->pcm = NULL;
    return 0;
}

int audio_decode_file(const char *path, int hz, double max_seconds, float **pcm, size_t *n,
                      struct err *e)
{
    struct decoder d = {.hz = hz};
    d.src.file = fopen(path, "rb");
    if (!d.src.file)
        return err_set(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "cannot open %s: %s", path,
                       strerror(errno));
    if (fseeko(d.src.file, 0, SEEK_END) == 0) {
        off_t size = ftello(d.src.file);
        d.src.size = size > 0 && size < INT64_MAX ? (size_t)size : 0;
    }
    int r = decode(&d, max_seconds, pcm, n, e);
    decoder_done(&d);
    if (r < 0)
        err_wrap(e, "%s", path);
    return r;
}

int audio_decode_memory(const struct audio_file *f, int hz, double max_seconds, float **pcm,
                        size_t *n, struct err *e)
{
    if (f->n > (size_t)INT64_MAX / 2)
        return err_set(e, ERR_ARGUMENT, "sound of %zu bytes", f->n);
    struct decoder d = {.hz = hz, .src = {.data = f->data, .size = f->n}};
    int r = decode(&d, max_seconds, pcm, n, e);
    decoder_done(&d);
    return r;
}

int audio_resample(const struct audio_sound *from, int hz, float **pcm, size_t *n, struct err *e)
{
    enum { HEADER = 44 };
    unsigned char *wav = mem_try(HEADER + 2 * from->n, 1);
    if (!wav)
        return err_set(e, ERR_MEMORY, "out of memory for %zu samples", from->n);
    audio_wav_header(from->hz, from->n, wav);
    for (size_t i = 0; i < from->n; i++) {
        float x = fminf(1, fmaxf(-1, from->pcm[i]));
        int v = (int)(x * 32767);
        wav[HEADER + 2 * i] = (unsigned char)(v & 255);
        wav[HEADER + 2 * i + 1] = (unsigned char)(v >> 8 & 255);
    }
    struct audio_file f = {wav, HEADER + 2 * from->n};
    int rc = audio_decode_memory(&f, hz, LIMIT_REFERENCE_SECONDS, pcm, n, e);
    mem_free(wav);
    return rc;
}
