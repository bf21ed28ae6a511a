/* stages.c - the result of each stage of the text front end, as readable text. */
#include "engine/dual_ar/dual_ar.h"

#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "text/clean.h"
#include "text/lang_check.h"
#include "text/ssml.h"

enum stage {
    STAGE_CLEAN,
    STAGE_NORMALIZED,
    STAGE_SENTENCES,
    STAGE_PHONEMES,
    STAGE_TOKENS,
    STAGE_PROMPT,
    STAGE_EXPLAINED,
    N_STAGE
};
static const char *const names[N_STAGE] = {"clean",  "normalized", "sentences", "phonemes",
                                           "tokens", "prompt",     "explained"};

struct show {
    struct jabbertts *tts;
    struct text_options options;
    bool wanted[N_STAGE];
    const char *voice; /* NULL: none */
    bool headings;
    struct buf out;
};

static bool stages_begin(struct show *s, enum stage stage)
{
    if (s->wanted[stage] && s->headings)
        buf_add_format(&s->out, "%s--- %s ---\n", s->out.len ? "\n" : "", names[stage]);
    return s->wanted[stage];
}

static int add_line(struct show *s, const char *line, struct err *e)
{
    int rc = buf_add_str(&s->out, line);
    if (rc == 0)
        rc = buf_add_str(&s->out, "\n");
    return rc < 0 ? err_set(e, rc, "out of memory for a listing") : 0;
}

/* A stage's text, its markers spelled out. */
static int stages_add_spelled(struct show *s, const struct mapped *m, struct err *e)
{
    struct mapped spelled;
    mapped_init(&spelled, m->text.max);
    mapped_copy(&spelled, buf_str(&m->text), 0, m->text.len);
    marker_spell(&spelled);
    int rc = spelled.rc < 0 ? err_set(e, spelled.rc, "out of memory for a listing")
                            : add_line(s, buf_str(&spelled.text), e);
    mapped_done(&spelled);
    return rc;
}

static int add_pieces(struct show *s, const struct text_pieces *p, struct err *e)
{
    int rc = 0;
    for (int i = 0; i < p->n && rc == 0; i++)
        if (p->piece[i].text[0])
            rc = add_line(s, p->piece[i].text, e);
    return rc;
}

static int stages_add_tokens(struct show *s, const char *text, struct err *e)
{
    struct tokens t = {0};
    int rc = tokenizer_encode(s->tts->model->tokenizer, text, strlen(text), false, &t, e);
    for (size_t i = 0; rc == 0 && i < t.n; i++)
        if ((rc = buf_add_format(&s->out, i ? " %d" : "%d", (int)t.id[i])) < 0)
            err_set(e, rc, "out of memory for a listing");
    tokens_done(&t);
    return rc < 0 ? rc : add_line(s, "", e);
}

/* Row 0 of the matrix that the language model is given for a piece. */
static int stages_add_prompt(struct show *s, const struct text_piece *piece, struct err *e)
{
    const struct model *m = s->tts->model;
    const char *name = piece->voice ? piece->voice : s->voice;
    struct references ref = {0};
    struct jabbertts_voice *stored = NULL;
    struct prompt p;
    int rc = name ? prepare_voice(s->tts, name, NULL, &ref, &stored, e) : 0;
    prompt_init(&p, m->spec.lm.n_codebook);
    struct prompt_parts parts = {.refs = ref.clip, .n_ref = ref.n, .text = piece->text};
    if (rc == 0)
        rc = prompt_build(&p, m->tokenizer, &m->spec.lm, &parts, e);
    for (int i = 0; rc == 0 && i < p.n_column; i++)
        if ((rc = buf_add_format(&s->out, i ? " %d" : "%d",
                                 (int)p.columns[(size_t)i * (1 + (size_t)p.n_codebook)])) < 0)
            err_set(e, rc, "out of memory for a listing");
    prompt_done(&p);
    jabbertts_voice_free(stored);
    return rc < 0 ? rc : add_line(s, "", e);
}

static int show_pieces(struct show *s, struct text_pieces *p, struct err *e)
{
    int rc = 0;
    if (stages_begin(s, STAGE_SENTENCES))
        rc = add_pieces(s, p, e);
    bool read = s->wanted[STAGE_PHONEMES] || s->wanted[STAGE_TOKENS] || s->wanted[STAGE_PROMPT];
    for (int i = 0; rc == 0 && read && i < p->n; i++)
        rc = text_piece_read(&p->piece[i], &s->options, e);
    if (rc == 0 && stages_begin(s, STAGE_PHONEMES))
        rc = add_pieces(s, p, e);
    bool tokens = rc == 0 && stages_begin(s, STAGE_TOKENS);
    for (int i = 0; rc == 0 && tokens && i < p->n; i++)
        if (p->piece[i].text[0])
            rc = stages_add_tokens(s, p->piece[i].text, e);
    for (int i = 0; rc == 0 && s->wanted[STAGE_PROMPT] && i < p->n; i++)
        if (p->piece[i].text[0])
            rc = stages_add_prompt(s, &p->piece[i], e);
    return rc;
}

/* One line for each part of the text that a rule rewrites. */
static void explain(struct show *s, const struct mapped *text)
{
    const char *language = s->options.language;
    const struct text_language *l = language_find(language ? language : "en-us");
    if (l)
        lang_explain(l, buf_str(&text->text), text->text.len, &s->out);
}

static int show_text(struct show *s, const char *text, struct err *e)
{
    struct mapped clean, respelled = {0}, normalized = {0};
    int n_ignored = 0;
    int rc = text_clean(text, strlen(text), &s->options, &clean, e);
    if (rc == 0 && stages_begin(s, STAGE_CLEAN))
        rc = stages_add_spelled(s, &clean, e);
    if (rc == 0)
        rc = text_respell(&clean, &s->options, &respelled, &n_ignored, e);
    if (rc == 0 && s->wanted[STAGE_EXPLAINED])
        explain(s, &respelled);
    if (rc == 0)
        rc = text_normalize(&respelled, &s->options, &normalized, e);
    if (rc == 0 && stages_begin(s, STAGE_NORMALIZED))
        rc = stages_add_spelled(s, &normalized, e);
    mapped_done(&clean);
    mapped_done(&respelled);
    mapped_done(&normalized);
    return rc;
}

/* SSML is cut into pieces at once, so its normalized text is that of the pieces. */
static int show_all(struct show *s, const char *text, struct err *e)
{
    struct text_pieces pieces = {0};
    bool ssml = ssml_is(text, strlen(text));
    int rc = ssml ? 0 : show_text(s, text, e);
    if (rc == 0 &&
        ((ssml && s->wanted[STAGE_NORMALIZED]) || s->wanted[STAGE_SENTENCES] ||
         s->wanted[STAGE_PHONEMES] || s->wanted[STAGE_TOKENS] || s->wanted[STAGE_PROMPT]))
        rc = text_split(text, strlen(text), &s->options, &pieces, e);
    if (rc == 0 && ssml && pieces.n && stages_begin(s, STAGE_NORMALIZED))
        rc = add_pieces(s, &pieces, e);
    if (rc == 0 && pieces.n)
        rc = show_pieces(s, &pieces, e);
    text_pieces_done(&pieces);
    return rc;
}

void jabbertts_text_options_init(struct jabbertts_text_options *o)
{
    *o = (struct jabbertts_text_options){.normalize = 1, .carry_markers = 1};
}

const char *jabbertts_marker(const char *instructions)
{
    return marker_named(instructions);
}

static int stages_choose(struct show *s, const char *stage, struct err *e)
{
    bool known = !stage, model = s->tts && s->tts->model != NULL;
    for (int i = 0; i < N_STAGE; i++) {
        s->wanted[i] = stage ? strcmp(stage, names[i]) == 0 : i < STAGE_TOKENS + model;
        known = known || s->wanted[i];
    }
    if (!known)
        return err_set(e, ERR_ARGUMENT,
                       "there is no stage \"%.32s\"; there are clean, normalized, "
                       "sentences, phonemes, tokens, prompt and explained",
                       stage);
    if (stage && (s->wanted[STAGE_TOKENS] || s->wanted[STAGE_PROMPT]) && !model)
        return err_set(e, ERR_ARGUMENT, "tokens and prompts are a model's: open one");
    return 0;
}

int jabbertts_text(struct jabbertts *tts, const struct jabbertts_text_options *o, const char *text,
                   char **ret, struct jabbertts_error *error)
{
    struct err e = {0};
    bool phonemes = o->stage && strcmp(o->stage, names[STAGE_PHONEMES]) == 0;
    enum text_frontend frontend = tts && !phonemes ? tts->frontend : TEXT_IPA;
    struct show s = {.tts = tts, .voice = o->voice, .headings = !o->stage};
    s.options = (struct text_options){.frontend = frontend,
                                      .language = engine_language(o->language),
                                      .lexicon = tts ? tts->all->lexicon : NULL,
                                      .max_piece_chars = tts ? tts->piece_chars : 0,
                                      .emoji = o->emoji,
                                      .as_written = !o->normalize,
                                      .loose_markers = !o->carry_markers,
                                      .marker = marker_named(o->instructions)};
    buf_init(&s.out, SIZE_MAX / 2);
    int rc = text ? stages_choose(&s, o->stage, &e) : err_set(&e, ERR_ARGUMENT, "there is no text");
    if (rc == 0)
        rc = show_all(&s, text, &e);
    char *listing = rc == 0 ? buf_take(&s.out) : NULL;
    buf_done(&s.out);
    if (rc == 0 && !listing)
        rc = err_set(&e, ERR_MEMORY, "out of memory for a listing");
    if (rc == 0)
        *ret = listing;
    return engine_return(error, &e, rc);
}

/* The code of a language from the name of its file: "de" of "some/where/de.lang". */
static void code_of(const char *path, char code[8])
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t n = strcspn(name, ".");
    memcpy(code, name, n < 8 ? n : 7);
}

int jabbertts_check_language(const char *path, const char *text, char **ret,
                             struct jabbertts_error *error)
{
    struct err e = {0};
    struct buf out;
    char *code = mem_alloc(8);
    int rc = 0;
    code_of(path, code);
    buf_init(&out, SIZE_MAX / 2);
    struct lang *l = lang_load(code, text, strlen(text), &e);
    if (l)
        rc = lang_check(l, &out);
    char *listing = l ? buf_take(&out) : NULL;
    if (l && !listing)
        err_set(&e, ERR_MEMORY, "out of memory for a listing");
    lang_free(l);
    mem_free(code);
    buf_done(&out);
    if (listing)
        *ret = listing;
    return listing ? rc : engine_return(error, &e, e.code);
}
