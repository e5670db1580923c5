// The families of benchmarks; each file registers its own. `settings` must outlive the run.
#pragma once

#include "measure.h"

namespace nibble::bench {

void register_limits(const Settings& settings);
void register_quantize_activations(const Settings& settings);
void register_cast(const Settings& settings);
void register_hadamard(const Settings& settings);
void register_rounding(const Settings& settings);
void register_sparse(const Settings& settings);
void register_gemm_int8(const Settings& settings);
void register_gemm_int4(const Settings& settings);
void register_gemm_float4(const Settings& settings);
void register_gemm_odd_bits(const Settings& settings);
void register_gemm_scales(const Settings& settings);
void register_gemm_ternary(const Settings& settings);
void register_gemm_binary(const Settings& settings);
void register_gemm_tables(const Settings& settings);

}  // namespace nibble::bench
