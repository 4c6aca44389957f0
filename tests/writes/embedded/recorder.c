/* Sits between a process and the kernel (LD_PRELOAD) and writes down, in order, all that it does to the files
 * below one directory, so that a test can tell what a power cut at any moment would have left of them. It can
 * also make one of these steps fail, or be the process's last.
 *
 *   LOCKGATE_TRACE_ROOT   the directory, absolute
 *   LOCKGATE_TRACE        the file that the record goes to
 *   LOCKGATE_ACKS         a file whose writes are acknowledgements, recorded among the rest
 *   LOCKGATE_FAULT        "kill N": the process dies before its Nth step
 *                         "sync N E": the Nth sync fails with errno E; "write N E": so does every write from
 *                         the Nth on
 *
 * A record: kind (1 octet), inode (8), offset or number (8), length (4), then that many octets; little-endian.
 * Syncs are not passed on to the disk: nothing is lost here, and the test decides what would have been.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define MAX_FDS 4096

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *root, *acks;
static size_t root_length;
static int trace = -1;
static uint64_t inodes[MAX_FDS]; /* 0: not one of ours */
static char is_acks[MAX_FDS];
static long steps, syncs, writes;
static char fault_kind[16];
static long fault_at = -1;
static int fault_errno;

static int is_below(const char *path) {
    return root && strncmp(path, root, root_length) == 0 && (path[root_length] == '/' || !path[root_length]);
}

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("LOCKGATE_TRACE"), *fault = getenv("LOCKGATE_FAULT");
    if (!path) return;
    trace = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    acks = getenv("LOCKGATE_ACKS");
    root = getenv("LOCKGATE_TRACE_ROOT");
    root_length = root ? strlen(root) : 0;
    if (fault) sscanf(fault, "%15s %ld %d", fault_kind, &fault_at, &fault_errno);
}

static void record(char kind, uint64_t inode, uint64_t number, const struct iovec *parts, int count) {
    unsigned char head[21];
    uint32_t length = 0;
    for (int i = 0; i < count; i++) length += parts[i].iov_len;
    head[0] = kind;
    memcpy(head + 1, &inode, 8);
    memcpy(head + 9, &number, 8);
    memcpy(head + 17, &length, 4);
    struct iovec all[count + 1];
    all[0] = (struct iovec){head, sizeof head};
    for (int i = 0; i < count; i++) all[i + 1] = parts[i];
    ssize_t wanted = sizeof head + length;
    if (syscall(SYS_writev, trace, all, count + 1) != wanted) abort();
}

static void record_one(char kind, uint64_t inode, uint64_t number, const void *octets, size_t length) {
    struct iovec part = {(void *)octets, length};
    record(kind, inode, number, &part, 1);
}

/* Under the lock, before each step. */
static void step(void) {
    if (++steps == fault_at && strcmp(fault_kind, "kill") == 0) {
        syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
        pause();
    }
}

static int ours(int fd) { return trace >= 0 && fd >= 0 && fd < MAX_FDS && inodes[fd]; }

static int opened(int fd, const char *path, int flags) {
    if (fd < 0 || fd >= MAX_FDS || trace < 0) return fd;
    is_acks[fd] = acks && strcmp(path, acks) == 0;
    if (!is_below(path)) return fd;
    struct stat found;
    if (fstat(fd, &found) != 0) return fd;
    inodes[fd] = found.st_ino;
    record_one('O', found.st_ino, (uint64_t)flags, path, strlen(path));
    return fd;
}

static int open_any(int at, const char *path, int flags, mode_t mode) {
    int follow = trace >= 0 && (is_below(path) || (acks && strcmp(path, acks) == 0));
    if (follow) {
        pthread_mutex_lock(&lock);
        if (flags & O_CREAT) step();
    }
    int fd = syscall(SYS_openat, at, path, flags, mode);
    if (follow) {
        int error = errno;
        opened(fd, path, flags);
        pthread_mutex_unlock(&lock);
        errno = error;
    }
    return fd;
}

static mode_t mode_of(int flags, va_list rest) {
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
}

#define OPEN(name)                                        \
    int name(const char *path, int flags, ...) {          \
        va_list rest;                                     \
        va_start(rest, flags);                            \
        mode_t mode = mode_of(flags, rest);               \
        va_end(rest);                                     \
        return open_any(AT_FDCWD, path, flags, mode);     \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                      \
    int name(int at, const char *path, int flags, ...) {  \
        va_list rest;                                     \
        va_start(rest, flags);                            \
        mode_t mode = mode_of(flags, rest);               \
        va_end(rest);                                     \
        return open_any(at, path, flags, mode);           \
    }
OPENAT(openat)
OPENAT(openat64)

int close(int fd) {
    pthread_mutex_lock(&lock);
    if (fd >= 0 && fd < MAX_FDS) inodes[fd] = is_acks[fd] = 0;
    int result = syscall(SYS_close, fd);
    pthread_mutex_unlock(&lock);
    return result;
}

static int write_fails(void) {
    step();
    if (fault_at >= 0 && strcmp(fault_kind, "write") == 0 && ++writes >= fault_at) {
        errno = fault_errno;
        return 1;
    }
    return 0;
}

#define AT_CURRENT ((off_t)-1)

static ssize_t write_any(int fd, const struct iovec *parts, int count, off_t at) {
    pthread_mutex_lock(&lock);
    int acknowledges = trace >= 0 && fd >= 0 && fd < MAX_FDS && is_acks[fd];
    if (ours(fd) && write_fails()) {
        pthread_mutex_unlock(&lock);
        return -1;
    }
    off_t begins = ours(fd) && at == AT_CURRENT ? lseek(fd, 0, SEEK_CUR) : at;
    ssize_t written = at == AT_CURRENT ? syscall(SYS_writev, fd, parts, count)
                                       : syscall(SYS_pwritev, fd, parts, count, (long)at, 0L);
    int error = errno;
    if (written > 0 && ours(fd)) record('W', inodes[fd], (uint64_t)begins, parts, count);
    if (written > 0 && acknowledges) record('A', 0, 0, parts, count);
    pthread_mutex_unlock(&lock);
    errno = error;
    return written;
}

static ssize_t write_one(int fd, const void *octets, size_t length, off_t at) {
    struct iovec part = {(void *)octets, length};
    return write_any(fd, &part, 1, at);
}

/* Descriptors of other kinds (sockets, pipes) keep their plain call. */
ssize_t write(int fd, const void *octets, size_t length) {
    int follow = trace >= 0 && fd >= 0 && fd < MAX_FDS && (inodes[fd] || is_acks[fd]);
    return follow ? write_one(fd, octets, length, AT_CURRENT) : syscall(SYS_write, fd, octets, length);
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
    return ours(fd) ? write_any(fd, parts, count, AT_CURRENT) : syscall(SYS_writev, fd, parts, count);
}
ssize_t pwrite(int fd, const void *octets, size_t length, off_t at) {
    return ours(fd) ? write_one(fd, octets, length, at) : syscall(SYS_pwrite64, fd, octets, length, at);
}
ssize_t pwrite64(int fd, const void *octets, size_t length, off64_t at) {
    return pwrite(fd, octets, length, at);
}

int ftruncate(int fd, off_t size) {
    pthread_mutex_lock(&lock);
    if (ours(fd)) step();
    int result = syscall(SYS_ftruncate, fd, size);
    if (result == 0 && ours(fd)) record_one('T', inodes[fd], (uint64_t)size, "", 0);
    pthread_mutex_unlock(&lock);
    return result;
}
int ftruncate64(int fd, off64_t size) { return ftruncate(fd, size); }

static int sync_any(int fd) {
    if (!ours(fd)) return syscall(SYS_fdatasync, fd);
    pthread_mutex_lock(&lock);
    step();
    int fails = ++syncs == fault_at && strcmp(fault_kind, "sync") == 0;
    if (!fails) record_one('S', inodes[fd], 0, "", 0);
    pthread_mutex_unlock(&lock);
    if (!fails) return 0;
    errno = fault_errno;
    return -1;
}
int fsync(int fd) { return sync_any(fd); }
int fdatasync(int fd) { return sync_any(fd); }

int rename(const char *from, const char *to) {
    pthread_mutex_lock(&lock);
    int follow = trace >= 0 && is_below(from);
    if (follow) step();
    int result = syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    if (result == 0 && follow) {
        struct iovec parts[3] = {{(void *)from, strlen(from)}, {"\n", 1}, {(void *)to, strlen(to)}};
        record('R', 0, 0, parts, 3);
    }
    pthread_mutex_unlock(&lock);
    return result;
}

int unlink(const char *path) {
    pthread_mutex_lock(&lock);
    int follow = trace >= 0 && is_below(path);
    if (follow) step();
    int result = syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    int error = errno;
    if (result == 0 && follow) record_one('U', 0, 0, path, strlen(path));
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}

int mkdir(const char *path, mode_t mode) {
    pthread_mutex_lock(&lock);
    int follow = trace >= 0 && is_below(path);
    if (follow) step();
    int result = syscall(SYS_mkdirat, AT_FDCWD, path, mode);
    int error = errno;
    if (result == 0 && follow) record_one('M', 0, 0, path, strlen(path));
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}
