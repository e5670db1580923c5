// The same three values in 2, 1.67 and 1.6 bits.
#include "families.h"
#include "gemm_benchmark.h"

namespace nibble::bench {

void register_gemm_ternary(const Settings& settings) {
  register_gemm<Ternary<>>("ternary", settings);
  register_gemm<Ternary3in5<>>("ternary3in5", settings);
  register_gemm<Ternary5in8<>>("ternary5in8", settings);
}

}  // namespace nibble::bench
