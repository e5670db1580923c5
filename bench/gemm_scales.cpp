// 4-bit weights under scales and zero points of other kinds.
#include "families.h"
#include "gemm_benchmark.h"

namespace nibble::bench {

void register_gemm_scales(const Settings& settings) {
  register_gemm<UInt<4, Group<128>>>("uint4_g128", settings);
  register_gemm<Int<4, Group<32>, formats::Half>>("int4_g32_half", settings);
  register_gemm<Progressive<128>>("progressive4_g128", settings);
  register_gemm<SuperBlock<4>>("superblock4", settings);
}

}  // namespace nibble::bench
