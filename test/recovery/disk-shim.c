/* A disk that fails, fills up or forgets on command, put below a real process with LD_PRELOAD.
 *
 *   SHIM_FOLDER    files directly in this folder are on that disk; all others are left alone
 *   SHIM_CONTROL   a file of at least 128 bytes, shared with the test: faults and counters, laid out as disk-shim.ts says
 *                  The clock can be set too.
 *   SHIM_SEED      set: the disk forgets. What is written stays in this process until it is synced, so that kill -9 equals lost power.
 *                  Of each write some sectors reach the file at once, as a disk may choose to, in no order.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define SECTOR 512
#define FDS_MAX 65536
#define FILES_MAX 4096

enum step { WRITE, SYNC, CREATE, UNLINK, RENAME, TRUNCATE };

/* A write that is not synced. */
struct piece {
  off_t from;
  size_t bytes;
  struct piece *next;
  char data[];
};

struct file {
  dev_t device;
  ino_t inode;
  struct piece *first, *last;
};

static struct { uint8_t fault[16]; volatile uint32_t hits[16]; volatile int64_t shift_seconds; } *control;
static const char *folder;
static size_t folder_length;
static int forgets;
static uint64_t dice;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct file files[FILES_MAX];
static int file_count;
static struct file *file_of[FDS_MAX];
static char is_folder[FDS_MAX];
/* Names removed from a folder that was not synced since. */
static char *removed[FILES_MAX];
static int removed_count;

static int (*real_open)(const char *, int, ...);
static int (*real_close)(int);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_pwritev)(int, const struct iovec *, int, off_t);
static ssize_t (*real_pread)(int, void *, size_t, off_t);
static int (*real_fdatasync)(int);
static int (*real_fsync)(int);
static int (*real_unlink)(const char *);
static int (*real_rename)(const char *, const char *);
static int (*real_truncate)(int, off_t);

__attribute__((constructor)) static void start(void) {
  real_open = dlsym(RTLD_NEXT, "open64");
  real_close = dlsym(RTLD_NEXT, "close");
  real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
  real_pwritev = dlsym(RTLD_NEXT, "pwritev64");
  real_pread = dlsym(RTLD_NEXT, "pread64");
  real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
  real_fsync = dlsym(RTLD_NEXT, "fsync");
  real_unlink = dlsym(RTLD_NEXT, "unlink");
  real_rename = dlsym(RTLD_NEXT, "rename");
  real_truncate = dlsym(RTLD_NEXT, "ftruncate64");
  folder = getenv("SHIM_FOLDER");
  if (folder == NULL) return;
  folder_length = strlen(folder);
  if (getenv("SHIM_SEED") != NULL) {
    forgets = 1;
    dice = strtoull(getenv("SHIM_SEED"), NULL, 10);
  }
  int fd = real_open(getenv("SHIM_CONTROL"), O_RDWR);
  if (fd < 0) abort();
  control = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  real_close(fd);
  if (control == MAP_FAILED) abort();
}

static int is_here(const char *path) {
  return folder != NULL && strncmp(path, folder, folder_length) == 0 && path[folder_length] == '/' &&
         strchr(path + folder_length + 1, '/') == NULL;
}

/* 0, or the errno that this step is to fail with. */
static int fault(enum step step) {
  int error = control->fault[step];
  if (error != 0) __sync_fetch_and_add(&control->hits[step], 1);
  return error;
}

static uint32_t roll(void) {
  dice = dice * 6364136223846793005ULL + 1442695040888963407ULL;
  return dice >> 33;
}

static struct file *find_file(int fd) {
  struct stat status;
  if (fstat(fd, &status) != 0) return NULL;
  for (int at = 0; at < file_count; at++)
    if (files[at].device == status.st_dev && files[at].inode == status.st_ino) return &files[at];
  if (file_count == FILES_MAX) abort();
  struct file *file = &files[file_count++];
  file->device = status.st_dev;
  file->inode = status.st_ino;
  return file;
}

static void forget_pieces(struct file *file) {
  while (file->first != NULL) {
    struct piece *piece = file->first;
    file->first = piece->next;
    free(piece);
  }
  file->last = NULL;
}

int open64(const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  mode_t mode = (flags & O_CREAT) ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  int here = is_here(path);
  if (here && (flags & O_CREAT)) {
    int error = fault(CREATE);
    if (error != 0) {
      errno = error;
      return -1;
    }
  }
  int fd = real_open(path, flags, mode);
  if (fd < 0 || fd >= FDS_MAX || folder == NULL) return fd;
  pthread_mutex_lock(&lock);
  file_of[fd] = here ? find_file(fd) : NULL;
  if (file_of[fd] != NULL && (flags & O_TRUNC)) forget_pieces(file_of[fd]);
  is_folder[fd] = strcmp(path, folder) == 0;
  pthread_mutex_unlock(&lock);
  return fd;
}

int close(int fd) {
  if (fd >= 0 && fd < FDS_MAX) {
    file_of[fd] = NULL;
    is_folder[fd] = 0;
  }
  return real_close(fd);
}

static struct file *on_this_disk(int fd) { return fd >= 0 && fd < FDS_MAX ? file_of[fd] : NULL; }

/* Keeps the write until the next sync; some of its sectors go to the file at once. */
static ssize_t keep(int fd, struct file *file, const char *data, size_t bytes, off_t from) {
  struct piece *piece = malloc(sizeof *piece + bytes);
  if (piece == NULL) abort();
  piece->from = from;
  piece->bytes = bytes;
  piece->next = NULL;
  memcpy(piece->data, data, bytes);
  pthread_mutex_lock(&lock);
  if (file->last == NULL) file->first = piece;
  else file->last->next = piece;
  file->last = piece;
  if (roll() % 2 == 0) {
    for (size_t at = 0; at < bytes;) {
      size_t end = (from + at) / SECTOR * SECTOR + SECTOR - from;
      if (end > bytes) end = bytes;
      if (roll() % 4 == 0 && real_pwrite(fd, data + at, end - at, from + at) < 0) abort();
      at = end;
    }
  }
  pthread_mutex_unlock(&lock);
  return bytes;
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t from) {
  struct file *file = on_this_disk(fd);
  if (file == NULL) return real_pwritev(fd, parts, count, from);
  int error = fault(WRITE);
  if (error == 0 && !forgets) return real_pwritev(fd, parts, count, from);
  size_t bytes = 0;
  for (int at = 0; at < count; at++) bytes += parts[at].iov_len;
  char *data = malloc(bytes == 0 ? 1 : bytes);
  if (data == NULL) abort();
  size_t filled = 0;
  for (int at = 0; at < count; at++) {
    memcpy(data + filled, parts[at].iov_base, parts[at].iov_len);
    filled += parts[at].iov_len;
  }
  ssize_t result;
  if (error == EAGAIN) {
    /* A short write first; what is left of a few bytes finds the disk full. */
    if (bytes < 64) {
      errno = ENOSPC;
      result = -1;
    } else {
      result = forgets ? keep(fd, file, data, bytes / 2, from) : real_pwrite(fd, data, bytes / 2, from);
    }
  } else if (error != 0) {
    errno = error;
    result = -1;
  } else {
    result = keep(fd, file, data, bytes, from);
  }
  int saved = errno;
  free(data);
  errno = saved;
  return result;
}

ssize_t pwrite64(int fd, const void *data, size_t bytes, off_t from) {
  struct iovec part = {(void *)data, bytes};
  return on_this_disk(fd) == NULL ? real_pwrite(fd, data, bytes, from) : pwritev64(fd, &part, 1, from);
}

ssize_t pread64(int fd, void *data, size_t bytes, off_t from) {
  struct file *file = on_this_disk(fd);
  ssize_t got = real_pread(fd, data, bytes, from);
  if (file == NULL || !forgets || got < 0) return got;
  size_t end = got;
  pthread_mutex_lock(&lock);
  for (struct piece *piece = file->first; piece != NULL; piece = piece->next) {
    off_t first = piece->from > from ? piece->from : from;
    off_t last = piece->from + (off_t)piece->bytes;
    if (last > from + (off_t)bytes) last = from + bytes;
    if (first >= last) continue;
    if ((size_t)(first - from) > end) memset((char *)data + end, 0, first - from - end);
    memcpy((char *)data + (first - from), piece->data + (first - piece->from), last - first);
    if ((size_t)(last - from) > end) end = last - from;
  }
  pthread_mutex_unlock(&lock);
  return end;
}

/* libuv reads with either. */
ssize_t preadv64(int fd, const struct iovec *parts, int count, off_t from) {
  ssize_t total = 0;
  for (int at = 0; at < count; at++) {
    ssize_t got = pread64(fd, parts[at].iov_base, parts[at].iov_len, from + total);
    if (got < 0) return total > 0 ? total : got;
    total += got;
    if ((size_t)got < parts[at].iov_len) break;
  }
  return total;
}

static int synced(int fd, int (*real_sync)(int)) {
  struct file *file = on_this_disk(fd);
  int here = file != NULL || (fd >= 0 && fd < FDS_MAX && is_folder[fd]);
  if (!here) return real_sync(fd);
  int error = fault(SYNC);
  if (error != 0) {
    errno = error;
    return -1;
  }
  if (!forgets) return real_sync(fd);
  pthread_mutex_lock(&lock);
  if (file != NULL) {
    for (struct piece *piece = file->first; piece != NULL; piece = piece->next)
      if (real_pwrite(fd, piece->data, piece->bytes, piece->from) != (ssize_t)piece->bytes) abort();
    forget_pieces(file);
  } else {
    for (int at = 0; at < removed_count; at++) {
      real_unlink(removed[at]);
      free(removed[at]);
    }
    removed_count = 0;
  }
  pthread_mutex_unlock(&lock);
  return real_sync(fd);
}

int fdatasync(int fd) { return synced(fd, real_fdatasync); }

int fsync(int fd) { return synced(fd, real_fsync); }

int unlink(const char *path) {
  if (!is_here(path)) return real_unlink(path);
  int error = fault(UNLINK);
  if (error != 0) {
    errno = error;
    return -1;
  }
  if (!forgets || roll() % 4 == 0) return real_unlink(path);
  pthread_mutex_lock(&lock);
  if (removed_count == FILES_MAX) abort();
  removed[removed_count++] = strdup(path);
  pthread_mutex_unlock(&lock);
  return 0;
}

int rename(const char *from, const char *to) {
  int error = is_here(from) ? fault(RENAME) : 0;
  if (error == 0) return real_rename(from, to);
  errno = error;
  return -1;
}

int ftruncate64(int fd, off_t size) {
  int error = on_this_disk(fd) != NULL ? fault(TRUNCATE) : 0;
  if (error == 0) return real_truncate(fd, size);
  errno = error;
  return -1;
}

/* Whoever asks for the time of day before `start` ran gets it as it is. */
int clock_gettime(clockid_t clock, struct timespec *at) {
  static int (*real)(clockid_t, struct timespec *);
  if (real == NULL) real = dlsym(RTLD_NEXT, "clock_gettime");
  int result = real(clock, at);
  if (result == 0 && control != NULL && clock == CLOCK_REALTIME) at->tv_sec += control->shift_seconds;
  return result;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
  static int (*real)(struct timeval *, void *);
  if (real == NULL) real = dlsym(RTLD_NEXT, "gettimeofday");
  int result = real(at, zone);
  if (result == 0 && control != NULL) at->tv_sec += control->shift_seconds;
  return result;
}
