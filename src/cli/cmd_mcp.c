/* jabbertts mcp - the Model Context Protocol over standard input and output: a tool that speaks.
 *
 * Lines of JSON-RPC 2.0 (https://modelcontextprotocol.io/specification, stdio transport). */
#include <errno.h>
#include <jansson.h>
#include <libavutil/base64.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "cli/options.h"
#include "cli/player.h"

#define LINE_BYTES  (1 << 20)
#define SOUND_BYTES (64 << 20) /* of an answer that carries sound */
#define READ_SIZE   4096       /* samples */
#define PROTOCOL    "2025-06-18"

enum { RPC_PARSE = -32700, RPC_METHOD = -32601, RPC_PARAMS = -32602 };

struct mcp {
    struct options *o;
    struct jabbertts *tts;
    struct jabbertts_store *store;
};

/* --- answers --- */

/* Takes the reference to what; name: "result" or "error". */
static void mcp_answer(const json_t *id, const char *name, json_t *what)
{
    json_t *o = json_pack("{s:s, s:O, s:o}", "jsonrpc", "2.0", "id", id, name, what);
    if (o)
        json_dumpf(o, stdout, JSON_COMPACT);
    putchar('\n');
    fflush(stdout);
    json_decref(o);
}

static void mcp_fail(const json_t *id, int code, const char *message)
{
    json_t *none = json_null();
    mcp_answer(id ? id : none, "error", json_pack("{s:i, s:s}", "code", code, "message", message));
}

/* A tool's result.  failed: the model that called it reads the text and may try again. */
static json_t *mcp_text(const char *text, bool failed)
{
    return json_pack("{s:[{s:s, s:s}], s:b}", "content", "type", "text", "text", text, "isError",
                     failed);
}

/* --- speaking --- */

static int mcp_collect(void *cookie, const void *data, size_t n)
{
    return buf_add(cookie, data, n);
}

static int mcp_play(void *cookie, const void *data, size_t n)
{
    return player_write(cookie, data, n);
}

/* All sound of a stream through an encoder. */
static int mcp_pump(struct jabbertts_stream *s, const struct jabbertts_encoder_options *how,
                    double *seconds, struct jabbertts_error *e)
{
    struct jabbertts_encoder *encoder = NULL;
    float pcm[READ_SIZE];
    int n, rc = jabbertts_encoder_new(how, &encoder, e);
    while (rc == 0 && (n = jabbertts_read(s, pcm, READ_SIZE, e)) != 0) {
        rc = n < 0 ? n : jabbertts_encoder_write(encoder, pcm, (size_t)n, e);
        *seconds += n > 0 ? n / (double)how->in_hz / how->speed : 0;
    }
    if (rc == 0)
        rc = jabbertts_encoder_finish(encoder, e);
    jabbertts_encoder_free(encoder);
    return rc;
}

/* Sound as the content of an answer. */
static json_t *mcp_sound(const struct buf *b)
{
    size_t room = AV_BASE64_SIZE(b->len);
    char *text = malloc(room);
    json_t *json = NULL;
    if (text && av_base64_encode(text, (int)room, (const uint8_t *)b->data, (int)b->len))
        json = json_pack("{s:[{s:s, s:s, s:s}]}", "content", "type", "audio", "data", text,
                         "mimeType", "audio/mpeg");
    free(text);
    return json ? json : mcp_text("out of memory for the sound", true);
}

static json_t *mcp_speak_to(struct jabbertts_stream *s, bool play, double speed)
{
    struct jabbertts_error e = {0};
    struct player *player = NULL;
    struct buf sound;
    char said[160];
    double seconds = 0;
    struct jabbertts_encoder_options how = {
        .format = play ? "pcm" : "mp3", .in_hz = jabbertts_stream_rate(s), .speed = speed};
    if (play && player_open(how.in_hz, &player))
        return mcp_text("no loudspeaker can be used here; ask with \"play\": false for the sound",
                        true);
    buf_init(&sound, SOUND_BYTES);
    how.sink = play ? mcp_play : mcp_collect;
    how.cookie = play ? (void *)player : (void *)&sound;
    int rc = mcp_pump(s, &how, &seconds, &e);
    player_close(player);
    snprintf(said, sizeof said, "%.1f s of speech were played", seconds);
    json_t *answer = rc < 0 ? mcp_text(e.message, true)
                     : play ? mcp_text(said, false)
                            : mcp_sound(&sound);
    buf_done(&sound);
    return answer;
}

static json_t *mcp_speak(struct mcp *m, const json_t *arguments)
{
    const json_t *speed = json_object_get(arguments, "speed");
    const json_t *play = json_object_get(arguments, "play");
    const char *voice = json_string_value(json_object_get(arguments, "voice"));
    struct jabbertts_request r = m->o->request;
    struct jabbertts_stream *s;
    struct jabbertts_error e;
    double factor = json_is_number(speed) ? json_number_value(speed) : m->o->encoder.speed;
    r.text = json_string_value(json_object_get(arguments, "text"));
    r.voice = voice ? voice : r.voice;
    if (!r.text)
        return mcp_text("\"text\" is missing, or no string", true);
    if (!(factor >= 0.25 && factor <= 4))
        return mcp_text("\"speed\" must be 0.25 to 4", true);
    if (jabbertts_submit(m->tts, &r, &s, &e) < 0)
        return mcp_text(e.message, true);
    json_t *answer = mcp_speak_to(s, !json_is_false(play), factor);
    jabbertts_stream_free(s);
    return answer;
}

static json_t *mcp_voices(struct mcp *m, const json_t *arguments)
{
    struct jabbertts_voice_info v;
    struct buf b;
    int rc = 0;
    (void)arguments;
    buf_init(&b, LINE_BYTES);
    for (int i = 0; rc == 0 && jabbertts_voice_at(m->tts, i, &v) == 0; i++)
        rc = buf_add_format(&b, "%s (%s) %s\n", v.name, v.language ? v.language : "",
                            v.description ? v.description : "");
    json_t *answer = mcp_text(buf_str(&b), false);
    buf_done(&b);
    return answer;
}

static const struct {
    const char *name, *description, *schema;
    json_t *(*run)(struct mcp *m, const json_t *arguments);
} mcp_tools[] = {
    {"speak",
     "Speak a text aloud on this machine's loudspeaker, or give back the sound as MP3. Markdown, "
     "numbers and abbreviations are read as people do.",
     "{\"type\":\"object\",\"required\":[\"text\"],\"properties\":{"
     "\"text\":{\"type\":\"string\",\"description\":\"what to say\"},"
     "\"voice\":{\"type\":\"string\",\"description\":\"a name of list_voices\"},"
     "\"speed\":{\"type\":\"number\",\"minimum\":0.25,\"maximum\":4},"
     "\"play\":{\"type\":\"boolean\",\"description\":\"false: give back the sound instead\"}}}",
     mcp_speak},
    {"list_voices", "The voices that speak can use.", "{\"type\":\"object\",\"properties\":{}}",
     mcp_voices},
};
#define N_TOOL (sizeof mcp_tools / sizeof *mcp_tools)

/* --- methods --- */

static void mcp_list(const json_t *id)
{
    json_t *list = json_array();
    for (size_t i = 0; i < N_TOOL; i++)
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:o}", "name", mcp_tools[i].name, "description",
                                        mcp_tools[i].description, "inputSchema",
                                        json_loads(mcp_tools[i].schema, 0, NULL)));
    mcp_answer(id, "result", json_pack("{s:o}", "tools", list));
}

static void mcp_call(struct mcp *m, const json_t *id, const json_t *params)
{
    const char *name = json_string_value(json_object_get(params, "name"));
    for (size_t i = 0; name && i < N_TOOL; i++)
        if (strcmp(name, mcp_tools[i].name) == 0) {
            mcp_answer(id, "result", mcp_tools[i].run(m, json_object_get(params, "arguments")));
            return;
        }
    mcp_fail(id, RPC_PARAMS, "there is no such tool; tools/list names them");
}

/* The client's protocol version if it is supported, else this program's; the client may then
 * disconnect. */
static void mcp_greet(const json_t *id, const json_t *params)
{
    static const char *const known[] = {"2024-11-05", "2025-03-26", PROTOCOL};
    const char *wanted = json_string_value(json_object_get(params, "protocolVersion"));
    const char *version = PROTOCOL;
    for (size_t i = 0; wanted && i < sizeof known / sizeof *known; i++)
        if (strcmp(wanted, known[i]) == 0)
            version = known[i];
    mcp_answer(id, "result",
               json_pack("{s:s, s:{s:{}}, s:{s:s, s:s}}", "protocolVersion", version,
                         "capabilities", "tools", "serverInfo", "name", "jabbertts", "version",
                         jabbertts_version()));
}

static void mcp_handle(struct mcp *m, const json_t *message)
{
    const json_t *id = json_object_get(message, "id"), *params = json_object_get(message, "params");
    const char *method = json_string_value(json_object_get(message, "method"));
    if (!method && json_is_object(message) && id)
        return; /* an answer; we asked nothing */
    if (!method)
        mcp_fail(id, RPC_PARSE, "a message is no JSON-RPC request");
    else if (!id)
        return; /* a notification */
    else if (strcmp(method, "initialize") == 0)
        mcp_greet(id, params);
    else if (strcmp(method, "ping") == 0)
        mcp_answer(id, "result", json_object());
    else if (strcmp(method, "tools/list") == 0)
        mcp_list(id);
    else if (strcmp(method, "tools/call") == 0)
        mcp_call(m, id, params);
    else
        mcp_fail(id, RPC_METHOD, "there is no such method");
}

/* Messages until standard input ends. */
static int mcp_serve(struct mcp *m)
{
    char *line = malloc(LINE_BYTES);
    if (!line)
        return cli_fail("out of memory");
    while (!cli_interrupted() && fgets(line, LINE_BYTES, stdin)) {
        size_t n = strlen(line);
        if (n == LINE_BYTES - 1 && line[n - 1] != '\n') {
            mcp_fail(NULL, RPC_PARSE, "a message has over 1 MiB");
            free(line);
            return cli_fail("a message has over 1 MiB");
        }
        if (strspn(line, " \t\r\n") == n)
            continue;
        json_t *message = json_loads(line, 0, NULL);
        mcp_handle(m, message);
        json_decref(message);
    }
    free(line);
    return CLI_OK;
}

int cmd_mcp(struct options *o)
{
    struct mcp m = {.o = o};
    struct jabbertts_error e;
    char dir[4096];
    cli_catch_signals();
    o->server.voice_dir = cli_voice_dir(o->server.voice_dir, dir, sizeof dir);
    if (jabbertts_store_open(o->server.voice_dir, &m.store, &e) < 0)
        m.store = NULL; /* only the model's own voices then */
    o->server.engine.store = m.store;
    int code =
        jabbertts_open(&o->server.engine, &m.tts, &e) < 0 ? cli_error("mcp", &e) : mcp_serve(&m);
    jabbertts_close(m.tts);
    jabbertts_store_close(m.store);
    return code;
}
