/*
 * What the C half of the library does on Windows alone: the end of threads, paths and environment
 * in UTF-16, mapped files, sizes, and the end of a process beside a sleeping thread.
 */
#include "../../c/other.h"
#include "../../c/pair.h"

#include "datablock_schema.h"

#include <psapi.h>

/* ---- Threads --------------------------------------------------------------------------------- */

static void run_threads(int count, LPTHREAD_START_ROUTINE body, void *argument) {
    enum { AT_ONCE = 20 };
    for (int done = 0; done < count; done += AT_ONCE) {
        HANDLE threads[AT_ONCE];
        for (int i = 0; i < AT_ONCE; i++) {
            threads[i] = CreateThread(NULL, 0, body, argument, 0, NULL);
            CHECK(threads[i] != NULL);
        }
        CHECK(WaitForMultipleObjects(AT_ONCE, threads, TRUE, 60000) < WAIT_OBJECT_0 + AT_ONCE);
        for (int i = 0; i < AT_ONCE; i++) {
            CHECK(CloseHandle(threads[i]));
        }
    }
}

static size_t committed(void) {
    PROCESS_MEMORY_COUNTERS counters = {.cb = sizeof counters};
    CHECK(GetProcessMemoryInfo(GetCurrentProcess(), &counters, sizeof counters));
    return counters.PagefileUsage;
}

static char diagnosed[300];

static DWORD WINAPI diagnose(void *unused) {
    SlotDiagnostic slots[32];
    size_t count;
    (void)unused;
    CHECK(datablock_diagnose_all_slots(diagnosed, slots, 32, &count) == 0);
    return 0;
}

/* The struct of a thread goes to a later thread. */
static void threads_that_end_leave_nothing(void) {
    enum { FIRST = 1000, THEN = 3000, BYTES_A_THREAD = 2000 }; /* a struct has a page of its own */
    struct pair pair = open_pair("threads", 8, DATABLOCK_LOSSLESS);
    snprintf(diagnosed, sizeof diagnosed, "%s/threads", test_directory());
    run_threads(FIRST, diagnose, NULL);
    size_t before = committed();
    run_threads(THEN, diagnose, NULL);
    size_t after = committed();
    if (after > before + (size_t)BYTES_A_THREAD * THEN) {
        check_failed(__FILE__, __LINE__, "%d threads have left %zu bytes", THEN, after - before);
    }
    close_pair(&pair);
}

static struct pair ending;
static DWORD at_end;
static long closed;

/* The callback of fiber-local storage: the last code of the program that a thread runs. */
static void CALLBACK close_at_end(void *value) {
    if (value != NULL) {
        CHECK_OK(datablock_consumer_close(ending.consumer));
        InterlockedIncrement(&closed);
    }
}

static DWORD WINAPI read_and_end(void *unused) {
    datablock_read_slot slot;
    (void)unused;
    CHECK_OK(datablock_read_begin(ending.consumer, 0, &slot));
    CHECK_OK(datablock_read_end(ending.consumer, &slot));
    CHECK(FlsSetValue(at_end, &ending));
    return 0;
}

/* A thread may call in its last moment. */
static void the_end_of_a_thread_closes(void) {
    at_end = FlsAlloc(close_at_end);
    CHECK(at_end != FLS_OUT_OF_INDEXES);
    for (int i = 1; i <= 20; i++) {
        ending = open_pair("ending", 4, DATABLOCK_LOSSLESS);
        write_text(ending.producer, "last words");
        HANDLE thread = CreateThread(NULL, 0, read_and_end, NULL, 0, NULL);
        CHECK(thread != NULL && WaitForSingleObject(thread, 60000) == WAIT_OBJECT_0);
        CHECK(CloseHandle(thread));
        CHECK(closed == i);
        check_dead_consumer(ending.consumer);
        CHECK_OK(datablock_producer_close(ending.producer));
        CHECK_OK(unlink_here("ending"));
    }
    CHECK(FlsFree(at_end));
}

static void *caller;
static datablock_producer of_fibers;

static void CALLBACK write_in_fiber(void *unused) {
    (void)unused;
    write_text(of_fibers, "from a fiber");
    SwitchToFiber(caller);
}

/* The callback of the library's own fiber-local storage runs when a fiber is deleted. */
static void a_thread_outlives_its_fibers(void) {
    struct pair pair = open_pair("fibers", 4, DATABLOCK_LOSSLESS);
    of_fibers = pair.producer;
    caller = ConvertThreadToFiber(NULL);
    CHECK(caller != NULL);
    for (int i = 0; i < 10; i++) {
        datablock_read_slot slot;
        void *fiber = CreateFiber(0, write_in_fiber, NULL);
        CHECK(fiber != NULL);
        SwitchToFiber(fiber);
        DeleteFiber(fiber);
        run_threads(20, diagnose, NULL); /* none of them gets the struct of this thread */
        CHECK_OK(datablock_read_begin(pair.consumer, 0, &slot));
        CHECK(strcmp(slot.data, "from a fiber") == 0);
        CHECK_OK(datablock_read_end(pair.consumer, &slot));
        CHECK_STATUS(datablock_read_begin(pair.consumer, 0, &slot), DATABLOCK_E_TIMEOUT);
        CHECK(strstr(datablock_error_detail(), "fibers") != NULL);
    }
    CHECK(ConvertFiberToThread());
    close_pair(&pair);
}

/* ---- The library ----------------------------------------------------------------------------- */

/* The runtime of Go cannot be unloaded. */
static void the_library_stays(void) {
    HMODULE library_module = GetModuleHandleA("datablock.dll");
    CHECK(library_module != NULL);
    for (int i = 0; i < 10; i++) {
        (void)FreeLibrary(library_module);
    }
    CHECK(GetModuleHandleA("datablock.dll") == library_module);
    CHECK(datablock_version() == DATABLOCK_VERSION);
}

/* ---- Paths and the environment --------------------------------------------------------------- */

/* Texts of the library are UTF-8, also those of the environment. */
static void texts_are_utf8(void) {
    static const wchar_t name[] = L"\u00fcber \u65e5\u672c";
    static const char name_utf8[] = "\xc3\xbc" "ber \xe6\x97\xa5\xe6\x9c\xac";
    wchar_t wide[300], before[300] = L"";
    char path[700];
    datablock_producer producer;
    datablock_config config = ring_config(4);
    CHECK(MultiByteToWideChar(CP_UTF8, 0, test_directory(), -1, wide, 200) > 0);
    wcscat(wide, L"\\");
    wcscat(wide, name);
    CHECK(CreateDirectoryW(wide, NULL));
    CHECK(GetEnvironmentVariableW(L"DATABLOCK_DIR", before, 300) < 300);
    CHECK(SetEnvironmentVariableW(L"DATABLOCK_DIR", wide));
    config.directory = NULL;
    CHECK_OK(datablock_producer_open("block", &config, &producer));
    CHECK_OK(datablock_producer_close(producer));
    CHECK(SetEnvironmentVariableW(L"DATABLOCK_DIR", before));

    datablock_consumer consumer;
    snprintf(path, sizeof path, "%s\\%s\\absent", test_directory(), name_utf8);
    CHECK_DETAIL(datablock_consumer_open(path, NULL, &consumer), DATABLOCK_E_NOT_FOUND, name_utf8);
    snprintf(path, sizeof path, "%s/%s\\block", test_directory(), name_utf8);
    CHECK_OK(datablock_unlink(path, 0));
    CHECK(RemoveDirectoryW(wide));
}

/* A name with its directory, with each separator. The last part is the name in messages. */
static void absolute_names(void) {
    static const char *const forms[] = {"%s/form", "%s\\form"};
    for (size_t i = 0; i < 2; i++) {
        char path[300];
        datablock_consumer consumer;
        datablock_read_slot slot;
        struct pair pair = open_pair("form", 4, DATABLOCK_LOSSLESS);
        snprintf(path, sizeof path, forms[i], test_directory());
        CHECK_OK(datablock_consumer_open(path, NULL, &consumer));
        CHECK_DETAIL(datablock_read_begin(consumer, 0, &slot), DATABLOCK_E_TIMEOUT, "block \"form\"");
        CHECK_OK(datablock_consumer_close(consumer));
        close_pair(&pair);
        CHECK_OK(datablock_unlink(path, 0));
    }
    datablock_consumer_options options = options_here(DATABLOCK_LATEST);
    datablock_consumer consumer;
    options.directory = NULL;
    CHECK_STATUS(datablock_consumer_open("\\form", &options, &consumer), DATABLOCK_E_INVALID);
    CHECK_STATUS(datablock_consumer_open("C:form", &options, &consumer), DATABLOCK_E_INVALID);
}

/* ---- Sizes ----------------------------------------------------------------------------------- */

struct sizes {
    long number;
    unsigned long count;
    long long longest;
    size_t size;
    ptrdiff_t difference;
    wchar_t letter;
};
static const datablock_schema_field sizes_fields[] = {
    DATABLOCK_FIELD(struct sizes, number), DATABLOCK_FIELD(struct sizes, count),
    DATABLOCK_FIELD(struct sizes, longest), DATABLOCK_FIELD(struct sizes, size),
    DATABLOCK_FIELD(struct sizes, difference), DATABLOCK_FIELD(struct sizes, letter),
};
static const datablock_schema_layout sizes_layout = DATABLOCK_LAYOUT(struct sizes, sizes_fields);

/* `long` has 32 bits, and a size has 64. */
static void types_of_windows(void) {
    datablock_schema described, text;
    CHECK_OK(datablock_schema_parse("schema Sizes 1.0.0 { number: i32; count: u32; longest: i64; size: u64; "
                                    "difference: i64; letter: u16; }", &text));
    CHECK_OK(datablock_schema_describe("Sizes", 1, 0, 0, &sizes_layout, &described));
    CHECK(strcmp(described.canonical, text.canonical) == 0);
    datablock_schema_free(&described);
    datablock_schema_free(&text);
}

/* Offsets and lengths beyond 4 GiB. Under Wine the file is sparse and takes little memory. */
static void a_message_of_more_than_4_gib(void) {
    static const uint64_t size = (UINT64_C(4) << 30) + (1 << 20);
    ULARGE_INTEGER space;
    datablock_config config;
    datablock_consumer_options options = options_here(DATABLOCK_ORDERED);
    datablock_producer producer;
    datablock_consumer consumer;
    datablock_write_slot written;
    datablock_read_slot read;
    CHECK_OK(datablock_config_init(&config, DATABLOCK_SINGLE));
    config.directory = test_directory();
    config.slot_size = size;
    config.consumer_limit = 1;
    config.spare_slots = 2;
    CHECK(GetDiskFreeSpaceExA(config.directory, &space, NULL, NULL));
    if (space.QuadPart < 4 * size) {
        printf("    SKIPPED: the directory has no %llu bytes\n", (unsigned long long)(4 * size));
        return;
    }
    CHECK_OK(datablock_producer_open("large", &config, &producer));
    CHECK_OK(datablock_consumer_open("large", &options, &consumer));
    for (unsigned char i = 1; i <= 3; i++) { /* in each of the slots */
        CHECK_OK(datablock_write_begin(producer, 1000, &written));
        CHECK(written.capacity >= size);
        ((unsigned char *)written.data)[0] = i;
        ((unsigned char *)written.data)[size - 1] = (unsigned char)(i + 100);
        CHECK_OK(datablock_write_commit(producer, &written, size));
        CHECK_OK(datablock_read_begin(consumer, 1000, &read));
        CHECK(read.length == size);
        CHECK(((const unsigned char *)read.data)[0] == i);
        CHECK(((const unsigned char *)read.data)[size - 1] == i + 100);
        CHECK_OK(datablock_read_end(consumer, &read));
    }
    CHECK_OK(datablock_consumer_close(consumer));
    CHECK_OK(datablock_producer_close(producer));
    CHECK_OK(unlink_here("large"));
}

/* ---- Processes ------------------------------------------------------------------------------- */

static datablock_consumer sleeper;

static DWORD WINAPI sleep_in_a_read(void *unused) {
    datablock_read_slot slot;
    (void)unused;
    (void)datablock_read_begin(sleeper, -1, &slot);
    return 0;
}

/* True: the only consumer of the block has begun to wait. */
static bool asleep(const char *name) {
    char path[300];
    datablock_participant_info rows[4];
    snprintf(path, sizeof path, "%s/%s", test_directory(), name);
    int count = datablock_list_participants(path, rows, 4);
    return count == 2 && rows[1].row != 0 && rows[1].waits > 0;
}

/* In the other process: a thread sleeps in the library, and the main thread returns. */
static int return_beside_a_sleeper(const char *name) {
    datablock_consumer_options options = options_here(DATABLOCK_LOSSLESS);
    CHECK_OK(datablock_consumer_open(name, &options, &sleeper));
    CHECK(CreateThread(NULL, 0, sleep_in_a_read, NULL, 0, NULL) != NULL);
    WAIT_UNTIL(asleep(name), 60);
    rest();
    return 0;
}

/* Its row is free when the process has ended: Windows has released the lease. */
static void a_process_ends_beside_a_sleeping_thread(void) {
    datablock_config config = ring_config(4);
    datablock_producer producer;
    CHECK_OK(datablock_producer_open("sleeper", &config, &producer));
    char path[300];
    snprintf(path, sizeof path, "%s/sleeper", test_directory());
    for (int i = 0; i < 4; i++) {
        struct other other = start("--return-beside-a-sleeper", "sleeper");
        if (i % 2 == 0) {
            CHECK(ended(&other) == 0);
        } else {
            killed(&other);
        }
        CHECK(datablock_cleanup_dead_consumers(path, 0) == 1);
    }
    CHECK_OK(datablock_producer_close(producer));
}

int main(int argc, char **argv) {
    if (argc == 4 && strcmp(argv[1], "--return-beside-a-sleeper") == 0) {
        alarm(60);
        use_directory(argv[2]);
        return return_beside_a_sleeper(argv[3]);
    }
    static const struct scenario scenarios[] = {
        {"threads-that-end-leave-nothing", threads_that_end_leave_nothing},
        {"the-end-of-a-thread-closes", the_end_of_a_thread_closes},
        {"a-thread-outlives-its-fibers", a_thread_outlives_its_fibers},
        {"the-library-stays", the_library_stays},
        {"texts-are-utf8", texts_are_utf8},
        {"absolute-names", absolute_names},
        {"types-of-windows", types_of_windows},
        {"a-message-of-more-than-4-GiB", a_message_of_more_than_4_gib},
        {"a-process-ends-beside-a-sleeping-thread", a_process_ends_beside_a_sleeping_thread},
    };
    return run_scenarios(scenarios, sizeof scenarios / sizeof scenarios[0], argc, argv);
}
