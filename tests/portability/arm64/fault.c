/* Checks whether the emulator reports the fault address. On a real machine the context of the
 * signal for a missing page of a file contains the address. */
#define _GNU_SOURCE

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

static void told(int signal, siginfo_t *info, void *context) {
    (void)signal;
    _exit(((ucontext_t *)context)->uc_mcontext.fault_address == (uintptr_t)info->si_addr ? 0 : 3);
}

int main(void) {
    struct sigaction action = {.sa_sigaction = told, .sa_flags = SA_SIGINFO};
    volatile char *page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, memfd_create("empty", 0), 0);
    if (page == MAP_FAILED || sigaction(SIGBUS, &action, NULL) != 0) {
        perror("fault");
        return 1;
    }
    return page[8];
}
