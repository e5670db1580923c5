// SharedProgress: the steps that several threads have done, told to one callback.
#pragma once

#include <algorithm>
#include <atomic>
#include <mutex>

#include "nibble/core/error.h"

namespace nibble {

/// Calls `progress`, where there is one, as Progress wants to be called. `advance` throws Cancelled, in the name of
/// `function`, once the callback has returned false, and so does `advance(0)`; loops can ask cancelled(), too.
class SharedProgress {
 public:
  SharedProgress(const char* function, const Progress& progress, std::ptrdiff_t steps)
      : function_(function), progress_(progress), steps_(steps) {
    advance(0);
  }
  void advance(std::ptrdiff_t steps) {
    if (!progress_) return;
    const std::lock_guard<std::mutex> lock(guard_);
    done_ = std::min(done_ + steps, steps_);
    if (!cancelled_ && progress_(done_, steps_)) return;
    cancelled_ = true;
    raise(Cancelled(function_));
  }
  /// The last call, where there was less to do than foreseen.
  void finish() {
    if (done_ < steps_) advance(steps_ - done_);
  }
  bool cancelled() const { return cancelled_; }

 private:
  const char* function_;
  const Progress& progress_;
  std::ptrdiff_t steps_, done_ = 0;
  std::atomic<bool> cancelled_ = false;
  std::mutex guard_;
};

}  // namespace nibble
