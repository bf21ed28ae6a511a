/* cache.h - the cache of the hub's own client, read and never written.
 *
 *     CACHE/models--OWNER--NAME/refs/REVISION               a commit
 *                               snapshots/COMMIT/FILE       link to ../../blobs/ETAG
 *                               blobs/ETAG                  ETAG: SHA-256, or git's blob hash
 * Source: https://huggingface.co/docs/huggingface_hub/guides/manage-cache
 *
 * Threads: any. */
#ifndef HUB_CACHE_H
#define HUB_CACHE_H
#include "hub/digest.h"
#include "hub/source.h"

/* The commit a revision had when it was cached; ERR_NOT_FOUND. */
int cache_commit(const char *cache, const char *repository, const char *revision, char commit[80]);
/* The file with this hash, or else the commit's file of this name; hash: in, kind DIGEST_NONE if
 * not known, and then out where the cache knows it.  ERR_NOT_FOUND.  The content is not looked
 * at. */
int cache_find(const char *cache, const char *repository, const char *commit, const char *file,
               struct digest_value *hash, char path[4096]);
/* The files that make a model, from a commit's snapshot. */
int cache_choose(const char *cache, const char *repository, const char *commit, const char *gguf,
                 struct repository *ret, struct err *e);

#endif
