#include "families.h"
#include "gemm_benchmark.h"

namespace nibble::bench {

void register_gemm_int4(const Settings& settings) {
  register_gemm<Int<4>>("int4_row", settings);
  register_gemm<Int<4, Group<32>>>("int4_g32", settings);
  register_gemm<Int<4, Group<128>>>("int4_g128", settings);
  register_gemm<UInt<4, Group<128>>>("uint4_g128", settings);
}

}  // namespace nibble::bench
