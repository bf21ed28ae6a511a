#include "text/libespeak.h"

#include <ctype.h>
#include <espeak-ng/speak_lib.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define PHONEMES_IPA 0x02 /* speak_lib.h: phoneme_mode, bit 1 */
#define RATE_HZ      22050
#define MAX_VOICES   1024
#define VOICE_BYTES  64

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* Everything below belongs to the lock's holder. */
static bool ready;
static char selected[VOICE_BYTES]; /* the voice it has now; "" = unknown */
static libespeak_sink speech_sink;
static void *speech_cookie;
static int speech_result;
static struct libespeak_voice *voices; /* made once, sorted by language */
static int n_voice;

int libespeak_rate(void)
{
    return RATE_HZ;
}

static int libespeak_on_speech(short *pcm, int n, espeak_EVENT *events)
{
    (void)events;
    if (pcm && n > 0 && speech_result == 0)
        speech_result = speech_sink(speech_cookie, pcm, n);
    return speech_result != 0;
}

/* --- voices --- */

static int by_language(const void *a, const void *b)
{
    const struct libespeak_voice *x = a, *y = b;
    return strcmp(x->language, y->language);
}

static const char *libespeak_file_name(const char *identifier)
{
    const char *slash = strrchr(identifier, '/');
    return slash ? slash + 1 : identifier;
}

/* The library's list moves when it is asked again, so it is copied; its language names are not
 * always ones it takes back, its file names are.  Voices of MBROLA need data that espeak-ng does
 * not bring. */
static void list_voices(void)
{
    const espeak_VOICE **v = espeak_ListVoices(NULL);
    voices = mem_alloc(MAX_VOICES * sizeof *voices);
    for (n_voice = 0; v && *v && n_voice < MAX_VOICES; v++) {
        if (strncmp((*v)->identifier, "mb/", 3) == 0)
            continue;
        char *language = mem_strdup(libespeak_file_name((*v)->identifier));
        for (char *p = language; *p; p++)
            *p = (char)tolower((unsigned char)*p);
        voices[n_voice++] = (struct libespeak_voice){language, mem_strdup((*v)->name)};
    }
    qsort(voices, (size_t)n_voice, sizeof *voices, by_language);
}

static void *libespeak_thread(void *nothing)
{
    return nothing;
}

/* espeak-ng aborts the process when it cannot start its thread.  The C library keeps the stack of a
 * thread that has ended for the next one. */
static int libespeak_try_thread(struct err *e)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, libespeak_thread, NULL) != 0)
        return err_set(e, ERR_MEMORY, "out of memory for espeak-ng's thread");
    pthread_join(thread, NULL);
    return 0;
}

static int libespeak_start(struct err *e)
{
    int rc = ready ? 0 : libespeak_try_thread(e);
    if (ready || rc < 0)
        return rc;
    int rate = espeak_Initialize(AUDIO_OUTPUT_SYNCHRONOUS, 0, NULL, espeakINITIALIZE_DONT_EXIT);
    if (rate <= 0)
        return err_set(e, ERR_NOT_FOUND,
                       "espeak-ng finds no data: install espeak-ng-data or set "
                       "ESPEAK_DATA_PATH");
    if (rate != RATE_HZ)
        return err_set(e, ERR_UNSUPPORTED, "espeak-ng speaks at %d Hz here, wanted %d", rate,
                       RATE_HZ);
    espeak_SetSynthCallback(libespeak_on_speech);
    list_voices();
    ready = true;
    return 0;
}

/* Names that others use for a language. */
static const struct {
    const char *name, *language;
} synonyms[] = {
    {"zh", "cmn"}, {"zh-hk", "yue"}, {"zh-mo", "yue"}, {"zh-yue", "yue"}, {"en-uk", "en"},
    {"no", "nb"},  {"nn", "nb"},     {"tl", "fil"},    {"iw", "he"},      {"in", "id"},
};

static bool is_voice(const char *language)
{
    struct libespeak_voice key = {.language = language};
    return bsearch(&key, voices, (size_t)n_voice, sizeof key, by_language) != NULL;
}

/* The voice for a language tag in lower case: itself, its synonym, or the same for the tag without
 * its last part ("de-at": "de").  Cuts the tag. */
static const char *find_language(char *tag)
{
    for (char *end = tag; end; end = strrchr(tag, '-')) {
        if (end > tag)
            *end = 0;
        if (is_voice(tag))
            return tag;
        for (size_t i = 0; i < sizeof synonyms / sizeof *synonyms; i++)
            if (strcmp(tag, synonyms[i].name) == 0 && is_voice(synonyms[i].language))
                return synonyms[i].language;
    }
    return NULL;
}

/* espeak-ng takes an unknown variant for none. */
static bool is_variant(const char *name)
{
    espeak_VOICE wanted = {.languages = "variant"};
    const espeak_VOICE **v = espeak_ListVoices(&wanted);
    for (; v && *v; v++)
        if (strcmp(libespeak_file_name((*v)->identifier), name) == 0)
            return true;
    return false;
}

static int libespeak_ignore(void *cookie, const short *pcm, int n)
{
    (void)cookie;
    (void)pcm;
    return n < 0;
}

static int select_voice(const char *voice, struct err *e)
{
    char tag[VOICE_BYTES], name[2 * VOICE_BYTES];
    size_t n = strcspn(voice, "+");
    const char *variant = voice + n;
    int rc = libespeak_start(e);
    if (rc < 0 || strcmp(selected, voice) == 0)
        return rc;
    if (strlen(voice) >= VOICE_BYTES)
        return err_set(e, ERR_NOT_FOUND, "'%.40s...' is too long for a language name", voice);
    for (size_t i = 0; i < n; i++)
        tag[i] = (char)(voice[i] == '_' ? '-' : tolower((unsigned char)voice[i]));
    tag[n] = 0;
    const char *language = find_language(tag);
    /* The other Mandarin voice of 1.51 reads its own pinyin as English: "nee three". */
    if (language && strcmp(language, "cmn") == 0 && is_voice("cmn-latn-pinyin"))
        language = "cmn-latn-pinyin";
    if (!language)
        return err_set(e, ERR_NOT_FOUND, "espeak-ng has no language '%.*s'", (int)n, voice);
    if (*variant && !is_variant(variant + 1))
        return err_set(e, ERR_NOT_FOUND,
                       "espeak-ng has no variant '%s' of a voice, want one like "
                       "f2 or m3",
                       variant + 1);
    selected[0] = 0;
    snprintf(name, sizeof name, "%s%s", language, variant);
    if (espeak_SetVoiceByName(name) != EE_OK)
        return err_set(e, ERR_NOT_FOUND, "espeak-ng cannot load its voice '%s'", name);
    memcpy(selected, voice, strlen(voice) + 1);
    /* A copy of the voice waits in its queue for speech, which frees it; phonemes alone never
     * would: 1.3 kB were lost with each change of language. */
    libespeak_speak("", libespeak_ignore, NULL);
    return 0;
}

int libespeak_begin(const char *voice, struct err *e)
{
    pthread_mutex_lock(&lock);
    int rc = select_voice(voice, e);
    if (rc < 0)
        pthread_mutex_unlock(&lock);
    return rc;
}

void libespeak_end(void)
{
    pthread_mutex_unlock(&lock);
}

const char *libespeak_version(void)
{
    return espeak_Info(NULL);
}

const struct libespeak_voice *libespeak_voice_at(int i)
{
    pthread_mutex_lock(&lock);
    const struct libespeak_voice *v =
        libespeak_start(NULL) == 0 && i >= 0 && i < n_voice ? &voices[i] : NULL;
    pthread_mutex_unlock(&lock);
    return v;
}

/* --- phonemes and speech --- */

/* Append s without white space at its ends, runs of it as one space, and without the "(fr)" marks
 * espeak-ng puts where it changes language. */
static int add_trimmed(struct buf *out, const char *s)
{
    bool gap = out->len > 0;
    int rc = 0;
    for (; *s && rc == 0; s++) {
        const char *close = *s == '(' ? strchr(s, ')') : NULL;
        if (close) {
            s = close;
            continue;
        }
        if (isspace((unsigned char)*s)) {
            gap = out->len > 0;
            continue;
        }
        if (gap)
            rc = buf_add(out, " ", 1);
        gap = false;
        if (rc == 0)
            rc = buf_add(out, s, 1);
    }
    return rc;
}

int libespeak_ipa(const char *words, struct buf *out)
{
    const void *at = words;
    int rc = 0;
    while (at && rc == 0) {
        const void *before = at;
        const char *ipa = espeak_TextToPhonemes(&at, espeakCHARS_UTF8, PHONEMES_IPA);
        if (ipa)
            rc = add_trimmed(out, ipa);
        if (at == before) /* it never does; a loop without end would hold the lock */
            break;
    }
    return rc;
}

int libespeak_speak(const char *text, libespeak_sink sink, void *cookie)
{
    speech_sink = sink;
    speech_cookie = cookie;
    speech_result = 0;
    espeak_Synth(text, strlen(text) + 1, 0, POS_CHARACTER, 0, espeakCHARS_UTF8 | espeakENDPAUSE,
                 NULL, NULL);
    speech_sink = NULL;
    return speech_result;
}
