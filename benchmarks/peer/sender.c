/*
 * A bare upload sender, the peer of the generator's uploads: epoll, one thread, a closed loop over
 * keep-alive connections. Answers are read and not looked at. It never ships with the package.
 *
 *   sender [-m sendfile|send] [-w WARMUP_S] [-b SEND_BUFFER] PORT CONNECTIONS BODY_BYTES SECONDS
 *
 * sendfile: slices of 256 KiB from a file in memory; send: the same slices from one shared buffer.
 * SEND_BUFFER: SO_SNDBUF of each connection in bytes, 0 for the kernel's own choice.
 * Prints one line of JSON about the SECONDS after the warm-up: completed uploads, bytes of these
 * bodies, body bytes sent, wall seconds, CPU seconds (getrusage).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    EVENTS = 1024,
    SLICE = 256 * 1024,
    /* The body repeats so many bytes: they stay in the cache. */
    SOURCE = 1024 * 1024,
    ANSWER = 64 * 1024,
};

struct connection {
    int fd;
    uint64_t offset; /* bytes of head and body sent */
    bool writing;    /* watched for room in the send buffer */
};

struct totals {
    uint64_t completed, sent;
    double wall_s, cpu_s;
};

static struct connection *connections;
static int epoll_fd, source_fd;
static char *source;
static size_t source_length;
static uint64_t body_length;
static char head[256];
static size_t head_length;
static bool by_sendfile = true;
static uint64_t completed, sent_bytes;

static void fail(const char *what) {
    fprintf(stderr, "sender: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double wall(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static struct totals totals(void) {
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) < 0) fail("getrusage");
    double cpu_s = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                   (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    return (struct totals){completed, sent_bytes, wall(), cpu_s};
}

static void watch(struct connection *c, bool writing) {
    if (c->writing == writing) return;
    c->writing = writing;
    struct epoll_event event = {.events = writing ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.ptr = c};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &event) < 0) fail("epoll_ctl");
}

static ssize_t send_slice(struct connection *c) {
    uint64_t done = c->offset - head_length;
    size_t start = (size_t)(done % source_length);
    size_t size = source_length - start < SLICE ? source_length - start : SLICE;
    if (size > body_length - done) size = (size_t)(body_length - done);
    if (!by_sendfile) return send(c->fd, source + start, size, MSG_NOSIGNAL);
    off_t at = (off_t)start;
    return sendfile(c->fd, source_fd, &at, size);
}

/* One call for each event, so that all connections go on evenly. */
static void proceed(struct connection *c) {
    if (c->offset < head_length) {
        ssize_t sent = send(c->fd, head + c->offset, head_length - c->offset,
                            MSG_NOSIGNAL | MSG_MORE);
        if (sent < 0 && errno != EAGAIN) fail("send");
        if (sent > 0) c->offset += (uint64_t)sent;
        if (c->offset < head_length) {
            watch(c, true);
            return;
        }
    }
    ssize_t sent = send_slice(c);
    if (sent < 0 && errno != EAGAIN) fail("sending a body");
    if (sent > 0) {
        c->offset += (uint64_t)sent;
        sent_bytes += (uint64_t)sent;
    }
    watch(c, c->offset < head_length + body_length);
}

static void on_answer(struct connection *c) {
    static char answer[ANSWER];
    ssize_t got = recv(c->fd, answer, sizeof answer, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
        fprintf(stderr, "sender: the server ended a connection\n");
        exit(1);
    }
    if (c->offset < head_length + body_length) {
        fprintf(stderr, "sender: answered before the body was sent\n");
        exit(1);
    }
    completed++;
    c->offset = 0;
    proceed(c);
}

static void run_until(double end) {
    static struct epoll_event events[EVENTS];
    for (double now; (now = wall()) < end;) {
        int count = epoll_wait(epoll_fd, events, EVENTS, (int)((end - now) * 1000) + 1);
        if (count < 0 && errno != EINTR) fail("epoll_wait");
        for (int i = 0; i < count; i++) {
            struct connection *c = events[i].data.ptr;
            if (events[i].events & EPOLLOUT) proceed(c);
            if (events[i].events & ~(uint32_t)EPOLLOUT) on_answer(c);
        }
    }
}

static void make_source(void) {
    source_length = body_length < SOURCE ? body_length : SOURCE;
    source_fd = memfd_create("sender-body", MFD_CLOEXEC);
    if (source_fd < 0 || ftruncate(source_fd, (off_t)source_length) < 0) fail("memfd_create");
    source = mmap(NULL, source_length, PROT_READ | PROT_WRITE, MAP_SHARED, source_fd, 0);
    if (source == MAP_FAILED) fail("mmap");
    for (size_t i = 0; i < source_length; i++) source[i] = (char)(33 + i % 94);
}

static void open_connections(unsigned short port, int count, int send_buffer) {
    int one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connections = calloc((size_t)count, sizeof *connections);
    if (connections == NULL) fail("calloc");
    for (int i = 0; i < count; i++) {
        struct connection *c = &connections[i];
        c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (c->fd < 0) fail("socket");
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (send_buffer) {
            setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof send_buffer);
        }
        if (connect(c->fd, (struct sockaddr *)&address, sizeof address) < 0) fail("connect");
        if (fcntl(c->fd, F_SETFL, O_NONBLOCK) < 0) fail("fcntl");
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event) < 0) fail("epoll_ctl");
    }
}

int main(int argc, char **argv) {
    double warmup_s = 0.5;
    /* As the generator does: unbounded, hundreds of uploads reach the kernel's TCP memory limit. */
    int send_buffer = 256 * 1024;
    for (int option; (option = getopt(argc, argv, "m:w:b:")) != -1;) {
        if (option == 'm' && (strcmp(optarg, "send") == 0 || strcmp(optarg, "sendfile") == 0)) {
            by_sendfile = strcmp(optarg, "sendfile") == 0;
        } else if (option == 'w') {
            warmup_s = strtod(optarg, NULL);
        } else if (option == 'b') {
            send_buffer = atoi(optarg);
        } else {
            return 2;
        }
    }
    if (argc - optind != 4) {
        fprintf(stderr, "usage: sender [-m sendfile|send] [-w WARMUP_S] [-b SEND_BUFFER] "
                        "PORT CONNECTIONS BODY_BYTES SECONDS\n");
        return 2;
    }
    unsigned short port = (unsigned short)strtoul(argv[optind], NULL, 10);
    int count = atoi(argv[optind + 1]);
    body_length = strtoull(argv[optind + 2], NULL, 10);
    double seconds = strtod(argv[optind + 3], NULL);
    if (count < 1 || body_length < 1 || seconds <= 0) {
        fprintf(stderr, "sender: CONNECTIONS, BODY_BYTES and SECONDS must be positive\n");
        return 2;
    }
    head_length = (size_t)snprintf(head, sizeof head,
                                   "POST /upload HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
                                   "Content-Length: %llu\r\n\r\n",
                                   port, (unsigned long long)body_length);
    make_source();
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0) fail("epoll_create1");
    open_connections(port, count, send_buffer);
    for (int i = 0; i < count; i++) proceed(&connections[i]);
    run_until(wall() + warmup_s);
    struct totals first = totals();
    run_until(first.wall_s + seconds);
    struct totals last = totals();
    uint64_t uploads = last.completed - first.completed;
    printf("{\"mode\": \"%s\", \"completed\": %llu, \"body_completed\": %llu, "
           "\"body_sent\": %llu, \"wall_s\": %.6f, \"cpu_s\": %.6f}\n",
           by_sendfile ? "sendfile" : "send", (unsigned long long)uploads,
           (unsigned long long)(uploads * body_length),
           (unsigned long long)(last.sent - first.sent), last.wall_s - first.wall_s,
           last.cpu_s - first.cpu_s);
    return 0;
}
