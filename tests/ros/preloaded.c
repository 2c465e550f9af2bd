/* Simulates faults of the clock and of ROS, for tests. The dynamic linker loads this library before the libraries of
 * the bridge. The bridge itself is not changed. The test controls the faults through a shared file. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { WAITS, WAIT_FAILS, CLOCK_FAILS };

struct faults {
    int64_t ahead; /* seconds by which the wall clock is ahead */
    int64_t wait;  /* fault of the thread that waits for messages */
    int64_t sleeps; /* the steady clock stands still, as while a computer sleeps */
    int64_t hangs; /* destroying a node hangs, as if the middleware waited for a dead reader */
};

static const struct faults none;
static const volatile struct faults *faults = &none;
static __thread int clockless;

__attribute__((constructor)) static void share(void) {
    const char *path = getenv("AETHER_FAULTS");
    int file = path ? open(path, O_RDONLY) : -1;
    if (file < 0) abort();
    void *shared = mmap(NULL, sizeof(struct faults), PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (shared == MAP_FAILED) abort();
    faults = shared;
}

/* Returns the steady time in nanoseconds. After a standstill it continues from the old value. */
static int64_t awake(int64_t now) {
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    static int64_t asleep, slept;
    pthread_mutex_lock(&mutex);
    if (faults->sleeps) {
        if (!asleep) asleep = now - slept;
        slept = now - asleep;
    } else {
        asleep = 0;
    }
    int64_t time = now - slept;
    pthread_mutex_unlock(&mutex);
    return time;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    if (clockless && clock == CLOCK_MONOTONIC) {
        errno = EINVAL;
        return -1;
    }
    int result = syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && clock == CLOCK_REALTIME) now->tv_sec += faults->ahead;
    if (result == 0 && clock == CLOCK_MONOTONIC) {
        int64_t time = awake(now->tv_sec * 1000000000LL + now->tv_nsec);
        now->tv_sec = time / 1000000000LL;
        now->tv_nsec = time % 1000000000LL;
    }
    return result;
}

int rcl_wait(void *wait_set, int64_t timeout) {
    int (*wait)(void *, int64_t) = (int (*)(void *, int64_t))dlsym(RTLD_NEXT, "rcl_wait");
    if (faults->wait == WAIT_FAILS) return 1;
    int result = wait(wait_set, timeout);
    clockless = faults->wait == CLOCK_FAILS;
    return result;
}

int rcl_node_fini(void *node) {
    int (*fini)(void *) = (int (*)(void *))dlsym(RTLD_NEXT, "rcl_node_fini");
    while (faults->hangs) usleep(10000);
    return fini(node);
}
