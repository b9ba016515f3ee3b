/*
 * Calls gemm with what it reads from standard input, one call a line:
 *
 *     name layout transa transb m n k lda ldb ldc
 *
 * and prints what the program's error handlers were told, or "silent". Matrices are null but for
 * C, which must not change. With HANDLERS the program has the handlers of the reference BLAS,
 * with HANDLERS_64 also those of two 64-bit spellings.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cblas.h"

/* What the handlers were told, and how often. */
static char told[256];
static int times;

#if defined(HANDLERS) || defined(HANDLERS_64)
static void tell_fortran(const char *handler, const char *srname, int64_t info, size_t length) {
    times++;
    snprintf(told, sizeof told, "%s '%.*s' %d", handler, (int)length, srname, (int)info);
}

static void tell_cblas(const char *handler, int64_t info, const char *rout, int row_major,
    const char *form, va_list arguments) {
    char text[128];
    times++;
    vsnprintf(text, sizeof text, form, arguments);
    text[strcspn(text, "\n")] = 0;
    snprintf(told, sizeof told, "%s %s %d row_major=%d '%s'", handler, rout, (int)info, row_major,
        text);
}
#endif

#ifdef HANDLERS
int RowMajorStrg = 0;

void xerbla_(const char *srname, const int *info, size_t length);
void xerbla_(const char *srname, const int *info, size_t length) {
    tell_fortran("xerbla_", srname, *info, length);
}

void cblas_xerbla(int info, const char *rout, const char *form, ...) {
    va_list arguments;
    va_start(arguments, form);
    tell_cblas("cblas_xerbla", info, rout, RowMajorStrg, form, arguments);
    va_end(arguments);
}
#endif

#ifdef HANDLERS_64
void xerbla_64_(const char *srname, const int64_t *info, size_t length);
void xerbla_64_(const char *srname, const int64_t *info, size_t length) {
    tell_fortran("xerbla_64_", srname, *info, length);
}

void cblas_xerbla_64(int64_t info, const char *rout, const char *form, ...);
void cblas_xerbla_64(int64_t info, const char *rout, const char *form, ...) {
    va_list arguments;
    va_start(arguments, form);
    tell_cblas("cblas_xerbla_64", info, rout, -1, form, arguments);
    va_end(arguments);
}
#endif

typedef void fortran_gemm(const char *, const char *, const void *, const void *, const void *,
    const void *, const void *, const void *, const void *, const void *, const void *, void *,
    const void *);

/* m, n, k, lda, ldb, ldc. */
static void call_fortran(void *gemm, int wide, int transa, int transb, const int64_t *s, void *c) {
    const double one[2] = {1, 0};
    const char ta = (char)transa, tb = (char)transb;
    int32_t narrow[6];
    const void *p[6];
    for (int i = 0; i < 6; i++) {
        narrow[i] = (int32_t)s[i];
        p[i] = wide ? (const void *)&s[i] : (const void *)&narrow[i];
    }
    ((fortran_gemm *)gemm)(&ta, &tb, p[0], p[1], p[2], one, NULL, p[3], NULL, p[4], one, c, p[5]);
}

static void call_cblas(void *gemm, char letter, int wide, int layout, int transa, int transb,
    const int64_t *s, void *c) {
    const double one[2] = {1, 0};
    CBLAS_LAYOUT l = (CBLAS_LAYOUT)layout;
    CBLAS_TRANSPOSE ta = (CBLAS_TRANSPOSE)transa, tb = (CBLAS_TRANSPOSE)transb;
    int32_t m = (int32_t)s[0], n = (int32_t)s[1], k = (int32_t)s[2];
    int32_t lda = (int32_t)s[3], ldb = (int32_t)s[4], ldc = (int32_t)s[5];
    if (letter == 's' && wide)
        ((npublas_sgemm_ilp64 *)gemm)(
            l, ta, tb, s[0], s[1], s[2], 1, NULL, s[3], NULL, s[4], 1, c, s[5]);
    else if (letter == 's')
        ((npublas_sgemm_lp64 *)gemm)(l, ta, tb, m, n, k, 1, NULL, lda, NULL, ldb, 1, c, ldc);
    else if (letter == 'd' && wide)
        ((npublas_dgemm_ilp64 *)gemm)(
            l, ta, tb, s[0], s[1], s[2], 1, NULL, s[3], NULL, s[4], 1, c, s[5]);
    else if (letter == 'd')
        ((npublas_dgemm_lp64 *)gemm)(l, ta, tb, m, n, k, 1, NULL, lda, NULL, ldb, 1, c, ldc);
    else if (wide)
        ((npublas_zgemm_ilp64 *)gemm)(
            l, ta, tb, s[0], s[1], s[2], one, NULL, s[3], NULL, s[4], one, c, s[5]);
    else
        ((npublas_zgemm_lp64 *)gemm)(l, ta, tb, m, n, k, one, NULL, lda, NULL, ldb, one, c, ldc);
}

int main(void) {
    char name[64];
    int layout, transa, transb;
    int64_t s[6];
    unsigned char c[256], before[256];
    memset(before, 0x5a, sizeof before);
    while (scanf("%63s %d %d %d %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64
                 " %" SCNd64,
               name, &layout, &transa, &transb, &s[0], &s[1], &s[2], &s[3], &s[4], &s[5]) == 10) {
        void *gemm = dlsym(RTLD_DEFAULT, name);
        const int wide = strstr(name, "64") != NULL;
        if (!gemm) {
            printf("%s is missing\n", name);
            return 1;
        }
        memcpy(c, before, sizeof c);
        times = 0;
        strcpy(told, "silent");
        if (strstr(name, "cblas"))
            call_cblas(gemm, strstr(name, "gemm")[-1], wide, layout, transa, transb, s, c);
        else
            call_fortran(gemm, wide, transa, transb, s, c);
        if (times > 1 || memcmp(c, before, sizeof c))
            printf("%s: told %d times, or C has changed\n", name, times);
        else
            printf("%s\n", told);
    }
    return 0;
}
