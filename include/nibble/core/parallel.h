// The parallel loop that every long computation goes through.
#pragma once

#include <atomic>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>

#include "nibble/core/error.h"
#include "nibble/core/isa.h"
#include "nibble/core/shared_progress.h"

namespace nibble {

/// Runs task(0) .. task(count - 1), each once, in any order, on any threads, and returns when all have ended. Tasks
/// throw nothing.
using Executor = std::function<void(std::ptrdiff_t count, const std::function<void(std::ptrdiff_t)>& task)>;

/// How work is spread: over `threads` parts, run by the executor where there is one, else by OpenMP where the
/// translation unit is compiled with it, else one after the other. Results never depend on either. The executor is
/// referred to, not copied: it must outlive this.
struct Parallel {
  int threads = 1;
  const Executor* executor = nullptr;
  SharedProgress* progress = nullptr;  ///< where there is one, told of steps and asked by what takes long to go on

  Parallel() = default;
  Parallel(int n) : threads(n) {}
  Parallel(int n, const std::optional<Executor>& e) : threads(n), executor(e ? &*e : nullptr) {}
  Parallel(int n, std::optional<Executor>&& e) = delete;
  /// The same, with another progress.
  Parallel with(SharedProgress& told) const {
    Parallel result = *this;
    result.progress = &told;
    return result;
  }
  void advance(std::ptrdiff_t steps) const {
    if (progress != nullptr) progress->advance(steps);
  }
};

/// Throws std::invalid_argument in the name of `function` where options.threads < 1 or the executor is an empty
/// function.
template <unsigned Baseline = isa::baseline> void check_parallel(const char* function, const Parallel& options) {
  if (options.threads < 1) invalid(function, "at least 1 thread", options.threads);
  if (options.executor != nullptr && !*options.executor)
    invalid(function, "an executor that can be called", "an empty one");
}

/// Cuts 0 .. count - 1 into `options.threads` runs of nearly equal length and calls body(begin, end) for each; takes no
/// memory of its own. Of the exceptions that leave `body`, that of the first run reaches the caller once all have
/// ended; those of the executor itself pass. Throws as check_parallel does, before anything runs, and
/// std::invalid_argument where the executor made more or fewer calls than there are tasks.
template <class Body, unsigned Baseline = isa::baseline>
void parallel_for(std::ptrdiff_t count, const Parallel& options, const Body& body) {
  check_parallel("parallel_for", options);
  const std::ptrdiff_t parts = options.threads < count ? options.threads : count;
  if (parts <= 1) {
    if (count > 0) body(std::ptrdiff_t{0}, count);
    return;
  }
#ifdef __cpp_exceptions
  std::exception_ptr error;
  std::ptrdiff_t failed = parts;
  std::mutex guard;
#endif
  std::atomic<std::ptrdiff_t> calls = 0;
  const auto run = [&](std::ptrdiff_t part) {
#ifdef __cpp_exceptions
    try {
#endif
      body(part * count / parts, (part + 1) * count / parts);
#ifdef __cpp_exceptions
    } catch (...) {
      const std::lock_guard<std::mutex> lock(guard);
      if (part < failed) {
        failed = part;
        error = std::current_exception();
      }
    }
#endif
    ++calls;
  };
  if (options.executor != nullptr) {
    (*options.executor)(parts, std::cref(run));
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
  if (calls != parts)
    invalid("parallel_for", text("an executor that runs ", parts, " tasks"), text(calls.load(), " calls"));
}

}  // namespace nibble
