#include "families.h"
#include "gemm_benchmark.h"

namespace nibble::bench {

void register_gemm_float4(const Settings& settings) {
  register_gemm<MxFp4>("mxfp4", settings);
  register_gemm<NvFp4>("nvfp4", settings);
}

}  // namespace nibble::bench
