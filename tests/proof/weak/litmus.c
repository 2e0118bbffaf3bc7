/*
 * Tests of the checker itself. Each test asks whether an outcome is possible; run.py has the answer
 * of RC11. ORDER is the order in question.
 */
#include "weak.h"

#ifndef ORDER
#define ORDER __ATOMIC_SEQ_CST
#endif

#define RLX __ATOMIC_RELAXED
#define ACQ __ATOMIC_ACQUIRE
#define REL __ATOMIC_RELEASE
#define SC __ATOMIC_SEQ_CST

static uint64_t word[8];
#define x (word[0])
#define y (word[1])
#define z (word[2])
#define plain (word[3])
static uint32_t futex;
static uint64_t r[4];

#define LOAD(at, order) __atomic_load_n(&(at), order)
#define STORE(at, value, order) __atomic_store_n(&(at), value, order)
#define SWAP(at, value, order) __atomic_exchange_n(&(at), value, order)
#define INCREMENT(at, order) __atomic_fetch_add(&(at), 1, order)

#if defined(STORE_BUFFERING)
static void a(void) { STORE(x, 1, ORDER); r[0] = LOAD(y, ORDER); }
static void b(void) { STORE(y, 1, ORDER); r[1] = LOAD(x, ORDER); }
#define OUTCOME (r[0] == 0 && r[1] == 0)
#elif defined(STORE_BUFFERING_SWAP)
static void a(void) { SWAP(x, 1, SC); r[0] = LOAD(y, ORDER); }
static void b(void) { SWAP(y, 1, ORDER); r[1] = LOAD(x, SC); }
#define OUTCOME (r[0] == 0 && r[1] == 0)
#elif defined(MESSAGE_PASSING)
static void a(void) { plain = 1; STORE(x, 1, ORDER); }
static void b(void) { if ((r[0] = LOAD(x, ACQ))) r[1] = plain; }
#define OUTCOME (r[0] == 1 && r[1] == 0)
#elif defined(MESSAGE_PASSING_FENCES)
static void a(void) { STORE(y, 1, RLX); __atomic_thread_fence(REL); STORE(x, 1, RLX); }
static void b(void) { r[0] = LOAD(x, RLX); __atomic_thread_fence(ORDER); r[1] = LOAD(y, RLX); }
#define OUTCOME (r[0] == 1 && r[1] == 0)
#elif defined(RELEASE_SEQUENCE) /* a read-modify-write of another thread continues it */
static void a(void) { STORE(y, 1, RLX); STORE(x, 1, ORDER); }
static void b(void) { INCREMENT(x, RLX); }
static void c(void) { r[0] = LOAD(x, ACQ); r[1] = LOAD(y, RLX); }
#define OUTCOME (r[0] == 2 && r[1] == 0)
#elif defined(RELEASE_THEN_RELAXED) /* a later store does not continue it (C++20) */
static void a(void) { STORE(y, 1, RLX); STORE(x, 1, REL); STORE(x, 2, RLX); }
static void b(void) { r[0] = LOAD(x, ACQ); r[1] = LOAD(y, RLX); }
#define OUTCOME (r[0] == 2 && r[1] == 0)
#elif defined(SC_THEN_RELAXED)
/* other threads may see a sequentially consistent store and a later relaxed store in either
 * order */
static void a(void) { STORE(x, 1, SC); STORE(y, 1, ORDER); }
static void b(void) { r[0] = LOAD(y, SC); r[1] = LOAD(x, SC); }
#define OUTCOME (r[0] == 1 && r[1] == 0)
#elif defined(TWO_PLUS_TWO_W)
static void a(void) { STORE(x, 1, ORDER); STORE(y, 2, ORDER); }
static void b(void) { STORE(y, 1, ORDER); STORE(x, 2, ORDER); }
#define OUTCOME (x == 1 && y == 1)
#elif defined(LOAD_BUFFERING)
static void a(void) { r[0] = LOAD(x, RLX); STORE(y, 1, ORDER); }
static void b(void) { r[1] = LOAD(y, RLX); STORE(x, 1, ORDER); }
#define OUTCOME (r[0] == 1 && r[1] == 1)
#elif defined(IRIW)
static void a(void) { STORE(x, 1, SC); }
static void b(void) { r[0] = LOAD(x, ORDER); r[1] = LOAD(y, SC); }
static void c(void) { r[2] = LOAD(y, ORDER); r[3] = LOAD(x, SC); }
static void d(void) { STORE(y, 1, SC); }
#define OUTCOME (r[0] == 1 && r[1] == 0 && r[2] == 1 && r[3] == 0)
#elif defined(Z6_U)
static void a(void) { STORE(x, 1, SC); STORE(y, 1, ORDER); }
static void b(void) { r[0] = INCREMENT(y, SC); r[1] = LOAD(y, RLX); }
static void c(void) { STORE(y, 3, SC); r[2] = LOAD(x, SC); }
#define OUTCOME (r[0] == 1 && r[1] == 3 && r[2] == 0)
#elif defined(COHERENCE)
static void a(void) { STORE(x, 1, RLX); STORE(x, 2, RLX); }
static void b(void) { r[0] = LOAD(x, RLX); r[1] = LOAD(x, RLX); }
#define OUTCOME (r[0] == 2 && r[1] == 1)
#elif defined(ATOMICITY)
static void a(void) { r[0] = INCREMENT(x, RLX); }
static void b(void) { r[1] = INCREMENT(x, RLX); }
static void c(void) { r[2] = INCREMENT(x, RLX); }
#define OUTCOME (x != 3 || r[0] == r[1] || r[1] == r[2] || r[0] == r[2])
#elif defined(FAILED_SWAP) /* a failed compare-and-swap is a load */
static void a(void) { STORE(y, 1, RLX); STORE(x, 1, REL); }
static void b(void)
{
    uint64_t expected = 5;
    __atomic_compare_exchange_n(&x, &expected, 6, 0, SC, ORDER);
    r[0] = expected;
    r[1] = LOAD(y, RLX);
}
#define OUTCOME (r[0] == 1 && r[1] == 0)
#elif defined(HAZARD)
/* x: the entry, y: the hazard pointer. The writer reuses slot 0, word[4], when y names it no
 * more. */
static void a(void)
{
    uint64_t old = 0;
    word[5] = 1;
    __atomic_compare_exchange_n(&x, &old, 1, 0, PUBLISH, RLX);
    if (LOAD(y, SCAN) != 1)
        word[4] = 2;
}
static void b(void)
{
    uint64_t v = LOAD(x, ACQ);
    SWAP(y, v + 1, PIN);
    if (LOAD(x, RECHECK) == v)
        r[0] = word[4 + v] == v;
    else
        r[0] = 1;
    SWAP(y, 0, REL);
}
#define OUTCOME (r[0] == 0)
#elif defined(SLEEPER) /* x: waiting, y: the message */
static void a(void) { STORE(y, 1, SC); if (LOAD(x, ORDER)) { INCREMENT(futex, SC); weak_wake(&futex); } }
static void b(void)
{
    uint32_t seen = LOAD(futex, SC);
    SWAP(x, 1, SC);
    if (!LOAD(y, SC))
        weak_wait(&futex, seen);
}
#define OUTCOME 0
#endif

void setup(void)
{
    weak_shared(word, sizeof word);
    weak_shared(&futex, sizeof futex);
    weak_private(r, sizeof r);
    weak_name(&x, "x");
    weak_name(&y, "y");
    weak_name(&plain, "plain");
    weak_thread("a", a);
    weak_thread("b", b);
#if defined(RELEASE_SEQUENCE) || defined(IRIW) || defined(Z6_U) || defined(ATOMICITY)
    weak_thread("c", c);
#endif
#if defined(IRIW)
    weak_thread("d", d);
#endif
#ifdef HAZARD
    word[5] = 7;
#endif
}

void finish(void) { weak_check(!(OUTCOME), "the outcome is possible"); }
