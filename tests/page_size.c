/* Preloaded into a program, makes it believe that pages have as many bytes as FAKE_PAGE_SIZE says.
 * Only a larger size than the true one works: then all that is a multiple of it is a multiple of
 * the true one too. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

long sysconf(int name)
{
    const char *fake = getenv("FAKE_PAGE_SIZE");
    if (name == _SC_PAGESIZE && fake)
        return atol(fake);
    long (*real)(int) = (long (*)(int))dlsym(RTLD_NEXT, "sysconf");
    return real(name);
}

int getpagesize(void)
{
    return (int)sysconf(_SC_PAGESIZE);
}
