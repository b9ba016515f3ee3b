/*
 * Products of small integers: exact in float32, whoever computes them and in whatever order.
 */
#ifndef PRODUCTS_H
#define PRODUCTS_H

#include <cblas.h>
#include <math.h>
#include <stdlib.h>

struct product {
    int m, n, k;
    float *a, *b, *exact;
};

#define PRODUCTS 8

/* Odd ones, deep ones, several blocks per core: different numbers and sizes of buffers. */
static const int shapes[PRODUCTS][3] = {
    {96, 96, 96},   {200, 150, 300}, {33, 65, 129},  {128, 256, 64},
    {1, 100, 1000}, {257, 129, 512}, {64, 640, 48}, {150, 30, 2000},
};

static struct product products[PRODUCTS];

static float *numbers(int count, unsigned *seed)
{
    float *all = malloc(count * sizeof *all);
    for (int i = 0; i < count; i++) {
        *seed = *seed * 1664525u + 1013904223u;
        all[i] = (float)((int)(*seed >> 20) % 19 - 9);
    }
    return all;
}

/* Makes the products and computes their results with plain loops. */
static void prepare_products(void)
{
    unsigned seed = 1;
    for (int p = 0; p < PRODUCTS; p++) {
        int m = shapes[p][0], n = shapes[p][1], k = shapes[p][2];
        float *a = numbers(m * k, &seed), *b = numbers(k * n, &seed);
        float *exact = calloc(m * n, sizeof *exact);
        for (int i = 0; i < m; i++)
            for (int l = 0; l < k; l++)
                for (int j = 0; j < n; j++)
                    exact[i * n + j] += a[i * k + l] * b[l * n + j];
        products[p] = (struct product){m, n, k, a, b, exact};
    }
}

/* Computes product p anew into c, which has room for it; whether it is right. */
static int is_right_in(int p, float *c)
{
    const struct product *it = &products[p % PRODUCTS];
    int m = it->m, n = it->n, k = it->k;
    for (int i = 0; i < m * n; i++)
        c[i] = NAN;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m, n, k, 1.0f, it->a, k, it->b, n,
                0.0f, c, n);
    for (int i = 0; i < m * n; i++)
        if (c[i] != it->exact[i])
            return 0;
    return 1;
}

/* Room for the result of any product. */
#define LARGEST (257 * 256)

static inline int is_right(int p)
{
    float *c = malloc(LARGEST * sizeof *c);
    int right = c && is_right_in(p, c);
    free(c);
    return right;
}

#endif
