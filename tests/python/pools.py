"""Products in multiprocessing's pools, many times, with products of the parent before and after.

    python pools.py ROUNDS

A round that hangs is ended by an alarm and fails the run. Prints nothing when all is well.
"""

import multiprocessing
import signal
import sys
import warnings

import numpy as np

# Long for a round, even on a simulated device; a hang is for ever.
PATIENCE = 120

# Small integers: every product is exact, whoever computes it.
rng = np.random.default_rng(2)
A = rng.integers(-9, 10, (96, 128)).astype(np.float32)
B = rng.integers(-9, 10, (128, 80)).astype(np.float32)
C = np.einsum("ij,jk->ik", A, B)


def is_right(_):
    return bool(np.array_equal(A @ B, C))


def main():
    # Python warns of forks in processes with threads, which is what this is about.
    warnings.simplefilter("ignore", DeprecationWarning)
    fork = multiprocessing.get_context("fork")
    for _ in range(int(sys.argv[1])):
        signal.alarm(PATIENCE)
        with fork.Pool(3) as pool:
            right = pool.map(is_right, range(12))
        assert all(right) and is_right(None), "a product is wrong"
    signal.alarm(0)


if __name__ == "__main__":
    main()
