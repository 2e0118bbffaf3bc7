/* ZeroMQ over ipc://, PUSH to PULL, which keeps every message. A thread of the library moves the
 * messages through a Unix socket, and shares the core with its side. Therefore a side that waits
 * always blocks. */
#include "../../ring.h"

#include <errno.h>
#include <zmq.h>

struct out {
    void *context, *socket;
};

struct in {
    void *context, *socket;
    zmq_msg_t held;
};

static void *must(void *made, const char *what) {
    if (made == NULL) {
        die("%s: %s", what, zmq_strerror(errno));
    }
    return made;
}

static void *socket_of(void *context, int type, int side, const char *name) {
    void *socket = must(zmq_socket(context, type), "zmq_socket");
    int slots = (int)whole_argument("slots"), no = 0, soon = 1; /* milliseconds */
    char *address;
    if (asprintf(&address, "ipc://%s", path_of(name)) < 0 ||
        zmq_setsockopt(socket, type == ZMQ_PUSH ? ZMQ_SNDHWM : ZMQ_RCVHWM, &slots, sizeof slots) != 0 ||
        zmq_setsockopt(socket, ZMQ_LINGER, &no, sizeof no) != 0 ||
        zmq_setsockopt(socket, ZMQ_RECONNECT_IVL, &soon, sizeof soon) != 0 ||
        (type == ZMQ_PUSH && zmq_socket_monitor(socket, "inproc://events", ZMQ_EVENT_HANDSHAKE_SUCCEEDED) != 0) ||
        (side ? zmq_bind(socket, address) : zmq_connect(socket, address)) != 0) {
        die("cannot use %s: %s", name, zmq_strerror(errno));
    }
    return socket;
}

static void out_open(struct out *o, const char *name) {
    o->context = must(zmq_ctx_new(), "zmq_ctx_new");
    o->socket = socket_of(o->context, ZMQ_PUSH, 0, name);
}

static void in_open(struct in *i, const char *name) {
    i->context = must(zmq_ctx_new(), "zmq_ctx_new");
    i->socket = socket_of(i->context, ZMQ_PULL, 1, name);
}

/* Waits until the reader has answered. */
static void out_connect(struct out *o) {
    void *events = must(zmq_socket(o->context, ZMQ_PAIR), "zmq_socket");
    zmq_msg_t event;
    zmq_msg_init(&event);
    if (zmq_connect(events, "inproc://events") != 0 || zmq_msg_recv(&event, events, 0) < 0) {
        die("zmq_socket_monitor: %s", zmq_strerror(errno));
    }
    zmq_msg_close(&event);
    zmq_socket_monitor(o->socket, NULL, 0);
    zmq_close(events);
}

static void out_send(struct out *o, const void *source, size_t size) {
    while (zmq_send(o->socket, source, size, 0) < 0) {
        if (errno != EINTR) {
            die("zmq_send: %s", zmq_strerror(errno));
        }
    }
}

/* Reads the message where the library has it. */
static void receive(struct in *i, void *target, size_t size) {
    zmq_msg_init(&i->held);
    while (zmq_msg_recv(&i->held, i->socket, 0) < 0) {
        if (errno != EINTR) {
            die("zmq_msg_recv: %s", zmq_strerror(errno));
        }
    }
    if (zmq_msg_size(&i->held) != size) {
        die("a message of %zu bytes instead of %zu", zmq_msg_size(&i->held), size);
    }
    memcpy(target, zmq_msg_data(&i->held), size);
}

static void in_receive(struct in *i, void *target, size_t size) {
    receive(i, target, size);
    zmq_msg_close(&i->held);
}

/* There is no claim: a message that is not complete belongs to its writer. */
static void out_stop(struct out *o, const void *source, size_t size) {
    static zmq_msg_t message;
    (void)o;
    zmq_msg_init_size(&message, size);
    memcpy(zmq_msg_data(&message), source, size / 2);
}

static void in_stop(struct in *i, void *target, size_t size) { receive(i, target, size); }

static void out_close(struct out *o) {
    zmq_close(o->socket);
    zmq_ctx_term(o->context);
}

static void in_close(struct in *i) {
    zmq_close(i->socket);
    zmq_ctx_term(i->context);
}

#include "../peer.h"
