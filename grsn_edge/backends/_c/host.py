"""C that only a host needs: batches, the state's layout, and float to action in one call.

The encoder and decoder of ``docs/SPEC.md`` §4 and §5 in C, beside the step and outside it.
"""

from __future__ import annotations

from grsn_edge.backends._c.emit import CSource
from grsn_edge.policy import Policy
from grsn_edge.policy.encoder import FloatArray
from grsn_edge.program import Program

__all__ = ["act_header", "act_source", "call_source", "host_source"]


def host_source(program: Program, generated: CSource, name: str = "policy") -> str:
    """``<name>_layout`` and ``<name>_batch`` for a program."""
    offsets = [f"offsetof({name}_state_t, {field})" for field in generated.fields.values()]
    pointers = [
        f"(const {_pointer(node.dtype)})in[{i}] + (size_t)row * {node.n}"
        for i, node in enumerate(program.inputs)
    ]
    pointers += [
        f"({_pointer(program[value].dtype)})out[{i}] + (size_t)row * {program[value].n}"
        for i, value in enumerate(program.outputs.values())
    ]
    arguments = ",\n                ".join(["&states[row]", *pointers])
    return f"""\
#include <stddef.h>
#include <stdint.h>

#include "{name}.h"

void {name}_layout(uint64_t *sizes);
void {name}_batch(int32_t batch, {name}_state_t *states, const void *const *in, void *const *out);

void {name}_layout(uint64_t *sizes)
{{
    const size_t found[] = {{{", ".join([f"sizeof({name}_state_t)", *offsets])}}};
    for (size_t i = 0; i < sizeof found / sizeof *found; i++) {{
        sizes[i] = found[i];
    }}
}}

void {name}_batch(int32_t batch, {name}_state_t *states, const void *const *in, void *const *out)
{{
    (void)in; /* a program may have no input */
    for (int32_t row = 0; row < batch; row++) {{
        {name}_step({arguments});
    }}
}}
"""


def act_header(policy: Policy, name: str = "policy") -> str:
    """Declares ``<name>_act``, the step with the float encoder and decoder around it."""
    decoder = policy.decoder
    result = (
        "the index of the action" if decoder.is_discrete else f"0, with action[{decoder.n}] set"
    )
    refused = (
        "-1 - i where channel i is NaN or infinite: the state is then as before"
        if policy.encoder.on_invalid == "refuse"
        else "never negative: NaN counts as the code 0, infinities as the nearer end"
    )
    return f"""\
/* {name}_act: one step from float to action.  Generated; do not edit.
 *
 * Encode, {name}_step, decode, in IEEE binary32; the integers are those of {name}_step.
 * observation: {policy.encoder.n} numbers in the units of the policy's channels.
 * action: room for {decoder.n} numbers; not used by a policy that chooses among actions.
 * Returns {result};
 * {refused}.
 */
#ifndef {name.upper()}_ACT_H
#define {name.upper()}_ACT_H

#include "{name}.h"

int32_t {name}_act({name}_state_t *state, const float *observation, float *action);

#endif
"""


def act_source(policy: Policy, name: str = "policy") -> str:
    """Defines ``<name>_act``."""
    encoder, decoder = policy.encoder, policy.decoder
    (code,), (value,) = policy.program.inputs, policy.program.outputs.values()
    result = policy.program[value]
    refuse = encoder.on_invalid == "refuse"
    return f"""\
#include "{name}_act.h"

#include <float.h>
#include <math.h>

#if FLT_EVAL_METHOD != 0
#error "the encoder needs float arithmetic in IEEE binary32 (on x86: -mfpmath=sse)"
#endif

static const float encoder_offset[{encoder.n}] = {{{_floats(encoder.offset)}}};
static const float encoder_gain[{encoder.n}] = {{{_floats(encoder.gain)}}};
{"" if decoder.is_discrete else _decoder_tables(policy)}
int32_t {name}_act({name}_state_t *state, const float *observation, float *action)
{{
    {_type(code.dtype)} code[{code.n}];
    {_type(result.dtype)} result[{result.n}];
    for (int32_t i = 0; i < {encoder.n}; i++) {{
        const float x = observation[i];
{_REFUSE if refuse else ""}        const float centred = x - encoder_offset[i];
        const float scaled = rintf(centred * encoder_gain[i]);
        const float upper = scaled > {encoder.limit}.0f ? {encoder.limit}.0f : scaled;
        const float value = upper < -{encoder.limit}.0f ? -{encoder.limit}.0f : upper;
        code[i] = ({_type(code.dtype)}){"value" if refuse else "(isnan(x) ? 0.0f : value)"};
    }}
    {name}_step(state, code, result);
{_RETURN_INDEX if decoder.is_discrete else _return_action(decoder.n)}}}
"""


def call_source(policy: Policy, name: str = "policy") -> str:
    """``<name>_call``: ``<name>_act`` with its arguments in one structure, for callers that pay
    for each argument; ``<name>_call_of_doubles`` narrows the observation first."""
    return f"""\
#include "{name}_act.h"

typedef struct {{
    float *observation;
    {name}_state_t *state;
    float *action;
    const double *doubles;
}} {name}_context_t;

int32_t {name}_call(const {name}_context_t *context);
int32_t {name}_call_of_doubles(const {name}_context_t *context);

int32_t {name}_call(const {name}_context_t *context)
{{
    return {name}_act(context->state, context->observation, context->action);
}}

/* In IEEE 754, what is beyond binary32 becomes infinite. */
int32_t {name}_call_of_doubles(const {name}_context_t *context)
{{
    for (int32_t i = 0; i < {policy.encoder.n}; i++) {{
        context->observation[i] = (float)context->doubles[i];
    }}
    return {name}_call(context);
}}
"""


_REFUSE = """\
        if (!isfinite(x)) {
            return -1 - i;
        }
"""
_RETURN_INDEX = "    (void)action;\n    return (int32_t)result[0];\n"


def _return_action(n: int) -> str:
    return f"""\
    for (int32_t i = 0; i < {n}; i++) {{
        const float scaled = decoder_scale[i] * (float)result[i];
        action[i] = decoder_offset[i] + scaled;
    }}
    return 0;
"""


def _decoder_tables(policy: Policy) -> str:
    decoder = policy.decoder
    return (
        f"static const float decoder_offset[{decoder.n}] = {{{_floats(decoder.offset)}}};\n"
        f"static const float decoder_scale[{decoder.n}] = {{{_floats(decoder.scale)}}};\n"
    )


def _floats(values: FloatArray) -> str:
    """Hexadecimal literals: exact."""
    return ", ".join(f"{float(value).hex()}f" for value in values)


def _type(dtype: str) -> str:
    return f"{dtype}_t"


def _pointer(dtype: str) -> str:
    return f"{dtype}_t *"
