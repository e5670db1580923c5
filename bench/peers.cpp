#include "peers.h"

#include <map>
#include <memory>
#include <random>

#include "roofline.h"

namespace nibble::bench {
namespace {

AlignedArray<float> random_floats(std::ptrdiff_t count) {
  AlignedArray<float> values(static_cast<std::size_t>(count));
  std::minstd_rand random(1);
  for (std::ptrdiff_t i = 0; i < count; ++i) values.data()[i] = static_cast<float>(random() % 2001) / 1000 - 1;
  return values;
}

/// All peers of one N x K, for every M asked for.
class PeersOf {
 public:
  PeersOf(std::ptrdiff_t n, std::ptrdiff_t k) : n_(n), k_(k) {
    const std::ptrdiff_t bytes = n * k * static_cast<std::ptrdiff_t>(sizeof(float));
    for (std::ptrdiff_t size = 0; size == 0 || size < beyond_caches(); size += bytes) {
      w_.emplace_back(static_cast<std::size_t>(n * k));
      if (w_.size() == 1)
        w_[0] = random_floats(n * k);
      else
        std::memcpy(w_.back().data(), w_[0].data(), static_cast<std::size_t>(bytes));
    }
  }

  bool fits(std::ptrdiff_t n, std::ptrdiff_t k) const { return n == n_ && k == k_; }

  const std::vector<Peer>& at(std::ptrdiff_t m) {
    Product& product = products_[m];
    if (product.peers.empty()) {
      product.x = random_floats(k_ * m);
      product.y = AlignedArray<float>(static_cast<std::size_t>(n_ * m));
      FloatOperands operands{n_, k_, m, {}, product.x.data(), product.y.data()};
      for (const auto& w : w_) operands.w.push_back(w.data());
      product.peers.push_back({"eigen", eigen_product(operands)});
#ifdef NIBBLE_BENCH_OPENBLAS
      product.peers.push_back({"openblas", openblas_product(operands)});
#endif
#ifdef NIBBLE_BENCH_ONEDNN
      product.peers.push_back({"onednn", onednn_product(operands)});
      product.peers.push_back({"onednn_int8", onednn_int8_product(n_, k_, m, beyond_caches())});
#endif
    }
    return product.peers;
  }

 private:
  struct Product {
    AlignedArray<float> x, y;
    std::vector<Peer> peers;
  };
  std::ptrdiff_t n_, k_;
  std::vector<AlignedArray<float>> w_;
  std::map<std::ptrdiff_t, Product> products_;
};

}  // namespace

const std::vector<Peer>& peers(std::ptrdiff_t n, std::ptrdiff_t k, std::ptrdiff_t m) {
  static std::unique_ptr<PeersOf> last;
  if (!last || !last->fits(n, k)) {
    last.reset();
    last = std::make_unique<PeersOf>(n, k);
  }
  return last->at(m);
}

}  // namespace nibble::bench
