/* multipart.h - the parts of a multipart/form-data body (RFC 7578) that is all in memory.
 *
 *     struct multipart m;
 *     if (multipart_parse(content_type, body, n, &m, &why) < 0) ...   why: what is wrong, static
 *     p = multipart_find(&m, "name");                                 borrowed from the body
 *
 * Threads: any. */
#ifndef SERVER_MULTIPART_H
#define SERVER_MULTIPART_H
#include <stddef.h>

#define MULTIPART_PARTS    32
#define MULTIPART_BOUNDARY 70 /* RFC 2046, 5.1.1 */

struct part {
    char name[64];
    char file[256];   /* the name of the file that it was; "" */
    const char *data; /* not NUL-terminated */
    size_t n;
};
struct multipart {
    struct part part[MULTIPART_PARTS];
    int n;
};
int multipart_parse(const char *content_type, const char *body, size_t n, struct multipart *ret,
                    const char **why);
const struct part *multipart_find(const struct multipart *m, const char *name); /* NULL: none */

#endif
