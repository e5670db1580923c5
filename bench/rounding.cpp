// Rounding with a Hessian: hessian_add/..., gptq/...
#include "executor.h"
#include "families.h"
#include "gemm_benchmark.h"
#include "peers.h"

namespace nibble::bench {
namespace {

constexpr Index side = 4096;

/// As many samples as inputs, against Eigen's own rank update of one triangle on one thread.
void add_hessian(const Settings& settings, int threads) {
  benchmark::RegisterBenchmark(
      text("hessian_add/K:", side, "/M:", side, "/threads:", threads).c_str(),
      [&settings, threads](benchmark::State& state) {
        const Eigen::MatrixXf x = random_normal(side, side);
        Eigen::MatrixXf sum = Eigen::MatrixXf::Zero(side, side);
        Hessian h(side, {threads, executor()});
        const Rounds rounds =
            take_turns(state, settings.seconds, threads, [&] { h.add(x); },
                       {{"rank update",
                         [&] { return seconds_of(1, [&] { sum.selfadjointView<Eigen::Lower>().rankUpdate(x); }); }}});
        state.counters["ops_per_second"] = 1.0 * side * side * side / rounds.median_seconds();
        state.counters["vs_eigen"] = rounds.paired(rounds.rivals[0], [](double s, double eigen) { return eigen / s; });
      });
}

/// 4096 x 4096 weights, factorisation included, against Eigen's product of as many rows, inputs and columns, compiled
/// for this CPU, on one thread: a product by as many threads counts as that many times faster.
void add_gptq(const Settings& settings, int threads) {
  benchmark::RegisterBenchmark(
      text("gptq/int4_g128/N:", side, "/K:", side, "/threads:", threads).c_str(),
      [&settings, threads](benchmark::State& state) {
        const Eigen::MatrixXf w = random_normal(side, side), x = random_normal(side, side);
        Eigen::MatrixXf y(side, side);
        const Hessian calibrated(x, {threads, executor()});
        auto product = eigen_product({side, side, side, {w.data()}, x.data(), y.data()});
        const Rounds rounds = take_turns(state, settings.seconds, threads,
                                         [&] {
                                           const Hessian fresh = calibrated.damped(0.01);  // without factorisations
                                           benchmark::DoNotOptimize(quantize<Int<4, Group<128>>>(
                                               w, Gptq{fresh, {.damping = 0}}, {threads, executor()}));
                                         },
                                         {{"eigen", [&] { return seconds_of(1, product); }}});
        state.counters["eigen_products"] =
            rounds.paired(rounds.rivals[0], [threads](double s, double eigen) { return s * threads / eigen; });
      });
}

}  // namespace

void register_rounding(const Settings& settings) {
  for (int threads : settings.threads) {
    add_hessian(settings, threads);
    add_gptq(settings, threads);
  }
}

}  // namespace nibble::bench
