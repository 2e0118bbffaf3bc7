import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;

/**
 * The protocol with the runner, the clock and the samples: measure.h, for Java. The clock is
 * System.nanoTime, which takes 20 ns and more. A round trip reads the clock once.
 */
final class Measure {
    private static final BufferedReader INPUT = new BufferedReader(new InputStreamReader(System.in));

    private final Map<String, String> options = new HashMap<>();
    private int[] samples = new int[0];
    private int sampleCount;
    private long lookFrom, first, firstMessages, last, lastMessages;

    Measure(final String[] arguments) {
        for (final String argument : arguments) {
            final int equals = argument.indexOf('=');
            if (equals > 0) {
                options.put(argument.substring(0, equals), argument.substring(equals + 1));
            }
        }
    }

    String text(final String key) {
        final String value = options.get(key);
        if (value == null) {
            throw new IllegalArgumentException("the argument " + key + "=... is missing");
        }
        return value;
    }

    long whole(final String key) {
        return (long)Double.parseDouble(text(key));
    }

    long nanoseconds(final String key) {
        return (long)(Double.parseDouble(text(key)) * 1e9);
    }

    static void say(final String line) {
        System.out.println(line);
        System.out.flush();
    }

    static void logEvent(final String what, final long number) {
        say(what + " " + number + " " + System.nanoTime());
    }

    /** Prints that everything is prepared, and waits for the start. */
    static void rendezvous() throws IOException {
        say("ready");
        if (INPUT.readLine() == null) {
            System.exit(1);
        }
    }

    /** The channel stays open until the other side has read everything. */
    static void waitForEnd() throws IOException {
        while (INPUT.readLine() != null) {
            Thread.onSpinWait();
        }
    }

    /** Times round trips over the window. */
    void roundTrips(final Runnable once) throws IOException {
        final long warm = nanoseconds("warm"), seconds = nanoseconds("seconds");
        samples = new int[(int)(seconds / 40) + 1000];
        rendezvous();
        long begun = System.nanoTime();
        final long from = begun + warm, until = from + seconds;
        while (begun < until) {
            once.run();
            final long now = System.nanoTime();
            if (begun >= from && sampleCount < samples.length) {
                samples[sampleCount++] = (int)Math.min(now - begun, Integer.MAX_VALUE);
            }
            begun = now;
        }
    }

    /** Answers with the samples. A sample is a round trip, of which one way counts. */
    void answerSamples() throws IOException {
        final ByteBuffer bytes = ByteBuffer.allocate(sampleCount * 4).order(ByteOrder.nativeOrder());
        bytes.asIntBuffer().put(samples, 0, sampleCount);
        Files.write(Path.of(text("samples")), bytes.array());
        say("{\"unit_ns\": 0.5}");
    }

    static void answerRate(final long messages, final long duration) {
        say("{\"messages\": " + messages + ", \"seconds\": " + duration / 1e9 + "}");
    }

    /** The consumer's side of a stream: the rate between the first and the last look. */
    void look(final long messages) {
        final long now = System.nanoTime();
        if (lookFrom == 0) {
            lookFrom = now + nanoseconds("warm");
        } else if (first != 0) {
            last = now;
            lastMessages = messages;
        } else if (now >= lookFrom) {
            first = last = now;
            firstMessages = lastMessages = messages;
        }
    }

    void answerStream() {
        answerRate(lastMessages - firstMessages, last - first);
    }

    static int batchOf(final int size) {
        return size < 4096 ? 64 : 1;
    }
}
