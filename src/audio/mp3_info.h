/* mp3_info.h - the frame before the first one that tells a player what the encoder put in front.
 *
 * LAME's "Info" frame is a silent frame with a note in it: so many samples at the start are the
 * encoder's delay, not sound.  The rest it could say (length, padding at the end) is not known when
 * a stream begins.  Layout: the Xing/LAME tag as players read it, e.g. libavformat/mp3dec.c. */
#ifndef AUDIO_MP3_INFO_H
#define AUDIO_MP3_INFO_H
#include <stddef.h>

#define MP3_INFO_MAX 1441 /* bytes of the longest layer III frame */

/* header: the first four bytes of a frame of the stream; delay: samples to skip, decoder's own 529
 * included, as libavcodec counts them.  Returns the bytes written to frame, 0 if there is no room.
 */
size_t mp3_info_frame(const unsigned char header[4], int delay, unsigned char frame[MP3_INFO_MAX]);

#endif
