/* sandbox.c - Landlock and seccomp.  Source: the kernel's Documentation/userspace-api/landlock.rst
 * and seccomp_filter.rst. */
#include "server/sandbox.h"

#if defined(__linux__)
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Rights by their bits, since headers are older than kernels. */
#define FS_EXECUTE  ((uint64_t)1 << 0)
#define FS_WRITE    ((uint64_t)1 << 1)
#define FS_READ     ((uint64_t)1 << 2)
#define FS_READ_DIR ((uint64_t)1 << 3)
#define FS_CHANGE   ((uint64_t)0x3b0) /* remove files and directories; make both, and sockets */
#define FS_ALL      ((uint64_t)0x1fff)
#define FS_REFER    ((uint64_t)1 << 13) /* from version 2 of Landlock on */
#define FS_TRUNCATE ((uint64_t)1 << 14) /* 3 */
#define NET_CONNECT ((uint64_t)1 << 1)  /* 4 */

struct ruleset_attr { /* landlock_ruleset_attr of version 4 */
    uint64_t fs, net;
};

static int landlock_version(void)
{
    return (int)syscall(SYS_landlock_create_ruleset, NULL, 0, 1);
}

static void sandbox_allow(int ruleset, const char *path, uint64_t rights)
{
    struct landlock_path_beneath_attr rule = {.allowed_access = rights};
    rule.parent_fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (rule.parent_fd < 0)
        return;
    syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    close(rule.parent_fd);
}

int sandbox_files(const struct sandbox *s, struct err *e)
{
    static const char *const system_dirs[] = {"/usr", "/lib",  "/lib64", "/lib32", "/etc",
                                              "/opt", "/proc", "/sys",   "/nix",   "/run/systemd"};
    static const char *const devices[] = {"/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"};
    int version = landlock_version();
    if (version < 1)
        return 1;
    struct ruleset_attr all = {.fs = FS_ALL | (version >= 2 ? FS_REFER : 0) |
                                     (version >= 3 ? FS_TRUNCATE : 0),
                               .net = s->connect ? 0 : NET_CONNECT};
    uint64_t read = FS_READ | FS_READ_DIR;
    uint64_t write = read | FS_WRITE | FS_CHANGE | (all.fs & (FS_REFER | FS_TRUNCATE));
    int fd = (int)syscall(SYS_landlock_create_ruleset, &all,
                          version >= 4 ? sizeof all : sizeof all.fs, 0);
    if (fd < 0)
        return err_set(e, ERR_IO, "the sandbox cannot be made: %s; --sandbox off does without",
                       strerror(errno));
    for (size_t i = 0; i < sizeof system_dirs / sizeof *system_dirs; i++)
        sandbox_allow(fd, system_dirs[i], read);
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++)
        sandbox_allow(fd, devices[i], FS_READ | FS_WRITE);
    for (int i = 0; i < s->n_place; i++)
        sandbox_allow(fd, s->place[i], s->write[i] ? write : read);
    int rc = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (rc == 0)
        rc = (int)syscall(SYS_landlock_restrict_self, fd, 0);
    close(fd);
    return rc == 0
               ? 0
               : err_set(e, ERR_IO, "the sandbox cannot be entered: %s; --sandbox off does without",
                         strerror(errno));
}

/* Calls that no part of a server needs once it serves.  A number that this library does not know
 * is negative, and is left out. */
static const int sandbox_refused[] = {
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
    SCMP_SYS(ptrace),
    SCMP_SYS(bpf),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(mount),
    SCMP_SYS(umount2),
    SCMP_SYS(pivot_root),
    SCMP_SYS(chroot),
    SCMP_SYS(unshare),
    SCMP_SYS(setns),
    SCMP_SYS(kexec_load),
    SCMP_SYS(kexec_file_load),
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(delete_module),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(keyctl),
    SCMP_SYS(add_key),
    SCMP_SYS(request_key),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(swapon),
    SCMP_SYS(swapoff),
    SCMP_SYS(reboot),
    SCMP_SYS(settimeofday),
    SCMP_SYS(clock_settime),
    SCMP_SYS(open_by_handle_at),
    SCMP_SYS(pidfd_getfd),
    SCMP_SYS(move_mount),
    SCMP_SYS(open_tree),
    SCMP_SYS(fsopen),
    SCMP_SYS(acct),
    SCMP_SYS(quotactl),
};

/* No datagrams to other machines, no raw packets; a kernel whose Landlock knows no network gets no
 * connections at all. */
static int refuse_network(scmp_filter_ctx filter, uint32_t refuse)
{
    static const int family[] = {AF_INET, AF_INET6};
    int rc = seccomp_rule_add(filter, refuse, SCMP_SYS(socket), 1,
                              SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)AF_PACKET));
    for (int i = 0; i < 2 && rc == 0; i++)
        rc = seccomp_rule_add(filter, refuse, SCMP_SYS(socket), 2,
                              SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)family[i]),
                              SCMP_A1(SCMP_CMP_MASKED_EQ, 15, (scmp_datum_t)SOCK_DGRAM));
    if (rc == 0 && landlock_version() < 4)
        rc = seccomp_rule_add(filter, refuse, SCMP_SYS(connect), 0);
    return rc;
}

int sandbox_calls(const struct sandbox *s, struct err *e)
{
    uint32_t refuse = SCMP_ACT_ERRNO(EPERM);
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    int rc = filter ? seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1) : -ENOMEM;
    for (size_t i = 0; i < sizeof sandbox_refused / sizeof *sandbox_refused && rc == 0; i++)
        if (sandbox_refused[i] >= 0)
            rc = seccomp_rule_add(filter, refuse, sandbox_refused[i], 0);
    if (rc == 0 && !s->connect)
        rc = refuse_network(filter, refuse);
    if (rc == 0)
        rc = seccomp_load(filter);
    seccomp_release(filter);
    return rc == 0 ? 0
                   : err_set(e, ERR_IO,
                             "system calls cannot be filtered: %s; --sandbox off does without",
                             strerror(-rc));
}
#else
int sandbox_files(const struct sandbox *s, struct err *e)
{
    (void)s;
    (void)e;
    return 1;
}

int sandbox_calls(const struct sandbox *s, struct err *e)
{
    (void)s;
    (void)e;
    return 0;
}
#endif
