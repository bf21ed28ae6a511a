/* encode.c - mono f32 to sound files, progressively.
 *
 *     pcm -> clip -> Sonic (speed) -> resampler -> samples -> s16 bytes (wav, pcm)        -> sink
 *                                                         -> codec frames -> muxer (rest) -> sink
 *
 * Stages without work are left out.  The muxers cannot seek, write no time stamps or
 * random numbers of their own (same sound, same bytes), and hand over every packet at once. */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/channel_layout.h>
#include <libavutil/opt.h>
#include <libswresample/swresample.h>
#include <sonic.h>
#include "audio/audio.h"
#include "audio/mp3_info.h"
#include "base/buf.h"
#include "base/mem.h"

#define MIN_HZ      1000
#define MAX_HZ      192000
#define SLICE       4096 /* samples on their way at once */
#define PCM_FRAME   1152 /* where the codec takes frames of any length */
#define WRITE_BYTES 4096

#if LIBAVFORMAT_VERSION_MAJOR >= 61 /* the callback's buffer became const in FFmpeg 7 */
typedef const uint8_t write_byte;
#else
typedef uint8_t write_byte;
#endif

/* What each format needs to know; codec NULL: written by hand. */
static const struct format {
    struct audio_format_info info;
    const char *codec, *muxer;
    enum AVSampleFormat sample;
    int bit_rate;
    int hz[14]; /* allowed, ascending, ended by 0; none: any */
} formats[] = {
    [AUDIO_WAV] = {.info = {"wav", "audio/wav", "wav wave"}},
    [AUDIO_PCM] = {.info = {"pcm", "audio/pcm", "pcm raw"}},
    [AUDIO_MP3] = {{"mp3", "audio/mpeg", "mp3"},
                   "libmp3lame",
                   "mp3",
                   AV_SAMPLE_FMT_FLTP,
                   128000,
                   {8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000}},
    [AUDIO_OPUS] = {{"opus", "audio/opus", "opus ogg oga"},
                    "libopus",
                    "ogg",
                    AV_SAMPLE_FMT_FLT,
                    64000,
                    {48000}},
    [AUDIO_AAC] = {{"aac", "audio/aac", "aac adts"},
                   "aac",
                   "adts",
                   AV_SAMPLE_FMT_FLTP,
                   96000,
                   {7350, 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000,
                    88200, 96000}},
    [AUDIO_M4A] = {{"m4a", "audio/mp4", "m4a mp4 m4b"},
                   "aac",
                   "mp4",
                   AV_SAMPLE_FMT_FLTP,
                   96000,
                   {8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200,
                    96000}},
    [AUDIO_FLAC] = {.info = {"flac", "audio/flac", "flac"},
                    .codec = "flac",
                    .muxer = "flac",
                    .sample = AV_SAMPLE_FMT_S16},
};
#define N_FORMAT (sizeof(formats) / sizeof(formats[0]))

struct audio_encoder {
    struct audio_encoder_options o;
    const struct format *format;
    int out_hz;
    int failed;        /* the first failure: every later call returns it again */
    struct err why;    /* its message */
    struct err *e;     /* of the call in progress, for the sink */
    sonicStream sonic; /* NULL: speed 1 */
    SwrContext *swr;   /* NULL: same rate */
    AVCodecContext *codec;
    AVFormatContext *muxer;
    AVIOContext *io;
    AVPacket *packet;
    AVFrame *frame; /* n_frame of its samples are filled */
    int n_frame, frame_size, finished;
    bool has_info;                         /* mp3: the frame before the first is written */
    unsigned char first[8], mp3_header[4]; /* the first bytes given; of the first mp3 frame */
    size_t n_given, n_packet;              /* bytes; frames encoded */
    uint8_t streaminfo[34];                /* flac: of the whole */
    bool has_streaminfo;
    int64_t pts;
    struct buf held; /* WAV of known length: the samples until finish */
};

const struct audio_format_info *audio_format_at(size_t i)
{
    return i < N_FORMAT ? &formats[i].info : NULL;
}

/* Is it one of the words of a list? */
static bool is_ending(const char *list, const char *s)
{
    size_t n = strlen(s);
    for (size_t len; *list; list += len + (list[len] == ' ')) {
        len = strcspn(list, " ");
        if (len == n && strncasecmp(list, s, n) == 0)
            return true;
    }
    return false;
}

int audio_format_from_name(const char *name, enum audio_format *ret, struct err *e)
{
    char known[128];
    const char *dot = strrchr(name, '.'), *s = dot ? dot + 1 : name;
    size_t n = 0;
    for (size_t i = 0; i < N_FORMAT; i++) {
        if (is_ending(formats[i].info.endings, s)) {
            *ret = (enum audio_format)i;
            return 0;
        }
        n += (size_t)snprintf(known + n, sizeof known - n, "%s%s", i ? ", " : "",
                              formats[i].info.name);
    }
    return err_set(e, ERR_ARGUMENT, "unknown sound format \"%.64s\", known are %s", s, known);
}

static void put_le(unsigned char *p, int n_byte, uint32_t v)
{
    for (int i = 0; i < n_byte; i++)
        p[i] = (unsigned char)(v >> 8 * i);
}

/* RIFF/WAVE, "fmt " of 16 bytes, PCM (1), mono, 16 bit; 0xFFFFFFFF stands for "until the end". */
void audio_wav_header(int hz, size_t n_sample, unsigned char header[44])
{
    int known = n_sample <= (UINT32_MAX - 36) / 2;
    uint32_t n_byte = known ? (uint32_t)n_sample * 2 : UINT32_MAX;
    memcpy(header, "RIFF....WAVEfmt ", 16);
    put_le(header + 4, 4, known ? n_byte + 36 : UINT32_MAX);
    put_le(header + 16, 4, 16);
    put_le(header + 20, 2, 1);
    put_le(header + 22, 2, 1);
    put_le(header + 24, 4, (uint32_t)hz);
    put_le(header + 28, 4, (uint32_t)hz * 2);
    put_le(header + 32, 2, 2);
    put_le(header + 34, 2, 16);
    memcpy(header + 36, "data", 4);
    put_le(header + 40, 4, n_byte);
}

static int give(struct audio_encoder *a, const void *data, size_t n)
{
    for (size_t i = 0; i < n && a->n_given + i < sizeof a->first; i++)
        a->first[a->n_given + i] = ((const unsigned char *)data)[i];
    a->n_given += n;
    return a->o.sink(a->o.cookie, data, n, a->e);
}

/* libav's way to the sink.  A refusal is remembered in failed: libav would lose its code. */
static int muxer_write(void *cookie, write_byte *data, int n)
{
    struct audio_encoder *a = cookie;
    if (a->failed)
        return AVERROR_EXTERNAL;
    if (n <= 0)
        return 0;
    int r = give(a, data, (size_t)n);
    if (r < 0)
        a->failed = r;
    return r < 0 ? AVERROR_EXTERNAL : n;
}

static int encode_fail_av(struct audio_encoder *a, int av, const char *what)
{
    char why[AV_ERROR_MAX_STRING_SIZE] = "";
    if (a->failed) /* the sink said why */
        return a->failed;
    av_strerror(av, why, sizeof(why));
    return err_set(a->e, av == AVERROR(ENOMEM) ? ERR_MEMORY : ERR_UNSUPPORTED, "%s: %s: %s",
                   a->format->info.name, what, why);
}

/* --- making ------------------------------------------------------------------------------- */

/* The smallest allowed rate not below hz, so that nothing audible is cut; else the largest. */
static int nearest_rate(const struct format *f, int hz)
{
    int best = hz;
    for (size_t i = 0; i < sizeof(f->hz) / sizeof(f->hz[0]) && f->hz[i]; i++) {
        best = f->hz[i];
        if (best >= hz)
            break;
    }
    return best;
}

static int encode_open_codec(struct audio_encoder *a)
{
    const struct format *f = a->format;
    const AVCodec *codec = avcodec_find_encoder_by_name(f->codec);
    if (!codec)
        return err_set(a->e, ERR_UNSUPPORTED, "the FFmpeg libraries here have no %s encoder",
                       f->codec);
    a->codec = avcodec_alloc_context3(codec);
    a->packet = av_packet_alloc();
    a->frame = av_frame_alloc();
    if (!a->codec || !a->packet || !a->frame)
        return err_set(a->e, ERR_MEMORY, "out of memory for a sound encoder");
    a->codec->sample_rate = a->out_hz;
    a->codec->sample_fmt = f->sample;
    a->codec->ch_layout = (AVChannelLayout)AV_CHANNEL_LAYOUT_MONO;
    a->codec->time_base = (AVRational){1, a->out_hz};
    a->codec->bit_rate = a->o.bit_rate ? a->o.bit_rate : f->bit_rate;
    a->codec->thread_count = 1;
    if (a->o.format == AUDIO_FLAC) /* its own choice is twice as late */
        a->codec->frame_size = PCM_FRAME;
    a->codec->flags |= AV_CODEC_FLAG_BITEXACT;
    if (a->muxer->oformat->flags & AVFMT_GLOBALHEADER)
        a->codec->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    AVDictionary *options = NULL;
    if (a->o.format == AUDIO_MP3) /* the reservoir holds frames back */
        av_dict_set(&options, "reservoir", "0", 0);
    int r = avcodec_open2(a->codec, codec, &options);
    av_dict_free(&options);
    if (r < 0)
        return encode_fail_av(a, r, "cannot start the encoder");
    a->frame_size = a->codec->frame_size > 0 ? a->codec->frame_size : PCM_FRAME;
    return 0;
}

static int open_muxer(struct audio_encoder *a)
{
    int r = avformat_alloc_output_context2(&a->muxer, NULL, a->format->muxer, NULL);
    if (r < 0)
        return encode_fail_av(a, r, "no such container in the FFmpeg libraries here");
    unsigned char *buffer = av_malloc(WRITE_BYTES);
    if (buffer)
        a->io = avio_alloc_context(buffer, WRITE_BYTES, 1, a, NULL, muxer_write, NULL);
    if (!a->io) {
        av_free(buffer);
        return err_set(a->e, ERR_MEMORY, "out of memory for a sound encoder");
    }
    a->muxer->pb = a->io;
    a->muxer->flags |= AVFMT_FLAG_BITEXACT | AVFMT_FLAG_CUSTOM_IO;
    a->muxer->flush_packets = 1;
    a->muxer->metadata_header_padding = 0; /* flac: else 8 KiB of nothing before the sound */
    return 0;
}

static int start_muxer(struct audio_encoder *a)
{
    AVStream *stream = avformat_new_stream(a->muxer, NULL);
    if (!stream)
        return err_set(a->e, ERR_MEMORY, "out of memory for a sound encoder");
    int r = avcodec_parameters_from_context(stream->codecpar, a->codec);
    stream->time_base = a->codec->time_base;
    AVDictionary *options = NULL;
    if (a->o.format == AUDIO_MP3) { /* both need the length; see mp3_info.h for streams */
        av_dict_set(&options, "write_xing", "0", 0);
        av_dict_set(&options, "id3v2_version", "0", 0);
    }
    if (a->o.format == AUDIO_OPUS) /* microseconds; the default of a second is a second's delay */
        av_dict_set(&options, "page_duration", "40000", 0);
    if (a->o.format == AUDIO_M4A) { /* in fragments, so that it can be written as it is made; */
        av_dict_set(&options, "movflags", "empty_moov+delay_moov+default_base_moof", 0);
        av_dict_set(&options, "frag_duration", "20000", 0); /* microseconds */
    }
    if (r >= 0)
        r = avformat_write_header(a->muxer, &options);
    av_dict_free(&options);
    if (r < 0 || a->failed)
        return encode_fail_av(a, r, "cannot write the header");
    a->frame->nb_samples = a->frame_size;
    a->frame->format = a->codec->sample_fmt;
    a->frame->sample_rate = a->out_hz;
    r = av_channel_layout_copy(&a->frame->ch_layout, &a->codec->ch_layout);
    if (r >= 0)
        r = av_frame_get_buffer(a->frame, 0);
    return r < 0 ? encode_fail_av(a, r, "no frame buffer") : 0;
}

static int start_wav(struct audio_encoder *a)
{
    unsigned char header[44];
    buf_init(&a->held, UINT32_MAX - 36);
    if (a->o.format != AUDIO_WAV || a->o.seconds >= 0)
        return 0;
    audio_wav_header(a->out_hz, SIZE_MAX, header);
    return give(a, header, sizeof(header));
}

static int start_filters(struct audio_encoder *a)
{
    if (a->o.speed != 1) {
        a->sonic = sonicCreateStream(a->o.in_hz, 1);
        if (!a->sonic)
            return err_set(a->e, ERR_MEMORY, "out of memory to change speed");
        sonicSetSpeed(a->sonic, (float)a->o.speed);
    }
    if (a->out_hz != a->o.in_hz) {
        AVChannelLayout mono = AV_CHANNEL_LAYOUT_MONO;
        int r = swr_alloc_set_opts2(&a->swr, &mono, AV_SAMPLE_FMT_FLT, a->out_hz, &mono,
                                    AV_SAMPLE_FMT_FLT, a->o.in_hz, 0, NULL);
        if (r >= 0)
            r = swr_init(a->swr);
        if (r < 0)
            return encode_fail_av(a, r, "cannot resample");
    }
    return 0;
}

static int encode_check_options(const struct audio_encoder_options *o, struct err *e)
{
    if ((size_t)o->format >= N_FORMAT)
        return err_set(e, ERR_ARGUMENT, "sound format %d is unknown", (int)o->format);
    if (!o->sink)
        return err_set(e, ERR_ARGUMENT, "an encoder needs a sink");
    if (o->in_hz < MIN_HZ || o->in_hz > MAX_HZ)
        return err_set(e, ERR_ARGUMENT, "input of %d samples a second, wanted %d to %d", o->in_hz,
                       MIN_HZ, MAX_HZ);
    if (o->out_hz && (o->out_hz < MIN_HZ || o->out_hz > MAX_HZ))
        return err_set(e, ERR_ARGUMENT, "output of %d samples a second, wanted %d to %d", o->out_hz,
                       MIN_HZ, MAX_HZ);
    if (o->speed != 0 && !(o->speed >= 0.25 && o->speed <= 4))
        return err_set(e, ERR_ARGUMENT, "speed %g, wanted 0.25 to 4", o->speed);
    if (o->bit_rate && (o->bit_rate < 6000 || o->bit_rate > 512000))
        return err_set(e, ERR_ARGUMENT, "%d bits a second, wanted 6000 to 512000", o->bit_rate);
    const struct format *f = &formats[o->format];
    if (o->out_hz && nearest_rate(f, o->out_hz) != o->out_hz)
        return err_set(e, ERR_ARGUMENT, "%s cannot hold %d samples a second, %d would do",
                       f->info.name, o->out_hz, nearest_rate(f, o->out_hz));
    return 0;
}

int audio_encoder_new(const struct audio_encoder_options *o, struct audio_encoder **ret,
                      struct err *e)
{
    int r = encode_check_options(o, e);
    if (r < 0)
        return r;
    struct audio_encoder *a = mem_try(1, sizeof(*a));
    if (!a)
        return err_set(e, ERR_MEMORY, "out of memory for a sound encoder");
    av_log_set_level(AV_LOG_QUIET);
    a->o = *o;
    a->e = e;
    a->format = &formats[o->format];
    a->out_hz = o->out_hz ? o->out_hz : nearest_rate(a->format, o->in_hz);
    if (a->o.speed == 0)
        a->o.speed = 1;
    r = start_filters(a);
    if (r == 0 && !a->format->codec)
        r = start_wav(a);
    if (r == 0 && a->format->codec)
        r = open_muxer(a);
    if (r == 0 && a->format->codec)
        r = encode_open_codec(a);
    if (r == 0 && a->format->codec)
        r = start_muxer(a);
    a->e = NULL;
    if (r < 0) {
        a->failed = r; /* nothing more to the sink */
        audio_encoder_free(a);
        return r;
    }
    *ret = a;
    return 0;
}

void audio_encoder_free(struct audio_encoder *a)
{
    if (!a)
        return;
    if (!a->failed) /* given up: the sink does not get what libav still holds */
        a->failed = ERR_CANCELLED;
    if (a->sonic)
        sonicDestroyStream(a->sonic);
    swr_free(&a->swr);
    av_frame_free(&a->frame);
    av_packet_free(&a->packet);
    avcodec_free_context(&a->codec);
    if (a->muxer)
        avformat_free_context(a->muxer);
    if (a->io) {
        av_freep(&a->io->buffer);
        avio_context_free(&a->io);
    }
    buf_done(&a->held);
    mem_free(a);
}

/* --- last stage: bytes -------------------------------------------------------------------- */

/* The nearest 16-bit value; pcm is within [-1, 1] but for the resampler's overshoot. */
static int16_t to_s16(float x)
{
    float v = x * 32768.0f;
    return v >= 32767.0f ? INT16_MAX : v <= -32768.0f ? INT16_MIN : (int16_t)lrintf(v);
}

static int emit_s16(struct audio_encoder *a, const float *pcm, size_t n)
{
    unsigned char bytes[2 * SLICE];
    while (n > 0) {
        size_t slice = n < SLICE ? n : SLICE;
        for (size_t i = 0; i < slice; i++)
            put_le(bytes + 2 * i, 2, (uint16_t)to_s16(pcm[i]));
        int r;
        if (a->o.format == AUDIO_WAV && a->o.seconds >= 0) {
            r = buf_add(&a->held, bytes, 2 * slice);
            if (r < 0)
                err_set(a->e, r, "wav of more than %zu bytes", a->held.max);
        } else {
            r = give(a, bytes, 2 * slice);
        }
        if (r < 0)
            return r;
        pcm += slice;
        n -= slice;
    }
    return 0;
}

/* Before the first frame of an mp3: what to skip. */
static int write_info(struct audio_encoder *a)
{
    unsigned char frame[MP3_INFO_MAX];
    bool first = a->o.format == AUDIO_MP3 && !a->has_info && a->packet->size >= 4;
    struct mp3_info info = {.delay = a->codec->initial_padding};
    size_t n = first ? mp3_info_frame(a->packet->data, &info, frame) : 0;
    if (first)
        memcpy(a->mp3_header, a->packet->data, 4);
    a->has_info = a->has_info || first;
    a->n_packet++;
    return n > 0 ? give(a, frame, n) : 0;
}

/* The whole's STREAMINFO comes beside the last packet of FLAC.  The encoder's extradata has another
 * MD5 by then: it is finished once more for every time that the end is asked for. */
static void encode_keep_streaminfo(struct audio_encoder *a)
{
    size_t n = 0;
    const uint8_t *info = av_packet_get_side_data(a->packet, AV_PKT_DATA_NEW_EXTRADATA, &n);
    if (!info || n != sizeof a->streaminfo)
        return;
    memcpy(a->streaminfo, info, n);
    a->has_streaminfo = true;
}

/* Encode a frame (NULL: the end) and write the packets that come of it. */
static int encode_frame(struct audio_encoder *a, const AVFrame *frame)
{
    int r = avcodec_send_frame(a->codec, frame);
    if (r < 0)
        return encode_fail_av(a, r, "encoder");
    while ((r = avcodec_receive_packet(a->codec, a->packet)) >= 0) {
        AVStream *stream = a->muxer->streams[0];
        a->packet->stream_index = 0;
        encode_keep_streaminfo(a);
        if ((r = write_info(a)) < 0) {
            av_packet_unref(a->packet);
            return r;
        }
        av_packet_rescale_ts(a->packet, a->codec->time_base, stream->time_base);
        r = av_write_frame(a->muxer, a->packet);
        av_packet_unref(a->packet);
        if (r < 0 || a->failed)
            return encode_fail_av(a, r, "cannot write");
    }
    return r == AVERROR(EAGAIN) || r == AVERROR_EOF ? 0 : encode_fail_av(a, r, "encoder");
}

static int emit_codec(struct audio_encoder *a, const float *pcm, size_t n)
{
    while (n > 0) {
        int r = av_frame_make_writable(a->frame);
        if (r < 0)
            return encode_fail_av(a, r, "no frame buffer");
        size_t room = (size_t)(a->frame_size - a->n_frame), take = n < room ? n : room;
        if (a->format->sample == AV_SAMPLE_FMT_S16) {
            int16_t *to = (int16_t *)a->frame->data[0] + a->n_frame;
            for (size_t i = 0; i < take; i++)
                to[i] = to_s16(pcm[i]);
        } else {
            memcpy((float *)a->frame->data[0] + a->n_frame, pcm, take * sizeof(*pcm));
        }
        a->n_frame += (int)take;
        pcm += take;
        n -= take;
        if (a->n_frame < a->frame_size)
            break;
        a->frame->pts = a->pts;
        a->pts += a->n_frame;
        a->n_frame = 0;
        r = encode_frame(a, a->frame);
        if (r < 0)
            return r;
    }
    return 0;
}

static int encode_emit(struct audio_encoder *a, const float *pcm, size_t n)
{
    return a->format->codec ? emit_codec(a, pcm, n) : emit_s16(a, pcm, n);
}

/* --- filters ------------------------------------------------------------------------------ */

/* n <= SLICE samples through the resampler; pcm NULL: its rest. */
static int resample(struct audio_encoder *a, const float *pcm, size_t n)
{
    float out[SLICE];
    const uint8_t *in = (const uint8_t *)pcm;
    if (!a->swr)
        return pcm ? encode_emit(a, pcm, n) : 0;
    for (int first = 1;; first = 0) {
        /* First what is new, then (0 samples in) what did not fit; NULL flushes. */
        uint8_t *to = (uint8_t *)out;
        int got = swr_convert(a->swr, &to, SLICE, pcm ? &in : NULL, first ? (int)n : 0);
        int r = got < 0 ? encode_fail_av(a, got, "resampler") : encode_emit(a, out, (size_t)got);
        if (r < 0 || got < SLICE)
            return r;
    }
}

static int drain_sonic(struct audio_encoder *a)
{
    float out[SLICE];
    for (;;) {
        int got = sonicReadFloatFromStream(a->sonic, out, SLICE);
        if (got <= 0)
            return 0;
        int r = resample(a, out, (size_t)got);
        if (r < 0)
            return r;
    }
}

static int write_slice(struct audio_encoder *a, const float *pcm, size_t n)
{
    float clean[SLICE];
    for (size_t i = 0; i < n; i++)
        clean[i] = isnan(pcm[i]) ? 0 : pcm[i] > 1 ? 1 : pcm[i] < -1 ? -1 : pcm[i];
    if (!a->sonic)
        return resample(a, clean, n);
    if (!sonicWriteFloatToStream(a->sonic, clean, (int)n))
        return err_set(a->e, ERR_MEMORY, "out of memory to change speed");
    return drain_sonic(a);
}

/* Remember a failure with its reason, for every later call. */
static int result(struct audio_encoder *a, int r, struct err *e)
{
    a->e = NULL;
    if (r < 0) {
        a->failed = r;
        if (e)
            a->why = *e;
    }
    return r;
}

static int again(struct audio_encoder *a, struct err *e)
{
    if (e)
        *e = a->why;
    return a->failed;
}

int audio_encoder_write(struct audio_encoder *a, const float *pcm, size_t n, struct err *e)
{
    int r = 0;
    if (a->failed)
        return again(a, e);
    if (a->finished)
        return err_set(e, ERR_ARGUMENT, "sound written after the end");
    a->e = e;
    while (r == 0 && n > 0) {
        size_t slice = n < SLICE ? n : SLICE;
        r = write_slice(a, pcm, slice);
        pcm += slice;
        n -= slice;
    }
    return result(a, r, e);
}

static int finish_codec(struct audio_encoder *a)
{
    int r = 0;
    if (a->n_frame > 0) {
        a->frame->nb_samples = a->n_frame;
        a->frame->pts = a->pts;
        r = encode_frame(a, a->frame);
    }
    if (r == 0)
        r = encode_frame(a, NULL);
    if (r < 0)
        return r;
    r = av_write_trailer(a->muxer);
    avio_flush(a->io);
    return r < 0 || a->failed ? encode_fail_av(a, r, "cannot write the end") : 0;
}

static size_t head_of_flac(const struct audio_encoder *a, unsigned char *head)
{
    if (!a->has_streaminfo || memcmp(a->first, "fLaC", 4) != 0)
        return 0;
    memcpy(head, a->first, 8); /* and the block's own header */
    memcpy(head + 8, a->streaminfo, sizeof a->streaminfo);
    return 8 + sizeof a->streaminfo;
}

static size_t head_of_mp3(const struct audio_encoder *a, unsigned char *head)
{
    int64_t made = (int64_t)a->n_packet * a->frame_size, delay = a->codec->initial_padding;
    int64_t padding = made - delay - (a->pts + a->n_frame);
    struct mp3_info info = {.delay = (int)delay,
                            .is_whole = true,
                            .n_frame = (uint32_t)a->n_packet,
                            .n_byte = (uint32_t)a->n_given,
                            .padding = padding < 0 || padding > 4000 ? 0 : (int)padding};
    if (!a->has_info || a->n_given > UINT32_MAX || a->n_packet > UINT32_MAX)
        return 0;
    return mp3_info_frame(a->mp3_header, &info, head);
}

size_t audio_encoder_head(const struct audio_encoder *a, unsigned char head[AUDIO_HEAD_MAX])
{
    if (!a->finished || a->failed)
        return 0;
    if (a->o.format == AUDIO_WAV && a->n_given >= 44) {
        audio_wav_header(a->out_hz, (a->n_given - 44) / 2, head);
        return 44;
    }
    return a->o.format == AUDIO_FLAC  ? head_of_flac(a, head)
           : a->o.format == AUDIO_MP3 ? head_of_mp3(a, head)
                                      : 0;
}

static int finish_wav(struct audio_encoder *a)
{
    unsigned char header[44];
    if (a->o.format != AUDIO_WAV || a->o.seconds < 0)
        return 0;
    audio_wav_header(a->out_hz, a->held.len / 2, header);
    int r = give(a, header, sizeof(header));
    return r < 0 || a->held.len == 0 ? r : give(a, a->held.data, a->held.len);
}

int audio_encoder_finish(struct audio_encoder *a, struct err *e)
{
    int r = 0;
    if (a->failed)
        return again(a, e);
    if (a->finished)
        return 0;
    a->finished = 1;
    a->e = e;
    if (a->sonic) {
        if (!sonicFlushStream(a->sonic))
            r = err_set(e, ERR_MEMORY, "out of memory to change speed");
        else
            r = drain_sonic(a);
    }
    if (r == 0)
        r = resample(a, NULL, 0);
    if (r == 0)
        r = a->format->codec ? finish_codec(a) : finish_wav(a);
    return result(a, r, e);
}
