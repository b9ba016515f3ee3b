/*
 * threads COUNT SECONDS
 *
 * COUNT threads multiply for SECONDS. Every tenth product a thread makes way for a new one.
 */
#include "products.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

static atomic_long calls, wrong;
static time_t end;

static void *worker(void *seed)
{
    for (int i = 0; i < 10 && time(NULL) < end; i++) {
        calls++;
        wrong += !is_right((int)(long)seed + i);
    }
    return NULL;
}

static void *successive_workers(void *seed)
{
    pthread_t next;
    while (time(NULL) < end) {
        if (pthread_create(&next, NULL, worker, seed) != 0)
            worker(seed);
        else
            pthread_join(next, NULL);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    prepare_products();
    long count = atol(argv[1]);
    end = time(NULL) + atol(argv[2]);
    pthread_t *all = malloc(count * sizeof *all);
    for (long i = 0; i < count; i++)
        if (pthread_create(&all[i], NULL, successive_workers, (void *)i) != 0)
            return 2;
    for (long i = 0; i < count; i++)
        pthread_join(all[i], NULL);
    printf("calls=%ld wrong=%ld\n", calls, wrong);
    return wrong != 0;
}
