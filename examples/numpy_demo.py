"""Multiplies float32 matrices with plain NumPy and measures how right the products are.

    python numpy_demo.py REPORT REFERENCES

Nothing here knows which BLAS does the work: `cargo xtask demo` runs this file as it is with
several of them. REPORT gets one JSON object per product, in the order in which they were
computed: data, m, n, k, seconds, error. The error is the largest of |C - AB| / (eps |A||B|) over
all entries of C, with eps = 2^-23 and both products taken in float64.

The float64 products come from the folder REFERENCES. Those that are not there yet are computed
and put there, so that whoever runs first computes them and all are judged by the same ones.
"""

import json
import os
import sys
import time

import numpy as np

EPS = 2.0**-23

# (m, n, k) of C = AB, A of m by k and B of k by n.
SHAPES = [(256, 256, 256), (512, 768, 256), (1024, 256, 512), (1024, 1024, 1024)]

DATA = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "uniform": lambda rng, shape: rng.uniform(-1.0, 1.0, shape),
    "relu": lambda rng, shape: np.maximum(rng.standard_normal(shape), 0.0),
}


def operands(data, m, n, k):
    """A and B, the same in every process."""
    rng = np.random.default_rng([m, n, k])
    # Behind a ReLU stand activations; the weights they meet are normal.
    weights = DATA["normal"] if data == "relu" else DATA[data]
    a = DATA[data](rng, (m, k)).astype(np.float32)
    b = weights(rng, (k, n)).astype(np.float32)
    return a, b


def reference(path, a, b):
    """AB and |A||B| in float64."""
    if not os.path.exists(path):
        a, b = a.astype(np.float64), b.astype(np.float64)
        np.savez(path, product=a @ b, magnitude=np.abs(a) @ np.abs(b))
    with np.load(path) as stored:
        return stored["product"], stored["magnitude"]


def main():
    report, references = sys.argv[1:]
    with open(report, "w", encoding="utf-8") as out:
        for m, n, k in SHAPES:
            for data in DATA:
                a, b = operands(data, m, n, k)
                product, magnitude = reference(f"{references}/{data}-{m}-{n}-{k}.npz", a, b)
                start = time.perf_counter()
                c = a @ b
                seconds = time.perf_counter() - start
                error = np.max(np.abs(c - product) / (EPS * magnitude))
                row = dict(data=data, m=m, n=n, k=k, seconds=seconds, error=float(error))
                print(json.dumps(row), file=out)


if __name__ == "__main__":
    main()
