"""The engine of a firmware whose policy is compiled in: C behind ``grsn_engine.h``.

For boards that have no room for the virtual machine.  The policy's own files come from the C
export; this one is compiled with them instead of ``grsn_engine_vm.c``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from grsn_edge.backends._c.emit import emit
from grsn_edge.errors import UsageError
from grsn_edge.policy import Policy, canonical, model_hash, supervisor_section
from grsn_edge.program import IntArray, Node

__all__ = ["REPLACED", "engine_source"]

REPLACED = ("grsn_engine_vm.c",)
"""Sources of ``firmware/src`` that it stands for; those of the virtual machine and of the store are
then not needed either."""

_STORAGE = {"int8": ("i8", 1), "int16": ("i16", 2), "int32": ("i32", 4)}


def engine_source(policy: Policy) -> str:
    """``policy_engine.c`` for a policy; the same text for the same policy.

    Raises:
        UsageError: the policy has no golden vectors.
    """
    if policy.golden is None:
        raise UsageError("a firmware's policy needs golden vectors for its self-test; record some")
    program, golden = policy.program, policy.golden
    (source,), (value,) = program.inputs, program.outputs.values()
    states, fields = program.states, emit(program).fields
    saved = sum(node.n * _STORAGE[node.dtype][1] for node in states)
    parts = [
        _SETUP,
        _constants(policy, saved),
        _ranges([source, *states], {source.name: "observation", **fields}),
        _OPEN.format(
            observation=source.n,
            action=program[value].n,
            period=round(policy.period_s * 1e6),
            golden=golden.steps,
        ),
        _text(policy),
        _supervisor(policy),
        _step(source, program[value]),
        _state(states, fields),
    ]
    return "".join(parts)


_SETUP = """\
/* policy_engine: the policy in policy.c behind grsn_engine.h.  Generated; do not edit. */
#include "grsn_engine.h"
#include "policy.h"
#include "policy_selftest.h"

const uint8_t grsn_engine_kind = GRSN_ENGINE_GENERATED;

"""


def _constants(policy: Policy, saved: int) -> str:
    digest = bytes.fromhex(model_hash(policy))
    rows = [", ".join(f"{byte}" for byte in digest[at : at + 16]) for at in (0, 16)]
    return f"""\
static const uint8_t hash[GRSN_HASH_SIZE] = {{
    {rows[0]},
    {rows[1]},
}};

enum {{ SAVED = {saved}, STATE_WORDS = (sizeof(policy_state_t) + 3) / 4 }};
typedef char the_state_fits[STATE_WORDS * 4 + SAVED <= GRSN_ENGINE_WORK ? 1 : -1];

static policy_state_t *state_of(grsn_engine_t *engine)
{{
    return (policy_state_t *)engine->work;
}}

"""


def _ranges(nodes: list[Node], names: dict[str, str]) -> str:
    """Tables of the bounds that are not the same for all elements."""
    tables = [
        f"static const int32_t {end}_of_{names[node.name]}[{node.n}] = {{{_numbers(bounds)}}};\n"
        for node in nodes
        for end, bounds in (("low", node.interval.lo), ("high", node.interval.hi))
        if not _is_uniform(node)
    ]
    return "".join(tables) + "\n" * bool(tables)


_OPEN = """\
grsn_status_t grsn_engine_open(grsn_engine_t *engine, const uint8_t *image, uint32_t size)
{{
    grsn_model_t *model = &engine->model;
    (void)size;
    model->image = NULL;
    if (image != NULL) {{
        return GRSN_ERROR_VERSION; /* this firmware runs its own policy only */
    }}
    model->image = hash; /* a policy is there */
    model->image_size = 0;
    model->observation_n = {observation};
    model->action_n = {action};
    model->state_size = sizeof(policy_state_t);
    model->scratch_size = 0;
    model->saved_size = SAVED;
    model->period_us = {period};
    model->golden_steps = {golden};
    grsn_engine_reset(engine);
    return GRSN_OK;
}}

grsn_status_t grsn_engine_adopt(grsn_engine_t *engine)
{{
    return grsn_engine_open(engine, NULL, 0);
}}

void grsn_engine_reset(grsn_engine_t *engine)
{{
    policy_reset(state_of(engine));
}}

int32_t grsn_engine_selftest(grsn_engine_t *engine)
{{
    (void)engine;
    return policy_selftest();
}}

uint8_t *grsn_engine_saved(grsn_engine_t *engine)
{{
    return (uint8_t *)(engine->work + STATE_WORDS);
}}

const uint8_t *grsn_engine_hash(const grsn_engine_t *engine)
{{
    return engine->model.image;
}}

"""


def _text(policy: Policy) -> str:
    """Its name alone: the names of channels would be memory that small boards lack."""
    text = canonical.encode({"name": policy.name}).encode()
    return f"""\
static const uint8_t text[] = {{{", ".join(map(str, text))}}};

const uint8_t *grsn_engine_text(const grsn_engine_t *engine, uint32_t *size)
{{
    (void)engine;
    *size = sizeof text;
    return text;
}}

"""


def _supervisor(policy: Policy) -> str:
    section = supervisor_section(policy)
    head = """\
const uint8_t *grsn_engine_supervisor(const grsn_engine_t *engine, uint32_t *size)
{
    (void)engine;
"""
    if not section:
        return head + "    *size = 0;\n    return NULL;\n}\n\n"
    table = f"static const uint8_t supervisor[] = {{{', '.join(map(str, section))}}};\n\n"
    return f"{table}{head}    *size = sizeof supervisor;\n    return supervisor;\n}}\n\n"


def _step(source: Node, action: Node) -> str:
    low, high = _bounds(source, "observation", "i")
    return f"""\
void grsn_engine_step(grsn_engine_t *engine, const int32_t *observation, int32_t *action)
{{
    {source.dtype}_t code[{source.n}];
    {action.dtype}_t result[{action.n}];
    for (int32_t i = 0; i < {source.n}; i++) {{
        const int32_t low = {low}, high = {high}, x = observation[i];
        code[i] = ({source.dtype}_t)(x < low ? low : x > high ? high : x);
    }}
    policy_step(state_of(engine), code, result);
    for (int32_t i = 0; i < {action.n}; i++) {{
        action[i] = result[i];
    }}
}}
"""


def _state(states: Sequence[Node], names: Mapping[str, str]) -> str:
    puts, checks, takes = [], [], []
    at = 0
    for node in states:
        name, (suffix, width) = names[node.name], _STORAGE[node.dtype]
        low, high = _bounds(node, name, "i")
        puts.append(_PUT.format(n=node.n, name=name, suffix=suffix, at=at, width=width))
        take = f"get_{suffix}(saved + {at} + i * {width})"
        checks.append(_CHECK.format(n=node.n, low=low, high=high, take=take))
        takes.append(_TAKE.format(n=node.n, name=name, take=take, dtype=node.dtype))
        at += node.n * width
    used = sorted({_STORAGE[node.dtype][0] for node in states})
    unused = "" if states else "    (void)engine;\n    (void)saved;\n"
    target = "    policy_state_t *state = state_of(engine);\n" if states else ""
    access = "".join(_ACCESS[suffix] for suffix in used)
    return f"""
{access}void grsn_engine_state_get(grsn_engine_t *engine, uint8_t *saved)
{{
{target.replace("    policy", "    const policy")}{unused}{"".join(puts)}}}

grsn_status_t grsn_engine_state_set(grsn_engine_t *engine, const uint8_t *saved, uint32_t size)
{{
{target}{unused}    if (size != SAVED) {{
        return GRSN_ERROR_STATE;
    }}
{"".join(checks)}{"".join(takes)}    return GRSN_OK;
}}
"""


_PUT = """\
    for (int32_t i = 0; i < {n}; i++) {{
        put_{suffix}(saved + {at} + i * {width}, state->{name}[i]);
    }}
"""
_CHECK = """\
    for (int32_t i = 0; i < {n}; i++) {{
        if ({take} < {low} || {take} > {high}) {{
            return GRSN_ERROR_STATE;
        }}
    }}
"""
_TAKE = """\
    for (int32_t i = 0; i < {n}; i++) {{
        state->{name}[i] = ({dtype}_t){take};
    }}
"""
_ACCESS = {
    "i8": """\
static int32_t get_i8(const uint8_t *bytes)
{
    return (int8_t)bytes[0];
}

static void put_i8(uint8_t *bytes, int8_t value)
{
    bytes[0] = (uint8_t)value;
}

""",
    "i16": """\
static int32_t get_i16(const uint8_t *bytes)
{
    return (int16_t)(uint16_t)(bytes[0] | (uint16_t)bytes[1] << 8);
}

static void put_i16(uint8_t *bytes, int16_t value)
{
    bytes[0] = (uint8_t)((uint16_t)value & 0xffu);
    bytes[1] = (uint8_t)((uint16_t)value >> 8);
}

""",
    "i32": """\
static int32_t get_i32(const uint8_t *bytes)
{
    return (int32_t)((uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
                     (uint32_t)bytes[3] << 24);
}

static void put_i32(uint8_t *bytes, int32_t value)
{
    for (int32_t i = 0; i < 4; i++) {
        bytes[i] = (uint8_t)((uint32_t)value >> (8 * i) & 0xffu);
    }
}

""",
}


def _is_uniform(node: Node) -> bool:
    lo, hi = node.interval.lo, node.interval.hi
    return bool((lo == lo[0]).all() and (hi == hi[0]).all())


def _bounds(node: Node, name: str, index: str) -> tuple[str, str]:
    if _is_uniform(node):
        return _number(node.interval.low), _number(node.interval.high)
    return f"low_of_{name}[{index}]", f"high_of_{name}[{index}]"


def _numbers(values: IntArray) -> str:
    return ", ".join(_number(int(value)) for value in values)


def _number(value: int) -> str:
    """-2^31 has no literal in C."""
    return "(-INT32_C(2147483647) - 1)" if value == -(2**31) else f"INT32_C({value})"
