#include "server/route.h"

#include <stdio.h>
#include <string.h>

#define CONSENTS   "/v1/audio/voice_consents"
#define UPLOAD_KIB (14 << 10) /* a recording of 10 MiB in base64, and the rest */

static const struct route routes[] = {
    {"POST", "/v1/audio/speech", "speech", speech_run, ROUTE_STREAM, -1, ACCESS_KEY, false},
    {"POST", "/v1/audio/speech/timestamps", "timestamps", speech_run, ROUTE_STREAM, -1, ACCESS_KEY,
     false},
    {"POST", "/v1/text-to-speech/*", "elevenlabs", speech_run, ROUTE_STREAM, -1, ACCESS_KEY, false},
    {"GET", "/v1/audio/speech/stream", "stream", websocket_open, ROUTE_QUICK, 0, ACCESS_KEY, false},
    {"GET", "/v1/text-to-speech/*", "stream-input", websocket_open, ROUTE_QUICK, 0, ACCESS_KEY,
     false},
    {"POST", "/v1/tts", "fish", speech_run, ROUTE_STREAM, -1, ACCESS_KEY, false},
    {"POST", "/v1/references/add", "reference", references_add, ROUTE_WORK, UPLOAD_KIB, ACCESS_KEY,
     false},
    {"GET", "/v1/references/list", "references", references_list, ROUTE_WORK, 0, ACCESS_KEY, false},
    {"DELETE", "/v1/references/delete", "reference", references_remove, ROUTE_WORK, 64, ACCESS_KEY,
     false},
    {"GET", "/v2/voices", "voices", voices_list, ROUTE_WORK, 0, ACCESS_LIST, false},
    {"POST", "/dev/captioned_speech", "captioned", speech_run, ROUTE_STREAM, -1, ACCESS_KEY, false},
    {"POST", "/dev/phonemize", "phonemize", phonemize_run, ROUTE_WORK, -1, ACCESS_KEY, false},
    {"POST", "/v1/audio/speech/batch", "speech_batch", speech_batch_run, ROUTE_STREAM, -1,
     ACCESS_KEY, false},
    {"GET", "/v1/models", "models", models_list, ROUTE_QUICK, 0, ACCESS_LIST, false},
    {"POST", "/v1/models", "models", models_list, ROUTE_QUICK, 64, ACCESS_LIST, false},
    {"GET", "/v1/models/*", "model", models_get, ROUTE_QUICK, 0, ACCESS_LIST, false},
    {"GET", "/v1/audio/models", "models", audio_models_list, ROUTE_QUICK, 0, ACCESS_LIST, false},
    {"POST", "/v1/audio/models", "models", audio_models_list, ROUTE_QUICK, 64, ACCESS_LIST, false},
    {"GET", "/v1/audio/voices", "voices", voices_list, ROUTE_WORK, 0, ACCESS_LIST, false},
    {"POST", "/v1/audio/voices", "voices", voices_add, ROUTE_WORK, UPLOAD_KIB, ACCESS_KEY, false},
    {"POST", "/v1/audio/voices/combine", "combine", voices_combine, ROUTE_WORK, 64, ACCESS_KEY,
     false},
    {"GET", "/v1/audio/voices/*", "voice", voices_get, ROUTE_WORK, 0, ACCESS_KEY, false},
    {"DELETE", "/v1/audio/voices/*", "voice", voices_remove, ROUTE_WORK, 0, ACCESS_KEY, false},
    {"GET", "/v1/voices", "voices", voices_list, ROUTE_WORK, 0, ACCESS_LIST, false},
    {"POST", "/v1/voices", "voices", voices_add, ROUTE_WORK, UPLOAD_KIB, ACCESS_KEY, false},
    {"GET", "/v1/voices/*", "voice", voices_get, ROUTE_WORK, 0, ACCESS_KEY, false},
    {"DELETE", "/v1/voices/*", "voice", voices_remove, ROUTE_WORK, 0, ACCESS_KEY, false},
    {"GET", CONSENTS, "consents", consents_list, ROUTE_WORK, 0, ACCESS_KEY, false},
    {"POST", CONSENTS, "consents", consents_add, ROUTE_WORK, UPLOAD_KIB, ACCESS_KEY, false},
    {"GET", CONSENTS "/*", "consent", consents_get, ROUTE_WORK, 0, ACCESS_KEY, false},
    {"POST", CONSENTS "/*", "consent", consents_rename, ROUTE_WORK, 64, ACCESS_KEY, false},
    {"DELETE", CONSENTS "/*", "consent", consents_remove, ROUTE_WORK, 0, ACCESS_KEY, false},
    {"POST", "/v1/files", "files", files_add, ROUTE_WORK, ROUTE_FILE_KIB, ACCESS_KEY, false},
    {"GET", "/v1/files", "files", files_list, ROUTE_WORK, 0, ACCESS_KEY, false},
    {"GET", "/v1/files/*", "file", files_get, ROUTE_STREAM, 0, ACCESS_KEY, false},
    {"DELETE", "/v1/files/*", "file", files_remove, ROUTE_WORK, 0, ACCESS_KEY, false},
    {"POST", "/v1/batches", "batches", batches_add, ROUTE_WORK, -1, ACCESS_KEY, false},
    {"GET", "/v1/batches", "batches", batches_list, ROUTE_WORK, 0, ACCESS_KEY, false},
    {"GET", "/v1/batches/*", "batch", batches_get, ROUTE_STREAM, 0, ACCESS_KEY, false},
    {"POST", "/v1/batches/*", "batch", batches_cancel, ROUTE_WORK, 64, ACCESS_KEY, false},
    {"GET", "/", "page", page_file, ROUTE_QUICK, 0, ACCESS_PUBLIC, false},
    {"GET", "/page.css", "page", page_file, ROUTE_QUICK, 0, ACCESS_PUBLIC, false},
    {"GET", "/page.js", "page", page_file, ROUTE_QUICK, 0, ACCESS_PUBLIC, false},
    {"GET", "/sound.js", "page", page_file, ROUTE_QUICK, 0, ACCESS_PUBLIC, false},
    {"GET", "/picture.js", "page", page_file, ROUTE_QUICK, 0, ACCESS_PUBLIC, false},
    {"GET", "/docs", "page", page_file, ROUTE_QUICK, 0, ACCESS_PUBLIC, false},
    {"GET", "/docs.js", "page", page_file, ROUTE_QUICK, 0, ACCESS_PUBLIC, false},
    {"GET", "/openapi.json", "openapi", page_openapi, ROUTE_QUICK, 0, ACCESS_PUBLIC, false},
    {"GET", "/v1/audio/takes/*", "take", takes_get, ROUTE_WORK, 0, ACCESS_KEY, false},
    {"GET", "/v1/download/*", "download", downloads_get, ROUTE_WORK, 0, ACCESS_KEY, false},
    {"GET", "/v1/test", "health", health_live, ROUTE_QUICK, 0, ACCESS_PUBLIC, true},
    {"GET", "/v1/health", "health", health_live, ROUTE_QUICK, 0, ACCESS_PUBLIC, true},
    {"POST", "/v1/health", "health", health_live, ROUTE_QUICK, 64, ACCESS_PUBLIC, true},
    {"GET", "/health", "health", health_live, ROUTE_QUICK, 0, ACCESS_PUBLIC, true},
    {"GET", "/healthz", "health", health_live, ROUTE_QUICK, 0, ACCESS_PUBLIC, true},
    {"GET", "/readyz", "ready", health_ready, ROUTE_QUICK, 0, ACCESS_PUBLIC, true},
    {"GET", "/metrics", "metrics", metrics_get, ROUTE_QUICK, 0, ACCESS_KEY, true},
};
#define N_ROUTE (sizeof routes / sizeof *routes)

/* The rest of path behind a pattern's '*'; NULL: no match.  One trailing '/' does not matter. */
static const char *routes_match(const char *pattern, const char *path)
{
    size_t n = strlen(pattern);
    if (pattern[n - 1] == '*')
        return strncmp(pattern, path, n - 1) == 0 && path[n - 1] ? path + n - 1 : NULL;
    if (strncmp(pattern, path, n) != 0)
        return NULL;
    return !path[n] || (path[n] == '/' && !path[n + 1] && n > 1) ? path + n : NULL;
}

const char *route_below(const char *base, const char *path)
{
    size_t n = strlen(base);
    while (n > 0 && base[n - 1] == '/')
        n--;
    if (n == 0 || strncmp(path, base, n) != 0 || (path[n] && path[n] != '/'))
        return path;
    return path[n] ? path + n : "/";
}

/* HEAD is GET without the body, which the HTTP library leaves out. */
const struct route *route_find(const char *method, const char *path, const char **argument)
{
    if (strcmp(method, "HEAD") == 0)
        method = "GET";
    for (size_t i = 0; i < N_ROUTE; i++) {
        const char *rest = routes_match(routes[i].path, path);
        if (rest && strcmp(method, routes[i].method) == 0) {
            *argument = rest;
            return &routes[i];
        }
    }
    return NULL;
}

bool route_methods(const char *path, char *ret, size_t n)
{
    size_t len = 0;
    ret[0] = 0;
    for (size_t i = 0; i < N_ROUTE; i++)
        if (routes_match(routes[i].path, path) && !strstr(ret, routes[i].method))
            len += (size_t)snprintf(ret + len, n - len, "%s%s", routes[i].method,
                                    strcmp(routes[i].method, "GET") ? ", " : ", HEAD, ");
    if (len == 0)
        return false;
    snprintf(ret + len, n - len, "OPTIONS");
    return true;
}
