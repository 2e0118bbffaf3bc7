import com.sun.jna.Library;
import com.sun.jna.Memory;
import com.sun.jna.Native;
import com.sun.jna.Pointer;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Host DIRECTORY EXCEPT: a host in Java over JNA, for run.py, like host.c. DIRECTORY has
 * libdatablock.so, and tests/hosts/libhandlers.so.
 */
public final class Host {
    static final int SLOT = 512, RING = 4;
    static final int OK = 0, TIMEOUT = 1, NOT_FOUND = 3, CLOSED = 15, OVERRUN = 18;
    static final int LOSSLESS = 1, ORDERED = 2;
    static final long STACK = 8 << 20; // of a thread, because handlers use a part of it

    /** A handle is a struct of one 64-bit number, and is passed as such a number. */
    public interface DataBlock extends Library {
        String datablock_error_detail();
        int datablock_config_init(Pointer config, int policy);
        int datablock_producer_open(String name, Pointer config, Pointer out);
        int datablock_producer_close(long producer);
        int datablock_write_begin(long producer, long timeout, Pointer out);
        int datablock_write_commit(long producer, Pointer slot, long length);
        int datablock_write(long producer, long timeout, byte[] data, long length, Pointer id);
        int datablock_consumer_options_init(Pointer options);
        int datablock_consumer_open(String name, Pointer options, Pointer out);
        int datablock_consumer_close(long consumer);
        int datablock_read_begin(long consumer, long timeout, Pointer out);
        int datablock_read_end(long consumer, Pointer slot);
        int datablock_wait_any(long[] consumers, long count, long timeout, byte[] ready);
        int datablock_lock_acquire(long participant, int lock, long timeout, Pointer abandoned);
        int datablock_lock_release(long participant, int lock);
        int datablock_zone_begin(long participant, int flags, long timeout, Pointer out);
        int datablock_zone_end(long participant, byte spoilt);
        int datablock_counter_add(long participant, int counter, long amount, Pointer before);
        int datablock_observer_open(String name, Pointer options, Pointer out);
        int datablock_observer_close(long observer);
        int datablock_observe(long observer, long id, byte[] buffer, long capacity, Pointer out);
        int datablock_diagnose_all_slots(String name, Pointer out, long capacity, Pointer count);
        int datablock_get_metrics(String name, Pointer out);
        int datablock_validate_integrity(String name, Pointer out);
    }

    public interface Handlers extends Library {
        void handlers_begin(String except, int how);
        int handlers_thread();
        int handlers_end(int strangers);
        long handlers_count();
    }

    static DataBlock library;
    static Handlers handlers;
    // First stop, then endOfStream: so no thread uses a removed block.
    static volatile boolean stop, endOfStream;
    static final CountDownLatch said = new CountDownLatch(5);
    static final AtomicInteger sharers = new AtomicInteger(), inLock = new AtomicInteger();
    static final AtomicLong entered = new AtomicLong();
    static volatile long written, readSlowly, readAny;

    static void fail(String what) {
        System.err.println("Host.java: " + what + "; detail \"" + library.datablock_error_detail() + "\"");
        Runtime.getRuntime().halt(1);
    }

    static void check(boolean right, String what) {
        if (!right) {
            fail(what);
        }
    }

    /** True for OK. Every other status must be one of `others`. */
    static boolean ok(String what, int status, int... others) {
        boolean known = status == OK;
        for (int other : others) {
            known |= status == other;
        }
        check(known, what + ": status " + status);
        return status == OK;
    }

    static byte[] payload(long id) {
        byte[] bytes = new byte[(int) (1 + id * 37 % SLOT)];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) (id * 31 + i);
        }
        return bytes;
    }

    static boolean right(byte[] bytes, int length, long id) {
        byte[] wanted = payload(id);
        boolean same = length == wanted.length;
        for (int i = 0; same && i < length; i++) {
            same = bytes[i] == wanted[i];
        }
        return same;
    }

    static void sayThread() {
        System.out.println("thread " + handlers.handlers_thread());
        System.out.flush();
        said.countDown();
    }

    static long make(String name) {
        Memory config = new Memory(256), out = new Memory(8);
        ok("config_init", library.datablock_config_init(config, 3));
        config.setInt(4, config.getInt(4) | 8); // flags: UNLINK_ON_CLOSE
        config.setInt(12, RING);
        config.setLong(24, SLOT);
        config.setInt(44, 2); // checksum: ENFORCED
        ok("producer_open", library.datablock_producer_open(name, config, out));
        return out.getLong(0);
    }

    static long attach(String name, int delivery) {
        Memory options = new Memory(256), out = new Memory(8);
        ok("options_init", library.datablock_consumer_options_init(options));
        options.setInt(4, delivery);
        ok("consumer_open", library.datablock_consumer_open(name, options, out));
        return out.getLong(0);
    }

    /** Uses what participants share: lock 1 with one owner at a time, the zone, a counter. */
    static void share(long participant, Memory zone) throws InterruptedException {
        sharers.incrementAndGet();
        if (!stop) {
            if (ok("lock_acquire", library.datablock_lock_acquire(participant, 1, 20, null), TIMEOUT)) {
                check(inLock.incrementAndGet() == 1, "two have the lock");
                Thread.sleep(0, 100_000);
                inLock.decrementAndGet();
                ok("lock_release", library.datablock_lock_release(participant, 1));
            }
            if (ok("zone_begin", library.datablock_zone_begin(participant, 0, 20, zone), TIMEOUT)) {
                Pointer data = zone.getPointer(0);
                data.setLong(0, data.getLong(0) + 1);
                ok("zone_end", library.datablock_zone_end(participant, (byte) 0));
                entered.incrementAndGet();
            }
            ok("counter_add", library.datablock_counter_add(participant, 2, 1, null));
        }
        sharers.decrementAndGet();
    }

    static void produce(long producer) throws InterruptedException {
        Memory slot = new Memory(64), id = new Memory(8);
        sayThread();
        for (long turn = 0; !endOfStream; turn++) {
            byte[] bytes = payload(written);
            if (turn % 2 == 0) {
                if (ok("write", library.datablock_write(producer, 10, bytes, bytes.length, id), TIMEOUT)) {
                    check(id.getLong(0) == written, "the id of a message");
                    written++;
                }
            } else if (ok("write_begin", library.datablock_write_begin(producer, 10, slot), TIMEOUT)) {
                slot.getPointer(0).write(0, bytes, 0, bytes.length);
                ok("write_commit", library.datablock_write_commit(producer, slot, bytes.length));
                written++;
            }
            if (turn % 8 == 0) {
                share(producer, slot);
            }
        }
        while (sharers.get() != 0) {
            Thread.sleep(1);
        }
        ok("zone_begin", library.datablock_zone_begin(producer, 0, 1000, slot));
        check(slot.getPointer(0).getLong(0) == entered.get(), "the zone");
        ok("zone_end", library.datablock_zone_end(producer, (byte) 0));
        ok("producer_close", library.datablock_producer_close(producer));
    }

    /** Reads the next message, which must be `id`. Returns 1, 0 after a timeout, -1 at the end. */
    static int read(long consumer, long timeout, long id, Memory slot) {
        int status = library.datablock_read_begin(consumer, timeout, slot);
        if (status == CLOSED) {
            return -1;
        }
        if (!ok("read_begin", status, TIMEOUT)) {
            return 0;
        }
        int length = (int) slot.getLong(8);
        byte[] bytes = slot.getPointer(0).getByteArray(0, length);
        check(slot.getLong(16) == id && right(bytes, length, id), "message " + id);
        ok("read_end", library.datablock_read_end(consumer, slot));
        return 1;
    }

    static void readSlowly(long consumer) throws InterruptedException {
        Memory slot = new Memory(64);
        sayThread();
        for (int got; (got = read(consumer, 5, readSlowly, slot)) >= 0;) {
            readSlowly += got;
            Thread.sleep(0, (int) (readSlowly % 4 * 100_000));
            if (got == 1 && readSlowly % 16 == 0) {
                share(consumer, slot);
            }
        }
        ok("consumer_close", library.datablock_consumer_close(consumer));
    }

    static void readEither(long stream, long side) throws InterruptedException {
        long[] both = {stream, side}, following = {0, 0};
        byte[] ready = new byte[2];
        Memory slot = new Memory(64);
        sayThread();
        for (boolean open = true; open;) {
            if (!ok("wait_any", library.datablock_wait_any(both, 2, 20, ready), TIMEOUT)) {
                continue;
            }
            for (int i = 0; i < 2; i++) {
                int got = ready[i] == 0 ? 0 : read(both[i], 0, following[i], slot);
                following[i] += Math.max(got, 0);
                open &= got >= 0;
            }
            if (following[0] % 16 == 0) {
                share(stream, slot);
            }
        }
        readAny = following[0];
        ok("consumer_close", library.datablock_consumer_close(stream));
        ok("consumer_close", library.datablock_consumer_close(side));
    }

    static void lookAbout(long side) {
        Memory room = new Memory(4096), count = new Memory(8);
        byte[] seen = new byte[SLOT];
        long id = 0;
        sayThread();
        while (!stop) {
            byte[] bytes = payload(id);
            if (ok("write", library.datablock_write(side, 5, bytes, bytes.length, null), TIMEOUT)) {
                id++;
            }
            int result = library.datablock_diagnose_all_slots("stream", room, 16, count);
            check(result == 0 && count.getLong(0) > RING, "diagnose_all_slots");
            result = library.datablock_validate_integrity("stream", room);
            check(result == 0 && room.getInt(0) << 8 == 0x01010100, "validate_integrity");
            room.setInt(0, 168);
            ok("get_metrics", library.datablock_get_metrics("stream", room));
            ok("observer_open", library.datablock_observer_open("stream", null, count));
            int status = library.datablock_observe(count.getLong(0), -1, seen, SLOT, room);
            if (ok("observe", status, NOT_FOUND, OVERRUN)) {
                check(right(seen, (int) room.getLong(8), room.getLong(0)), "an observed message");
            }
            ok("observer_close", library.datablock_observer_close(count.getLong(0)));
            ok("consumer_close", library.datablock_consumer_close(attach("stream", ORDERED)));
            ok("producer_close", library.datablock_producer_close(make("brief")));
        }
    }

    interface Part {
        void run() throws Exception;
    }

    static Thread start(Part part) {
        Thread thread = new Thread(null, () -> {
            try {
                part.run();
            } catch (Throwable error) {
                fail(error.toString());
            }
        }, "host", STACK);
        thread.start();
        return thread;
    }

    public static void main(String[] arguments) throws Exception {
        library = Native.load(arguments[0] + "/libdatablock.so", DataBlock.class);
        handlers = Native.load(arguments[0] + "/tests/hosts/libhandlers.so", Handlers.class);
        long producer = make("stream"), side = make("side");
        long slow = attach("stream", LOSSLESS), stream = attach("stream", LOSSLESS), ofSide = attach("side", LOSSLESS);
        handlers.handlers_begin(arguments.length > 1 ? arguments[1] : "", 4); // HANDLERS_NO_NESTING
        sayThread();
        Thread reading = start(() -> readSlowly(slow)), waiting = start(() -> readEither(stream, ofSide));
        Thread producing = start(() -> produce(producer)), looking = start(() -> lookAbout(side));
        said.await();
        System.out.println("ready");
        System.out.flush();
        System.in.read();
        stop = true;
        looking.join();
        endOfStream = true;
        producing.join();
        reading.join();
        waiting.join();
        ok("producer_close", library.datablock_producer_close(side));
        check(written > 0 && readSlowly == written && readAny == written, "not every message was read");
        // The virtual machine has threads of its own, and handlers may run there.
        if (handlers.handlers_end(1) == 0) {
            Runtime.getRuntime().halt(1);
        }
        System.out.printf("ok %d messages, %d times in the zone, %d handlers%n",
            written, entered.get(), handlers.handlers_count());
    }
}
