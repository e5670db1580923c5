// RowProgress: the rows that several threads have done, told to one callback.
#pragma once

#include <atomic>
#include <mutex>

#include "nibble/core/error.h"

namespace nibble::rounding {

/// Calls `progress`, where there is one, as Progress wants to be called. `advance` throws Cancelled, in the name of
/// `function`, to the thread that was told to end; the others see it in cancelled().
class RowProgress {
 public:
  RowProgress(const char* function, const Progress& progress, std::ptrdiff_t rows)
      : function_(function), progress_(progress), rows_(rows) {
    advance(0);
  }
  void advance(std::ptrdiff_t rows) {
    if (!progress_) return;
    const std::lock_guard<std::mutex> lock(guard_);
    done_ += rows;
    if (cancelled_ || progress_(done_, rows_)) return;
    cancelled_ = true;
    raise(Cancelled(function_));
  }
  /// The last call, where less was to do than the number of rows.
  void finish() {
    if (done_ < rows_) advance(rows_ - done_);
  }
  bool cancelled() const { return cancelled_; }

 private:
  const char* function_;
  const Progress& progress_;
  std::ptrdiff_t rows_, done_ = 0;
  std::atomic<bool> cancelled_ = false;
  std::mutex guard_;
};

}  // namespace nibble::rounding
