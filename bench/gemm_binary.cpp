// Products over bits: both operands of 1 or 2 bits.
#include "families.h"
#include "gemm_benchmark.h"

namespace nibble::bench {

void register_gemm_binary(const Settings& settings) {
  for (const Shape& shape : settings.shapes) {
    register_gemm_with<Binary<>, BitActivationsOf<Binary<>, 1>>("binary_x_binary", settings, shape);
    register_gemm_with<Binary<Group<128>>, BitActivationsOf<Binary<>, 1>>("binary_g128_x_binary", settings, shape);
    register_gemm_with<Ternary<>, BitActivationsOf<Ternary<PerRow>, 2>>("ternary_x_ternary", settings, shape);
    register_gemm_with<Int<2>, BitActivationsOf<Int<2>, 4>>("int2_x_int2", settings, shape);
  }
}

}  // namespace nibble::bench
