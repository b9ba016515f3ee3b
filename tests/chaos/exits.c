/*
 * exits WAY [MILLISECONDS]
 *
 * Leaves, after so many milliseconds, while four threads are inside products: by `exit`, by
 * `return` from main, or by `last`, the end of the main thread with a product after the exit
 * handlers of the library. A forked child that never called leaves by exit first.
 */
#include "products.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void *worker(void *seed)
{
    for (int i = (int)(long)seed;; i++)
        if (!is_right(i))
            _exit(1);
    return NULL;
}

static void multiply_at_exit(void)
{
    if (!is_right(0))
        _exit(1);
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    prepare_products();
    /* Registered first, so it runs last, when the library has already been told. */
    if (strcmp(argv[1], "last") == 0)
        atexit(multiply_at_exit);
    for (long i = 0; i < 4; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, worker, (void *)i) != 0)
            return 2;
    }
    usleep(1000 * (argc > 2 ? atoi(argv[2]) : 100));
    pid_t child = fork();
    if (child == 0)
        exit(0);
    int status = -1;
    if (waitpid(child, &status, 0) != child || status != 0)
        return 1;
    if (strcmp(argv[1], "exit") == 0)
        exit(0);
    return 0;
}
