#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/options.h"

/* The tests of a language's file. */
static int text_check(const struct options *o)
{
    struct jabbertts_error e;
    char *text = NULL, *listing = NULL;
    size_t n;
    if (cli_read_file(o->check, 1 << 20, &text, &n))
        return CLI_FAILED;
    int failed = jabbertts_check_language(o->check, text, &listing, &e);
    free(text);
    if (failed < 0)
        return cli_error("text", &e);
    fputs(listing, stdout);
    free(listing);
    printf("%d failed\n", failed);
    return failed ? CLI_FAILED : CLI_OK;
}

int cmd_text(struct options *o)
{
    struct jabbertts_options engine = o->server.engine;
    struct jabbertts_text_options t;
    struct jabbertts_error e;
    struct jabbertts *tts = NULL;
    char *text = NULL, *listing = NULL;
    if (o->check)
        return text_check(o);
    int code = cli_read_text(o, &text);
    if (code)
        return code;
    jabbertts_text_options_init(&t);
    t.stage = o->explain ? "explained" : o->stage;
    t.language = o->request.language;
    t.instructions = o->request.instructions;
    t.voice = o->request.voice;
    t.emoji = o->emoji;
    t.normalize = o->request.normalize;
    t.carry_markers = o->request.carry_markers;
    engine.slots = 1;
    bool tokens = !t.stage || !strcmp(t.stage, "tokens") || !strcmp(t.stage, "prompt");
    if ((engine.model || tokens) && jabbertts_open(&engine, &tts, &e) < 0)
        code = cli_error("text", &e);
    else if (jabbertts_text(tts, &t, text, &listing, &e) < 0)
        code = cli_error("text", &e);
    else
        fputs(listing, stdout);
    jabbertts_close(tts);
    free(listing);
    free(text);
    return code;
}
