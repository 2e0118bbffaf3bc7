/*
 * Another process may truncate a block's file while the file is mapped. A load or store in the
 * missing part then raises SIGBUS. In Go the signal becomes a panic, and the panic becomes CORRUPT.
 *
 * In the functions of the fast path this file handles the signal. The handler replaces the missing
 * page by a private one, whose contents agree with no entry and no header. The handle returns
 * CORRUPT from the next call on.
 *
 * In the data file the new page is all ones: an entry of ones is empty, and no message has this id
 * or length. A header of zeros would be the header of an empty message 0. In the control file the
 * new page is all zeros: no bit of a mask is set, and no row has an owner.
 *
 * The handler changes only the block that the faulting thread is in a call on. All other faults go
 * to the handler that was installed before, which is Go's.
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

static bool replace_page(datablock_inline_handle_entry *entry, uintptr_t address) {
    const datablock_inline_block *block = entry->state; /* the first member of both */
    if (block == NULL) {
        return false;
    }
    bool data = inside(address, block->data, block->data_size);
    if (!data && !inside(address, block->ctl, block->ctl_size)) {
        return false;
    }
    void *page = (void *)(address & ~(page_size - 1));
    if (mmap(page, page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
             0) == MAP_FAILED) {
        return false;
    }
    /* in place: the kernel merges neighbouring pages into one mapping, and limits their number */
    if (data) {
        memset(page, 0xff, page_size);
        if ((entry->word & 3) != DATABLOCK_INLINE_PRODUCER &&
            mprotect(page, page_size, PROT_READ) != 0) {
            return false;
        }
    }
    dbshim_damage(entry);
    return true;
}

static void on_bus_error(int signal, siginfo_t *info, void *context) {
    int saved = errno;
    dbshim_thread *thread = dbshim_self_if_any();
    if (info->si_code == BUS_ADRERR && thread != NULL && !thread->in_go &&
        thread->shared.current != NULL &&
        replace_page(thread->shared.current, (uintptr_t)info->si_addr)) {
        errno = saved;
        return;
    }
    errno = saved;
    if ((before.sa_flags & SA_SIGINFO) != 0) {
        before.sa_sigaction(signal, info, context);
    } else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
        before.sa_handler(signal);
    } else { /* restore the default or ignored action: the instruction faults again */
        sigaction(signal, &before, NULL);
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
    static dbshim_once_flag once = DBSHIM_ONCE_INIT;
    dbshim_once(&once, install);
}
