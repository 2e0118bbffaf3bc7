/*
 * A host's use of the parts of datablock.hpp, for strict.sh. Macros and templates are compiled with
 * the warnings of the host.
 */
#include "datablock.hpp"
enum class Kind : std::uint8_t { a, b };
struct Point { float x, y; };
struct Sample { std::uint64_t time; double value[3]; Point at[2]; std::array<char, 16> name; Kind kind; bool on; };
DATABLOCK_DESCRIBE(Point, "Point", 1, 0, 0, x, y)
DATABLOCK_DESCRIBE(Sample, "Sample", 1, 2, 0, time, value, at, name, kind, on)
std::uint64_t use(datablock::TypedProducer<Sample> &p, datablock::TypedConsumer<Sample> &c);
std::uint64_t use(datablock::TypedProducer<Sample> &p, datablock::TypedConsumer<Sample> &c) {
    Sample s{};
    p.send(s);
    p.send_in_place(0, [](Sample &t) { t.time = 1; });
    (void)c.try_next();
    datablock::ReadBatch batch(c, 4);
    std::uint64_t sum = batch.next(0);
    for (const datablock::ReadSlot slot : batch) sum += slot.as<Sample>().time;
    sum += datablock::write_batch(p, &s, 1);
    sum += datablock::with_flexible_zone(c, 0, [](datablock::FlexibleZone &zone) { return zone.size(); });
    datablock::with_flexible_zone(p, 0, [](datablock::FlexibleZone &) {});
    datablock::SharedSpinLockGuardOwning guard(datablock::SharedSpinLock(p, 3), 0);
    datablock::WaitSet set{c};
    sum += datablock::SharedCounter(c, 1).load();
    sum += static_cast<std::uint64_t>(datablock::wait_any(0, c)[0]) + static_cast<std::uint64_t>(set.wait(0));
    return sum + c.next().time;
}
