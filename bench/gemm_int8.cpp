#include "families.h"
#include "gemm_benchmark.h"

namespace nibble::bench {

void register_gemm_int8(const Settings& settings) {
  register_gemm<Int<8>>("int8_row", settings);
  register_gemm<Int<8, Group<32>>>("int8_g32", settings);
}

}  // namespace nibble::bench
