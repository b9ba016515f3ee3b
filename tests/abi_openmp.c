/* Multiplies inside a parallel region of OpenMP and outside, and says after each how many threads
 * of the library there are. Started with NPUBLAS_NUM_THREADS=2. */
#include <cblas.h>
#include <dirent.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 200 };

static int helpers(void) {
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *task; tasks && (task = readdir(tasks));) {
        char path[300], name[32] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", task->d_name);
        FILE *comm = fopen(path, "r");
        if (comm && fgets(name, sizeof name, comm)) count += !strncmp(name, "npublas-", 8);
        if (comm) fclose(comm);
    }
    if (tasks) closedir(tasks);
    return count;
}

/* Every entry is N: exact. */
static int product(void) {
    float *x = malloc(sizeof(float) * N * N), *c = malloc(sizeof(float) * N * N);
    for (int i = 0; i < N * N; i++) x[i] = 1;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, N, N, N, 1, x, N, x, N, 0, c, N);
    int wrong = 0;
    for (int i = 0; i < N * N; i++) wrong += c[i] != N;
    free(x);
    free(c);
    return wrong;
}

int main(void) {
    int wrong = 0;
#pragma omp parallel num_threads(2) reduction(+ : wrong)
    {
        if (omp_get_num_threads() != 2) puts("no team");
        for (int i = 0; i < 20; i++) wrong += product();
    }
    printf("inside: %d wrong, %d helpers\n", wrong, helpers());
    wrong = product();
    /* A thread takes a moment to get its name. */
    for (int i = 0; i < 1000 && helpers() == 0; i++) wrong += product();
    printf("outside: %d wrong, %d helpers\n", wrong, helpers());
}
