/* native.h: what the files of the Python extension grsn_edge._native share.
 *
 * One file for each type; module.c lists them.  Limited API of CPython 3.10: one binary serves every
 * later version.  To add a type: a file with one function `int native_add_<type>(PyObject *module)`,
 * declared here, listed in module.c and in hatch_build.py.
 */
#ifndef GRSN_NATIVE_H
#define GRSN_NATIVE_H

#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030A0000
#endif
#include <Python.h>
#include <structmember.h>

#include "grsn.h"
#include "grsn_codec.h"

/* Buffers joined the limited API with 3.11; CPython 3.10 has the same structure and exports the
 * same functions (python3.dll does not: Windows needs 3.11). */
#if Py_LIMITED_API + 0 < 0x030B0000
typedef struct {
    void *buf;
    PyObject *obj;
    Py_ssize_t len;
    Py_ssize_t itemsize;
    int readonly;
    int ndim;
    char *format;
    Py_ssize_t *shape;
    Py_ssize_t *strides;
    Py_ssize_t *suboffsets;
    void *internal;
} Py_buffer;
#define PyBUF_WRITABLE 0x0001
#define PyBUF_FORMAT 0x0004
#define PyBUF_ND 0x0008
PyAPI_FUNC(int) PyObject_GetBuffer(PyObject *exporter, Py_buffer *view, int flags);
PyAPI_FUNC(void) PyBuffer_Release(Py_buffer *view);
#endif

/* Errors of grsn_edge.errors and types of this module, looked up once. */
typedef struct {
    PyObject *backend_error;
    PyObject *observation_error;
    PyObject *state_error;
    PyObject *usage_error;
    PyObject *model_type;
} native_module_t;

/* The step for this processor, chosen once when the module is imported. */
typedef void native_step_t(const grsn_model_t *model, void *state, void *scratch,
                           const int32_t *observation, int32_t *action);

extern const char *native_lowering(void);
native_step_t *native_step(void);

/* An opened image, immutable. */
typedef struct {
    PyObject_HEAD
    grsn_model_t model;
    int has_codec;
    int is_discrete; /* where has_codec */
    uint8_t *image;
} native_model_t;

int native_add_model(PyObject *module);
int native_add_stream(PyObject *module);
int native_add_batch(PyObject *module);
int native_add_supervisor(PyObject *module);

/* The state of the module that defined `type`; never NULL for a type of this module. */
native_module_t *native_of(PyTypeObject *type);

/* Add a type to the module under its name, and keep it in *place where place is not NULL. */
int native_add_type(PyObject *module, PyType_Spec *spec, const char *name, PyObject **place);

/* Zeroed room for `count` times `size` bytes, freed by PyMem_Free; NULL with MemoryError raised. */
void *native_array(size_t count, size_t size);

/* Free an object of a heap type. */
void native_free(PyObject *self);

/* The one letter of a buffer's element type in this machine's byte order, or 0. */
char native_format(const Py_buffer *view);

/* A contiguous int32 buffer of exactly `count` elements; -1 with `error` raised, naming it `what`. */
int native_int32(PyObject *object, Py_buffer *view, int flags, Py_ssize_t count, const char *what,
                 PyObject *error);

/* `count` floats of a float32 or float64 buffer with the shape (rows, columns), or (columns,) where
 * rows is -1.  1 where they were copied, 0 where the object is something else (no error is set). */
int native_floats(PyObject *object, Py_ssize_t rows, Py_ssize_t columns, float *to);

/* Whether the image has an encoder and a decoder; raises `error` where it has none. */
int native_has_codec(const native_model_t *model, PyObject *error);

/* observation_n floats to codes; -1 with `error` raised where one is refused.  row: named in its
 * text where it is not negative. */
int native_encode(const native_model_t *model, const float *floats, int32_t *codes, Py_ssize_t row,
                  PyObject *error);

/* A buffer that takes `rows` actions (one where rows is -1): float32 or float64 (rows, action_n),
 * or of a discrete policy int32 or int64, one a row; -1 with `error` raised. */
int native_action(const native_model_t *model, PyObject *object, Py_ssize_t rows, Py_buffer *view,
                  PyObject *error);

/* Decode action_n integers into a row of a buffer of native_action.  Needs no GIL. */
void native_write_action(const native_model_t *model, const int32_t *result, const Py_buffer *view,
                         Py_ssize_t row);

#endif
