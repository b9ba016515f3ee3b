/* One product through both doors of BLAS: C's and Fortran's.
 *
 *     cc gemm.c -I DIR/include -L DIR/lib -lblas -o gemm
 *
 * with DIR as `cargo xtask stage DIR` leaves it. Small integers, so that every result is exact. */
#include <cblas.h>
#include <stdio.h>

enum { M = 70, N = 90, K = 110, LDA = K + 3, LDB = N + 5, LDC = N + 1 };

/* Not in cblas.h: Fortran takes everything by address, matrices by columns. */
void sgemm_(const char *transa, const char *transb, const int *m, const int *n, const int *k,
            const float *alpha, const float *a, const int *lda, const float *b, const int *ldb,
            const float *beta, float *c, const int *ldc);

static float a[M * LDA], b[K * LDB], c[M * LDC];

static float expected(int i, int j) {
    float sum = 0;
    for (int l = 0; l < K; l++)
        sum += a[i * LDA + l] * b[l * LDB + j];
    return 2 * sum - 1; /* alpha = 2, beta = -1, and C was all ones */
}

static void ones(void) {
    for (int i = 0; i < M * LDC; i++)
        c[i] = 1;
}

static int wrong(const char *name) {
    for (int i = 0; i < M; i++)
        for (int j = 0; j < LDC; j++) {
            float want = j < N ? expected(i, j) : 1; /* the padding must stay */
            if (c[i * LDC + j] != want) {
                printf("%s: C[%d][%d] is %g, not %g\n", name, i, j, c[i * LDC + j], want);
                return 1;
            }
        }
    printf("%s: all %d entries are right\n", name, M * N);
    return 0;
}

int main(void) {
    for (int i = 0; i < M * LDA; i++)
        a[i] = i % 13 - 6;
    for (int i = 0; i < K * LDB; i++)
        b[i] = i % 11 - 5;

    ones();
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, M, N, K, 2, a, LDA, b, LDB, -1, c, LDC);
    int bad = wrong("cblas_sgemm");

    /* By columns our arrays are the transposes, and C' = B'A'. */
    const int m = N, n = M, k = K, lda = LDB, ldb = LDA, ldc = LDC;
    const float alpha = 2, beta = -1;
    ones();
    sgemm_("N", "N", &m, &n, &k, &alpha, b, &lda, a, &ldb, &beta, c, &ldc);
    return wrong("sgemm_") || bad;
}
