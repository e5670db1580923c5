// What a call throws.
#pragma once

#include <stdexcept>
#include <string>

namespace nibble::test {

/// The message of the Error that `call` throws; empty where it throws none.
template <class Error = std::invalid_argument, class F> std::string message_of(F&& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace nibble::test
