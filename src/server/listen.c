#include "server/listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* With its default, the kernel would buffer megabytes of sound for a client that does not read. */
#define SEND_BYTES    (128 << 10)
#define SYSTEMD_FIRST 3 /* SD_LISTEN_FDS_START */

static int listen_on(int family, int type, int protocol, const void *address, socklen_t n, int *ret)
{
    int on = 1, ahead = SEND_BYTES, fd = socket(family, type | SOCK_CLOEXEC, protocol);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &ahead, sizeof ahead); /* connections inherit it */
    if (bind(fd, address, n) == 0 && listen(fd, SOMAXCONN) == 0) {
        *ret = fd;
        return 0;
    }
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

static int listen_address(const char *host, int port, struct listen *l, struct err *e)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *list;
    char text[16], bare[256];
    size_t n = strlen(host);
    bool bracketed = n > 2 && host[0] == '[' && host[n - 1] == ']';
    snprintf(bare, sizeof bare, "%.*s", (int)(bracketed ? n - 2 : n), host + bracketed);
    snprintf(text, sizeof text, "%d", port);
    int rc = getaddrinfo(bare, text, &hints, &list);
    if (rc != 0)
        return err_set(e, ERR_ARGUMENT, "cannot listen on \"%.128s\": %s%s%.128s", host,
                       gai_strerror(rc), host[0] == '/' ? "; a socket is unix:" : "",
                       host[0] == '/' ? host : "");
    rc = -1;
    for (const struct addrinfo *a = list; a && rc < 0; a = a->ai_next)
        rc = listen_on(a->ai_family, a->ai_socktype, a->ai_protocol, a->ai_addr, a->ai_addrlen,
                       &l->fd);
    freeaddrinfo(list);
    return rc == 0
               ? 0
               : err_set(e, ERR_IO, "cannot listen on %.128s port %d: %s%s", host, port,
                         strerror(errno),
                         errno == EADDRINUSE ? "; end what listens there, or choose another port"
                                             : "");
}

/* If nothing accepts connections on the existing socket, its server has ended: replace it. */
static int listen_unix(const char *path, struct listen *l, struct err *e)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct stat st;
    if (!*path || strlen(path) >= sizeof a.sun_path)
        return err_set(e, ERR_ARGUMENT,
                       "the socket's path \"%.128s\" has %zu bytes, must have 1 to "
                       "%zu",
                       path, strlen(path), sizeof a.sun_path - 1);
    strncpy(a.sun_path, path, sizeof a.sun_path - 1);
    if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
        return err_set(e, ERR_IO, "cannot listen on %.128s: a file that is not a socket is there",
                       path);
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool alive = probe >= 0 && connect(probe, (struct sockaddr *)&a, sizeof a) == 0;
    if (probe >= 0)
        close(probe);
    if (alive)
        return err_set(e, ERR_IO, "cannot listen on %.128s: another server does", path);
    unlink(path);
    /* Who may connect is decided by the directory's mode and the umask. */
    if (listen_on(AF_UNIX, SOCK_STREAM, 0, &a, sizeof a, &l->fd) < 0)
        return err_set(e, ERR_IO, "cannot listen on %.128s: %s", path, strerror(errno));
    snprintf(l->path, sizeof l->path, "%s", path);
    return 0;
}

static int listen_systemd(const char *pid, const char *count, struct listen *l, struct err *e)
{
    int yes = 0;
    socklen_t n = sizeof yes;
    if (!pid || !count || strtol(pid, NULL, 10) != (long)getpid() || strtol(count, NULL, 10) < 1)
        return err_set(e, ERR_ARGUMENT,
                       "host is systemd, but systemd passed no socket (LISTEN_PID, LISTEN_FDS)");
    if (getsockopt(SYSTEMD_FIRST, SOL_SOCKET, SO_ACCEPTCONN, &yes, &n) < 0 || !yes)
        return err_set(e, ERR_ARGUMENT,
                       "the first socket from systemd does not listen; it must be "
                       "a stream socket, Accept=no");
    l->fd = SYSTEMD_FIRST;
    return 0;
}

static void listen_describe(const char *host, int port, bool secure, struct listen *l)
{
    struct sockaddr_storage a = {0};
    socklen_t n = sizeof a;
    const struct sockaddr_in *four = (const struct sockaddr_in *)&a;
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&a;
    bool bare = strchr(host, ':') && host[0] != '[';
    char name[INET6_ADDRSTRLEN + 2] = "";
    if (getsockname(l->fd, (struct sockaddr *)&a, &n) < 0)
        return;
    l->is_unix = a.ss_family == AF_UNIX;
    if (l->is_unix) {
        snprintf(l->url, sizeof l->url, "unix:%.100s",
                 l->path[0] ? l->path : ((const struct sockaddr_un *)&a)->sun_path);
        return;
    }
    l->is_loopback = a.ss_family == AF_INET6 ? IN6_IS_ADDR_LOOPBACK(&six->sin6_addr)
                                             : ntohl(four->sin_addr.s_addr) >> 24 == 127;
    port = ntohs(a.ss_family == AF_INET6 ? six->sin6_port : four->sin_port);
    if (strcmp(host, "systemd") == 0 &&
        getnameinfo((struct sockaddr *)&a, n, name, sizeof name, NULL, 0, NI_NUMERICHOST) == 0) {
        host = name;
        bare = a.ss_family == AF_INET6;
    }
    snprintf(l->url, sizeof l->url, "http%s://%s%.64s%s:%d", secure ? "s" : "", bare ? "[" : "",
             host, bare ? "]" : "", port);
}

int listen_open(const char *host, int port, const char *const systemd[2], bool secure,
                struct listen *l, struct err *e)
{
    *l = (struct listen){.fd = -1};
    int rc = strncmp(host, "unix:", 5) == 0 ? listen_unix(host + 5, l, e)
             : strcmp(host, "systemd") == 0 ? listen_systemd(systemd[0], systemd[1], l, e)
                                            : listen_address(host, port, l, e);
    if (rc == 0)
        listen_describe(host, port, secure, l);
    return rc;
}

void listen_done(struct listen *l)
{
    if (l->path[0])
        unlink(l->path);
    l->path[0] = 0;
}
