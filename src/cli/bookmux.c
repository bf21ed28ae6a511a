/* bookmux.c - chapters' WAV files to one M4B (AAC in MP4) or MP3 with chapters, tags and cover. */
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/book.h"
#include "cli/cli.h"

#define WAV_HEAD 44
#define BIT_RATE 64000

struct mux {
    AVFormatContext *to;
    AVCodecContext *encoder;
    AVStream *sound, *cover;
    AVFrame *frame;
    AVPacket *packet;
    int64_t n_sample;       /* given to the encoder */
    int hz, n_have;         /* n_have: samples in the frame */
    struct book_part *part; /* [n_part] */
    int n_part;
    const char *narrator;
};

/* The head that jabbertts_encoder_head writes: 16-bit mono. */
static int wav_open(const char *path, FILE **ret, int *hz, long *n_sample)
{
    unsigned char h[WAV_HEAD];
    FILE *f = fopen(path, "rb");
    if (!f)
        return -1;
    if (fread(h, 1, sizeof h, f) != sizeof h || memcmp(h, "RIFF", 4) ||
        memcmp(h + 8, "WAVEfmt ", 8) || memcmp(h + 36, "data", 4) || h[22] != 1 || h[34] != 16 ||
        fseek(f, 0, SEEK_END) != 0) {
        fclose(f);
        return -1;
    }
    *n_sample = (ftell(f) - WAV_HEAD) / 2;
    *hz = h[24] | h[25] << 8 | h[26] << 16;
    fseek(f, WAV_HEAD, SEEK_SET);
    *ret = f;
    return *hz > 0 ? 0 : -1;
}

double book_part_seconds(const char *path)
{
    FILE *f;
    int hz;
    long n;
    if (wav_open(path, &f, &hz, &n) < 0)
        return -1;
    fclose(f);
    return (double)n / hz;
}

static int mux_packets(struct mux *m)
{
    int rc;
    while ((rc = avcodec_receive_packet(m->encoder, m->packet)) == 0) {
        av_packet_rescale_ts(m->packet, m->encoder->time_base, m->sound->time_base);
        m->packet->stream_index = m->sound->index;
        if ((rc = av_interleaved_write_frame(m->to, m->packet)) < 0)
            return rc;
    }
    return rc == AVERROR(EAGAIN) || rc == AVERROR_EOF ? 0 : rc;
}

static int mux_frame(struct mux *m)
{
    m->frame->nb_samples = m->n_have;
    m->frame->pts = m->n_sample;
    m->n_sample += m->n_have;
    m->n_have = 0;
    int rc = avcodec_send_frame(m->encoder, m->frame);
    return rc < 0 ? rc : mux_packets(m);
}

static int mux_part(struct mux *m, const char *path)
{
    short pcm[4096];
    FILE *f;
    int hz, rc = 0;
    long n;
    size_t got;
    if (wav_open(path, &f, &hz, &n) < 0 || hz != m->hz)
        return AVERROR_INVALIDDATA;
    while (rc >= 0 && (got = fread(pcm, 2, 4096, f)) > 0)
        for (size_t i = 0; i < got && rc >= 0; i++) {
            ((float *)m->frame->data[0])[m->n_have++] = (float)pcm[i] / 32768.0f;
            if (m->n_have == m->encoder->frame_size && (rc = av_frame_make_writable(m->frame)) >= 0)
                rc = mux_frame(m);
        }
    fclose(f);
    return rc;
}

static int mux_open_encoder(struct mux *m, bool mp3)
{
    const AVCodec *codec =
        mp3 ? avcodec_find_encoder_by_name("libmp3lame") : avcodec_find_encoder(AV_CODEC_ID_AAC);
    m->encoder = codec ? avcodec_alloc_context3(codec) : NULL;
    m->frame = av_frame_alloc();
    m->packet = av_packet_alloc();
    if (!m->encoder || !m->frame || !m->packet)
        return AVERROR(ENOMEM);
    m->encoder->sample_rate = m->hz;
    m->encoder->sample_fmt = AV_SAMPLE_FMT_FLTP;
    m->encoder->ch_layout = (AVChannelLayout)AV_CHANNEL_LAYOUT_MONO;
    m->encoder->time_base = (AVRational){1, m->hz};
    m->encoder->bit_rate = BIT_RATE;
    if (m->to->oformat->flags & AVFMT_GLOBALHEADER)
        m->encoder->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    int rc = avcodec_open2(m->encoder, codec, NULL);
    if (rc < 0)
        return rc;
    m->frame->nb_samples = m->encoder->frame_size;
    m->frame->format = AV_SAMPLE_FMT_FLTP;
    m->frame->sample_rate = m->hz;
    av_channel_layout_copy(&m->frame->ch_layout, &m->encoder->ch_layout);
    if ((rc = av_frame_get_buffer(m->frame, 0)) < 0)
        return rc;
    m->sound = avformat_new_stream(m->to, NULL);
    if (!m->sound)
        return AVERROR(ENOMEM);
    m->sound->time_base = m->encoder->time_base;
    return avcodec_parameters_from_context(m->sound->codecpar, m->encoder);
}

/* A JPEG or PNG as the picture that comes with the sound. */
static int mux_open_cover(struct mux *m, const struct book *b)
{
    bool png = b->n_cover > 8 && memcmp(b->cover, "\x89PNG", 4) == 0;
    bool jpeg = b->n_cover > 3 && memcmp(b->cover, "\xff\xd8\xff", 3) == 0;
    if (!png && !jpeg)
        return 0;
    if (!(m->cover = avformat_new_stream(m->to, NULL)))
        return AVERROR(ENOMEM);
    m->cover->codecpar->codec_type = AVMEDIA_TYPE_VIDEO;
    m->cover->codecpar->codec_id = png ? AV_CODEC_ID_PNG : AV_CODEC_ID_MJPEG;
    m->cover->codecpar->width = m->cover->codecpar->height = 1; /* players read the picture's own */
    m->cover->disposition = AV_DISPOSITION_ATTACHED_PIC;
    m->cover->time_base = (AVRational){1, 90000};
    return 0;
}

static int mux_write_cover(struct mux *m, const struct book *b)
{
    if (!m->cover)
        return 0;
    int rc = av_new_packet(m->packet, (int)b->n_cover);
    if (rc < 0)
        return rc;
    memcpy(m->packet->data, b->cover, b->n_cover);
    m->packet->stream_index = m->cover->index;
    m->packet->flags |= AV_PKT_FLAG_KEY;
    m->packet->pts = m->packet->dts = 0;
    return av_interleaved_write_frame(m->to, m->packet);
}

static int mux_chapters(struct mux *m, struct book_part *part, int n)
{
    double at = 0;
    m->to->chapters = av_calloc((size_t)n, sizeof *m->to->chapters);
    if (!m->to->chapters)
        return AVERROR(ENOMEM);
    for (int i = 0; i < n; i++) {
        AVChapter *c = av_mallocz(sizeof *c);
        if (!c)
            return AVERROR(ENOMEM);
        m->to->chapters[m->to->nb_chapters++] = c;
        *c = (AVChapter){.id = i + 1,
                         .time_base = {1, 1000},
                         .start = (int64_t)(at * 1000),
                         .end = (int64_t)((at + part[i].seconds) * 1000)};
        av_dict_set(&c->metadata, "title", part[i].title, 0);
        at += part[i].seconds;
    }
    return 0;
}

static void mux_tags(struct mux *m, const struct book *b, const char *narrator)
{
    const char *tags[][2] = {{"title", b->title},       {"album", b->title},
                             {"artist", b->author},     {"album_artist", b->author},
                             {"composer", narrator},    {"genre", "Audiobook"},
                             {"date", b->date},         {"publisher", b->publisher},
                             {"language", b->language}, {"encoded_by", "JabberTTS"}};
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++)
        if (tags[i][1])
            av_dict_set(&m->to->metadata, tags[i][0], tags[i][1], 0);
}

static int mux_begin(struct mux *m, const char *path, bool mp3, const struct book *b)
{
    AVDictionary *options = NULL;
    int rc;
    if ((rc = avformat_alloc_output_context2(&m->to, NULL, mp3 ? "mp3" : "ipod", path)) < 0 ||
        (rc = mux_open_encoder(m, mp3)) < 0 || (rc = mux_open_cover(m, b)) < 0 ||
        (rc = mux_chapters(m, m->part, m->n_part)) < 0 ||
        (rc = avio_open(&m->to->pb, path, AVIO_FLAG_WRITE)) < 0)
        return rc;
    mux_tags(m, b, m->narrator);
    av_dict_set(&options, "movflags", "+faststart", 0);
    av_dict_set(&options, "id3v2_version", "3", 0);
    rc = avformat_write_header(m->to, &options);
    av_dict_free(&options);
    return rc < 0 ? rc : mux_write_cover(m, b);
}

static int mux_end(struct mux *m)
{
    int rc = m->n_have > 0 ? mux_frame(m) : 0;
    if (rc >= 0 && (rc = avcodec_send_frame(m->encoder, NULL)) >= 0 && (rc = mux_packets(m)) >= 0)
        rc = av_write_trailer(m->to);
    return rc;
}

/* The file gets its name when it is complete. */
static int mux_run(struct mux *m, const char *path, const struct book *b)
{
    const char *dot = strrchr(path, '.');
    char temporary[4096];
    snprintf(temporary, sizeof temporary, "%s.tmp", path);
    int rc = mux_begin(m, temporary, dot && strcmp(dot, ".mp3") == 0, b);
    for (int i = 0; i < m->n_part && rc >= 0 && !cli_interrupted(); i++) {
        cli_status("writing %s: chapter %d of %d", path, i + 1, m->n_part);
        rc = mux_part(m, m->part[i].path);
    }
    if (rc >= 0)
        rc = mux_end(m);
    int closed = m->to && m->to->pb ? avio_closep(&m->to->pb) : 0;
    rc = rc < 0 ? rc : closed;
    if (rc >= 0 && !cli_interrupted() && rename(temporary, path) == 0)
        return 0;
    unlink(temporary);
    return rc < 0 ? rc : AVERROR(EIO);
}

int book_mux(const char *output, const struct book *b, const char *narrator, struct book_part *part,
             int n_part)
{
    struct mux m = {.part = part, .n_part = n_part, .narrator = narrator};
    char why[AV_ERROR_MAX_STRING_SIZE] = "";
    FILE *f;
    long n;
    for (int i = 0; i < n_part; i++)
        part[i].seconds = book_part_seconds(part[i].path);
    if (wav_open(part[0].path, &f, &m.hz, &n) < 0)
        return cli_fail("cannot read %s", part[0].path);
    fclose(f);
    av_log_set_level(AV_LOG_ERROR);
    int rc = mux_run(&m, output, b);
    avcodec_free_context(&m.encoder);
    av_frame_free(&m.frame);
    av_packet_free(&m.packet);
    if (m.to && m.to->pb)
        avio_closep(&m.to->pb);
    avformat_free_context(m.to);
    if (cli_interrupted())
        return cli_interrupted();
    av_strerror(rc, why, sizeof why);
    return rc < 0 ? cli_fail("cannot write %s: %s", output, why) : 0;
}
