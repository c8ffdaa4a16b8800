/* A worker that says when it began: argv[1] is a FIFO, one 16-byte record (pid, CLOCK_MONOTONIC ns), then it sleeps. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t record[2] = {(uint64_t)getpid(), (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec};
    int fd = argc > 1 ? open(argv[1], O_WRONLY | O_CLOEXEC) : -1;
    if (fd >= 0 && write(fd, record, sizeof record) != sizeof record)
        return 1;
    if (fd >= 0)
        close(fd);
    for (;;)
        pause();
}
