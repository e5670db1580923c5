// error: constraints? not satisfied|constraint failure|constraints not satisfied
#include <nibble/nibble.h>

nibble::QuantizedMatrix<nibble::Int<4, nibble::Group<0>>> w;
