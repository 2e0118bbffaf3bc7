/*
 * Three ways to call on the same handles: inline code, the C part of the library, and Go. They
 * share one private state, so each must see the changes of the others. Random calls use any of the
 * three ways. A model knows the messages and the holds, and the results are compared with it. After
 * each call the test checks the private state and the shared words.
 *
 * A run prints its seed, and DATABLOCK_SEED=N repeats it. A failing run prints its last calls.
 */
#define TEST_INLINE /* the plain names are inline functions; `library` has the exported functions */
#include "pair.h"

#include <inttypes.h>
#include <pthread.h>
#include <semaphore.h>

enum { CALLS = 400000, BLOCKS = 40, READERS = 6, MAX_SLOTS = 128, MAX_CAPACITY = 100, TRACE = 30 };

/* ---- Chance ---------------------------------------------------------------------------------- */

static uint64_t seed, chance;

static uint64_t mix(uint64_t z) {
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}
static uint32_t below(uint32_t n) { return (uint32_t)((mix(chance += UINT64_C(0x9e3779b97f4a7c15)) >> 32) % n); }
static bool one_in(uint32_t n) { return below(n) == 0; }

/* ---- Ways ------------------------------------------------------------------------------------ */

enum way { INLINE, EXPORTED, THROUGH_GO, WAYS };
static const char *const way_names[WAYS] = {"inline", "exported", "go"};
static enum way way;
static uint64_t inline_done[5]; /* calls that inline code completed alone; without them the test proves nothing */

/* When inline code has to leave a call to the library, this chooses C or Go. */
static void choose_way(void) {
    static bool through_go;
    way = (enum way)below(WAYS);
    bool want = way == THROUGH_GO || (way == INLINE && one_in(2));
    if (want != through_go) {
        through_go = want;
        CHECK((want ? setenv("DATABLOCK_TEST_GO", "1", 1) : unsetenv("DATABLOCK_TEST_GO")) == 0);
    }
}

/* Counts the calls that inline code completed alone. `must`: nothing is unusual, so inline code
 * must complete the call, independently of the previous call. */
static void note(int what, bool done, bool must) {
    CHECK(done || !must);
    inline_done[what] += done;
}

static void *state_of(uint64_t handle) {
    return datablock_inline_enlist(DATABLOCK_INLINE_VERSION)->table[handle >> DATABLOCK_INLINE_INDEX_SHIFT].state;
}

/* True if housekeeping is due. If it was due when inline code checked, it still is. */
static bool due(const datablock_inline_coarse_clock *m) {
    uint64_t now = __atomic_load_n(&m->now, __ATOMIC_RELAXED);
    return now != 0 ? now != m->seen : m->uses >= 1000 || check_now() * 1e9 - (double)m->seen >= 90e6;
}
static bool producer_due(datablock_producer producer)
{
    return due(&((const datablock_inline_producer *)state_of(producer.handle))->clock);
}
static bool consumer_due(datablock_consumer consumer)
{
    return due(&((const datablock_inline_consumer *)state_of(consumer.handle))->clock);
}

static datablock_status call_claim(datablock_producer producer, int64_t timeout_ms, datablock_write_slot *slot,
                                   bool must) {
    if (way != INLINE) {
        return library.write_begin(producer, timeout_ms, slot);
    }
    bool done = datablock_inline_try_write_begin(producer, timeout_ms, slot);
    note(0, done, must && !producer_due(producer));
    return done ? DATABLOCK_OK : datablock_write_begin(producer, timeout_ms, slot);
}
static datablock_status call_commit(datablock_producer producer, const datablock_write_slot *slot, size_t length,
                                    bool must) {
    if (way != INLINE) {
        return library.write_commit(producer, slot, length);
    }
    bool done = datablock_inline_try_write_commit(producer, slot, length);
    note(1, done, must);
    return done ? DATABLOCK_OK : datablock_write_commit(producer, slot, length);
}
static datablock_status call_abort(datablock_producer producer, const datablock_write_slot *slot, bool must) {
    if (way != INLINE) {
        return library.write_abort(producer, slot);
    }
    bool done = datablock_inline_try_write_abort(producer, slot);
    note(2, done, must);
    return done ? DATABLOCK_OK : datablock_write_abort(producer, slot);
}
static datablock_status call_read(datablock_consumer consumer, int64_t timeout_ms, datablock_read_slot *slot,
                                  bool must) {
    if (way != INLINE) {
        return library.read_begin(consumer, timeout_ms, slot);
    }
    datablock_status status;
    bool done = datablock_inline_try_read_begin(consumer, timeout_ms, slot, &status);
    note(3, done && status == DATABLOCK_OK, must && !consumer_due(consumer));
    return done ? status : datablock_read_begin(consumer, timeout_ms, slot);
}
static datablock_status call_end(datablock_consumer consumer, const datablock_read_slot *slot, bool must) {
    if (way != INLINE) {
        return library.read_end(consumer, slot);
    }
    bool done = datablock_inline_try_read_end(consumer, slot);
    note(4, done, must);
    return done ? DATABLOCK_OK : datablock_read_end(consumer, slot);
}

/* ---- The model ------------------------------------------------------------------------------- */

struct message {
    uint64_t salt;
    size_t length;
    bool lost; /* an operator has discarded it */
};

struct hold {
    datablock_read_slot slot;
    struct message message;
    uint64_t from; /* where the cursor stays while it is held: at its id, or where the gap before it begins */
    bool used, in_order;
};

struct reader {
    datablock_consumer handle;
    datablock_delivery delivery;
    bool open, may_jump;
    uint32_t max_pins, held;
    uint16_t tokens;
    uint64_t next, cursor, skipped, gap_at, losses;
    uint64_t read, bytes, missed, lost, timeouts; /* the expected figures of its row */
    struct hold holds[DATABLOCK_LAYOUT_MAX_PINS];
    datablock_read_slot ended;
    uint64_t thread; /* the last user of the handle */
};

static const char block[] = "mixed";
static datablock_config config;
static datablock_producer producer;
static bool producing, claimed, fenced;
static datablock_write_slot claim, last_claim;
static uint64_t next_id, salts;
static uint64_t written, bytes, aborted, timeouts, fences; /* the expected figures of the data file */
static struct message ring[64];
static struct reader readers[READERS];

static uint64_t scans_before; /* scan_epoch minus the count of scans at the open of the producer */
/* The last claim ended without a message. A fence that was meant for it may still come. */
static bool unpublished;

/* If another thread used the handle last, a thread's first call is not inline. */
static uint64_t producer_thread;
static _Thread_local char this_thread_is;
static uint64_t this_thread(void) { return (uint64_t)(uintptr_t)&this_thread_is; }
static bool same_thread(uint64_t *last) {
    bool same = *last == this_thread();
    *last = this_thread();
    return same;
}

static struct message *message_of(uint64_t id) { return &ring[id % config.slot_count]; }
static uint64_t oldest(void) { return next_id > config.slot_count ? next_id - config.slot_count : 0; }

static uint64_t content_word(uint64_t id, uint64_t salt, size_t i) { return mix(mix(id ^ salt << 32) + i); }

static void fill(void *data, uint64_t id, uint64_t salt, size_t length) {
    for (size_t i = 0; i < length; i++) {
        ((uint8_t *)data)[i] = (uint8_t)(content_word(id, salt, i / 8) >> i % 8 * 8);
    }
}

static void check_content(const struct hold *hold) {
    for (size_t i = 0; i < hold->message.length; i++) {
        CHECK(((const uint8_t *)hold->slot.data)[i] == (uint8_t)(
            content_word(hold->slot.id, hold->message.salt, i / 8) >> i % 8 * 8));
    }
}

static uint64_t first_in_order(const struct reader *r) {
    uint64_t first = UINT64_MAX;
    for (int k = 0; k < DATABLOCK_LAYOUT_MAX_PINS; k++) {
        if (r->holds[k].used && r->holds[k].in_order && r->holds[k].from < first) {
            first = r->holds[k].from;
        }
    }
    return first;
}
static void step_over(struct reader *r) {
    uint64_t first = first_in_order(r), next = r->skipped != 0 ? r->gap_at : r->next;
    r->cursor = first < next ? first : next;
}

/* Whether the library ends what is held: gaps are to be minded. */
static bool apart(const struct reader *r) {
    const datablock_inline_consumer *c = state_of(r->handle.handle);
    for (int k = 0; k < DATABLOCK_LAYOUT_MAX_PINS; k++) {
        if (c->holds[k].used == DATABLOCK_INLINE_APART) {
            return true;
        }
    }
    return false;
}

static uint32_t open_readers(void) {
    uint32_t n = 0;
    for (int i = 0; i < READERS; i++) {
        n += readers[i].open;
    }
    return n;
}

/* ---- The log of the calls -------------------------------------------------------------------- */

static char trace[TRACE][160];
static uint64_t calls;
static bool failed = true;

#define TRACED(...) snprintf(trace[calls % TRACE], sizeof trace[0], __VA_ARGS__)

static void print_trace(void) {
    if (failed && getpid() == check_directory_owner) {
        for (uint64_t i = calls < TRACE ? 0 : calls - TRACE + 1; i <= calls; i++) {
            fprintf(stderr, "%8" PRIu64 "  %s\n", i, trace[i % TRACE]);
        }
        fprintf(stderr, "DATABLOCK_SEED=%" PRIu64 "\n", seed);
    }
}

/* ---- Checks after each call ------------------------------------------------------------------ */

/* Every slot is in one place: in the ring, claimed, free or retired. */
static void check_producer(void) {
    datablock_inline_producer *p = state_of(producer.handle);
    uint8_t seen[MAX_SLOTS] = {0};
    CHECK(p->next == next_id && p->claimed == claimed && p->block.slots <= MAX_SLOTS);
    for (uint32_t i = 0; i < p->free_count; i++) {
        seen[p->free_slots[i]]++;
    }
    for (uint32_t i = 0; i < p->retired_count; i++) {
        seen[p->retired[i]]++;
    }
    for (uint32_t i = 0; i < config.slot_count; i++) {
        uint64_t entry = p->block.entries[i];
        if (!datablock_layout_entry_empty(entry)) {
            seen[datablock_layout_entry_slot(entry)]++;
        }
    }
    if (claimed) {
        CHECK(claim.index == p->slot);
        seen[p->slot]++;
    }
    for (uint32_t i = 0; i < p->block.slots; i++) {
        CHECK(seen[i] == 1);
    }
    uint8_t *data = p->block.data;
    CHECK(datablock_inline_peek(data, DATABLOCK_LAYOUT_COMMIT) == next_id);
    CHECK(datablock_inline_peek(data, DATABLOCK_LAYOUT_CLAIM_ID) == (claimed ? next_id + 1 : 0));
    CHECK(datablock_inline_peek(data, DATABLOCK_LAYOUT_METRIC_WRITTEN) == written);
    CHECK(datablock_inline_peek(data, DATABLOCK_LAYOUT_METRIC_BYTES) == bytes);
    CHECK(datablock_inline_peek(data, DATABLOCK_LAYOUT_METRIC_ABORTED) == aborted);
    CHECK(datablock_inline_peek(data, DATABLOCK_LAYOUT_METRIC_TIMEOUTS) == timeouts);
    CHECK(datablock_inline_peek(data, DATABLOCK_LAYOUT_METRIC_FENCED) == fences);
    CHECK(datablock_inline_peek(data, DATABLOCK_LAYOUT_PRODUCER_WAITING) == 0);
    CHECK(datablock_inline_peek(data, DATABLOCK_LAYOUT_SCAN_EPOCH) - datablock_inline_peek(data,
        DATABLOCK_LAYOUT_METRIC_SCANS) == scans_before);
}

static void check_reader(const struct reader *r) {
    datablock_inline_consumer *c = state_of(r->handle.handle);
    uint32_t used = 0;
    CHECK(c->next == r->next && c->held == r->held && c->next_hold == r->tokens && c->skipped == r->skipped);
    for (int k = 0; k < DATABLOCK_LAYOUT_MAX_PINS; k++) {
        const datablock_inline_hold *h = &c->holds[k];
        uint64_t pin = datablock_inline_peek(c->row, DATABLOCK_LAYOUT_ROW_PINS + 8 * (uint64_t)k);
        bool known = false;
        CHECK(pin == (h->used && h->pinned ? h->slot + UINT64_C(1) : 0));
        for (int i = 0; h->used && i < DATABLOCK_LAYOUT_MAX_PINS; i++) {
            const struct hold *held = &r->holds[i];
            known |= held->used && held->slot.token == h->token && held->slot.id == h->id &&
                held->slot.index == h->slot && held->in_order == h->in_order;
        }
        CHECK(known == (bool)h->used);
        used += h->used != 0;
    }
    CHECK(used == r->held);
    CHECK(datablock_inline_peek(c->row, DATABLOCK_LAYOUT_ROW_CURSOR) == r->cursor);
    CHECK(datablock_inline_peek(c->row, DATABLOCK_LAYOUT_ROW_READ) == r->read);
    CHECK(datablock_inline_peek(c->row, DATABLOCK_LAYOUT_ROW_BYTES) == r->bytes);
    CHECK(datablock_inline_peek(c->row, DATABLOCK_LAYOUT_ROW_MISSED) == r->missed);
    CHECK(datablock_inline_peek(c->row, DATABLOCK_LAYOUT_ROW_LOST) == r->lost);
    CHECK(datablock_inline_peek(c->row, DATABLOCK_LAYOUT_ROW_TIMEOUTS) == r->timeouts);
}

/* ---- Writing --------------------------------------------------------------------------------- */

static void open_producer(void) {
    TRACED("open the producer");
    CHECK_OK(datablock_producer_open(block, &config, &producer));
    producing = true;
    unpublished = false;
    producer_thread = this_thread();
    datablock_inline_producer *p = state_of(producer.handle);
    scans_before = datablock_inline_peek(p->block.data,
        DATABLOCK_LAYOUT_SCAN_EPOCH) - datablock_inline_peek(p->block.data, DATABLOCK_LAYOUT_METRIC_SCANS);
}

static void close_producer(void) {
    TRACED("close the producer%s", claimed ? ", with a claim open" : "");
    CHECK_OK(datablock_producer_close(producer));
    aborted += claimed;
    producing = claimed = fenced = false;
}

static datablock_status expected_claim(void) {
    uint64_t n = config.slot_count;
    if (!producing) {
        return DATABLOCK_E_HANDLE;
    }
    if (claimed) {
        return DATABLOCK_E_INVALID;
    }
    if (next_id >= n && open_readers() < config.min_consumers) {
        return DATABLOCK_E_TIMEOUT;
    }
    for (int i = 0; i < READERS; i++) {
        if (readers[i].open && readers[i].delivery == DATABLOCK_LOSSLESS && next_id - readers[i].cursor >= n) {
            return DATABLOCK_E_TIMEOUT;
        }
    }
    return DATABLOCK_OK;
}

static bool claim_is_inline(datablock_status want) {
    if (want == DATABLOCK_E_HANDLE) {
        return false;
    }
    const datablock_inline_producer *p = state_of(producer.handle);
    bool was_fenced = (p->block.entries[next_id % config.slot_count] & DATABLOCK_LAYOUT_ENTRY_FENCE) != 0;
    return same_thread(&producer_thread) && want == DATABLOCK_OK && !p->slow_path_pending && !was_fenced &&
           (config.min_consumers == 0 || next_id < config.slot_count);
}

static void write_begin(void) {
    datablock_status want = expected_claim();
    int64_t timeout = want == DATABLOCK_OK && one_in(4) ? -1 : want == DATABLOCK_E_TIMEOUT && one_in(200) ? 1 : 0;
    datablock_write_slot slot, untouched;
    memset(&slot, 0x5a, sizeof slot);
    untouched = slot;
    TRACED("%s: claim %" PRIu64 ", timeout %d", way_names[way], next_id, (int)timeout);
    CHECK_STATUS(call_claim(producer, timeout, &slot, claim_is_inline(want)), want);
    timeouts += want == DATABLOCK_E_TIMEOUT;
    if (want != DATABLOCK_OK) {
        CHECK(memcmp(&slot, &untouched, sizeof slot) == 0);
        CHECK(datablock_error_detail()[0] != '\0');
        return;
    }
    CHECK(slot.id == next_id && slot.capacity == config.slot_size && slot.reserved == 0 &&
          slot.index < config.slot_count + config.spare_slots);
    CHECK(datablock_error_detail()[0] == '\0');
    memset(slot.data, 0xee, slot.capacity); /* destroys a payload that a reader might still hold */
    claim = slot;
    claimed = true;
    fenced = unpublished = false;
}

/* True if no operator has discarded the message that the claim overwrites. */
static bool entry_is_known(void) {
    const datablock_inline_producer *p = state_of(producer.handle);
    uint32_t place = (uint32_t)(next_id % config.slot_count);
    return p->expected[place] == p->block.entries[place];
}

static void write_commit(void) {
    datablock_status want = !producing ? DATABLOCK_E_HANDLE : !claimed ? DATABLOCK_E_INVALID : fenced
        ? DATABLOCK_E_FENCED : DATABLOCK_OK;
    struct message message = {.salt = ++salts, .length = below((uint32_t)config.slot_size + 1)};
    datablock_write_slot slot = claim;
    TRACED("%s: commit %" PRIu64 " in slot %u%s", way_names[way], slot.id, slot.index, fenced ? ", fenced" : "");
    if (claimed) {
        fill(slot.data, slot.id, message.salt, message.length);
    }
    CHECK_STATUS(call_commit(producer, &slot, message.length,
                             same_thread(&producer_thread) && want == DATABLOCK_OK && entry_is_known()), want);
    last_claim = slot;
    if (want == DATABLOCK_OK) {
        *message_of(next_id++) = message;
        written++;
        bytes += message.length;
    }
    fences += want == DATABLOCK_E_FENCED;
    unpublished |= want == DATABLOCK_E_FENCED;
    claimed = fenced = false;
}

static void write_abort(void) {
    datablock_status want = !producing ? DATABLOCK_E_HANDLE : !claimed ? DATABLOCK_E_INVALID : DATABLOCK_OK;
    TRACED("%s: abort %" PRIu64 " in slot %u", way_names[way], claim.id, claim.index);
    last_claim = claim;
    CHECK_STATUS(call_abort(producer, &last_claim, same_thread(&producer_thread) && want == DATABLOCK_OK), want);
    aborted += want == DATABLOCK_OK;
    unpublished |= want == DATABLOCK_OK;
    claimed = fenced = false;
}

/* ---- Reading --------------------------------------------------------------------------------- */

static void open_reader(void) {
    static const datablock_delivery deliveries[] = {DATABLOCK_LOSSLESS, DATABLOCK_ORDERED, DATABLOCK_LATEST};
    uint32_t pins = 0;
    int free_one = -1;
    for (int i = 0; i < READERS; i++) {
        pins += readers[i].open ? readers[i].max_pins : 0;
        free_one = readers[i].open ? free_one : i;
    }
    if (free_one < 0 || pins + 1 >= config.spare_slots) {
        return;
    }
    struct reader *r = &readers[free_one];
    datablock_consumer_options options = options_here(deliveries[below(3)]);
    uint32_t most = config.spare_slots - 1 - pins;
    options.max_pins = 1 + below(most < DATABLOCK_LAYOUT_MAX_PINS ? most : DATABLOCK_LAYOUT_MAX_PINS);
    options.start = one_in(2) ? DATABLOCK_START_OLDEST : DATABLOCK_START_LATEST;
    *r = (struct reader){.open = true, .delivery = (datablock_delivery)options.delivery, .max_pins = options.max_pins,
        .next = next_id};
    if (options.start == DATABLOCK_START_OLDEST) {
        r->next = oldest();
        r->may_jump = r->delivery == DATABLOCK_LOSSLESS;
    } else if (r->delivery == DATABLOCK_LATEST && next_id > 0) {
        r->next--;
    }
    r->cursor = r->next;
    TRACED("open reader %d: delivery %u, start %u, %u pins", free_one, options.delivery, options.start,
           options.max_pins);
    CHECK_OK(datablock_consumer_open(block, &options, &r->handle));
    r->thread = this_thread();
    const datablock_inline_consumer *c = state_of(r->handle.handle);
    r->tokens = c->next_hold;
}

static void close_reader(struct reader *r) {
    TRACED("close reader %d, who holds %u", (int)(r - readers), r->held);
    CHECK_OK(datablock_consumer_close(r->handle));
    r->open = false;
}

/* Returns the expected result of the next read, and moves the model's reader. */
static datablock_status expected_read(struct reader *r, uint64_t *id, uint64_t *missed) {
    uint64_t n = config.slot_count;
    datablock_status nothing = producing ? DATABLOCK_E_TIMEOUT : DATABLOCK_E_CLOSED;
    *missed = 0;
    if (r->held == r->max_pins) {
        return DATABLOCK_E_BUSY;
    }
    if (r->delivery == DATABLOCK_LATEST) {
        for (uint64_t want = next_id; want > r->next && want > oldest();) {
            want--;
            if (!message_of(want)->lost) {
                *id = want;
                *missed = want - r->next;
                r->next = want + 1;
                r->cursor = r->next;
                return DATABLOCK_OK;
            }
        }
        return nothing;
    }
    if (r->next < oldest()) {
        uint64_t to = oldest();
        if (r->delivery == DATABLOCK_LOSSLESS) {
            CHECK(r->may_jump); /* a claim was open at the join */
        } else {
            uint64_t further = r->losses++ * n / 8;
            to += further < n - 1 ? further : n - 1;
            r->gap_at = r->skipped == 0 ? r->next : r->gap_at;
            r->skipped += to - r->next;
        }
        r->next = to;
        if (r->delivery == DATABLOCK_LOSSLESS) {
            step_over(r);
        }
    }
    if (r->next == next_id) {
        return nothing;
    }
    *id = r->next++;
    if (message_of(*id)->lost) {
        step_over(r);
        r->lost++;
        return DATABLOCK_E_LOST;
    }
    *missed = r->skipped;
    r->skipped = r->losses = 0;
    return DATABLOCK_OK;
}

/* True if the producer has not acknowledged a LOSSLESS reader yet, or if the reader holds a
 * message from that time. Until the acknowledgement the reader uses hazard pointers. */
static bool unbound(const struct reader *r) {
    const datablock_inline_consumer *c = state_of(r->handle.handle);
    uint64_t cursor = c->next;
    for (int i = 0; i < DATABLOCK_LAYOUT_MAX_PINS; i++) {
        if (c->holds[i].used && c->holds[i].in_order && c->holds[i].id < cursor) {
            cursor = c->holds[i].id;
        }
    }
    return c->join_epoch != 0 &&
        (datablock_inline_peek(c->block.data, DATABLOCK_LAYOUT_JOIN_ACK) < c->join_epoch || cursor < oldest());
}

static bool read_is_inline(struct reader *r, datablock_status want, uint64_t id, uint64_t was) {
    const datablock_inline_consumer *c = state_of(r->handle.handle);
    if (!same_thread(&r->thread) || want != DATABLOCK_OK) {
        return false;
    }
    switch (r->delivery) {
    case DATABLOCK_LOSSLESS:
        return c->join_epoch == 0 && !c->may_jump;
    case DATABLOCK_ORDERED:
        return was == id && c->skipped == 0;
    default:
        return id + 1 == next_id;
    }
}

/* Checks a message that was just read. */
static void check_slot(struct reader *r, const datablock_read_slot *slot, uint64_t id, uint64_t missed, bool in_order,
                       bool pinned) {
    const datablock_inline_consumer *c = state_of(r->handle.handle);
    for (int i = 0; i < DATABLOCK_LAYOUT_MAX_PINS; i++) {
        CHECK(!c->holds[i].used || c->holds[i].token != slot->token || c->holds[i].pinned == pinned);
    }
    CHECK(pinned || !c->may_jump);
    int k = 0;
    while (r->holds[k].used) {
        k++;
    }
    struct hold *hold = &r->holds[k];
    *hold = (struct hold){.slot = *slot, .message = *message_of(id), .from = missed != 0 && in_order ? r->gap_at : id,
                          .used = true, .in_order = in_order};
    CHECK(slot->id == id && slot->length == hold->message.length && slot->missed == missed &&
          slot->token == ++r->tokens);
    CHECK((slot->timestamp_ns != 0) == ((config.flags & DATABLOCK_FLAG_TIMESTAMP) != 0));
    check_content(hold);
    r->held++;
    r->read++;
    r->bytes += slot->length;
    r->missed += missed;
}

static void read_begin(struct reader *r) {
    uint64_t id = UINT64_MAX, missed, was = r->next;
    datablock_status want = expected_read(r, &id, &missed);
    int64_t timeout = want == DATABLOCK_OK && one_in(4) ? -1 : want == DATABLOCK_E_TIMEOUT && one_in(200) ? 1 : 0;
    datablock_read_slot slot, untouched;
    memset(&slot, 0x5a, sizeof slot);
    untouched = slot;
    TRACED("%s: reader %d reads from %" PRIu64 " on, timeout %d", way_names[way], (int)(r - readers), was,
           (int)timeout);
    bool pinned = r->delivery != DATABLOCK_LOSSLESS || unbound(r);
    CHECK_STATUS(call_read(r->handle, timeout, &slot, read_is_inline(r, want, id, was)), want);
    r->timeouts += want == DATABLOCK_E_TIMEOUT;
    if (want == DATABLOCK_OK) {
        CHECK(datablock_error_detail()[0] == '\0');
        check_slot(r, &slot, id, missed, r->delivery != DATABLOCK_LATEST, pinned);
    } else {
        CHECK(memcmp(&slot, &untouched, sizeof slot) == 0);
        CHECK(datablock_error_detail()[0] != '\0');
    }
}

static void read_at(struct reader *r) {
    uint64_t id = oldest() + below(config.slot_count + 2) - (oldest() > 0);
    datablock_status want = r->held == r->max_pins        ? DATABLOCK_E_BUSY
                            : id >= next_id               ? DATABLOCK_E_NOT_FOUND
                            : id < oldest()               ? DATABLOCK_E_OVERRUN
                            : message_of(id)->lost        ? DATABLOCK_E_LOST
                                                          : DATABLOCK_OK;
    datablock_read_slot slot;
    TRACED("%s: reader %d reads at %" PRIu64, way_names[way], (int)(r - readers), id);
    CHECK_STATUS(datablock_read_at(r->handle, id, &slot), want);
    r->thread = this_thread();
    if (want == DATABLOCK_OK) {
        check_slot(r, &slot, id, 0, false, true);
    }
}

static struct hold *some_hold(struct reader *r) {
    struct hold *hold = NULL;
    for (uint32_t k = 0, skip = r->held > 0 ? below(r->held) : 0; r->held > 0 && k < DATABLOCK_LAYOUT_MAX_PINS; k++) {
        if (r->holds[k].used && skip-- == 0) {
            hold = &r->holds[k];
            break;
        }
    }
    return hold;
}

static void read_end(struct reader *r) {
    struct hold *hold = some_hold(r);
    if (hold == NULL) {
        return;
    }
    bool same = same_thread(&r->thread);
    bool early = r->delivery == DATABLOCK_LOSSLESS && hold->in_order && hold->slot.id != first_in_order(r);
    TRACED("%s: reader %d ends %" PRIu64 ", token %u", way_names[way], (int)(r - readers), hold->slot.id,
           hold->slot.token);
    check_content(hold);
    CHECK_STATUS(call_end(r->handle, &hold->slot, same && !early && !apart(r)),
        early ? DATABLOCK_E_INVALID : DATABLOCK_OK);
    if (early) {
        return;
    }
    r->ended = hold->slot;
    hold->used = false;
    r->held--;
    if (hold->in_order) {
        step_over(r);
    }
}

/* ---- Operators ------------------------------------------------------------------------------- */

/* Fences the open claim as a forced recovery does, or comes too late because the claim has
 * ended. */
static void fence(void) {
    datablock_inline_producer *p = state_of(producer.handle);
    if (!claimed && !unpublished) {
        return;
    }
    TRACED("fence %" PRIu64 "%s", next_id, claimed ? "" : ", unclaimed");
    __atomic_fetch_or(&p->block.entries[next_id % config.slot_count], DATABLOCK_LAYOUT_ENTRY_FENCE, __ATOMIC_SEQ_CST);
    fenced = claimed;
}

static void discard(void) {
    datablock_inline_producer *p = state_of(producer.handle);
    if (next_id == 0) {
        return;
    }
    /* The oldest message is where overtaken readers continue. */
    uint64_t id = one_in(2) ? oldest() : oldest() + below((uint32_t)(next_id - oldest()));
    TRACED("discard %" PRIu64, id);
    __atomic_fetch_or(&p->block.entries[id % config.slot_count], DATABLOCK_LAYOUT_ENTRY_LOST, __ATOMIC_SEQ_CST);
    message_of(id)->lost = true;
}

/* ---- Misuse ---------------------------------------------------------------------------------- */

static void misuse_writes(void) {
    datablock_status none = producing ? DATABLOCK_E_INVALID : DATABLOCK_E_HANDLE;
    datablock_write_slot slot = claim;
    TRACED("%s: misused writes", way_names[way]);
    producer_thread = 0; /* some of the calls fail before they use the handle */
    switch (below(6)) {
    case 0:
        slot.id += 1 + below(3);
        CHECK_STATUS(call_commit(producer, &slot, 0, false), none);
        CHECK_STATUS(call_abort(producer, &slot, false), none);
        break;
    case 1:
        slot.index++;
        CHECK_STATUS(call_commit(producer, &slot, 0, false), none);
        CHECK_STATUS(call_abort(producer, &slot, false), none);
        break;
    case 2:
        CHECK_STATUS(call_commit(producer, &slot, config.slot_size + 1 + below(1000), false), none);
        CHECK_STATUS(call_commit(producer, &slot, SIZE_MAX, false), none);
        break;
    case 3: /* a claim that has ended, unless the same slot has the same id again: then it is this claim */
        if (!claimed || last_claim.id != claim.id || last_claim.index != claim.index) {
            CHECK_STATUS(call_commit(producer, &last_claim, 0, false), none);
            CHECK_STATUS(call_abort(producer, &last_claim, false), none);
        }
        break;
    case 4:
        CHECK_STATUS(call_claim(producer, -2, &slot, false), none);
        CHECK_STATUS(call_claim(producer, 0, NULL, false), DATABLOCK_E_INVALID);
        CHECK_STATUS(call_commit(producer, NULL, 0, false), DATABLOCK_E_INVALID);
        CHECK_STATUS(call_abort(producer, NULL, false), DATABLOCK_E_INVALID);
        break;
    default:
        for (int i = 0; i < READERS; i++) {
            if (readers[i].handle.handle != 0) {
                CHECK_STATUS(call_claim((datablock_producer){readers[i].handle.handle}, 0, &slot, false),
                             DATABLOCK_E_HANDLE);
            }
        }
        CHECK_STATUS(call_commit((datablock_producer){producer.handle + 4}, &slot, 0, false), DATABLOCK_E_HANDLE);
    }
}

static void misuse_reads(struct reader *r) {
    struct hold *hold = some_hold(r);
    datablock_read_slot slot = hold != NULL ? hold->slot : (datablock_read_slot){.id = next_id};
    TRACED("%s: misused reads by reader %d", way_names[way], (int)(r - readers));
    r->thread = producer_thread = 0;
    switch (below(5)) {
    case 0:
        slot.token ^= 1u << 31;
        CHECK_STATUS(call_end(r->handle, &slot, false), DATABLOCK_E_INVALID);
        break;
    case 1:
        slot.id++;
        CHECK_STATUS(call_end(r->handle, &slot, false), DATABLOCK_E_INVALID);
        break;
    case 2:
        slot.index++;
        CHECK_STATUS(call_end(r->handle, &slot, false), DATABLOCK_E_INVALID);
        break;
    case 3:
        CHECK_STATUS(call_end(r->handle, &r->ended, false), DATABLOCK_E_INVALID);
        break;
    default:
        CHECK_STATUS(call_read(r->handle, -2, &slot, false), DATABLOCK_E_INVALID);
        CHECK_STATUS(call_read(r->handle, 0, NULL, false), DATABLOCK_E_INVALID);
        CHECK_STATUS(call_end(r->handle, NULL, false), DATABLOCK_E_INVALID);
        CHECK_STATUS(call_read((datablock_consumer){producer.handle}, 0, &slot, false), DATABLOCK_E_HANDLE);
    }
}

static void use_closed(struct reader *r) {
    datablock_read_slot slot = r->ended;
    TRACED("%s: reader %d, closed", way_names[way], (int)(r - readers));
    CHECK_STATUS(call_read(r->handle, 0, &slot, false), DATABLOCK_E_HANDLE);
    CHECK_STATUS(call_end(r->handle, &slot, false), DATABLOCK_E_HANDLE);
}

/* ---- A call ---------------------------------------------------------------------------------- */

static uint32_t eagerness; /* how often the producer writes in this phase */

static void write_something(void) {
    if (!producing) {
        one_in(3) ? open_producer() : write_begin();
    } else if (claimed && !one_in(50)) {
        one_in(8) ? write_abort() : write_commit();
    } else {
        write_begin();
    }
}

static void read_something(struct reader *r) {
    uint32_t what = below(100);
    if (what < 5) {
        read_at(r);
    } else if (r->held > 0 && (r->held == r->max_pins ? what < 97 : what < 50)) {
        read_end(r);
    } else {
        read_begin(r);
    }
}

/* An open reader, if there is one. */
static struct reader *some_reader(void) {
    uint32_t first = below(READERS);
    for (uint32_t i = 0; i < READERS; i++) {
        struct reader *r = &readers[(first + i) % READERS];
        if (r->open) {
            return r;
        }
    }
    return NULL;
}

static void do_something(void) {
    struct reader *r = some_reader(), *any = &readers[below(READERS)];
    uint32_t what = below(1000);
    if (what < 4 || r == NULL) {
        open_reader();
    } else if (what < 6) {
        close_reader(r);
    } else if (what == 6 && producing) {
        close_producer();
    } else if (what < 12 && producing) {
        discard();
    } else if (what < 15 && producing) {
        fence();
    } else if (what < 30) {
        misuse_writes();
    } else if (what < 45) {
        misuse_reads(r);
    } else if (what < 50 && !any->open && any->handle.handle != 0) {
        use_closed(any);
    } else if (below(100) < eagerness && (expected_claim() != DATABLOCK_E_TIMEOUT || one_in(10))) {
        write_something();
    } else if (r->held == 0 && r->next == next_id && !one_in(10)) {
        write_something(); /* there is nothing to read */
    } else {
        read_something(r);
    }
}

static void one_call(void) {
    choose_way();
    trace[calls % TRACE][0] = '\0';
    do_something();
    if (producing) {
        check_producer();
    }
    for (int i = 0; i < READERS; i++) {
        if (readers[i].open) {
            check_reader(&readers[i]);
            struct hold *hold = some_hold(&readers[i]);
            if (hold != NULL && one_in(4)) {
                check_content(hold);
            }
        }
    }
}

/* Another thread makes some of the calls: handles move from thread to thread. */
static sem_t asked, answered;

static void *help(void *unused) {
    for (;;) {
        sem_wait(&asked);
        one_call();
        sem_post(&answered);
    }
    return unused;
}

static void random_calls(void) {
    static const uint32_t lengths[] = {1, 2, 3, 5, 8, 64};
    static const size_t sizes[] = {1, 24, MAX_CAPACITY};
    const char *given = getenv("DATABLOCK_SEED");
    const char *soak = getenv("DATABLOCK_SOAK");
    seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    chance = mix(seed);
    printf("    DATABLOCK_SEED=%" PRIu64 "\n", seed);
    fflush(stdout);
    atexit(print_trace);
    pthread_t helper;
    CHECK(sem_init(&asked, 0, 0) == 0 && sem_init(&answered, 0, 0) == 0 &&
          pthread_create(&helper, NULL, help, NULL) == 0);
    for (int round = 0; round < (soak != NULL ? 100 : 1) * BLOCKS; round++) {
        alarm(60);
        config = ring_config(lengths[below(sizeof lengths / sizeof lengths[0])]);
        config.slot_size = sizes[below(3)];
        config.spare_slots = 2 + below(30);
        config.min_consumers = one_in(4) && config.spare_slots > 2 ? 2 : 0; /* one a consumer, and one to write to */
        config.flags |= one_in(2) ? DATABLOCK_FLAG_TIMESTAMP : 0;
        memset(readers, 0, sizeof readers);
        memset(ring, 0, sizeof ring);
        next_id = written = bytes = aborted = timeouts = fences = 0;
        open_producer();
        for (int i = 0; i < CALLS / BLOCKS; i++, calls++) {
            if (i % 500 == 0) {
                eagerness = 10 + below(80);
            }
            if (one_in(50)) {
                sem_post(&asked);
                sem_wait(&answered);
            } else {
                one_call();
            }
        }
        for (int i = 0; i < READERS; i++) {
            if (readers[i].open) {
                close_reader(&readers[i]);
            }
        }
        if (producing) {
            close_producer();
        }
        CHECK_OK(unlink_here(block));
    }
    printf("    inline code did %" PRIu64 " claims, %" PRIu64 " commits, %" PRIu64 " aborts, %" PRIu64
           " reads and %" PRIu64 " ends by itself\n", inline_done[0],
           inline_done[1], inline_done[2], inline_done[3], inline_done[4]);
    for (int i = 0; i < 5; i++) {
        CHECK(inline_done[i] > CALLS / 500);
    }
    unsetenv("DATABLOCK_TEST_GO");
    failed = false;
}

int main(int argc, char **argv) {
    static const struct scenario scenarios[] = {{"random-calls", random_calls}};
    return run_scenarios(scenarios, 1, argc, argv);
}
