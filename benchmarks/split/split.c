/* Burns 8.4, 4.2 and 1.4 ms of CPU time a request, times a random 0.5 to 1.5. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MOST 1024
static volatile unsigned sink;

static long cpu(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * 1000000000L + now.tv_nsec;
}

__attribute__((noinline)) void burn_sixty(double scale) {
    long end = cpu() + (long)(8400000 * scale);
    while (cpu() < end)
        for (int i = 0; i < 20000; i++) sink = sink * 1103515245u + 12345u;
}

__attribute__((noinline)) void burn_thirty(double scale) {
    long end = cpu() + (long)(4200000 * scale);
    while (cpu() < end)
        for (int i = 0; i < 20000; i++) sink = sink * 1103515245u + 12345u;
}

__attribute__((noinline)) void burn_ten(double scale) {
    long end = cpu() + (long)(1400000 * scale);
    while (cpu() < end)
        for (int i = 0; i < 20000; i++) sink = sink * 1103515245u + 12345u;
}

static const char ANSWER[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok";

int main(int count, char **arguments) {
    if (count < 2) return 2;
    signal(SIGPIPE, SIG_IGN);
    int yes = 1, listening = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(arguments[1]))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listening, (struct sockaddr *)&address, sizeof address)) return 1;
    listen(listening, 128);
    static struct pollfd ready[MOST];
    static char tails[MOST][4];
    int used = 1;
    ready[0] = (struct pollfd){listening, POLLIN, 0};
    while (poll(ready, used, -1) >= 0) {
        for (int i = used - 1; i > 0; i--) {
            if (!ready[i].revents) continue;
            char data[65536];
            ssize_t size = read(ready[i].fd, data, sizeof data);
            if (size <= 0) {
                close(ready[i].fd);
                ready[i] = ready[--used];
                memcpy(tails[i], tails[used], 4);
                continue;
            }
            /* A request without a body is whole at its empty line. */
            for (ssize_t at = size > 4 ? size - 4 : 0; at < size; at++) {
                memmove(tails[i], tails[i] + 1, 3);
                tails[i][3] = data[at];
            }
            if (memcmp(tails[i], "\r\n\r\n", 4)) continue;
            double scale = 0.5 + rand() / (double)RAND_MAX;
            burn_sixty(scale);
            burn_thirty(scale);
            burn_ten(scale);
            if (write(ready[i].fd, ANSWER, sizeof ANSWER - 1) < 0) continue;
        }
        if (ready[0].revents && used < MOST) {
            int accepted = accept(listening, NULL, NULL);
            setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
            ready[used] = (struct pollfd){accepted, POLLIN, 0};
            memset(tails[used++], 0, 4);
        }
    }
    return 1;
}
