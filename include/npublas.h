/*
 * npublas.h: what npublas offers beyond BLAS.
 *
 * Generated from src/abi/control.rs by `cargo xtask headers`; change that file instead.
 */

#ifndef NPUBLAS_H
#define NPUBLAS_H

#include <stddef.h>
#include <stdint.h>

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

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* NPUBLAS_H */
