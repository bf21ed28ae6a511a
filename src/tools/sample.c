#include "tools/sample.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"

/* Sounds, sentence kinds and lengths in variety. */
static const char builtin_text[] =
    "The morning train was full of people reading their newspapers. "
    "Would you like sugar in your coffee, or only a little milk? "
    "She opened the heavy door and stepped out into the yard. "
    "Joy, fear, and hope were mixed in his voice. "
    "Watch out! "
    "Every measure of this strange music asks for a different touch. "
    "My neighbor's youngest son has just learned to ride a bicycle. "
    "The judge thought that both of them were telling the truth. "
    "Fresh fish is sold by the harbor from early dawn until noon. "
    "Why does the ice on the northern lake break with such noise? "
    "The chef chose cheese, cherries, and a bottle of cheap wine. "
    "He measured the azure glass twice, then cut it along the line. "
    "Nothing that we say now will change what happened then. "
    "A thousand thin birches stood along the path to the mill. "
    "The engine coughed, turned over once, and finally started. "
    "Please put the yellow book back on the upper shelf. "
    "They argued for hours, yet nobody seemed to be angry. "
    "Our guide pointed out the ruins of a castle on the hill. "
    "I wonder whether the weather will allow us to go sailing. "
    "The young queen spoke quietly, and everyone in the hall listened. "
    "Good night, and thank you for a very pleasant evening. "
    "Vast fields of violet flowers waved in the evening wind. "
    "Is that really all there is to it? "
    "Before you leave, check that every window has been closed.";

const char sample_held_out[] =
    "The baker opens his shop long before the sun comes up. "
    "Who left the gate open last night? "
    "My sister plays the cello in the city orchestra. "
    "The painting above the fireplace shows a ship in a storm. "
    "He forgot his umbrella on the train and got very wet. "
    "Stop that noise at once! "
    "Three huge jugs of orange juice were chilling in the garage. "
    "Choose the right word, and the whole sentence begins to sing. "
    "There was a long silence before anyone answered. "
    "Could you show us the shortest way to the beach, please? "
    "The library closes early on the day before a holiday. "
    "Wool, leather, and fur kept the travelers warm through the journey.";

static int sample_read_text(const char *path, struct buf *b, struct err *e)
{
    char part[4096];
    size_t n;
    int rc = 0;
    if (!path || path == sample_held_out)
        return buf_add_str(b, path ? path : builtin_text);
    FILE *f = fopen(path, "rb");
    if (!f)
        return err_set(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "cannot open %s: %s", path,
                       strerror(errno));
    while (rc == 0 && (n = fread(part, 1, sizeof part, f)) > 0)
        rc = buf_add(b, part, n);
    if (rc < 0)
        err_set(e, rc, "%s is over the limit of %d bytes, or memory is out", path,
                LIMIT_TEXT_BYTES);
    else if (ferror(f))
        rc = err_set(e, ERR_IO, "cannot read %s: %s", path, strerror(errno));
    fclose(f);
    return rc;
}

int sample_open(struct sample *s, struct model *m, const char *path, struct err *e)
{
    struct text_options o = {.frontend = m->spec.espeak_ipa ? TEXT_IPA : TEXT_PLAIN};
    struct buf text;
    memset(s, 0, sizeof *s);
    s->model = m;
    s->max_frames =
        codec_max_frames(m->codec) < SAMPLE_FRAMES ? codec_max_frames(m->codec) : SAMPLE_FRAMES;
    prompt_init(&s->prompt, m->spec.lm.n_codebook);
    buf_init(&text, LIMIT_TEXT_BYTES);
    int rc = sample_read_text(path, &text, e);
    if (rc == 0)
        rc = text_split(buf_str(&text), text.len, &o, &s->pieces, e);
    if (rc == 0)
        rc = text_pieces_begin(&s->pieces, &o, e);
    for (int i = 0; i < s->pieces.n && rc == 0; i++)
        rc = text_piece_read(&s->pieces.piece[i], &o, e);
    buf_done(&text);
    s->columns = mem_try(SAMPLE_FRAMES * (1 + (size_t)m->spec.lm.n_codebook), sizeof *s->columns);
    if (rc == 0 && !s->columns)
        rc = err_set(e, ERR_MEMORY, "out of memory for a sentence");
    return rc < 0 ? rc : ar_new(m->lm, m->spec.lm.slow.n_position, &s->ar, e);
}

void sample_done(struct sample *s)
{
    text_pieces_done(&s->pieces);
    prompt_done(&s->prompt);
    ar_free(s->ar);
    mem_free(s->columns);
    memset(s, 0, sizeof *s);
}

static int sample_build_prompt(struct sample *s, struct err *e)
{
    struct model *m = s->model;
    const char *name = voices_default(m->voices);
    const struct voice *v = name ? voices_find(m->voices, name) : NULL;
    struct prompt_reference r = {0};
    if (v)
        r = v->reference;
    const char *text = s->pieces.piece[s->next].text;
    struct tokens tokens = {0};
    prompt_done(&s->prompt);
    int rc = tokenizer_encode(m->tokenizer, text, strlen(text), false, &tokens, e);
    s->n_token = (int)tokens.n;
    tokens_done(&tokens);
    struct prompt_parts parts = {.refs = &r, .n_ref = v != NULL, .text = text};
    return rc < 0 ? rc : prompt_build(&s->prompt, m->tokenizer, &m->spec.lm, &parts, e);
}

int sample_next(struct sample *s, struct err *e)
{
    struct model *m = s->model;
    const struct spec_sampling *d = &m->spec.sampling;
    size_t width = 1 + (size_t)m->spec.lm.n_codebook;
    struct ar_params p = {.sampling = {d->temperature, d->top_p, d->repetition_penalty},
                          .stream = (uint32_t)s->next,
                          .max_frames = s->max_frames};
    int rc;
    if (s->next == s->pieces.n)
        return 0;
    if ((rc = sample_build_prompt(s, e)) < 0 || (rc = ar_start(s->ar, &s->prompt, &p, e)) < 0)
        return rc;
    if (s->begin && (rc = s->begin(s->cookie, e)) < 0)
        return rc;
    s->n_frame = 0;
    while (ar_step(m->lm, &s->ar, 1, m->exec), ar_state(s->ar) == AR_FRAME) {
        int32_t *column = s->columns + (size_t)s->n_frame++ * width;
        memcpy(column + 1, ar_codes(s->ar), (width - 1) * sizeof *column);
        column[0] = m->spec.lm.semantic_begin + column[1];
        if (s->frame)
            s->frame(s->cookie);
    }
    s->stopped = ar_state(s->ar) == AR_STOPPED;
    s->next++;
    return 1;
}

void sample_codes(const struct sample *s, int from, int n, int32_t *codes)
{
    int n_codebook = s->prompt.n_codebook;
    for (int t = 0; t < n; t++)
        for (int q = 0; q < n_codebook; q++)
            codes[q * n + t] = s->columns[(from + t) * (1 + n_codebook) + 1 + q];
}
