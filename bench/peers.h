// The same product by other libraries.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace nibble::bench {

/// One product Y = W X of N x K x M, one thread. Calls go round several copies of W, so that M = 1 reads memory.
struct Peer {
  std::string name;
  std::function<void()> multiply;
};

/// The products of every library that this build has: "eigen", "openblas" and "onednn" (float), "onednn_int8" (unsigned
/// x signed bytes to int32, no scales). The operands live until another N x K is asked for.
const std::vector<Peer>& peers(std::ptrdiff_t n, std::ptrdiff_t k, std::ptrdiff_t m);

/// Float operands that peers share. W is N x K, X is K x M, Y is N x M, all column-major.
struct FloatOperands {
  std::ptrdiff_t n, k, m;
  std::vector<const float*> w;  ///< copies
  const float* x;
  float* y;
};

std::function<void()> eigen_product(const FloatOperands& operands);
std::function<void()> openblas_product(const FloatOperands& operands);
/// Packs W as oneDNN likes it best.
std::function<void()> onednn_product(const FloatOperands& operands);
std::function<void()> onednn_int8_product(std::ptrdiff_t n, std::ptrdiff_t k, std::ptrdiff_t m,
                                          std::ptrdiff_t working_set);

}  // namespace nibble::bench
