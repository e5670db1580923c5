// The parallel loop. Built twice: as it is, and with OpenMP.
#include "nibble/core/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <set>
#include <thread>
#include <vector>

namespace {

/// Allocations of this program so far.
std::atomic<long> allocations = 0;

}  // namespace

void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace nibble {
namespace {

void on_threads(std::ptrdiff_t count, const std::function<void(std::ptrdiff_t)>& task) {
  std::vector<std::thread> threads;
  for (std::ptrdiff_t i = 0; i < count; ++i) threads.emplace_back([&task, i] { task(i); });
  for (std::thread& thread : threads) thread.join();
}

void backwards(std::ptrdiff_t count, const std::function<void(std::ptrdiff_t)>& task) {
  for (std::ptrdiff_t i = count; i-- > 0;) task(i);
}

const std::vector<std::optional<Executor>> executors = {{}, on_threads, backwards};

TEST(ParallelFor, VisitsEveryIndexOnce) {
  for (const auto& executor : executors) {
    for (int threads : {1, 2, 3, 7, 16}) {
      for (std::ptrdiff_t count : {0, 1, 2, 3, 15, 16, 17, 101}) {
        std::vector<std::atomic<int>> visits(static_cast<std::size_t>(count));
        parallel_for(count, {threads, executor}, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
          for (std::ptrdiff_t i = begin; i < end; ++i) ++visits[static_cast<std::size_t>(i)];
        });
        for (const auto& v : visits) ASSERT_EQ(v, 1) << threads << " threads, " << count;
      }
    }
  }
}

TEST(ParallelFor, CutsIntoRunsOfNearlyEqualLength) {
  for (int threads : {1, 2, 3, 7, 200}) {
    std::mutex guard;
    std::vector<std::ptrdiff_t> lengths;
    parallel_for(101, {threads, executors[1]}, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
      const std::lock_guard<std::mutex> lock(guard);
      lengths.push_back(end - begin);
    });
    EXPECT_EQ(lengths.size(), static_cast<std::size_t>(std::min(threads, 101)));
    const auto [least, most] = std::minmax_element(lengths.begin(), lengths.end());
    EXPECT_LE(*most - *least, 1);
  }
}

TEST(ParallelFor, NeverCallsTheBodyForNothing) {
  int calls = 0;
  parallel_for(0, {4, executors[2]}, [&](std::ptrdiff_t, std::ptrdiff_t) { ++calls; });
  EXPECT_EQ(calls, 0);
}

TEST(ParallelFor, GivesTheExecutorOneTaskForEachRun) {
  std::ptrdiff_t tasks = 0;
  const std::optional<Executor> count_tasks = [&](std::ptrdiff_t count,
                                                  const std::function<void(std::ptrdiff_t)>& task) {
    tasks = count;
    backwards(count, task);
  };
  parallel_for(100, {5, count_tasks}, [](std::ptrdiff_t, std::ptrdiff_t) {});
  EXPECT_EQ(tasks, 5);
  parallel_for(3, {5, count_tasks}, [](std::ptrdiff_t, std::ptrdiff_t) {});
  EXPECT_EQ(tasks, 3);
}

TEST(ParallelFor, PassesExceptionsOnOnceAllRunsHaveEnded) {
  for (const auto& executor : executors) {
    std::atomic<int> ended = 0;
    const auto body = [&](std::ptrdiff_t begin, std::ptrdiff_t) {
      ++ended;
      if (begin == 0) throw std::out_of_range("from the body");
    };
    try {
      parallel_for(4, {4, executor}, body);
      ADD_FAILURE();
    } catch (const std::out_of_range& error) {
      EXPECT_STREQ(error.what(), "from the body");
    }
    EXPECT_EQ(ended, 4);
    EXPECT_THROW(parallel_for(4, {1, executor}, body), std::out_of_range);
  }
}

TEST(ParallelFor, PassesTheFirstRunsExceptionOn) {
  for (const auto& executor : executors) try {
      parallel_for(5, {5, executor}, [](std::ptrdiff_t begin, std::ptrdiff_t) {
        if (begin > 0) throw std::out_of_range(text(begin));
      });
      ADD_FAILURE();
    } catch (const std::out_of_range& error) {
      EXPECT_STREQ(error.what(), "1");
    }
}

TEST(ParallelFor, PassesTheExecutorsExceptionsOn) {
  const std::optional<Executor> throws = [](std::ptrdiff_t count, const std::function<void(std::ptrdiff_t)>& task) {
    backwards(count, task);
    throw std::domain_error("from the executor");
  };
  EXPECT_THROW(parallel_for(4, {4, throws}, [](std::ptrdiff_t, std::ptrdiff_t) {}), std::domain_error);
}

TEST(ParallelFor, RejectsExecutorsThatSkipTasks) {
  const std::optional<Executor> skips = [](std::ptrdiff_t count, const std::function<void(std::ptrdiff_t)>& task) {
    backwards(count - 1, task);
  };
  try {
    parallel_for(4, {4, skips}, [](std::ptrdiff_t, std::ptrdiff_t) {});
    ADD_FAILURE();
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(), "nibble::parallel_for: expected an executor that runs 4 tasks, got 3 calls");
  }
}

TEST(ParallelFor, RejectsAnEmptyExecutor) {
  const std::optional<Executor> empty = Executor{};
  for (std::ptrdiff_t count : {0, 1, 4}) try {
      parallel_for(count, {4, empty}, [](std::ptrdiff_t, std::ptrdiff_t) { FAIL(); });
      ADD_FAILURE();
    } catch (const std::invalid_argument& error) {
      EXPECT_STREQ(error.what(), "nibble::parallel_for: expected an executor that can be called, got an empty one");
    }
}

TEST(ParallelFor, AllocatesNothing) {
  std::atomic<std::ptrdiff_t> sum = 0;
  const double large[8] = {};  // more than a function holds in place
  const std::optional<Executor> heavy = [large](std::ptrdiff_t count, const std::function<void(std::ptrdiff_t)>& task) {
    for (std::ptrdiff_t i = 0; i < count + static_cast<std::ptrdiff_t>(large[0]); ++i) task(i);
  };
  const long before = allocations;
  for (const auto* executor : {&executors[0], &executors[2], &heavy})
    parallel_for(10, {4, *executor}, [&](std::ptrdiff_t begin, std::ptrdiff_t end) { sum += end - begin; });
  EXPECT_EQ(allocations, before);
  EXPECT_EQ(sum, 30);
}

TEST(ParallelFor, RejectsNoThreads) {
  for (int threads : {0, -1}) {
    try {
      parallel_for(3, {threads}, [](std::ptrdiff_t, std::ptrdiff_t) { FAIL(); });
      ADD_FAILURE();
    } catch (const std::invalid_argument& error) {
      EXPECT_EQ(error.what(), text("nibble::parallel_for: expected at least 1 thread, got ", threads));
    }
  }
}

// Without an executor: one thread as it is, several with OpenMP.
TEST(ParallelFor, RunsWhereItSaysItDoes) {
  std::mutex guard;
  std::set<std::thread::id> ids;
  parallel_for(4, {4}, [&](std::ptrdiff_t, std::ptrdiff_t) {
    const std::lock_guard<std::mutex> lock(guard);
    ids.insert(std::this_thread::get_id());
  });
#ifdef _OPENMP
  EXPECT_GT(ids.size(), 1U);
#else
  EXPECT_EQ(ids, std::set<std::thread::id>{std::this_thread::get_id()});
#endif
}

}  // namespace
}  // namespace nibble
