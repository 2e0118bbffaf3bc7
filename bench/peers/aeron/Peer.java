import io.aeron.Aeron;
import io.aeron.Publication;
import io.aeron.Subscription;
import io.aeron.driver.MediaDriver;
import io.aeron.driver.ThreadingMode;
import io.aeron.logbuffer.BufferClaim;
import io.aeron.logbuffer.FragmentHandler;
import io.aeron.logbuffer.FrameDescriptor;
import io.aeron.logbuffer.Header;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.concurrent.locks.LockSupport;
import org.agrona.BitUtil;
import org.agrona.BufferUtil;
import org.agrona.DirectBuffer;
import org.agrona.concurrent.UnsafeBuffer;

/**
 * Aeron over IPC: tryClaim, fill, commit; and poll, read in place. A message that is longer than a
 * claim may be goes out by offer, in fragments, and is put together by one copy. Polling never
 * sleeps: Aeron has no blocking receive.
 *
 * <p>With driver=embedded the media driver is a thread of the first side, and shares its core. With
 * driver=apart it is a process of its own (role driver).
 */
final class Peer {
    private static final int PAGE = 4096, COMPARED = 16, FRAGMENTS = 64;
    private static final long FILLER = 0x5a5a_5a5a_5a5a_5a5aL, LAST = -1;
    private static final int THERE = 1, BACK = 2, STREAM = 3;

    private final Measure measure;
    private final int size;
    private final UnsafeBuffer source, target;
    private final BufferClaim claim = new BufferClaim();
    private final FragmentHandler handler = this::onFragment;
    private MediaDriver driver;
    private Aeron aeron;
    private Publication publication;
    private Subscription subscription;
    private long sent, received, lastNumber;
    private int filled;
    private boolean over, complete, free;

    private Peer(final Measure measure) {
        this.measure = measure;
        size = (int)measure.whole("size");
        source = message(size);
        target = message(size);
    }

    private static UnsafeBuffer message(final int size) {
        final ByteBuffer memory = BufferUtil.allocateDirectAligned(BitUtil.align(size, PAGE), PAGE);
        final UnsafeBuffer buffer = new UnsafeBuffer(memory, 0, size);
        buffer.setMemory(0, size, (byte)FILLER);
        return buffer;
    }

    // ---- Opening --------------------------------------------------------------------------------

    private String directory() {
        return measure.text("dir") + "/aeron";
    }

    /** A claim may have the length of a fragment: the largest one that Aeron allows, if needed. */
    private MediaDriver.Context driverContext() {
        return new MediaDriver.Context()
            .aeronDirectoryName(directory())
            .dirDeleteOnStart(true)
            .threadingMode(ThreadingMode.SHARED)
            .termBufferSparseFile(false)
            .ipcMtuLength(size <= 8192 ? 16384 : 65504)
            .ipcTermBufferLength((int)measure.whole("term_mb") << 20);
    }

    private void open(final boolean first) {
        if (first && measure.text("driver").equals("embedded")) {
            driver = MediaDriver.launch(driverContext());
        }
        final Aeron.Context context = new Aeron.Context().aeronDirectoryName(directory());
        context.errorHandler((error) -> {
            System.err.println(error.getMessage());
            System.exit(1);
        });
        aeron = Aeron.connect(context);
    }

    private void openWriter(final int stream) {
        publication = aeron.addExclusivePublication("aeron:ipc", stream);
    }

    private void openReader(final int stream) {
        subscription = aeron.addSubscription("aeron:ipc", stream);
    }

    private void connect() {
        while (publication != null && !publication.isConnected()
            || subscription != null && !subscription.isConnected()) {
            LockSupport.parkNanos(1_000_000);
        }
    }

    private void close() {
        aeron.close();
        if (driver != null) {
            driver.close();
        }
    }

    // ---- Messages -------------------------------------------------------------------------------

    private void stamp(final long number) {
        for (int i = 0; i < size; i += PAGE) {
            source.putLong(i, number);
        }
        source.putLong(size - 8, number);
    }

    private void send(final long number) {
        stamp(number);
        if (size <= publication.maxPayloadLength()) {
            claim();
            claim.buffer().putBytes(claim.offset(), source, 0, size);
            claim.commit();
        } else {
            for (long result = -1; result < 0;) {
                result = tried(publication.offer(source, 0, size));
            }
        }
    }

    private void claim() {
        for (long result = -1; result < 0;) {
            result = tried(publication.tryClaim(size, claim));
        }
    }

    /** Sends a message that fits a claim. Drops the message if the channel has no reader. */
    private void sendOrDrop(final long number) {
        stamp(number);
        for (long result = -1; result < 0;) {
            result = tried(publication.tryClaim(size, claim));
            if (result == Publication.NOT_CONNECTED) {
                return;
            }
        }
        claim.buffer().putBytes(claim.offset(), source, 0, size);
        claim.commit();
    }

    private static long tried(final long result) {
        if (result == Publication.CLOSED || result == Publication.MAX_POSITION_EXCEEDED) {
            throw new IllegalStateException("the publication is closed: " + result);
        }
        return result;
    }

    private void onFragment(final DirectBuffer buffer, final int offset, final int length, final Header header) {
        target.putBytes(filled, buffer, offset, length);
        filled += length;
        if ((header.flags() & FrameDescriptor.END_FRAG_FLAG) == 0) {
            return;
        }
        if (filled != size) {
            throw new IllegalStateException("a message of " + filled + " bytes instead of " + size);
        }
        filled = 0;
        complete = true;
        check();
    }

    private void check() {
        lastNumber = target.getLong(0);
        for (int i = 0; i < size; i += PAGE) {
            if (target.getLong(i) != lastNumber) {
                throw new IllegalStateException("message " + lastNumber + " is torn at byte " + i);
            }
        }
        if (target.getLong(size - 8) != lastNumber) {
            throw new IllegalStateException("message " + lastNumber + " is torn at its end");
        }
        if (lastNumber == LAST) {
            over = true;
            return;
        }
        received++;
        if (lastNumber != received && !free) {
            throw new IllegalStateException("message " + lastNumber + " instead of " + received);
        }
        if (lastNumber <= COMPARED) {
            checkFiller();
        }
    }

    private void checkFiller() {
        for (int i = 0; i < size - 8; i += 8) {
            if (i % PAGE != 0 && target.getLong(i) != FILLER) {
                throw new IllegalStateException("message " + lastNumber + " is spoilt at byte " + i);
            }
        }
    }

    private void receive() {
        for (complete = false; !complete;) {
            subscription.poll(handler, free ? 1 : FRAGMENTS); // no more than one message is under way
        }
    }

    // ---- Roles ----------------------------------------------------------------------------------

    private void roundTrip() {
        send(++sent);
        receive();
    }

    private void pong() throws IOException {
        final boolean first = measure.whole("side") == 0;
        open(first);
        openWriter(first ? THERE : BACK);
        openReader(first ? BACK : THERE);
        connect();
        if (first) {
            measure.roundTrips(this::roundTrip);
            send(LAST);
            measure.answerSamples();
        } else {
            Measure.rendezvous();
            for (receive(); !over; receive()) {
                send(++sent);
            }
        }
        Measure.waitForEnd();
        close();
    }

    private void produce() throws IOException {
        open(true);
        openWriter(STREAM);
        connect();
        Measure.rendezvous();
        final int batch = Measure.batchOf(size);
        final long begun = System.nanoTime();
        final long until = begun + measure.nanoseconds("warm") + measure.nanoseconds("seconds");
        while (System.nanoTime() < until) {
            for (int i = 0; i < batch; i++) {
                send(++sent);
            }
        }
        send(LAST);
        Measure.answerRate(sent, System.nanoTime() - begun);
        Measure.waitForEnd();
        close();
    }

    /** Polls for several fragments in a call, as Aeron recommends. */
    private void consume() throws IOException {
        final int batch = Measure.batchOf(size);
        open(false);
        openReader(STREAM);
        connect();
        Measure.rendezvous();
        for (long next = batch; !over;) {
            subscription.poll(handler, FRAGMENTS);
            if (received >= next) {
                measure.look(received);
                next = received + batch;
            }
        }
        measure.answerStream();
        close();
    }

    private void drive() throws IOException {
        driver = MediaDriver.launch(driverContext());
        Measure.say("ready");
        Measure.waitForEnd();
        driver.close();
    }

    private void write() {
        final long stop = measure.whole("stop"), pace = measure.whole("pace_us") * 1000;
        open(true);
        openWriter(STREAM);
        sent = measure.whole("after");
        Measure.logEvent("open", 0);
        connect();
        while (true) {
            if (sent + 1 == stop) {
                stamp(stop);
                claim();
                claim.buffer().putBytes(claim.offset(), source, 0, size / 2);
                stopHere(stop);
            }
            sendOrDrop(++sent);
            Measure.logEvent("sent", sent);
            LockSupport.parkNanos(pace);
        }
    }

    private void read() {
        final long stop = measure.whole("stop");
        free = true;
        open(false);
        openReader(STREAM);
        Measure.logEvent("open", 0);
        while (true) {
            if (lastNumber + 1 == stop) {
                subscription.poll((buffer, offset, length, header) -> stopHere(stop), 1);
                continue;
            }
            receive();
            Measure.logEvent("received", lastNumber);
        }
    }

    private static void stopHere(final long number) {
        Measure.logEvent("stopped", number);
        while (true) {
            LockSupport.park();
        }
    }

    public static void main(final String[] arguments) throws IOException {
        final Peer peer = new Peer(new Measure(arguments));
        switch (arguments[0]) {
            case "pong" -> peer.pong();
            case "produce" -> peer.produce();
            case "consume" -> peer.consume();
            case "driver" -> peer.drive();
            case "write" -> peer.write();
            case "read" -> peer.read();
            default -> throw new IllegalArgumentException("no such role: " + arguments[0]);
        }
    }
}
