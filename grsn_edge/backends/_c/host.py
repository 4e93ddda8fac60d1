"""C that only a host needs: batches, the state's layout, and float to action in one call.

The encoder and decoder of ``docs/SPEC.md`` §4 and §5 in C, beside the step and outside it.
"""

from __future__ import annotations

from grsn_edge.backends._c.emit import CSource
from grsn_edge.policy import Policy
from grsn_edge.policy.encoder import FloatArray
from grsn_edge.program import Program

__all__ = ["host_source", "policy_source"]


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
    for (int32_t row = 0; row < batch; row++) {{
        {name}_step({arguments});
    }}
}}
"""


def policy_source(policy: Policy, name: str = "policy") -> str:
    """``<name>_act``: encode, step and decode of one observation.

    It returns the index of a discrete action, or 0, or ``-1 - channel`` for a refused observation.
    """
    encoder, decoder = policy.encoder, policy.decoder
    (code,), (value,) = policy.program.inputs, policy.program.outputs.values()
    action = policy.program[value]
    refuse = encoder.on_invalid == "refuse"
    return f"""\
#include <float.h>
#include <math.h>
#include <stdint.h>

#include "{name}.h"

#if FLT_EVAL_METHOD != 0
#error "the encoder needs float arithmetic in IEEE binary32 (on x86: -mfpmath=sse)"
#endif

typedef struct {{
    const float *observation;
    {name}_state_t *state;
    float *action;
}} {name}_context_t;

int32_t {name}_act(const {name}_context_t *context);

static const float offset[{encoder.n}] = {{{_floats(encoder.offset)}}};
static const float gain[{encoder.n}] = {{{_floats(encoder.gain)}}};
{"" if decoder.is_discrete else _decoder_tables(policy)}
int32_t {name}_act(const {name}_context_t *context)
{{
    {_type(code.dtype)} code[{code.n}];
    {_type(action.dtype)} action[{action.n}];
    for (int32_t i = 0; i < {encoder.n}; i++) {{
        const float x = context->observation[i];
{_REFUSE if refuse else ""}        const float scaled = rintf((x - offset[i]) * gain[i]);
        const float upper = scaled > {encoder.limit}.0f ? {encoder.limit}.0f : scaled;
        const float value = upper < -{encoder.limit}.0f ? -{encoder.limit}.0f : upper;
        code[i] = ({_type(code.dtype)}){"value" if refuse else "(isnan(x) ? 0.0f : value)"};
    }}
    {name}_step(context->state, code, action);
{_RETURN_INDEX if decoder.is_discrete else _return_action(decoder.n)}}}
"""


_REFUSE = """\
        if (!isfinite(x)) {
            return -1 - i;
        }
"""
_RETURN_INDEX = "    return (int32_t)action[0];\n"


def _return_action(n: int) -> str:
    return f"""\
    for (int32_t i = 0; i < {n}; i++) {{
        context->action[i] = middle[i] + scale[i] * (float)action[i];
    }}
    return 0;
"""


def _decoder_tables(policy: Policy) -> str:
    decoder = policy.decoder
    return (
        f"static const float middle[{decoder.n}] = {{{_floats(decoder.offset)}}};\n"
        f"static const float scale[{decoder.n}] = {{{_floats(decoder.scale)}}};\n"
    )


def _floats(values: FloatArray) -> str:
    """Hexadecimal literals: exact."""
    return ", ".join(f"{float(value).hex()}f" for value in values)


def _type(dtype: str) -> str:
    return f"{dtype}_t"


def _pointer(dtype: str) -> str:
    return f"{dtype}_t *"
