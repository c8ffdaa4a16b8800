/* The launcher: makes workers for the keeper, each inside its cgroups before its exec.
 *
 * Started by the keeper with one end of a SOCK_SEQPACKET pair as descriptor 3; leaves when the other end closes. A
 * worker is made by clone3(CLONE_PARENT | CLONE_INTO_CGROUP), so it is the keeper's child, and never shares memory with
 * anybody (no CLONE_VM): a frozen, throttled or OOM-killed group can hold up its own child only. The loop waits for
 * requests and for the error pipes of children still in set-up, and for nothing else. */

#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "request.h"
#include "privileges.h"

enum { KEEPER = 3, IN_SETUP_MAX = 4096, DIED_BEFORE_EXEC = 127 };

struct verdict { int32_t stage, error; }; /* what a child writes to its error pipe; exec closes it without a word */

/* Entry 0 of `polls` is the keeper; each other one the error pipe of a child in set-up, told apart by `pending`. */
static struct pollfd polls[IN_SETUP_MAX];
static struct { uint64_t ident; pid_t pid; } pending[IN_SETUP_MAX];
static size_t polls_count = 1;

static void answer(uint64_t ident, enum kind kind, pid_t pid, enum stage stage, int error)
{
    struct answer a = {.version = VERSION, .kind = kind, .stage = stage, .pid = pid, .error = error, .ident = ident};
    while (send(KEEPER, &a, sizeof a, MSG_NOSIGNAL) < 0) /* blocks when the keeper is slow: it owes us nothing else */
        if (errno != EINTR)
            _exit(0);
}

/* ---- the child ---------------------------------------------------------------------------------------------- */

static int write_file(const char *directory, const char *name, const char *text)
{
    char path[PATH_MAX];
    if ((size_t)snprintf(path, sizeof path, "%s/%s", directory, name) >= sizeof path)
        return ENAMETOOLONG;
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int error = write(fd, text, strlen(text)) < 0 ? errno : 0;
    close(fd);
    return error;
}

/* Everything here is close-on-exec, so what isn't put in its place is closed by the exec. */
static int place_fds(struct spawn *s)
{
    int above = STDERR_FILENO + 1, moved[FDS_MAX];
    for (size_t i = 0; i < s->targets_count; i++)
        if (s->targets[i] >= above)
            above = s->targets[i] + 1;
    int high = fcntl(s->report, F_DUPFD_CLOEXEC, above);
    if (high < 0)
        return errno;
    s->report = high;
    for (size_t i = 0; i < s->targets_count; i++)
        if ((moved[i] = fcntl(s->sources[i], F_DUPFD_CLOEXEC, above)) < 0)
            return errno;
    for (size_t i = 0; i < s->targets_count; i++)
        if (dup2(moved[i], s->targets[i]) < 0)
            return errno;
    return 0;
}

static int join(struct spawn *s)
{
    int error = s->v2 && !s->joined ? write_file(s->v2, "cgroup.procs", "0") : 0;
    /* `tasks`, not `cgroup.procs`: a task that moves itself alone needs no RCU grace period (Linux 5.5) */
    for (char **directory = s->v1; directory && *directory && !error; directory++)
        error = write_file(*directory, "tasks", "0");
    return error;
}

static int adjust_oom_score(struct spawn *s)
{
    char score[16];
    snprintf(score, sizeof score, "%d", s->oom_score_adj);
    return has(s, OOM_SCORE_ADJ) ? write_file("/proc/self", "oom_score_adj", score) : 0;
}

static int renice(struct spawn *s)
{
    return has(s, NICE) && setpriority(PRIO_PROCESS, 0, s->nice) ? errno : 0;
}

/* The memory is the child's own by now. */
static void write_own_pid(struct spawn *s)
{
    for (char **name = s->own_pid; name && *name; name++)
        for (char **e = s->env; *e; e++) {
            size_t n = strlen(*name);
            if (!strncmp(*e, *name, n) && (*e)[n] == '=')
                snprintf(*e + n + 1, strlen(*e + n + 1) + 1, "%d", (int)getpid());
        }
}

static int change_directory(struct spawn *s)
{
    if (has(s, UMASK))
        umask((mode_t)s->umask);
    return s->cwd && chdir(s->cwd) ? errno : 0;
}

static int limit_resources(struct spawn *s)
{
    for (size_t i = 0; i < s->limits_count; i++) {
        struct rlimit limit = {(rlim_t)s->limits[i].soft, (rlim_t)s->limits[i].hard};
        if (setrlimit((int)s->limits[i].resource, &limit))
            return errno;
    }
    return 0;
}

/* Like execvpe with the worker's own PATH, but never hands a file without `#!` to a shell. Returns the error. */
static int execute(struct spawn *s)
{
    const char *path = "/bin:/usr/bin", *name = s->argv[0];
    char file[PATH_MAX];
    int denied = 0;
    write_own_pid(s);
    if (!*name || strchr(name, '/')) {
        execve(name, s->argv, s->env);
        return errno;
    }
    for (char **e = s->env; *e; e++)
        if (!strncmp(*e, "PATH=", 5)) {
            path = *e + 5;
            break;
        }
    for (;;) {
        size_t n = strcspn(path, ":"); /* an empty element is the working directory */
        if ((size_t)snprintf(file, sizeof file, "%.*s%s%s", (int)n, path, n ? "/" : "", name) < sizeof file) {
            execve(file, s->argv, s->env);
            if (errno == EACCES)
                denied = EACCES;
            else if (errno != ENOENT && errno != ENOTDIR && errno != ESTALE && errno != ENODEV && errno != ETIMEDOUT)
                return errno;
        }
        if (!path[n])
            return denied ? denied : ENOENT;
        path += n + 1;
    }
}

static _Noreturn void become_worker(struct spawn *s)
{
    static int (*const steps[])(struct spawn *) = {
        [AT_FDS] = place_fds, [AT_JOIN] = join, [AT_OOM_SCORE_ADJ] = adjust_oom_score, [AT_NICE] = renice,
        [AT_SCHEDULER] = schedule, [AT_IO_PRIORITY] = set_io_priority, [AT_AFFINITY] = pin,
        [AT_CHDIR] = change_directory, [AT_RLIMIT] = limit_resources, [AT_BOUNDING] = bound_capabilities,
        [AT_IDS] = drop_ids, [AT_CAPABILITIES] = set_capabilities, [AT_NO_NEW_PRIVS] = forbid_new_privileges,
        [AT_EXEC] = execute,
    };
    struct verdict v = {.stage = AT_FDS};
    setsid();
    while (!(v.error = steps[v.stage](s)))
        v.stage++;
    signal(SIGPIPE, SIG_IGN); /* a launcher that died meanwhile must not turn this exit into a signal */
    if (write(s->report, &v, sizeof v) < 0)
        _exit(DIED_BEFORE_EXEC);
    _exit(DIED_BEFORE_EXEC);
}

/* ---- the launcher ------------------------------------------------------------------------------------------- */

/* Where the kernel can't have a child born in a cgroup, it is born beside the launcher and joins by itself. */
static pid_t clone_worker(struct spawn *s, int cgroup)
{
    struct clone_args args = {.flags = CLONE_PARENT | CLONE_INTO_CGROUP, .cgroup = (uint64_t)cgroup};
    if (cgroup >= 0) {
        s->joined = true;
        pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
        if (pid >= 0 || (errno != ENOSYS && errno != E2BIG && errno != EINVAL))
            return pid;
    }
    s->joined = false;
    return (pid_t)syscall(SYS_clone, (long)CLONE_PARENT, 0L, 0L, 0L, 0L);
}

static void spawn(uint64_t ident, struct spawn *s)
{
    int report[2], cgroup = -1;
    pid_t pid = -1;
    errno = EAGAIN;
    if (polls_count == IN_SETUP_MAX || pipe2(report, O_CLOEXEC)) {
        answer(ident, FAILED, 0, AT_CLONE, errno);
        return;
    }
    s->report = report[1];
    if (s->v2 && (cgroup = open(s->v2, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
        answer(ident, FAILED, 0, AT_JOIN, errno);
    else if ((pid = clone_worker(s, cgroup)) < 0)
        answer(ident, FAILED, 0, AT_CLONE, errno);
    else if (pid == 0)
        become_worker(s);
    else
        answer(ident, STARTED, pid, 0, 0);
    close(report[1]); /* now, so that no later child holds it: its end is how exec is known */
    if (cgroup >= 0)
        close(cgroup);
    if (pid < 0) {
        close(report[0]);
        return;
    }
    pending[polls_count].ident = ident;
    pending[polls_count].pid = pid;
    polls[polls_count++] = (struct pollfd){.fd = report[0], .events = POLLIN};
}

static void settle(size_t i)
{
    struct verdict v;
    ssize_t n = read(polls[i].fd, &v, sizeof v);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n == (ssize_t)sizeof v)
        answer(pending[i].ident, FAILED, pending[i].pid, (enum stage)v.stage, v.error);
    else
        answer(pending[i].ident, RUNNING, pending[i].pid, 0, 0);
    close(polls[i].fd);
    polls_count--;
    polls[i] = polls[polls_count];
    pending[i] = pending[polls_count];
}

static void handle(char *packet, size_t size, const int *fds, size_t fds_count, bool whole)
{
    struct header h = {0};
    struct spawn s = {0};
    char *body = NULL, *mapped = NULL;
    if (size >= sizeof h) {
        memcpy(&h, packet, sizeof h);
        if (h.version != VERSION || !whole) {
            body = NULL;
        } else if (h.flags != BODY_IN_MEMFD) {
            body = h.length == size - sizeof h ? packet + sizeof h : NULL;
        } else if (fds_count) {
            body = mapped = map_body(fds[0], h.length);
            fds++, fds_count--;
        }
    }
    s.sources = fds;
    if (body && parse(&s, body, h.length, fds_count))
        spawn(h.ident, &s);
    else
        answer(h.ident, FAILED, 0, AT_REQUEST, EINVAL);
    free(s.argv);
    free(s.env);
    free(s.v1);
    free(s.own_pid);
    if (mapped)
        munmap(mapped, h.length);
}

static void receive(void)
{
    static _Alignas(8) char packet[sizeof(struct header) + INLINE_MAX];
    static _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * FDS_MAX)];
    int fds[FDS_MAX];
    size_t fds_count = 0;
    struct iovec part = {packet, sizeof packet};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t size = recvmsg(KEEPER, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (size < 0)
        _exit(0);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
            fds_count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            memcpy(fds, CMSG_DATA(c), fds_count * sizeof(int));
        }
    handle(packet, (size_t)size, fds, fds_count, !(m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)));
    while (fds_count)
        close(fds[--fds_count]);
}

/* What every child is to inherit is arranged once, here: default signals, /dev/null as input, nothing else open. */
static void settle_in(void)
{
    static const uint64_t defaults[8]; /* the kernel's own sigaction: libc's wrapper leaves 32 and 33 ignored */
    sigset_t none;
    prctl(PR_SET_NAME, "circus-launcher"); /* it may be executed by the number of a descriptor */
    setsid();
    for (int signum = 1; signum < NSIG; signum++)
        syscall(SYS_rt_sigaction, signum, defaults, NULL, sizeof(uint64_t));
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    close(STDIN_FILENO);
    for (int fd = open("/dev/null", O_RDWR); fd >= 0; fd = open("/dev/null", O_RDWR))
        if (fd > STDERR_FILENO) {
            close(fd);
            break;
        }
    if (syscall(SYS_close_range, KEEPER + 1, ~0U, 0))
        for (int fd = KEEPER + 1; fd < sysconf(_SC_OPEN_MAX); fd++)
            close(fd);
    if (fcntl(KEEPER, F_SETFD, FD_CLOEXEC))
        _exit(1);
    polls[0] = (struct pollfd){.fd = KEEPER, .events = POLLIN};
}

int main(void)
{
    settle_in();
    for (;;) {
        if (poll(polls, polls_count, -1) < 0) {
            if (errno != EINTR)
                _exit(1);
            continue;
        }
        if (polls[0].revents & (POLLHUP | POLLERR)) /* nobody is left to own a worker, whatever is still queued */
            _exit(0);
        for (size_t i = polls_count - 1; i > 0; i--)
            if (polls[i].revents)
                settle(i);
        if (polls[0].revents)
            receive();
    }
}
