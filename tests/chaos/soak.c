/*
 * soak SECONDS
 *
 * Two threads multiply shapes without end; every five seconds one line says what the process
 * holds. Exits with 1 when a result is wrong.
 */
#include "holdings.h"
#include "products.h"
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

static atomic_long calls, wrong;
static atomic_int over;

/* A product of random shape with a result known beforehand: rows of ones times columns. */
static void any_shape(unsigned *seed, float *room)
{
    int size[3];
    for (int i = 0; i < 3; i++) {
        *seed = *seed * 1664525u + 1013904223u;
        size[i] = 1 + (*seed >> 12) % 400;
    }
    int m = size[0], n = size[1], k = size[2];
    float *a = room, *b = a + 400 * 400, *c = b + 400 * 400;
    for (int i = 0; i < m * k; i++)
        a[i] = 1;
    for (int l = 0; l < k; l++)
        for (int j = 0; j < n; j++)
            b[l * n + j] = j % 10;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m, n, k, 1, a, k, b, n, 0, c, n);
    for (int i = 0; i < m * n; i++)
        wrong += c[i] != k * (i % n % 10);
}

static void *worker(void *number)
{
    unsigned seed = 7 + (unsigned)(long)number;
    float *room = malloc(3 * 400 * 400 * sizeof *room);
    for (int i = 0; !over; i++) {
        if (i % 3)
            any_shape(&seed, room);
        else
            wrong += !is_right_in(i / 3, room);
        calls++;
    }
    free(room);
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    prepare_products();
    time_t start = time(NULL);
    pthread_t all[2];
    for (long i = 0; i < 2; i++)
        pthread_create(&all[i], NULL, worker, (void *)i);
    while (time(NULL) < start + atol(argv[1])) {
        sleep(5);
        struct holdings now = holdings();
        printf("AT %ld calls=%ld rss=%ld fds=%d maps=%d\n", (long)(time(NULL) - start), calls,
               now.resident_kib, now.descriptors, now.mappings);
        fflush(stdout);
    }
    over = 1;
    for (int i = 0; i < 2; i++)
        pthread_join(all[i], NULL);
    return wrong != 0;
}
