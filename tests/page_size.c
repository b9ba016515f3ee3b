/* Preloaded into a program, makes it believe that pages have FAKE_PAGE_SIZE bytes, which must be
 * more than they have: sysconf says so, mmap returns multiples of it and refuses other offsets,
 * munmap refuses other addresses. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

typedef long (*ask)(int);
typedef void *(*map)(void *, size_t, int, int, int, off_t);
typedef int (*unmap)(void *, size_t);

static uintptr_t page_size(void)
{
    return strtoul(getenv("FAKE_PAGE_SIZE"), NULL, 10);
}

long sysconf(int name)
{
    ask real = (ask)dlsym(RTLD_NEXT, "sysconf");
    return name == _SC_PAGESIZE ? (long)page_size() : real(name);
}

int munmap(void *at, size_t length)
{
    unmap real = (unmap)dlsym(RTLD_NEXT, "munmap");
    if ((uintptr_t)at % page_size() == 0)
        return real(at, length);
    errno = EINVAL;
    return -1;
}

void *mmap(void *at, size_t length, int access, int flags, int fd, off_t offset)
{
    map real = (map)dlsym(RTLD_NEXT, "mmap");
    unmap give_back = (unmap)dlsym(RTLD_NEXT, "munmap");
    if (length == 0 || offset % (off_t)page_size() != 0) {
        errno = EINVAL;
        return MAP_FAILED;
    }
    if (flags & MAP_FIXED)
        return real(at, length, access, flags, fd, offset);

    /* A multiple of the page lies in the first page of room for a page more. */
    size_t whole = (length + page_size() - 1) / page_size() * page_size();
    size_t room = whole + page_size();
    char *start = real(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED)
        return MAP_FAILED;
    size_t before = -(uintptr_t)start % page_size();
    void *mapped = real(start + before, length, access, flags | MAP_FIXED, fd, offset);
    if (mapped == MAP_FAILED) {
        int error = errno;
        give_back(start, room);
        errno = error;
        return MAP_FAILED;
    }
    if (before > 0)
        give_back(start, before);
    if (before < page_size())
        give_back(start + before + whole, page_size() - before);
    return mapped;
}

void *mmap64(void *, size_t, int, int, int, off64_t) __attribute__((alias("mmap")));
