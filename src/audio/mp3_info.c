#include "audio/mp3_info.h"

#include <string.h>

#define DECODER_DELAY 529

/* ISO 11172-3, 2.4.2.3, and 13818-3: kbit/s by index, and Hz of MPEG 1; halved for 2, again
 * for 2.5. */
static const int kbits[2][16] = {
    {0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0},
    {0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0}};
static const int rates[4] = {44100, 48000, 32000, 0};

static void put_be(unsigned char *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (unsigned char)(v >> (24 - 8 * i));
}

size_t mp3_info_frame(const unsigned char header[4], const struct mp3_info *info,
                      unsigned char frame[MP3_INFO_MAX])
{
    int delay = info->delay;
    int version = header[1] >> 3 & 3; /* 3: MPEG 1, 2: MPEG 2, 0: MPEG 2.5 */
    int one = version == 3, mono = header[3] >> 6 == 3;
    int hz = rates[header[2] >> 2 & 3] >> (one ? 0 : version == 2 ? 1 : 2);
    int kbit = kbits[!one][header[2] >> 4];
    size_t side = one ? (mono ? 17 : 32) : (mono ? 9 : 17);
    if (header[0] != 0xFF || (header[1] & 0xE6) != 0xE2 || !hz || !kbit || delay < DECODER_DELAY ||
        delay - DECODER_DELAY > 4095)
        return 0;
    size_t n = (size_t)((one ? 144000 : 72000) * kbit / hz);
    if (n < 4 + side + 16 + 24 || n > MP3_INFO_MAX)
        return 0;
    memset(frame, 0, n);
    memcpy(frame, header, 4);
    frame[1] |= 1;                 /* no checksum */
    frame[2] &= (unsigned char)~2; /* no padding */
    unsigned char *tag = frame + 4 + side;
    memcpy(tag, "Info", 4);
    if (info->is_whole) {
        tag[7] = 1 | 2; /* flags: frames and bytes follow */
        put_be(tag + 8, info->n_frame);
        put_be(tag + 12, info->n_byte);
        tag += 16;
    } else {
        tag[7] = 2;                  /* flags: bytes of the stream follow, */
        put_be(tag + 8, UINT32_MAX); /* unknown; with none at all libav takes this for sound */
        tag += 12;
    }
    memcpy(tag, "Lavc", 4); /* 9 bytes of version; those after it stay zero */
    int skip = delay - DECODER_DELAY, end = info->is_whole ? info->padding + DECODER_DELAY : 0;
    end = end > 4095 ? 4095 : end;
    tag[21] = (unsigned char)(skip >> 4); /* 12 bits of delay, 12 of padding */
    tag[22] = (unsigned char)(skip << 4 | end >> 8);
    tag[23] = (unsigned char)end;
    return n;
}
