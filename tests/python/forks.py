"""Products on both sides of a fork, many times.

    python forks.py ROUNDS

First the child multiplies before its parent ever did, each round in a fresh process; then the
parent has multiplied before, and both go on. A child that hangs is ended by an alarm and fails
the run. Prints nothing when all is well.
"""

import os
import signal
import sys

import numpy as np

# Long for one product, even on a simulated device; a hang is for ever.
PATIENCE = 60

# Small integers: every product is exact, whoever computes it.
rng = np.random.default_rng(2)
A = rng.integers(-9, 10, (96, 128)).astype(np.float32)
B = rng.integers(-9, 10, (128, 80)).astype(np.float32)
C = np.einsum("ij,jk->ik", A, B)


def multiply():
    signal.alarm(PATIENCE)
    assert np.array_equal(A @ B, C), "the product is wrong"
    signal.alarm(0)


def in_child(work):
    """Runs `work` in a forked child, waits for it and passes its failure on."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException as error:  # nothing may reach the parent's code from here
            print(f"in a child: {error!r}", file=sys.stderr)
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    if status != 0:
        sys.exit(f"a forked child ended with status {status}")


def child_first():
    in_child(multiply)
    multiply()


def main():
    rounds = int(sys.argv[1])
    for _ in range(rounds):
        in_child(child_first)
    multiply()
    for _ in range(rounds):
        in_child(multiply)
        multiply()


if __name__ == "__main__":
    main()
