/*
 * surroundings WHICH [BYTES]
 *
 * Takes something away from itself and multiplies then. Exits with 0 when every result is right,
 * with 77 when this process may not take it away.
 */
#define _GNU_SOURCE
#include "products.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static int limit(int which, rlim_t value)
{
    struct rlimit both = {value, value};
    return setrlimit(which, &both);
}

/* Beside the address space that is already in use. */
static int little_memory(long more)
{
    long pages = 0;
    FILE *statm = fopen("/proc/self/statm", "r");
    if (!statm || fscanf(statm, "%ld", &pages) != 1)
        return -1;
    fclose(statm);
    return limit(RLIMIT_AS, pages * sysconf(_SC_PAGESIZE) + more);
}

/* Mounts that are nobody else's; a user needs a namespace for the right to them. */
static int own_mounts(void)
{
    if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
        return -1;
    return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
}

/* No /dev, no /proc, no anything: a folder that has but the entries of this process's limits. */
static int empty_root(void)
{
    if (chroot("/proc/self/fdinfo") != 0
        && (unshare(CLONE_NEWUSER) != 0 || chroot("/proc/self/fdinfo") != 0))
        return -1;
    return chdir("/");
}

static int read_only(void)
{
    if (own_mounts() != 0)
        return -1;
    return mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL);
}

static int no_proc(void)
{
    if (own_mounts() != 0)
        return -1;
    return mount("none", "/proc", "tmpfs", MS_RDONLY, NULL);
}

static int no_ioctl(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -1;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static int one_cpu(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(sched_getcpu(), &set);
    return sched_setaffinity(0, sizeof set, &set);
}

static int no_threads(void)
{
    /* The limit does not bind root. */
    if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0)
        return -1;
    return limit(RLIMIT_NPROC, 0);
}

static int take_away(const char *which, long bytes)
{
    if (!strcmp(which, "descriptors"))
        return limit(RLIMIT_NOFILE, bytes);
    if (!strcmp(which, "memory"))
        return little_memory(bytes);
    if (!strcmp(which, "threads"))
        return no_threads();
    if (!strcmp(which, "cpus"))
        return one_cpu();
    if (!strcmp(which, "ioctl"))
        return no_ioctl();
    if (!strcmp(which, "files"))
        return empty_root();
    if (!strcmp(which, "proc"))
        return no_proc();
    if (!strcmp(which, "writing"))
        return read_only();
    exit(2);
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    prepare_products();
    float *c = malloc(LARGEST * sizeof *c);
    if (take_away(argv[1], argc > 2 ? atol(argv[2]) : 0) != 0)
        return 77;
    for (int i = 0; i < 2 * PRODUCTS; i++)
        if (!is_right_in(i, c))
            return 1;
    return 0;
}
