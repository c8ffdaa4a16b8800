/* The floors: N workers kept running by the least code that can.
 *   floor bare   N TARGET FIFO                 posix_spawn, pidfd reaping
 *   floor groups N TARGET FIFO V2DIR V1DIR...  the same plus a fresh group each life in each directory given:
 *                                              mkdir, CLONE_INTO_CGROUP, "0" to tasks, rmdir after the end
 * It ends, with everything it started, at SIGTERM or at the end of its input. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_DIRS 12
extern char **environ;
static char *target_argv[3];
static char **dirs;
static int ndirs, epfd;
static struct worker { pid_t pid; int pidfd; long generation; } *workers;

static void die(const char *what) { perror(what); exit(1); }

static void group(char *out, size_t size, int d, long i, long generation) {
    snprintf(out, size, "%s/%ld.%ld", dirs[d], i, generation);
}

static pid_t spawn_grouped(long i, long generation) {
    char path[4096];
    int tasks[MAX_DIRS], v2 = -1;
    for (int d = 0; d < ndirs; d++) {
        group(path, sizeof path - 8, d, i, generation);
        if (mkdir(path, 0755) && errno != EEXIST) die(path);
        if (d == 0) { if ((v2 = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) die(path); }
        else { strcat(path, "/tasks"); if ((tasks[d] = open(path, O_WRONLY | O_CLOEXEC)) < 0) die(path); }
    }
    struct clone_args args = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (unsigned long long)v2};
    pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
    if (pid < 0) die("clone3");
    if (pid == 0) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        for (int d = 1; d < ndirs; d++)
            if (write(tasks[d], "0", 1) != 1) _exit(126);
        execv(target_argv[0], target_argv);
        _exit(127);
    }
    close(v2);
    for (int d = 1; d < ndirs; d++) close(tasks[d]);
    return pid;
}

static void start(long i) {
    struct worker *w = &workers[i];
    w->generation++;
    if (ndirs)
        w->pid = spawn_grouped(i, w->generation);
    else {
        posix_spawnattr_t attr;
        sigset_t none;
        sigemptyset(&none);
        posix_spawnattr_init(&attr);
        posix_spawnattr_setsigmask(&attr, &none);
        posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
        if (posix_spawn(&w->pid, target_argv[0], NULL, &attr, target_argv, environ)) die("posix_spawn");
        posix_spawnattr_destroy(&attr);
    }
    w->pidfd = (int)syscall(SYS_pidfd_open, w->pid, 0);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)i};
    if (epoll_ctl(epfd, EPOLL_CTL_ADD, w->pidfd, &event)) die("epoll_ctl");
}

static void clear_group(long i, long generation) {
    char path[4096];
    for (int d = 0; d < ndirs; d++) {
        group(path, sizeof path, d, i, generation);
        rmdir(path);
    }
}

int main(int argc, char **argv) {
    if (argc < 5) { fprintf(stderr, "usage: floor bare|groups N TARGET FIFO [V2DIR V1DIR...]\n"); return 2; }
    long n = atol(argv[2]);
    target_argv[0] = argv[3];
    target_argv[1] = argv[4];
    if (!strcmp(argv[1], "groups")) { dirs = argv + 5; ndirs = argc - 5; }
    if (ndirs > MAX_DIRS) return 2;
    workers = calloc((size_t)n, sizeof *workers);
    epfd = epoll_create1(EPOLL_CLOEXEC);
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, NULL);
    int termfd = signalfd(-1, &term, SFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = UINT64_MAX};
    epoll_ctl(epfd, EPOLL_CTL_ADD, termfd, &event);
    fcntl(0, F_SETFD, FD_CLOEXEC);
    epoll_ctl(epfd, EPOLL_CTL_ADD, 0, &event);
    for (long i = 0; i < n; i++) start(i);
    for (int running = 1; running;) {
        struct epoll_event events[64];
        int got = epoll_wait(epfd, events, 64, -1);
        for (int e = 0; e < got; e++) {
            if (events[e].data.u64 == UINT64_MAX) { running = 0; continue; }
            long i = (long)events[e].data.u64;
            siginfo_t info;
            waitid(P_PID, (id_t)workers[i].pid, &info, WEXITED);
            close(workers[i].pidfd);
            long ended = workers[i].generation;
            start(i);
            clear_group(i, ended);
        }
    }
    for (long i = 0; i < n; i++) kill(workers[i].pid, SIGTERM);
    for (long i = 0; i < n; i++) {
        siginfo_t info;
        waitid(P_PID, (id_t)workers[i].pid, &info, WEXITED);
        clear_group(i, workers[i].generation);
    }
    return 0;
}
