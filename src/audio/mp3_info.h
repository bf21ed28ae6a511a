/* mp3_info.h - the frame before the first one that tells a player what the encoder put in front.
 *
 * LAME's "Info" frame is a silent frame with a note in it: so many samples at the start are the
 * encoder's delay, not sound.  When the whole is known it also says how many frames and bytes there
 * are, and how many samples at the end are padding; a stream cannot know.  Layout: the Xing/LAME
 * tag as players read it, e.g. libavformat/mp3dec.c. */
#ifndef AUDIO_MP3_INFO_H
#define AUDIO_MP3_INFO_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MP3_INFO_MAX 1441 /* bytes of the longest layer III frame */

struct mp3_info {
    int delay;     /* samples to skip, decoder's own 529 included, as libavcodec counts them */
    bool is_whole; /* the rest is known: */
    uint32_t n_frame, n_byte; /* of sound; of the file, this frame included */
    int padding;              /* samples at the end */
};
/* header: the first four bytes of a frame of the stream.  Returns the bytes written to frame, 0 if
 * there is no room. */
size_t mp3_info_frame(const unsigned char header[4], const struct mp3_info *info,
                      unsigned char frame[MP3_INFO_MAX]);

#endif
