// Runs both translation units under every instruction set; their integer products must have the same bits.
#include <cstdio>

#include "mixed_flags.h"

int main() {
  // One of the files is compiled for it throughout.
  if (!__builtin_cpu_supports("avx512f")) {
    std::puts("SKIPPED: this CPU lacks AVX-512");
    return 77;
  }
  const Eigen::MatrixXf w = Eigen::MatrixXf::Random(50, 100);
  const Eigen::MatrixXf x = Eigen::MatrixXf::Random(100, 7);
  const Eigen::MatrixXf expected = mixed_flags::plain(w, x, nibble::Isa::Portable);
  const Eigen::MatrixXf exact = w * x;
  if ((expected.topRows(50) - exact).norm() > 0.15f * exact.norm()) return 1;
  for (nibble::Isa isa : nibble::available_isas()) {
    for (auto* product : {&mixed_flags::plain, &mixed_flags::avx512}) {
      const Eigen::MatrixXf y = product(w, x, isa);
      if (y.topRows(50) != expected.topRows(50) || !y.isApprox(expected, 1e-5f)) {
        std::printf("wrong result on %s\n", nibble::name(isa));
        return 1;
      }
    }
  }
  return 0;
}
