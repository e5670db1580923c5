// A pool of threads, as small as it can be: what a program may have of its own.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

/// Threads that wait for work; the caller works too.
class ThreadPool {
 public:
  explicit ThreadPool(int threads) {
    for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { work(); });
  }
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;
  ~ThreadPool() {
    {
      const std::lock_guard<std::mutex> lock(guard_);
      stop_ = true;
    }
    wake_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }

  /// Runs task(0) .. task(count - 1) and returns when all have ended; one call at a time.
  void run(std::ptrdiff_t count, const std::function<void(std::ptrdiff_t)>& task) {
    std::unique_lock<std::mutex> lock(guard_);
    task_ = &task;
    next_ = 0;
    count_ = left_ = count;
    wake_.notify_all();
    take(lock);
    done_.wait(lock, [this] { return left_ == 0; });
  }

 private:
  void work() {
    std::unique_lock<std::mutex> lock(guard_);
    while (!stop_) {
      take(lock);
      wake_.wait(lock, [this] { return stop_ || next_ < count_; });
    }
  }

  /// Runs tasks until none is left to start.
  void take(std::unique_lock<std::mutex>& lock) {
    while (next_ < count_) {
      const std::ptrdiff_t index = next_++;
      lock.unlock();
      (*task_)(index);
      lock.lock();
      if (--left_ == 0) done_.notify_all();
    }
  }

  std::mutex guard_;
  std::condition_variable wake_, done_;
  const std::function<void(std::ptrdiff_t)>* task_ = nullptr;
  std::ptrdiff_t next_ = 0, count_ = 0, left_ = 0;
  bool stop_ = false;
  std::vector<std::thread> workers_;
};
