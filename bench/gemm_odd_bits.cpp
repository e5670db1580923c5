#include "families.h"
#include "gemm_benchmark.h"

namespace nibble::bench {

void register_gemm_odd_bits(const Settings& settings) {
  register_gemm<Int<2, Group<128>>>("int2_g128", settings);
  register_gemm<Int<3, Group<128>>>("int3_g128", settings);
  register_gemm<Int<5, Group<128>>>("int5_g128", settings);
  register_gemm<Int<6, Group<128>>>("int6_g128", settings);
  register_gemm<Int<7, Group<128>>>("int7_g128", settings);
}

}  // namespace nibble::bench
