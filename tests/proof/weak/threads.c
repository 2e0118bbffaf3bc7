/*
 * The threads run the compiled code itself, on stacks of their own. A thread runs until it comes to
 * an operation, records the operation and jumps out. It resumes there when the search has decided
 * the outcome of the operation. It resumes again whenever the bytes of its stack and registers have
 * been restored.
 */
#define _GNU_SOURCE
#include "checker.h"
#include "weak.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

enum { CLEARED = 4096 };

struct Running running[MAX_THREADS];
struct Thread thread[MAX_THREADS];
int threads, current = -1;
Why why;
char failure[400];

static ucontext_t context[MAX_THREADS];
static jmp_buf searcher; /* where a thread jumps to when it returns to the search */

void thread_add(const char *called, void (*run)(void))
{
    if (threads == MAX_THREADS) {
        fprintf(stderr, "checker: too many threads\n");
        exit(2);
    }
    thread[threads++] = (struct Thread){.name = called, .run = run};
}

_Noreturn void thread_stop(Why reason)
{
    why = reason;
    _longjmp(searcher, 1);
}

void weak_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(failure, sizeof failure, format, arguments);
    va_end(arguments);
    thread_stop(FAILED);
}

static char *stack_pointer(void)
{
#if defined(__x86_64__)
    char *low;
    __asm__ volatile("mov %%rsp, %0" : "=r"(low));
    return low;
#elif defined(__aarch64__)
    char *low;
    __asm__ volatile("mov %0, sp" : "=r"(low));
    return low;
#else
    /* This saves more than is in use. Then the search recognises fewer states as equal. */
    return (char *)__builtin_frame_address(0) - 512;
#endif
}

static __attribute__((noinline)) void park(void)
{
    running[current].low = stack_pointer();
    if (!_setjmp(running[current].at))
        thread_stop(PARKED);
}

uint64_t search_operation(Operation op)
{
    memcpy(&running[current].next, &op, sizeof op);
    park();
    return running[current].result;
}

static void begin_thread(void)
{
    int me = current;
    park();
    thread[me].run();
    running[current].status = DONE;
    memset(&running[current].next, 0, sizeof running[current].next);
    memset(&running[current].at, 0, sizeof running[current].at);
    running[current].low = thread[current].stack + STACK;
    memory_finish(current);
    thread_stop(PARKED);
}

void thread_run(int t)
{
    current = t;
    if (!_setjmp(searcher))
        _longjmp(running[t].at, 1);
    current = -1;
    char *low = running[t].low, *bottom = thread[t].stack;
    size_t below = (size_t)(low - bottom) < CLEARED ? (size_t)(low - bottom) : CLEARED;
    memset(low - below, 0, below); /* what returned calls left there has no meaning */
}

void thread_start(int t)
{
    if (!thread[t].stack)
        thread[t].stack = aligned_alloc(64, STACK);
    memset(thread[t].stack, 0, STACK);
    memset(&running[t], 0, sizeof running[t]);
    getcontext(&context[t]);
    context[t].uc_stack = (stack_t){.ss_sp = thread[t].stack, .ss_size = STACK};
    makecontext(&context[t], begin_thread, 0);
    current = t;
    if (!_setjmp(searcher))
        setcontext(&context[t]);
    current = -1;
}

void thread_call(void (*f)(void))
{
    if (!_setjmp(searcher))
        f();
}
