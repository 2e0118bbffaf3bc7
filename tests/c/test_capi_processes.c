/* The C boundary between processes: fork, faults, files that are damaged while they are mapped. */
#include "pair.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

static datablock_producer open_producer(const char *name) {
    datablock_config config = ring_config(4);
    datablock_producer producer;
    CHECK_OK(datablock_producer_open(name, &config, &producer));
    return producer;
}

static datablock_consumer open_consumer(const char *name, datablock_delivery delivery) {
    datablock_consumer_options options = options_here(delivery);
    datablock_consumer consumer;
    CHECK_OK(datablock_consumer_open(name, &options, &consumer));
    return consumer;
}

static void check_next(datablock_consumer consumer, const char *text) {
    datablock_read_slot slot;
    CHECK_OK(datablock_read_begin(consumer, 1000, &slot));
    CHECK(strcmp(slot.data, text) == 0);
    CHECK_OK(datablock_read_end(consumer, &slot));
}

static void path_of(char path[300], const char *name) { snprintf(path, 300, "%s/%s", test_directory(), name); }

/* ---- Children -------------------------------------------------------------------------------- */

/* A child that reports when it has finished (`ready`), and lives until its parent writes to
 * `leave`. */
struct child {
    pid_t pid;
    int ready, leave;
};

/* Set in a process whose children outlive it: they live until their standard input ends. */
static bool children_outlive_us;

static struct child fork_child(void (*body)(void *), void *argument) {
    int ready[2], leave[2];
    CHECK(pipe2(ready, O_CLOEXEC) == 0 && pipe2(leave, O_CLOEXEC) == 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        alarm(30);
        close(ready[0]);
        close(leave[1]);
        body(argument);
        char byte = 1;
        if (children_outlive_us) {
            CHECK(write(ready[1], &byte, 1) == 1);
            _exit(read(STDIN_FILENO, &byte, 1) == 0 ? 0 : 1);
        }
        _exit(write(ready[1], &byte, 1) == 1 && read(leave[0], &byte, 1) == 1 ? 0 : 1);
    }
    close(ready[1]);
    close(leave[0]);
    return (struct child){.pid = pid, .ready = ready[0], .leave = leave[1]};
}

/* True if the child has completed its body. */
static bool child_ready(struct child *child) {
    struct pollfd wait = {.fd = child->ready, .events = POLLIN};
    char byte;
    return poll(&wait, 1, 30000) == 1 && read(child->ready, &byte, 1) == 1;
}

/* Lets the child end. True if it ended with success. */
static bool child_left(struct child *child) {
    int status;
    bool told = write(child->leave, "", 1) == 1;
    close(child->leave);
    close(child->ready);
    return told && waitpid(child->pid, &status, 0) == child->pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Starts this program again in one of the roles of main, with this standard input and output. */
static pid_t start_role(const char *role, const char *name, int in, int out) {
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        dup2(in, STDIN_FILENO);
        dup2(out, STDOUT_FILENO);
        execl("/proc/self/exe", "test_capi_processes", role, test_directory(), name, (char *)NULL);
        _exit(127);
    }
    return pid;
}

/* Runs a role to its end, and returns its exit status. */
static int run_role(const char *role, const char *name) {
    pid_t pid = start_role(role, name, STDIN_FILENO, STDOUT_FILENO);
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    return status;
}

/* The children of a process that has died. */
struct orphans {
    int stay, gone; /* the children live while `stay` is open; `gone` ends with the last of them */
};

/* The same for a role that forks children and is killed. */
static struct orphans run_dying_role(const char *role, const char *name) {
    int stay[2], gone[2];
    CHECK(pipe2(stay, O_CLOEXEC) == 0 && pipe2(gone, O_CLOEXEC) == 0);
    pid_t pid = start_role(role, name, stay[0], gone[1]);
    close(stay[0]);
    close(gone[1]);
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return (struct orphans){.stay = stay[1], .gone = gone[0]};
}

static bool orphans_live(struct orphans *orphans) {
    struct pollfd wait = {.fd = orphans->gone, .events = POLLIN};
    return poll(&wait, 1, 0) == 0;
}

static void end_orphans(struct orphans *orphans) {
    struct pollfd wait = {.fd = orphans->gone, .events = POLLIN};
    close(orphans->stay);
    CHECK(poll(&wait, 1, 30000) == 1);
    close(orphans->gone);
}

/* ---- Fork ------------------------------------------------------------------------------------ */

#define FORKED(call) CHECK_DETAIL(call, DATABLOCK_E_FORKED, "forked")

struct handles {
    datablock_producer producer;
    datablock_consumer consumer;
};

/* Calls every function of the library in a forked child. None hangs, and functions without Go
 * succeed. */
static void use_everything(void *argument) {
    struct handles *parent = argument;
    datablock_config config;
    datablock_consumer_options options;
    datablock_producer producer;
    datablock_consumer consumer;
    datablock_write_slot out = {0};
    datablock_read_slot in = {0};
    SlotDiagnostic diagnostic;
    size_t count;
    char name[300];
    path_of(name, "fork");

    CHECK(datablock_version() == DATABLOCK_VERSION);
    CHECK(strcmp(datablock_strerror(DATABLOCK_E_FORKED), "not usable in a forked child") == 0);
    CHECK_OK(datablock_config_init(&config, DATABLOCK_RING));
    CHECK_OK(datablock_consumer_options_init(&options));
    config.slot_size = 64;

    FORKED(datablock_producer_open("fork", &config, &producer));
    FORKED(datablock_producer_close(parent->producer));
    FORKED(datablock_write_begin(parent->producer, -1, &out));
    FORKED(datablock_write_commit(parent->producer, &out, 0));
    FORKED(datablock_write_abort(parent->producer, &out));
    FORKED(datablock_consumer_open("fork", &options, &consumer));
    FORKED(datablock_consumer_close(parent->consumer));
    FORKED(datablock_read_begin(parent->consumer, -1, &in));
    FORKED(datablock_read_at(parent->consumer, 0, &in));
    FORKED(datablock_read_end(parent->consumer, &in));
    FORKED(datablock_list(test_directory(), NULL, 0, &count));
    FORKED(datablock_unlink(name, DATABLOCK_FLAG_FORCE));
    CHECK(datablock_diagnose_slot(name, 0, &diagnostic) == -4 && strstr(datablock_error_detail(), "exec"));
    CHECK(datablock_diagnose_all_slots(name, NULL, 0, &count) == -4);
    CHECK(!datablock_is_process_alive((uint64_t)getpid()));
    CHECK(datablock_release_zombie_readers(name, 0) == RECOVERY_FAILED);
    CHECK(datablock_release_zombie_writer(name, 0) == RECOVERY_FAILED);
    CHECK(datablock_cleanup_dead_consumers(name, 0) == -4);
}

static void use_everything_and_fork(void *argument) {
    use_everything(argument);
    struct child grandchild = fork_child(use_everything, argument);
    CHECK(child_ready(&grandchild));
    CHECK(child_left(&grandchild));
}

static void check_parent_is_alive(struct handles *parent) {
    datablock_config config = ring_config(4);
    datablock_producer second;
    datablock_block_info info;
    size_t count;
    CHECK_STATUS(datablock_producer_open("fork", &config, &second), DATABLOCK_E_PRODUCER_ACTIVE);
    CHECK_OK(datablock_list(test_directory(), &info, 1, &count));
    CHECK(count == 1 && info.producer_pid == (uint64_t)getpid() && info.consumers == 1);
    write_text(parent->producer, "goes on");
    check_next(parent->consumer, "goes on");
}

/* A child has no effect on its parent, during its life and afterwards, and keeps nothing of the
 * parent alive. */
static void forked_child(void) {
    struct handles parent = {open_producer("fork"), open_consumer("fork", DATABLOCK_LOSSLESS)};
    write_text(parent.producer, "before");
    check_next(parent.consumer, "before");

    struct child child = fork_child(use_everything_and_fork, &parent);
    CHECK(child_ready(&child));
    check_parent_is_alive(&parent);
    CHECK(child_left(&child));
    check_parent_is_alive(&parent);

    child = fork_child(use_everything, &parent);
    CHECK(child_ready(&child));
    CHECK_OK(datablock_consumer_close(parent.consumer));
    CHECK_OK(datablock_producer_close(parent.producer));
    parent = (struct handles){open_producer("fork"), open_consumer("fork", DATABLOCK_LOSSLESS)};
    CHECK(child_left(&child));
    check_parent_is_alive(&parent);
    CHECK_OK(datablock_consumer_close(parent.consumer));
    CHECK_OK(datablock_producer_close(parent.producer));
    CHECK_OK(unlink_here("fork"));
}

/* The library was loaded and not used. Nevertheless the Go runtime runs in the parent, and not
 * in the child. */
static int fork_unused(void) {
    struct handles none = {{0}, {0}};
    test_directory(); /* this process removes the directory; the child could not */
    struct child child = fork_child(use_everything, &none);
    return child_ready(&child) && child_left(&child) ? 0 : 1;
}

static void fork_before_first_use(void) {
    int status = run_role("--fork-unused", "");
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* A role: opens many blocks, with more locks than the first part of the fork handler's list can
 * have, forks, and dies. */
enum { MANY = 200 };

static void open_many(const char *directory, datablock_producer *producers) {
    char name[32];
    datablock_config config;
    CHECK_OK(datablock_config_init(&config, DATABLOCK_SINGLE));
    config.slot_size = 64;
    config.directory = directory;
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "fork.%d", i);
        CHECK_OK(datablock_producer_open(name, &config, &producers[i]));
    }
}

static void nothing(void *argument) { (void)argument; }

static int fork_and_die(const char *directory) {
    static datablock_producer producers[MANY];
    open_many(directory, producers);
    children_outlive_us = true;
    struct child child = fork_child(nothing, NULL);
    CHECK(child_ready(&child));
    return raise(SIGKILL);
}

/* The locks of a dead process are free while its children live, because the children have closed
 * their copies. */
static void children_keep_no_row_alive(void) {
    static datablock_producer producers[MANY];
    struct orphans orphans = run_dying_role("--fork-and-die", "");
    open_many(test_directory(), producers);
    CHECK(orphans_live(&orphans));
    end_orphans(&orphans);
    for (int i = 0; i < MANY; i++) {
        CHECK_OK(datablock_producer_close(producers[i]));
    }
}

struct churn {
    const char *directory;
    atomic_int rounds;
    atomic_bool stop;
};

static void *open_and_close(void *argument) {
    struct churn *churn = argument;
    datablock_config config;
    datablock_consumer_options options;
    CHECK_OK(datablock_config_init(&config, DATABLOCK_RING));
    CHECK_OK(datablock_consumer_options_init(&options));
    config.slot_size = 64;
    config.directory = options.directory = churn->directory;
    while (!atomic_load(&churn->stop)) {
        datablock_producer producer;
        datablock_consumer consumer;
        CHECK_OK(datablock_producer_open("churn", &config, &producer));
        CHECK_OK(datablock_consumer_open("churn", &options, &consumer));
        CHECK_OK(datablock_consumer_close(consumer));
        CHECK_OK(datablock_producer_close(producer));
        atomic_fetch_add(&churn->rounds, 1);
    }
    return NULL;
}

/* A role: forks children at random moments while another thread opens and closes, and dies. */
static int fork_while_opening_and_die(const char *directory) {
    enum { CHILDREN = 40 };
    struct churn churn = {.directory = directory};
    pthread_t thread;
    children_outlive_us = true;
    CHECK(pthread_create(&thread, NULL, open_and_close, &churn) == 0);
    for (int i = 0; i < CHILDREN; i++) {
        int before = atomic_load(&churn.rounds);
        struct child child = fork_child(nothing, NULL);
        CHECK(child_ready(&child));
        if (i % 4 == 0) {
            WAIT_UNTIL(atomic_load(&churn.rounds) > before, 20);
        }
    }
    return raise(SIGKILL);
}

static void fork_while_opening(void) {
    for (int i = 0; i < 5; i++) {
        struct orphans orphans = run_dying_role("--fork-while-opening", "");
        struct churn churn = {.directory = test_directory(), .stop = false};
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, open_and_close, &churn) == 0);
        WAIT_UNTIL(atomic_load(&churn.rounds) > 0, 20);
        atomic_store(&churn.stop, true);
        CHECK(pthread_join(thread, NULL) == 0);
        CHECK(orphans_live(&orphans));
        end_orphans(&orphans);
    }
}

/* ---- Faults ---------------------------------------------------------------------------------- */

/* A role: a consumer that writes to a payload. */
static int write_to_payload(const char *directory, const char *name) {
    datablock_consumer_options options;
    datablock_consumer consumer;
    datablock_read_slot slot;
    CHECK_OK(datablock_consumer_options_init(&options));
    options.directory = directory;
    options.start = DATABLOCK_START_OLDEST;
    CHECK_OK(datablock_consumer_open(name, &options, &consumer));
    CHECK_OK(datablock_read_begin(consumer, 1000, &slot));
    ((volatile char *)(uintptr_t)slot.data)[0] = 'X';
    return 0;
}

static void writing_to_a_payload_kills_the_writer(void) {
    datablock_producer producer = open_producer("readonly");
    datablock_consumer consumer = open_consumer("readonly", DATABLOCK_ORDERED);
    write_text(producer, "unharmed");
    /* A sanitizer of the child would report the fault and exit. */
    const char *options = getenv("ASAN_OPTIONS");
    char *saved = options != NULL ? strdup(options) : NULL;
    setenv("ASAN_OPTIONS", "handle_segv=0", 1);
    int status = run_role("--write-to-payload", "readonly");
    if (saved != NULL) {
        setenv("ASAN_OPTIONS", saved, 1);
        free(saved);
    } else {
        unsetenv("ASAN_OPTIONS");
    }
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    check_next(consumer, "unharmed");
    CHECK_OK(datablock_consumer_close(consumer));
    CHECK_OK(datablock_producer_close(producer));
}

static void *wait_for_a_message(void *argument) {
    struct handles *handles = argument;
    datablock_read_slot slot;
    static datablock_status status;
    do {
        status = datablock_read_begin(handles->consumer, -1, &slot);
    } while (status == DATABLOCK_E_BUSY);
    return &status;
}

/* A producer that does not access the missing part detects it in its next housekeeping. */
static bool claim_is_corrupt(datablock_producer producer) {
    datablock_write_slot out;
    datablock_status status = datablock_write_begin(producer, 0, &out);
    if (status == DATABLOCK_OK) {
        datablock_status aborted = datablock_write_abort(producer, &out);
        CHECK(aborted == DATABLOCK_OK || aborted == DATABLOCK_E_CORRUPT);
        return false;
    }
    CHECK_STATUS(status, DATABLOCK_E_CORRUPT);
    return true;
}

/* A file is truncated under a running program. Every call reports it, and a close succeeds and
 * leaves nothing open. */
static void truncated_file(const char *name, const char *file, datablock_delivery delivery, off_t size) {
    int before = open_descriptors();
    struct handles handles = {open_producer(name), open_consumer(name, delivery)};
    datablock_read_slot in;
    write_text(handles.producer, "before");
    check_next(handles.consumer, "before");

    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, wait_for_a_message, &handles) == 0);
    WAIT_UNTIL(datablock_read_begin(handles.consumer, 0, &in) == DATABLOCK_E_BUSY, 10);
    CHECK(truncate(file, size) == 0);
    void *status;
    CHECK(pthread_join(thread, &status) == 0);
    CHECK_STATUS(*(datablock_status *)status, DATABLOCK_E_CORRUPT);
    for (int i = 0; i < 3; i++) {
        CHECK_STATUS(datablock_read_begin(handles.consumer, 0, &in), DATABLOCK_E_CORRUPT);
        CHECK(datablock_error_detail()[0] != '\0');
        WAIT_UNTIL(claim_is_corrupt(handles.producer), 5);
    }
    datablock_status closed = datablock_consumer_close(handles.consumer);
    CHECK(closed == DATABLOCK_OK || closed == DATABLOCK_E_CORRUPT);
    CHECK_STATUS(datablock_consumer_close(handles.consumer), DATABLOCK_E_HANDLE);
    closed = datablock_producer_close(handles.producer);
    CHECK(closed == DATABLOCK_OK || closed == DATABLOCK_E_CORRUPT);
    CHECK_STATUS(datablock_producer_close(handles.producer), DATABLOCK_E_HANDLE);
    CHECK(open_descriptors() == before);
}

static void truncated_data_file(void) {
    static const datablock_delivery deliveries[] = {DATABLOCK_LOSSLESS, DATABLOCK_ORDERED, DATABLOCK_LATEST};
    for (int i = 0; i < 3; i++) {
        char name[32], path[300];
        snprintf(name, sizeof name, "truncated.%d", i);
        path_of(path, name);
        truncated_file(name, path, deliveries[i], 0);
        datablock_consumer_options options = options_here(DATABLOCK_LATEST);
        datablock_consumer consumer;
        CHECK_STATUS(datablock_consumer_open(name, &options, &consumer), DATABLOCK_E_CORRUPT);
        CHECK(unlink(path) == 0);
    }
}

/* The name of the block's one control file. */
static void find_control(char path[600], const char *name) {
    DIR *directory = opendir(test_directory());
    CHECK(directory != NULL);
    bool found = false;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        size_t length = strlen(name);
        if (strncmp(entry->d_name, name, length) == 0 && entry->d_name[length] == '.' &&
            strstr(entry->d_name, ".ctl") != NULL) {
            CHECK(!found);
            found = true;
            snprintf(path, 600, "%s/%s", test_directory(), entry->d_name);
        }
    }
    closedir(directory);
    CHECK(found);
}

static void truncated_control_file(void) {
    datablock_producer producer = open_producer("control");
    char path[600];
    find_control(path, "control");
    CHECK_OK(datablock_producer_close(producer));
    truncated_file("control", path, DATABLOCK_ORDERED, 0);
}

/* The detail of a fault says what to do, and where. */
static void fault_detail(void) {
    datablock_producer producer = open_producer("fault");
    datablock_write_slot out;
    char path[300];
    path_of(path, "fault");
    CHECK(truncate(path, 0) == 0);
    CHECK_STATUS(datablock_write_begin(producer, 0, &out), DATABLOCK_E_CORRUPT);
    CHECK(strstr(datablock_error_detail(), "truncated") != NULL);
    datablock_status closed = datablock_producer_close(producer);
    CHECK(closed == DATABLOCK_OK || closed == DATABLOCK_E_CORRUPT);
}

int main(int argc, char **argv) {
    if (argc == 4 && strcmp(argv[1], "--write-to-payload") == 0) {
        return write_to_payload(argv[2], argv[3]);
    }
    if (argc == 4 && strcmp(argv[1], "--fork-unused") == 0) {
        return fork_unused();
    }
    if (argc == 4 && strcmp(argv[1], "--fork-and-die") == 0) {
        return fork_and_die(argv[2]);
    }
    if (argc == 4 && strcmp(argv[1], "--fork-while-opening") == 0) {
        return fork_while_opening_and_die(argv[2]);
    }
    static const struct scenario scenarios[] = {
        {"forked-child", forked_child},
        {"fork-before-first-use", fork_before_first_use},
        {"children-keep-no-row-alive", children_keep_no_row_alive},
        {"fork-while-opening", fork_while_opening},
        {"writing-to-a-payload-kills-the-writer", writing_to_a_payload_kills_the_writer},
        {"truncated-data-file", truncated_data_file},
        {"truncated-control-file", truncated_control_file},
        {"fault-detail", fault_detail},
    };
    return run_scenarios(scenarios, sizeof scenarios / sizeof scenarios[0], argc, argv);
}
