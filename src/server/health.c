/* health.c - is the server alive, and would it take a request. */
#include "server/http.h"

void health_live(struct request *r)
{
    http_reply_json(r, 200, json_pack("{s:s,s:s,s:s}", "status", "ok", "version",
                                      jabbertts_version(), "model", r->server->model_id));
}

/* A stopping server never gets here: http.c refuses for it. */
void health_ready(struct request *r)
{
    struct jabbertts_load l;
    jabbertts_load(r->server->tts, &l);
    http_reply_json(r, 200, json_pack("{s:s,s:b,s:i,s:i,s:i,s:f}", "status", "ready", "loaded",
                                      l.loaded, "slots", l.slots, "active", l.active, "queued",
                                      l.queued, "wait_seconds", l.wait_s));
}
