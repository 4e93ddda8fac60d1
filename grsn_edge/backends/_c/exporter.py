"""A policy as a folder of C99 that compiles by itself."""

from __future__ import annotations

import re
from collections.abc import Mapping

from grsn_edge.backends._c.compiler import header_texts
from grsn_edge.backends._c.emit import CSource, emit
from grsn_edge.backends._c.host import act_header, act_source
from grsn_edge.backends._c.spelling import numbers
from grsn_edge.backends._describe import description
from grsn_edge.errors import UsageError
from grsn_edge.policy import Golden, Policy
from grsn_edge.program import IntArray

__all__ = ["export"]

NAME = "policy"


def export(policy: Policy, *, with_encoder: bool) -> Mapping[str, bytes]:
    """Files by name; the same bytes for the same policy.

    Args:
        policy: with golden vectors, which become the self-test.
        with_encoder: also ``policy_act``, from float observation to float action.

    Raises:
        UsageError: the policy has no golden vectors.
    """
    if policy.golden is None:
        raise UsageError("a C export needs golden vectors for its self-test; record some first")
    generated = emit(policy.program, NAME)
    files = {
        "policy.h": generated.header,
        "policy.c": generated.source,
        "policy_selftest.h": _SELFTEST_HEADER,
        "policy_selftest.c": _selftest(policy, policy.golden, generated),
        "main.c": _example(policy),
        "CMakeLists.txt": _cmake(with_encoder),
        "policy.json": description(policy) + "\n",
    }
    for name, text in header_texts().items():
        files[name] = re.sub(r'"\.\./(kernels/)?\w+/', '"', text)  # all in one folder
    if with_encoder:
        files |= {"policy_act.h": act_header(policy), "policy_act.c": act_source(policy)}
    return {name: text.encode() for name, text in sorted(files.items())}


_SELFTEST_HEADER = """\
/* policy_selftest: replays the golden vectors recorded when the policy was frozen.
 *
 * Returns -1 where every action of every step and the final state are equal, else the index of the
 * first step that differs (the number of steps, where only the final state does).
 */
#ifndef POLICY_SELFTEST_H
#define POLICY_SELFTEST_H

#include "policy.h"

int32_t policy_selftest(void);

#endif
"""


def _selftest(policy: Policy, golden: Golden, generated: CSource) -> str:
    (source,), (value,) = policy.program.inputs, policy.program.outputs.values()
    action = policy.program[value]
    states = [
        f"    for (int32_t i = 0; i < {node.n}; i++) {{\n"
        f"        if (state.{generated.fields[node.name]}[i] != "
        f"last_{generated.fields[node.name]}[i]) {{\n"
        "            return STEPS;\n        }\n    }\n"
        for node in policy.program.states
    ]
    tables = [
        _table("codes", source.dtype, golden.code),
        _table("actions", action.dtype, golden.action),
        *(
            _table(f"last_{generated.fields[n.name]}", n.dtype, golden.state[n.name])
            for n in policy.program.states
        ),
    ]
    return f"""\
#include "policy_selftest.h"

#include "grsn_primitives.h"

enum {{ STEPS = {golden.steps}, INPUTS = {source.n}, ACTIONS = {action.n} }};

{"".join(tables)}
int32_t policy_selftest(void)
{{
    policy_state_t state;
    {source.dtype}_t code[INPUTS];
    {action.dtype}_t action[ACTIONS];
    policy_reset(&state);
    for (int32_t step = 0; step < STEPS; step++) {{
        for (int32_t i = 0; i < INPUTS; i++) {{
            code[i] = codes[step * INPUTS + i];
        }}
        policy_step(&state, code, action);
        for (int32_t i = 0; i < ACTIONS; i++) {{
            if (action[i] != actions[step * ACTIONS + i]) {{
                return step;
            }}
        }}
    }}
{"".join(states)}    return -1;
}}
"""


def _table(name: str, dtype: str, values: IntArray) -> str:
    lines = numbers(values, dtype)
    return f"static const GRSN_FLASH {dtype}_t {name}[{values.size}] = {{\n{lines}\n}};\n"


def _example(policy: Policy) -> str:
    (source,), (value,) = policy.program.inputs, policy.program.outputs.values()
    action = policy.program[value]
    return f"""\
/* Checks the policy on this machine, then takes one step. */
#include <stdio.h>

#include "policy_selftest.h"

int main(void)
{{
    const int32_t differs = policy_selftest();
    if (differs >= 0) {{
        printf("step %ld differs from the recorded one\\n", (long)differs);
        return 1;
    }}
    policy_state_t state; /* one per stream; the caller owns it */
    policy_reset(&state);
    const {source.dtype}_t observation[{source.n}] = {{0}};
    {action.dtype}_t action[{action.n}];
    policy_step(&state, observation, action);
    printf("self-test passed; first action %d\\n", (int)action[0]);
    return 0;
}}
"""


def _cmake(with_encoder: bool) -> str:
    extra = " policy_act.c" if with_encoder else ""
    link = "target_link_libraries(policy m)\n" if with_encoder else ""
    return f"""\
cmake_minimum_required(VERSION 3.13)
project(policy C)
set(CMAKE_C_STANDARD 99)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
add_library(policy STATIC policy.c policy_selftest.c{extra})
target_include_directories(policy PUBLIC ${{CMAKE_CURRENT_SOURCE_DIR}})
target_compile_options(policy PRIVATE -ffp-contract=off)
{link}add_executable(example main.c)
target_link_libraries(example policy)
"""
