/*
 * Provokes every error of docs/errors.md through the C interface, one in each process:
 *
 *     errors CASE DIR    in DIR, an empty directory; prints the status and the detail, with a tab
 *                        between them
 *     errors             prints the names of the cases
 *
 * tests/go/process/errors_test.go runs this program for each row of the page's table. "SKIP" in
 * place of a status says what this machine does not allow. The program fails when a case cannot be
 * provoked, and when a refused call has left a descriptor, a mapping or a file behind.
 */
#include "check.h"

#include <datablock_layout.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static const char *running_case;
static const char *directory;
static int directory_fd; /* opened before any right is given up */

/* ---- What happened --------------------------------------------------------------------------- */

struct outcome {
    char status[64];
    char detail[1024];
};
static struct outcome *outcome; /* shared with forked children */

/* The files in the directory: their names, added up without regard to their order. */
struct files {
    int count;
    unsigned long long sum;
};

static struct files files(void) {
    struct files found = {0, 0};
    DIR *list = fdopendir(dup(directory_fd));
    CHECK(list != NULL);
    rewinddir(list);
    for (struct dirent *entry; (entry = readdir(list)) != NULL; found.count++) {
        unsigned long long hash = 14695981039346656037u;
        for (const char *c = entry->d_name; *c != '\0'; c++) {
            hash = (hash ^ (unsigned char)*c) * 1099511628211u;
        }
        found.sum += hash;
    }
    closedir(list);
    return found;
}

/* No provoked call may leave a file behind. Participants are opened before it, not within it. */
static void record(struct files before, const char *status) {
    snprintf(outcome->status, sizeof outcome->status, "%s", status);
    snprintf(outcome->detail, sizeof outcome->detail, "%s", datablock_error_detail());
    struct files after = files();
    if (before.count != after.count || before.sum != after.sum) {
        check_failed(__FILE__, __LINE__, "the refused call left files behind, or removed some");
    }
}

static void record_status(struct files before, datablock_status status) {
    switch ((int)status) {
#define RECORD(name, value, text)                                                                  \
    case value:                                                                                    \
        record(before, #name);                                                                     \
        return;
        DATABLOCK_STATUS_LIST(RECORD)
#undef RECORD
    }
    record(before, "an unknown status");
}

static void record_number(struct files before, int number) {
    char text[16];
    snprintf(text, sizeof text, "%d", number);
    record(before, text);
}

static void record_recovery(struct files before, RecoveryResult result) {
    static const char *const names[] = {"RECOVERY_SUCCESS", "RECOVERY_FAILED", "RECOVERY_UNSAFE", "RECOVERY_NOT_STUCK",
        "RECOVERY_INVALID_SLOT"};
    record(before, (unsigned)result < sizeof names / sizeof names[0] ? names[result] : "an unknown result");
}

/* The call that a case is about. */
#define PROVOKE(kind, call)                                                                        \
    do {                                                                                           \
        struct files before = files();                                                             \
        record_##kind(before, call);                                                               \
    } while (0)
#define STATUS(call) PROVOKE(status, call)
#define NUMBER(call) PROVOKE(number, call)
#define RECOVERY(call) PROVOKE(recovery, call)

static void skip(const char *reason) {
    snprintf(outcome->status, sizeof outcome->status, "SKIP");
    snprintf(outcome->detail, sizeof outcome->detail, "%s", reason);
}

/* ---- Blocks and participants ----------------------------------------------------------------- */

/* Every case uses this name, in its own directory. */
#define BLOCK "camera"
enum { SLOTS = 4, SLOT_SIZE = 100 };

/* The objects opened here are closed at the end, unless the case closes them. */
static datablock_producer producers[8];
static datablock_consumer consumers[8];
static datablock_observer observers[8];
static size_t producer_count, consumer_count, observer_count;

static datablock_config config_of(datablock_policy policy) {
    datablock_config config;
    CHECK_OK(datablock_config_init(&config, policy));
    config.slot_count = policy == DATABLOCK_RING ? SLOTS : 0;
    config.slot_size = SLOT_SIZE;
    config.directory = directory;
    return config;
}

static datablock_consumer_options options_of(datablock_delivery delivery) {
    datablock_consumer_options options;
    CHECK_OK(datablock_consumer_options_init(&options));
    options.delivery = (uint32_t)delivery;
    options.directory = directory;
    options.name = "viewer";
    return options;
}

static datablock_producer open_as(datablock_config config) {
    datablock_producer producer;
    CHECK_OK(datablock_producer_open(BLOCK, &config, &producer));
    producers[producer_count++] = producer;
    return producer;
}

static datablock_producer open_producer(void) { return open_as(config_of(DATABLOCK_RING)); }

static datablock_consumer attach_as(datablock_consumer_options options) {
    datablock_consumer consumer;
    CHECK_OK(datablock_consumer_open(BLOCK, &options, &consumer));
    consumers[consumer_count++] = consumer;
    return consumer;
}

static datablock_consumer attach(datablock_delivery delivery) { return attach_as(options_of(delivery)); }

/*
 * The call that a case is about, for the two opens. If the call succeeds, the object is closed at
 * the end.
 */
static datablock_status try_producer(datablock_config config) {
    datablock_status status = datablock_producer_open(BLOCK, &config, &producers[producer_count]);
    producer_count += status == DATABLOCK_OK;
    return status;
}

static datablock_status try_consumer(datablock_consumer_options options) {
    datablock_status status = datablock_consumer_open(BLOCK, &options, &consumers[consumer_count]);
    consumer_count += status == DATABLOCK_OK;
    return status;
}

static datablock_status try_name(const char *name) {
    datablock_config config = config_of(DATABLOCK_RING);
    datablock_producer producer;
    return datablock_producer_open(name, &config, &producer);
}

static datablock_write_slot claim(datablock_producer producer) {
    datablock_write_slot slot;
    CHECK_OK(datablock_write_begin(producer, 0, &slot));
    return slot;
}

static void write_messages(datablock_producer producer, int count) {
    for (int i = 0; i < count; i++) {
        datablock_write_slot slot = claim(producer);
        CHECK_OK(datablock_write_commit(producer, &slot, 10));
    }
}

static datablock_read_slot read_message(datablock_consumer consumer) {
    datablock_read_slot slot;
    CHECK_OK(datablock_read_begin(consumer, 0, &slot));
    return slot;
}

static void close_all(void) {
    for (size_t i = 0; i < observer_count; i++) {
        datablock_observer_close(observers[i]);
    }
    for (size_t i = 0; i < consumer_count; i++) {
        datablock_consumer_close(consumers[i]);
    }
    for (size_t i = 0; i < producer_count; i++) {
        datablock_producer_close(producers[i]);
    }
}

/* ---- Files ----------------------------------------------------------------------------------- */

static const char *path_of(const char *name) {
    static char paths[4][4096];
    static unsigned next;
    char *path = paths[next++ % 4];
    CHECK(snprintf(path, sizeof paths[0], "%s/%s", directory, name) < (int)sizeof paths[0]);
    return path;
}

static const char *data_path(void) { return path_of(BLOCK); }

static const char *control_path(void) {
    const char *found = NULL;
    DIR *list = opendir(directory);
    CHECK(list != NULL);
    for (struct dirent *entry; found == NULL && (entry = readdir(list)) != NULL;) {
        size_t length = strlen(entry->d_name);
        if (length > 4 && strcmp(entry->d_name + length - 4, ".ctl") == 0) {
            found = path_of(entry->d_name);
        }
    }
    closedir(list);
    CHECK(found != NULL);
    return found;
}

static void access_file(const char *path, uint64_t at, void *bytes, size_t size, bool write) {
    int fd = open(path, O_RDWR | O_CLOEXEC);
    CHECK(fd >= 0);
    ssize_t done = write ? pwrite(fd, bytes, size, (off_t)at) : pread(fd, bytes, size, (off_t)at);
    CHECK(done == (ssize_t)size);
    close(fd);
}

static uint64_t peek(const char *path, uint64_t at) {
    uint64_t value;
    access_file(path, at, &value, sizeof value, false);
    return value;
}

static void poke(const char *path, uint64_t at, uint64_t value) { access_file(path, at, &value, sizeof value, true); }

static void make_file(const char *name, size_t size) {
    int fd = open(path_of(name), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    for (size_t i = 0; i < size; i++) {
        CHECK(write(fd, "x", 1) == 1);
    }
    close(fd);
}

/* A block whose producer has closed, for the cases about files. */
static void make_block(void) {
    datablock_producer producer = open_producer();
    write_messages(producer, 1);
    CHECK_OK(datablock_producer_close(producer));
}

static uint64_t entry_of(uint64_t id) {
    return peek(data_path(), DATABLOCK_LAYOUT_HDR_RING_OFFSET) + 8 * (id % SLOTS);
}

static uint64_t slot_header(uint32_t slot) {
    return peek(data_path(), DATABLOCK_LAYOUT_HDR_PAYLOAD_OFFSET) +
        slot * peek(data_path(), DATABLOCK_LAYOUT_HDR_STRIDE) - DATABLOCK_LAYOUT_SLOT_HEADER;
}

static uint64_t row_of(uint32_t row) {
    return DATABLOCK_LAYOUT_CTL_ROWS + row * (uint64_t)DATABLOCK_LAYOUT_ROW_SIZE;
}

/* ---- Other processes ------------------------------------------------------------------------- */

/* The role of a child process before it is killed. */
static void role_producer(void) { write_messages(open_producer(), 1); }

static void role_claim(void) { claim(open_producer()); }

static void role_reader(void) {
    datablock_consumer_options options = options_of(DATABLOCK_ORDERED);
    options.start = DATABLOCK_START_OLDEST;
    read_message(attach_as(options));
}

static const struct {
    const char *name;
    void (*run)(void);
} roles[] = {{"@producer", role_producer}, {"@claim", role_claim}, {"@reader", role_reader}};

/* A child reports that it has its role, and then waits for its end. */
static int play(const char *role) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        if (strcmp(role, roles[i].name) == 0) {
            roles[i].run();
            CHECK(write(STDOUT_FILENO, ".", 1) == 1);
            for (;;) {
                pause();
            }
        }
    }
    return 1;
}

static pid_t start(const char *role) {
    int ends[2];
    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    char *arguments[] = {"errors", (char *)role, (char *)directory, NULL};
    extern char **environ;
    pid_t pid;
    CHECK(posix_spawn(&pid, "/proc/self/exe", &actions, NULL, arguments, environ) == 0);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    char ready;
    CHECK(read(ends[0], &ready, 1) == 1);
    close(ends[0]);
    return pid;
}

static void stop(pid_t pid) {
    CHECK(kill(pid, SIGKILL) == 0);
    CHECK(waitpid(pid, NULL, 0) == pid);
}

static void lived_and_died(const char *role) { stop(start(role)); }

static bool privileged(void) { return geteuid() == 0; }

/*
 * From here on this process may not open the file. The system never refuses root, so root becomes
 * another user. Every other user takes the permission away from itself.
 */
static void forbid(const char *path) {
    if (privileged()) {
        CHECK(setgroups(0, NULL) == 0);
        CHECK(setgid(65534) == 0);
        CHECK(setuid(65534) == 0);
        prctl(PR_SET_DUMPABLE, 1); /* /proc/self stays readable */
    } else {
        CHECK(chmod(path, 0) == 0);
    }
}

/* Runs a call in a forked child, which writes the outcome. */
static void in_forked_child(void (*run)(void)) {
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        run();
        _exit(0);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(status == 0);
}

/*
 * Continues in a directory that is a full file system. The mount is made in a mount namespace of
 * this process, so that the mount ends with the process. exec brings the other threads of the
 * process into the namespace. False: the system does not allow the mount, and the outcome has the
 * reason.
 */
static bool in_small_directory(const char *options) {
    static const char variable[] = "DATABLOCK_ERRORS_MOUNTED";
    const char *small = path_of("small");
    if (getenv(variable) == NULL) {
        if (mkdir(small, 0755) != 0 || unshare(CLONE_NEWNS) != 0 ||
            mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
            mount("tmpfs", small, "tmpfs", 0, options) != 0) {
            char reason[256];
            snprintf(reason, sizeof reason, "a small file system cannot be mounted here (%s): run as root",
                strerror(errno));
            skip(reason);
            return false;
        }
        CHECK(setenv(variable, "1", 1) == 0);
        char *arguments[] = {"errors", (char *)running_case, (char *)directory, NULL};
        execv("/proc/self/exe", arguments);
        CHECK(!"exec");
    }
    return true;
}

static datablock_status try_small(datablock_config config) {
    const char *small = path_of("small");
    config.directory = small;
    datablock_status status = try_producer(config);
    if (status != DATABLOCK_OK) { /* the file system must be unchanged: no file may be left in it */
        int found = 0;
        DIR *list = opendir(small);
        CHECK(list != NULL);
        for (struct dirent *entry; (entry = readdir(list)) != NULL;) {
            found += entry->d_name[0] != '.' && strcmp(entry->d_name, "ballast") != 0;
        }
        closedir(list);
        CHECK(found == 0);
    }
    return status;
}

/* ---- Cases: null pointers -------------------------------------------------------------------- */

static void null_config_init(void) { STATUS(datablock_config_init(NULL, DATABLOCK_RING)); }
static void null_options_init(void) { STATUS(datablock_consumer_options_init(NULL)); }

static void null_producer_open_name(void) {
    datablock_config config = config_of(DATABLOCK_RING);
    datablock_producer producer;
    STATUS(datablock_producer_open(NULL, &config, &producer));
}

static void null_producer_open_config(void) {
    datablock_producer producer;
    STATUS(datablock_producer_open(BLOCK, NULL, &producer));
}

static void null_producer_open_out(void) {
    datablock_config config = config_of(DATABLOCK_RING);
    STATUS(datablock_producer_open(BLOCK, &config, NULL));
}

static void null_write_begin(void) {
    datablock_producer producer = open_producer();
    STATUS(datablock_write_begin(producer, 0, NULL));
}

static void null_write_commit(void) {
    datablock_producer producer = open_producer();
    STATUS(datablock_write_commit(producer, NULL, 1));
}

static void null_write_abort(void) {
    datablock_producer producer = open_producer();
    STATUS(datablock_write_abort(producer, NULL));
}

static void null_consumer_open_name(void) {
    datablock_consumer consumer;
    STATUS(datablock_consumer_open(NULL, NULL, &consumer));
}

static void null_consumer_open_out(void) { STATUS(datablock_consumer_open(BLOCK, NULL, NULL)); }

static void null_read_begin(void) {
    open_producer();
    datablock_consumer consumer = attach(DATABLOCK_LATEST);
    STATUS(datablock_read_begin(consumer, 0, NULL));
}

static void null_read_at(void) {
    open_producer();
    datablock_consumer consumer = attach(DATABLOCK_LATEST);
    STATUS(datablock_read_at(consumer, 0, NULL));
}

static void null_read_end(void) {
    open_producer();
    datablock_consumer consumer = attach(DATABLOCK_LATEST);
    STATUS(datablock_read_end(consumer, NULL));
}

static void null_list_count(void) { STATUS(datablock_list(directory, NULL, 0, NULL)); }

static void null_list_out(void) {
    size_t count;
    STATUS(datablock_list(directory, NULL, 3, &count));
}

static void null_unlink(void) { STATUS(datablock_unlink(NULL, 0)); }

static void null_diagnose_slot_name(void) {
    SlotDiagnostic diagnostic;
    NUMBER(datablock_diagnose_slot(NULL, 0, &diagnostic));
}

static void null_diagnose_slot_out(void) { NUMBER(datablock_diagnose_slot(data_path(), 0, NULL)); }

static void null_diagnose_all_name(void) {
    size_t count;
    NUMBER(datablock_diagnose_all_slots(NULL, NULL, 0, &count));
}

static void null_diagnose_all_count(void) { NUMBER(datablock_diagnose_all_slots(data_path(), NULL, 0, NULL)); }

static void null_diagnose_all_array(void) {
    size_t count;
    NUMBER(datablock_diagnose_all_slots(data_path(), NULL, 3, &count));
}

static void null_release_readers(void) { RECOVERY(datablock_release_zombie_readers(NULL, 0)); }
static void null_release_writer(void) { RECOVERY(datablock_release_zombie_writer(NULL, 0)); }
static void null_cleanup(void) { NUMBER(datablock_cleanup_dead_consumers(NULL, 0)); }

static void null_write(void) {
    datablock_producer producer = open_producer();
    STATUS(datablock_write(producer, 0, NULL, 1, NULL));
}

static void null_write_checksum(void) {
    datablock_producer producer = open_producer();
    STATUS(datablock_write_checksum(producer, NULL, 1));
}

static void null_write_batch_messages(void) {
    size_t written;
    datablock_producer producer = open_producer();
    STATUS(datablock_write_batch(producer, 0, NULL, 1, &written));
}

static void null_write_batch_written(void) {
    datablock_producer producer = open_producer();
    STATUS(datablock_write_batch(producer, 0, NULL, 0, NULL));
}

static void null_write_batch_data(void) {
    static const datablock_message messages[] = {{"a", 1}, {NULL, 1}};
    size_t written;
    datablock_producer producer = open_producer();
    STATUS(datablock_write_batch(producer, 0, messages, 2, &written));
    CHECK(written == 1);
}

static void null_read_id(void) {
    open_producer();
    datablock_consumer consumer = attach(DATABLOCK_LATEST);
    STATUS(datablock_read_id(consumer, 0, 0, NULL));
}

static void null_producer_next_id(void) {
    datablock_producer producer = open_producer();
    STATUS(datablock_producer_next_id(producer, NULL));
}

static void null_consumer_resumed(void) {
    open_producer();
    datablock_consumer consumer = attach(DATABLOCK_LATEST);
    STATUS(datablock_consumer_resumed(consumer, NULL));
}

static void null_read_copy_buffer(void) {
    datablock_copied copied;
    open_producer();
    datablock_consumer consumer = attach(DATABLOCK_LATEST);
    STATUS(datablock_read_copy(consumer, 0, 0, NULL, 1, &copied));
}

static void null_read_copy_out(void) {
    char buffer[1];
    open_producer();
    datablock_consumer consumer = attach(DATABLOCK_LATEST);
    STATUS(datablock_read_copy(consumer, 0, 0, buffer, sizeof buffer, NULL));
}

static void read_copy_flags(void) {
    datablock_copied copied;
    open_producer();
    datablock_consumer consumer = attach(DATABLOCK_LATEST);
    STATUS(datablock_read_copy(consumer, 0, 2, NULL, 0, &copied));
}

static void read_copy_without_room(void) {
    char buffer[9];
    datablock_copied copied;
    datablock_producer producer = open_producer();
    datablock_consumer consumer = attach(DATABLOCK_LOSSLESS);
    CHECK_OK(datablock_write(producer, 0, "ten bytes.", 10, NULL));
    STATUS(datablock_read_copy(consumer, 0, 0, buffer, sizeof buffer, &copied));
    CHECK(copied.id == 0 && copied.length == 10);
}

static void null_read_verify(void) {
    open_producer();
    datablock_consumer consumer = attach(DATABLOCK_LATEST);
    STATUS(datablock_read_verify(consumer, NULL));
}

static void null_read_batch_out(void) {
    size_t count;
    open_producer();
    datablock_consumer consumer = attach(DATABLOCK_LATEST);
    STATUS(datablock_read_batch(consumer, 0, NULL, 1, &count));
}

static void null_read_batch_count(void) {
    datablock_read_slot slot;
    open_producer();
    datablock_consumer consumer = attach(DATABLOCK_LATEST);
    STATUS(datablock_read_batch(consumer, 0, &slot, 1, NULL));
}

static void empty_read_batch(void) {
    datablock_read_slot slot;
    size_t count;
    open_producer();
    datablock_consumer consumer = attach(DATABLOCK_LATEST);
    STATUS(datablock_read_batch(consumer, 0, &slot, 0, &count));
}

static void null_read_batch_end(void) {
    open_producer();
    datablock_consumer consumer = attach(DATABLOCK_LATEST);
    STATUS(datablock_read_batch_end(consumer, NULL, 1));
}

static void null_wait_any_consumers(void) {
    bool ready;
    STATUS(datablock_wait_any(NULL, 1, 0, &ready));
}

static void null_wait_any_ready(void) {
    open_producer();
    datablock_consumer consumer = attach(DATABLOCK_LATEST);
    STATUS(datablock_wait_any(&consumer, 1, 0, NULL));
}

static void wait_any_of_none(void) {
    bool ready;
    open_producer();
    datablock_consumer consumer = attach(DATABLOCK_LATEST);
    STATUS(datablock_wait_any(&consumer, 0, 0, &ready));
}

static void wait_any_timeout_negative(void) {
    bool ready;
    open_producer();
    datablock_consumer consumer = attach(DATABLOCK_LATEST);
    STATUS(datablock_wait_any(&consumer, 1, -2, &ready));
}

static void wait_any_nothing(void) {
    bool ready;
    open_producer();
    datablock_consumer consumer = attach(DATABLOCK_LATEST);
    STATUS(datablock_wait_any(&consumer, 1, 30, &ready));
}

static void wait_any_of_closed(void) {
    bool ready;
    open_producer();
    datablock_consumer consumer = attach(DATABLOCK_LATEST);
    CHECK_OK(datablock_consumer_close(consumer));
    STATUS(datablock_wait_any(&consumer, 1, 0, &ready));
}

static datablock_observer look(void) {
    datablock_observer observer;
    datablock_consumer_options options = options_of(DATABLOCK_DELIVERY_DEFAULT);
    options.name = NULL;
    CHECK_OK(datablock_observer_open(BLOCK, &options, &observer));
    observers[observer_count++] = observer;
    return observer;
}

static void null_observer_open_name(void) {
    datablock_observer observer;
    STATUS(datablock_observer_open(NULL, NULL, &observer));
}

static void null_observer_open_out(void) {
    STATUS(datablock_observer_open("camera", NULL, NULL));
}

static void null_observe_buffer(void) {
    datablock_observation seen;
    open_producer();
    datablock_observer observer = look();
    STATUS(datablock_observe(observer, 0, NULL, 1, &seen));
}

static void null_observe_out(void) {
    char buffer[1];
    open_producer();
    datablock_observer observer = look();
    STATUS(datablock_observe(observer, 0, buffer, 1, NULL));
}

static void null_schema_of_observer(void) {
    open_producer();
    datablock_observer observer = look();
    STATUS(datablock_schema_of_observer(observer, NULL));
}

static void observer_with_a_place(void) {
    datablock_observer observer;
    datablock_consumer_options options = options_of(DATABLOCK_LATEST);
    open_producer();
    STATUS(datablock_observer_open(BLOCK, &options, &observer));
}

static void observe_nothing(void) {
    datablock_observation seen;
    open_producer();
    datablock_observer observer = look();
    STATUS(datablock_observe(observer, DATABLOCK_NEWEST, NULL, 0, &seen));
}

static void observe_unwritten(void) {
    datablock_observation seen;
    open_producer();
    datablock_observer observer = look();
    STATUS(datablock_observe(observer, 3, NULL, 0, &seen));
}

static void handle_of_observer(void) {
    datablock_read_slot in;
    open_producer();
    datablock_observer observer = look();
    STATUS(datablock_read_begin((datablock_consumer){observer.handle}, 0, &in));
}

static void long_write(void) {
    char text[SLOT_SIZE + 1] = {0};
    datablock_producer producer = open_producer();
    STATUS(datablock_write(producer, 0, text, sizeof text, NULL));
}

static void null_force_reset_all(void) {
    RECOVERY(datablock_force_reset_all_slots(NULL, false));
}

static void null_evict(void) {
    RECOVERY(datablock_evict_consumer(NULL, 1, true));
}

static void null_list_participants(void) {
    datablock_participant_info info;
    NUMBER(datablock_list_participants(NULL, &info, 1));
}

static void null_list_participants_out(void) {
    open_producer();
    NUMBER(datablock_list_participants(data_path(), NULL, 1));
}

static void null_recovery_log(void) {
    datablock_recovery_record record;
    NUMBER(datablock_recovery_log(NULL, &record, 1));
}

static void null_get_metrics_name(void) {
    datablock_metrics metrics;
    STATUS(datablock_get_metrics(NULL, &metrics));
}

static void null_get_metrics_out(void) {
    open_producer();
    STATUS(datablock_get_metrics(data_path(), NULL));
}

static void null_validate_name(void) {
    IntegrityCheck check;
    NUMBER(datablock_validate_integrity(NULL, &check));
}

static void null_validate_out(void) { NUMBER(datablock_validate_integrity("camera", NULL)); }
static void null_repair(void) { RECOVERY(datablock_repair(NULL, false, NULL)); }
static void null_auto_recover(void) { NUMBER(datablock_auto_recover(NULL, true, NULL, NULL)); }

static void null_secret(void) {
    datablock_config config = config_of(DATABLOCK_RING);
    config.secret_length = 5;
    STATUS(try_producer(config));
}

/* ---- Cases: names and directories ------------------------------------------------------------ */

static void name_empty(void) { STATUS(try_name("")); }

static void name_slash(void) {
    datablock_config config = config_of(DATABLOCK_RING);
    datablock_producer producer;
    config.directory = NULL;
    STATUS(datablock_producer_open("/", &config, &producer));
}

static void name_with_slash(void) { STATUS(try_name("left/camera")); }
static void name_leading_dot(void) { STATUS(try_name(".camera")); }
static void name_leading_dash(void) { STATUS(try_name("-camera")); }
static void name_control(void) { STATUS(try_name("camera.ctl")); }
static void name_characters(void) { STATUS(try_name("camera 1")); }
static void name_not_ascii(void) { STATUS(try_name("kamera-\303\244")); }

static void name_too_long(void) {
    char name[202];
    memset(name, 'n', 201);
    name[201] = '\0';
    STATUS(try_name(name));
}

static void name_outside_directory(void) { STATUS(try_name("/dev/shm/camera")); }

static void name_consumer(void) {
    datablock_consumer consumer;
    STATUS(datablock_consumer_open(".camera", NULL, &consumer));
}

static void name_unlink(void) { STATUS(datablock_unlink(".camera", 0)); }

static void directory_relative(void) {
    datablock_config config = config_of(DATABLOCK_RING);
    config.directory = "blocks";
    STATUS(try_producer(config));
}

static void directory_empty(void) {
    datablock_config config = config_of(DATABLOCK_RING);
    config.directory = "";
    STATUS(try_producer(config));
}

static void directory_empty_consumer(void) {
    datablock_consumer_options options = options_of(DATABLOCK_LATEST);
    options.directory = "";
    STATUS(try_consumer(options));
}

static void directory_variable_relative(void) {
    datablock_config config = config_of(DATABLOCK_RING);
    config.directory = NULL;
    setenv("DATABLOCK_DIR", "blocks", 1);
    STATUS(try_producer(config));
}

static void directory_variable_too_long(void) {
    static char value[5000];
    datablock_config config = config_of(DATABLOCK_RING);
    config.directory = NULL;
    memset(value, '/', sizeof value - 1);
    setenv("DATABLOCK_DIR", value, 1);
    STATUS(try_producer(config));
}

static void directory_missing(void) {
    datablock_config config = config_of(DATABLOCK_RING);
    config.directory = path_of("missing");
    STATUS(try_producer(config));
}

static void directory_missing_consumer(void) {
    datablock_consumer_options options = options_of(DATABLOCK_LATEST);
    options.directory = path_of("missing");
    STATUS(try_consumer(options));
}

static void directory_is_file(void) {
    datablock_config config = config_of(DATABLOCK_RING);
    make_file("file", 1);
    config.directory = path_of("file");
    STATUS(try_producer(config));
}

static void directory_name_too_long(void) {
    static char long_name[300];
    datablock_config config = config_of(DATABLOCK_RING);
    memset(long_name, 'd', sizeof long_name - 1);
    config.directory = path_of(long_name);
    STATUS(try_producer(config));
}

/* ---- Cases: configuration -------------------------------------------------------------------- */

#define WRONG_CONFIG(name, policy, field, value)                                                   \
    static void name(void) {                                                                       \
        datablock_config config = config_of(policy);                                               \
        config.field = value;                                                                      \
        STATUS(try_producer(config));                                                              \
    }

WRONG_CONFIG(slot_size_zero, DATABLOCK_RING, slot_size, 0)
WRONG_CONFIG(slot_size_absurd, DATABLOCK_RING, slot_size, UINT64_C(1) << 63)
WRONG_CONFIG(slot_count_absurd, DATABLOCK_RING, slot_count, 1048577)
WRONG_CONFIG(slot_count_single, DATABLOCK_SINGLE, slot_count, 3)
WRONG_CONFIG(slot_count_double_buffer, DATABLOCK_DOUBLE_BUFFER, slot_count, 3)
WRONG_CONFIG(alignment_odd, DATABLOCK_RING, alignment, 48)
WRONG_CONFIG(alignment_large, DATABLOCK_RING, alignment, 8192)
WRONG_CONFIG(consumer_limit_large, DATABLOCK_RING, consumer_limit, 256)
WRONG_CONFIG(spare_slots_few, DATABLOCK_RING, spare_slots, 1)
WRONG_CONFIG(spare_slots_many, DATABLOCK_RING, spare_slots, 4194304)
WRONG_CONFIG(min_consumers_large, DATABLOCK_RING, min_consumers, 17)
static void min_consumers_without_spare(void) {
    datablock_config config = config_of(DATABLOCK_RING);
    config.min_consumers = config.spare_slots = 2;
    STATUS(try_producer(config));
}

WRONG_CONFIG(mode_execute, DATABLOCK_RING, mode, 0777)
WRONG_CONFIG(mode_without_read, DATABLOCK_RING, mode, 0200)
WRONG_CONFIG(flags_unknown, DATABLOCK_RING, flags, 1u << 9)
WRONG_CONFIG(flags_force_alone, DATABLOCK_RING, flags, DATABLOCK_FLAG_FORCE)
WRONG_CONFIG(policy_unknown, DATABLOCK_RING, policy, 4)
WRONG_CONFIG(checksum_unknown, DATABLOCK_RING, checksum, 3)
WRONG_CONFIG(algorithm_unknown, DATABLOCK_RING, algorithm, 3)
WRONG_CONFIG(algorithm_without, DATABLOCK_RING, algorithm, DATABLOCK_ALGORITHM_BLAKE2B)
WRONG_CONFIG(retention_absurd, DATABLOCK_RING, retention_ms, UINT64_MAX)
WRONG_CONFIG(zone_absurd, DATABLOCK_RING, zone_size, UINT64_MAX)
WRONG_CONFIG(reserved, DATABLOCK_RING, reserved[1], 9)
WRONG_CONFIG(size_zero, DATABLOCK_RING, size, 0)
WRONG_CONFIG(size_small, DATABLOCK_RING, size, 128)

static void policy_unknown_init(void) {
    datablock_config config;
    STATUS(datablock_config_init(&config, (datablock_policy)0));
}

static void size_init(void) {
    datablock_config config;
    STATUS(datablock_config_init_sized(&config, 100, DATABLOCK_RING));
}

static void options_size_init(void) {
    datablock_consumer_options options;
    STATUS(datablock_consumer_options_init_sized(&options, 100000));
}

static void size_newer(void) {
    struct {
        datablock_config config;
        uint64_t newer;
    } larger = {config_of(DATABLOCK_RING), 1};
    datablock_producer producer;
    larger.config.size = sizeof larger;
    STATUS(datablock_producer_open(BLOCK, &larger.config, &producer));
}

static void secret_too_long(void) {
    static char secret[1025];
    datablock_config config = config_of(DATABLOCK_RING);
    config.secret = secret;
    config.secret_length = sizeof secret;
    STATUS(try_producer(config));
}

#define WRONG_OPTION(name, field, value)                                                           \
    static void name(void) {                                                                       \
        datablock_consumer_options options = options_of(DATABLOCK_LATEST);                         \
        open_producer();                                                                           \
        options.field = value;                                                                     \
        STATUS(try_consumer(options));                                                             \
    }

WRONG_OPTION(delivery_unknown, delivery, 4)
WRONG_OPTION(delivery_absurd, delivery, 257)
WRONG_OPTION(start_unknown, start, 2)
WRONG_OPTION(max_pins_large, max_pins, 9)
WRONG_OPTION(durable_unknown, durable, 2)
WRONG_OPTION(options_reserved0, reserved0, 1) WRONG_OPTION(options_reserved, reserved[0], 1)
WRONG_OPTION(options_size, size, 4)
WRONG_OPTION(consumer_name_too_long, name, "0123456789012345678901234567890123456789012345678901234567890123")
WRONG_OPTION(consumer_secret_null, secret_length, 5)
WRONG_OPTION(wait_negative, wait_ms, -2)

static void durable_without_name(void) {
    datablock_consumer_options options = options_of(DATABLOCK_LATEST);
    open_producer();
    options.durable = 1;
    options.name = NULL;
    STATUS(try_consumer(options));
}

static void lossless_forbidden(void) {
    open_as(config_of(DATABLOCK_SINGLE));
    STATUS(try_consumer(options_of(DATABLOCK_LOSSLESS)));
}

static void lossless_forbidden_ring(void) {
    datablock_config config = config_of(DATABLOCK_RING);
    config.flags |= DATABLOCK_FLAG_FORBID_LOSSLESS;
    open_as(config);
    STATUS(try_consumer(options_of(DATABLOCK_LOSSLESS)));
}

static void reclaim_without_lossless(void) {
    datablock_config config = config_of(DATABLOCK_SINGLE);
    config.flags |= DATABLOCK_FLAG_RECLAIM;
    STATUS(try_producer(config));
}

/* ---- Cases: secrets -------------------------------------------------------------------------- */

static void make_secret_block(const char *secret) {
    datablock_config config = config_of(DATABLOCK_RING);
    config.secret = secret;
    config.secret_length = strlen(secret);
    open_as(config);
}

static datablock_status try_secret(const char *secret) {
    datablock_consumer_options options = options_of(DATABLOCK_LATEST);
    options.secret = secret;
    options.secret_length = strlen(secret);
    return try_consumer(options);
}

static void secret_wrong(void) {
    make_secret_block("sesame");
    STATUS(try_secret("barley"));
}

static void secret_missing(void) {
    make_secret_block("sesame");
    STATUS(try_secret(""));
}

static void secret_unexpected(void) {
    make_secret_block("");
    STATUS(try_secret("sesame"));
}

static void secret_wrong_producer(void) {
    make_secret_block("sesame");
    STATUS(try_producer(config_of(DATABLOCK_RING)));
}

/* ---- Cases: permissions ---------------------------------------------------------------------- */

static void access_directory(void) {
    datablock_config config = config_of(DATABLOCK_RING);
    CHECK(mkdir(path_of("private"), 0700) == 0);
    config.directory = path_of("private");
    forbid(config.directory);
    STATUS(try_producer(config));
}

static void access_consumer(void) {
    open_producer();
    forbid(data_path());
    STATUS(try_consumer(options_of(DATABLOCK_LATEST)));
}

static void access_producer(void) {
    make_block();
    forbid(data_path());
    STATUS(try_producer(config_of(DATABLOCK_RING)));
}

static void access_control(void) {
    datablock_config config = config_of(DATABLOCK_RING);
    config.mode = 0644; /* other users may read the messages, but not attach */
    open_as(config);
    forbid(control_path());
    STATUS(try_consumer(options_of(DATABLOCK_LATEST)));
}

static void access_unlink(void) {
    make_block();
    forbid(data_path());
    STATUS(datablock_unlink(data_path(), 0));
}

static void access_list(void) {
    size_t count;
    CHECK(mkdir(path_of("private"), 0700) == 0);
    forbid(path_of("private"));
    STATUS(datablock_list(path_of("private"), NULL, 0, &count));
}

static void access_diagnose(void) {
    SlotDiagnostic diagnostic;
    make_block();
    forbid(data_path());
    NUMBER(datablock_diagnose_slot(data_path(), 0, &diagnostic));
}

/* ---- Cases: opening -------------------------------------------------------------------------- */

static void block_missing(void) { STATUS(try_consumer(options_of(DATABLOCK_LATEST))); }

static void block_missing_in_time(void) {
    datablock_consumer_options options = options_of(DATABLOCK_LATEST);
    options.wait_ms = 5;
    STATUS(try_consumer(options));
}

static void second_producer(void) {
    open_producer();
    STATUS(try_producer(config_of(DATABLOCK_RING)));
}

static void second_producer_replaces(void) {
    datablock_config config = config_of(DATABLOCK_RING);
    open_producer();
    config.slot_count = 5;
    config.flags |= DATABLOCK_FLAG_REPLACE;
    STATUS(try_producer(config));
}

/* The object stays until the end of the process. */
static datablock_schema schema_of(const char *text) {
    static datablock_schema made[8];
    static size_t count;
    CHECK_OK(datablock_schema_parse(text, &made[count]));
    return made[count++];
}

static void schema_differs(void) {
    datablock_schema has = schema_of("schema Sample 1.2.0 { time: u64; value: f64; }"),
        wanted = schema_of("schema Sample 1.2.0 { time: u64; value: f32; }");
    datablock_config config = config_of(DATABLOCK_RING);
    datablock_consumer_options options = options_of(DATABLOCK_LATEST);
    config.schema = &has;
    options.schema = &wanted;
    open_as(config);
    STATUS(try_consumer(options));
}

static void schema_of_producer_differs(void) {
    datablock_schema has = schema_of("schema Sample 1.2.0 { time: u64; value: f64; }"),
        other = schema_of("schema Sample 1.3.0 { time: u64; value: f64; more: u8; }");
    datablock_config config = config_of(DATABLOCK_RING);
    config.schema = &has;
    CHECK_OK(datablock_producer_close(open_as(config)));
    config.schema = &other;
    STATUS(try_producer(config));
}

static void schema_missing(void) {
    datablock_schema wanted = schema_of("schema Sample 1.2.0 { time: u64; }");
    datablock_consumer_options options = options_of(DATABLOCK_LATEST);
    options.schema = &wanted;
    open_producer();
    STATUS(try_consumer(options));
}

static void zone_schema_differs(void) {
    datablock_schema has = schema_of("schema Settings 1.0.0 { gain: f64; }"),
        wanted = schema_of("schema Settings 1.0.0 { gain: f32; }");
    datablock_config config = config_of(DATABLOCK_RING);
    datablock_consumer_options options = options_of(DATABLOCK_LATEST);
    config.zone_schema = &has;
    options.zone_schema = &wanted;
    open_as(config);
    STATUS(try_consumer(options));
}

static void zone_schema_of_producer_differs(void) {
    datablock_schema has = schema_of("schema Settings 1.0.0 { gain: f64; }");
    datablock_config config = config_of(DATABLOCK_RING);
    config.zone_schema = &has;
    CHECK_OK(datablock_producer_close(open_as(config)));
    config.zone_schema = NULL;
    STATUS(try_producer(config));
}

static void zone_schema_missing(void) {
    datablock_schema wanted = schema_of("schema Settings 1.0.0 { gain: f64; }");
    datablock_consumer_options options = options_of(DATABLOCK_LATEST);
    options.zone_schema = &wanted;
    open_producer();
    STATUS(try_consumer(options));
}

static void zone_too_small(void) {
    datablock_schema has = schema_of("schema Settings 1.0.0 { gain: f64; }");
    datablock_config config = config_of(DATABLOCK_RING);
    config.zone_schema = &has;
    config.zone_size = 4;
    STATUS(try_producer(config));
}

/* A producer whose messages have 16 bytes. */
static datablock_producer of_samples(void) {
    datablock_schema has = schema_of("schema Sample 1.2.0 { time: u64; value: f64; }");
    datablock_config config = config_of(DATABLOCK_RING);
    config.schema = &has;
    return open_as(config);
}

static void commit_shorter_than_schema(void) {
    datablock_write_slot slot;
    datablock_producer producer = of_samples();
    CHECK_OK(datablock_write_begin(producer, 0, &slot));
    STATUS(datablock_write_commit(producer, &slot, 8));
}

static void write_shorter_than_schema(void) {
    datablock_producer producer = of_samples();
    STATUS(datablock_write(producer, 0, "8 bytes.", 8, NULL));
}

static void registry_relative(void) {
    datablock_schema found;
    STATUS(datablock_schema_lookup("Sample", "schemas", &found));
}

/* A registry in the block's directory, with one schema, during the provoked call. */
static datablock_consumer_options with_registry(const char *reference, const datablock_schema *schema) {
    static char registry[300];
    static datablock_consumer_options options;
    snprintf(registry, sizeof registry, "%s/registry", directory);
    datablock_schema sample = schema_of("schema Sample 1.2.0 { time: u64; value: f64; }");
    CHECK_OK(datablock_schema_register(&sample, registry));
    options = options_of(DATABLOCK_LATEST);
    options.registry = registry;
    options.registered = reference;
    options.schema = schema;
    return options;
}

static void without_registry(void) {
    char path[400];
    snprintf(path, sizeof path, "%s/registry/Sample@1.2.0.schema", directory);
    CHECK(unlink(path) == 0);
    snprintf(path, sizeof path, "%s/registry", directory);
    CHECK(rmdir(path) == 0);
}

static void registered_differs(void) {
    datablock_schema own = schema_of("schema Sample 1.2.0 { time: u64; value: f32; }");
    datablock_consumer_options options;
    open_producer();
    options = with_registry("Sample@1", &own);
    STATUS(try_consumer(options));
    without_registry();
}

static void registered_missing(void) {
    datablock_consumer_options options;
    open_producer();
    options = with_registry("Sample@2", NULL);
    STATUS(try_consumer(options));
    without_registry();
}

static void registered_reference(void) {
    datablock_consumer_options options;
    open_producer();
    options = with_registry("Sample 1", NULL);
    STATUS(try_consumer(options));
    without_registry();
}

static void registered_empty(void) {
    datablock_consumer_options options = options_of(DATABLOCK_LATEST);
    options.registered = "";
    open_producer();
    STATUS(try_consumer(options));
}

static void geometry_differs(void) {
    datablock_config config = config_of(DATABLOCK_RING);
    make_block();
    config.slot_count = 8;
    config.slot_size = 200;
    config.flags |= DATABLOCK_FLAG_TIMESTAMP;
    STATUS(try_producer(config));
}

static void geometry_policy(void) {
    make_block();
    STATUS(try_producer(config_of(DATABLOCK_SINGLE)));
}

static void consumers_full(void) {
    datablock_config config = config_of(DATABLOCK_RING);
    config.consumer_limit = 1;
    open_as(config);
    attach(DATABLOCK_LATEST);
    STATUS(try_consumer(options_of(DATABLOCK_LATEST)));
}

static void no_spare(void) {
    datablock_config config = config_of(DATABLOCK_RING);
    datablock_consumer_options options = options_of(DATABLOCK_LATEST);
    config.spare_slots = 3;
    open_as(config);
    attach(DATABLOCK_LATEST);
    options.max_pins = 2;
    STATUS(try_consumer(options));
}

static datablock_consumer_options durable_options(datablock_delivery delivery) {
    datablock_consumer_options options = options_of(delivery);
    options.durable = 1;
    options.name = "logger";
    return options;
}

static void durable_in_use(void) {
    open_producer();
    attach_as(durable_options(DATABLOCK_LOSSLESS));
    STATUS(try_consumer(durable_options(DATABLOCK_LOSSLESS)));
}

static void durable_other_delivery(void) {
    open_producer();
    CHECK_OK(datablock_consumer_close(attach_as(durable_options(DATABLOCK_LOSSLESS))));
    STATUS(try_consumer(durable_options(DATABLOCK_ORDERED)));
}

static void replacement_unfinished(void) {
    make_block();
    poke(data_path(), DATABLOCK_LAYOUT_STATE, DATABLOCK_LAYOUT_STATE_SUPERSEDED);
    STATUS(try_consumer(options_of(DATABLOCK_LATEST)));
}

static void lock_byte(int fd, uint64_t at) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)at, .l_len = 1};
    CHECK(fcntl(fd, F_OFD_SETLK, &lock) == 0);
}

/* A cleaner that does not end, for example because a debugger has stopped it. */
static void rows_being_cleaned(void) {
    datablock_config config = config_of(DATABLOCK_RING);
    config.consumer_limit = 1;
    open_as(config);
    int fd = open(control_path(), O_RDWR | O_CLOEXEC);
    CHECK(fd >= 0);
    lock_byte(fd, DATABLOCK_LAYOUT_LOCK_ROWS + DATABLOCK_LAYOUT_LOCK_STRIDE + DATABLOCK_LAYOUT_LOCK_CLEANING);
    lock_byte(fd, DATABLOCK_LAYOUT_LOCK_ROWS + DATABLOCK_LAYOUT_LOCK_STRIDE);
    STATUS(try_consumer(options_of(DATABLOCK_LATEST)));
    close(fd);
}

static void descriptors_exhausted(void) {
    int lowest = open("/dev/null", O_RDONLY | O_CLOEXEC);
    CHECK(lowest >= 0);
    close(lowest);
    struct rlimit limit, none;
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    none = limit;
    none.rlim_cur = (rlim_t)lowest;
    datablock_config config = config_of(DATABLOCK_RING);
    struct files before = files();
    CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
    datablock_status status = try_producer(config);
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    record_status(before, status);
}

static void diagnose_descriptors_exhausted(void) {
    int lowest = open("/dev/null", O_RDONLY | O_CLOEXEC);
    CHECK(lowest >= 0);
    close(lowest);
    struct rlimit limit, none;
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    none = limit;
    none.rlim_cur = (rlim_t)lowest;
    open_producer();
    lowest = open("/dev/null", O_RDONLY | O_CLOEXEC);
    CHECK(lowest >= 0);
    close(lowest);
    none.rlim_cur = (rlim_t)lowest;
    SlotDiagnostic out;
    struct files before = files();
    CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
    int result = datablock_diagnose_slot(BLOCK, 0, &out);
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    record_number(before, result);
}

/* ---- Cases: files that are no block ---------------------------------------------------------- */

static void file_foreign(void) {
    make_file(BLOCK, 8192);
    STATUS(try_consumer(options_of(DATABLOCK_LATEST)));
}

static void file_foreign_producer(void) {
    make_file(BLOCK, 8192);
    STATUS(try_producer(config_of(DATABLOCK_RING)));
}

static void file_empty(void) {
    make_file(BLOCK, 0);
    STATUS(try_consumer(options_of(DATABLOCK_LATEST)));
}

static void file_directory(void) {
    CHECK(mkdir(data_path(), 0700) == 0);
    STATUS(try_consumer(options_of(DATABLOCK_LATEST)));
}

static void file_directory_producer(void) {
    CHECK(mkdir(data_path(), 0700) == 0);
    STATUS(try_producer(config_of(DATABLOCK_RING)));
}

static void file_fifo(void) {
    CHECK(mkfifo(data_path(), 0600) == 0);
    STATUS(try_consumer(options_of(DATABLOCK_LATEST)));
}

static void file_symbolic_link(void) {
    make_file("elsewhere", 8192);
    CHECK(symlink("elsewhere", data_path()) == 0);
    STATUS(try_consumer(options_of(DATABLOCK_LATEST)));
}

static void file_symbolic_link_producer(void) {
    CHECK(symlink("nowhere", data_path()) == 0);
    STATUS(try_producer(config_of(DATABLOCK_RING)));
}

static void file_renamed(void) {
    make_block();
    CHECK(rename(data_path(), path_of("microphone")) == 0);
    datablock_consumer_options options = options_of(DATABLOCK_LATEST);
    datablock_consumer consumer;
    STATUS(datablock_consumer_open("microphone", &options, &consumer));
}

static void file_copied(void) {
    make_block();
    CHECK(link(data_path(), path_of("microphone")) == 0); /* a second name looks like a copy */
    datablock_consumer_options options = options_of(DATABLOCK_LATEST);
    datablock_consumer consumer;
    STATUS(datablock_consumer_open("microphone", &options, &consumer));
}

static void format_version(void) {
    make_block();
    poke(data_path(), DATABLOCK_LAYOUT_HDR_MAJOR, 3 | UINT64_C(3) << 32);
    STATUS(try_consumer(options_of(DATABLOCK_LATEST)));
}

/* ---- Cases: damaged blocks ------------------------------------------------------------------- */

static void data_truncated(void) {
    make_block();
    CHECK(truncate(data_path(), 8192) == 0);
    STATUS(try_consumer(options_of(DATABLOCK_LATEST)));
}

static void data_extended(void) {
    make_block();
    CHECK(truncate(data_path(), 1 << 20) == 0);
    STATUS(try_producer(config_of(DATABLOCK_RING)));
}

static void header_damaged(void) {
    make_block();
    poke(data_path(), DATABLOCK_LAYOUT_HDR_SLOT_SIZE, 1 << 30);
    STATUS(try_consumer(options_of(DATABLOCK_LATEST)));
}

static void control_missing(void) {
    make_block();
    CHECK(unlink(control_path()) == 0);
    STATUS(try_consumer(options_of(DATABLOCK_LATEST)));
}

static void control_truncated(void) {
    make_block();
    CHECK(truncate(control_path(), 4096) == 0);
    STATUS(try_consumer(options_of(DATABLOCK_LATEST)));
}

static void control_foreign(void) {
    make_block();
    poke(control_path(), DATABLOCK_LAYOUT_CTL_BLOCK_ID, 1);
    STATUS(try_consumer(options_of(DATABLOCK_LATEST)));
}

static void control_of_another(void) {
    make_block();
    char own[4096];
    snprintf(own, sizeof own, "%s", control_path());
    CHECK(unlink(own) == 0);
    datablock_config config = config_of(DATABLOCK_RING);
    datablock_producer other;
    CHECK_OK(datablock_producer_open("microphone", &config, &other));
    CHECK_OK(datablock_producer_close(other));
    CHECK(rename(control_path(), own) == 0);
    STATUS(try_consumer(options_of(DATABLOCK_LATEST)));
}

static void control_directory(void) {
    make_block();
    char path[4096];
    snprintf(path, sizeof path, "%s", control_path());
    CHECK(unlink(path) == 0 && mkdir(path, 0700) == 0);
    STATUS(try_consumer(options_of(DATABLOCK_LATEST)));
}

static void control_other_owner(void) {
    make_block();
    if (chown(control_path(), geteuid() + 1, getegid()) != 0) {
        skip("the owner of a file cannot be changed: run as root");
        return;
    }
    STATUS(try_consumer(options_of(DATABLOCK_LATEST)));
}

static void ring_damaged(void) {
    make_block();
    poke(data_path(), entry_of(0), UINT64_C(1) << 24 | UINT64_C(999) << 2);
    STATUS(try_producer(config_of(DATABLOCK_RING)));
}

static void ring_contradicts_slot(void) {
    make_block();
    poke(data_path(), entry_of(0), peek(data_path(), entry_of(0)) + (UINT64_C(1) << 24));
    STATUS(try_producer(config_of(DATABLOCK_RING)));
}

static void slot_header_damaged(void) {
    datablock_producer producer = open_producer();
    datablock_consumer consumer = attach(DATABLOCK_LOSSLESS);
    datablock_write_slot out = claim(producer);
    datablock_read_slot in;
    CHECK_OK(datablock_write_commit(producer, &out, 10));
    poke(data_path(), slot_header(out.index) + DATABLOCK_LAYOUT_SLOT_LENGTH, 1 << 20);
    STATUS(datablock_read_begin(consumer, 0, &in));
}

static void truncated_while_reading(void) {
    datablock_producer producer = open_producer();
    datablock_consumer consumer = attach(DATABLOCK_LOSSLESS);
    datablock_read_slot in;
    write_messages(producer, 1);
    CHECK(truncate(data_path(), 0) == 0);
    STATUS(datablock_read_begin(consumer, 0, &in));
}

static void truncated_while_waiting(void) {
    datablock_read_slot in;
    open_producer();
    datablock_consumer consumer = attach(DATABLOCK_LOSSLESS);
    CHECK(truncate(data_path(), (off_t)peek(data_path(), DATABLOCK_LAYOUT_HDR_DATA_SIZE) - 4096) == 0);
    STATUS(datablock_read_begin(consumer, 1000, &in));
}

static void truncated_while_writing(void) {
    datablock_write_slot out;
    datablock_producer producer = open_producer();
    CHECK(truncate(data_path(), 0) == 0);
    STATUS(datablock_write_begin(producer, 0, &out));
}

static void truncated_while_blocked(void) {
    datablock_write_slot out;
    datablock_producer producer = open_producer();
    attach(DATABLOCK_LOSSLESS);
    write_messages(producer, SLOTS);
    CHECK(truncate(data_path(), (off_t)peek(data_path(), DATABLOCK_LAYOUT_HDR_DATA_SIZE) - 4096) == 0);
    STATUS(datablock_write_begin(producer, 1000, &out));
}

static void truncated_before_commit(void) {
    datablock_producer producer = open_producer();
    datablock_write_slot out = claim(producer);
    CHECK(truncate(data_path(), 0) == 0);
    STATUS(datablock_write_commit(producer, &out, 1));
}

static void truncated_in_write(void) {
    datablock_producer producer = open_producer();
    CHECK(truncate(data_path(), 0) == 0);
    STATUS(datablock_write(producer, 0, "x", 1, NULL));
}

static void truncated_in_read_copy(void) {
    char buffer[100];
    datablock_copied copied;
    datablock_producer producer = open_producer();
    datablock_consumer consumer = attach(DATABLOCK_LOSSLESS);
    write_messages(producer, 1);
    CHECK(truncate(data_path(), 0) == 0);
    STATUS(datablock_read_copy(consumer, 0, 0, buffer, sizeof buffer, &copied));
}

static void truncated_before_close(void) {
    datablock_producer producer = open_producer();
    CHECK(truncate(data_path(), 0) == 0);
    STATUS(datablock_producer_close(producer));
}

static void control_truncated_while_reading(void) {
    datablock_read_slot in;
    open_producer();
    datablock_consumer consumer = attach(DATABLOCK_LOSSLESS);
    CHECK(truncate(control_path(), 0) == 0);
    STATUS(datablock_read_begin(consumer, 0, &in));
}

static void control_truncated_before_close(void) {
    open_producer();
    datablock_consumer consumer = attach(DATABLOCK_LOSSLESS);
    CHECK(truncate(control_path(), 0) == 0);
    STATUS(datablock_consumer_close(consumer));
}

/* ---- Cases: space ---------------------------------------------------------------------------- */

static void full_control(void) {
    if (in_small_directory("size=1m")) {
        make_file("small/ballast", (1 << 20) - 8192);
        STATUS(try_small(config_of(DATABLOCK_RING)));
    }
}

static void full_data(void) {
    if (in_small_directory("size=1m")) {
        datablock_config config = config_of(DATABLOCK_RING);
        config.slot_size = 100000;
        STATUS(try_small(config));
    }
}

static void full_of_files(void) {
    if (in_small_directory("size=1m,nr_inodes=2")) {
        STATUS(try_small(config_of(DATABLOCK_RING)));
    }
}

static void file_size_limit(void) {
    struct rlimit limit, low;
    CHECK(getrlimit(RLIMIT_FSIZE, &limit) == 0);
    low = limit;
    low.rlim_cur = 4096;
    CHECK(setrlimit(RLIMIT_FSIZE, &low) == 0);
    STATUS(try_producer(config_of(DATABLOCK_RING)));
}

/*
 * The call must fail at once, and not when memory is filled. Five seconds of processor time would
 * be enough to fill some gigabytes.
 */
static void block_absurd(void) {
    datablock_config config = config_of(DATABLOCK_RING);
    struct rlimit limit = {5, 5};
    CHECK(setrlimit(RLIMIT_CPU, &limit) == 0);
    config.slot_count = 1048576;
    config.slot_size = UINT64_C(1) << 40;
    STATUS(try_producer(config));
}

/* ---- Cases: handles -------------------------------------------------------------------------- */

static void handle_zero(void) {
    datablock_write_slot out;
    STATUS(datablock_write_begin((datablock_producer){0}, 0, &out));
}

static void handle_zero_consumer(void) {
    datablock_read_slot in;
    STATUS(datablock_read_begin((datablock_consumer){0}, 0, &in));
}

static void handle_closed(void) {
    datablock_read_slot in;
    open_producer();
    datablock_consumer consumer = attach(DATABLOCK_LATEST);
    CHECK_OK(datablock_consumer_close(consumer));
    STATUS(datablock_read_begin(consumer, 0, &in));
}

static void handle_closed_twice(void) {
    datablock_producer producer = open_producer();
    CHECK_OK(datablock_producer_close(producer));
    STATUS(datablock_producer_close(producer));
}

static void handle_closed_twice_consumer(void) {
    open_producer();
    datablock_consumer consumer = attach(DATABLOCK_LATEST);
    CHECK_OK(datablock_consumer_close(consumer));
    STATUS(datablock_consumer_close(consumer));
}

static void handle_stale(void) {
    datablock_read_slot in;
    open_producer();
    datablock_consumer consumer = attach(DATABLOCK_LATEST);
    CHECK_OK(datablock_consumer_close(consumer));
    attach(DATABLOCK_LATEST); /* takes the place of the closed handle */
    STATUS(datablock_read_begin(consumer, 0, &in));
}

static void handle_garbage(void) {
    datablock_read_slot in;
    STATUS(datablock_read_begin((datablock_consumer){UINT64_C(0xdeadbeefdeadbeee)}, 0, &in));
}

static void handle_of_producer(void) {
    datablock_read_slot in;
    datablock_producer producer = open_producer();
    STATUS(datablock_read_begin((datablock_consumer){producer.handle}, 0, &in));
}

static void handle_of_consumer(void) {
    open_producer();
    datablock_consumer consumer = attach(DATABLOCK_LATEST);
    STATUS(datablock_producer_close((datablock_producer){consumer.handle}));
}

/* ---- Cases: writing -------------------------------------------------------------------------- */

static void write_timeout_negative(void) {
    datablock_write_slot out;
    datablock_producer producer = open_producer();
    STATUS(datablock_write_begin(producer, -2, &out));
}

static void write_begin_twice(void) {
    datablock_producer producer = open_producer();
    datablock_write_slot out = claim(producer);
    STATUS(datablock_write_begin(producer, 0, &out));
}

static void commit_too_long(void) {
    datablock_producer producer = open_producer();
    datablock_write_slot out = claim(producer);
    STATUS(datablock_write_commit(producer, &out, SLOT_SIZE + 1));
}

static void commit_absurd(void) {
    datablock_producer producer = open_producer();
    datablock_write_slot out = claim(producer);
    STATUS(datablock_write_commit(producer, &out, SIZE_MAX));
}

static void commit_without_claim(void) {
    datablock_write_slot out = {0};
    datablock_producer producer = open_producer();
    STATUS(datablock_write_commit(producer, &out, 1));
}

static void commit_twice(void) {
    datablock_producer producer = open_producer();
    datablock_write_slot out = claim(producer);
    CHECK_OK(datablock_write_commit(producer, &out, 1));
    STATUS(datablock_write_commit(producer, &out, 1));
}

static void commit_other_slot(void) {
    datablock_producer producer = open_producer();
    datablock_write_slot out = claim(producer);
    out.id = 7;
    STATUS(datablock_write_commit(producer, &out, 1));
}

static void abort_without_claim(void) {
    datablock_write_slot out = {0};
    datablock_producer producer = open_producer();
    STATUS(datablock_write_abort(producer, &out));
}

static void write_held_up(void) {
    datablock_write_slot out;
    datablock_producer producer = open_producer();
    attach(DATABLOCK_LOSSLESS);
    write_messages(producer, SLOTS);
    STATUS(datablock_write_begin(producer, 20, &out));
}

static void write_held_up_polling(void) {
    datablock_write_slot out;
    datablock_producer producer = open_producer();
    attach(DATABLOCK_LOSSLESS);
    write_messages(producer, SLOTS);
    STATUS(datablock_write_begin(producer, 0, &out));
}

static void write_too_few_consumers(void) {
    datablock_write_slot out;
    datablock_config config = config_of(DATABLOCK_RING);
    config.min_consumers = 2;
    datablock_producer producer = open_as(config);
    attach(DATABLOCK_LATEST);
    write_messages(producer, SLOTS);
    STATUS(datablock_write_begin(producer, 20, &out));
}

/* Consumers cannot do this. Only a process that writes into the control file can. */
static void write_all_pinned(void) {
    datablock_write_slot out;
    datablock_config config = config_of(DATABLOCK_SINGLE);
    config.spare_slots = 2;
    datablock_producer producer = open_as(config);
    attach(DATABLOCK_LATEST);
    for (uint64_t slot = 0; slot < 3; slot++) {
        poke(control_path(), row_of(1) + DATABLOCK_LAYOUT_ROW_PINS + 8 * slot, slot + 1);
    }
    write_messages(producer, 3); /* all slots have been in the ring, and no slot that left the ring is free */
    STATUS(datablock_write_begin(producer, 20, &out));
}

static void commit_fenced(void) {
    datablock_producer producer = open_producer();
    datablock_write_slot out = claim(producer);
    /* as a forced recovery does */
    poke(data_path(), entry_of(out.id), peek(data_path(), entry_of(out.id)) | DATABLOCK_LAYOUT_ENTRY_FENCE);
    STATUS(datablock_write_commit(producer, &out, 1));
}

static datablock_producer replace_by_force(void) {
    datablock_config config = config_of(DATABLOCK_RING);
    config.flags |= DATABLOCK_FLAG_REPLACE | DATABLOCK_FLAG_FORCE;
    return open_as(config);
}

static void write_superseded(void) {
    datablock_write_slot out;
    datablock_producer producer = open_producer();
    replace_by_force();
    STATUS(datablock_write_begin(producer, 0, &out));
}

static void commit_superseded(void) {
    datablock_producer producer = open_producer();
    datablock_write_slot out = claim(producer);
    replace_by_force();
    STATUS(datablock_write_commit(producer, &out, 1));
}

static void write_unlinked(void) {
    datablock_write_slot out;
    datablock_producer producer = open_producer();
    CHECK_OK(datablock_unlink(data_path(), DATABLOCK_FLAG_FORCE));
    STATUS(datablock_write_begin(producer, 0, &out));
}

/* A program that becomes a daemon closes all descriptors. */
static void close_locks(void) {
    int closed = 0;
    for (int fd = 3; fd < 64; fd++) {
        char link[64], target[4096] = "";
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        if (readlink(link, target, sizeof target - 1) > 0 && strcmp(target, control_path()) == 0) {
            closed += close(fd) == 0;
        }
    }
    CHECK(closed > 0);
}

static void write_descriptor_closed(void) {
    datablock_write_slot out;
    datablock_producer producer = open_producer();
    close_locks();
    datablock_status status;
    double end = check_now() + 20;
    while ((status = datablock_write_begin(producer, 0, &out)) == DATABLOCK_OK && check_now() < end) {
        CHECK_OK(datablock_write_abort(producer, &out));
    }
    STATUS(status);
}

/* ---- Cases: reading -------------------------------------------------------------------------- */

static void read_timeout_negative(void) {
    datablock_read_slot in;
    open_producer();
    datablock_consumer consumer = attach(DATABLOCK_LATEST);
    STATUS(datablock_read_begin(consumer, -2, &in));
}

static void read_nothing(void) {
    datablock_read_slot in;
    open_producer();
    datablock_consumer consumer = attach(DATABLOCK_LOSSLESS);
    STATUS(datablock_read_begin(consumer, 20, &in));
}

static void read_nothing_polling(void) {
    datablock_read_slot in;
    open_producer();
    datablock_consumer consumer = attach(DATABLOCK_LATEST);
    STATUS(datablock_read_begin(consumer, 0, &in));
}

static void read_no_producer(void) {
    datablock_read_slot in;
    lived_and_died("@producer");
    datablock_consumer consumer = attach(DATABLOCK_LOSSLESS);
    STATUS(datablock_read_begin(consumer, 20, &in));
}

static void read_no_producer_polling(void) {
    datablock_read_slot in;
    lived_and_died("@producer");
    datablock_consumer consumer = attach(DATABLOCK_LOSSLESS);
    STATUS(datablock_read_begin(consumer, 0, &in));
}

static void read_end_of_stream(void) {
    datablock_read_slot in;
    datablock_producer producer = open_producer();
    datablock_consumer consumer = attach(DATABLOCK_LOSSLESS);
    CHECK_OK(datablock_producer_close(producer));
    STATUS(datablock_read_begin(consumer, -1, &in));
}

static void read_superseded(void) {
    datablock_read_slot in;
    open_producer();
    datablock_consumer consumer = attach(DATABLOCK_LOSSLESS);
    replace_by_force();
    STATUS(datablock_read_begin(consumer, -1, &in));
}

static void read_unlinked(void) {
    datablock_read_slot in;
    open_producer();
    datablock_consumer consumer = attach(DATABLOCK_LOSSLESS);
    CHECK_OK(datablock_unlink(data_path(), DATABLOCK_FLAG_FORCE));
    STATUS(datablock_read_begin(consumer, -1, &in));
}

/* As a forced recovery does. */
static void set_lost(uint64_t id) {
    poke(data_path(), entry_of(id), peek(data_path(), entry_of(id)) | DATABLOCK_LAYOUT_ENTRY_LOST);
}

static void read_lost(void) {
    datablock_read_slot in;
    datablock_producer producer = open_producer();
    datablock_consumer consumer = attach(DATABLOCK_LOSSLESS);
    write_messages(producer, 1);
    set_lost(0);
    STATUS(datablock_read_begin(consumer, 0, &in));
}

/* Lets the producer overtake a LOSSLESS consumer, as eviction does. */
static void overtake(datablock_producer producer) {
    write_messages(producer, 1);
    poke(control_path(), DATABLOCK_LAYOUT_CTL_LOSSLESS, 0);
    write_messages(producer, SLOTS);
}

static void read_overrun(void) {
    datablock_read_slot in;
    datablock_producer producer = open_producer();
    datablock_consumer consumer = attach(DATABLOCK_LOSSLESS);
    overtake(producer);
    STATUS(datablock_read_begin(consumer, 0, &in));
}

static void take_row_away(void) {
    uint64_t at = row_of(1) + DATABLOCK_LAYOUT_ROW_STATUS;
    poke(control_path(), at, peek(control_path(), at) + (UINT64_C(1) << 32)); /* the incarnation of a later owner */
}

static void read_fenced(void) {
    datablock_read_slot in;
    open_producer();
    datablock_consumer consumer = attach(DATABLOCK_LOSSLESS);
    take_row_away();
    STATUS(datablock_read_begin(consumer, 0, &in));
}

static void read_descriptor_closed(void) {
    datablock_read_slot in;
    open_producer();
    datablock_consumer consumer = attach(DATABLOCK_LOSSLESS);
    close_locks();
    STATUS(datablock_read_begin(consumer, 5000, &in));
}

static void read_too_many(void) {
    datablock_read_slot in;
    datablock_producer producer = open_producer();
    datablock_consumer consumer = attach(DATABLOCK_ORDERED);
    write_messages(producer, 2);
    read_message(consumer);
    STATUS(datablock_read_begin(consumer, 0, &in));
}

static void read_at_unwritten(void) {
    datablock_read_slot in;
    datablock_producer producer = open_producer();
    datablock_consumer consumer = attach(DATABLOCK_LATEST);
    write_messages(producer, 2);
    STATUS(datablock_read_at(consumer, 5, &in));
}

static void read_at_overwritten(void) {
    datablock_read_slot in;
    datablock_producer producer = open_producer();
    datablock_consumer consumer = attach(DATABLOCK_LATEST);
    write_messages(producer, SLOTS + 3);
    STATUS(datablock_read_at(consumer, 1, &in));
}

static void read_at_lost(void) {
    datablock_read_slot in;
    datablock_producer producer = open_producer();
    datablock_consumer consumer = attach(DATABLOCK_LATEST);
    write_messages(producer, 1);
    set_lost(0);
    STATUS(datablock_read_at(consumer, 0, &in));
}

static void read_at_too_many(void) {
    datablock_read_slot in;
    datablock_producer producer = open_producer();
    datablock_consumer consumer = attach(DATABLOCK_LATEST);
    write_messages(producer, 1);
    read_message(consumer);
    STATUS(datablock_read_at(consumer, 0, &in));
}

static void end_twice(void) {
    datablock_producer producer = open_producer();
    datablock_consumer consumer = attach(DATABLOCK_ORDERED);
    write_messages(producer, 1);
    datablock_read_slot in = read_message(consumer);
    CHECK_OK(datablock_read_end(consumer, &in));
    STATUS(datablock_read_end(consumer, &in));
}

/* A message of "x" whose first byte is changed without a commit. */
static datablock_producer write_damaged(datablock_checksum checksum) {
    datablock_config config = config_of(DATABLOCK_RING);
    config.checksum = checksum;
    datablock_producer producer = open_as(config);
    datablock_write_slot out = claim(producer);
    memset(out.data, 'x', 8);
    if (checksum == DATABLOCK_CHECKSUM_MANUAL) {
        CHECK_OK(datablock_write_checksum(producer, &out, 8));
    }
    CHECK_OK(datablock_write_commit(producer, &out, 8));
    poke(data_path(), slot_header(out.index) + DATABLOCK_LAYOUT_SLOT_HEADER, 'y');
    return producer;
}

static void read_checksum(void) {
    datablock_read_slot in;
    write_damaged(DATABLOCK_CHECKSUM_ENFORCED);
    datablock_consumer_options options = options_of(DATABLOCK_ORDERED);
    options.start = DATABLOCK_START_OLDEST;
    STATUS(datablock_read_begin(attach_as(options), 0, &in));
}

static void read_at_checksum(void) {
    datablock_read_slot in;
    write_damaged(DATABLOCK_CHECKSUM_ENFORCED);
    datablock_consumer consumer = attach(DATABLOCK_LATEST);
    STATUS(datablock_read_at(consumer, 0, &in));
}

static void verify_checksum(void) {
    write_damaged(DATABLOCK_CHECKSUM_MANUAL);
    datablock_consumer consumer = attach(DATABLOCK_LATEST);
    datablock_read_slot in = read_message(consumer);
    STATUS(datablock_read_verify(consumer, &in));
}

static void verify_without(void) {
    datablock_producer producer = open_producer();
    write_messages(producer, 1);
    datablock_consumer consumer = attach(DATABLOCK_LATEST);
    datablock_read_slot in = read_message(consumer);
    STATUS(datablock_read_verify(consumer, &in));
}

static void write_checksum_without(void) {
    datablock_producer producer = open_producer();
    datablock_write_slot out = claim(producer);
    STATUS(datablock_write_checksum(producer, &out, 8));
}

static datablock_participant sharer(void) { return datablock_of_producer(open_producer()); }

#define WITH_PRODUCER(name, call)                                                                  \
    static void name(void) {                                                                       \
        datablock_participant me = sharer();                                                       \
        STATUS(call);                                                                              \
    }

WITH_PRODUCER(null_zone, datablock_zone_begin(me, 0, 0, NULL))
WITH_PRODUCER(null_counter, datablock_counter_get(me, 0, NULL))
WITH_PRODUCER(lock_unknown, datablock_lock_acquire(me, 8, 0, NULL))
WITH_PRODUCER(lock_timeout_negative, datablock_lock_acquire(me, 0, -2, NULL))
WITH_PRODUCER(unlock_without, datablock_lock_release(me, 2))
WITH_PRODUCER(counter_unknown, datablock_counter_add(me, 8, 1, NULL))
WITH_PRODUCER(zone_end_without, datablock_zone_end(me, false))
static void handle_zero_participant(void) { STATUS(datablock_lock_acquire((datablock_participant){0}, 0, 0, NULL)); }

static void zone_flags(void) {
    datablock_participant producer = sharer();
    datablock_zone zone;
    STATUS(datablock_zone_begin(producer, 4, 0, &zone));
}

static void lock_held(void) {
    datablock_participant producer = sharer(), consumer = datablock_of_consumer(attach(DATABLOCK_LATEST));
    CHECK_OK(datablock_lock_acquire(consumer, 3, 0, NULL));
    STATUS(datablock_lock_acquire(producer, 3, 0, NULL));
}

static void zone_twice(void) {
    datablock_participant producer = sharer();
    datablock_zone zone;
    CHECK_OK(datablock_zone_begin(producer, 0, 0, &zone));
    STATUS(datablock_zone_begin(producer, 0, 0, &zone));
}

static void zone_changed(void) {
    datablock_participant producer = sharer();
    datablock_zone zone;
    CHECK_OK(datablock_zone_begin(producer, 0, 0, &zone));
    *(char *)zone.data = 1;
    CHECK_OK(datablock_zone_end(producer, true));
    STATUS(datablock_zone_begin(producer, 0, 0, &zone));
}

static void end_foreign(void) {
    datablock_producer producer = open_producer();
    datablock_consumer one = attach(DATABLOCK_ORDERED), two = attach(DATABLOCK_ORDERED);
    write_messages(producer, 2);
    datablock_read_slot first = read_message(one), second;
    CHECK_OK(datablock_read_end(one, &first));
    second = read_message(one);
    read_message(two);
    STATUS(datablock_read_end(two, &second));
}

static void end_out_of_order(void) {
    datablock_producer producer = open_producer();
    datablock_consumer_options options = options_of(DATABLOCK_LOSSLESS);
    options.max_pins = 2;
    datablock_consumer consumer = attach_as(options);
    write_messages(producer, 2);
    read_message(consumer);
    datablock_read_slot second = read_message(consumer);
    STATUS(datablock_read_end(consumer, &second));
}

static void null_read_undo(void) {
    open_producer();
    datablock_consumer consumer = attach(DATABLOCK_LATEST);
    STATUS(datablock_read_undo(consumer, NULL));
}

static void undo_twice(void) {
    datablock_producer producer = open_producer();
    datablock_consumer consumer = attach(DATABLOCK_LOSSLESS);
    write_messages(producer, 1);
    datablock_read_slot in = read_message(consumer);
    CHECK_OK(datablock_read_undo(consumer, &in));
    STATUS(datablock_read_undo(consumer, &in));
}

static void undo_out_of_order(void) {
    datablock_producer producer = open_producer();
    datablock_consumer_options options = options_of(DATABLOCK_LOSSLESS);
    options.max_pins = 2;
    datablock_consumer consumer = attach_as(options);
    write_messages(producer, 2);
    datablock_read_slot first = read_message(consumer);
    read_message(consumer);
    STATUS(datablock_read_undo(consumer, &first));
}

static void undo_fenced(void) {
    datablock_producer producer = open_producer();
    datablock_consumer consumer = attach(DATABLOCK_LATEST);
    write_messages(producer, 1);
    datablock_read_slot in = read_message(consumer);
    take_row_away();
    STATUS(datablock_read_undo(consumer, &in));
}

static void end_overrun(void) {
    datablock_config config = config_of(DATABLOCK_RING);
    config.spare_slots = 2;
    datablock_producer producer = open_as(config);
    datablock_consumer consumer = attach(DATABLOCK_LATEST);
    write_messages(producer, 1);
    datablock_read_slot in = read_message(consumer);
    /* The hazard pointer is gone: the control file was damaged. */
    poke(control_path(), row_of(1) + DATABLOCK_LAYOUT_ROW_PINS, 0);
    write_messages(producer, 3 * SLOTS);
    STATUS(datablock_read_end(consumer, &in));
}

static void end_fenced(void) {
    datablock_producer producer = open_producer();
    datablock_consumer consumer = attach(DATABLOCK_LATEST);
    write_messages(producer, 1);
    datablock_read_slot in = read_message(consumer);
    take_row_away();
    STATUS(datablock_read_end(consumer, &in));
}

/* ---- Cases: threads -------------------------------------------------------------------------- */

static struct {
    datablock_producer producer;
    datablock_consumer consumer;
} waiting;

static void *wait_as_consumer(void *provoke) {
    datablock_read_slot in;
    if (provoke != NULL) {
        STATUS(datablock_read_begin(waiting.consumer, -1, &in));
    } else {
        datablock_read_begin(waiting.consumer, -1, &in);
    }
    return NULL;
}

static void *wait_as_producer(void *unused) {
    datablock_write_slot out;
    STATUS(datablock_write_begin(waiting.producer, -1, &out));
    return unused;
}

static void read_closed_meanwhile(void) {
    pthread_t thread;
    open_producer();
    waiting.consumer = attach(DATABLOCK_LOSSLESS);
    CHECK(pthread_create(&thread, NULL, wait_as_consumer, &waiting) == 0);
    WAIT_UNTIL(peek(control_path(), row_of(1) + DATABLOCK_LAYOUT_ROW_WAITS) > 0, 10);
    CHECK_OK(datablock_consumer_close(waiting.consumer));
    CHECK(pthread_join(thread, NULL) == 0);
}

static void write_closed_meanwhile(void) {
    pthread_t thread;
    waiting.producer = open_producer();
    attach(DATABLOCK_LOSSLESS);
    write_messages(waiting.producer, SLOTS);
    CHECK(pthread_create(&thread, NULL, wait_as_producer, NULL) == 0);
    WAIT_UNTIL(peek(data_path(), DATABLOCK_LAYOUT_METRIC_WAITS) > 0, 10);
    CHECK_OK(datablock_producer_close(waiting.producer));
    CHECK(pthread_join(thread, NULL) == 0);
}

static void two_threads(void) {
    pthread_t thread;
    datablock_read_slot in;
    open_producer();
    waiting.consumer = attach(DATABLOCK_LOSSLESS);
    CHECK(pthread_create(&thread, NULL, wait_as_consumer, NULL) == 0);
    WAIT_UNTIL(peek(control_path(), row_of(1) + DATABLOCK_LAYOUT_ROW_WAITS) > 0, 10);
    STATUS(datablock_read_begin(waiting.consumer, 0, &in));
    CHECK_OK(datablock_consumer_close(waiting.consumer));
    CHECK(pthread_join(thread, NULL) == 0);
}

/* ---- Cases: housekeeping --------------------------------------------------------------------- */

static void unlink_missing(void) { STATUS(datablock_unlink(data_path(), 0)); }

static void unlink_flags(void) {
    make_block();
    STATUS(datablock_unlink(data_path(), DATABLOCK_FLAG_REPLACE));
}

static void unlink_with_producer(void) {
    open_producer();
    STATUS(datablock_unlink(data_path(), 0));
}

static void unlink_with_consumer(void) {
    make_block();
    attach(DATABLOCK_LATEST);
    STATUS(datablock_unlink(data_path(), 0));
}

static void unlink_foreign(void) {
    make_file(BLOCK, 8192);
    STATUS(datablock_unlink(data_path(), 0));
}

static void unlink_without_control(void) {
    make_block();
    CHECK(unlink(control_path()) == 0);
    STATUS(datablock_unlink(data_path(), 0));
}

static void unlink_without_control_producer(void) {
    open_producer();
    CHECK(unlink(control_path()) == 0);
    STATUS(datablock_unlink(data_path(), 0));
}

static void list_missing(void) {
    size_t count;
    STATUS(datablock_list(path_of("missing"), NULL, 0, &count));
}

static void list_relative(void) {
    size_t count;
    STATUS(datablock_list("blocks", NULL, 0, &count));
}

static void list_empty_name(void) {
    size_t count;
    STATUS(datablock_list("", NULL, 0, &count));
}

static void list_file(void) {
    size_t count;
    make_file("file", 1);
    STATUS(datablock_list(path_of("file"), NULL, 0, &count));
}

/* ---- Cases: diagnosis and recovery ----------------------------------------------------------- */

static void diagnose_name(void) {
    SlotDiagnostic diagnostic;
    NUMBER(datablock_diagnose_slot(".camera", 0, &diagnostic));
}

static void diagnose_missing(void) {
    SlotDiagnostic diagnostic;
    NUMBER(datablock_diagnose_slot(data_path(), 0, &diagnostic));
}

static void diagnose_all_missing(void) {
    size_t count;
    NUMBER(datablock_diagnose_all_slots(data_path(), NULL, 0, &count));
}

static void diagnose_foreign(void) {
    SlotDiagnostic diagnostic;
    make_file(BLOCK, 8192);
    NUMBER(datablock_diagnose_slot(data_path(), 0, &diagnostic));
}

static void diagnose_slot_range(void) {
    SlotDiagnostic diagnostic;
    make_block();
    NUMBER(datablock_diagnose_slot(data_path(), 999, &diagnostic));
}

static void diagnose_stuck_reader(void) {
    SlotDiagnostic diagnostic;
    datablock_producer producer = open_producer();
    datablock_write_slot out = claim(producer);
    CHECK_OK(datablock_write_commit(producer, &out, 1));
    lived_and_died("@reader");
    NUMBER(datablock_diagnose_slot(data_path(), out.index, &diagnostic));
}

static void diagnose_stuck_writer(void) {
    size_t count;
    lived_and_died("@claim");
    NUMBER(datablock_diagnose_all_slots(data_path(), NULL, 0, &count));
}

static void release_readers_slot(void) {
    make_block();
    RECOVERY(datablock_release_zombie_readers(data_path(), 999));
}

static void release_readers_none(void) {
    make_block();
    RECOVERY(datablock_release_zombie_readers(data_path(), 0));
}

static void release_readers_living(void) {
    datablock_producer producer = open_producer();
    datablock_consumer consumer = attach(DATABLOCK_LATEST);
    write_messages(producer, 1);
    datablock_read_slot in = read_message(consumer);
    RECOVERY(datablock_release_zombie_readers(data_path(), in.index));
}

static void release_readers_missing(void) { RECOVERY(datablock_release_zombie_readers(data_path(), 0)); }
static void release_readers_name(void) { RECOVERY(datablock_release_zombie_readers("", 0)); }

static void reset_slot_range(void) {
    make_block();
    RECOVERY(datablock_force_reset_slot(data_path(), 999, false));
}

static void reset_slot_healthy(void) {
    make_block();
    RECOVERY(datablock_force_reset_slot(data_path(), 0, false));
}

static void reset_slot_claimed(void) {
    datablock_write_slot out = claim(open_producer());
    RECOVERY(datablock_force_reset_slot(data_path(), out.index, false));
}

static void reset_slot_read(void) {
    datablock_producer producer = open_producer();
    datablock_consumer consumer = attach(DATABLOCK_LATEST);
    write_messages(producer, 1);
    datablock_read_slot in = read_message(consumer);
    RECOVERY(datablock_force_reset_slot(data_path(), in.index, false));
}

static void *wait_for_room(void *producer) {
    datablock_write_slot out;
    (void)datablock_write_begin(*(datablock_producer *)producer, 30000, &out);
    return NULL;
}

/* All messages are discarded, and the reader still keeps the producer waiting. */
static void reset_all_left(void) {
    pthread_t thread;
    datablock_producer producer = open_producer();
    attach(DATABLOCK_LOSSLESS);
    write_messages(producer, SLOTS);
    CHECK(pthread_create(&thread, NULL, wait_for_room, &producer) == 0);
    WAIT_UNTIL(peek(data_path(), DATABLOCK_LAYOUT_PRODUCER_WAITING) != 0, 10);
    RECOVERY(datablock_force_reset_all_slots(data_path(), true));
    CHECK(datablock_evict_consumer(data_path(), 1, true) == RECOVERY_SUCCESS);
    CHECK(pthread_join(thread, NULL) == 0);
}

static void reset_slot_missing(void) { RECOVERY(datablock_force_reset_slot(data_path(), 0, true)); }
static void null_reset_slot(void) { RECOVERY(datablock_force_reset_slot(NULL, 0, true)); }

static void reset_all_healthy(void) {
    make_block();
    RECOVERY(datablock_force_reset_all_slots(data_path(), false));
}

static void evict_range(void) {
    make_block();
    RECOVERY(datablock_evict_consumer(data_path(), 99, true));
}

static void evict_free(void) {
    make_block();
    RECOVERY(datablock_evict_consumer(data_path(), 1, true));
}

static void evict_living(void) {
    open_producer();
    attach(DATABLOCK_LATEST);
    RECOVERY(datablock_evict_consumer(data_path(), 1, false));
}

static void null_metrics(void) { STATUS(datablock_get_metrics(data_path(), NULL)); }
static void metrics_size(void) { STATUS(datablock_get_metrics(data_path(), &(datablock_metrics){0})); }
static void metrics_missing(void) {
    STATUS(datablock_get_metrics(data_path(), &(datablock_metrics){.size = sizeof(datablock_metrics)}));
}
static void log_missing(void) { NUMBER(datablock_recovery_log(data_path(), NULL, 0)); }
static void null_log(void) { NUMBER(datablock_recovery_log(data_path(), NULL, 1)); }
static void participants_missing(void) { NUMBER(datablock_list_participants(data_path(), NULL, 0)); }
static void participants_name(void) { NUMBER(datablock_list_participants("", NULL, 0)); }

static void release_writer_slot(void) {
    make_block();
    RECOVERY(datablock_release_zombie_writer(data_path(), 999));
}

static void release_writer_unclaimed(void) {
    make_block();
    RECOVERY(datablock_release_zombie_writer(data_path(), 0));
}

static void release_writer_living(void) {
    datablock_write_slot out = claim(open_producer());
    RECOVERY(datablock_release_zombie_writer(data_path(), out.index));
}

static void release_writer_missing(void) { RECOVERY(datablock_release_zombie_writer(data_path(), 0)); }

static void cleanup_name(void) { NUMBER(datablock_cleanup_dead_consumers("camera 1", 0)); }
static void cleanup_missing(void) { NUMBER(datablock_cleanup_dead_consumers(data_path(), 0)); }

static void validate_missing(void) {
    IntegrityCheck check;
    NUMBER(datablock_validate_integrity(data_path(), &check));
}

static void validate_directory(void) {
    IntegrityCheck check;
    CHECK(mkdir(data_path(), 0700) == 0);
    NUMBER(datablock_validate_integrity(data_path(), &check));
    CHECK(rmdir(data_path()) == 0);
}

static void validate_damaged(void) {
    IntegrityCheck check;
    make_block();
    poke(data_path(), DATABLOCK_LAYOUT_HDR_SLOT_SIZE, SLOT_SIZE + 1);
    NUMBER(datablock_validate_integrity(data_path(), &check));
    CHECK(!check.header_valid && check.slot_states_valid && check.checksum_valid && check.corrupted_slots == 0);
}

static void repair_healthy(void) {
    make_block();
    RECOVERY(datablock_repair(data_path(), false, NULL));
}

static void repair_missing(void) { RECOVERY(datablock_repair(data_path(), false, NULL)); }

static void repair_living(void) {
    IntegrityCheck check = {0};
    datablock_producer producer = open_producer();
    write_messages(producer, SLOTS);
    poke(data_path(), DATABLOCK_LAYOUT_SCHEMA_REGION, DATABLOCK_LAYOUT_ENTRY_NONE);
    RECOVERY(datablock_repair(data_path(), false, &check));
    CHECK(check.header_valid && !check.slot_states_valid);
}

static void repair_hopeless(void) {
    make_file(BLOCK, 8192);
    RECOVERY(datablock_repair(data_path(), false, NULL));
}

static void auto_recover_name(void) { NUMBER(datablock_auto_recover(".camera", true, NULL, NULL)); }
static void auto_recover_missing(void) { NUMBER(datablock_auto_recover(data_path(), false, NULL, NULL)); }

/* ---- Cases: the library itself --------------------------------------------------------------- */

static void forked_list(void) {
    size_t count;
    STATUS(datablock_list(directory, NULL, 0, &count));
}

static void forked_diagnose_slot(void) {
    SlotDiagnostic diagnostic;
    NUMBER(datablock_diagnose_slot(data_path(), 0, &diagnostic));
}

static void forked_release_readers(void) { RECOVERY(datablock_release_zombie_readers(data_path(), 0)); }

static void forked(void) { in_forked_child(forked_list); }
static void forked_diagnose(void) { in_forked_child(forked_diagnose_slot); }
static void forked_recovery(void) { in_forked_child(forked_release_readers); }

/*
 * A library with crash points panics when the environment asks for it. Without crash points nothing
 * can make it panic.
 */
static bool make_panic(const char *point) {
    SlotDiagnostic diagnostic;
    make_block();
    setenv("DATABLOCK_TEST_PANIC", "recovery.diagnose", 1);
    bool possible = datablock_diagnose_slot(data_path(), 0, &diagnostic) != 0;
    setenv("DATABLOCK_TEST_PANIC", point, 1);
    if (!possible) {
        skip("this library is built without the tag crashpoints");
    }
    return possible;
}

static void panic(void) {
    if (make_panic("producer.claim")) {
        datablock_write_slot out;
        datablock_producer producer = open_producer();
        STATUS(library.write_begin(producer, 0, &out)); /* an exported call can go through Go, an inline call cannot */
    }
}

static void panic_before(void) {
    if (make_panic("producer.claim")) {
        datablock_write_slot out;
        datablock_producer producer = open_producer();
        CHECK_STATUS(library.write_begin(producer, 0, &out), DATABLOCK_E_PANIC);
        STATUS(datablock_write_begin(producer, 0, &out));
    }
}

static void panic_diagnose(void) {
    if (make_panic("recovery.diagnose")) {
        SlotDiagnostic diagnostic;
        NUMBER(datablock_diagnose_slot(data_path(), 0, &diagnostic));
    }
}

/* ---- All of them ----------------------------------------------------------------------------- */

#define CASES(X)                                                                                   \
    X(null_config_init) X(null_options_init) X(null_producer_open_name)                            \
    X(null_producer_open_config) X(null_producer_open_out) X(null_write) X(null_write_checksum)    \
    X(null_write_batch_messages) X(null_write_batch_written) X(null_write_batch_data)              \
    X(null_read_verify) X(null_read_batch_out) X(null_producer_next_id) X(null_consumer_resumed)   \
    X(null_read_id) X(null_read_copy_buffer) X(null_read_copy_out) X(read_copy_flags)              \
    X(read_copy_without_room) X(null_read_batch_count) X(empty_read_batch) X(null_read_batch_end)  \
    X(long_write) X(null_wait_any_consumers) X(null_wait_any_ready) X(wait_any_of_none)            \
    X(wait_any_timeout_negative) X(wait_any_nothing) X(wait_any_of_closed)                         \
    X(null_observer_open_name) X(null_observer_open_out) X(null_observe_buffer)                    \
    X(null_observe_out) X(null_schema_of_observer) X(observer_with_a_place) X(observe_nothing)     \
    X(observe_unwritten) X(handle_of_observer) X(null_force_reset_all) X(null_evict)               \
    X(null_list_participants) X(null_list_participants_out) X(null_recovery_log)                   \
    X(null_get_metrics_name) X(null_get_metrics_out) X(null_write_begin) X(null_write_commit)      \
    X(null_write_abort) X(null_consumer_open_name) X(null_consumer_open_out) X(null_read_begin)    \
    X(null_read_at) X(null_read_end) X(null_read_undo) X(null_list_count) X(null_list_out)         \
    X(null_unlink) X(null_secret) X(null_diagnose_slot_name) X(null_diagnose_slot_out)             \
    X(null_diagnose_all_name) X(null_diagnose_all_count) X(null_diagnose_all_array)                \
    X(null_release_readers) X(null_release_writer) X(null_cleanup) X(name_empty) X(name_slash)     \
    X(name_with_slash) X(name_leading_dot) X(name_leading_dash) X(name_control) X(name_characters) \
    X(name_not_ascii) X(name_too_long) X(name_outside_directory) X(name_consumer) X(name_unlink)   \
    X(directory_relative) X(directory_empty) X(directory_empty_consumer)                           \
    X(directory_variable_relative) X(directory_variable_too_long) X(directory_missing)             \
    X(directory_missing_consumer) X(directory_is_file) X(directory_name_too_long)                  \
    X(slot_size_zero) X(slot_size_absurd) X(slot_count_absurd) X(slot_count_single)                \
    X(slot_count_double_buffer) X(alignment_odd) X(alignment_large) X(consumer_limit_large)        \
    X(spare_slots_few) X(spare_slots_many) X(min_consumers_large) X(min_consumers_without_spare)   \
    X(mode_execute) X(mode_without_read) X(flags_unknown) X(flags_force_alone) X(policy_unknown)   \
    X(policy_unknown_init) X(checksum_unknown) X(algorithm_unknown) X(algorithm_without)           \
    X(retention_absurd) X(zone_absurd) X(reserved) X(size_zero) X(size_small) X(size_newer)        \
    X(size_init) X(options_size_init) X(secret_too_long) X(delivery_unknown) X(delivery_absurd)   \
    X(start_unknown) X(max_pins_large)                                                             \
    X(durable_unknown) X(durable_without_name) X(options_reserved0) X(options_reserved)            \
    X(options_size) X(consumer_name_too_long) X(consumer_secret_null) X(lossless_forbidden)        \
    X(wait_negative) X(lossless_forbidden_ring) X(reclaim_without_lossless)                        \
    X(block_missing_in_time) X(secret_wrong) X(secret_missing) X(secret_unexpected)                \
    X(secret_wrong_producer) X(access_directory)                                                   \
    X(access_consumer) X(access_producer) X(access_control) X(access_unlink) X(access_list)        \
    X(access_diagnose) X(block_missing) X(second_producer) X(second_producer_replaces)             \
    X(geometry_differs) X(geometry_policy) X(consumers_full) X(no_spare) X(durable_in_use)         \
    X(durable_other_delivery) X(replacement_unfinished) X(rows_being_cleaned)                      \
    X(descriptors_exhausted) X(diagnose_descriptors_exhausted) X(file_foreign)                     \
    X(file_foreign_producer) X(file_empty) X(file_directory) X(file_directory_producer)            \
    X(file_fifo) X(file_symbolic_link) X(file_symbolic_link_producer) X(file_renamed)              \
    X(file_copied) X(format_version) X(data_truncated) X(data_extended) X(header_damaged)          \
    X(control_missing) X(control_truncated) X(control_foreign) X(control_of_another)               \
    X(control_directory) X(control_other_owner) X(ring_damaged) X(ring_contradicts_slot)           \
    X(slot_header_damaged) X(truncated_while_reading) X(truncated_while_waiting)                   \
    X(truncated_while_writing) X(truncated_while_blocked) X(truncated_before_commit)               \
    X(truncated_in_write) X(truncated_in_read_copy) X(truncated_before_close)                      \
    X(control_truncated_while_reading) X(control_truncated_before_close) X(full_control)           \
    X(full_data) X(full_of_files) X(file_size_limit) X(block_absurd) X(handle_zero)                \
    X(handle_zero_consumer) X(handle_closed) X(handle_closed_twice)                                \
    X(handle_closed_twice_consumer) X(handle_stale) X(handle_garbage) X(handle_of_producer)        \
    X(handle_of_consumer) X(write_timeout_negative) X(write_begin_twice) X(commit_too_long)        \
    X(commit_absurd) X(commit_without_claim) X(commit_twice) X(commit_other_slot)                  \
    X(abort_without_claim) X(write_held_up) X(write_held_up_polling) X(write_too_few_consumers)    \
    X(write_all_pinned) X(commit_fenced) X(write_superseded) X(commit_superseded)                  \
    X(write_unlinked) X(write_descriptor_closed) X(read_timeout_negative) X(read_nothing)          \
    X(read_nothing_polling) X(read_no_producer) X(read_no_producer_polling) X(read_end_of_stream)  \
    X(read_superseded) X(read_unlinked) X(read_lost) X(read_overrun) X(read_fenced)                \
    X(read_descriptor_closed) X(read_too_many) X(read_at_unwritten) X(read_at_overwritten)         \
    X(read_at_lost) X(read_at_too_many) X(read_checksum) X(read_at_checksum) X(verify_checksum)    \
    X(verify_without) X(write_checksum_without) X(end_twice) X(end_foreign) X(end_out_of_order)    \
    X(end_overrun) X(end_fenced) X(undo_twice) X(undo_out_of_order) X(undo_fenced) X(null_zone)    \
    X(null_counter) X(lock_unknown) X(lock_timeout_negative) X(unlock_without) X(counter_unknown)  \
    X(zone_end_without) X(handle_zero_participant) X(zone_flags) X(lock_held) X(zone_twice)        \
    X(zone_changed) X(read_closed_meanwhile) X(write_closed_meanwhile) X(two_threads)              \
    X(unlink_missing) X(unlink_flags) X(unlink_with_producer) X(unlink_with_consumer)              \
    X(unlink_foreign) X(unlink_without_control) X(unlink_without_control_producer) X(list_missing) \
    X(list_relative) X(list_empty_name) X(list_file) X(diagnose_name) X(diagnose_missing)          \
    X(diagnose_all_missing) X(diagnose_foreign) X(diagnose_slot_range) X(diagnose_stuck_reader)    \
    X(diagnose_stuck_writer) X(release_readers_slot) X(release_readers_none)                       \
    X(release_readers_living) X(release_readers_missing) X(release_readers_name)                   \
    X(release_writer_slot) X(release_writer_unclaimed) X(release_writer_living)                    \
    X(release_writer_missing) X(reset_slot_range) X(reset_slot_healthy) X(reset_slot_claimed)      \
    X(reset_slot_read) X(reset_slot_missing) X(null_reset_slot) X(reset_all_healthy)               \
    X(reset_all_left) X(evict_range) X(evict_free) X(evict_living) X(null_metrics) X(metrics_size) \
    X(schema_differs) X(schema_of_producer_differs) X(schema_missing) X(zone_schema_differs)       \
    X(zone_schema_of_producer_differs) X(zone_schema_missing) X(zone_too_small)                    \
    X(commit_shorter_than_schema) X(write_shorter_than_schema) X(registry_relative)                \
    X(registered_differs) X(registered_missing) X(registered_reference) X(registered_empty)        \
    X(metrics_missing) X(log_missing) X(null_log) X(participants_missing) X(participants_name)     \
    X(cleanup_name) X(cleanup_missing) X(null_validate_name) X(null_validate_out) X(null_repair)   \
    X(null_auto_recover) X(validate_missing) X(validate_directory) X(validate_damaged)             \
    X(repair_healthy) X(repair_missing) X(repair_living) X(repair_hopeless) X(auto_recover_name)   \
    X(auto_recover_missing) X(forked) X(forked_diagnose) X(forked_recovery) X(panic)               \
    X(panic_before) X(panic_diagnose)

static const struct scenario cases[] = {
#define CASE(name) {#name, name},
    CASES(CASE)
#undef CASE
};

/*
 * The descriptors of this process, without the descriptors that the Go runtime and the C library
 * open for themselves at any time.
 */
static int descriptors(void) {
    int count = 0;
    DIR *list = opendir("/proc/self/fd");
    CHECK(list != NULL);
    for (struct dirent *entry; (entry = readdir(list)) != NULL;) {
        char target[4096] = "";
        if (readlinkat(dirfd(list), entry->d_name, target, sizeof target - 1) > 0) {
            count += strncmp(target, "anon_inode:", 11) != 0 && strncmp(target, "/proc/", 6) != 0 &&
                strncmp(target, "/sys/", 5) != 0;
        }
    }
    closedir(list);
    return count;
}

/* How many mappings there are of files in the directory. */
static int mappings(void) {
    int count = 0;
    char line[8192];
    FILE *maps = fopen("/proc/self/maps", "r");
    CHECK(maps != NULL);
    while (fgets(line, sizeof line, maps) != NULL) {
        count += strstr(line, directory) != NULL;
    }
    fclose(maps);
    return count;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            puts(cases[i].name);
        }
        return argc == 1 ? 0 : 2;
    }
    running_case = argv[1];
    directory = argv[2];
    if (argv[1][0] == '@') {
        return play(argv[1]);
    }
    directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(directory_fd >= 0);
    outcome = mmap(NULL, sizeof *outcome, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(outcome != MAP_FAILED);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (strcmp(cases[i].name, argv[1]) == 0) {
            size_t blocks;
            CHECK_OK(datablock_list(directory, NULL, 0, &blocks));
            int descriptors_before = descriptors();
            alarm(60);
            cases[i].run();
            close_all();
            printf("%s\t%s\n", outcome->status, outcome->detail);
            fflush(stdout);
            int descriptors_after = descriptors(), mapped = mappings();
            if (descriptors_after != descriptors_before || mapped != 0) {
                fprintf(stderr, "%s: %d descriptors before and %d after, %d files still mapped\n", argv[1],
                    descriptors_before, descriptors_after, mapped);
                return 1;
            }
            return 0;
        }
    }
    fprintf(stderr, "no case \"%s\"\n", argv[1]);
    return 2;
}
