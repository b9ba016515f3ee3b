/* Sets modes in every scope and says what holds where, one line a step. Started with
 * NPUBLAS_COMPUTE_MODE=low and NPUBLAS_REPRODUCIBLE=on. */
#include <cblas.h>
#include <limits.h>
#include <npublas.h>
#include <pthread.h>
#include <stdio.h>

static void holds(const char *where) {
    printf("%s: %d %d\n", where, npublas_get_compute_mode(), npublas_get_reproducible());
    fflush(stdout);
}

static void product(void) {
    const float a[4] = {1, 2, 3, 4};
    float c[4];
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, 2, 2, 2, 1, a, 2, a, 2, 0, c, 2);
    if (c[0] != 7 || c[1] != 10 || c[2] != 15 || c[3] != 22) puts("wrong");
}

static void *other(void *where) {
    holds(where);
    product();
    printf("%d ", npublas_set_compute_mode_local(NPUBLAS_MODE_FP16));
    printf("%d\n", npublas_set_reproducible_local(1));
    holds("of its own");
    return NULL;
}

static void in_another_thread(char *where) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, other, where) || pthread_join(thread, NULL)) puts("thread");
}

int main(void) {
    holds("environment");
    printf("%d ", npublas_set_compute_mode(NPUBLAS_MODE_FAST));
    printf("%d\n", npublas_set_reproducible(0));
    holds("process");
    printf("%d ", npublas_set_compute_mode_local(NPUBLAS_MODE_STRICT));
    printf("%d\n", npublas_set_reproducible_local(1));
    holds("thread");
    product();
    in_another_thread("another thread");
    holds("this one again");
    /* What is no value changes nothing. */
    const int bad[4] = {INT_MIN, NPUBLAS_BAD_VALUE, NPUBLAS_MODE_FP16X2 + 1, INT_MAX};
    for (int i = 0; i < 4; i++)
        printf("%d %d ", npublas_set_compute_mode(bad[i]), npublas_set_compute_mode_local(bad[i]));
    printf("%d %d\n", npublas_set_reproducible(2), npublas_set_reproducible_local(-3));
    holds("still");
    printf("%d ", npublas_set_compute_mode_local(NPUBLAS_INHERIT));
    printf("%d\n", npublas_set_reproducible_local(NPUBLAS_INHERIT));
    holds("as the process");
    printf("%d ", npublas_set_compute_mode(NPUBLAS_INHERIT));
    printf("%d\n", npublas_set_reproducible(NPUBLAS_INHERIT));
    holds("as the environment");
    printf("%d ", npublas_set_compute_mode(NPUBLAS_MODE_STANDARD));
    printf("%d\n", npublas_set_reproducible(0));
    product();
    return 0;
}
