/*
 * A hostile process changes the files of a block. For any contents of the files, no call reads or
 * writes outside of them. The mappings lie between inaccessible pages (DATABLOCK_TEST_GUARD), so an
 * access beyond them ends the program. The test touches every byte that the library hands out.
 *
 * The mutations follow from a seed. DATABLOCK_HOSTILE_SEED=N runs one mutation alone. A mutation
 * that ends the program is among the hundred after the last printed number.
 */
#include "check.h"

#include <datablock_layout.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

enum { READERS = 3, HOLDS = 4, USES = 60 };

static uint64_t seed, state;
static bool cut; /* a file was truncated: a payload may be gone while the program has it, which no library can help */

/* splitmix64 */
static uint64_t random64(void) {
    uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}
static uint64_t below(uint64_t n) { return n == 0 ? 0 : random64() % n; }

struct scene {
    datablock_producer producer;
    datablock_consumer readers[READERS];
    datablock_write_slot claim;
    datablock_read_slot held[READERS][HOLDS];
    unsigned holds[READERS];
    bool claimed;
    size_t slot_size;
};

/* Touches every byte of a message. A byte outside of the mapping ends the program. */
static void touch(const datablock_read_slot *slot, size_t slot_size) {
    CHECK(slot->length <= slot_size);
    for (size_t i = 0; i < slot->length && !cut; i++) {
        (void)((const volatile unsigned char *)slot->data)[i];
    }
}

static void let_go(struct scene *s, unsigned reader) {
    if (s->holds[reader] > 0) {
        (void)datablock_read_end(s->readers[reader], &s->held[reader][--s->holds[reader]]);
    }
}

static void read_some(struct scene *s, unsigned reader) {
    datablock_read_slot *slot = &s->held[reader][s->holds[reader]];
    datablock_status status = below(4) == 0 ? datablock_read_at(s->readers[reader], below(30), slot)
        : datablock_read_begin(s->readers[reader], 0, slot);
    if (status == DATABLOCK_OK) {
        touch(slot, s->slot_size);
        s->holds[reader]++;
    }
    if (s->holds[reader] == HOLDS || below(3) > 0) {
        let_go(s, reader);
    }
}

static void write_some(struct scene *s) {
    if (!s->claimed && datablock_write_begin(s->producer, 0, &s->claim) == DATABLOCK_OK) {
        s->claimed = true;
        CHECK(s->claim.capacity == s->slot_size);
        if (!cut) {
            memset(s->claim.data, (int)below(256), s->claim.capacity);
        }
    }
    if (s->claimed && below(5) > 0) {
        s->claimed = false;
        if (below(6) == 0) {
            (void)datablock_write_abort(s->producer, &s->claim);
        } else {
            (void)datablock_write_commit(s->producer, &s->claim, below(s->slot_size + 1));
        }
    }
}

static void use(struct scene *s) {
    for (int i = 0; i < USES; i++) {
        write_some(s);
        read_some(s, (unsigned)below(READERS));
    }
}

static void open_readers(struct scene *s, bool all) {
    datablock_consumer_options options;
    for (unsigned i = 0; i < READERS; i++) {
        CHECK_OK(datablock_consumer_options_init(&options));
        options.directory = test_directory();
        options.delivery = (const datablock_delivery[]){DATABLOCK_LOSSLESS, DATABLOCK_ORDERED, DATABLOCK_LATEST}[i];
        options.start = below(2) == 0 ? DATABLOCK_START_OLDEST : DATABLOCK_START_LATEST;
        options.max_pins = HOLDS;
        datablock_status status = datablock_consumer_open("hostile", &options, &s->readers[i]);
        CHECK(!all || status == DATABLOCK_OK);
    }
}

static datablock_config configured(struct scene *s) {
    datablock_config config;
    CHECK_OK(datablock_config_init(&config,
        (const datablock_policy[]){DATABLOCK_RING, DATABLOCK_SINGLE, DATABLOCK_DOUBLE_BUFFER}[below(3)]));
    config.directory = test_directory();
    config.slot_size = s->slot_size = 1 + below(300);
    config.consumer_limit = 5;
    config.spare_slots = 40;
    config.flags |= DATABLOCK_FLAG_ALLOW_LOSSLESS | (below(2) == 0 ? (uint32_t)DATABLOCK_FLAG_TIMESTAMP : 0) |
                    (below(2) == 0 ? (uint32_t)DATABLOCK_FLAG_RECLAIM : 0);
    config.checksum = (uint32_t)below(3);
    return config;
}

/* Finds the control file or the data file in the directory. */
static void find(char *path, size_t size, bool control) {
    DIR *directory = opendir(test_directory());
    CHECK(directory != NULL);
    *path = '\0';
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (entry->d_name[0] != '.' && (strstr(entry->d_name, ".ctl") != NULL) == control) {
            snprintf(path, size, "%s/%s", test_directory(), entry->d_name);
        }
    }
    closedir(directory);
    CHECK(*path != '\0');
}

/* Usually an important place: a header, a ring entry, a word of a slot in the ring, a row's cursor,
 * state or hazard pointer. */
static off_t place(int file, bool control, off_t size) {
    datablock_layout_data head;
    uint64_t entry;
    if (below(6) == 0 || pread(file, &head, sizeof head, 0) < (ssize_t)sizeof head ||
        (!control && head.slot_count == 0)) {
        return (off_t)below((uint64_t)size);
    }
    if (control) {
        off_t row = DATABLOCK_LAYOUT_CTL_ROWS + DATABLOCK_LAYOUT_ROW_SIZE * (off_t)below(READERS + 2);
        return below(3) == 0 ? (off_t)below(640) : row +
            (off_t)(below(2) == 0 ? below(DATABLOCK_LAYOUT_ROW_SIZE) : DATABLOCK_LAYOUT_ROW_CURSOR + below(128));
    }
    off_t at = (off_t)(head.ring_offset + 8 * below(head.slot_count));
    switch (below(4)) {
    case 0:
        return (off_t)below(DATABLOCK_LAYOUT_SCHEMA_REGION);
    case 1:
        return at + (off_t)below(8);
    default:
        if (pread(file, &entry, sizeof entry, at) == sizeof entry) {
            at = (off_t)(head.payload_offset +
                (entry >> 2 & DATABLOCK_LAYOUT_MAX_SLOTS) * head.stride - DATABLOCK_LAYOUT_SLOT_HEADER + below(24));
        }
        return at >= 0 ? at : 0;
    }
}

static void mutate(void) {
    static const uint64_t words[] = {0, 1, 2, 255, UINT64_C(1) << 31, UINT32_MAX, UINT64_C(1) << 40, UINT64_C(1) << 62,
        INT64_MAX, UINT64_C(1) << 63, UINT64_MAX, UINT64_MAX - 1, UINT64_MAX - 64};
    char path[512];
    struct stat info;
    bool control = below(2) == 0;
    find(path, sizeof path, control);
    int file = open(path, O_RDWR | O_CLOEXEC);
    CHECK(file >= 0 && fstat(file, &info) == 0 && info.st_size > 0);
    uint64_t kind = below(20), times = 1 + below(3);
    for (uint64_t i = 0; i < times; i++) {
        off_t at = (off_t)((uint64_t)place(file, control, info.st_size) % (uint64_t)info.st_size);
        unsigned char bytes[300];
        if (kind == 0) {
            CHECK(ftruncate(file, (off_t)below((uint64_t)info.st_size)) == 0);
            cut = true;
            break;
        } else if (kind < 5) {
            CHECK(pread(file, bytes, 1, at) == 1);
            *bytes ^= (unsigned char)(1u << below(8));
            CHECK(pwrite(file, bytes, 1, at) == 1);
        } else if (kind < 16) {
            uint64_t word = below(3) == 0 ? random64() : below(3) == 0 ? below(64) << 2 | below(1000) << 24
                : words[below(sizeof words / sizeof *words)];
            at &= ~(off_t)7;
            CHECK(at + 8 > info.st_size || pwrite(file, &word, 8, at) == 8);
        } else {
            size_t count = 1 + (size_t)below(sizeof bytes);
            for (size_t k = 0; k < count; k++) {
                bytes[k] = (unsigned char)random64();
            }
            count = (off_t)count > info.st_size - at ? (size_t)(info.st_size - at) : count;
            CHECK(pwrite(file, bytes, count, at) == (ssize_t)count);
        }
    }
    close(file);
}

static void empty_directory(void) {
    DIR *directory = opendir(test_directory());
    CHECK(directory != NULL);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        (void)unlinkat(dirfd(directory), entry->d_name, 0);
    }
    closedir(directory);
}

/* One mutation, which attached participants and later ones meet. */
static void attack(void) {
    struct scene s = {0};
    datablock_config config = configured(&s);
    cut = false;
    CHECK_OK(datablock_producer_open("hostile", &config, &s.producer));
    open_readers(&s, true);
    use(&s);
    mutate();
    use(&s);
    for (unsigned i = 0; i < READERS; i++) {
        if (below(2) == 0) {
            (void)datablock_consumer_close(s.readers[i]);
            s.readers[i] = (datablock_consumer){0};
            s.holds[i] = 0;
        }
    }
    struct scene late = {.slot_size = s.slot_size};
    if (below(2) == 0) {
        (void)datablock_producer_close(s.producer);
        (void)datablock_producer_open("hostile", &config, &late.producer);
    }
    open_readers(&late, false);
    use(&late);
    use(&s);
    for (unsigned i = 0; i < READERS; i++) {
        (void)datablock_consumer_close(s.readers[i]);
        (void)datablock_consumer_close(late.readers[i]);
    }
    (void)datablock_producer_close(s.producer);
    (void)datablock_producer_close(late.producer);
    empty_directory();
}

static void hung(int signal) {
    (void)signal;
    static const char text[] = "a mutation hangs\n";
    (void)!write(STDERR_FILENO, text, sizeof text - 1);
    _exit(1);
}

int main(int argc, char **argv) {
    (void)argc;
    if (getenv("DATABLOCK_TEST_GUARD") == NULL) { /* the library has read the environment already */
        setenv("DATABLOCK_TEST_GUARD", "1", 1);
        execv("/proc/self/exe", argv);
        perror("execv");
        return 1;
    }
    const char *one = getenv("DATABLOCK_HOSTILE_SEED");
    uint64_t first = one != NULL ? strtoull(one, NULL, 10) : 1,
        count = one != NULL ? 1 : getenv("DATABLOCK_SOAK") != NULL ? 100000 : 1000;
    signal(SIGALRM, hung);
    for (seed = first; seed < first + count; seed++) {
        if ((seed - first) % 100 == 0) {
            printf("%llu\n", (unsigned long long)seed);
            fflush(stdout);
        }
        state = seed * UINT64_C(0x2545f4914f6cdd1d);
        alarm(30);
        attack();
    }
    printf("%llu mutations\n", (unsigned long long)count);
    return 0;
}
