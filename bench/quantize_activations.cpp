// Quantizing activations, alone and after a Hadamard transform, in bytes of floats read per second:
// quantize_activations/<kind>/K:<k>/M:<m> and hadamard_quantize_activations/<kind>/K:<k>/M:<m>.
#include <set>

#include "families.h"
#include "gemm_benchmark.h"

namespace nibble::bench {
namespace {

/// K x M floats: one matrix in the L2 cache if that holds it twice, else as many as no cache can hold.
class Inputs {
 public:
  Inputs(Index k, Index m) : k_(k), m_(m), bytes_(k * m * static_cast<Index>(sizeof(float))) {
    const Eigen::MatrixXf x = random_normal(k, m);
    for (Index size = 0; size == 0 || (!in_l2() && size < beyond_caches()); size += bytes_) {
      copies_.emplace_back(static_cast<std::size_t>(k * m));
      std::memcpy(copies_.back().data(), x.data(), static_cast<std::size_t>(bytes_));
    }
  }
  bool in_l2() const { return bytes_ <= cache_bytes(2) / 2; }
  double bytes() const { return static_cast<double>(bytes_); }
  Eigen::Map<const Eigen::MatrixXf> next() { return {copies_[turn_++ % copies_.size()].data(), k_, m_}; }

 private:
  Index k_, m_, bytes_;
  std::vector<AlignedArray<float>> copies_;
  std::size_t turn_ = 0;
};

template <class A> void add(const Settings& settings, Index k, Index m) {
  const std::string name = text("quantize_activations/", IntegerActivations<A>::name, "/K:", k, "/M:", m);
  benchmark::RegisterBenchmark(name.c_str(), [&settings, k, m](benchmark::State& state) {
    Inputs x(k, m);
    Limit& limit = x.in_l2() ? l2_read_limit() : dram_read_limit(1);
    const std::string fraction = x.in_l2() ? "fraction_of_l2" : "fraction_of_dram";
    auto q = quantize_activations<A>(x.next());
    const Rounds rounds = take_turns(state, settings.seconds, 1, [&] { quantize_activations_into(x.next(), q); },
                                     {{"limit", [&] { return limit.sample(); }}});
    state.counters["bytes_per_second"] = x.bytes() / rounds.median_seconds();
    if (limit.best() == 0) return;
    state.counters[fraction] =
        rounds.paired(rounds.rivals[0], [&](double s, double rate) { return x.bytes() / s / rate; });
    state.counters["best_" + fraction] = x.bytes() / rounds.best_seconds() / limit.best();
  });
}

template <class A> void add_fused(const Settings& settings, Index k, Index m) {
  const std::string name = text("hadamard_quantize_activations/", IntegerActivations<A>::name, "/K:", k, "/M:", m);
  benchmark::RegisterBenchmark(name.c_str(), [&settings, k, m](benchmark::State& state) {
    Inputs x(k, m);
    const TransformOptions options{.block = k & -k};
    Timed two([&] { benchmark::DoNotOptimize(quantize_activations<A>(hadamard_transform(x.next(), options))); });
    two.calibrate();
    const Rounds rounds =
        take_turns(state, settings.seconds, 1,
                   [&] { benchmark::DoNotOptimize(hadamard_quantize_activations<A>(x.next(), options)); },
                   {{"two_calls", [&] { return two.sample(); }}});
    state.counters["bytes_per_second"] = x.bytes() / rounds.median_seconds();
    state.counters["vs_two_calls"] =
        rounds.paired(rounds.rivals[0], [](double s, double theirs) { return theirs / s; });
  });
}

}  // namespace

void register_quantize_activations(const Settings& settings) {
  std::set<std::pair<Index, Index>> sizes;
  for (const Shape& shape : settings.shapes) sizes.emplace(shape.k, shape.m);
  for (const auto& [k, m] : sizes) {
    add<Int<8>>(settings, k, m);
    add<Int<8, Group<32>>>(settings, k, m);
    add_fused<Int<8>>(settings, k, m);
    add_fused<Int<8, Group<32>>>(settings, k, m);
  }
}

}  // namespace nibble::bench
