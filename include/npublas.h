/*
 * npublas.h: what npublas offers beyond BLAS.
 *
 * Generated from src/abi/control.rs by `cargo xtask headers`; change that file instead.
 */

#ifndef NPUBLAS_H
#define NPUBLAS_H

#include <stddef.h>
#include <stdint.h>

// The error bound of a conventional product, and as accurate as one on ordinary data.
#define NPUBLAS_MODE_STANDARD 0

// The same bound, and more accurate than a conventional product on ordinary data.
#define NPUBLAS_MODE_STRICT 1

// The error bound of a conventional product and no more.
#define NPUBLAS_MODE_FAST 2

// A bound by the largest magnitudes of rows and columns: 2^-12*k*max|a|*max|b| in single,
// 2^-35*k*max|a|*max|b| in double precision.
#define NPUBLAS_MODE_LOW 3

// The chip's own half precision for single precision, about 2^-9 of the sum of |a||b|; as
// NPUBLAS_MODE_LOW for double precision, and in reproducible calls.
#define NPUBLAS_MODE_FP16 4

// Two halves of the chip for each element of single precision, about (k/31+15)*2^-24 of the sum of
// |a||b|; as NPUBLAS_MODE_STANDARD for double precision, and in reproducible calls.
#define NPUBLAS_MODE_FP16X2 5

// In the place of a setting: there is none. A thread then follows its process, and the process
// its environment.
#define NPUBLAS_INHERIT -1

// Returned for a value that is none of those above; nothing was changed.
#define NPUBLAS_BAD_VALUE -2

// How often what happened since the library was loaded; a forked child goes on counting.
//
// Later versions may add fields at the end. `size` tells the library how much of the structure
// the caller knows.
typedef struct npublas_statistics {
    // Bytes of this structure: set it to its `sizeof` before the call.
    size_t size;
    // Products that the CPU computed whole.
    uint64_t cpu_calls;
    // Products that the NPU computed, whole or but for repaired blocks.
    uint64_t npu_calls;
    // Products that were offered to the NPU and that it declined.
    uint64_t declined;
    // Jobs submitted to the NPU.
    uint64_t jobs;
    // Tasks in them.
    uint64_t tasks;
    // Blocks of C submitted a second time because the first result was missing or wrong.
    uint64_t retried;
    // Blocks of C that the CPU computed because the second result was no good either.
    uint64_t repaired;
} npublas_statistics;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The version of the library, such as "0.1.0". The string is never freed.
const char *npublas_version(void);

// Fills in the first `size` bytes of `*statistics`, where `size` is the field that the caller
// set, and sets that field to the number of bytes filled in; a caller that knows more than the
// library sees a smaller number. Calls of other threads may be counted halfway.
//
// Returns 0, or -1 without touching anything when `statistics` is null or `size` does not even
// cover the field itself.
//
// # Safety
// `statistics` is null, or points to `size` bytes that can be written and are aligned as the
// structure.
int npublas_get_statistics(struct npublas_statistics *statistics);

// The compute mode that calls of this thread have now: one of the constants from
// NPUBLAS_MODE_STANDARD on. The CPU may compute any call more exactly than its mode asks.
int npublas_get_compute_mode(void);

// Sets the compute mode of the process, in place of NPUBLAS_COMPUTE_MODE in its environment, to
// one of the constants from NPUBLAS_MODE_STANDARD on, or to NPUBLAS_INHERIT. Calls that are
// under way are not affected.
//
// Returns what was set before, NPUBLAS_INHERIT if nothing, or NPUBLAS_BAD_VALUE.
int npublas_set_compute_mode(int mode);

// Like npublas_set_compute_mode, for calls of the calling thread alone, whatever is set for the
// process.
int npublas_set_compute_mode_local(int mode);

// Whether the bits of results of this thread's calls follow from shape and data alone, never
// from measured times: 0 or 1.
int npublas_get_reproducible(void);

// Sets whether calls of the process are reproducible, in place of NPUBLAS_REPRODUCIBLE in its
// environment: 0, 1 or NPUBLAS_INHERIT.
//
// Returns what was set before, NPUBLAS_INHERIT if nothing, or NPUBLAS_BAD_VALUE.
int npublas_set_reproducible(int on);

// Like npublas_set_reproducible, for calls of the calling thread alone, whatever is set for the
// process.
int npublas_set_reproducible_local(int on);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* NPUBLAS_H */
