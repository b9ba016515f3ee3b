"""A few products on a device that fails, each judged against float64.

    python faults.py REPORT

REPORT gets one JSON object: what npublas counted. Prints nothing and exits with 0 when every result is as good as a conventional product, whatever the
device did.
"""

import ctypes
import json
import sys

import numpy as np

EPS = 2.0**-23
LIMIT = 6.0

SHAPES = [(200, 150, 300), (96, 96, 96), (257, 129, 512)]


class Statistics(ctypes.Structure):
    """npublas_statistics of npublas.h."""

    _fields_ = [("size", ctypes.c_size_t)] + [
        (name, ctypes.c_uint64)
        for name in "cpu_calls npu_calls declined jobs tasks retried repaired".split()
    ]


def counters():
    """What npublas, preloaded into this process, has counted."""
    counted = Statistics(size=ctypes.sizeof(Statistics))
    assert ctypes.CDLL(None).npublas_get_statistics(ctypes.byref(counted)) == 0
    return {name: getattr(counted, name) for name, _ in Statistics._fields_[1:]}


def main():
    rng = np.random.default_rng(3)
    for m, n, k in SHAPES:
        a = rng.standard_normal((m, k)).astype(np.float32)
        b = rng.standard_normal((k, n)).astype(np.float32)
        exact = np.einsum("ij,jk->ik", a.astype(np.float64), b.astype(np.float64))
        scale = np.einsum("ij,jk->ik", np.abs(a, dtype=np.float64), np.abs(b, dtype=np.float64))
        error = np.max(np.abs(a @ b - exact) / (EPS * scale))
        # A NaN is no good either, so not `error > LIMIT`.
        if not error <= LIMIT:
            sys.exit(f"{m} x {n} x {k}: error {error} of {LIMIT} eps |A||B|")
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        print(json.dumps(counters()), file=out)


if __name__ == "__main__":
    main()
