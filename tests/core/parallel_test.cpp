// The parallel loop. Built twice: as it is, and with OpenMP.
#include "nibble/core/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>
#include <vector>

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

const std::vector<Executor> executors = {{}, on_threads, backwards};

TEST(ParallelFor, VisitsEveryIndexOnce) {
  for (const Executor& executor : executors) {
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
    parallel_for(101, {threads, on_threads}, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
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
  parallel_for(0, {4, backwards}, [&](std::ptrdiff_t, std::ptrdiff_t) { ++calls; });
  EXPECT_EQ(calls, 0);
}

TEST(ParallelFor, GivesTheExecutorOneTaskForEachRun) {
  std::ptrdiff_t tasks = 0;
  const Executor count_tasks = [&](std::ptrdiff_t count, const std::function<void(std::ptrdiff_t)>& task) {
    tasks = count;
    backwards(count, task);
  };
  parallel_for(100, {5, count_tasks}, [](std::ptrdiff_t, std::ptrdiff_t) {});
  EXPECT_EQ(tasks, 5);
  parallel_for(3, {5, count_tasks}, [](std::ptrdiff_t, std::ptrdiff_t) {});
  EXPECT_EQ(tasks, 3);
}

TEST(ParallelFor, PassesExceptionsOnOnceAllRunsHaveEnded) {
  for (const Executor& executor : executors) {
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
