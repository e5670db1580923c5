// error: load names the types that an AnyMatrix may hold
#include <nibble/nibble.h>

#include <sstream>

int main() {
  std::istringstream in;
  nibble::Sum<nibble::AnyMatrix, nibble::AnyMatrix>::load(in);
}
