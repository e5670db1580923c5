// Scratch memory that outlives the calls that use it.
#pragma once

#include <atomic>
#include <vector>

#include "nibble/core/aligned.h"

namespace nibble {

/// Memory that products take their scratch from and give back: a program that passes the same workspace to each call
/// allocates nothing once the largest call has been made. One call at a time may use it.
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
    // One block for all of it, so that the next call finds room.
    auto& blocks = space_.blocks_;
    if (blocks.size() > 1) {
      std::size_t size = 0;
      for (const auto& block : blocks) size += block.size();
      blocks.clear();
      if (&space_ != &own_) blocks.emplace_back(size);
    }
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
  Workspace own_;
  Workspace& space_;
  std::size_t used_ = 0;
};

}  // namespace nibble
