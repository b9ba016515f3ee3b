"""Residuals of svd, solve, eigh and inv of 600 x 600 matrices, one JSON line each.

Usage: lapack.py REPORT

The residuals are computed without any BLAS, in long double, and are in units of n eps times the
norms that belong to them.
"""

import json
import sys

import numpy as np

N = 600
EPS = np.finfo(np.float64).eps


def wide(x):
    return np.asarray(x, np.longdouble)


def times(a, b):
    return wide(a) @ wide(b)


def norm(x):
    return np.sqrt((wide(x) ** 2).sum())


def residuals(a, b):
    """Of a matrix and a right-hand side: (routine, what) -> residual over n eps."""
    eye = np.eye(N)
    u, s, v = np.linalg.svd(a)
    x = np.linalg.solve(a, b)
    symmetric = (a + a.T) / 2
    w, q = np.linalg.eigh(symmetric)
    inverse = np.linalg.inv(a)
    found = {
        ("svd", "A - USV'"): norm(times(u * wide(s), v) - a) / norm(a),
        ("svd", "U'U - I"): norm(times(u.T, u) - eye),
        ("svd", "VV' - I"): norm(times(v, v.T) - eye),
        ("solve", "AX - B"): norm(times(a, x) - b) / (norm(a) * norm(x)),
        ("eigh", "AQ - QW"): norm(times(symmetric, q) - q * wide(w)) / norm(symmetric),
        ("eigh", "Q'Q - I"): norm(times(q.T, q) - eye),
        ("inv", "AX - I"): norm(times(a, inverse) - eye) / (norm(a) * norm(inverse)),
    }
    return {key: float(value) / (N * EPS) for key, value in found.items()}


def main():
    rng = np.random.default_rng(1)
    found = residuals(rng.standard_normal((N, N)), rng.standard_normal((N, 40)))
    with open(sys.argv[1], "w") as report:
        for (routine, what), residual in found.items():
            line = {"routine": routine, "what": what, "residual": residual}
            report.write(json.dumps(line) + "\n")


main()
