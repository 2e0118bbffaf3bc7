/* What a scenario declares in setup(): its memory, and names for the words. */
#include "checker.h"
#include "weak.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_NAMES = 128 };

Region shared[MAX_REGIONS], saved[MAX_REGIONS];
int shareds, saveds;

static Region ignored[MAX_REGIONS], published[MAX_REGIONS];
static int ignoreds, publisheds;
static struct {
    const char *at;
    char name[32];
} name[MAX_NAMES];
static int names;

static void add(Region *list, int *n, void *base, size_t size)
{
    if (*n == MAX_REGIONS) {
        fprintf(stderr, "checker: too many regions\n");
        exit(2);
    }
    list[(*n)++] = (Region){base, size};
}

void weak_private(void *base, size_t size) { add(saved, &saveds, base, size); }
void weak_ignored(void *base, size_t size) { add(ignored, &ignoreds, base, size); }
void weak_published(void *base, size_t size) { add(published, &publisheds, base, size); }
void weak_shared(void *base, size_t size) { add(shared, &shareds, base, size); }

void weak_name(const void *word, const char *format, ...)
{
    if (names == MAX_NAMES)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(name[names].name, sizeof name[names].name, format, arguments);
    va_end(arguments);
    name[names++].at = word;
}

void weak_thread(const char *called, void (*run)(void)) { thread_add(called, run); }

static bool within(const Region *list, int n, const volatile char *at)
{
    for (int i = 0; i < n; i++)
        if (at >= list[i].base && at < list[i].base + list[i].size)
            return true;
    return false;
}

bool scenario_checks(const volatile char *at) { return within(shared, shareds, at) && !within(ignored, ignoreds, at); }
bool scenario_published(const volatile char *at) { return within(published, publisheds, at); }

const char *scenario_name(const void *at)
{
    static char text[4][48];
    static int turn;
    for (int i = 0; i < names; i++)
        if (name[i].at == (const char *)at)
            return name[i].name;
    char *t = text[turn++ % 4];
    for (int i = 0; i < shareds; i++)
        if ((const char *)at >= shared[i].base && (const char *)at < shared[i].base + shared[i].size) {
            snprintf(t, sizeof text[0], "shared %d + %td", i, (const char *)at - shared[i].base);
            return t;
        }
    snprintf(t, sizeof text[0], "%p", at);
    return t;
}
