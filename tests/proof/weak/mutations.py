"""Mutations: deliberate faults in the protocol's code, as changes of its text.

run.py applies each mutation to a copy of the code. The check has to catch each of them. The run
fails when an old text does not occur exactly once, whatever the spacing. Then the code has changed,
and the mutation has to be changed with it.
"""

import dataclasses
import re
import shutil

PRODUCER = "include/datablock/detail/producer.h"
CONSUMER = "include/datablock/detail/consumer.h"
WAIT = "capi/protocol_wait.c"


@dataclasses.dataclass
class Mutation:
    name: str
    scenario: str
    file: str
    changes: list


def mutation(name, scenario, file, *changes):
    return Mutation(name, scenario, file, list(changes))


# The changes of a mutation are pairs (old text, new text). To move a line, one change removes it
# and another one inserts it.
SCAN_LOAD = (
    "    uint64_t scan = __atomic_load_n(datablock_inline_u64(b->data, DATABLOCK_LAYOUT_SCAN_EPOCH), "
    "DATABLOCK_ORDER_SCAN_EPOCH);\n"
    "    uint64_t entry = __atomic_load_n(place, DATABLOCK_ORDER_ENTRY);\n"
    "    int64_t ahead = datablock_layout_entry_empty(entry) ? -1 :"
)
SCAN_ADD = (
    "    __atomic_add_fetch(datablock_inline_u64(b->data, DATABLOCK_LAYOUT_SCAN_EPOCH), 1, "
    "DATABLOCK_ORDER_SCAN_EPOCH_ADD);\n"
)
FIND = "    uint32_t found = datablock_inline_find_pins(p), kept = 0, before = p->free_count;\n"
PIN = (
    "    (void)__atomic_exchange_n(datablock_inline_pin_of(c, h), DATABLOCK_LAYOUT_CAST(uint64_t, "
    "datablock_layout_entry_slot(entry)) + 1, DATABLOCK_ORDER_PIN);\n"
    '    DATABLOCK_CRASH_POINT("read.pinned");\n'
)
RECHECK = "    uint64_t now = __atomic_load_n(&b->entries[at], DATABLOCK_ORDER_RECHECK);\n"
UNPIN = "    (void)__atomic_exchange_n(datablock_inline_pin_of(c, h), 0, DATABLOCK_ORDER_UNPIN);\n"
UNPIN_LOOK = (
    "    return __atomic_load_n(datablock_inline_u64(c->block.data, "
    "DATABLOCK_LAYOUT_PRODUCER_WAITING), DATABLOCK_ORDER_PRODUCER_WAITING) ==\n"
    "           DATABLOCK_LAYOUT_WAIT_ANY;\n"
)
ADVANCE = (
    "    uint64_t from = __atomic_exchange_n(datablock_inline_u64(c->row, "
    "DATABLOCK_LAYOUT_ROW_CURSOR), to, DATABLOCK_ORDER_ADVANCE);\n"
)
ADVANCE_LOOK = (
    "    uint64_t awaited =\n"
    "        __atomic_load_n(datablock_inline_u64(c->block.data, DATABLOCK_LAYOUT_PRODUCER_WAITING), "
    "DATABLOCK_ORDER_PRODUCER_WAITING);\n"
)
RESCAN_LOAD = (
    "    uint64_t epoch = __atomic_load_n(datablock_inline_u64(b->ctl, "
    "DATABLOCK_LAYOUT_CTL_JOIN_EPOCH), DATABLOCK_ORDER_JOIN_EPOCH_RESCAN);\n"
)
HEADER_ID = "    datablock_inline_poke(header, DATABLOCK_LAYOUT_SLOT_ID, id);\n"
UNMARK = "    datablock_inline_unmark(p, data, header, slot);\n"
PUBLISHED = '    DATABLOCK_CRASH_POINT("commit.published");\n'
RESCANNED = "    p->fast_path_end = 0; /* a reader that has joined may be further back than those before */\n"
NEXT_ROW = "        for (; set != 0; set &= set - 1) {\n"
ROW_PINS = (
    "            uint8_t *row = b->rows + DATABLOCK_LAYOUT_ROW_SIZE * (64 * w + "
    "DATABLOCK_LAYOUT_CAST(uint32_t, __builtin_ctzll(set)));\n"
    "            uint64_t pin"
)
GATE = """    if (p->next - p->min_cursor >= b->slot_count) {
        return false;
    }
"""
MARK = (
    "    (void)__atomic_fetch_or(datablock_inline_u64(b->ctl, DATABLOCK_LAYOUT_CTL_WAITING), "
    "UINT64_C(1) << c->row_number % 64, __ATOMIC_SEQ_CST);\n"
)
SEEN = "    uint32_t seen = __atomic_load_n(event, __ATOMIC_SEQ_CST);\n"
LOOKED = "    uint64_t now = dbshim_monotonic();\n    if (now >= until) {"
TAKE = (
    "    (void)__atomic_exchange_n(datablock_inline_u64(block->ctl, DATABLOCK_LAYOUT_CTL_WAITING), 0, "
    "__ATOMIC_SEQ_CST);\n"
)
EVENT = "    __atomic_add_fetch(event, 1, __ATOMIC_SEQ_CST);\n"

MUTATIONS = [
    # The backpressure check.
    mutation("NO_GATE", "lossless", PRODUCER, (GATE, "")),
    mutation("NO_GATE_BETWEEN_LOOKS", "lossless", PRODUCER,
             ("p->fast_path_end = slots < gate ? slots : gate;", "p->fast_path_end = slots;")),
    mutation("GATE_ONE_TOO_FAR", "lossless", PRODUCER,
             ("gate = p->min_cursor + b->slot_count;", "gate = p->min_cursor + b->slot_count + 1;")),
    mutation("RESCAN_LEAVES_WHAT_WAS_ALLOWED", "join-oldest", PRODUCER, (RESCANNED, "")),
    mutation("ACK_WITHOUT_RESCAN", "join-oldest", PRODUCER,
             ("    p->min_cursor = p->next - behind;\n",
              "    if (!p->scanned || p->next - p->min_cursor >= b->slot_count) {\n"
              "        p->min_cursor = p->next - behind;\n    }\n")),
    mutation("ACK_RELOADS_EPOCH", "join-oldest", PRODUCER,
             ("    p->scanned = 1;\n", "    p->scanned = 1;\n" + RESCAN_LOAD.replace("uint64_t epoch", "epoch"))),
    # Slots.
    mutation("RETIRED_IS_FREE", "ordered", PRODUCER,
             ("        p->retired[p->retired_count++] = old;", "        p->free_slots[p->free_count++] = old;")),
    mutation("REFILL_IGNORES_PINS", "latest", PRODUCER,
             ("if (DATABLOCK_UNLIKELY(found != 0) && (p->pinned[slot / 64] >> slot % 64 & 1) != 0) {", "if (0) {")),
    mutation("PINS_OF_LOSSLESS_ROWS", "latest", PRODUCER,
             ("DATABLOCK_LAYOUT_CTL_ACTIVE + 8 * w", "DATABLOCK_LAYOUT_CTL_LOSSLESS + 8 * w")),
    mutation("FIRST_PIN_ONLY", "ordered-holds", PRODUCER,
             ("            for (uint32_t k = 0; any != 0 && k < DATABLOCK_LAYOUT_MAX_PINS; k++) {",
              "            for (uint32_t k = 0; any != 0 && k < 1; k++) {")),
    mutation("EPOCH_AFTER_SCAN", "latest-1", PRODUCER, (SCAN_ADD, ""), (FIND, FIND + SCAN_ADD)),
    mutation("PINS_OF_THE_FIRST_ROW_ONLY", "large-two-pins", PRODUCER,
             (NEXT_ROW + ROW_PINS, NEXT_ROW.replace("set &= set - 1", "set = 0") + ROW_PINS)),
    # Publication.
    mutation("NO_REMEMBERED_ENTRY", "replace", PRODUCER,
             ("expected = *known;", "expected = __atomic_load_n(place, __ATOMIC_SEQ_CST);")),
    mutation("CLAIM_IGNORES_FENCE", "replace", PRODUCER, (" || (entry & DATABLOCK_LAYOUT_ENTRY_FENCE) != 0", ""),
             ("DATABLOCK_ORDER_STATE) < DATABLOCK_LAYOUT_STATE_SUPERSEDED &&", "DATABLOCK_ORDER_STATE) != 99 &&")),
    mutation("HEADER_AFTER_PUBLICATION", "lossless", PRODUCER, (HEADER_ID, ""), (PUBLISHED, HEADER_ID + PUBLISHED)),
    mutation("UNMARK_AFTER_PUBLICATION", "lossless", PRODUCER, (UNMARK, ""), (PUBLISHED, UNMARK + PUBLISHED)),
    mutation("ABORT_LEAVES_WHAT_WAS_ALLOWED", "replace-abort", PRODUCER,
             ("    (void)datablock_inline_next_entry(p);\n    p->fast_path_end = 0;\n",
              "    (void)datablock_inline_next_entry(p);\n")),
    # Hazard pointers.
    mutation("NO_RECHECK", "latest", CONSUMER,
             ("if (DATABLOCK_LIKELY(((now ^ entry) & ~DATABLOCK_LAYOUT_ENTRY_FENCE) == 0) ||", "if (now == now ||")),
    mutation("RECHECK_BEFORE_PIN", "latest", CONSUMER, (RECHECK, ""), (PIN, RECHECK + PIN)),
    mutation("ENTRY_BEFORE_SCAN_EPOCH", "ordered-1", CONSUMER,
             (SCAN_LOAD, "\n".join((SCAN_LOAD.split("\n")[1], SCAN_LOAD.split("\n")[0], SCAN_LOAD.split("\n")[2])))),
    mutation("UNPIN_BEFORE_THE_END", "latest", CONSUMER,
             ("    uint64_t missed = next - 1 - c->next + c->skipped;\n",
              "    uint64_t missed = next - 1 - c->next + c->skipped;\n    *wake = datablock_inline_unpin(c, h);\n")),
    mutation("LOSSLESS_PASSES_WHAT_IS_HELD", "lossless-holds", CONSUMER,
             ("        to = first < to ? first : to;\n", "")),
    # The event counts.
    mutation("LOOK_BEFORE_UNPIN", "sleep-unpin", CONSUMER,
             (UNPIN, UNPIN_LOOK.replace("return", "bool waits =") + UNPIN),
             (UNPIN_LOOK, "    return waits;\n")),
    mutation("LOOK_BEFORE_ADVANCE", "sleep-1", CONSUMER, (ADVANCE, ADVANCE_LOOK + ADVANCE),
             ('    DATABLOCK_CRASH_POINT("release.advanced");\n' + ADVANCE_LOOK, "")),
    mutation("ADVANCE_OFF_BY_ONE", "sleep-1", CONSUMER,
             ("(from < awaited && awaited <= to)", "(from < awaited && awaited < to)")),
    mutation("SLEEPER_LOOKS_BEFORE_MARK", "sleep-1", WAIT, (MARK, ""), (LOOKED, MARK + LOOKED)),
    mutation("SLEEPER_LOADS_EVENT_LATE", "sleep-1", WAIT, (SEEN, ""), (LOOKED, SEEN + LOOKED)),
    mutation("SLEEPER_MARKS_WEAKLY", "sleep-1", WAIT, (MARK, MARK.replace("SEQ_CST", "ACQ_REL"))),
    mutation("WAKE_WITHOUT_EVENT", "sleep-1", WAIT, (EVENT, "")),
    mutation("WAITING_TAKEN_LATE", "sleep", WAIT, (TAKE, ""),
             ("    dbshim_futex_wake(event);\n", "    dbshim_futex_wake(event);\n" + TAKE)),
]


def any_spacing(code):
    """A pattern of this code, whatever the line breaks and spaces between the words are."""
    words = re.findall(r"\w+|[^\w\s]", code)
    pattern = "".join(
        (r"\s+" if a[-1:].isalnum() and b[0].isalnum() else r"\s*" if a else "") + re.escape(b)
        for a, b in zip(["", *words], words, strict=False)
    )
    return re.compile(pattern)


def mutate(root, tree, m):
    """Copies the checked files into `tree` and applies the mutation."""
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(root / "include", tree / "include")
    (tree / "capi").mkdir()
    for name in ("futex_linux.c", "protocol_wait.c", "shim.h"):
        shutil.copy(root / "capi" / name, tree / "capi")
    at = tree / m.file
    text = at.read_text()
    for old, new in m.changes:
        pattern = any_spacing(old)
        times = len(pattern.findall(text))
        if times != 1:
            raise RuntimeError(f"{m.name}: {m.file} has this {times} times:\n{old}")
        # A line that moves would occur twice if it were inserted first. So the removal comes first.
        text = pattern.sub(lambda _, new=new: new, text)
    at.write_text(text)
