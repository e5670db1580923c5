// An executor that runs each task on a thread of its own.
#pragma once

#include <nibble/core.h>

#include <optional>
#include <thread>
#include <vector>

namespace nibble::test {

inline const std::optional<Executor> threads = [](std::ptrdiff_t count,
                                                  const std::function<void(std::ptrdiff_t)>& task) {
  std::vector<std::thread> started;
  for (std::ptrdiff_t i = 0; i < count; ++i) started.emplace_back(task, i);
  for (auto& t : started) t.join();
};

}  // namespace nibble::test
