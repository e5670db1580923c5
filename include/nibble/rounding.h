// rounding/: choosing codes with the second moments of the inputs.
#pragma once

#include "nibble/quantize.h"
#include "nibble/rounding/cholesky.h"
#include "nibble/rounding/column_solver.h"
#include "nibble/rounding/comq.h"
#include "nibble/rounding/curvature.h"
#include "nibble/rounding/cyclic_rounding.h"
#include "nibble/rounding/decouple.h"
#include "nibble/rounding/feedback.h"
#include "nibble/rounding/fit_scales.h"
#include "nibble/rounding/gptq.h"
#include "nibble/rounding/hessian.h"
#include "nibble/rounding/hessian_tiles.h"
#include "nibble/rounding/lane_errors.h"
#include "nibble/rounding/refine.h"
#include "nibble/rounding/second_moments.h"
#include "nibble/rounding/triangle.h"
