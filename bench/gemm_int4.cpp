#include "families.h"
#include "gemm_benchmark.h"

namespace nibble::bench {

void register_gemm_int4(const Settings& settings) {
  register_gemm<Int<4, Group<128>>>("int4_g128", settings);
  register_gemm<Int<4, Group<32>>>("int4_g32", settings);
  for (const Shape& shape : settings.shapes) {
    register_gemm_with<Int<4, Group<32>>, IntegerActivations<Int<8, Group<32>>>>("int4_g32", settings, shape);
    register_gemm_with<Int<4, Group<128>>, IntegerActivations<Int<16>>>("int4_g128", settings, shape);
  }
}

}  // namespace nibble::bench
