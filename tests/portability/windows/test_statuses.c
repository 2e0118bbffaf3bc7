/*
 * The statuses of docs/errors.md for what Windows refuses: names, files, directories, space. The
 * variable SMALL_VOLUME names a directory on a volume of 1 MiB: see statuses.py.
 */
#include "../../c/other.h"
#include "../../c/pair.h"

/* Opens and closes. */
static datablock_status produce(const char *name, const datablock_config *config) {
    datablock_producer producer = {0};
    datablock_status status = datablock_producer_open(name, config, &producer);
    if (status == DATABLOCK_OK) {
        CHECK_OK(datablock_producer_close(producer));
    }
    return status;
}

static datablock_status consume(const char *name, const datablock_consumer_options *options) {
    datablock_consumer consumer = {0};
    datablock_status status = datablock_consumer_open(name, options, &consumer);
    if (status == DATABLOCK_OK) {
        CHECK_OK(datablock_consumer_close(consumer));
    }
    return status;
}

static void what_is_missing(void) {
    datablock_config config = ring_config(4);
    datablock_consumer_options options = options_here(DATABLOCK_LATEST);
    char absent[300];
    CHECK_DETAIL(consume("missing", &options), DATABLOCK_E_NOT_FOUND, "missing");
    snprintf(absent, sizeof absent, "%s\\absent", test_directory());
    config.directory = options.directory = absent;
    CHECK_DETAIL(produce("block", &config), DATABLOCK_E_NOT_FOUND, "absent");
    CHECK_DETAIL(consume("block", &options), DATABLOCK_E_NOT_FOUND, "absent");
    config.directory = "relative";
    CHECK_DETAIL(produce("block", &config), DATABLOCK_E_INVALID, "begins with a drive");
}

static void who_may_open(void) {
    static const char secret[] = "one", other[] = "two";
    datablock_config config = ring_config(4);
    datablock_producer producer;
    datablock_consumer_options options = options_here(DATABLOCK_LATEST);
    config.secret = secret;
    config.secret_length = sizeof secret;
    CHECK_OK(datablock_producer_open("guarded", &config, &producer));
    CHECK_DETAIL(produce("guarded", &config), DATABLOCK_E_PRODUCER_ACTIVE, "guarded");
    CHECK_STATUS(consume("guarded", &options), DATABLOCK_E_SECRET);
    options.secret = other;
    options.secret_length = sizeof other;
    CHECK_STATUS(consume("guarded", &options), DATABLOCK_E_SECRET);
    options.secret = secret;
    CHECK_OK(consume("guarded", &options));
    CHECK_OK(datablock_producer_close(producer));
}

static void names_that_windows_refuses(void) {
    static const char *const names[] = {
        "CON", "con", "nul.txt", "COM1", "a:b", "dot.", "space ", "a/b", "a\\b", "a?", ""};
    datablock_config config = ring_config(4);
    datablock_consumer_options options = options_here(DATABLOCK_LATEST);
    char longest[202], path[600];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        CHECK_STATUS(produce(names[i], &config), DATABLOCK_E_INVALID);
        CHECK_STATUS(consume(names[i], &options), DATABLOCK_E_INVALID);
    }
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    CHECK_STATUS(produce(longest, &config), DATABLOCK_E_INVALID);
    longest[sizeof longest - 2] = '\0';
    CHECK_OK(produce(longest, &config));
    snprintf(path, sizeof path, "%s\\%s", test_directory(), longest);
    CHECK_OK(datablock_unlink(path, 0)); /* other programs do not remove a path of this length */
    CHECK_OK(produce("camera", &config));
    CHECK_DETAIL(produce("Camera", &config), DATABLOCK_E_INVALID, "camera");
    CHECK_DETAIL(consume("CAMERA", &options), DATABLOCK_E_INVALID, "camera");
}

/* Each wrong byte would be the character U+FFFD. There is a folder with this name. */
static void directories_that_are_not_utf8(void) {
    static const char *const endings[] = {"\\\xff", "\\\xc3", "\\\xed\xa0\x80"};
    wchar_t wide[300];
    CHECK(MultiByteToWideChar(CP_UTF8, 0, test_directory(), -1, wide, 200) > 0);
    wcscat(wide, L"\\\xfffd");
    CHECK(CreateDirectoryW(wide, NULL));
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        datablock_config config = ring_config(4);
        datablock_consumer_options options = options_here(DATABLOCK_LATEST);
        char directory[300], path[310];
        snprintf(directory, sizeof directory, "%s%s", test_directory(), endings[i]);
        snprintf(path, sizeof path, "%s\\block", directory);
        config.directory = options.directory = directory;
        CHECK_DETAIL(produce("block", &config), DATABLOCK_E_INVALID, "is not UTF-8");
        CHECK_DETAIL(consume("block", &options), DATABLOCK_E_INVALID, "is not UTF-8");
        CHECK_DETAIL(datablock_unlink(path, 0), DATABLOCK_E_INVALID, "is not UTF-8");
        config = ring_config(4);
        config.registered = "Sample@1";
        config.registry = directory;
        CHECK_DETAIL(produce("block", &config), DATABLOCK_E_INVALID, "is not UTF-8");
    }
    CHECK(RemoveDirectoryW(wide));
}

static HANDLE alone(const char *path) {
    HANDLE file = CreateFileA(path, GENERIC_READ, 0, NULL, OPEN_EXISTING, 0, NULL);
    CHECK(file != INVALID_HANDLE_VALUE);
    return file;
}

/* A directory, a file of another kind, and a file that a program does not share. */
static void files_that_are_no_block(void) {
    datablock_config config = ring_config(4);
    datablock_consumer_options options = options_here(DATABLOCK_LATEST);
    char path[300];
    snprintf(path, sizeof path, "%s\\folder", test_directory());
    CHECK(CreateDirectoryA(path, NULL));
    CHECK_STATUS(consume("folder", &options), DATABLOCK_E_CORRUPT);
    CHECK(RemoveDirectoryA(path));
    CHECK_OK(produce("shared", &config));
    snprintf(path, sizeof path, "%s\\shared", test_directory());
    HANDLE file = alone(path);
    CHECK_DETAIL(consume("shared", &options), DATABLOCK_E_SYSTEM, "does not share it");
    CHECK(CloseHandle(file));
    CHECK_OK(consume("shared", &options));
}

static void a_full_volume(void) {
    const char *small = getenv("SMALL_VOLUME");
    if (small == NULL) {
        printf("    SKIPPED: SMALL_VOLUME names no directory\n");
        return;
    }
    datablock_config config = ring_config(4);
    char path[300];
    config.directory = small;
    config.slot_size = 4 << 20;
    CHECK_STATUS(produce("large", &config), DATABLOCK_E_NO_SPACE);
    datablock_block_info found[1];
    size_t count = 1;
    CHECK_OK(datablock_list(small, found, 1, &count));
    CHECK(count == 0);
    config.slot_size = 4096;
    CHECK_OK(produce("small", &config));
    snprintf(path, sizeof path, "%s\\small", small);
    CHECK_OK(datablock_unlink(path, 0));
}

int main(int argc, char **argv) {
    static const struct scenario scenarios[] = {
        {"what-is-missing", what_is_missing},
        {"who-may-open", who_may_open},
        {"names-that-windows-refuses", names_that_windows_refuses},
        {"directories-that-are-not-utf8", directories_that_are_not_utf8},
        {"files-that-are-no-block", files_that_are_no_block},
        {"a-full-volume", a_full_volume},
    };
    return run_scenarios(scenarios, sizeof scenarios / sizeof *scenarios, argc, argv);
}
