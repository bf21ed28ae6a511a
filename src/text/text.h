/* text.h - from what people send to what the model reads, sentence by sentence.
 *
 *     struct text_options o = {.frontend = TEXT_IPA, .language = "en-us"};
 *     if (text_split(utf8, n, &o, &pieces, &e) < 0) ...
 *     for each piece:
 *         if (text_piece_read(&pieces.piece[i], &o, &e) < 0) ...
 *         generate(pieces.piece[i].text), then pause_ms of silence; nothing when text is ""
 *     text_pieces_done(&pieces);
 *
 * Text may be SSML; then its pieces differ in voice, language, rate and volume (ssml.h).
 *
 * The stages, each a mapped text (mapped.h) that points into the input:
 *
 *     text_clean        markup.h, then clean.h
 *     text_respell      lexicon.h
 *     text_normalize    normalize.h, for languages that have a table (language.h)
 *     text_cut          sentences of a length that suits the model (split.c)
 *     text_piece_read   IPA of one piece, if that is what the model reads (phonemes.c)
 *
 * Threads: any.  espeak-ng is all globals: one lock, in libespeak.c only. */
#ifndef TEXT_TEXT_H
#define TEXT_TEXT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "text/mapped.h"
#include "text/spoken.h"

enum { /* milliseconds of silence after a piece that ends with ... */
       TEXT_PAUSE_PARAGRAPH = 350,
       TEXT_PAUSE_SENTENCE = 120,
       TEXT_PAUSE_CLAUSE =
           250, /* with 50 of the pieces' own as long as the voice's after a comma */
       TEXT_PAUSE_WORD = 0
};

#define TEXT_CHARS_PER_S 15 /* of English speech; max_piece_chars of a length in seconds */

enum text_frontend {
    TEXT_PLAIN, /* the model reads letters (S1-mini) */
    TEXT_IPA,   /* the model reads IPA (built-in voice) */
    TEXT_WORDS  /* letters too, but S1's markers mean nothing to it (espeak-ng) */
};

struct lexicon;
enum text_markup {
    TEXT_BY_LOOK,
    TEXT_SSML,
    TEXT_NO_SSML
}; /* by look: SSML if it starts with <speak */

struct text_options {
    enum text_frontend frontend;
    const char *language; /* as espeak-ng names it; NULL: by script (script.h), Latin is en-us */
    int max_piece_chars;  /* pieces are no longer than this; 0 = 110 for IPA, 300 for plain */
    bool emoji;           /* say what emoji show; else they are dropped */
    bool as_written;      /* nothing is cleaned away or written out; the lexicon still counts */
    enum text_markup markup;
    struct lexicon *lexicon; /* lexicon.h; NULL: none */
    bool loose_markers; /* they lead the piece they stand in, and are not carried on (clean.h) */
    bool words;         /* note the words of the pieces (spoken.h) */
    const char *marker; /* clean.h: in front of each piece, for models that read letters; or NULL */
};

struct text_piece {
    char *text;        /* normalized; what the model reads after text_piece_read */
    int pause_ms;      /* silence after this piece */
    size_t start, end; /* bytes of the input it came from */
    bool ends_paragraph;
    bool read;           /* by text_piece_read */
    bool goes_on;        /* it ends inside a sentence, with a comma where the text has one */
    double rate, volume; /* factors of speed and amplitude; 1: as it is */
    char *voice;         /* another voice than the request's; NULL: that */
    char *language;      /* the same; NULL: text_options' */

    struct text_word *word; /* [n_word]; with text_options.words */
    int n_word;
    char *words; /* as they were normalized, with spaces between */
};

/* A named place in the text: in piece, after this share of it (0: at its start; 2: after its
 * pause). */
struct text_mark {
    char *name;
    int piece;
    double share;
    double seconds; /* for who speaks: when it is heard; < 0: not known yet */
};

struct text_pieces {
    struct text_piece *piece;
    int n;
    struct text_mark *mark; /* in the order of the text */
    int n_mark;
    int n_ignored; /* IPA that the front end has no use for: the model reads letters */
};

/* Invalid UTF-8 or a NUL is ERR_FORMAT naming the byte; too much text is ERR_LIMIT; text with
 * nothing to say (only white space or symbols) is ERR_ARGUMENT. */
int text_split(const char *text, size_t n, const struct text_options *o, struct text_pieces *ret,
               struct err *e);
void text_pieces_done(struct text_pieces *p);

/* The stages of text_split.  out is not initialized before, and to be freed with mapped_done, after
 * failure too. */
int text_clean(const char *text, size_t n, const struct text_options *o, struct mapped *out,
               struct err *e);
int text_respell(const struct mapped *clean, const struct text_options *o, struct mapped *out,
                 int *n_ignored, struct err *e);
int text_normalize(const struct mapped *clean, const struct text_options *o, struct mapped *out,
                   struct err *e);
int text_cut(const struct mapped *normalized, const struct text_options *o, struct text_pieces *ret,
             struct err *e);

/* Make the piece's text what the model reads, unless it is that already.  "" when nothing of it is
 * ever spoken: such a piece stays, for its pause and marks. */
int text_piece_read(struct text_piece *p, const struct text_options *o, struct err *e);

/* The first piece that is spoken, and those before it.  ERR_ARGUMENT when none is.  The others can
 * wait until they are due: the phonemes of a long text take seconds. */
int text_pieces_begin(struct text_pieces *p, const struct text_options *o, struct err *e);

/* One sentence to IPA: clauses with their final punctuation, as docs/MODEL.md specifies.  Free with
 * mem_free. */
int text_phonemes(const char *sentence, const char *language, char **ret, struct err *e);

/* Takes n samples; less than 0 ends the speech. */
typedef int text_sink(void *cookie, const int16_t *samples, int n);

/* One sentence to sound by espeak-ng itself: mono, 16 bits, libespeak_rate() a second, handed to
 * sink piece by piece; what the sink returns ends it and comes back.  voice: language, or
 * language+variant. espeak-ng is locked meanwhile (a millisecond or two a sentence). */
int text_speech(const char *sentence, const char *voice, text_sink *sink, void *cookie,
                struct err *e);

#endif
