/* A process dies while another one polls: a producer whose reader dies, a reader whose producer
 * dies. */
#include "pair.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

/* A process that dies when `leave` is closed. */
struct mortal {
    pid_t pid;
    int ready, leave;
};

/* Starts a role that dies when its standard input ends, and waits until the role is ready. */
static struct mortal start_mortal(const char *role, const char *name) {
    int to[2], from[2];
    CHECK(pipe2(to, O_CLOEXEC) == 0 && pipe2(from, O_CLOEXEC) == 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        dup2(to[0], STDIN_FILENO);
        dup2(from[1], STDOUT_FILENO);
        execl("/proc/self/exe", "test_deaths", role, test_directory(), name, (char *)NULL);
        _exit(127);
    }
    close(to[0]);
    close(from[1]);
    struct pollfd wait = {.fd = from[0], .events = POLLIN};
    char byte;
    CHECK(poll(&wait, 1, 30000) == 1 && read(from[0], &byte, 1) == 1);
    return (struct mortal){.pid = pid, .ready = from[0], .leave = to[1]};
}

static void let_die(struct mortal *mortal) {
    int status;
    close(mortal->leave);
    CHECK(waitpid(mortal->pid, &status, 0) == mortal->pid && WIFSIGNALED(status));
    close(mortal->ready);
}

/* A role's end: reports that it is ready, and dies when its standard input ends. */
static int die_at_the_end(void) {
    char byte;
    return write(STDOUT_FILENO, "", 1) == 1 && read(STDIN_FILENO, &byte, 1) == 0 ? raise(SIGKILL) : 1;
}

/* A role: writes one message and dies when its standard input ends. */
static int write_and_die(const char *directory, const char *name) {
    datablock_config config;
    datablock_producer producer;
    CHECK_OK(datablock_config_init(&config, DATABLOCK_RING));
    config.slot_count = 4;
    config.slot_size = 100;
    config.directory = directory; /* the parent's, because test_directory would make another one */
    CHECK_OK(datablock_producer_open(name, &config, &producer));
    write_text(producer, "the last words");
    return die_at_the_end();
}

/* A poll reports that the producer has died, until there is a new producer. */
static void polls_of_a_producer_that_goes_and_comes(void) {
    for (int round = 0; round < 3; round++) {
        char name[24];
        snprintf(name, sizeof name, "mortal%d", round);
        struct mortal producer = start_mortal("--write-and-die", name);
        datablock_consumer_options options = options_here(DATABLOCK_ORDERED);
        datablock_consumer consumer;
        datablock_read_slot slot;
        options.start = DATABLOCK_START_OLDEST;
        CHECK_OK(datablock_consumer_open(name, &options, &consumer));
        CHECK_OK(datablock_read_begin(consumer, 5000, &slot));
        CHECK_OK(datablock_read_end(consumer, &slot));
        CHECK_STATUS(datablock_read_begin(consumer, 0, &slot), DATABLOCK_E_TIMEOUT);
        let_die(&producer);
        WAIT_UNTIL(datablock_read_begin(consumer, 0, &slot) == DATABLOCK_E_NO_PRODUCER, 5);
        CHECK(strstr(datablock_error_detail(), "nobody has the block open for writing") != NULL);
        datablock_config config = ring_config(4);
        datablock_producer successor;
        CHECK_OK(datablock_producer_open(name, &config, &successor));
        write_text(successor, "back");
        CHECK_OK(datablock_read_begin(consumer, 5000, &slot));
        CHECK_OK(datablock_read_end(consumer, &slot));
        double later = check_now() + 0.05; /* the library caches the absence of a producer for 10 ms */
        WAIT_UNTIL(check_now() > later, 5);
        for (int i = 0; i < 40; i++) {
            CHECK_STATUS(datablock_read_begin(consumer, 0, &slot), DATABLOCK_E_TIMEOUT);
        }
        CHECK_OK(datablock_consumer_close(consumer));
        CHECK_OK(datablock_producer_close(successor));
    }
}

/* A role: attaches, and dies when its standard input ends. */
static int attach_and_die(const char *directory, const char *name) {
    datablock_consumer_options options;
    datablock_consumer consumer;
    CHECK_OK(datablock_consumer_options_init(&options));
    options.delivery = DATABLOCK_LOSSLESS;
    options.directory = directory; /* the parent's, because test_directory would make another one */
    CHECK_OK(datablock_consumer_open(name, &options, &consumer));
    return die_at_the_end();
}

/* A producer that polls a full ring goes on after the death of the reader that held it up. */
static void polls_of_a_ring_whose_reader_dies(void) {
    for (int round = 0; round < 3; round++) {
        char name[24];
        snprintf(name, sizeof name, "held%d", round);
        datablock_config config = ring_config(4);
        datablock_producer producer;
        CHECK_OK(datablock_producer_open(name, &config, &producer));
        struct mortal reader = start_mortal("--attach-and-die", name);
        datablock_write_slot slot;
        for (int i = 0; i < 4; i++) {
            write_text(producer, "full");
        }
        for (int i = 0; i < 1000; i++) {
            CHECK_DETAIL(datablock_write_begin(producer, 0, &slot), DATABLOCK_E_TIMEOUT,
                         "asked not to wait: a LOSSLESS consumer has not read the message that would be overwritten");
        }
        let_die(&reader);
        WAIT_UNTIL(datablock_write_begin(producer, 0, &slot) == DATABLOCK_OK, 5);
        CHECK(slot.id == 4 && strcmp(datablock_error_detail(), "") == 0);
        CHECK_OK(datablock_write_commit(producer, &slot, 1));
        CHECK_OK(datablock_producer_close(producer));
    }
}

int main(int argc, char **argv) {
    if (argc == 4 && strcmp(argv[1], "--attach-and-die") == 0) {
        return attach_and_die(argv[2], argv[3]);
    }
    if (argc == 4 && strcmp(argv[1], "--write-and-die") == 0) {
        return write_and_die(argv[2], argv[3]);
    }
    static const struct scenario scenarios[] = {
        {"polls-of-a-producer-that-goes-and-comes", polls_of_a_producer_that_goes_and_comes},
        {"polls-of-a-ring-whose-reader-dies", polls_of_a_ring_whose_reader_dies},
    };
    return run_scenarios(scenarios, sizeof scenarios / sizeof scenarios[0], argc, argv);
}
