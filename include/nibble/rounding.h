// rounding/: choosing codes with the second moments of the inputs.
#pragma once

#include "nibble/quantize.h"
#include "nibble/rounding/ada_quant.h"
#include "nibble/rounding/ada_round.h"
#include "nibble/rounding/bias.h"
#include "nibble/rounding/cholesky.h"
#include "nibble/rounding/column_solver.h"
#include "nibble/rounding/curvature.h"
#include "nibble/rounding/descent.h"
#include "nibble/rounding/feedback.h"
#include "nibble/rounding/gptq.h"
#include "nibble/rounding/hessian.h"
#include "nibble/rounding/second_moments.h"
#include "nibble/rounding/triangle.h"
