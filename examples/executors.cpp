// Products on threads that the program has already: a pool of its own, or Eigen's. An executor is any function that
// runs task(0) .. task(count - 1) and returns when all have ended; tasks throw nothing.
#include <nibble/nibble.h>

#include <iostream>

#include "thread_pool.h"

#ifdef NIBBLE_EXAMPLE_EIGEN_THREADS
#define EIGEN_USE_THREADS
#include <unsupported/Eigen/CXX11/ThreadPool>
#endif

namespace {

using Task = std::function<void(std::ptrdiff_t)>;

nibble::Executor on(ThreadPool& pool) {
  return [&pool](std::ptrdiff_t count, const Task& task) { pool.run(count, task); };
}

#ifdef NIBBLE_EXAMPLE_EIGEN_THREADS
/// Not to be called from one of the pool's own threads: it would wait for itself.
nibble::Executor on(Eigen::ThreadPoolInterface& pool) {
  return [&pool](std::ptrdiff_t count, const Task& task) {
    Eigen::Barrier done(static_cast<unsigned>(count));
    for (std::ptrdiff_t i = 0; i < count; ++i)
      pool.Schedule([&, i] {
        task(i);
        done.Notify();
      });
    done.Wait();
  };
}
#endif

}  // namespace

int main() {
  const Eigen::MatrixXf W = Eigen::MatrixXf::Random(512, 1024), X = Eigen::MatrixXf::Random(1024, 64);
  const auto W4 = nibble::quantize<nibble::Int<4, nibble::Group<32>>>(W);
  const Eigen::MatrixXf serial = W4 * nibble::quantize_activations(X);

  bool all_same = true;
  const auto try_on = [&](const char* name, const nibble::Executor& executor) {
    Eigen::MatrixXf Y(W4.rows(), X.cols());
    const auto Xq = nibble::quantize_activations(X, {.threads = 4, .executor = executor});
    nibble::gemm(W4, Xq, Y, {.threads = 4, .executor = executor});
    const bool same = Y == serial;
    std::cout << name << ": " << (same ? "the same bits" : "other bits") << " as on one thread\n";
    all_same = all_same && same;
  };
  ThreadPool pool(4);
  try_on("a pool of threads", on(pool));
#ifdef NIBBLE_EXAMPLE_EIGEN_THREADS
  Eigen::ThreadPool eigen_pool(4);
  try_on("Eigen's thread pool", on(eigen_pool));
#endif
  return all_same ? 0 : 1;
}
