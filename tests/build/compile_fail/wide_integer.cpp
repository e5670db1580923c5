// error: 1 to 16 bits
#include <nibble/formats.h>

int bits = nibble::formats::Int<17>::bits;
