/* A link between two hosts, for kernels without netem: packets between a TUN device here and one in
 * a network namespace, each late by a fixed time, some of them lost at random.
 *
 *     slow_link DEVICE NAMESPACE DEVICE_THERE DELAY_US LOST_PER_MILLION SEED
 *
 * Prints a line when both devices are there, and runs until it is killed. What arrives while QUEUE
 * packets wait is lost, as in any router. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define QUEUE 8192
#define LONGEST 2048

struct packet {
    int64_t due;
    ssize_t size;
    char bytes[LONGEST];
};

struct direction {
    int from, to;
    unsigned first, count;
    struct packet *packets;
};

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static int open_device(const char *name) {
    struct ifreq request = {0};
    int device = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    request.ifr_flags = IFF_TUN | IFF_NO_PI;
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    if (device < 0 || ioctl(device, TUNSETIFF, &request) < 0) fail(name);
    return device;
}

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void take_in(struct direction *way, int64_t delay, long lost) {
    struct packet spare, *next;
    for (;;) {
        int full = way->count == QUEUE;
        next = full ? &spare : &way->packets[(way->first + way->count) % QUEUE];
        next->size = read(way->from, next->bytes, LONGEST);
        if (next->size <= 0) return;
        if (full || random() % 1000000 < lost) continue;
        next->due = now_ns() + delay;
        way->count++;
    }
}

static void hand_on(struct direction *way, int64_t now) {
    while (way->count && way->packets[way->first].due <= now) {
        struct packet *next = &way->packets[way->first];
        if (write(way->to, next->bytes, next->size) < 0) { /* the device is down: lost */ }
        way->first = (way->first + 1) % QUEUE;
        way->count--;
    }
}

int main(int count, char **words) {
    struct direction ways[2] = {0};
    struct pollfd polled[2];
    if (count != 7) return 2;
    int64_t delay = atoll(words[4]) * 1000;
    long lost = atol(words[5]);
    srandom(atoi(words[6]));
    ways[0].from = ways[1].to = open_device(words[1]);
    int there = open(words[2], O_RDONLY | O_CLOEXEC);
    if (there < 0 || setns(there, CLONE_NEWNET) < 0) fail(words[2]);
    ways[1].from = ways[0].to = open_device(words[3]);
    for (int n = 0; n < 2; n++) {
        ways[n].packets = malloc(QUEUE * sizeof(struct packet));
        if (!ways[n].packets) fail("memory");
        polled[n] = (struct pollfd){.fd = ways[n].from, .events = POLLIN};
    }
    puts("ready");
    fflush(stdout);
    for (;;) {
        int64_t wait = -1, now = now_ns();
        for (int n = 0; n < 2; n++) {
            hand_on(&ways[n], now);
            if (!ways[n].count) continue;
            int64_t left = ways[n].packets[ways[n].first].due - now;
            if (wait < 0 || left < wait) wait = left;
        }
        struct timespec pause = {wait / 1000000000, wait % 1000000000};
        ppoll(polled, 2, wait < 0 ? NULL : &pause, NULL);
        for (int n = 0; n < 2; n++) take_in(&ways[n], delay, lost);
    }
}
