/*
 * cblas.h: the C interface to the BLAS, Levels 1 to 3, source-compatible with the usual one.
 *
 * libblas.so.3 and the preload library libnpublas.so export the names that include/symbols.txt
 * lists; the other prototypes are for programs that find the rest in another BLAS.
 *
 * Integers are 32 bits wide. With CBLAS_API64 defined they have 64 bits and every name ends in
 * _64: cblas_sgemm_64.
 *
 * Complex vectors and matrices are pairs of real and imaginary part behind a pointer to void;
 * complex scalars are passed by address. A matrix stored in CblasRowMajor has its rows side by
 * side and lda elements from one to the next; in CblasColMajor, its columns.
 */
#ifndef CBLAS_H
#define CBLAS_H

#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifdef CBLAS_API64
#define CBLAS_NAME(name) name##_64
#ifndef CBLAS_INT
#define CBLAS_INT int64_t
#endif
#ifndef CBLAS_IFMT
#define CBLAS_IFMT PRId64
#endif
#else
#define CBLAS_NAME(name) name
#ifndef CBLAS_INT
#define CBLAS_INT int32_t
#endif
#ifndef CBLAS_IFMT
#define CBLAS_IFMT PRId32
#endif
#endif

/* What the i?amax functions return. */
#ifndef CBLAS_INDEX
#define CBLAS_INDEX size_t
#endif

typedef enum CBLAS_LAYOUT { CblasRowMajor = 101, CblasColMajor = 102 } CBLAS_LAYOUT;
typedef enum CBLAS_TRANSPOSE {
    CblasNoTrans = 111,
    CblasTrans = 112,
    CblasConjTrans = 113,
    /* Conjugated only, as OpenBLAS has it; the gemm functions of npublas take it. */
    CblasConjNoTrans = 114
} CBLAS_TRANSPOSE;
typedef enum CBLAS_UPLO { CblasUpper = 121, CblasLower = 122 } CBLAS_UPLO;
typedef enum CBLAS_DIAG { CblasNonUnit = 131, CblasUnit = 132 } CBLAS_DIAG;
typedef enum CBLAS_SIDE { CblasLeft = 141, CblasRight = 142 } CBLAS_SIDE;

/* The older name; a macro, so that `enum CBLAS_ORDER` compiles too. */
#define CBLAS_ORDER CBLAS_LAYOUT

/*
 * Called with the position of an illegal argument; a program may define it. npublas calls the one
 * it finds among the symbols of the process.
 */
void CBLAS_NAME(cblas_xerbla)(CBLAS_INT info, const char *rout, const char *form, ...);

/*
 * Level 1: vectors of n elements, incx elements apart.
 */

/* Dot products. sdsdot and dsdot sum in double precision; sdsdot adds alpha. */
float CBLAS_NAME(cblas_sdsdot)(CBLAS_INT n, float alpha, const float *x, CBLAS_INT incx,
    const float *y, CBLAS_INT incy);
double CBLAS_NAME(cblas_dsdot)(CBLAS_INT n, const float *x, CBLAS_INT incx, const float *y,
    CBLAS_INT incy);
float CBLAS_NAME(cblas_sdot)(CBLAS_INT n, const float *x, CBLAS_INT incx, const float *y,
    CBLAS_INT incy);
double CBLAS_NAME(cblas_ddot)(CBLAS_INT n, const double *x, CBLAS_INT incx, const double *y,
    CBLAS_INT incy);

/* Complex dot products, stored in *dot: u as they are, c with x conjugated. */
void CBLAS_NAME(cblas_cdotu_sub)(CBLAS_INT n, const void *x, CBLAS_INT incx, const void *y,
    CBLAS_INT incy, void *dot);
void CBLAS_NAME(cblas_cdotc_sub)(CBLAS_INT n, const void *x, CBLAS_INT incx, const void *y,
    CBLAS_INT incy, void *dot);
void CBLAS_NAME(cblas_zdotu_sub)(CBLAS_INT n, const void *x, CBLAS_INT incx, const void *y,
    CBLAS_INT incy, void *dot);
void CBLAS_NAME(cblas_zdotc_sub)(CBLAS_INT n, const void *x, CBLAS_INT incx, const void *y,
    CBLAS_INT incy, void *dot);

/* Euclidean norm. */
float CBLAS_NAME(cblas_snrm2)(CBLAS_INT n, const float *x, CBLAS_INT incx);
double CBLAS_NAME(cblas_dnrm2)(CBLAS_INT n, const double *x, CBLAS_INT incx);
float CBLAS_NAME(cblas_scnrm2)(CBLAS_INT n, const void *x, CBLAS_INT incx);
double CBLAS_NAME(cblas_dznrm2)(CBLAS_INT n, const void *x, CBLAS_INT incx);

/* Sum of |re| + |im|. */
float CBLAS_NAME(cblas_sasum)(CBLAS_INT n, const float *x, CBLAS_INT incx);
double CBLAS_NAME(cblas_dasum)(CBLAS_INT n, const double *x, CBLAS_INT incx);
float CBLAS_NAME(cblas_scasum)(CBLAS_INT n, const void *x, CBLAS_INT incx);
double CBLAS_NAME(cblas_dzasum)(CBLAS_INT n, const void *x, CBLAS_INT incx);

/* Index, from 0, of the first element with the largest |re| + |im|. */
CBLAS_INDEX CBLAS_NAME(cblas_isamax)(CBLAS_INT n, const float *x, CBLAS_INT incx);
CBLAS_INDEX CBLAS_NAME(cblas_idamax)(CBLAS_INT n, const double *x, CBLAS_INT incx);
CBLAS_INDEX CBLAS_NAME(cblas_icamax)(CBLAS_INT n, const void *x, CBLAS_INT incx);
CBLAS_INDEX CBLAS_NAME(cblas_izamax)(CBLAS_INT n, const void *x, CBLAS_INT incx);

/* x and y change places. */
void CBLAS_NAME(cblas_sswap)(CBLAS_INT n, float *x, CBLAS_INT incx, float *y, CBLAS_INT incy);
void CBLAS_NAME(cblas_dswap)(CBLAS_INT n, double *x, CBLAS_INT incx, double *y, CBLAS_INT incy);
void CBLAS_NAME(cblas_cswap)(CBLAS_INT n, void *x, CBLAS_INT incx, void *y, CBLAS_INT incy);
void CBLAS_NAME(cblas_zswap)(CBLAS_INT n, void *x, CBLAS_INT incx, void *y, CBLAS_INT incy);

/* y := x */
void CBLAS_NAME(cblas_scopy)(CBLAS_INT n, const float *x, CBLAS_INT incx, float *y,
    CBLAS_INT incy);
void CBLAS_NAME(cblas_dcopy)(CBLAS_INT n, const double *x, CBLAS_INT incx, double *y,
    CBLAS_INT incy);
void CBLAS_NAME(cblas_ccopy)(CBLAS_INT n, const void *x, CBLAS_INT incx, void *y,
    CBLAS_INT incy);
void CBLAS_NAME(cblas_zcopy)(CBLAS_INT n, const void *x, CBLAS_INT incx, void *y,
    CBLAS_INT incy);

/* y := alpha x + y */
void CBLAS_NAME(cblas_saxpy)(CBLAS_INT n, float alpha, const float *x, CBLAS_INT incx,
    float *y, CBLAS_INT incy);
void CBLAS_NAME(cblas_daxpy)(CBLAS_INT n, double alpha, const double *x, CBLAS_INT incx,
    double *y, CBLAS_INT incy);
void CBLAS_NAME(cblas_caxpy)(CBLAS_INT n, const void *alpha, const void *x, CBLAS_INT incx,
    void *y, CBLAS_INT incy);
void CBLAS_NAME(cblas_zaxpy)(CBLAS_INT n, const void *alpha, const void *x, CBLAS_INT incx,
    void *y, CBLAS_INT incy);

/* x := alpha x */
void CBLAS_NAME(cblas_sscal)(CBLAS_INT n, float alpha, float *x, CBLAS_INT incx);
void CBLAS_NAME(cblas_dscal)(CBLAS_INT n, double alpha, double *x, CBLAS_INT incx);
void CBLAS_NAME(cblas_cscal)(CBLAS_INT n, const void *alpha, void *x, CBLAS_INT incx);
void CBLAS_NAME(cblas_zscal)(CBLAS_INT n, const void *alpha, void *x, CBLAS_INT incx);
void CBLAS_NAME(cblas_csscal)(CBLAS_INT n, float alpha, void *x, CBLAS_INT incx);
void CBLAS_NAME(cblas_zdscal)(CBLAS_INT n, double alpha, void *x, CBLAS_INT incx);

/* Givens rotations, plain and modified. */
void CBLAS_NAME(cblas_srotg)(float *a, float *b, float *c, float *s);
void CBLAS_NAME(cblas_drotg)(double *a, double *b, double *c, double *s);
void CBLAS_NAME(cblas_crotg)(void *a, void *b, float *c, void *s);
void CBLAS_NAME(cblas_zrotg)(void *a, void *b, double *c, void *s);
void CBLAS_NAME(cblas_srotmg)(float *d1, float *d2, float *b1, float b2, float *p);
void CBLAS_NAME(cblas_drotmg)(double *d1, double *d2, double *b1, double b2, double *p);
void CBLAS_NAME(cblas_srot)(CBLAS_INT n, float *x, CBLAS_INT incx, float *y, CBLAS_INT incy,
    float c, float s);
void CBLAS_NAME(cblas_drot)(CBLAS_INT n, double *x, CBLAS_INT incx, double *y, CBLAS_INT incy,
    double c, double s);
void CBLAS_NAME(cblas_csrot)(CBLAS_INT n, void *x, CBLAS_INT incx, void *y, CBLAS_INT incy,
    float c, float s);
void CBLAS_NAME(cblas_zdrot)(CBLAS_INT n, void *x, CBLAS_INT incx, void *y, CBLAS_INT incy,
    double c, double s);
void CBLAS_NAME(cblas_srotm)(CBLAS_INT n, float *x, CBLAS_INT incx, float *y, CBLAS_INT incy,
    const float *p);
void CBLAS_NAME(cblas_drotm)(CBLAS_INT n, double *x, CBLAS_INT incx, double *y, CBLAS_INT incy,
    const double *p);

/* |re| + |im| of one number. */
float CBLAS_NAME(cblas_scabs1)(const void *z);
double CBLAS_NAME(cblas_dcabs1)(const void *z);

/*
 * Level 2: a matrix and vectors.
 */

/* y := alpha op(A) x + beta y, A of m x n, full or with kl sub- and ku superdiagonals. */
void CBLAS_NAME(cblas_sgemv)(CBLAS_LAYOUT layout, CBLAS_TRANSPOSE trans, CBLAS_INT m,
    CBLAS_INT n, float alpha, const float *a, CBLAS_INT lda, const float *x, CBLAS_INT incx,
    float beta, float *y, CBLAS_INT incy);
void CBLAS_NAME(cblas_dgemv)(CBLAS_LAYOUT layout, CBLAS_TRANSPOSE trans, CBLAS_INT m,
    CBLAS_INT n, double alpha, const double *a, CBLAS_INT lda, const double *x, CBLAS_INT incx,
    double beta, double *y, CBLAS_INT incy);
void CBLAS_NAME(cblas_cgemv)(CBLAS_LAYOUT layout, CBLAS_TRANSPOSE trans, CBLAS_INT m,
    CBLAS_INT n, const void *alpha, const void *a, CBLAS_INT lda, const void *x,
    CBLAS_INT incx, const void *beta, void *y, CBLAS_INT incy);
void CBLAS_NAME(cblas_zgemv)(CBLAS_LAYOUT layout, CBLAS_TRANSPOSE trans, CBLAS_INT m,
    CBLAS_INT n, const void *alpha, const void *a, CBLAS_INT lda, const void *x,
    CBLAS_INT incx, const void *beta, void *y, CBLAS_INT incy);
void CBLAS_NAME(cblas_sgbmv)(CBLAS_LAYOUT layout, CBLAS_TRANSPOSE trans, CBLAS_INT m,
    CBLAS_INT n, CBLAS_INT kl, CBLAS_INT ku, float alpha, const float *a, CBLAS_INT lda,
    const float *x, CBLAS_INT incx, float beta, float *y, CBLAS_INT incy);
void CBLAS_NAME(cblas_dgbmv)(CBLAS_LAYOUT layout, CBLAS_TRANSPOSE trans, CBLAS_INT m,
    CBLAS_INT n, CBLAS_INT kl, CBLAS_INT ku, double alpha, const double *a, CBLAS_INT lda,
    const double *x, CBLAS_INT incx, double beta, double *y, CBLAS_INT incy);
void CBLAS_NAME(cblas_cgbmv)(CBLAS_LAYOUT layout, CBLAS_TRANSPOSE trans, CBLAS_INT m,
    CBLAS_INT n, CBLAS_INT kl, CBLAS_INT ku, const void *alpha, const void *a, CBLAS_INT lda,
    const void *x, CBLAS_INT incx, const void *beta, void *y, CBLAS_INT incy);
void CBLAS_NAME(cblas_zgbmv)(CBLAS_LAYOUT layout, CBLAS_TRANSPOSE trans, CBLAS_INT m,
    CBLAS_INT n, CBLAS_INT kl, CBLAS_INT ku, const void *alpha, const void *a, CBLAS_INT lda,
    const void *x, CBLAS_INT incx, const void *beta, void *y, CBLAS_INT incy);

/* x := op(A) x, A triangular: full, with k off-diagonals, packed. */
void CBLAS_NAME(cblas_strmv)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_TRANSPOSE trans,
    CBLAS_DIAG diag, CBLAS_INT n, const float *a, CBLAS_INT lda, float *x, CBLAS_INT incx);
void CBLAS_NAME(cblas_dtrmv)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_TRANSPOSE trans,
    CBLAS_DIAG diag, CBLAS_INT n, const double *a, CBLAS_INT lda, double *x, CBLAS_INT incx);
void CBLAS_NAME(cblas_ctrmv)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_TRANSPOSE trans,
    CBLAS_DIAG diag, CBLAS_INT n, const void *a, CBLAS_INT lda, void *x, CBLAS_INT incx);
void CBLAS_NAME(cblas_ztrmv)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_TRANSPOSE trans,
    CBLAS_DIAG diag, CBLAS_INT n, const void *a, CBLAS_INT lda, void *x, CBLAS_INT incx);
void CBLAS_NAME(cblas_stbmv)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_TRANSPOSE trans,
    CBLAS_DIAG diag, CBLAS_INT n, CBLAS_INT k, const float *a, CBLAS_INT lda, float *x,
    CBLAS_INT incx);
void CBLAS_NAME(cblas_dtbmv)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_TRANSPOSE trans,
    CBLAS_DIAG diag, CBLAS_INT n, CBLAS_INT k, const double *a, CBLAS_INT lda, double *x,
    CBLAS_INT incx);
void CBLAS_NAME(cblas_ctbmv)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_TRANSPOSE trans,
    CBLAS_DIAG diag, CBLAS_INT n, CBLAS_INT k, const void *a, CBLAS_INT lda, void *x,
    CBLAS_INT incx);
void CBLAS_NAME(cblas_ztbmv)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_TRANSPOSE trans,
    CBLAS_DIAG diag, CBLAS_INT n, CBLAS_INT k, const void *a, CBLAS_INT lda, void *x,
    CBLAS_INT incx);
void CBLAS_NAME(cblas_stpmv)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_TRANSPOSE trans,
    CBLAS_DIAG diag, CBLAS_INT n, const float *ap, float *x, CBLAS_INT incx);
void CBLAS_NAME(cblas_dtpmv)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_TRANSPOSE trans,
    CBLAS_DIAG diag, CBLAS_INT n, const double *ap, double *x, CBLAS_INT incx);
void CBLAS_NAME(cblas_ctpmv)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_TRANSPOSE trans,
    CBLAS_DIAG diag, CBLAS_INT n, const void *ap, void *x, CBLAS_INT incx);
void CBLAS_NAME(cblas_ztpmv)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_TRANSPOSE trans,
    CBLAS_DIAG diag, CBLAS_INT n, const void *ap, void *x, CBLAS_INT incx);

/* x := op(A)^-1 x, A triangular: full, with k off-diagonals, packed. */
void CBLAS_NAME(cblas_strsv)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_TRANSPOSE trans,
    CBLAS_DIAG diag, CBLAS_INT n, const float *a, CBLAS_INT lda, float *x, CBLAS_INT incx);
void CBLAS_NAME(cblas_dtrsv)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_TRANSPOSE trans,
    CBLAS_DIAG diag, CBLAS_INT n, const double *a, CBLAS_INT lda, double *x, CBLAS_INT incx);
void CBLAS_NAME(cblas_ctrsv)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_TRANSPOSE trans,
    CBLAS_DIAG diag, CBLAS_INT n, const void *a, CBLAS_INT lda, void *x, CBLAS_INT incx);
void CBLAS_NAME(cblas_ztrsv)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_TRANSPOSE trans,
    CBLAS_DIAG diag, CBLAS_INT n, const void *a, CBLAS_INT lda, void *x, CBLAS_INT incx);
void CBLAS_NAME(cblas_stbsv)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_TRANSPOSE trans,
    CBLAS_DIAG diag, CBLAS_INT n, CBLAS_INT k, const float *a, CBLAS_INT lda, float *x,
    CBLAS_INT incx);
void CBLAS_NAME(cblas_dtbsv)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_TRANSPOSE trans,
    CBLAS_DIAG diag, CBLAS_INT n, CBLAS_INT k, const double *a, CBLAS_INT lda, double *x,
    CBLAS_INT incx);
void CBLAS_NAME(cblas_ctbsv)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_TRANSPOSE trans,
    CBLAS_DIAG diag, CBLAS_INT n, CBLAS_INT k, const void *a, CBLAS_INT lda, void *x,
    CBLAS_INT incx);
void CBLAS_NAME(cblas_ztbsv)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_TRANSPOSE trans,
    CBLAS_DIAG diag, CBLAS_INT n, CBLAS_INT k, const void *a, CBLAS_INT lda, void *x,
    CBLAS_INT incx);
void CBLAS_NAME(cblas_stpsv)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_TRANSPOSE trans,
    CBLAS_DIAG diag, CBLAS_INT n, const float *ap, float *x, CBLAS_INT incx);
void CBLAS_NAME(cblas_dtpsv)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_TRANSPOSE trans,
    CBLAS_DIAG diag, CBLAS_INT n, const double *ap, double *x, CBLAS_INT incx);
void CBLAS_NAME(cblas_ctpsv)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_TRANSPOSE trans,
    CBLAS_DIAG diag, CBLAS_INT n, const void *ap, void *x, CBLAS_INT incx);
void CBLAS_NAME(cblas_ztpsv)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_TRANSPOSE trans,
    CBLAS_DIAG diag, CBLAS_INT n, const void *ap, void *x, CBLAS_INT incx);

/* y := alpha A x + beta y, A symmetric or Hermitian: full, with k off-diagonals, packed. */
void CBLAS_NAME(cblas_ssymv)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_INT n, float alpha,
    const float *a, CBLAS_INT lda, const float *x, CBLAS_INT incx, float beta, float *y,
    CBLAS_INT incy);
void CBLAS_NAME(cblas_dsymv)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_INT n, double alpha,
    const double *a, CBLAS_INT lda, const double *x, CBLAS_INT incx, double beta, double *y,
    CBLAS_INT incy);
void CBLAS_NAME(cblas_ssbmv)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_INT n, CBLAS_INT k,
    float alpha, const float *a, CBLAS_INT lda, const float *x, CBLAS_INT incx, float beta,
    float *y, CBLAS_INT incy);
void CBLAS_NAME(cblas_dsbmv)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_INT n, CBLAS_INT k,
    double alpha, const double *a, CBLAS_INT lda, const double *x, CBLAS_INT incx, double beta,
    double *y, CBLAS_INT incy);
void CBLAS_NAME(cblas_sspmv)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_INT n, float alpha,
    const float *ap, const float *x, CBLAS_INT incx, float beta, float *y, CBLAS_INT incy);
void CBLAS_NAME(cblas_dspmv)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_INT n, double alpha,
    const double *ap, const double *x, CBLAS_INT incx, double beta, double *y, CBLAS_INT incy);
void CBLAS_NAME(cblas_chemv)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_INT n,
    const void *alpha, const void *a, CBLAS_INT lda, const void *x, CBLAS_INT incx,
    const void *beta, void *y, CBLAS_INT incy);
void CBLAS_NAME(cblas_zhemv)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_INT n,
    const void *alpha, const void *a, CBLAS_INT lda, const void *x, CBLAS_INT incx,
    const void *beta, void *y, CBLAS_INT incy);
void CBLAS_NAME(cblas_chbmv)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_INT n, CBLAS_INT k,
    const void *alpha, const void *a, CBLAS_INT lda, const void *x, CBLAS_INT incx,
    const void *beta, void *y, CBLAS_INT incy);
void CBLAS_NAME(cblas_zhbmv)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_INT n, CBLAS_INT k,
    const void *alpha, const void *a, CBLAS_INT lda, const void *x, CBLAS_INT incx,
    const void *beta, void *y, CBLAS_INT incy);
void CBLAS_NAME(cblas_chpmv)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_INT n,
    const void *alpha, const void *ap, const void *x, CBLAS_INT incx, const void *beta,
    void *y, CBLAS_INT incy);
void CBLAS_NAME(cblas_zhpmv)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_INT n,
    const void *alpha, const void *ap, const void *x, CBLAS_INT incx, const void *beta,
    void *y, CBLAS_INT incy);

/* A := alpha x y^T + A; c: y conjugated. */
void CBLAS_NAME(cblas_sger)(CBLAS_LAYOUT layout, CBLAS_INT m, CBLAS_INT n, float alpha,
    const float *x, CBLAS_INT incx, const float *y, CBLAS_INT incy, float *a, CBLAS_INT lda);
void CBLAS_NAME(cblas_dger)(CBLAS_LAYOUT layout, CBLAS_INT m, CBLAS_INT n, double alpha,
    const double *x, CBLAS_INT incx, const double *y, CBLAS_INT incy, double *a,
    CBLAS_INT lda);
void CBLAS_NAME(cblas_cgeru)(CBLAS_LAYOUT layout, CBLAS_INT m, CBLAS_INT n, const void *alpha,
    const void *x, CBLAS_INT incx, const void *y, CBLAS_INT incy, void *a, CBLAS_INT lda);
void CBLAS_NAME(cblas_cgerc)(CBLAS_LAYOUT layout, CBLAS_INT m, CBLAS_INT n, const void *alpha,
    const void *x, CBLAS_INT incx, const void *y, CBLAS_INT incy, void *a, CBLAS_INT lda);
void CBLAS_NAME(cblas_zgeru)(CBLAS_LAYOUT layout, CBLAS_INT m, CBLAS_INT n, const void *alpha,
    const void *x, CBLAS_INT incx, const void *y, CBLAS_INT incy, void *a, CBLAS_INT lda);
void CBLAS_NAME(cblas_zgerc)(CBLAS_LAYOUT layout, CBLAS_INT m, CBLAS_INT n, const void *alpha,
    const void *x, CBLAS_INT incx, const void *y, CBLAS_INT incy, void *a, CBLAS_INT lda);

/* A := alpha x x^T + A, or with the conjugate transpose; full, packed. */
void CBLAS_NAME(cblas_ssyr)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_INT n, float alpha,
    const float *x, CBLAS_INT incx, float *a, CBLAS_INT lda);
void CBLAS_NAME(cblas_dsyr)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_INT n, double alpha,
    const double *x, CBLAS_INT incx, double *a, CBLAS_INT lda);
void CBLAS_NAME(cblas_sspr)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_INT n, float alpha,
    const float *x, CBLAS_INT incx, float *ap);
void CBLAS_NAME(cblas_dspr)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_INT n, double alpha,
    const double *x, CBLAS_INT incx, double *ap);
void CBLAS_NAME(cblas_cher)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_INT n, float alpha,
    const void *x, CBLAS_INT incx, void *a, CBLAS_INT lda);
void CBLAS_NAME(cblas_zher)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_INT n, double alpha,
    const void *x, CBLAS_INT incx, void *a, CBLAS_INT lda);
void CBLAS_NAME(cblas_chpr)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_INT n, float alpha,
    const void *x, CBLAS_INT incx, void *ap);
void CBLAS_NAME(cblas_zhpr)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_INT n, double alpha,
    const void *x, CBLAS_INT incx, void *ap);

/* A := alpha x y^T + alpha y x^T + A, or with conjugate transposes; full, packed. */
void CBLAS_NAME(cblas_ssyr2)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_INT n, float alpha,
    const float *x, CBLAS_INT incx, const float *y, CBLAS_INT incy, float *a, CBLAS_INT lda);
void CBLAS_NAME(cblas_dsyr2)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_INT n, double alpha,
    const double *x, CBLAS_INT incx, const double *y, CBLAS_INT incy, double *a,
    CBLAS_INT lda);
void CBLAS_NAME(cblas_sspr2)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_INT n, float alpha,
    const float *x, CBLAS_INT incx, const float *y, CBLAS_INT incy, float *ap);
void CBLAS_NAME(cblas_dspr2)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_INT n, double alpha,
    const double *x, CBLAS_INT incx, const double *y, CBLAS_INT incy, double *ap);
void CBLAS_NAME(cblas_cher2)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_INT n,
    const void *alpha, const void *x, CBLAS_INT incx, const void *y, CBLAS_INT incy, void *a,
    CBLAS_INT lda);
void CBLAS_NAME(cblas_zher2)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_INT n,
    const void *alpha, const void *x, CBLAS_INT incx, const void *y, CBLAS_INT incy, void *a,
    CBLAS_INT lda);
void CBLAS_NAME(cblas_chpr2)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_INT n,
    const void *alpha, const void *x, CBLAS_INT incx, const void *y, CBLAS_INT incy, void *ap);
void CBLAS_NAME(cblas_zhpr2)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_INT n,
    const void *alpha, const void *x, CBLAS_INT incx, const void *y, CBLAS_INT incy, void *ap);

/*
 * Level 3: matrices.
 */

/* C := alpha op(A) op(B) + beta C, C of m x n; gemmtr: one triangle of a square C. */
void CBLAS_NAME(cblas_sgemm)(CBLAS_LAYOUT layout, CBLAS_TRANSPOSE transa,
    CBLAS_TRANSPOSE transb, CBLAS_INT m, CBLAS_INT n, CBLAS_INT k, float alpha, const float *a,
    CBLAS_INT lda, const float *b, CBLAS_INT ldb, float beta, float *c, CBLAS_INT ldc);
void CBLAS_NAME(cblas_dgemm)(CBLAS_LAYOUT layout, CBLAS_TRANSPOSE transa,
    CBLAS_TRANSPOSE transb, CBLAS_INT m, CBLAS_INT n, CBLAS_INT k, double alpha,
    const double *a, CBLAS_INT lda, const double *b, CBLAS_INT ldb, double beta, double *c,
    CBLAS_INT ldc);
void CBLAS_NAME(cblas_cgemm)(CBLAS_LAYOUT layout, CBLAS_TRANSPOSE transa,
    CBLAS_TRANSPOSE transb, CBLAS_INT m, CBLAS_INT n, CBLAS_INT k, const void *alpha,
    const void *a, CBLAS_INT lda, const void *b, CBLAS_INT ldb, const void *beta, void *c,
    CBLAS_INT ldc);
void CBLAS_NAME(cblas_zgemm)(CBLAS_LAYOUT layout, CBLAS_TRANSPOSE transa,
    CBLAS_TRANSPOSE transb, CBLAS_INT m, CBLAS_INT n, CBLAS_INT k, const void *alpha,
    const void *a, CBLAS_INT lda, const void *b, CBLAS_INT ldb, const void *beta, void *c,
    CBLAS_INT ldc);
void CBLAS_NAME(cblas_sgemmtr)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_TRANSPOSE transa,
    CBLAS_TRANSPOSE transb, CBLAS_INT n, CBLAS_INT k, float alpha, const float *a,
    CBLAS_INT lda, const float *b, CBLAS_INT ldb, float beta, float *c, CBLAS_INT ldc);
void CBLAS_NAME(cblas_dgemmtr)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_TRANSPOSE transa,
    CBLAS_TRANSPOSE transb, CBLAS_INT n, CBLAS_INT k, double alpha, const double *a,
    CBLAS_INT lda, const double *b, CBLAS_INT ldb, double beta, double *c, CBLAS_INT ldc);
void CBLAS_NAME(cblas_cgemmtr)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_TRANSPOSE transa,
    CBLAS_TRANSPOSE transb, CBLAS_INT n, CBLAS_INT k, const void *alpha, const void *a,
    CBLAS_INT lda, const void *b, CBLAS_INT ldb, const void *beta, void *c, CBLAS_INT ldc);
void CBLAS_NAME(cblas_zgemmtr)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_TRANSPOSE transa,
    CBLAS_TRANSPOSE transb, CBLAS_INT n, CBLAS_INT k, const void *alpha, const void *a,
    CBLAS_INT lda, const void *b, CBLAS_INT ldb, const void *beta, void *c, CBLAS_INT ldc);

/* C := alpha A B + beta C or alpha B A + beta C, A symmetric or Hermitian. */
void CBLAS_NAME(cblas_ssymm)(CBLAS_LAYOUT layout, CBLAS_SIDE side, CBLAS_UPLO uplo,
    CBLAS_INT m, CBLAS_INT n, float alpha, const float *a, CBLAS_INT lda, const float *b,
    CBLAS_INT ldb, float beta, float *c, CBLAS_INT ldc);
void CBLAS_NAME(cblas_dsymm)(CBLAS_LAYOUT layout, CBLAS_SIDE side, CBLAS_UPLO uplo,
    CBLAS_INT m, CBLAS_INT n, double alpha, const double *a, CBLAS_INT lda, const double *b,
    CBLAS_INT ldb, double beta, double *c, CBLAS_INT ldc);
void CBLAS_NAME(cblas_csymm)(CBLAS_LAYOUT layout, CBLAS_SIDE side, CBLAS_UPLO uplo,
    CBLAS_INT m, CBLAS_INT n, const void *alpha, const void *a, CBLAS_INT lda, const void *b,
    CBLAS_INT ldb, const void *beta, void *c, CBLAS_INT ldc);
void CBLAS_NAME(cblas_zsymm)(CBLAS_LAYOUT layout, CBLAS_SIDE side, CBLAS_UPLO uplo,
    CBLAS_INT m, CBLAS_INT n, const void *alpha, const void *a, CBLAS_INT lda, const void *b,
    CBLAS_INT ldb, const void *beta, void *c, CBLAS_INT ldc);
void CBLAS_NAME(cblas_chemm)(CBLAS_LAYOUT layout, CBLAS_SIDE side, CBLAS_UPLO uplo,
    CBLAS_INT m, CBLAS_INT n, const void *alpha, const void *a, CBLAS_INT lda, const void *b,
    CBLAS_INT ldb, const void *beta, void *c, CBLAS_INT ldc);
void CBLAS_NAME(cblas_zhemm)(CBLAS_LAYOUT layout, CBLAS_SIDE side, CBLAS_UPLO uplo,
    CBLAS_INT m, CBLAS_INT n, const void *alpha, const void *a, CBLAS_INT lda, const void *b,
    CBLAS_INT ldb, const void *beta, void *c, CBLAS_INT ldc);

/* C := alpha A A^T + beta C or alpha A^T A + beta C; herk: with the conjugate transpose. */
void CBLAS_NAME(cblas_ssyrk)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_TRANSPOSE trans,
    CBLAS_INT n, CBLAS_INT k, float alpha, const float *a, CBLAS_INT lda, float beta, float *c,
    CBLAS_INT ldc);
void CBLAS_NAME(cblas_dsyrk)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_TRANSPOSE trans,
    CBLAS_INT n, CBLAS_INT k, double alpha, const double *a, CBLAS_INT lda, double beta,
    double *c, CBLAS_INT ldc);
void CBLAS_NAME(cblas_csyrk)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_TRANSPOSE trans,
    CBLAS_INT n, CBLAS_INT k, const void *alpha, const void *a, CBLAS_INT lda,
    const void *beta, void *c, CBLAS_INT ldc);
void CBLAS_NAME(cblas_zsyrk)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_TRANSPOSE trans,
    CBLAS_INT n, CBLAS_INT k, const void *alpha, const void *a, CBLAS_INT lda,
    const void *beta, void *c, CBLAS_INT ldc);
void CBLAS_NAME(cblas_cherk)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_TRANSPOSE trans,
    CBLAS_INT n, CBLAS_INT k, float alpha, const void *a, CBLAS_INT lda, float beta, void *c,
    CBLAS_INT ldc);
void CBLAS_NAME(cblas_zherk)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_TRANSPOSE trans,
    CBLAS_INT n, CBLAS_INT k, double alpha, const void *a, CBLAS_INT lda, double beta, void *c,
    CBLAS_INT ldc);

/* C := alpha A B^T + alpha B A^T + beta C and its like; her2k: with conjugate transposes. */
void CBLAS_NAME(cblas_ssyr2k)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_TRANSPOSE trans,
    CBLAS_INT n, CBLAS_INT k, float alpha, const float *a, CBLAS_INT lda, const float *b,
    CBLAS_INT ldb, float beta, float *c, CBLAS_INT ldc);
void CBLAS_NAME(cblas_dsyr2k)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_TRANSPOSE trans,
    CBLAS_INT n, CBLAS_INT k, double alpha, const double *a, CBLAS_INT lda, const double *b,
    CBLAS_INT ldb, double beta, double *c, CBLAS_INT ldc);
void CBLAS_NAME(cblas_csyr2k)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_TRANSPOSE trans,
    CBLAS_INT n, CBLAS_INT k, const void *alpha, const void *a, CBLAS_INT lda, const void *b,
    CBLAS_INT ldb, const void *beta, void *c, CBLAS_INT ldc);
void CBLAS_NAME(cblas_zsyr2k)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_TRANSPOSE trans,
    CBLAS_INT n, CBLAS_INT k, const void *alpha, const void *a, CBLAS_INT lda, const void *b,
    CBLAS_INT ldb, const void *beta, void *c, CBLAS_INT ldc);
void CBLAS_NAME(cblas_cher2k)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_TRANSPOSE trans,
    CBLAS_INT n, CBLAS_INT k, const void *alpha, const void *a, CBLAS_INT lda, const void *b,
    CBLAS_INT ldb, float beta, void *c, CBLAS_INT ldc);
void CBLAS_NAME(cblas_zher2k)(CBLAS_LAYOUT layout, CBLAS_UPLO uplo, CBLAS_TRANSPOSE trans,
    CBLAS_INT n, CBLAS_INT k, const void *alpha, const void *a, CBLAS_INT lda, const void *b,
    CBLAS_INT ldb, double beta, void *c, CBLAS_INT ldc);

/* B := alpha op(A) B or alpha B op(A), A triangular. */
void CBLAS_NAME(cblas_strmm)(CBLAS_LAYOUT layout, CBLAS_SIDE side, CBLAS_UPLO uplo,
    CBLAS_TRANSPOSE transa, CBLAS_DIAG diag, CBLAS_INT m, CBLAS_INT n, float alpha,
    const float *a, CBLAS_INT lda, float *b, CBLAS_INT ldb);
void CBLAS_NAME(cblas_dtrmm)(CBLAS_LAYOUT layout, CBLAS_SIDE side, CBLAS_UPLO uplo,
    CBLAS_TRANSPOSE transa, CBLAS_DIAG diag, CBLAS_INT m, CBLAS_INT n, double alpha,
    const double *a, CBLAS_INT lda, double *b, CBLAS_INT ldb);
void CBLAS_NAME(cblas_ctrmm)(CBLAS_LAYOUT layout, CBLAS_SIDE side, CBLAS_UPLO uplo,
    CBLAS_TRANSPOSE transa, CBLAS_DIAG diag, CBLAS_INT m, CBLAS_INT n, const void *alpha,
    const void *a, CBLAS_INT lda, void *b, CBLAS_INT ldb);
void CBLAS_NAME(cblas_ztrmm)(CBLAS_LAYOUT layout, CBLAS_SIDE side, CBLAS_UPLO uplo,
    CBLAS_TRANSPOSE transa, CBLAS_DIAG diag, CBLAS_INT m, CBLAS_INT n, const void *alpha,
    const void *a, CBLAS_INT lda, void *b, CBLAS_INT ldb);

/* B := alpha op(A)^-1 B or alpha B op(A)^-1, A triangular. */
void CBLAS_NAME(cblas_strsm)(CBLAS_LAYOUT layout, CBLAS_SIDE side, CBLAS_UPLO uplo,
    CBLAS_TRANSPOSE transa, CBLAS_DIAG diag, CBLAS_INT m, CBLAS_INT n, float alpha,
    const float *a, CBLAS_INT lda, float *b, CBLAS_INT ldb);
void CBLAS_NAME(cblas_dtrsm)(CBLAS_LAYOUT layout, CBLAS_SIDE side, CBLAS_UPLO uplo,
    CBLAS_TRANSPOSE transa, CBLAS_DIAG diag, CBLAS_INT m, CBLAS_INT n, double alpha,
    const double *a, CBLAS_INT lda, double *b, CBLAS_INT ldb);
void CBLAS_NAME(cblas_ctrsm)(CBLAS_LAYOUT layout, CBLAS_SIDE side, CBLAS_UPLO uplo,
    CBLAS_TRANSPOSE transa, CBLAS_DIAG diag, CBLAS_INT m, CBLAS_INT n, const void *alpha,
    const void *a, CBLAS_INT lda, void *b, CBLAS_INT ldb);
void CBLAS_NAME(cblas_ztrsm)(CBLAS_LAYOUT layout, CBLAS_SIDE side, CBLAS_UPLO uplo,
    CBLAS_TRANSPOSE transa, CBLAS_DIAG diag, CBLAS_INT m, CBLAS_INT n, const void *alpha,
    const void *a, CBLAS_INT lda, void *b, CBLAS_INT ldb);

/*
 * The spellings of gemm that npublas exports beside those above: 64-bit integers without
 * CBLAS_API64, and the names that the NumPy and SciPy wheels bind. The s and d functions are
 * of the types below; c and z share one, because their elements hide behind void.
 */
typedef void npublas_sgemm_lp64(CBLAS_LAYOUT layout, CBLAS_TRANSPOSE transa,
    CBLAS_TRANSPOSE transb, int32_t m, int32_t n, int32_t k, float alpha,
    const float *a, int32_t lda, const float *b, int32_t ldb, float beta, float *c,
    int32_t ldc);
typedef void npublas_sgemm_ilp64(CBLAS_LAYOUT layout, CBLAS_TRANSPOSE transa,
    CBLAS_TRANSPOSE transb, int64_t m, int64_t n, int64_t k, float alpha,
    const float *a, int64_t lda, const float *b, int64_t ldb, float beta, float *c,
    int64_t ldc);
typedef void npublas_dgemm_lp64(CBLAS_LAYOUT layout, CBLAS_TRANSPOSE transa,
    CBLAS_TRANSPOSE transb, int32_t m, int32_t n, int32_t k, double alpha,
    const double *a, int32_t lda, const double *b, int32_t ldb, double beta, double *c,
    int32_t ldc);
typedef void npublas_dgemm_ilp64(CBLAS_LAYOUT layout, CBLAS_TRANSPOSE transa,
    CBLAS_TRANSPOSE transb, int64_t m, int64_t n, int64_t k, double alpha,
    const double *a, int64_t lda, const double *b, int64_t ldb, double beta, double *c,
    int64_t ldc);
typedef void npublas_zgemm_lp64(CBLAS_LAYOUT layout, CBLAS_TRANSPOSE transa,
    CBLAS_TRANSPOSE transb, int32_t m, int32_t n, int32_t k, const void *alpha,
    const void *a, int32_t lda, const void *b, int32_t ldb, const void *beta, void *c,
    int32_t ldc);
typedef void npublas_zgemm_ilp64(CBLAS_LAYOUT layout, CBLAS_TRANSPOSE transa,
    CBLAS_TRANSPOSE transb, int64_t m, int64_t n, int64_t k, const void *alpha,
    const void *a, int64_t lda, const void *b, int64_t ldb, const void *beta, void *c,
    int64_t ldc);

npublas_sgemm_lp64 cblas_sgemm, scipy_cblas_sgemm;
npublas_sgemm_ilp64 cblas_sgemm64_, cblas_sgemm_64, scipy_cblas_sgemm64_;
npublas_dgemm_lp64 cblas_dgemm, scipy_cblas_dgemm;
npublas_dgemm_ilp64 cblas_dgemm64_, cblas_dgemm_64, scipy_cblas_dgemm64_;
npublas_zgemm_lp64 cblas_cgemm, scipy_cblas_cgemm;
npublas_zgemm_ilp64 cblas_cgemm64_, cblas_cgemm_64, scipy_cblas_cgemm64_;
npublas_zgemm_lp64 cblas_zgemm, scipy_cblas_zgemm;
npublas_zgemm_ilp64 cblas_zgemm64_, cblas_zgemm_64, scipy_cblas_zgemm64_;

#undef CBLAS_NAME

#ifdef __cplusplus
}
#endif

#endif
