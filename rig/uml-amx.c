// Stands between user-mode Linux and ptrace(2), through LD_PRELOAD, on processors with AMX.
//
// User-mode Linux drives each of its processes with ptrace. In 6.1 it keeps 2696 bytes of floating-point state,
// which end at AVX-512 and PKRU. With AMX there are 11008, and Linux refuses to set less than all of them: "ptrace set
// fp regs failed, errno = 14", and the first process inside dies. What lies beyond is AMX's alone. Nobody inside has
// asked for it, so it is in its initial state: zeros, and not marked as present.
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static long call(long request, pid_t pid, long address, long data) {
    return syscall(SYS_ptrace, request, pid, address, data);
}

static long set_extended_state(pid_t pid, const struct iovec *given) {
    static char state[65536];
    static size_t size;

    if (size == 0) {
        struct iovec whole = {state, sizeof state};
        if (call(PTRACE_GETREGSET, pid, NT_X86_XSTATE, (long)&whole) < 0)
            return -1;
        size = whole.iov_len;
        memset(state, 0, sizeof state);
    }
    if (given->iov_len >= size)
        return call(PTRACE_SETREGSET, pid, NT_X86_XSTATE, (long)given);
    memcpy(state, given->iov_base, given->iov_len);
    struct iovec whole = {state, size};
    return call(PTRACE_SETREGSET, pid, NT_X86_XSTATE, (long)&whole);
}

long ptrace(enum __ptrace_request request, ...) {
    va_list arguments;
    va_start(arguments, request);
    pid_t pid = va_arg(arguments, pid_t);
    long address = va_arg(arguments, long);
    long data = va_arg(arguments, long);
    va_end(arguments);

    switch (request) {
    case PTRACE_SETREGSET:
        if (address == NT_X86_XSTATE)
            return set_extended_state(pid, (const struct iovec *)data);
        break;
    case PTRACE_PEEKTEXT:
    case PTRACE_PEEKDATA:
    case PTRACE_PEEKUSER: {
        // The C library returns the word; the system call writes it.
        long word;
        if (call(request, pid, address, (long)&word) < 0)
            return -1;
        errno = 0;
        return word;
    }
    default:
        break;
    }
    return call(request, pid, address, data);
}
