#include "server/origin.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define HOST_BYTES 256

/* The host of host:port or [v6]:port, without brackets and a dot at the end; false: malformed. */
static bool origin_host(const char *authority, char host[HOST_BYTES])
{
    const char *from = authority, *end = authority + strcspn(authority, ":");
    if (*authority == '[') {
        from = authority + 1;
        end = strchr(from, ']');
        if (!end || (end[1] && end[1] != ':'))
            return false;
    }
    size_t n = (size_t)(end - from);
    const char *port = strchr(end, ':');
    if (n == 0 || n >= HOST_BYTES || (port && strspn(port + 1, "0123456789") != strlen(port + 1)))
        return false;
    memcpy(host, from, n);
    host[n] = 0;
    if (host[n - 1] == '.')
        host[n - 1] = 0;
    return host[0] != 0;
}

bool origin_is_loopback(const char *authority)
{
    static const char name[] = "localhost";
    char host[HOST_BYTES];
    struct in_addr four;
    struct in6_addr six;
    if (!origin_host(authority, host))
        return false;
    if (inet_pton(AF_INET, host, &four) == 1)
        return ntohl(four.s_addr) >> 24 == 127;
    if (inet_pton(AF_INET6, host, &six) == 1)
        return IN6_IS_ADDR_LOOPBACK(&six);
    size_t n = strlen(host);
    return n >= sizeof name - 1 && strcasecmp(host + n - (sizeof name - 1), name) == 0 &&
           (n == sizeof name - 1 || host[n - sizeof name] == '.');
}

/* Is s[0..n) one of the list's entries? */
static bool origin_listed(const char *list, const char *s, size_t n)
{
    while (*list) {
        list += strspn(list, ", ");
        size_t len = strcspn(list, ", ");
        if (len == n && n > 0 && strncasecmp(list, s, n) == 0)
            return true;
        list += len;
    }
    return false;
}

bool origin_host_listed(const char *list, const char *authority)
{
    char host[HOST_BYTES];
    return origin_host(authority, host) && origin_listed(list, host, strlen(host));
}

/* What is behind http:// or https://; NULL: another scheme. */
static const char *origin_authority(const char *origin)
{
    return strncasecmp(origin, "http://", 7) == 0    ? origin + 7
           : strncasecmp(origin, "https://", 8) == 0 ? origin + 8
                                                     : NULL;
}

bool origin_is_own(const char *origin, const char *authority)
{
    const char *page = origin_authority(origin);
    return page && *page && strcasecmp(page, authority) == 0;
}

bool origin_allowed(const char *allowed, const char *origin, const char *authority)
{
    const char *page = origin_authority(origin);
    if (strcmp(allowed, "*") == 0 || origin_is_own(origin, authority) ||
        origin_listed(allowed, origin, strlen(origin)))
        return true;
    return page && origin_listed(allowed, "local", 5) && origin_is_loopback(page);
}
