#include "server/timed.h"

#include <libavutil/base64.h>

#include "base/mem.h"

json_t *timed_audio(const void *data, size_t n)
{
    size_t room = AV_BASE64_SIZE(n);
    char *text = mem_try(room, 1);
    json_t *json =
        text && av_base64_encode(text, (int)room, data, (int)n) ? json_string(text) : NULL;
    mem_free(text);
    return json;
}

json_t *timed_event(struct captions *c, int i, bool sentences)
{
    return sentences ? json_pack("{s:s, s:o}", "type", "speech.audio.sentences", "sentences",
                                 captions_sentences(c, i))
                     : json_pack("{s:s, s:o}", "type", "speech.audio.words", "words",
                                 captions_words(c, i));
}

json_t *timed_whole(struct captions *c, const struct speech_params *p, double seconds,
                    const void *sound, size_t n)
{
    json_t *o =
        json_pack("{s:o, s:s, s:f, s:I}", "audio", timed_audio(sound, n), "format",
                  p->encoder.format, "duration", seconds, "seed", (json_int_t)p->request.seed);
    int rc = o ? 0 : -1;
    if (rc == 0 && p->times & PARAM_TIMES_WORD)
        rc = json_object_set_new(o, "words", captions_words(c, 0));
    if (rc == 0 && p->times & PARAM_TIMES_SENTENCE)
        rc = json_object_set_new(o, "sentences", captions_sentences(c, 0));
    if (rc == 0)
        return o;
    json_decref(o);
    return NULL;
}

json_t *timed_kokoro(struct captions *c, int i, bool times, const char *type, const void *sound,
                     size_t n)
{
    json_t *list = times ? json_array() : json_null();
    for (; times && list && i < c->n; i++) {
        const struct jabbertts_word *w = &c->word[i];
        json_t *word = json_pack("{s:s%, s:f, s:f}", "word", c->text + w->start, w->end - w->start,
                                 "start_time", w->from_s, "end_time", w->to_s);
        if (!word || json_array_append_new(list, word) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return json_pack("{s:o, s:s, s:o}", "audio", timed_audio(sound, n), "audio_format", type,
                     "timestamps", list);
}
