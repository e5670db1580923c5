// error: constraints? not satisfied|no type named|constraint failure
#include <nibble/nibble.h>

nibble::QuantizedMatrix<nibble::Int<17>> w;
