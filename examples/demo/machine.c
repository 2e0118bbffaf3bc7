#define _XOPEN_SOURCE 700
#include "machine.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { STAT, MEMINFO, LOADAVG, NETWORK, FILES };

static const char *const paths[FILES] = {"/proc/stat", "/proc/meminfo", "/proc/loadavg", "/proc/net/dev"};
static int files[FILES];

int machine_open(void)
{
    for (int i = 0; i < FILES; i++) {
        files[i] = open(paths[i], O_RDONLY | O_CLOEXEC);
        if (files[i] < 0) {
            perror(paths[i]);
            return -1;
        }
    }
    return 0;
}

/* Reads the current contents of a file into a string, up to `size` - 1 bytes. The kernel returns
 * long files in parts. */
static int read_text(int file, char *text, size_t size)
{
    size_t length = 0;
    ssize_t n = 0;
    while (length < size - 1 && (n = pread(files[file], text + length, size - 1 - length, (off_t)length)) > 0)
        length += (size_t)n;
    if (n < 0) {
        perror(paths[file]);
        return -1;
    }
    text[length] = '\0';
    return 0;
}

static int malformed(int file)
{
    fprintf(stderr, "%s: not as expected\n", paths[file]);
    return -1;
}

/* "cpu  user nice system idle iowait irq softirq steal ..." */
static int sample_cpu(struct sample *sample)
{
    enum { IDLE = 3, IOWAIT = 4, COLUMNS = 8 };
    char text[256]; /* the first line is the sum over all CPUs */
    if (read_text(STAT, text, sizeof text) != 0)
        return -1;
    if (strncmp(text, "cpu ", 4) != 0)
        return malformed(STAT);

    char *at = text + 4;
    sample->cpu_busy_ticks = sample->cpu_total_ticks = 0;
    for (int column = 0; column < COLUMNS; column++) {
        uint64_t ticks = strtoull(at, &at, 10);
        sample->cpu_total_ticks += ticks;
        if (column != IDLE && column != IOWAIT)
            sample->cpu_busy_ticks += ticks;
    }
    return 0;
}

static int sample_memory(struct sample *sample)
{
    char text[8192];
    if (read_text(MEMINFO, text, sizeof text) != 0)
        return -1;
    const char *total = strstr(text, "MemTotal:"), *available = strstr(text, "MemAvailable:");
    if (total == NULL || available == NULL)
        return malformed(MEMINFO);
    sample->memory_total_kib = strtoull(total + strlen("MemTotal:"), NULL, 10);
    sample->memory_available_kib = strtoull(available + strlen("MemAvailable:"), NULL, 10);
    return 0;
}

/* "0.42 0.37 0.29 2/512 4711" */
static int sample_load(struct sample *sample)
{
    char text[128];
    double load[3];
    if (read_text(LOADAVG, text, sizeof text) != 0)
        return -1;
    if (sscanf(text, "%lf %lf %lf %u/%u", &load[0], &load[1], &load[2], &sample->tasks_runnable, &sample->tasks) != 5)
        return malformed(LOADAVG);
    sample->load_1m_percent = (uint32_t)(load[0] * 100 + 0.5);
    sample->load_5m_percent = (uint32_t)(load[1] * 100 + 0.5);
    sample->load_15m_percent = (uint32_t)(load[2] * 100 + 0.5);
    return 0;
}

/* "  eth0: bytes packets errs drop fifo frame compressed multicast bytes ..." after two lines of
 * headings: received, then sent */
static int sample_network(struct sample *sample)
{
    enum { SENT = 8 };
    static char text[65536]; /* a machine with many containers has many interfaces */
    if (read_text(NETWORK, text, sizeof text) != 0)
        return -1;
    sample->received_bytes = sample->sent_bytes = 0;
    for (char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = '\0';
        char *at = strchr(line, ':');
        const char *name = line + strspn(line, " ");
        if (at == NULL || strncmp(name, "lo:", 3) == 0)
            continue;
        at++;
        for (int column = 0; column <= SENT; column++) {
            uint64_t value = strtoull(at, &at, 10);
            if (column == 0)
                sample->received_bytes += value;
            else if (column == SENT)
                sample->sent_bytes += value;
        }
    }
    return 0;
}

int machine_sample(struct sample *sample)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    sample->sampled_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    if (sample_cpu(sample) != 0 || sample_memory(sample) != 0 || sample_load(sample) != 0 ||
        sample_network(sample) != 0)
        return -1;
    return 0;
}
