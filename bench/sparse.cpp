// Products of a 4096 x 4096 matrix of which 1 or 5 % are stored, on one thread: sparse/<share>/M:<m>.
#include "families.h"
#include "gemm_benchmark.h"

namespace nibble::bench {
namespace {

void add(const Settings& settings, int percent, Index m) {
  benchmark::RegisterBenchmark(text("sparse/", percent, "%/M:", m).c_str(), [=, &settings](benchmark::State& state) {
    constexpr Index n = 4096;
    Eigen::MatrixXf dense = random_normal(n, n);
    // Of normal numbers 1 % lie beyond 2.576, 5 % beyond 1.96.
    dense = (dense.array().abs() > (percent == 1 ? 2.576f : 1.96f)).select(dense, 0.0f);
    const Sparse w(Sparse::Matrix(dense.sparseView()));
    const Eigen::MatrixXf x = random_normal(n, m);
    Eigen::MatrixXf y(n, m);
    Limit& l2 = l2_read_limit();
    Eigen::setNbThreads(1);
    Timed eigen([&] { y.noalias() = w.matrix() * x; });
    eigen.calibrate();
    const Rounds rounds = take_turns(state, settings.seconds, 1, [&] { gemm(w, x, y); },
                                     {{"l2", [&] { return l2.sample(); }}, {"eigen", [&] { return eigen.sample(); }}});
    const double stored = static_cast<double>(w.matrix().nonZeros());
    // A row of X for each element, the element itself.
    const double bytes = stored * (4 * static_cast<double>(m) + 8);
    state.counters["ops_per_second"] = 2 * stored * static_cast<double>(m) / rounds.median_seconds();
    state.counters["vs_eigen"] = rounds.paired(rounds.rivals[1], [](double s, double theirs) { return theirs / s; });
    if (l2.best() == 0) return;
    state.counters["fraction_of_l2"] =
        rounds.paired(rounds.rivals[0], [&](double s, double limit) { return bytes / s / limit; });
  });
}

}  // namespace

void register_sparse(const Settings& settings) {
  for (int percent : {1, 5})
    for (Index m : {1, 8, 32, 128}) add(settings, percent, m);
}

}  // namespace nibble::bench
