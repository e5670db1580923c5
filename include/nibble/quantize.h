// quantize/: scale rules, the plain roundings, and the entry points quantize, quantize_bit_activations, easy_quant and
// quantize_with_outliers.
#pragma once

#include "nibble/matrix.h"
#include "nibble/quantize/abs_mean.h"
#include "nibble/quantize/default_rule.h"
#include "nibble/quantize/easy_quant.h"
#include "nibble/quantize/entropy.h"
#include "nibble/quantize/half_quadratic.h"
#include "nibble/quantize/minimal_error.h"
#include "nibble/quantize/mx_scale.h"
#include "nibble/quantize/outliers.h"
#include "nibble/quantize/output_error.h"
#include "nibble/quantize/percentile.h"
#include "nibble/quantize/plain_rounding.h"
#include "nibble/quantize/prepare.h"
#include "nibble/quantize/quantize.h"
#include "nibble/quantize/quantize_bit_activations.h"
#include "nibble/quantize/quantizer.h"
#include "nibble/quantize/scale_rule.h"
#include "nibble/quantize/signed_max.h"
