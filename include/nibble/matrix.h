// matrix/: schemes, the quantized matrix and its layout, activations quantized to bytes or bits, sums and sparse matrices.
#pragma once

#include "nibble/formats.h"
#include "nibble/matrix/activations.h"
#include "nibble/matrix/bit_activations.h"
#include "nibble/matrix/layout.h"
#include "nibble/matrix/parts.h"
#include "nibble/matrix/quantized_matrix.h"
#include "nibble/matrix/scheme.h"
#include "nibble/matrix/schemes.h"
#include "nibble/matrix/sparse.h"
#include "nibble/matrix/sum.h"
