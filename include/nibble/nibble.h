// nibble: low-bit matrices for Eigen. Includes all of it.
#pragma once

#include "nibble/core.h"
#include "nibble/formats.h"
#include "nibble/io.h"
#include "nibble/kernels.h"
#include "nibble/matrix.h"
#include "nibble/metrics.h"
#include "nibble/quantize.h"
#include "nibble/rounding.h"
