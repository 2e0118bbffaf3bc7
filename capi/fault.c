/*
 * A block's file may be truncated by somebody while it is mapped; then a load or store in it raises SIGBUS. In Go that becomes a panic, which becomes CORRUPT. In the functions of the
 * fast path it is met here: the missing page is replaced by a private one, whose contents no entry and no header agrees with, and the handle gives CORRUPT from the next call on. In the data file
 * that is a page of ones: an entry of ones is empty, and no message has that id or length, whereas a header of zeros is that of an empty message 0. In the control file it is a page of zeros: no
 * bit of a mask is set, and no row is anybody's.
 * Only the block that the faulting thread is in a call on is touched; everything else goes to the handler that was there before, which is Go's.
 */
#define _GNU_SOURCE

#include "shim.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct sigaction before;
static uintptr_t page_size;

static bool inside(uintptr_t address, const uint8_t *start, uint64_t size) {
    return address >= (uintptr_t)start && address - (uintptr_t)start < size;
}

static bool replace_page(datablock_inline_place *place, uintptr_t address) {
    const datablock_inline_block *block = place->state; /* the first member of both */
    if (block == NULL) {
        return false;
    }
    bool data = inside(address, block->data, block->data_size);
    if (!data && !inside(address, block->ctl, block->ctl_size)) {
        return false;
    }
    void *page = (void *)(address & ~(page_size - 1));
    if (mmap(page, page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED) {
        return false;
    }
    if (data) { /* in place: pages one after the other become one mapping, of which a process has only so many */
        memset(page, 0xff, page_size);
        if ((place->word & 3) != DATABLOCK_INLINE_PRODUCER && mprotect(page, page_size, PROT_READ) != 0) {
            return false;
        }
    }
    dbshim_damage(place);
    return true;
}

static void on_bus_error(int signal, siginfo_t *info, void *context) {
    int saved = errno;
    dbshim_thread *thread = dbshim_self_if_any();
    if (info->si_code == BUS_ADRERR && thread != NULL && !thread->in_go && thread->shared.current != NULL &&
        replace_page(thread->shared.current, (uintptr_t)info->si_addr)) {
        errno = saved;
        return;
    }
    errno = saved;
    if ((before.sa_flags & SA_SIGINFO) != 0) {
        before.sa_sigaction(signal, info, context);
    } else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
        before.sa_handler(signal);
    } else { /* as if we were not there: the instruction faults again */
        sigaction(signal, &before, NULL);
    }
}

void dbshim_damage_current(void) {
    dbshim_thread *thread = dbshim_self_if_any();
    if (thread != NULL && thread->shared.current != NULL) {
        dbshim_damage(thread->shared.current);
    }
}

static void install(void) {
    page_size = (uintptr_t)sysconf(_SC_PAGESIZE);
    struct sigaction action;
    if (sigaction(SIGBUS, NULL, &before) != 0) {
        return;
    }
    action = before;
    action.sa_flags |= SA_SIGINFO | SA_ONSTACK;
    action.sa_sigaction = on_bus_error;
    (void)sigaction(SIGBUS, &action, NULL);
}

void dbshim_catch_faults(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    dbshim_once(&once, install);
}
