// Every instruction set that has kernels: a line for each of its files.
#pragma once

#include "nibble/kernels/avx2/cast.h"
#include "nibble/kernels/avx2/lane_product.h"
#include "nibble/kernels/avx2/float.h"
#include "nibble/kernels/avx2/hadamard.h"
#include "nibble/kernels/avx2/integer.h"
#include "nibble/kernels/avx512/cast.h"
#include "nibble/kernels/avx512/lane_product.h"
#include "nibble/kernels/avx512/float.h"
#include "nibble/kernels/avx512/hadamard.h"
#include "nibble/kernels/avx512/integer.h"
#include "nibble/kernels/portable/cast.h"
#include "nibble/kernels/portable/lane_product.h"
#include "nibble/kernels/portable/hadamard.h"
#include "nibble/kernels/portable/kernels.h"
