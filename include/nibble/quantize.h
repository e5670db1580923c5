// quantize/: scale rules, the plain roundings, and the entry points quantize and quantize_activations.
#pragma once

#include "nibble/matrix.h"
#include "nibble/quantize/minimal_error.h"
#include "nibble/quantize/output_error.h"
#include "nibble/quantize/plain_rounding.h"
#include "nibble/quantize/prepare.h"
#include "nibble/quantize/quantize.h"
#include "nibble/quantize/quantize_activations.h"
#include "nibble/quantize/quantizer.h"
#include "nibble/quantize/scale_rule.h"
