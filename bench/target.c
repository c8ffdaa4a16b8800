/* A worker that says when it began: argv[1] is a FIFO, one 16-byte record (pid, CLOCK_MONOTONIC ns), then it sleeps;
   with an argv[2] it works for 100 us each second, as one that is not bored would. */
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
    if (argc < 3)
        for (;;)
            pause();
    for (;;) {
        struct timespec end, second = {1, 0};
        nanosleep(&second, NULL);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
        end.tv_nsec += 100000; /* past a second's end it is still later */
        do
            clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
        while (now.tv_sec < end.tv_sec || (now.tv_sec == end.tv_sec && now.tv_nsec < end.tv_nsec));
    }
}
