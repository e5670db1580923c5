// Products of low-bit matrices, the quantization of activations, casts of arrays, Hadamard transforms and rotations.
#pragma once

#include "nibble/kernels/any_matrix.h"
#include "nibble/kernels/binary_product.h"
#include "nibble/kernels/cast.h"
#include "nibble/kernels/compounds.h"
#include "nibble/kernels/gemm.h"
#include "nibble/kernels/hadamard.h"
#include "nibble/kernels/lane_product.h"
#include "nibble/kernels/quantize_activations.h"
#include "nibble/kernels/rotated.h"
#include "nibble/kernels/rotation.h"
