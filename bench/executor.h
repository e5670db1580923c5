// What runs the parts of a product on several threads.
#pragma once

#include <nibble/core/parallel.h>

#include "../examples/thread_pool.h"

namespace nibble::bench {

/// What runs the parts: OpenMP where this program is compiled with it, else a pool that lives as long as the program.
inline const std::optional<Executor>& executor() {
#ifdef _OPENMP
  static const std::optional<Executor> openmp;
  return openmp;
#else
  static ThreadPool pool(static_cast<int>(std::thread::hardware_concurrency()));
  static const std::optional<Executor> on_pool = [](auto count, auto& task) { pool.run(count, task); };
  return on_pool;
#endif
}

}  // namespace nibble::bench
