/*
 * Linked into the C tests in front of the C library, when they run under emulation. A program that
 * starts itself again is started with the emulator, because the kernel would not do that. With
 * TEST_NO_MEMBARRIER set, membarrier is missing, as in an old kernel.
 */
#define _GNU_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_bool refused;

int execl(const char *path, const char *name, ...) {
    enum { MOST = 16 };
    char program[4096];
    char *arguments[MOST] = {"qemu-aarch64", "-0", (char *)name, program};
    ssize_t length = readlink(path, program, sizeof program - 1);
    if (length < 0) {
        return -1;
    }
    program[length] = '\0';
    va_list more;
    va_start(more, name);
    for (int i = 4; i < MOST && (arguments[i] = va_arg(more, char *)) != NULL; i++) {
        if (i == MOST - 1) {
            errno = E2BIG;
            break;
        }
    }
    va_end(more);
    return arguments[MOST - 1] == NULL ? execv(EMULATOR, arguments) : -1;
}

long syscall(long number, ...) {
    static _Atomic(long (*)(long, ...)) next;
    if (number == SYS_membarrier && getenv("TEST_NO_MEMBARRIER") != NULL) {
        atomic_store(&refused, true);
        errno = ENOSYS;
        return -1;
    }
    long (*real)(long, ...) = atomic_load(&next);
    if (real == NULL) {
        *(void **)&real = dlsym(RTLD_NEXT, "syscall");
        atomic_store(&next, real);
    }
    long argument[6];
    va_list all;
    va_start(all, number);
    for (int i = 0; i < 6; i++) {
        argument[i] = va_arg(all, long); /* arguments that the caller did not pass are never used */
    }
    va_end(all);
    return real(number, argument[0], argument[1], argument[2], argument[3], argument[4], argument[5]);
}

/* Shows the test that asked for it that membarrier was missing. */
__attribute__((destructor)) static void tell(void) {
    if (atomic_load(&refused)) {
        printf("membarrier was missing\n");
    }
}
