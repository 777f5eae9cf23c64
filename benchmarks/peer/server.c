/*
 * A minimal HTTP/1.1 server for benchmarks of load generators: one thread, epoll, cheaper for each
 * request than any client. It never ships with the package.
 *
 *   server [-d DELAY_US] [-f BODY_FILE] PORT BODY_BYTES [CLOSE_AFTER]
 *
 * GET: a prebuilt response of BODY_BYTES, "okok..." as text/plain, or the bytes of BODY_FILE as
 * application/json. Requests that arrive in one read are answered by one write.
 * POST with Content-Length: reads and drops the body, answers the number of bytes read as text.
 * CLOSE_AFTER n > 0: the n-th response of a connection says `Connection: close`, then it closes.
 * DELAY_US: each GET is answered so much later, whatever else happens.
 * Chunked request bodies are not understood. Ends with status 0 on SIGTERM.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum {
    BACKLOG = 16384,
    EVENTS = 1024,
    INPUT = 64 * 1024,
    CARRY = 16 * 1024,
    /* The most requests that fit in INPUT: "GET / HTTP/1.1\r\n\r\n" has 18 bytes. */
    MOST_REQUESTS = INPUT / 16,
    COPIES_BYTES = 1024 * 1024,
    MOST_COPIES = 4096,
    /* The most of a body that one read drops. */
    DROPPED = 4 * 1024 * 1024,
    KNOWN = 1024,
    VECTORS = 1024,
};

struct connection {
    unsigned served;     /* responses made */
    unsigned generation; /* tells a descriptor from its successor with the same number */
    uint64_t left;       /* bytes of a request body to come */
    uint64_t body;       /* bytes of that body read */
    char *carry;         /* the beginning of a request head */
    size_t carried;
    char *out; /* what the socket did not take */
    size_t out_length, out_offset;
    bool closing;  /* the last response is made */
    bool excess;   /* input follows that no response will answer */
    bool draining; /* our side is shut; waiting for the end of theirs */
};

/* Responses that are due later; the delay is constant, so the oldest is the first. */
struct delayed {
    int fd;
    unsigned generation, count;
    uint64_t due_ns;
};

static struct connection *connections;
static size_t connection_limit;
static int epoll_fd, listen_fd, timer_fd = -1;
static char *copies; /* the response, repeated */
static size_t copy_count, response_length;
static char *last_response; /* the same with `Connection: close` */
static size_t last_length;
static unsigned close_after;
static uint64_t delay_ns;
static struct delayed *queue;
static size_t queue_size, queue_head, queue_length;
static char known[KNOWN]; /* the last GET, to recognize the next by comparison */
static size_t known_length;
static volatile sig_atomic_t ended;

static void on_signal(int number) {
    (void)number;
    ended = 1;
}

static void fail(const char *what) {
    fprintf(stderr, "server: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void *claim(size_t size) {
    void *memory = malloc(size);
    if (memory == NULL) fail("malloc");
    return memory;
}

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void end_connection(int fd) {
    struct connection *c = &connections[fd];
    free(c->carry);
    free(c->out);
    unsigned generation = c->generation + 1;
    memset(c, 0, sizeof *c);
    c->generation = generation;
    close(fd);
}

static void watch(int fd, uint32_t events) {
    struct epoll_event event = {.events = events, .data.fd = fd};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, fd, &event) < 0) fail("epoll_ctl");
}

/* Closing with unread input would reset the connection, and the client would lose the response. */
static void finish(int fd) {
    struct connection *c = &connections[fd];
    if (!c->excess) {
        end_connection(fd);
        return;
    }
    shutdown(fd, SHUT_WR);
    c->draining = true;
}

static void keep_unsent(int fd, const struct iovec *vectors, int count) {
    struct connection *c = &connections[fd];
    size_t length = c->out_length - c->out_offset;
    for (int i = 0; i < count; i++) length += vectors[i].iov_len;
    char *joined = claim(length);
    size_t at = c->out_length - c->out_offset;
    if (at) memcpy(joined, c->out + c->out_offset, at);
    for (int i = 0; i < count; i++) {
        memcpy(joined + at, vectors[i].iov_base, vectors[i].iov_len);
        at += vectors[i].iov_len;
    }
    free(c->out);
    c->out = joined;
    c->out_length = length;
    c->out_offset = 0;
    watch(fd, EPOLLOUT);
}

/* Sends the vectors, which it changes. False when the connection is gone. */
static bool transmit(int fd, struct iovec *vectors, int count) {
    if (connections[fd].out != NULL) {
        keep_unsent(fd, vectors, count);
        return true;
    }
    while (count > 0) {
        struct msghdr message = {.msg_iov = vectors,
                                 .msg_iovlen = (size_t)(count < VECTORS ? count : VECTORS)};
        ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno == EAGAIN) {
                keep_unsent(fd, vectors, count);
                return true;
            }
            end_connection(fd);
            return false;
        }
        size_t rest = (size_t)sent;
        while (count > 0 && rest >= vectors->iov_len) {
            rest -= vectors->iov_len;
            vectors++;
            count--;
        }
        if (count > 0) {
            vectors->iov_base = (char *)vectors->iov_base + rest;
            vectors->iov_len -= rest;
        }
    }
    return true;
}

/* Answers `count` GETs. False when the connection is gone or answers no more. */
static bool respond(int fd, unsigned count) {
    static struct iovec vectors[MOST_REQUESTS + 1];
    struct connection *c = &connections[fd];
    int used = 0;
    if (close_after && c->served + count >= close_after) {
        c->excess = c->excess || c->served + count > close_after;
        count = close_after - c->served;
        c->closing = true;
    }
    c->served += count;
    for (size_t plain = count - c->closing; plain > 0;) {
        size_t some = plain < copy_count ? plain : copy_count;
        vectors[used].iov_base = copies;
        vectors[used++].iov_len = some * response_length;
        plain -= some;
    }
    if (c->closing) {
        vectors[used].iov_base = last_response;
        vectors[used++].iov_len = last_length;
    }
    if (!transmit(fd, vectors, used)) return false;
    if (!c->closing) return true;
    if (c->out == NULL) finish(fd);
    return false;
}

static void arm_timer(uint64_t due_ns) {
    struct itimerspec when = {.it_value = {.tv_sec = (time_t)(due_ns / 1000000000u),
                                           .tv_nsec = (long)(due_ns % 1000000000u)}};
    if (timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &when, NULL) < 0) fail("timerfd_settime");
}

static void respond_later(int fd, unsigned count) {
    if (queue_length == queue_size) {
        size_t size = queue_size ? queue_size * 2 : 1024;
        struct delayed *grown = claim(size * sizeof *grown);
        for (size_t i = 0; i < queue_length; i++) {
            grown[i] = queue[(queue_head + i) % queue_size];
        }
        free(queue);
        queue = grown;
        queue_size = size;
        queue_head = 0;
    }
    struct delayed *entry = &queue[(queue_head + queue_length) % queue_size];
    entry->fd = fd;
    entry->generation = connections[fd].generation;
    entry->count = count;
    entry->due_ns = now_ns() + delay_ns;
    if (queue_length++ == 0) arm_timer(entry->due_ns);
}

static void on_timer(void) {
    uint64_t expirations;
    if (read(timer_fd, &expirations, sizeof expirations) < 0 && errno != EAGAIN) fail("timer");
    while (queue_length > 0) {
        struct delayed entry = queue[queue_head];
        if (entry.due_ns > now_ns()) {
            arm_timer(entry.due_ns);
            return;
        }
        queue_head = (queue_head + 1) % queue_size;
        queue_length--;
        struct connection *c = &connections[entry.fd];
        if (c->generation == entry.generation && !c->closing) respond(entry.fd, entry.count);
    }
}

static bool answer_gets(int fd, unsigned count) {
    if (count == 0) return true;
    if (delay_ns == 0) return respond(fd, count);
    respond_later(fd, count);
    return true;
}

/* Answers an upload whose last byte is read. False when the connection answers no more. */
static bool answer_post(int fd) {
    struct connection *c = &connections[fd];
    char body[32], head[256];
    int digits = snprintf(body, sizeof body, "%llu", (unsigned long long)c->body);
    c->body = 0;
    c->closing = close_after && ++c->served >= close_after;
    int length = snprintf(head, sizeof head,
                          "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                          "Content-Length: %d\r\n%s\r\n%s",
                          digits, c->closing ? "Connection: close\r\n" : "", body);
    struct iovec vector = {.iov_base = head, .iov_len = (size_t)length};
    if (!transmit(fd, &vector, 1)) return false;
    if (!c->closing) return true;
    if (c->out == NULL) finish(fd);
    return false;
}

/* The value of Content-Length in a head of `length` bytes; 0 without one. */
static uint64_t content_length(const char *head, size_t length) {
    static const char name[] = "\r\ncontent-length:";
    const size_t size = sizeof name - 1;
    for (size_t i = 0; i + size < length; i++) {
        if (head[i] == '\r' && strncasecmp(head + i, name, size) == 0) {
            return strtoull(head + i + size, NULL, 10);
        }
    }
    return 0;
}

/* Takes `length` bytes that begin at a request; answers what is complete. */
static void take(int fd, const char *data, size_t length) {
    struct connection *c = &connections[fd];
    unsigned gets = 0;
    size_t at = 0;
    while (at < length) {
        if (known_length && length - at >= known_length &&
            memcmp(data + at, known, known_length) == 0) {
            at += known_length;
            gets++;
            continue;
        }
        const char *end = memmem(data + at, length - at, "\r\n\r\n", 4);
        if (end == NULL) break;
        size_t head = (size_t)(end + 4 - (data + at));
        if (data[at] != 'P') {
            if (head <= KNOWN) {
                memcpy(known, data + at, head);
                known_length = head;
            }
            at += head;
            gets++;
            continue;
        }
        uint64_t expected = content_length(data + at, head);
        at += head;
        if (!answer_gets(fd, gets)) return;
        gets = 0;
        uint64_t here = length - at < expected ? length - at : expected;
        at += here;
        c->body = here;
        c->left = expected - here;
        if (c->left == 0) {
            c->excess = at < length;
            if (!answer_post(fd)) return;
        }
    }
    if (at < length) {
        size_t rest = length - at;
        if (rest > CARRY) {
            end_connection(fd);
            return;
        }
        if (c->carry == NULL) c->carry = claim(CARRY);
        memmove(c->carry, data + at, rest);
        c->carried = rest;
        c->excess = true;
    } else {
        c->excess = false;
    }
    answer_gets(fd, gets);
}

static void on_readable(int fd) {
    static char input[INPUT];
    struct connection *c = &connections[fd];
    ssize_t got;
    if (c->draining || c->left > 0) {
        /* "MSG_TRUNC [...] Since Linux 2.4 [...] on TCP sockets causes the received bytes of data
         * to be discarded, rather than saved in a caller-supplied buffer": no copy. tcp(7). */
        uint64_t most = c->draining || c->left > DROPPED ? DROPPED : c->left;
        got = recv(fd, NULL, most, MSG_TRUNC);
        if (got > 0 && !c->draining) {
            c->left -= (uint64_t)got;
            c->body += (uint64_t)got;
            if (c->left == 0) answer_post(fd);
        }
    } else {
        size_t carried = c->carried;
        if (carried) memcpy(input, c->carry, carried);
        got = recv(fd, input + carried, sizeof input - carried, 0);
        if (got > 0) {
            c->carried = 0;
            take(fd, input, carried + (size_t)got);
        }
    }
    if (got == 0 || (got < 0 && errno != EAGAIN)) end_connection(fd);
}

static void on_writable(int fd) {
    struct connection *c = &connections[fd];
    ssize_t sent = send(fd, c->out + c->out_offset, c->out_length - c->out_offset, MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN) end_connection(fd);
        return;
    }
    c->out_offset += (size_t)sent;
    if (c->out_offset < c->out_length) return;
    free(c->out);
    c->out = NULL;
    c->out_length = c->out_offset = 0;
    watch(fd, EPOLLIN);
    if (c->closing) finish(fd);
}

static void accept_all(void) {
    for (;;) {
        int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            /* EMFILE: the clients that wait stay in the backlog until somebody leaves. */
            if (errno == EAGAIN || errno == EMFILE || errno == ENFILE) return;
            if (errno == ECONNABORTED || errno == EINTR) continue;
            fail("accept4");
        }
        if ((size_t)fd >= connection_limit) {
            close(fd);
            continue;
        }
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) fail("epoll_ctl");
    }
}

static char *read_body(const char *path, size_t length) {
    char *body = claim(length + 1);
    if (path == NULL) {
        for (size_t i = 0; i < length; i++) body[i] = "ok"[i % 2];
        return body;
    }
    FILE *file = fopen(path, "rb");
    if (file == NULL) fail(path);
    if (fread(body, 1, length + 1, file) != length) {
        fprintf(stderr, "server: %s does not have %zu bytes\n", path, length);
        exit(1);
    }
    fclose(file);
    return body;
}

static char *build(const char *path, const char *body, size_t length, bool last, size_t *size) {
    char head[256];
    int used = snprintf(head, sizeof head,
                        "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s\r\n",
                        path ? "application/json" : "text/plain", length,
                        last ? "Connection: close\r\n" : "");
    *size = (size_t)used + length;
    char *response = claim(*size);
    memcpy(response, head, (size_t)used);
    memcpy(response + used, body, length);
    return response;
}

static void prepare(const char *path, size_t length) {
    char *body = read_body(path, length);
    char *response = build(path, body, length, false, &response_length);
    last_response = build(path, body, length, true, &last_length);
    copy_count = COPIES_BYTES / response_length;
    if (copy_count < 1) copy_count = 1;
    if (copy_count > MOST_COPIES) copy_count = MOST_COPIES;
    copies = claim(copy_count * response_length);
    for (size_t i = 0; i < copy_count; i++) {
        memcpy(copies + i * response_length, response, response_length);
    }
    free(body);
    free(response);
}

static void listen_on(unsigned short port) {
    int one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listen_fd < 0) fail("socket");
    setsockopt(listen_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    /* Accepted sockets inherit it. */
    setsockopt(listen_fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (bind(listen_fd, (struct sockaddr *)&address, sizeof address) < 0) fail("bind");
    if (listen(listen_fd, BACKLOG) < 0) fail("listen");
}

static void set_up(unsigned short port) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0) fail("getrlimit");
    files.rlim_cur = files.rlim_max < 1048576 ? files.rlim_max : 1048576;
    if (setrlimit(RLIMIT_NOFILE, &files) < 0) fail("setrlimit");
    connection_limit = files.rlim_cur;
    connections = calloc(connection_limit, sizeof *connections);
    if (connections == NULL) fail("calloc");
    listen_on(port);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0) fail("epoll_create1");
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listen_fd};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listen_fd, &event) < 0) fail("epoll_ctl");
    if (delay_ns) {
        timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
        if (timer_fd < 0) fail("timerfd_create");
        event.data.fd = timer_fd;
        if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, timer_fd, &event) < 0) fail("epoll_ctl");
    }
}

static void serve(const sigset_t *unblocked) {
    static struct epoll_event events[EVENTS];
    while (!ended) {
        int count = epoll_pwait(epoll_fd, events, EVENTS, -1, unblocked);
        if (count < 0 && errno != EINTR) fail("epoll_pwait");
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            /* A descriptor that was closed earlier in this round gives EBADF, and its successor
             * EAGAIN: both do no harm. */
            if (fd == listen_fd) {
                accept_all();
            } else if (fd == timer_fd) {
                on_timer();
            } else if (events[i].events & EPOLLOUT && connections[fd].out != NULL) {
                on_writable(fd);
            } else {
                on_readable(fd);
            }
        }
    }
}

int main(int argc, char **argv) {
    const char *file = NULL;
    for (int option; (option = getopt(argc, argv, "d:f:")) != -1;) {
        if (option == 'd') {
            delay_ns = strtoull(optarg, NULL, 10) * 1000;
        } else if (option == 'f') {
            file = optarg;
        } else {
            return 2;
        }
    }
    if (argc - optind < 2 || argc - optind > 3) {
        fprintf(stderr, "usage: server [-d DELAY_US] [-f BODY_FILE] PORT BODY_BYTES "
                        "[CLOSE_AFTER]\n");
        return 2;
    }
    if (argc - optind == 3) close_after = (unsigned)strtoul(argv[optind + 2], NULL, 10);
    prepare(file, strtoull(argv[optind + 1], NULL, 10));
    /* Blocked but while waiting, so that a signal never falls between the check and the wait. */
    sigset_t blocked, unblocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigaddset(&blocked, SIGINT);
    sigprocmask(SIG_BLOCK, &blocked, &unblocked);
    sigdelset(&unblocked, SIGTERM);
    sigdelset(&unblocked, SIGINT);
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    set_up((unsigned short)strtoul(argv[optind], NULL, 10));
    serve(&unblocked);
    return 0;
}
