/* What a program does to the files below a folder, journalled in order, for torture/disk.py; loaded by LD_PRELOAD.
 *
 * CUTS_FOLDER is the folder, CUTS_JOURNAL the file that is written. CUTS_AT kills the process at the so manieth point:
 * each operation has two, one before it is done and one when it is journalled. A sync is journalled and not done: what
 * would be on the disk is worked out from the journal. The journal has one record an operation: the header below, then
 * a path or data (`first` bytes), then a second path (`second` bytes).
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
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OPEN = 1, WRITE, SIZE, SYNC, CLOSE, RENAME, UNLINK, MKDIR, LINK, RMDIR, TRUNCATE };
enum { CREATED = 1, EMPTIED = 2 };

struct record {
    uint32_t kind;
    int32_t descriptor;
    int64_t where; /* a write's offset, a file's new size, an open's CREATED and EMPTIED */
    uint32_t mode;
    uint32_t first;
    uint32_t second;
    uint32_t unused;
};

#define DESCRIPTORS 65536
#define LONGEST 4096

static char folder[LONGEST];
static size_t folder_size;
static int journal = -1;
static int ready;
static long point, die_at;
static unsigned char followed[DESCRIPTORS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name, result, ...)                                                                                        \
    static result (*real)(__VA_ARGS__);                                                                                \
    if (!real) real = (result(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

static int real_open(const char *path, int flags, mode_t mode) {
    REAL("open64", int, const char *, int, ...);
    return real(path, flags, mode);
}

static ssize_t real_write(int descriptor, const void *data, size_t size) {
    REAL("write", ssize_t, int, const void *, size_t);
    return real(descriptor, data, size);
}

static void set_up(void) {
    const char *where = getenv("CUTS_FOLDER"), *file = getenv("CUTS_JOURNAL"), *at = getenv("CUTS_AT");
    if (!where || !file || strlen(where) >= sizeof folder) return;
    strcpy(folder, where);
    folder_size = strlen(folder);
    die_at = at ? atol(at) : 0;
    journal = real_open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (journal < 0) abort();
    ready = 1;
}

static int is_ours(const char *path) {
    if (!ready) set_up();
    if (!ready || !path || strncmp(path, folder, folder_size) != 0) return 0;
    return path[folder_size] == '/' || path[folder_size] == 0;
}

static int is_followed(int descriptor) {
    return ready && descriptor >= 0 && descriptor < DESCRIPTORS && followed[descriptor];
}

/* One of the points at which the process may be killed; the lock is held, so nothing more is journalled. */
static void pass_point(void) {
    if (++point == die_at)
        for (;;) kill(getpid(), SIGKILL);
}

static void begin(void) {
    pthread_mutex_lock(&lock);
    pass_point();
}

static void append(const void *data, size_t size) {
    const char *rest = data;
    while (size) {
        ssize_t done = real_write(journal, rest, size);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) abort();
        rest += done;
        size -= (size_t)done;
    }
}

/* One write for a record, so that a kill leaves it whole or leaves none of it. */
static void note(uint32_t kind, int descriptor, int64_t where, uint32_t mode, const void *first, size_t first_size,
                 const char *second) {
    int saved = errno;
    size_t second_size = second ? strlen(second) : 0;
    struct record head = {kind, descriptor, where, mode, (uint32_t)first_size, (uint32_t)second_size, 0};
    size_t whole = sizeof head + first_size + second_size;
    char *line = malloc(whole);
    if (!line) abort();
    memcpy(line, &head, sizeof head);
    if (first_size) memcpy(line + sizeof head, first, first_size);
    if (second_size) memcpy(line + sizeof head + first_size, second, second_size);
    append(line, whole);
    free(line);
    pass_point();
    errno = saved;
}

static int end(int result) {
    int saved = errno;
    pthread_mutex_unlock(&lock);
    errno = saved;
    return result;
}

static const char *relative(const char *path) {
    return path[folder_size] ? path + folder_size + 1 : "";
}

static void note_path(uint32_t kind, int descriptor, int64_t where, uint32_t mode, const char *path, const char *other) {
    const char *inside = relative(path);
    note(kind, descriptor, where, mode, inside, strlen(inside), other);
}

/* -- opening and closing ------------------------------------------------------------------------------------------ */

static int open_ours(const char *path, int flags, mode_t mode) {
    begin();
    struct stat about;
    int is_new = (flags & O_CREAT) && lstat(path, &about) != 0;
    int descriptor = real_open(path, flags, mode);
    if (descriptor >= 0 && descriptor < DESCRIPTORS) {
        int64_t done = (is_new ? CREATED : 0) | (flags & O_TRUNC ? EMPTIED : 0);
        followed[descriptor] = 1;
        fstat(descriptor, &about);
        note_path(OPEN, descriptor, done, about.st_mode & 07777, path, NULL);
    }
    return end(descriptor);
}

#define OPENER(name)                                                                                                   \
    int name(const char *path, int flags, ...) {                                                                       \
        va_list more;                                                                                                  \
        va_start(more, flags);                                                                                         \
        mode_t mode = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(more, mode_t) : 0;                \
        va_end(more);                                                                                                  \
        return is_ours(path) ? open_ours(path, flags, mode) : real_open(path, flags, mode);                            \
    }
OPENER(open)
OPENER(open64)

#define OPENER_AT(name)                                                                                                \
    int name(int at, const char *path, int flags, ...) {                                                               \
        REAL(#name, int, int, const char *, int, ...);                                                                 \
        va_list more;                                                                                                  \
        va_start(more, flags);                                                                                         \
        mode_t mode = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(more, mode_t) : 0;                \
        va_end(more);                                                                                                  \
        return is_ours(path) ? open_ours(path, flags, mode) : real(at, path, flags, mode);                             \
    }
OPENER_AT(openat)
OPENER_AT(openat64)

int close(int descriptor) {
    REAL("close", int, int);
    if (!is_followed(descriptor)) return real(descriptor);
    begin();
    followed[descriptor] = 0;
    note(CLOSE, descriptor, 0, 0, NULL, 0, NULL);
    return end(real(descriptor));
}

/* -- data --------------------------------------------------------------------------------------------------------- */

static ssize_t note_written(int descriptor, const void *data, ssize_t done, int64_t offset) {
    if (done > 0) note(WRITE, descriptor, offset, 0, data, (size_t)done, NULL);
    end(0);
    return done;
}

ssize_t write(int descriptor, const void *data, size_t size) {
    if (!is_followed(descriptor)) return real_write(descriptor, data, size);
    begin();
    ssize_t done = real_write(descriptor, data, size);
    return note_written(descriptor, data, done, done > 0 ? lseek(descriptor, 0, SEEK_CUR) - done : 0);
}

#define WRITER_AT(name)                                                                                                \
    ssize_t name(int descriptor, const void *data, size_t size, off64_t offset) {                                      \
        REAL(#name, ssize_t, int, const void *, size_t, off64_t);                                                      \
        if (!is_followed(descriptor)) return real(descriptor, data, size, offset);                                     \
        begin();                                                                                                       \
        return note_written(descriptor, data, real(descriptor, data, size, offset), offset);                           \
    }
WRITER_AT(pwrite)
WRITER_AT(pwrite64)

ssize_t writev(int descriptor, const struct iovec *parts, int count) {
    REAL("writev", ssize_t, int, const struct iovec *, int);
    if (!is_followed(descriptor)) return real(descriptor, parts, count);
    ssize_t whole = 0;
    for (int each = 0; each < count; each++) {
        ssize_t done = write(descriptor, parts[each].iov_base, parts[each].iov_len);
        if (done < 0) return whole ? whole : done;
        whole += done;
        if ((size_t)done < parts[each].iov_len) break;
    }
    return whole;
}

static int note_size(int descriptor, int result) {
    struct stat about;
    if (result == 0 && fstat(descriptor, &about) == 0) note(SIZE, descriptor, about.st_size, 0, NULL, 0, NULL);
    return end(result);
}

#define SIZER(name)                                                                                                    \
    int name(int descriptor, off64_t size) {                                                                           \
        REAL(#name, int, int, off64_t);                                                                                \
        if (!is_followed(descriptor)) return real(descriptor, size);                                                   \
        begin();                                                                                                       \
        return note_size(descriptor, real(descriptor, size));                                                          \
    }
SIZER(ftruncate)
SIZER(ftruncate64)

#define SIZER_OF_PATH(name)                                                                                            \
    int name(const char *path, off64_t size) {                                                                         \
        REAL(#name, int, const char *, off64_t);                                                                       \
        if (!is_ours(path)) return real(path, size);                                                                   \
        begin();                                                                                                       \
        int result = real(path, size);                                                                                 \
        if (result == 0) note_path(TRUNCATE, -1, size, 0, path, NULL);                                                 \
        return end(result);                                                                                            \
    }
SIZER_OF_PATH(truncate)
SIZER_OF_PATH(truncate64)

#define ALLOCATOR(name)                                                                                                \
    int name(int descriptor, off64_t offset, off64_t size) {                                                           \
        REAL(#name, int, int, off64_t, off64_t);                                                                       \
        if (!is_followed(descriptor)) return real(descriptor, offset, size);                                           \
        begin();                                                                                                       \
        return note_size(descriptor, real(descriptor, offset, size));                                                  \
    }
ALLOCATOR(posix_fallocate)
ALLOCATOR(posix_fallocate64)

#define SYNCER(name)                                                                                                   \
    int name(int descriptor) {                                                                                         \
        REAL(#name, int, int);                                                                                         \
        if (!is_followed(descriptor)) return real(descriptor);                                                         \
        begin();                                                                                                       \
        note(SYNC, descriptor, 0, 0, NULL, 0, NULL);                                                                   \
        return end(0);                                                                                                 \
    }
SYNCER(fsync)
SYNCER(fdatasync)

/* -- names -------------------------------------------------------------------------------------------------------- */

#define REMOVER(name, kind)                                                                                            \
    int name(const char *path) {                                                                                       \
        REAL(#name, int, const char *);                                                                                \
        if (!is_ours(path)) return real(path);                                                                         \
        begin();                                                                                                       \
        int result = real(path);                                                                                       \
        if (result == 0) note_path(kind, -1, 0, 0, path, NULL);                                                        \
        return end(result);                                                                                            \
    }
REMOVER(unlink, UNLINK)
REMOVER(rmdir, RMDIR)

#define MOVER(name, kind)                                                                                              \
    int name(const char *path, const char *other) {                                                                    \
        REAL(#name, int, const char *, const char *);                                                                  \
        if (!is_ours(path) || !is_ours(other)) return real(path, other);                                               \
        begin();                                                                                                       \
        int result = real(path, other);                                                                                \
        if (result == 0) note_path(kind, -1, 0, 0, path, relative(other));                                             \
        return end(result);                                                                                            \
    }
MOVER(rename, RENAME)
MOVER(link, LINK)

int mkdir(const char *path, mode_t mode) {
    REAL("mkdir", int, const char *, mode_t);
    if (!is_ours(path)) return real(path, mode);
    begin();
    int result = real(path, mode);
    if (result == 0) note_path(MKDIR, -1, 0, mode, path, NULL);
    return end(result);
}
