// How a benchmark measures itself: its product, the machine's limits and the peers take turns.
#pragma once

#include <benchmark/benchmark.h>

#include <vector>

#include "roofline.h"

namespace nibble::bench {

struct Shape {
  std::ptrdiff_t n, k, m;
};

/// What the command line asks for.
struct Settings {
  double seconds = 0.5;       ///< of measuring per benchmark, peers included; at least three rounds are run
  bool peers = true;          ///< whether to time the other libraries
  std::vector<Shape> shapes;  ///< of products
  std::vector<int> threads;   ///< numbers of them
};

/// The middle of `values`, which must not be empty.
inline double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// A call on `threads` threads, timed in slots of some milliseconds.
class Timed {
 public:
  explicit Timed(std::function<void()> call, int threads = 1) : call_(std::move(call)), threads_(threads) {}

  /// Sets how many calls fill a slot.
  void calibrate() {
    constexpr double slot = 4e-3;
    call_();
    double took = seconds_of(threads_, call_);
    if (took < slot / 2) took = std::min(took, seconds_of(threads_, call_));
    calls_ = std::max(1L, static_cast<long>(slot / std::max(took, 1e-9)));
  }
  /// Runs one slot: seconds per call.
  double sample() {
    return seconds_of(threads_,
                      [&] {
                        for (long i = 0; i < calls_; ++i) call_();
                      }) /
           static_cast<double>(calls_);
  }
  long calls() const { return calls_; }

 private:
  std::function<void()> call_;
  int threads_;
  long calls_ = 1;
};

/// Something to compare with, sampled once in every round.
struct Rival {
  std::string name;
  std::function<double()> sample;
  std::vector<double> samples{};
};

/// The times of one benchmark: seconds per call of every round, beside the samples of its rivals.
struct Rounds {
  std::vector<double> seconds;
  std::vector<Rival> rivals;

  double median_seconds() const { return median(seconds); }
  double best_seconds() const { return *std::min_element(seconds.begin(), seconds.end()); }
  /// The median over rounds of f(seconds, sample of `rival`).
  template <class F> double paired(const Rival& rival, F f) const {
    std::vector<double> values;
    for (std::size_t i = 0; i < seconds.size(); ++i) values.push_back(f(seconds[i], rival.samples[i]));
    return median(values);
  }
};

/// Runs `call`, on `threads` threads, in slots, each followed by one sample of every rival, for `budget` seconds and at
/// least three rounds. Google Benchmark's clock runs in the slots only: its Time is the mean.
inline Rounds take_turns(benchmark::State& state, double budget, int threads, std::function<void()> call,
                         std::vector<Rival> rivals) {
  Rounds rounds;
  rounds.rivals = std::move(rivals);
  Timed ours(std::move(call), threads);
  ours.calibrate();
  constexpr int wall = 0;
  const double round = seconds_of(wall, [&] {
    ours.sample();
    for (Rival& rival : rounds.rivals) rival.sample();
  });
  const int count = static_cast<int>(std::clamp(budget / round, 3.0, 99.0));
  while (state.KeepRunningBatch(count * ours.calls())) {
    for (int i = 0; i < count; ++i) {
      rounds.seconds.push_back(ours.sample());
      state.PauseTiming();
      for (Rival& rival : rounds.rivals) rival.samples.push_back(rival.sample());
      state.ResumeTiming();
    }
  }
  return rounds;
}

}  // namespace nibble::bench
