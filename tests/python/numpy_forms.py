"""The forms in which NumPy programs multiply matrices, each judged against wider arithmetic.

    python numpy_forms.py REPORT TYPE...

TYPE is float32, float64, complex64 or complex128. REPORT gets one JSON object per type and form,
in order: type, form, the BLAS routine that NumPy uses for it, m, n, k and how many calls of gemm
it makes. Every form has a shape of its own, so that a trace of the BLAS shows which form a call
belongs to. Prints nothing and exits with 0 when every result is as good as a conventional
product; otherwise says which is not.
"""

import json
import sys

import numpy as np

# In units of eps |A||B|; what a plain loop over k = 400 stays far below.
LIMIT = 6.0

# From 2.3 on NumPy copies operands that BLAS cannot address, and then calls it.
COPIES = tuple(int(part) for part in np.__version__.split(".")[:2]) >= (2, 3)

rng = np.random.default_rng(1)


def source(dtype):
    """A function that makes normal arrays of the type."""

    def normal(*shape):
        x = rng.standard_normal(shape)
        if np.dtype(dtype).kind == "c":
            x = x + 1j * rng.standard_normal(shape)
        return x.astype(dtype)

    return normal


def exact(a, b):
    """The product in the widest type there is, by einsum, which calls no BLAS."""
    wide = np.clongdouble if a.dtype.kind == "c" else np.longdouble
    return np.einsum("...ij,...jk->...ik", a.astype(wide), b.astype(wide))


def matmul(normal):
    a, b = normal(96, 200), normal(200, 112)
    return a, b, a @ b, 1


def matmul_b_transposed(normal):
    a, b = normal(97, 200), normal(113, 200)
    return a, b.T, a @ b.T, 1


def matmul_a_transposed(normal):
    a, b = normal(200, 98), normal(200, 114)
    return a.T, b, a.T @ b, 1


def both_transposed(normal):
    a, b = normal(200, 99), normal(115, 200)
    return a.T, b.T, a.T @ b.T, 1


def dot(normal):
    a, b = normal(100, 200), normal(200, 116)
    return a, b, np.dot(a, b), 1


def padded_slices(normal):
    # The rows of a slice are as far apart as those of the whole: a leading dimension, no copy.
    a, b = normal(150, 300)[:101, 20:220], normal(250, 180)[30:230, :117]
    return a, b, a @ b, 1


def padded_out(normal):
    a, b = normal(102, 200), normal(200, 118)
    c = np.full((110, 130), np.nan, a.dtype)
    np.matmul(a, b, out=c[:102, :118])
    assert np.isnan(c[102:]).all() and np.isnan(c[:, 118:]).all(), "wrote beside the slice"
    return a, b, c[:102, :118], 1


def negative_stride(normal):
    a, b = normal(103, 200)[::-1], normal(200, 119)
    # Older NumPys have loops of their own for what BLAS cannot address.
    return a, b, a @ b, int(COPIES)


def stacked(normal):
    a, b = normal(5, 104, 200), normal(5, 200, 120)
    return a, b, np.matmul(a, b), 5


def odd_sizes(normal):
    a, b = normal(131, 397), normal(397, 137)
    return a, b, a @ b, 1


def inner(normal):
    a, b = normal(105, 200), normal(121, 200)
    return a, b.T, np.inner(a, b), 1


def tensordot(normal):
    a, b = normal(106, 200), normal(200, 122)
    return a, b, np.tensordot(a, b, 1), 1


def einsum_optimised(normal):
    a, b = normal(107, 200), normal(200, 123)
    return a, b, np.einsum("ij,jk->ik", a, b, optimize=True), 1


def with_own_transpose(normal):
    a = normal(109, 200)
    return a, a.T, a @ a.T, 0


def with_own_conjugate(normal):
    # A conjugate is a copy, so for complex numbers it is a product like any other.
    a = normal(110, 200)
    return a, a.conj().T, a @ a.conj().T, int(a.dtype.kind == "c")


def by_vector(normal):
    a, b = normal(111, 200), normal(200, 1)
    return a, b, (a @ b[:, 0])[:, None], 0


def of_vectors(normal):
    a, b = normal(1, 200), normal(200, 1)
    return a, b, np.array([[a[0] @ b[:, 0]]]), 0


def einsum(normal):
    a, b = normal(112, 200), normal(200, 125)
    return a, b, np.einsum("ij,jk->ik", a, b), 0


def dot_of_stack(normal):
    a, b = normal(2, 113, 200), normal(200, 126)
    return a, b, np.dot(a, b), 0


# Form, function, and what NumPy calls: gemm, another routine of its BLAS, or none.
FORMS = [
    ("A @ B", matmul, "gemm"),
    ("A @ B.T", matmul_b_transposed, "gemm"),
    ("A.T @ B", matmul_a_transposed, "gemm"),
    ("A.T @ B.T", both_transposed, "gemm"),
    ("np.dot(A, B)", dot, "gemm"),
    ("np.inner(A, B)", inner, "gemm"),
    ("np.tensordot(A, B, 1)", tensordot, "gemm"),
    ("einsum, optimised", einsum_optimised, "gemm"),
    ("padded slices", padded_slices, "gemm"),
    ("padded out=", padded_out, "gemm"),
    ("negative stride", negative_stride, "gemm" if COPIES else "none"),
    ("3-D matmul", stacked, "gemm"),
    ("odd sizes", odd_sizes, "gemm"),
    ("A @ A.conj().T", with_own_conjugate, "syrk, complex gemm"),
    ("A @ A.T", with_own_transpose, "syrk"),
    ("A @ v", by_vector, "gemv"),
    ("v @ w", of_vectors, "dot"),
    ("einsum", einsum, "none"),
    ("np.dot(3-D, B)", dot_of_stack, "none"),
]


def main():
    report, *types = sys.argv[1:]
    worst = 0
    with open(report, "w", encoding="utf-8") as out:
        for dtype in types:
            normal, eps = source(dtype), np.finfo(dtype).eps
            for name, form, routine in FORMS:
                a, b, c, calls = form(normal)
                assert c.dtype == dtype, f"{name} of {dtype} gives {c.dtype}"
                error = np.max(np.abs(c - exact(a, b)) / (eps * exact(np.abs(a), np.abs(b))))
                (m, k), n = a.shape[-2:], b.shape[-1]
                # What NumPy computes by itself need only keep the bound of its k roundings.
                limit = LIMIT if calls else k / 2
                # A NaN is no good either, so not `error > limit`.
                if not error <= limit:
                    print(f"{name}, {dtype}: error {error} of {limit} eps |A||B|", file=sys.stderr)
                    worst = 1
                said = dict(type=dtype, form=name, routine=routine, m=m, n=n, k=k, calls=calls)
                print(json.dumps(said), file=out)
    sys.exit(worst)


if __name__ == "__main__":
    main()
