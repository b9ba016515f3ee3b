"""The forms in which NumPy programs multiply float32 matrices, each judged against float64.

    python numpy_forms.py REPORT

REPORT gets one JSON object per form, in order: form, m, n, k and how many BLAS calls NumPy makes
of it. Every form has a shape of its own, so that a trace of the BLAS shows which form a call
belongs to. Prints nothing and exits with 0 when every result is as good as a conventional
product; otherwise says which is not.
"""

import json
import sys

import numpy as np

EPS = 2.0**-23
# In units of eps |A||B|; what a plain float32 loop over k = 400 stays far below.
LIMIT = 6.0

rng = np.random.default_rng(1)


def normal(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def exact(a, b):
    """The product in float64, by einsum, which calls no BLAS."""
    return np.einsum("...ij,...jk->...ik", a.astype(np.float64), b.astype(np.float64))


def matmul():
    a, b = normal(96, 200), normal(200, 112)
    return a, b, a @ b, 1


def matmul_b_transposed():
    a, b = normal(97, 200), normal(113, 200)
    return a, b.T, a @ b.T, 1


def matmul_a_transposed():
    a, b = normal(200, 98), normal(200, 114)
    return a.T, b, a.T @ b, 1


def both_transposed():
    a, b = normal(200, 99), normal(115, 200)
    return a.T, b.T, a.T @ b.T, 1


def dot():
    a, b = normal(100, 200), normal(200, 116)
    return a, b, np.dot(a, b), 1


def padded_slices():
    # The rows of a slice are as far apart as those of the whole: a leading dimension, no copy.
    a, b = normal(150, 300)[:101, 20:220], normal(250, 180)[30:230, :117]
    return a, b, a @ b, 1


def padded_out():
    a, b = normal(102, 200), normal(200, 118)
    c = np.full((110, 130), np.nan, dtype=np.float32)
    np.matmul(a, b, out=c[:102, :118])
    assert np.isnan(c[102:]).all() and np.isnan(c[:, 118:]).all(), "wrote beside the slice"
    return a, b, c[:102, :118], 1


def negative_stride():
    a, b = normal(103, 200)[::-1], normal(200, 119)
    return a, b, a @ b, 1


def stacked():
    a, b = normal(5, 104, 200), normal(5, 200, 120)
    return a, b, np.matmul(a, b), 5


def odd_sizes():
    a, b = normal(131, 397), normal(397, 137)
    return a, b, a @ b, 1


FORMS = [
    ("A @ B", matmul),
    ("A @ B.T", matmul_b_transposed),
    ("A.T @ B", matmul_a_transposed),
    ("A.T @ B.T", both_transposed),
    ("np.dot(A, B)", dot),
    ("padded slices", padded_slices),
    ("padded out=", padded_out),
    ("negative stride", negative_stride),
    ("3-D matmul", stacked),
    ("odd sizes", odd_sizes),
]


def main():
    worst = 0
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        for name, form in FORMS:
            a, b, c, calls = form()
            error = np.max(np.abs(c - exact(a, b)) / (EPS * exact(np.abs(a), np.abs(b))))
            # A NaN is no good either, so not `error > LIMIT`.
            if not error <= LIMIT:
                print(f"{name}: error {error} of {LIMIT} eps |A||B|", file=sys.stderr)
                worst = 1
            (m, k), n = a.shape[-2:], b.shape[-1]
            print(json.dumps(dict(form=name, m=m, n=n, k=k, calls=calls)), file=out)
    sys.exit(worst)


if __name__ == "__main__":
    main()
