/* WebSockets, on a server that speaks with espeak-ng: any bytes as the frames of a client, or (byte
 * 0 odd) its lines as the messages in them; bit 1 of byte 0: in ElevenLabs' shape.  The connection
 * must end when the client does, and nothing be left of it. */
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/daemon.h"
#include "server/websocket.h"

#define OPEN_S 20 /* that a connection may take to end: longer is a hang */

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct server *server;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct server_options o;
    struct err e;
    (void)argc;
    (void)argv;
    server_options_init(&o);
    o.engine.model = "espeak-ng";
    o.port = 0;
    o.log = SERVER_LOG_NONE;
    o.max_input_chars = 100;
    if (server_start(&o, &server, &e) < 0)
        abort();
    return 0;
}

static int n_open(void)
{
    pthread_mutex_lock(&server->lock);
    int n = server->n_socket;
    pthread_mutex_unlock(&server->lock);
    return n;
}

/* What the server says is read and forgotten.  What it no longer reads, because the connection has
 * ended, is not sent. */
static void send_all(int fd, const uint8_t *data, size_t n)
{
    char other[4096];
    struct timespec begin;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    while (n > 0 && n_open() > 0) {
        struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT};
        if (http_seconds_since(&begin) > OPEN_S)
            abort();
        if (poll(&p, 1, 10) <= 0)
            continue;
        if (p.revents & POLLIN && recv(fd, other, sizeof other, 0) <= 0)
            return;
        ssize_t sent = p.revents & POLLOUT ? send(fd, data, n, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;
        if (sent < 0)
            return;
        data += sent;
        n -= (size_t)sent;
    }
}

/* A text frame with a mask of zeros, which leaves a message as it is. */
static void send_message(int fd, const uint8_t *text, size_t n)
{
    uint8_t head[8] = {0x81, (uint8_t)(0x80 | (n < 126 ? n : 126))};
    if (n >= 126) {
        head[2] = (uint8_t)(n >> 8);
        head[3] = (uint8_t)n;
    }
    send_all(fd, head, n >= 126 ? 8 : 6);
    send_all(fd, text, n);
}

static void send_lines(int fd, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size;) {
        const uint8_t *end = memchr(data + i, '\n', size - i);
        size_t n = end ? (size_t)(end - data) - i : size - i;
        send_message(fd, data + i, n < 65536 ? n : 65535);
        i += n + 1;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct route ours = {.name = "stream"}, eleven = {.name = "stream-input"};
    int fd[2];
    char other[4096];
    if (size == 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, fd) < 0)
        return 0;
    struct request r = {.server = server, .route = data[0] & 2 ? &eleven : &ours, .argument = "x"};
    websocket_upgraded(&r, data + 1, data[0] & 1 ? 0 : size / 2, fd[0], NULL);
    if (data[0] & 1)
        send_lines(fd[1], data + 1, size - 1);
    else if (size / 2 + 1 < size)
        send_all(fd[1], data + 1 + size / 2, size - 1 - size / 2);
    shutdown(fd[1], SHUT_WR);
    struct timespec begin;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    while (n_open() > 0) { /* the server closes by its HTTP library, which is not here */
        struct pollfd p = {.fd = fd[1], .events = POLLIN};
        if (poll(&p, 1, 1) > 0 && recv(fd[1], other, sizeof other, MSG_DONTWAIT) == 0)
            usleep(100);
        if (http_seconds_since(&begin) > OPEN_S)
            abort();
    }
    close(fd[0]);
    close(fd[1]);
    return 0;
}
