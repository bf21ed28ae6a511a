/* prefix_file.h - an entry of the prefix cache as a file that any process may read.
 *
 * Layout, little-endian: struct prefix_header, the columns int32 [n_column, width], zeros up to a
 * multiple of 4096, the keys and values as lm_slot_save writes them.  The header says for which
 * model (a hash of its whole file) and for which version, instruction set and type of keys and
 * values: others would round differently, or read other bytes.  A file is hostile until
 * prefix_file_check has returned 0; then its bytes are what was written, by their hash.
 * MurmurHash3 detects damage and mistakes, not forgery: whoever can write into the directory can
 * change what voices sound like.
 *
 *     directory/HASH.kv, HASH over model, program and columns; written beside and renamed
 *
 * Threads: any. */
#ifndef ENGINE_PREFIX_FILE_H
#define ENGINE_PREFIX_FILE_H
#include "engine/dual_ar/prefix.h"

#define PREFIX_FILE_VERSION 1
#define PREFIX_DIR_BYTES    ((size_t)1 << 30) /* of all files in a directory; the oldest go */

struct prefix_identity { /* of the program that may use a file */
    uint8_t model[16];
    char program[48]; /* version, instruction set, type of keys and values */
};
/* Reads the whole model file. */
int prefix_identify(const struct prefix_options *o, struct prefix_identity *ret, struct err *e);

struct prefix_header {
    char magic[8]; /* "JBRTTSKV" */
    uint32_t version, n_column, width, pad;
    uint64_t kv_offset, kv_bytes;
    struct prefix_identity identity;
    uint8_t kv_hash[16];
};

struct prefix_key { /* which entry; borrowed */
    const struct prefix_identity *identity;
    const struct prompt *prompt; /* its first n_prefix columns */
    size_t n_kv;                 /* bytes of keys and values */
};

/* Whether data, a file of n bytes, holds that entry.  *kv points into data. */
int prefix_file_check(const void *data, size_t n, const struct prefix_key *k, const void **kv,
                      struct err *e);

struct prefix_pages {
    void *pages; /* n bytes; mem_pages_free */
    size_t n;
    const void *kv; /* in pages */
};
/* The whole file.  ERR_NOT_FOUND when the directory has no such file. */
int prefix_file_read(const char *dir, const struct prefix_key *k, struct prefix_pages *ret,
                     struct err *e);
int prefix_file_write(const char *dir, const struct prefix_key *k, const void *kv, struct err *e);

#endif
