// With a workspace, products allocate nothing after the first call.
#include "nibble/core/workspace.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>

#include "kernels/random_operands.h"
#include "message_of.h"

namespace {
std::atomic<long> allocations = 0;
}

#ifdef __GLIBC__
// What operator new and Eigen take their memory from.
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void* malloc(std::size_t size) {
  ++allocations;
  return __libc_malloc(size);
}
void* aligned_alloc(std::size_t align, std::size_t size) {
  ++allocations;
  return __libc_memalign(align, size);
}
}
#endif

namespace nibble {
namespace {

void expect_no_allocation(const auto& call) {
  call();
  const long before = allocations;
  call();
  call();
  EXPECT_EQ(allocations, before);
}

template <class S> void check() {
  SCOPED_TRACE(S::name());
  const auto w = test::random_matrix<S>(70, 300, 1);
  const Executor one_by_one = [](std::ptrdiff_t count, const std::function<void(std::ptrdiff_t)>& task) {
    for (std::ptrdiff_t i = 0; i < count; ++i) task(i);
  };
  for (Index m : {1, 5, 30}) {
    const Eigen::MatrixXf inputs = test::random_inputs(300, m, 2);
    const auto x = quantize_activations(inputs);
    Eigen::MatrixXf y(70, m);
    const Eigen::VectorXf bias = Eigen::VectorXf::Ones(70);
    for (Isa isa : available_isas()) {
      for (int threads : {1, 3}) {
        Workspace workspace;
        const GemmOptions options{.threads = threads, .isa = isa, .executor = one_by_one, .workspace = &workspace};
        expect_no_allocation([&] { gemm(w, x, y, options, {.bias = bias, .activation = Activation::Silu}); });
        const Eigen::MatrixXf integer = y;
        gemm(w, x, y, {.isa = isa}, {.bias = bias, .activation = Activation::Silu});
        EXPECT_EQ(y, integer);
        expect_no_allocation([&] { gemm(w, inputs, y, options, {.bias = bias}); });
      }
    }
  }
}

TEST(Workspace, ProductsAllocateNothingAfterTheFirst) {
  check<Int<4, Group<128>>>();
  check<UInt<3, Group<10>>>();
  check<NvFp4>();
  check<Ternary3in5<>>();
}

// That the test above can fail.
TEST(Workspace, CountsAllocations) {
#ifndef __GLIBC__
  GTEST_SKIP() << "NOT TESTED: allocations are counted with glibc only";
#endif
  const long before = allocations;
  const AlignedArray<float> array(100);
  const Eigen::VectorXf vector = Eigen::VectorXf::Ones(100);
  EXPECT_EQ(array[7] + vector[7], 1);
  EXPECT_EQ(allocations, before + 2);
}

TEST(Workspace, OneCallAtATime) {
  Workspace workspace;
  const Scratch first("test", &workspace);
  EXPECT_EQ(test::message_of<std::invalid_argument>([&] { const Scratch second("gemm", &workspace); }),
            "nibble::gemm: expected a workspace that no other call uses, got one in use");
}

TEST(Scratch, TakesSeparateAlignedMemory) {
  Workspace workspace;
  for (int call = 0; call < 3; ++call) {
    Scratch scratch("test", &workspace);
    std::vector<std::pair<char*, std::ptrdiff_t>> taken;
    for (std::ptrdiff_t size : {0, 1, 64, 65, 100000, 3}) {
      char* memory = scratch.take<char>(size);
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory) % alignment, 0U);
      std::fill_n(memory, size, static_cast<char>(taken.size()));
      taken.emplace_back(memory, size);
    }
    for (std::size_t i = 0; i < taken.size(); ++i)
      for (std::ptrdiff_t j = 0; j < taken[i].second; ++j) ASSERT_EQ(taken[i].first[j], static_cast<char>(i));
  }
}

}  // namespace
}  // namespace nibble
