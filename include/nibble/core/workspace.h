// Scratch memory that outlives the calls that use it.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <vector>

#include "nibble/core/aligned.h"

namespace nibble {

/// Memory that products take their scratch from: a program that passes the same workspace to each call allocates
/// nothing more once the largest has been made, as long as W is a QuantizedMatrix. One call at a time may use it.
class Workspace {
 public:
  Workspace() = default;
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

 private:
  friend class Scratch;
  std::vector<AlignedArray<std::uint8_t>> blocks_;
  std::atomic<bool> busy_ = false;
};

/// What one call takes from a workspace, or from one of its own where there is none; given back when it is destroyed.
class Scratch {
 public:
  /// Throws std::invalid_argument, naming `function`, where another call uses the workspace.
  Scratch(const char* function, Workspace* workspace) : space_(workspace != nullptr ? *workspace : own_) {
    if (space_.busy_.exchange(true)) invalid(function, "a workspace that no other call uses", "one in use");
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    merge_blocks();
    space_.busy_ = false;
  }

  /// `count` elements of a trivial type, aligned to a cache line, of any value.
  template <class T> T* take(std::ptrdiff_t count) {
    const auto bytes = static_cast<std::size_t>(round_up(count * static_cast<std::ptrdiff_t>(sizeof(T)), alignment));
    auto& blocks = space_.blocks_;
    if (blocks.empty() || used_ + bytes > blocks.back().size()) {
      blocks.emplace_back(std::max(bytes, blocks.empty() ? std::size_t{1} << 14 : 2 * blocks.back().size()));
      used_ = 0;
    }
    T* const memory = reinterpret_cast<T*>(blocks.back().data() + used_);
    used_ += bytes;
    return memory;
  }

 private:
  /// Makes one block of several, so that the next call finds room; none where there is no memory for it.
  void merge_blocks() {
    auto& blocks = space_.blocks_;
    if (blocks.size() <= 1) return;
    std::size_t size = 0;
    for (const auto& block : blocks) size += block.size();
    blocks.clear();
    if (&space_ == &own_) return;
#ifdef __cpp_exceptions
    try {
      blocks.emplace_back(size);
    } catch (const std::bad_alloc&) {
    }
#else
    blocks.emplace_back(size);
#endif
  }

  Workspace own_;
  Workspace& space_;
  std::size_t used_ = 0;
};

}  // namespace nibble
