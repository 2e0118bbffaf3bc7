/*
 * producer BLOCK: writes a sample of this machine into a ring, 1000 times a second, until SIGINT or
 * SIGTERM.
 *
 * SIGUSR1 makes it stop at the worst place, with a claimed slot that is not committed. The demo
 * kills it there.
 */
#define _XOPEN_SOURCE 700
#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "machine.h"
#include "program.h"

enum { RATE_HZ = 1000, RING = 256 };

static volatile sig_atomic_t stop, stay;

static void on_stop(int number)
{
    (void)number;
    stop = 1;
}

static void on_stay(int number)
{
    (void)number;
    stay = 1;
}

/* Sleeps until the next point of an absolute timeline, so that errors do not add up. Points in
 * the past are skipped, because a sample of the past cannot be taken. */
static void next_tick(struct timespec *tick)
{
    const long period_ns = 1000000000 / RATE_HZ;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    do {
        tick->tv_nsec += period_ns;
        if (tick->tv_nsec >= 1000000000) {
            tick->tv_sec++;
            tick->tv_nsec -= 1000000000;
        }
    } while (tick->tv_sec < now.tv_sec || (tick->tv_sec == now.tv_sec && tick->tv_nsec < now.tv_nsec));
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, tick, NULL) == EINTR && !stop)
        ;
}

static int run(datablock_producer producer)
{
    datablock_write_slot slot;
    struct timespec tick;
    uint64_t written = 0;

    clock_gettime(CLOCK_MONOTONIC, &tick);
    while (!stop) {
        /* Waits only while a LOSSLESS consumer has not read the message that would be overwritten.
         * If this consumer was killed, the library detects it and resumes by itself. */
        datablock_status status = datablock_write_begin(producer, PATIENCE_MS, &slot);
        if (status == DATABLOCK_E_TIMEOUT)
            continue;
        if (status != DATABLOCK_OK)
            return failed("datablock_write_begin", status);
        if (stay) {
            printf("claimed message %llu in slot %u\n", (unsigned long long)slot.id, slot.index);
            while (!stop)
                sleep(1);
            break; /* datablock_producer_close aborts the claim */
        }
        if (written == 0)
            printf("writing from message %llu on\n", (unsigned long long)slot.id);

        struct sample *sample = slot.data; /* in place, without a copy */
        if (machine_sample(sample) != 0)
            return 1;
        sample->id = slot.id;
        sample->crc = sample_crc(sample);

        /* Up to this call no consumer sees the message. After it consumers see all of it. */
        status = datablock_write_commit(producer, &slot, sizeof *sample);
        if (status != DATABLOCK_OK)
            return failed("datablock_write_commit", status);
        written++;
        next_tick(&tick);
    }
    printf("wrote %llu messages\n", (unsigned long long)written);
    return 0;
}

int main(int argc, char **argv)
{
    datablock_config config;
    datablock_producer producer;
    datablock_status status;

    if (argc != 2) {
        fprintf(stderr, "usage: producer BLOCK\n");
        return 2;
    }
    handle_signal(SIGINT, on_stop);
    handle_signal(SIGTERM, on_stop);
    handle_signal(SIGUSR1, on_stay);
    setvbuf(stdout, NULL, _IOLBF, 0); /* a pipe gets each line at once */
    if (machine_open() != 0)
        return 1;

    status = datablock_config_init(&config, DATABLOCK_RING);
    if (status != DATABLOCK_OK)
        return failed("datablock_config_init", status);
    config.slot_count = RING;
    config.slot_size = sizeof(struct sample);
    config.flags |= DATABLOCK_FLAG_TIMESTAMP;

    /* Creates the block, or takes over the block of a killed producer. Then the ids continue,
     * and the consumers continue as well. */
    status = datablock_producer_open(argv[1], &config, &producer);
    if (status != DATABLOCK_OK)
        return failed("datablock_producer_open", status);
    int result = run(producer);

    /* Ends the stream. Without this call the consumers would wait for the next producer. */
    status = datablock_producer_close(producer);
    if (status != DATABLOCK_OK)
        return failed("datablock_producer_close", status);
    return result;
}
