// The limits themselves, as benchmarks: limit/<what>[/threads:<t>].
#include "families.h"

namespace nibble::bench {
namespace {

void add(const std::string& name, const char* counter, const Settings& settings, std::function<Limit&()> limit) {
  benchmark::RegisterBenchmark(name.c_str(), [=, &settings](benchmark::State& state) {
    Limit& of = limit();
    if (of.best() == 0) {
      state.SkipWithError("this CPU or NIBBLE_ISA has no such instruction");
      return;
    }
    std::vector<double> rates;
    const auto rounds = take_turns(state, settings.seconds, 1, [&] { rates.push_back(of.sample()); }, {});
    state.counters[counter] = median(rates);
    state.counters[std::string("best_") + counter] = of.best();
  });
}

}  // namespace

void register_limits(const Settings& settings) {
  const char* ops = "ops_per_second";
  add("limit/fma", ops, settings, []() -> Limit& { return fma_limit(resolve()); });
  add("limit/int8", ops, settings, []() -> Limit& { return int8_limit(resolve()); });
  add("limit/bf16", ops, settings, []() -> Limit& { return bf16_limit(resolve()); });
  add("limit/popcount", ops, settings, []() -> Limit& { return popcount_limit(resolve()); });
  const char* bytes = "bytes_per_second";
  add("limit/l2_read", bytes, settings, []() -> Limit& { return l2_read_limit(); });
  for (int threads : settings.threads)
    add(text("limit/dram_read/threads:", threads), bytes, settings,
        [threads]() -> Limit& { return dram_read_limit(threads); });
}

}  // namespace nibble::bench
