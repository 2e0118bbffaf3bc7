/*
 * The sides of an exchange through any peer, in C and C++. A peer defines, after measure.h and
 * before this file:
 *
 *   struct out, struct in       the writing and the reading end of a channel
 *   out_open, in_open           open an end, as soon as the channel can be opened
 *   out_connect                 waits until the channel has its reader, where that matters
 *   out_send                    sends one message, and waits while the channel is full
 *   in_receive                  receives one message, and waits for it
 *   out_stop                    claims space for a message, and writes half of it
 *   in_stop                     receives a message, and does not give it back
 *   out_close, in_close
 *
 * A peer that sends several messages in one call also defines the macro OUT_PLACE and
 *
 *   out_place                   where the next message is composed: `usual`, or a place of the
 *                               peer's own, which is filled as `usual` is
 *
 * Waiting means polling, or sleeping if the argument block is 1 and the peer can.
 */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

/* ---- Messages -------------------------------------------------------------------------------- */

/* A message has its number in the first word of each page, and in its last word. The numbers begin
 * with 1. All other bytes are the same. */
enum { STAMP_WORDS = 4096 / sizeof(uint64_t), COMPARED = 16, FILLER = 0x5a };

static const uint64_t last_number = UINT64_MAX; /* the message that ends an exchange */

typedef struct message {
    size_t size, words;
    uint64_t *source, *target; /* both begin at a page */
    uint64_t sent, received;   /* the number of the last message */
} message;

static inline message message_given(void) {
    message m;
    m.size = whole_argument("size");
    m.words = m.size / sizeof(uint64_t);
    m.source = (uint64_t *)buffer_of(m.size);
    m.target = (uint64_t *)buffer_of(m.size);
    m.sent = m.received = 0;
    return m;
}

static inline void stamp(message *m, uint64_t number) {
    for (size_t i = 0; i < m->words; i += STAMP_WORDS) {
        m->source[i] = number;
    }
    m->source[m->words - 1] = number;
}

/* Compares the bytes without numbers. */
static inline void check_filler(const message *m, uint64_t number) {
    uint64_t filler;
    memset(&filler, FILLER, sizeof filler);
    for (size_t i = 0; i < m->words; i++) {
        if (i % STAMP_WORDS != 0 && i != m->words - 1 && m->target[i] != filler) {
            die("message %llu is spoilt at byte %zu", (unsigned long long)number, i * sizeof filler);
        }
    }
}

/* Returns the number of the message that was received. */
static inline uint64_t check_whole(const message *m) {
    uint64_t number = m->target[0];
    for (size_t i = 0; i < m->words; i += STAMP_WORDS) {
        if (m->target[i] != number) {
            die("message %llu is torn at byte %zu", (unsigned long long)number, i * sizeof number);
        }
    }
    if (m->target[m->words - 1] != number) {
        die("message %llu is torn at its end", (unsigned long long)number);
    }
    return number;
}

/* Checks that nothing was lost or torn. Returns false when the exchange is over. The first messages
 * are compared byte by byte, during the warm-up. */
static inline bool check(message *m) {
    uint64_t number = check_whole(m);
    if (number == last_number) {
        return false;
    }
    if (number != ++m->received) {
        die("message %llu instead of %llu", (unsigned long long)number, (unsigned long long)m->received);
    }
    if (number <= COMPARED) {
        check_filler(m, number);
    }
    return true;
}

#ifndef OUT_PLACE
static inline uint64_t *out_place(struct out *o, uint64_t *usual) {
    (void)o;
    return usual;
}
#endif

static inline void send_next(struct out *o, message *m) {
    m->source = out_place(o, m->source);
    stamp(m, ++m->sent);
    out_send(o, m->source, m->size);
}

static inline void send_last(struct out *o, message *m) {
    m->source = out_place(o, m->source);
    stamp(m, last_number);
    out_send(o, m->source, m->size);
}

static inline bool receive_next(struct in *i, message *m) {
    in_receive(i, m->target, m->size);
    return check(m);
}

/* The channel stays open until the other side has read everything: run.py says so. */
static inline void wait_for_end(void) {
    char line[64];
    while (next_line(line, sizeof line)) {
    }
}

/* ---- One way and stream ---------------------------------------------------------------------- */

static void play_pong(void) {
    bool first = whole_argument("side") == 0;
    message m = message_given();
    struct out o;
    struct in i;
    out_open(&o, first ? "there" : "back");
    in_open(&i, first ? "back" : "there");
    out_connect(&o);
    rest_as_given();
    if (first) {
        make_room(real_argument("seconds"));
        rendezvous();
        TIME_ROUND_TRIPS({
            send_next(&o, &m);
            receive_next(&i, &m);
        });
        send_last(&o, &m);
        answer_samples(2);
    } else {
        rendezvous();
        while (receive_next(&i, &m)) {
            if (rest_ticks != 0) {
                rest(ticks());
            }
            send_next(&o, &m);
        }
    }
    wait_for_end();
    in_close(&i);
    out_close(&o);
}

static void play_produce(void) {
    message m = message_given();
    size_t batch = batch_of(m.size);
    struct out o;
    out_open(&o, "stream");
    out_connect(&o);
    rendezvous();
    uint64_t begun = ticks();
    window w = window_from(begun);
    do {
        for (size_t n = 0; n < batch; n++) {
            send_next(&o, &m);
        }
    } while (ticks() < w.until);
    send_last(&o, &m);
    answer_rate(m.sent, ticks() - begun);
    wait_for_end();
    out_close(&o);
}

static void play_consume(void) {
    message m = message_given();
    size_t batch = batch_of(m.size);
    rate rate = {0, 0, 0, 0, 0, 0};
    struct in i;
    in_open(&i, "stream");
    rendezvous();
    while (receive_next(&i, &m)) {
        if (++rate.messages % batch == 0) {
            rate_look(&rate);
        }
    }
    answer_stream(&rate);
    in_close(&i);
}

/* ---- Survival -------------------------------------------------------------------------------- */

static inline void log_event(const char *what, uint64_t number) {
    printf("%s %llu %llu\n", what, (unsigned long long)number, (unsigned long long)monotonic_ns());
    fflush(stdout);
}

/* Sends messages at an even pace. Stops in the middle of message number `stop`, if it is given. */
static void play_write(void) {
    message m = message_given();
    uint64_t stop = whole_argument("stop");
    struct timespec pace = {0, (long)whole_argument("pace_us") * 1000};
    struct out o;
    m.sent = whole_argument("after");
    out_open(&o, "survival");
    log_event("open", 0);
    out_connect(&o);
    for (;;) {
        if (m.sent + 1 == stop) {
            stamp(&m, stop);
            out_stop(&o, m.source, m.size);
            log_event("stopped", stop);
            for (;;) {
                pause();
            }
        }
        send_next(&o, &m);
        log_event("sent", m.sent);
        nanosleep(&pace, NULL);
    }
}

/* Receives messages. Stops with message number `stop` in use, if it is given. */
static void play_read(void) {
    message m = message_given();
    uint64_t stop = whole_argument("stop");
    struct in i;
    in_open(&i, "survival");
    log_event("open", 0);
    for (;;) {
        if (m.received + 1 == stop) {
            in_stop(&i, m.target, m.size);
            log_event("stopped", stop);
            for (;;) {
                pause();
            }
        }
        in_receive(&i, m.target, m.size);
        m.received = check_whole(&m);
        log_event("received", m.received);
    }
}

int main(int argc, char **argv) {
    static const role roles[] = {
        {"pong", play_pong}, {"produce", play_produce}, {"consume", play_consume}, {"write", play_write},
        {"read", play_read}, {NULL, NULL},
    };
    return play_role(argc, argv, roles);
}

#endif
