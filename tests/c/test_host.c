/*
 * Properties of the host's process that the library must not change: its descriptors, its limits,
 * its environment, its children. A scenario that needs a process with other limits or descriptors
 * starts this program again in one of the roles of main.
 */
#include "pair.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED true /* the sanitizer's own mappings exceed every limit */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

enum { MOST = 1024 }; /* the number of checked descriptors */

/* ---- Roles: this program once more ----------------------------------------------------------- */

/* Runs a role in a process, after `prepare`. Returns its exit status, or 128 + n if signal n ended
 * it. */
static int run_role(const char *role, const char *argument, void (*prepare)(const char *)) {
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        if (prepare != NULL) {
            prepare(argument);
        }
        execl("/proc/self/exe", "test_host", "role", role, test_directory(), argument, (char *)NULL);
        _exit(99);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void set_limit(int resource, rlim_t soft, rlim_t hard)
{
    CHECK(setrlimit(resource, &(struct rlimit){soft, hard}) == 0);
}

static int files_left(void) {
    int count = 0;
    DIR *directory = opendir(test_directory());
    CHECK(directory != NULL);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        count += entry->d_name[0] != '.';
    }
    closedir(directory);
    return count;
}

/* ---- Everything that the library can do ------------------------------------------------------ */

static void use_everything(const char *name) {
    char path[512], registry[512], file[600];
    snprintf(path, sizeof path, "%s/%s", test_directory(), name);
    snprintf(registry, sizeof registry, "%s/schemas", test_directory());
    struct pair pair = open_pair(name, 4, DATABLOCK_LOSSLESS);
    datablock_consumer_options options = options_here(DATABLOCK_DELIVERY_DEFAULT);
    datablock_observer observer;
    CHECK_OK(datablock_observer_open(name, &options, &observer));
    write_text(pair.producer, "text");
    datablock_read_slot slot;
    CHECK_OK(datablock_read_begin(pair.consumer, 1000, &slot));
    char copy[200];
    datablock_observation seen;
    CHECK_OK(datablock_observe(observer, DATABLOCK_NEWEST, copy, sizeof copy, &seen));
    CHECK_OK(datablock_read_end(pair.consumer, &slot));
    CHECK_STATUS(datablock_read_begin(pair.consumer, 20, &slot), DATABLOCK_E_TIMEOUT);
    bool ready;
    CHECK_STATUS(datablock_wait_any(&pair.consumer, 1, 20, &ready), DATABLOCK_E_TIMEOUT);
    for (int i = 0; i < 4; i++) {
        write_text(pair.producer, "text");
    }
    datablock_write_slot write;
    /* The backpressure is long enough for every step of a waiting producer. */
    CHECK_STATUS(datablock_write_begin(pair.producer, 250, &write), DATABLOCK_E_TIMEOUT);
    SlotDiagnostic diagnostics[64];
    size_t count;
    CHECK(datablock_diagnose_all_slots(path, diagnostics, 64, &count) == 0);
    IntegrityCheck check;
    CHECK(datablock_validate_integrity(path, &check) == 0);
    datablock_block_info blocks[8];
    CHECK_OK(datablock_list(test_directory(), blocks, 8, &count));
    CHECK(datablock_is_process_alive((uint64_t)getpid()));
    datablock_metrics metrics = {.size = sizeof metrics};
    CHECK_OK(datablock_get_metrics(path, &metrics));
    CHECK(datablock_cleanup_dead_consumers(path, 0) >= 0);
    datablock_schema schema, found;
    CHECK_OK(datablock_schema_parse("schema Host 1.0.0 { x: u64; }", &schema));
    CHECK_OK(datablock_schema_register(&schema, registry));
    CHECK_OK(datablock_schema_lookup("Host", registry, &found));
    datablock_schema_free(&schema);
    datablock_schema_free(&found);
    snprintf(file, sizeof file, "%s/Host@1.0.0.schema", registry);
    CHECK(unlink(file) == 0 && rmdir(registry) == 0);
    CHECK_OK(datablock_observer_close(observer));
    close_pair(&pair);
    CHECK_OK(datablock_unlink(path, 0));
}

/* ---- Descriptors ----------------------------------------------------------------------------- */

static bool is_open(int fd) { return fcntl(fd, F_GETFD) != -1; }

/* Records the open descriptors. */
static void note_descriptors(bool there[MOST]) {
    (void)datablock_is_process_alive(1); /* Go has started: at its start it reads a file of its control group */
    for (int fd = 0; fd < MOST; fd++) {
        there[fd] = is_open(fd);
    }
}

/* Ends the program if there is a new descriptor of a file outside of the test directory. Up to
 * `kept` descriptors of files in the test directory are allowed. */
static void check_descriptors(const bool before[MOST], int kept) {
    for (int fd = 0; fd < MOST; fd++) {
        if (is_open(fd) == before[fd]) {
            continue;
        }
        char link[64], target[512];
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(link, target, sizeof target - 1);
        target[length < 0 ? 0 : length] = '\0';
        if (before[fd] || fd < 3 || strncmp(target, test_directory(), strlen(test_directory())) != 0 || kept-- == 0) {
            check_failed(__FILE__, __LINE__, "descriptor %d was %s, and leads to \"%s\" now", fd,
                         before[fd] ? "open" : "closed", target);
        }
    }
}

/* Go opens its poller for timers, and when its garbage collector returns memory to the system.
 * So there must be garbage. */
static void make_garbage(void) {
    char path[512];
    snprintf(path, sizeof path, "%s/there is no such block", test_directory());
    SlotDiagnostic *slots = calloc(5000, sizeof *slots);
    datablock_config config = ring_config(4000);
    datablock_producer producer;
    CHECK(slots != NULL);
    CHECK_OK(datablock_producer_open("garbage", &config, &producer));
    snprintf(path, sizeof path, "%s/garbage", test_directory());
    for (int i = 0; i < 60; i++) {
        size_t count;
        CHECK(datablock_diagnose_all_slots(path, slots, 5000, &count) == 0);
    }
    CHECK_OK(datablock_producer_close(producer));
    CHECK_OK(datablock_unlink(path, 0));
    free(slots);
}

static void role_no_poller(void) {
    bool before[MOST];
    note_descriptors(before);
    use_everything("calls");
    check_descriptors(before, 0);
    make_garbage();
    /* The collector's threads stay active for a while after a collection. */
    for (double end = check_now() + 0.5; check_now() < end;) {
        use_everything("calls");
        check_descriptors(before, 0);
    }
    struct pair pair = open_pair("open", 4, DATABLOCK_LOSSLESS);
    check_descriptors(before, 4);
    close_pair(&pair);
    CHECK_OK(unlink_here("open"));
}

static void no_poller(void) { CHECK(run_role("no_poller", "", NULL) == 0); }

/* Non-blocking standard streams, as under Node.js: Go's package os would register them with its
 * poller. */
static void streams_do_not_block(const char *argument) {
    (void)argument;
    int ends[2];
    CHECK(pipe(ends) == 0 && fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0 && dup2(ends[0], 0) == 0);
    close(ends[0]);
}

static void no_poller_for_streams(void) { CHECK(run_role("no_poller", "", streams_do_not_block) == 0); }

static void close_streams(const char *argument) {
    (void)argument;
    for (int fd = 0; fd < 3; fd++) {
        close(fd);
    }
}

static void role_closed_streams(void) {
    bool before[MOST];
    note_descriptors(before);
    if (before[0] || before[1] || before[2]) {
        _exit(3); /* there is no open stream for a message */
    }
    struct pair pair = open_pair("streams", 4, DATABLOCK_LOSSLESS);
    for (int fd = 0; fd < 3; fd++) {
        if (is_open(fd)) {
            _exit(4 + fd);
        }
    }
    close_pair(&pair);
    CHECK_OK(unlink_here("streams"));
    use_everything("streams");
    for (int fd = 0; fd < 3; fd++) {
        if (is_open(fd)) {
            _exit(7 + fd);
        }
    }
}

static void closed_streams(void) { CHECK(run_role("closed_streams", "", close_streams) == 0); }

/* A file of the host, which contains its number. */
struct own_file {
    int fd;
    ino_t inode;
};

static struct own_file open_own(int number) {
    char path[512];
    snprintf(path, sizeof path, "%s/.own", test_directory());
    struct own_file file = {.fd = open(path, O_CREAT | O_TRUNC | O_RDWR, 0600)};
    struct stat info;
    CHECK(file.fd >= 0 && fstat(file.fd, &info) == 0 && unlink(path) == 0 &&
          write(file.fd, &number, sizeof number) == sizeof number);
    file.inode = info.st_ino;
    return file;
}

static void check_own(struct own_file file, int number) {
    struct stat info;
    int found = -1;
    CHECK(fstat(file.fd, &info) == 0 && info.st_ino == file.inode);
    CHECK(info.st_size == sizeof number && pread(file.fd, &found, sizeof found, 0) == sizeof found && found == number);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    CHECK(fcntl(file.fd, F_OFD_GETLK, &lock) == 0 && lock.l_type == F_UNLCK);
    char information[64], text[512] = "";
    snprintf(information, sizeof information, "/proc/self/fdinfo/%d", file.fd);
    FILE *lines = fopen(information, "r");
    CHECK(lines != NULL);
    while (fgets(text, sizeof text, lines) != NULL) {
        CHECK(strncmp(text, "lock:", 5) != 0); /* the library must not have locked it either */
    }
    fclose(lines);
}

/* Closes all descriptors, like a program that becomes a daemon. */
static void close_descriptors(void) {
    for (int fd = 3; fd < 256; fd++) {
        close(fd);
    }
}

static const char lost[] = "'s control file was closed or reused by the program";

static void closed_and_reused(void) {
    for (int reuse = 0; reuse <= 1; reuse++) {
        struct pair pair = open_pair("reused", 4, DATABLOCK_LOSSLESS);
        datablock_consumer_options options = options_here(DATABLOCK_DELIVERY_DEFAULT);
        datablock_observer observer;
        CHECK_OK(datablock_observer_open("reused", &options, &observer));
        close_descriptors();
        struct own_file own[30];
        for (int i = 0; i < 30 * reuse; i++) {
            own[i] = open_own(i);
        }
        datablock_write_slot write;
        datablock_read_slot read;
        datablock_status status = DATABLOCK_OK;
        WAIT_UNTIL((status = datablock_write_begin(pair.producer, 0, &write)) != DATABLOCK_OK ||
                   datablock_write_abort(pair.producer, &write) != DATABLOCK_OK, 10);
        CHECK(status == DATABLOCK_E_SYSTEM && strstr(datablock_error_detail(), lost) != NULL);
        CHECK_DETAIL(datablock_write_begin(pair.producer, 0, &write), DATABLOCK_E_SYSTEM, lost); /* and so it stays */
        CHECK_DETAIL(datablock_read_begin(pair.consumer, 5000, &read), DATABLOCK_E_SYSTEM, lost);
        for (int i = 0; i < 30 * reuse; i++) {
            check_own(own[i], i);
        }
        /* The same numbers for the same file. Only the library knows that they belong to another
         * handle. */
        datablock_producer producer;
        datablock_consumer consumer;
        datablock_config config = ring_config(4);
        CHECK_OK(datablock_producer_open("reused", &config, &producer));
        CHECK_OK(datablock_consumer_open("reused", &options, &consumer));
        CHECK_STATUS(datablock_write_begin(pair.producer, 0, &write), DATABLOCK_E_SUPERSEDED);
        CHECK_OK(datablock_producer_close(pair.producer));
        CHECK_OK(datablock_consumer_close(pair.consumer));
        CHECK_OK(datablock_observer_close(observer));
        char path[512];
        snprintf(path, sizeof path, "%s/reused", test_directory());
        CHECK_STATUS(datablock_unlink(path, 0), DATABLOCK_E_PRODUCER_ACTIVE); /* the new handles have their locks */
        write_text(producer, "goes on");
        CHECK_OK(datablock_read_begin(consumer, 1000, &read));
        CHECK_OK(datablock_read_end(consumer, &read));
        CHECK_OK(datablock_producer_close(producer));
        CHECK_STATUS(datablock_unlink(path, 0), DATABLOCK_E_BUSY);
        CHECK_OK(datablock_consumer_close(consumer));
        for (int i = 0; i < 30 * reuse; i++) {
            check_own(own[i], i);
            close(own[i].fd);
        }
        CHECK_OK(datablock_unlink(path, 0));
        CHECK(open_descriptors() == 0 && files_left() == 0);
    }
}

/* A forked child closes its copies of the locks, but not other files with the same numbers. */
static void forked_after_reuse(void) {
    struct pair pair = open_pair("child", 4, DATABLOCK_LOSSLESS);
    close_descriptors();
    struct own_file own[10];
    for (int i = 0; i < 10; i++) {
        own[i] = open_own(i);
    }
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        for (int i = 0; i < 10; i++) {
            check_own(own[i], i);
        }
        _exit(0);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    for (int i = 0; i < 10; i++) {
        check_own(own[i], i);
        close(own[i].fd);
    }
    close_pair(&pair);
    CHECK_OK(unlink_here("child"));
}

/* A thread that waits in the library while the host closes everything. */
struct waiter {
    struct pair *pair;
    bool writes;
    datablock_status status;
    char detail[512];
    atomic_bool begun;
};

static void *wait_for_long(void *argument) {
    struct waiter *waiter = argument;
    datablock_read_slot read;
    datablock_write_slot write;
    atomic_store(&waiter->begun, true);
    waiter->status = waiter->writes ? datablock_write_begin(waiter->pair->producer, 20000, &write)
        : datablock_read_begin(waiter->pair->consumer, 20000, &read);
    snprintf(waiter->detail, sizeof waiter->detail, "%s", datablock_error_detail());
    return NULL;
}

enum { OWN = 24 };

/* A host that closes and opens descriptors at random, and the participants of its block. */
struct closer {
    struct own_file own[OWN];
    int count;
    struct pair pair;
    datablock_config config;
    datablock_consumer_options options;
    bool closed, has_producer, has_consumer, waits;
    pthread_t thread;
    struct waiter waiter;
};

/* True if the error says that the host has closed the library's descriptors. */
static bool is_lost(const struct closer *c, datablock_status status, const char *detail) {
    return c->closed && status == DATABLOCK_E_SYSTEM && strstr(detail, lost) != NULL;
}

static void random_path(char path[512]) { snprintf(path, 512, "%s/random", test_directory()); }

static void open_one(struct closer *c, bool producer) {
    if (producer && !c->has_producer) {
        datablock_status status = datablock_producer_open("random", &c->config, &c->pair.producer);
        CHECK(status == DATABLOCK_OK);
        c->has_producer = true;
    }
    if (!producer && !c->has_consumer && c->has_producer) {
        CHECK_OK(datablock_consumer_open("random", &c->options, &c->pair.consumer));
        c->has_consumer = true;
    }
}

static void write_one(struct closer *c) {
    if (!c->has_producer || c->waits) {
        return;
    }
    datablock_write_slot write;
    datablock_status status = datablock_write_begin(c->pair.producer, rand() % 3, &write);
    if (status == DATABLOCK_OK) {
        status = datablock_write_commit(c->pair.producer, &write, 8);
    }
    CHECK(status == DATABLOCK_OK || status == DATABLOCK_E_TIMEOUT || is_lost(c, status, datablock_error_detail()));
}

static void read_one(struct closer *c) {
    if (!c->has_consumer || c->waits) {
        return;
    }
    datablock_read_slot read;
    datablock_status status = datablock_read_begin(c->pair.consumer, rand() % 3, &read);
    if (status == DATABLOCK_OK) {
        status = datablock_read_end(c->pair.consumer, &read);
    }
    CHECK(status == DATABLOCK_OK || status == DATABLOCK_E_TIMEOUT || status == DATABLOCK_E_NO_PRODUCER ||
          is_lost(c, status, datablock_error_detail()));
}

static void start_waiting(struct closer *c) {
    if (c->has_producer && c->has_consumer && !c->waits && rand() % 4 == 0) {
        c->waiter = (struct waiter){.pair = &c->pair};
        c->waits = true;
        CHECK(pthread_create(&c->thread, NULL, wait_for_long, &c->waiter) == 0);
        WAIT_UNTIL(atomic_load(&c->waiter.begun), 10);
    }
}

static void diagnose_one(const struct closer *c) {
    SlotDiagnostic slots[64];
    size_t found;
    char path[512];
    random_path(path);
    if (c->has_producer && !c->waits) {
        CHECK(datablock_diagnose_all_slots(path, slots, 64, &found) == 0);
    }
}

static void close_everything(struct closer *c) {
    if (!c->has_producer || rand() % 4 != 0) {
        return;
    }
    /* The waiter most likely sleeps by now. During its housekeeping it has no open descriptors but
     * those that it keeps. */
    if (c->waits) {
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
    for (int i = 0; i < c->count; i++) {
        check_own(c->own[i], i);
    }
    close_descriptors();
    c->closed = true;
    c->count = 0;
    for (int wanted = rand() % OWN; c->count < wanted; c->count++) {
        c->own[c->count] = open_own(c->count);
    }
}

static void random_step(struct closer *c) {
    switch (rand() % 9) {
    case 0:
        open_one(c, true);
        break;
    case 1:
        open_one(c, false);
        break;
    case 2:
    case 3:
        write_one(c);
        break;
    case 4:
    case 5:
        read_one(c);
        break;
    case 6:
        start_waiting(c);
        break;
    case 7:
        diagnose_one(c);
        break;
    case 8:
        close_everything(c);
        break;
    }
}

static void end_round(struct closer *c) {
    for (int i = 0; i < c->count; i++) {
        check_own(c->own[i], i);
    }
    if (c->has_consumer) {
        CHECK_OK(datablock_consumer_close(c->pair.consumer));
    }
    if (c->waits) {
        CHECK(pthread_join(c->thread, NULL) == 0);
        datablock_status status = c->waiter.status;
        CHECK(status == DATABLOCK_OK || status == DATABLOCK_E_CLOSED || status == DATABLOCK_E_HANDLE ||
              is_lost(c, status, c->waiter.detail));
    }
    if (c->has_producer) {
        CHECK_OK(datablock_producer_close(c->pair.producer));
        char path[512];
        random_path(path);
        CHECK_OK(datablock_unlink(path, 0));
    }
    for (int i = 0; i < c->count; i++) {
        check_own(c->own[i], i);
        close(c->own[i].fd);
    }
    CHECK(open_descriptors() == 0 && files_left() == 0);
}

/* The host closes and opens descriptors at random. The library touches none of the host's files,
 * and every call returns the right status. */
static void closed_at_random(void) {
    const char *rounds_asked = getenv("DATABLOCK_TEST_ROUNDS");
    int rounds = rounds_asked != NULL ? atoi(rounds_asked) : 40;
    unsigned seed = (unsigned)getpid();
    printf("seed %u\n", seed);
    srand(seed);
    for (int round = 0; round < rounds; round++) {
        struct closer c = {.pair = {.name = "random"}, .config = ring_config(4)};
        c.options = options_here(rand() % 2 ? DATABLOCK_LOSSLESS : DATABLOCK_ORDERED);
        for (int step = 0; step < 30; step++) {
            random_step(&c);
        }
        end_round(&c);
    }
}

/* ---- Limits ---------------------------------------------------------------------------------- */

static void limit_files(const char *argument) { set_limit(RLIMIT_NOFILE, 512, (rlim_t)atoi(argument)); }

static void role_file_limit_is_left(void) {
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur == 512);
    use_everything("limit");
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur == 512);
    CHECK(system("test \"$(ulimit -Sn)\" = 512") == 0);
}

static void file_limit_is_left(void) { CHECK(run_role("file_limit_is_left", "4096", limit_files) == 0); }

/* Every step that needs a descriptor finds none free. */
static void role_no_descriptors(void) {
    struct rlimit limit = {.rlim_cur = 0};
    struct pair pair = open_pair("first", 4, DATABLOCK_LOSSLESS); /* loads everything that is loaded later */
    close_pair(&pair);
    CHECK_OK(unlink_here("first"));
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    datablock_status status = DATABLOCK_E_SYSTEM;
    int refused = 0;
    for (limit.rlim_cur = 3; status != DATABLOCK_OK && limit.rlim_cur < 64; limit.rlim_cur++) {
        datablock_config config = ring_config(4);
        CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
        status = datablock_producer_open("none", &config, &pair.producer);
        if (status != DATABLOCK_OK) {
            CHECK(status == DATABLOCK_E_SYSTEM && strstr(datablock_error_detail(), "RLIMIT_NOFILE") != NULL);
            refused++;
        }
        set_limit(RLIMIT_NOFILE, 512, limit.rlim_max);
        CHECK(files_left() == (status == DATABLOCK_OK ? 2 : 0));
    }
    CHECK(status == DATABLOCK_OK && refused >= 2);
    CHECK_OK(datablock_producer_close(pair.producer));
    CHECK_OK(unlink_here("none"));
}

static void no_descriptors(void) { CHECK(run_role("no_descriptors", "4096", limit_files) == 0); }

static void limit_file_size(const char *argument) {
    struct rlimit core = {0, 0};
    CHECK(setrlimit(RLIMIT_CORE, &core) == 0);
    set_limit(RLIMIT_FSIZE, (rlim_t)atoll(argument), (rlim_t)atoll(argument));
}

static void role_file_size(void) {
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_FSIZE, &limit) == 0);
    datablock_config config = ring_config(8);
    config.slot_size = 1 << 20;
    datablock_producer producer;
    CHECK_DETAIL(datablock_producer_open("large", &config, &producer), DATABLOCK_E_NO_SPACE, "RLIMIT_FSIZE");
    char value[32];
    snprintf(value, sizeof value, "may have %llu", (unsigned long long)limit.rlim_cur);
    CHECK(strstr(datablock_error_detail(), value) != NULL);
    CHECK(files_left() == 0);
    if (limit.rlim_cur < 10) {
        char registry[512];
        snprintf(registry, sizeof registry, "%s/few", test_directory());
        datablock_schema schema;
        CHECK_OK(datablock_schema_parse("schema Host 1.0.0 { x: u64; }", &schema));
        CHECK_DETAIL(datablock_schema_register(&schema, registry), DATABLOCK_E_NO_SPACE, "RLIMIT_FSIZE");
        datablock_schema_free(&schema);
        CHECK(rmdir(registry) == 0); /* nothing is left in it */
    }
}

static void file_size(void) {
    CHECK(run_role("file_size", "0", limit_file_size) == 0);
    CHECK(run_role("file_size", "4096", limit_file_size) == 0);
    CHECK(run_role("file_size", "1048576", limit_file_size) == 0);
}

/* The free address space of the role for a block: from nothing to plenty. */
static void role_address_space(void) {
    use_everything("warm"); /* Go has all its memory after this */
    rlim_t used = 0;
    FILE *sizes = fopen("/proc/self/statm", "r");
    unsigned long pages;
    CHECK(sizes != NULL && fscanf(sizes, "%lu", &pages) == 1);
    fclose(sizes);
    used = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_AS, &limit) == 0);
    datablock_config config = ring_config(4);
    config.slot_size = 8 << 20; /* for more than 16 slots, with the spare ones */
    datablock_producer producer;
    set_limit(RLIMIT_AS, used + (128 << 20), limit.rlim_max); /* enough for Go, but not for the block */
    CHECK_DETAIL(datablock_producer_open("space", &config, &producer), DATABLOCK_E_SYSTEM, "RLIMIT_AS");
    CHECK(files_left() == 0);
    set_limit(RLIMIT_AS, limit.rlim_max, limit.rlim_max);
    config.slot_size = 64; /* the machine has enough memory for this */
    CHECK_OK(datablock_producer_open("space", &config, &producer));
    CHECK_OK(datablock_producer_close(producer));
    CHECK_OK(unlink_here("space"));
}

static void address_space(void) {
    if (!SANITIZED) {
        CHECK(run_role("address_space", "", NULL) == 0);
    }
}

/* A filter that refuses one system call with this error. For a multiplexed call it refuses only
 * calls whose argument with this index is `value`. */
struct refusal {
    long call;
    int argument; /* -1: with any arguments */
    unsigned value;
    const char *named; /* the text of the error; NULL: no error, because the library has a replacement */
};

static const struct refusal refusals[] = {
    {SYS_fallocate, -1, 0, "fallocate"},
    {SYS_fchmod, -1, 0, "fchmod"},
    {SYS_fcntl, 1, F_OFD_SETLK, "fcntl"},
    {SYS_madvise, 2, 10 /* MADV_DONTFORK */, NULL},
    {SYS_madvise, 2, 18 /* MADV_WIPEONFORK */, NULL},
    {SYS_renameat2, -1, 0, NULL},
    {SYS_fstatfs, -1, 0, NULL},
    {SYS_getrandom, -1, 0, NULL},
};
enum { REFUSALS = sizeof refusals / sizeof *refusals };
static const int refusal_errors[] = {EPERM, ENOSYS};

static void refuse_call(const char *argument) {
    int which = atoi(argument), error = refusal_errors[which / REFUSALS];
    const struct refusal *r = &refusals[which % REFUSALS];
    bool any = r->argument < 0;
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (__u32)r->call, 0, 3),
        /* the low half of the argument: little-endian */
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                 (__u32)(offsetof(struct seccomp_data, args) + (any ? 0 : 8 * (size_t)r->argument))),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, r->value, 0, any ? 0 : 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (__u32)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER,
                &(struct sock_fprog){sizeof filter / sizeof *filter, filter}) == 0);
}

static void role_refused(const char *argument) {
    const struct refusal *r = &refusals[atoi(argument) % REFUSALS];
    datablock_config config = ring_config(4);
    datablock_producer producer;
    if (r->named == NULL) {
        CHECK_OK(datablock_producer_open("refused", &config, &producer));
        write_text(producer, "text");
        CHECK_OK(datablock_producer_close(producer));
        CHECK_OK(unlink_here("refused"));
    } else {
        CHECK_DETAIL(datablock_producer_open("refused", &config, &producer), DATABLOCK_E_SYSTEM, r->named);
        CHECK(strstr(datablock_error_detail(), "seccomp") != NULL);
    }
    CHECK(files_left() == 0);
}

static void refused(void) {
    for (int which = 0; which < 2 * REFUSALS; which++) {
        char argument[16];
        snprintf(argument, sizeof argument, "%d", which);
        if (run_role("refused", argument, refuse_call) != 0) {
            check_failed(__FILE__, __LINE__, "refusal %d, with error %d", which % REFUSALS,
                         refusal_errors[which / REFUSALS]);
        }
    }
}

/* ---- The environment ------------------------------------------------------------------------- */

static void role_environment(void) {
    char data[512], home[512], path[700];
    snprintf(data, sizeof data, "%s/data", test_directory());
    snprintf(home, sizeof home, "%s/home", test_directory());
    datablock_schema schema, found;
    /* Go has made its copy of the environment by now. */
    CHECK_OK(datablock_schema_parse("schema Host 1.0.0 { x: u64; }", &schema));
    CHECK(unsetenv("DATABLOCK_SCHEMAS") == 0 && setenv("XDG_DATA_HOME", data, 1) == 0 && setenv("HOME", home, 1) == 0);
    CHECK_OK(datablock_schema_register(&schema, NULL));
    snprintf(path, sizeof path, "%s/datablock/schemas/Host@1.0.0.schema", data);
    CHECK(access(path, F_OK) == 0);
    CHECK_OK(datablock_schema_lookup("Host", NULL, &found));
    datablock_schema_free(&found);
    CHECK(unsetenv("XDG_DATA_HOME") == 0);
    CHECK_STATUS(datablock_schema_lookup("Host", NULL, &found), DATABLOCK_E_NOT_FOUND);
    CHECK_OK(datablock_schema_register(&schema, NULL));
    snprintf(path, sizeof path, "%s/.local/share/datablock/schemas/Host@1.0.0.schema", home);
    CHECK(access(path, F_OK) == 0);
    CHECK(unsetenv("HOME") == 0);
    CHECK_DETAIL(datablock_schema_lookup("Host", NULL, &found), DATABLOCK_E_SYSTEM, "DATABLOCK_SCHEMAS");
    datablock_schema_free(&schema);
}

static void environment(void) {
    CHECK(run_role("environment", "", NULL) == 0);
    char command[600];
    snprintf(command, sizeof command, "rm -r '%s/data' '%s/home'", test_directory(), test_directory());
    CHECK(system(command) == 0);
}

/* ---- Other processes ------------------------------------------------------------------------- */

/* Makes a child without running the fork handlers, prints its pid, and dies. */
static void leave_a_child(void) {
    long child = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    CHECK(child >= 0);
    if (child == 0) {
        datablock_consumer_options options = options_here(DATABLOCK_ORDERED);
        datablock_consumer consumer;
        if (datablock_consumer_open("heir", &options, &consumer) != DATABLOCK_E_FORKED) {
            _exit(5);
        }
        alarm(60); /* ends the child if the test fails */
        close(1);
        for (;;) {
            pause();
        }
    }
    printf("%ld\n", child);
    fflush(stdout);
    raise(SIGKILL);
}

static void role_producer_leaves_a_child(void) {
    datablock_config config = ring_config(4);
    datablock_producer producer;
    CHECK_OK(datablock_producer_open("heir", &config, &producer));
    leave_a_child();
}

static void role_consumer_leaves_a_child(void) {
    datablock_consumer_options options = options_here(DATABLOCK_LOSSLESS);
    datablock_consumer consumer;
    CHECK_OK(datablock_consumer_open("heir", &options, &consumer));
    leave_a_child();
}

/* Runs one of the two roles, and returns the child's pid. */
static pid_t left_by(const char *role) {
    int ends[2];
    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    fflush(stdout);
    int out = fcntl(1, F_DUPFD_CLOEXEC, 3);
    CHECK(out >= 0 && dup2(ends[1], 1) == 1);
    CHECK(run_role(role, "", NULL) == 128 + SIGKILL);
    CHECK(dup2(out, 1) == 1);
    close(out);
    close(ends[1]);
    char text[32] = "";
    CHECK(read(ends[0], text, sizeof text - 1) > 0);
    close(ends[0]);
    pid_t child = atoi(text);
    CHECK(child > 0 && kill(child, 0) == 0);
    return child;
}

static void lock_of_the_dead(void) {
    char wanted[96];
    pid_t child = left_by("producer_leaves_a_child");
    datablock_config config = ring_config(4);
    datablock_producer producer;
    snprintf(wanted, sizeof wanted, "has ended, but pid %d (", (int)child);
    CHECK_DETAIL(datablock_producer_open("heir", &config, &producer), DATABLOCK_E_PRODUCER_ACTIVE, wanted);
    char path[512];
    snprintf(path, sizeof path, "%s/heir", test_directory());
    CHECK_DETAIL(datablock_unlink(path, 0), DATABLOCK_E_PRODUCER_ACTIVE, wanted);
    CHECK(kill(child, SIGKILL) == 0); /* its new parent has to reap it */
    WAIT_UNTIL(datablock_producer_open("heir", &config, &producer) == DATABLOCK_OK, 10);
    child = left_by("consumer_leaves_a_child");
    datablock_write_slot slot;
    while (datablock_write_begin(producer, 0, &slot) == DATABLOCK_OK) {
        CHECK_OK(datablock_write_commit(producer, &slot, 1));
    }
    snprintf(wanted, sizeof wanted, "has ended, but pid %d (", (int)child);
    /* A shorter wait does not check for dead consumers. */
    CHECK_DETAIL(datablock_write_begin(producer, 250, &slot), DATABLOCK_E_TIMEOUT, wanted);
    CHECK(kill(child, SIGKILL) == 0);
    CHECK_OK(datablock_write_begin(producer, 10000, &slot));
    CHECK_OK(datablock_producer_close(producer));
    CHECK_OK(datablock_unlink(path, 0));
}

/* A LOSSLESS consumer that reads nothing. On the parent's command it truncates the control file,
 * which the file's mode allows. */
static void role_truncates(void) {
    datablock_consumer_options options = options_here(DATABLOCK_LOSSLESS);
    options.start = DATABLOCK_START_OLDEST;
    datablock_consumer consumer;
    CHECK_OK(datablock_consumer_open("truncated", &options, &consumer));
    char byte = 1;
    CHECK(write(1, &byte, 1) == 1 && read(0, &byte, 1) == 1);
    DIR *directory = opendir(test_directory());
    CHECK(directory != NULL);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (strstr(entry->d_name, ".ctl") != NULL) {
            int fd = openat(dirfd(directory), entry->d_name, O_RDWR);
            CHECK(fd >= 0 && ftruncate(fd, 0) == 0);
        }
    }
    _exit(0);
}

static void truncated_by_a_consumer(void) {
    datablock_config config = ring_config(2);
    datablock_producer producer;
    CHECK_OK(datablock_producer_open("truncated", &config, &producer));
    int in[2], out[2];
    char byte;
    CHECK(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        execl("/proc/self/exe", "test_host", "role", "truncates", test_directory(), "", (char *)NULL);
        _exit(99);
    }
    CHECK(read(out[0], &byte, 1) == 1);
    write_text(producer, "0");
    write_text(producer, "1");
    datablock_write_slot slot;
    /* The backpressure is so long that the producer sleeps in long slices. */
    CHECK_STATUS(datablock_write_begin(producer, 300, &slot), DATABLOCK_E_TIMEOUT);
    CHECK(write(in[1], &byte, 1) == 1);
    /* The fast path may have met the fault. Then the next call reports it. */
    if (datablock_write_begin(producer, 20000, &slot) == DATABLOCK_OK) {
        CHECK_STATUS(datablock_write_commit(producer, &slot, 1), DATABLOCK_E_CORRUPT);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    if (datablock_write_begin(producer, 0, &slot) == DATABLOCK_OK) { /* or this call meets it */
        CHECK_STATUS(datablock_write_commit(producer, &slot, 1), DATABLOCK_E_CORRUPT);
    }
    CHECK_STATUS(datablock_write_begin(producer, 0, &slot), DATABLOCK_E_CORRUPT);
    (void)datablock_producer_close(producer);
    close(in[0]);
    close(in[1]);
    close(out[0]);
    close(out[1]);
    for (DIR *directory = opendir(test_directory()); directory != NULL; directory = (closedir(directory), NULL)) {
        for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
            (void)unlinkat(dirfd(directory), entry->d_name, 0);
        }
    }
}

/* A consumer that causes backpressure until it is killed. The test measures how soon the producer
 * resumes. */
static void role_holds(void) {
    datablock_consumer_options options = options_here(DATABLOCK_LOSSLESS);
    options.start = DATABLOCK_START_OLDEST;
    datablock_consumer consumer;
    CHECK_OK(datablock_consumer_open("holds", &options, &consumer));
    char byte = 1;
    CHECK(write(1, &byte, 1) == 1);
    for (;;) {
        pause();
    }
}

struct killer {
    pid_t pid;
    double at;
};

/* Kills the consumer when the producer sleeps in long slices. */
static void *kill_later(void *argument) {
    struct killer *killer = argument;
    nanosleep(&(struct timespec){.tv_nsec = 250000000}, NULL);
    killer->at = check_now();
    CHECK(kill(killer->pid, SIGKILL) == 0);
    return NULL;
}

static void goes_on_after_a_kill(void) {
    datablock_config config = ring_config(2);
    datablock_producer producer;
    CHECK_OK(datablock_producer_open("holds", &config, &producer));
    int out[2];
    CHECK(pipe2(out, O_CLOEXEC) == 0);
    double soonest = 60;
    for (int round = 0; round < 8; round++) {
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
            dup2(out[1], 1);
            execl("/proc/self/exe", "test_host", "role", "holds", test_directory(), "", (char *)NULL);
            _exit(99);
        }
        char byte;
        datablock_write_slot slot;
        CHECK(read(out[0], &byte, 1) == 1);
        while (datablock_write_begin(producer, 0, &slot) == DATABLOCK_OK) {
            CHECK_OK(datablock_write_commit(producer, &slot, 1));
        }
        pthread_t thread;
        struct killer killer = {.pid = pid};
        CHECK(pthread_create(&thread, NULL, kill_later, &killer) == 0);
        CHECK_OK(datablock_write_begin(producer, 20000, &slot));
        double now = check_now();
        CHECK(pthread_join(thread, NULL) == 0);
        double took = now - killer.at;
        soonest = took < soonest ? took : soonest;
        CHECK_OK(datablock_write_commit(producer, &slot, 1));
        CHECK(waitpid(pid, NULL, 0) == pid);
    }
    printf("    soonest of 8: %.1f ms\n", 1e3 * soonest);
    CHECK(soonest < 0.05); /* the best of several, because the machine may be busy */
    CHECK_OK(datablock_producer_close(producer));
    CHECK_OK(unlink_here("holds"));
    close(out[0]);
    close(out[1]);
}

/* ---------------------------------------------------------------------------------------------- */

static int play(const char *role, const char *argument) {
    static const struct scenario roles[] = {
        {"no_poller", role_no_poller},
        {"closed_streams", role_closed_streams},
        {"file_limit_is_left", role_file_limit_is_left},
        {"no_descriptors", role_no_descriptors},
        {"file_size", role_file_size},
        {"address_space", role_address_space},
        {"environment", role_environment},
        {"producer_leaves_a_child", role_producer_leaves_a_child},
        {"consumer_leaves_a_child", role_consumer_leaves_a_child},
        {"truncates", role_truncates},
        {"holds", role_holds},
    };
    alarm(60);
    if (strcmp(role, "refused") == 0) {
        role_refused(argument);
        return 0;
    }
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
        if (strcmp(role, roles[i].name) == 0) {
            roles[i].run();
            return 0;
        }
    }
    return 98;
}

int main(int argc, char **argv) {
    if (argc == 5 && strcmp(argv[1], "role") == 0) {
        snprintf(check_directory_name, sizeof check_directory_name, "%s", argv[3]);
        check_directory_owner = -1; /* the starting process removes the directory */
        return play(argv[2], argv[4]);
    }
    static const struct scenario scenarios[] = {
        {"no_poller", no_poller},
        {"no_poller_for_streams", no_poller_for_streams},
        {"closed_streams", closed_streams},
        {"closed_and_reused", closed_and_reused},
        {"forked_after_reuse", forked_after_reuse},
        {"closed_at_random", closed_at_random},
        {"file_limit_is_left", file_limit_is_left},
        {"no_descriptors", no_descriptors},
        {"file_size", file_size},
        {"address_space", address_space},
        {"refused", refused},
        {"environment", environment},
        {"lock_of_the_dead", lock_of_the_dead},
        {"truncated_by_a_consumer", truncated_by_a_consumer},
        {"goes_on_after_a_kill", goes_on_after_a_kill},
    };
    return run_scenarios(scenarios, sizeof scenarios / sizeof *scenarios, argc, argv);
}
