/*
 * reload LIBRARY
 *
 * Opens and closes the library again and again, with a product in between, and looks for what
 * that leaves behind; its threads go on living all the while.
 */
#include "holdings.h"
#include <dlfcn.h>

typedef void sgemm(int, int, int, int, int, int, float, const float *, int, const float *, int,
                   float, float *, int);

int main(int argc, char **argv)
{
    enum { SIZE = 200 };
    static float a[SIZE * SIZE], c[SIZE * SIZE];
    if (argc != 2)
        return 2;
    for (int i = 0; i < SIZE * SIZE; i++)
        a[i] = i % 7;
    struct holdings first = {0}, last = {0};
    for (int round = 0; round < 100; round++) {
        void *library = dlopen(argv[1], RTLD_NOW);
        sgemm *multiply = library ? (sgemm *)dlsym(library, "cblas_sgemm") : NULL;
        if (!multiply) {
            printf("%s\n", dlerror());
            return 1;
        }
        multiply(101, 111, 111, SIZE, SIZE, SIZE, 1, a, SIZE, a, SIZE, 0, c, SIZE);
        double sum = 0;
        for (int l = 0; l < SIZE; l++)
            sum += a[l] * a[l * SIZE];
        if (c[0] != sum) {
            printf("round %d is wrong\n", round);
            return 1;
        }
        dlclose(library);
        last = holdings();
        if (round == 10)
            first = last;
    }
    if (last.descriptors > first.descriptors || last.mappings > first.mappings + 4) {
        printf("descriptors %d to %d, mappings %d to %d\n", first.descriptors, last.descriptors,
               first.mappings, last.mappings);
        return 1;
    }
    return 0;
}
