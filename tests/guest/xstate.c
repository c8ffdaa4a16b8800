/* Preloaded into User Mode Linux, for hosts with more CPU state than it knows of.
 *
 * Linux 6.1's User Mode Linux sets its guests' vector registers by PTRACE_SETREGSET from a buffer of 2696 bytes (up to
 * AVX-512 and PKRU), but the host takes the whole state or nothing: with AMX, 11 kB, it answers EFAULT and the guest's
 * init dies at once. Here what the caller gives is completed with what the process has. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

static char whole[1 << 16]; /* not on the stack: a kernel's is small */

long ptrace(enum __ptrace_request request, ...)
{
    static long (*next)(enum __ptrace_request, ...);
    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "ptrace");
    va_list more;
    va_start(more, request);
    pid_t pid = va_arg(more, pid_t);
    void *what = va_arg(more, void *), *data = va_arg(more, void *);
    va_end(more);
    if (request != PTRACE_SETREGSET || what != (void *)NT_X86_XSTATE)
        return next(request, pid, what, data);
    const struct iovec *given = data;
    struct iovec there = {whole, sizeof whole};
    if (next(PTRACE_GETREGSET, pid, what, &there) != 0 || there.iov_len <= given->iov_len)
        return next(request, pid, what, data);
    memcpy(whole, given->iov_base, given->iov_len);
    return next(request, pid, what, &there);
}
