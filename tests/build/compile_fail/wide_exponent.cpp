// error: exponent bits
#include <nibble/formats.h>

nibble::formats::MiniFloat<9, 6> f;
int bits = f.bits;
