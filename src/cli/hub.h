/* hub.h - the hub as the environment describes it, in the names of the hub's own client, and models
 * by name.
 *
 *     if ((code = cli_hub_open(o, &hub)))
 *         return code;
 *     ...
 *     jabbertts_hub_close(hub);
 *
 * Variables: HF_ENDPOINT, HF_TOKEN, HF_TOKEN_PATH, HF_HOME, HF_HUB_CACHE, HF_HUB_OFFLINE,
 * HF_HUB_DOWNLOAD_TIMEOUT, HF_HUB_DISABLE_IMPLICIT_TOKEN, SSL_CERT_FILE; libcurl reads http_proxy,
 * https_proxy, all_proxy and no_proxy itself.
 * Source: https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables */
#ifndef CLI_HUB_H
#define CLI_HUB_H
#include "cli/options.h"
#include "jabbertts_hub.h"

/* 0, or the exit code after a message. */
int cli_hub_open(const struct options *o, struct jabbertts_hub **ret);
/* cli_error() about an installed model; where none has the name, it says which may be meant. */
int cli_model_error(const char *command, struct jabbertts_hub *hub, const char *name,
                    const struct jabbertts_error *e);
/* Names of installed models become their paths, in --model and in arguments that are a model; what
 * is a path, "espeak-ng" or the name of a file here stays, and jabber-tiny is the built-in one.
 * serve gets several.  0, or the exit code after a message. */
int cli_find_models(struct options *o);
/* Where models are installed: given, else as the hub's commands find it. */
const char *cli_model_dir(const char *given, char *path, size_t n);
/* Bytes for people: "1.2 GB". */
const char *cli_size(int64_t bytes, char to[32]);

#endif
