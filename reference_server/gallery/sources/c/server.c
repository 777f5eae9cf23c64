// An HTTP/1.1 server of the contract: one epoll loop in each thread, each with a listening socket
// of its own on the same port. Each switch below puts one thing wrong.
//
//   -DTHREADS=1          one loop, whatever the number of cores
//   -DWORK_US=100        each request is worth so much CPU (healthy)
//   -DGLOBAL_LOCK        that work is done with a mutex held that all threads share
//   -DBLOCKS_US=20000    each request waits for so long, asleep, in its loop
//   -DBACKLOG=8          the length of the accept queue
//   -DACCEPT_US=2000     one thread accepts for all, and takes so long for each connection
//   -DNAGLE              head and body in two writes, with Nagle's algorithm on
//   -DBUFFERED_BODY      uploads are kept in memory until they are answered
//   -DPARKED_THREADS=200 so many threads that never do anything (healthy)
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#ifndef BACKLOG
#define BACKLOG 16384
#endif

enum { MAX_LOOPS = 256, EVENTS = 256, MOST_ANSWER = 256 };

// What a connection waits for next.
enum state { HEAD, BODY, CHUNK_SIZE, CHUNK_DATA, CHUNK_END, TRAILER };

struct connection {
    int fd, loop;
    enum state state;
    bool upload, chunked, last;  // last: the client wants it closed after this answer
    bool blocked;                // answers wait until the client takes them
    int status;
    long sum;             // of the query's values
    size_t left;          // bytes of the body, or of its chunk, that are still to come
    size_t received;      // bytes of the body that came
    char small[32];       // the body of /baseline11: a number
    char *kept;           // BUFFERED_BODY
    size_t in_have, out_have;
    char out[8192];
    char in[65536];
};

static int loops[MAX_LOOPS];
static int listeners[MAX_LOOPS];

static void fail(const char *what) {
    perror(what);
    exit(1);
}

// ---- The work of a request ------------------------------------------------------------------

#ifdef WORK_US
static void spin(void) {
    struct timespec start, now;
    volatile unsigned sum = 0;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start);
    do {
        // Reading this clock is a system call: the work of a request should not be made of them.
        for (unsigned i = 0; i < 10000; i++) sum += i;
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    } while ((now.tv_sec - start.tv_sec) * 1000000 + (now.tv_nsec - start.tv_nsec) / 1000 < WORK_US);
}
#endif

static void work(void) {
#ifdef GLOBAL_LOCK
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&lock);
    spin();
    pthread_mutex_unlock(&lock);
#elif defined(WORK_US)
    spin();
#endif
#ifdef BLOCKS_US
    usleep(BLOCKS_US);
#endif
}

// ---- Answers --------------------------------------------------------------------------------

// Sends what it can; false when the connection is lost.
static bool flush(struct connection *c) {
    size_t sent = 0;
    while (sent < c->out_have) {
        ssize_t n = send(c->fd, c->out + sent, c->out_have - sent, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN) return false;
        if (n < 0) break;
        sent += n;
    }
    memmove(c->out, c->out + sent, c->out_have -= sent);
    return true;
}

static void put(struct connection *c, const char *text) {
    size_t length = strlen(text);
    memcpy(c->out + c->out_have, text, length);
    c->out_have += length;
#ifdef NAGLE
    flush(c);
#endif
}

static void answer(struct connection *c) {
    char body[32] = "ok", head[128];
    work();
    if (c->upload)
        snprintf(body, sizeof body, "%zu", c->received);
    else if (c->sum >= 0)
        snprintf(body, sizeof body, "%ld", c->sum + atol(c->small));
    if (c->status != 200) strcpy(body, "no");
    snprintf(head, sizeof head,
             "HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n", c->status,
             c->status == 200 ? "OK" : "Not Found", strlen(body));
    put(c, head);
    put(c, body);
    free(c->kept);
    c->kept = NULL;
    c->state = HEAD;
}

// ---- Requests -------------------------------------------------------------------------------

static void take_body(struct connection *c, const char *data, size_t n) {
    if (c->upload) {
#ifdef BUFFERED_BODY
        if (c->kept == NULL || c->chunked) c->kept = realloc(c->kept, c->received + c->left);
        if (c->kept == NULL) fail("realloc");
        memcpy(c->kept + c->received, data, n);
#endif
    } else if (c->received + n < sizeof c->small) {
        memcpy(c->small + c->received, data, n);
    }
    c->received += n;
}

static const char *header(const char *head, const char *name) {
    const char *found = strcasestr(head, name);
    return found ? found + strlen(name) : NULL;
}

// Reads a head that ends in a zero byte, and says what comes next.
static void read_head(struct connection *c, char *head) {
    char method[8] = "", target[256] = "";
    sscanf(head, "%7s %255s", method, target);
    char *query = strchr(target, '?');
    if (query) *query++ = 0;
    c->upload = strcmp(target, "/upload") == 0;
    bool sums = strcmp(target, "/baseline11") == 0;
    c->status = c->upload || sums || strcmp(target, "/pipeline") == 0 ? 200 : 404;
    c->sum = sums ? 0 : -1;
    for (char *value = query; sums && value && (value = strchr(value, '=')); value++)
        c->sum += atol(value + 1);
    memset(c->small, 0, sizeof c->small);
    c->received = c->left = 0;
    const char *length = header(head, "\r\nContent-Length:");
    const char *closing = header(head, "\r\nConnection:");
    c->last = closing && strncasecmp(closing + strspn(closing, " "), "close", 5) == 0;
    c->chunked = header(head, "\r\nTransfer-Encoding:") != NULL;
    if (header(head, "\r\nExpect:")) put(c, "HTTP/1.1 100 Continue\r\n\r\n");
    if (length) c->left = strtoul(length, NULL, 10);
    c->state = c->chunked ? CHUNK_SIZE : BODY;
}

// One step through the bytes that came; how many it used, 0 when it needs more of them.
static size_t step(struct connection *c, char *data, size_t have) {
    if (c->state == BODY || c->state == CHUNK_DATA) {
        size_t n = have < c->left ? have : c->left;
        take_body(c, data, n);
        c->left -= n;
        if (c->left == 0 && c->state == CHUNK_DATA) c->state = CHUNK_END;
        if (c->left == 0 && c->state == BODY) answer(c);
        return n;
    }
    const char *end_mark = c->state == HEAD ? "\r\n\r\n" : "\r\n";
    char *end = memmem(data, have, end_mark, strlen(end_mark));
    if (end == NULL) return 0;
    *end = 0;
    if (c->state == HEAD) {
        read_head(c, data);
        if (c->state == BODY && c->left == 0) answer(c);
    } else if (c->state == CHUNK_SIZE) {
        c->left = strtoul(data, NULL, 16);
        c->state = c->left ? CHUNK_DATA : TRAILER;
    } else if (c->state == CHUNK_END) {
        c->state = CHUNK_SIZE;
    } else if (end == data) {  // The empty line behind the trailers.
        answer(c);
    }
    return end + strlen(end_mark) - data;
}

// Answers what came, as far as the client takes answers; false when the connection is to be closed.
static bool serve(struct connection *c) {
    size_t used = 0, n;
    do {
        n = 1;
        while (used < c->in_have && n && c->out_have + MOST_ANSWER < sizeof c->out) {
            used += n = step(c, c->in + used, c->in_have - used);
            if (c->last && c->state == HEAD) return flush(c), false;
        }
        if (!flush(c)) return false;
    } while (used < c->in_have && n && c->out_have == 0);
    memmove(c->in, c->in + used, c->in_have -= used);
    return c->out_have > 0 || c->in_have < sizeof c->in;
}

// ---- Connections ----------------------------------------------------------------------------

static void watch(struct connection *c, int how, int events) {
    struct epoll_event event = {.events = events, .data.ptr = c};
    epoll_ctl(loops[c->loop], how, c->fd, &event);
}

static void greet(int fd, int loop) {
    struct connection *c = malloc(sizeof *c);
    if (c == NULL) fail("malloc");
    memset(c, 0, offsetof(struct connection, out));
    c->fd = fd;
    c->loop = loop;
#ifndef NAGLE
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
#endif
    watch(c, EPOLL_CTL_ADD, EPOLLIN);
}

static bool ready(struct connection *c, unsigned events) {
    if (events & EPOLLOUT) return serve(c);
    ssize_t n = recv(c->fd, c->in + c->in_have, sizeof c->in - c->in_have, 0);
    if (n < 0) return errno == EAGAIN;
    c->in_have += n;
    return n > 0 && serve(c);
}

static void *run_loop(void *argument) {
    int self = (int)(long)argument;
    struct epoll_event events[EVENTS];
    for (;;) {
        int count = epoll_wait(loops[self], events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            struct connection *c = events[i].data.ptr;
            int fd;
            if (c == NULL) {
                while ((fd = accept4(listeners[self], NULL, NULL, SOCK_NONBLOCK)) >= 0)
                    greet(fd, self);
            } else if (!ready(c, events[i].events)) {
                close(c->fd);
                free(c->kept);
                free(c);
            } else if (c->blocked != (c->out_have > 0)) {
                c->blocked = c->out_have > 0;
                watch(c, EPOLL_CTL_MOD, c->blocked ? EPOLLOUT : EPOLLIN);
            }
        }
    }
    return argument;
}

static int listen_on(int port) {
    int flags = SOCK_STREAM;
#ifndef ACCEPT_US
    flags |= SOCK_NONBLOCK;
#endif
    int fd = socket(AF_INET, flags, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &(int){1}, sizeof(int));
    if (bind(fd, (struct sockaddr *)&address, sizeof address)) fail("bind");
    if (listen(fd, BACKLOG)) fail("listen");
    return fd;
}

#ifdef PARKED_THREADS
static void *park(void *nothing) {
    for (;;) pause();
    return nothing;
}
#endif

int main(int count, char **arguments) {
    int port = count > 1 ? atoi(arguments[1]) : 8080;
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
#ifdef THREADS
    int cores = THREADS;
#else
    cpu_set_t allowed;
    sched_getaffinity(0, sizeof allowed, &allowed);
    int cores = CPU_COUNT(&allowed) < MAX_LOOPS ? CPU_COUNT(&allowed) : MAX_LOOPS;
#endif
    pthread_t thread;
    for (int i = 0; i < cores; i++) {
        loops[i] = epoll_create1(0);
#ifndef ACCEPT_US
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
        listeners[i] = listen_on(port);
        epoll_ctl(loops[i], EPOLL_CTL_ADD, listeners[i], &event);
#endif
    }
#ifdef PARKED_THREADS
    for (int i = 0; i < PARKED_THREADS; i++) pthread_create(&thread, NULL, park, NULL);
#endif
#ifdef ACCEPT_US
    for (int i = 0; i < cores; i++) pthread_create(&thread, NULL, run_loop, (void *)(long)i);
    int listener = listen_on(port);
    for (int next = 0;; next = (next + 1) % cores) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
        usleep(ACCEPT_US);
        if (fd >= 0) greet(fd, next);
    }
#else
    for (int i = 1; i < cores; i++) pthread_create(&thread, NULL, run_loop, (void *)(long)i);
    run_loop((void *)0);
#endif
}
