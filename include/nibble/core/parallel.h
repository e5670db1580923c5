// The parallel loop that every long computation goes through.
#pragma once

#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>

#include "nibble/core/error.h"
#include "nibble/core/isa.h"

namespace nibble {

/// Runs task(0) .. task(count - 1), in any order, on any threads, and returns when all have ended.
using Executor = std::function<void(std::ptrdiff_t count, const std::function<void(std::ptrdiff_t)>& task)>;

/// How work is spread: over `threads` parts, run by `executor` where one is given, else by OpenMP where the translation
/// unit is compiled with it, else one after the other. Results never depend on either.
struct Parallel {
  int threads = 1;
  Executor executor = {};
};

/// Cuts 0 .. count - 1 into `options.threads` runs of nearly equal length and calls body(begin, end) for each. An
/// exception that leaves `body` reaches the caller once all runs have ended. Throws std::invalid_argument where
/// options.threads < 1.
template <class Body, unsigned Baseline = isa::baseline>
void parallel_for(std::ptrdiff_t count, const Parallel& options, const Body& body) {
  if (options.threads < 1) invalid("parallel_for", "at least 1 thread", options.threads);
  const std::ptrdiff_t parts = options.threads < count ? options.threads : count;
  if (parts <= 1) {
    if (count > 0) body(std::ptrdiff_t{0}, count);
    return;
  }
#ifdef __cpp_exceptions
  std::exception_ptr error;
  std::mutex guard;
#endif
  const auto run = [&](std::ptrdiff_t part) {
#ifdef __cpp_exceptions
    try {
#endif
      body(part * count / parts, (part + 1) * count / parts);
#ifdef __cpp_exceptions
    } catch (...) {
      const std::lock_guard<std::mutex> lock(guard);
      error = std::current_exception();
    }
#endif
  };
  if (options.executor) {
    options.executor(parts, run);
  } else {
#ifdef _OPENMP
    const int team = static_cast<int>(parts);
#pragma omp parallel for num_threads(team) schedule(static)
#endif
    for (std::ptrdiff_t part = 0; part < parts; ++part) run(part);
  }
#ifdef __cpp_exceptions
  if (error) std::rethrow_exception(error);
#endif
}

}  // namespace nibble
