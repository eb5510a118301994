/* A failing disk and a wrong clock for one process and its children; `tests/campaign` builds and preloads it.
 *
 * Disk: whatever changes something below CAMPAIGN_FOLDER is counted, and after the first CAMPAIGN_AFTER of them
 * fails with CAMPAIGN_ERRNO: all that follow, or one alone with CAMPAIGN_ONCE. The system calls themselves are
 * caught (a seccomp filter that traps into the process), because Rust's libraries make some without libc. A `write` that
 * is the first to fail for want of room writes half of its bytes, as a full disk does. Counts by kind of call are kept in
 * the file CAMPAIGN_COUNTS, shared by all processes. CAMPAIGN_KILL in place of an errno is `kill -9` at that call.
 *
 * Clock: with CAMPAIGN_CLOCK=back each look at the time of day is an hour earlier than the one before; =none is
 * a machine whose clock stands before 1970. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

/* ── the disk ── */

/* Calls of our own carry this as their sixth argument, which the kernel does not read, and the filter lets them pass. */
#define OURS 0x43414d50UL
#define RAW(nr, a, b, c, d, e) raw(nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e))

static long raw(long nr, long a, long b, long c, long d, long e) {
    long result = syscall(nr, a, b, c, d, e, OURS);
    return result == -1 ? -errno : result;
}

enum kind { OPEN, WRITE, SYNC, TRUNCATE, RENAME, FOLDER, REMOVE, N_KINDS };

struct counts {
    atomic_long calls, failed, of[N_KINDS];
};

static struct counts *counts;
static char folder[PATH_MAX];
static size_t folder_len;
static long after;
static int with_errno;
static int once;

static int is_below(const char *path) {
    return strncmp(path, folder, folder_len) == 0 && (path[folder_len] == '/' || path[folder_len] == 0);
}

static int is_fd_below(int fd) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 0) return 0;
    path[n] = 0;
    return is_below(path);
}

static int is_path_below(int at, const char *path) {
    if (path == NULL) return 0;
    if (path[0] == '/') return is_below(path);
    char base[PATH_MAX];
    if (at != AT_FDCWD) return is_fd_below(at);
    ssize_t n = readlink("/proc/self/cwd", base, sizeof base - 1);
    if (n < 0) return 0;
    base[n] = 0;
    if (is_below(base)) return 1;
    while (path[0] == '.' && path[1] == '/') path += 2;
    if ((size_t)n + strlen(path) + 2 > sizeof base) return 0;
    base[n] = '/';
    strcpy(base + n + 1, path);
    return is_below(base);
}

static int changes(long flags) {
    return (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC));
}

/* Whether a call changes something below the folder, and what. */
static int is_watched(long nr, const long *a, enum kind *kind) {
    switch (nr) {
    case SYS_write: case SYS_pwrite64: case SYS_writev: case SYS_pwritev:
        *kind = WRITE;
        return is_fd_below((int)a[0]);
    case SYS_fsync: case SYS_fdatasync:
        *kind = SYNC;
        return is_fd_below((int)a[0]);
    case SYS_ftruncate: case SYS_fallocate:
        *kind = TRUNCATE;
        return is_fd_below((int)a[0]);
    case SYS_openat:
        *kind = OPEN;
        return changes(a[2]) && is_path_below((int)a[0], (const char *)a[1]);
    case SYS_mkdirat:
        *kind = FOLDER;
        return is_path_below((int)a[0], (const char *)a[1]);
    case SYS_unlinkat:
        *kind = REMOVE;
        return is_path_below((int)a[0], (const char *)a[1]);
    case SYS_renameat2:
#ifdef SYS_renameat
    case SYS_renameat:
#endif
    case SYS_linkat:
        *kind = RENAME;
        return is_path_below((int)a[2], (const char *)a[3]);
#ifdef SYS_open
    case SYS_open:
        *kind = OPEN;
        return changes(a[1]) && is_path_below(AT_FDCWD, (const char *)a[0]);
    case SYS_creat:
        *kind = OPEN;
        return is_path_below(AT_FDCWD, (const char *)a[0]);
    case SYS_mkdir:
        *kind = FOLDER;
        return is_path_below(AT_FDCWD, (const char *)a[0]);
    case SYS_unlink: case SYS_rmdir:
        *kind = REMOVE;
        return is_path_below(AT_FDCWD, (const char *)a[0]);
    case SYS_rename: case SYS_link:
        *kind = RENAME;
        return is_path_below(AT_FDCWD, (const char *)a[1]);
#endif
    default:
        return 0;
    }
}

static long perform(long nr, const long *a) {
    enum kind kind = WRITE;
    if (!is_watched(nr, a, &kind)) return RAW(nr, a[0], a[1], a[2], a[3], a[4]);
    long n = atomic_fetch_add(&counts->calls, 1);
    atomic_fetch_add(&counts->of[kind], 1);
    int fails = with_errno != 0 && (once ? n == after : n >= after);
    /* A full disk lets files be removed. */
    if (fails && kind == REMOVE && with_errno == ENOSPC) fails = 0;
    if (!fails) return RAW(nr, a[0], a[1], a[2], a[3], a[4]);
    atomic_fetch_add(&counts->failed, 1);
    if (with_errno < 0) {
        RAW(SYS_kill, getpid(), SIGKILL, 0, 0, 0);
        for (;;) pause();
    }
    if (n == after && nr == SYS_write && with_errno == ENOSPC && a[2] > 1)
        return RAW(nr, a[0], a[1], a[2] / 2, 0, 0);
    return -with_errno;
}

static void trapped(int signal, siginfo_t *info, void *context) {
    (void)signal;
    int saved = errno;
    mcontext_t *m = &((ucontext_t *)context)->uc_mcontext;
#if defined(__x86_64__)
    const long a[5] = {m->gregs[REG_RDI], m->gregs[REG_RSI], m->gregs[REG_RDX], m->gregs[REG_R10], m->gregs[REG_R8]};
    m->gregs[REG_RAX] = perform(info->si_syscall, a);
#elif defined(__aarch64__)
    const long a[5] = {m->regs[0], m->regs[1], m->regs[2], m->regs[3], m->regs[4]};
    m->regs[0] = perform(info->si_syscall, a);
#else
#error "say here where this processor keeps the arguments of a system call"
#endif
    errno = saved;
}

static const int WATCHED[] = {
    SYS_write, SYS_pwrite64, SYS_writev, SYS_pwritev, SYS_fsync, SYS_fdatasync, SYS_ftruncate, SYS_fallocate,
    SYS_mkdirat, SYS_unlinkat, SYS_renameat2, SYS_linkat,
#ifdef SYS_renameat
    SYS_renameat,
#endif
#ifdef SYS_open
    SYS_creat, SYS_mkdir, SYS_unlink, SYS_rmdir, SYS_rename, SYS_link,
#endif
};
#define N_WATCHED (sizeof WATCHED / sizeof *WATCHED)

static void fail(const char *what) {
    char said[PATH_MAX + 64];
    int n = snprintf(said, sizeof said, "campaign shim: %s: %s\n", what, strerror(errno));
    RAW(SYS_write, STDERR_FILENO, said, n, 0, 0);
    _exit(99);
}

static void watch_disk(void) {
    const char *below = getenv("CAMPAIGN_FOLDER"), *file = getenv("CAMPAIGN_COUNTS");
    if (below == NULL || file == NULL) return;
    const char *n = getenv("CAMPAIGN_AFTER"), *number = getenv("CAMPAIGN_ERRNO");
    folder_len = strlen(below);
    memcpy(folder, below, folder_len + 1);
    after = n == NULL ? LONG_MAX : atol(n);
    with_errno = getenv("CAMPAIGN_KILL") ? -1 : number == NULL ? 0 : atoi(number);
    once = getenv("CAMPAIGN_ONCE") != NULL;
    /* A child has the filter of its parent already, and no handler yet. */
    int fd = (int)RAW(SYS_openat, AT_FDCWD, file, O_RDWR | O_CREAT | O_CLOEXEC, 0644, 0);
    if (fd < 0 || RAW(SYS_ftruncate, fd, sizeof *counts, 0, 0, 0) != 0) fail(file);
    counts = mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (counts == MAP_FAILED) fail(file);
    close(fd);
    struct sigaction action = {.sa_sigaction = trapped, .sa_flags = SA_SIGINFO | SA_NODEFER | SA_RESTART};
    if (sigaction(SIGSYS, &action, NULL) != 0) fail("sigaction");
    /* Calls that open a file to read it pass: a child's loader makes them before it has its handler. */
    struct sock_filter filter[N_WATCHED + 16];
    size_t at = 0;
#define ADD(...) filter[at++] = (struct sock_filter)__VA_ARGS__
#define LOAD(field) ADD(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field)))
#define ALLOW_IF_READS(nr, flags) \
    ADD(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 4)); \
    LOAD(flags); \
    ADD(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_WRONLY | O_RDWR | O_CREAT | O_TRUNC, 1, 0)); \
    ADD(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)); \
    ADD(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP))
    LOAD(args[5]);
    ADD(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OURS, 0, 1));
    ADD(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    LOAD(nr);
    ALLOW_IF_READS(SYS_openat, args[2]);
#ifdef SYS_open
    ALLOW_IF_READS(SYS_open, args[1]);
#endif
    for (size_t i = 0; i < N_WATCHED; i++) ADD(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, WATCHED[i], N_WATCHED - i, 0));
    ADD(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    ADD(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP));
    struct sock_fprog program = {.len = at, .filter = filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) fail("no_new_privs");
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) fail("seccomp");
}

/* ── the clock ── */

static enum { RIGHT, BACK, NONE } clock_is;
static atomic_long looks;

static void set_clock(void) {
    const char *how = getenv("CAMPAIGN_CLOCK");
    if (how == NULL) return;
    clock_is = strcmp(how, "back") == 0 ? BACK : NONE;
}

static void wrong(struct timespec *at) {
    if (clock_is == BACK) at->tv_sec -= 3600 * (1 + atomic_fetch_add(&looks, 1));
    if (clock_is == NONE) at->tv_sec = -86400;
}

int clock_gettime(clockid_t id, struct timespec *at) {
    long result = syscall(SYS_clock_gettime, id, at);
    if (result == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) wrong(at);
    return (int)result;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone) {
    struct timespec at;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &at);
    tv->tv_sec = at.tv_sec;
    tv->tv_usec = at.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out) {
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    if (out != NULL) *out = at.tv_sec;
    return at.tv_sec;
}

__attribute__((constructor)) static void start(void) {
    set_clock();
    watch_disk();
}
