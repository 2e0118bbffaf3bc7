/* A Unix socket. Messages of a stream have the size that both sides know. Data go through the
 * kernel, which keeps no more than the socket's buffer. */
#include "../../ring.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>

struct out {
    int file, flags;
};

struct in {
    int file, flags, listener;
};

/* Room for as many messages as a ring would have, as far as the system allows. */
static void set_room(int file) {
    size_t wanted = whole_argument("size") * whole_argument("slots");
    int room = wanted < (1u << 30) ? (int)wanted : 1 << 30;
    if (setsockopt(file, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room) != 0) {
        setsockopt(file, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    }
}

static int flags_given(void) { return MSG_NOSIGNAL | (whole_argument("block") ? 0 : MSG_DONTWAIT); }

static struct sockaddr_un address_of(const char *name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path_of(name));
    return address;
}

static int socket_made(void) {
    int file = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (file < 0) {
        die("socket: %s", strerror(errno));
    }
    return file;
}

/* The writer connects. It tries again, because the reader may come later. */
static void out_connect_now(struct out *o, const char *name) {
    struct sockaddr_un address = address_of(name);
    for (int tries = 0; tries < 10000; tries++) {
        o->file = socket_made();
        set_room(o->file);
        if (connect(o->file, (struct sockaddr *)&address, sizeof address) == 0) {
            return;
        }
        close(o->file);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    die("connect: %s", strerror(errno));
}

static const char *out_name;

static void out_open(struct out *o, const char *name) {
    out_name = name;
    o->file = -1;
    o->flags = flags_given();
}

static void in_accept(struct in *i) {
    if ((i->file = accept4(i->listener, NULL, NULL, SOCK_CLOEXEC)) < 0) {
        die("accept: %s", strerror(errno));
    }
}

static void in_open(struct in *i, const char *name) {
    struct sockaddr_un address = address_of(name);
    i->flags = flags_given();
    i->file = -1;
    i->listener = socket_made();
    unlink(address.sun_path);
    if (bind(i->listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(i->listener, 1) != 0) {
        die("cannot listen at %s: %s", address.sun_path, strerror(errno));
    }
}

static void out_connect(struct out *o) { out_connect_now(o, out_name); }

/* The program connects again when the other side has died. The message goes to the next reader. */
static void out_send(struct out *o, const void *source, size_t size) {
    for (size_t done = 0; done < size;) {
        ssize_t n = send(o->file, (const char *)source + done, size - done, o->flags);
        if (n >= 0) {
            done += (size_t)n;
        } else if (errno == EPIPE || errno == ECONNRESET) {
            close(o->file);
            out_connect_now(o, out_name);
            done = 0;
        } else if (errno != EAGAIN && errno != EINTR) {
            die("send: %s", strerror(errno));
        }
    }
}

static void in_receive(struct in *i, void *target, size_t size) {
    if (i->file < 0) {
        in_accept(i);
    }
    for (size_t done = 0; done < size;) {
        ssize_t n = recv(i->file, (char *)target + done, size - done, i->flags);
        if (n > 0) {
            done += (size_t)n;
        } else if (n == 0 || errno == ECONNRESET) { /* the writer is gone, and what it left incomplete */
            close(i->file);
            in_accept(i);
            done = 0;
        } else if (errno != EAGAIN && errno != EINTR) {
            die("recv: %s", strerror(errno));
        }
    }
}

static void out_stop(struct out *o, const void *source, size_t size) { out_send(o, source, size / 2); }
static void in_stop(struct in *i, void *target, size_t size) { in_receive(i, target, size); }

static void out_close(struct out *o) { close(o->file); }

static void in_close(struct in *i) {
    close(i->file);
    close(i->listener);
}

#include "../peer.h"
