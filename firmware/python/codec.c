/* codec.c: from Python's floats to codes, and from integers to the actions that Python gets. */
#include "native.h"

#include <string.h>

int native_has_codec(const native_model_t *model, PyObject *error)
{
    if (!model->has_codec) {
        PyErr_SetString(error, "this image holds a program without encoder and decoder; use step");
    }
    return model->has_codec;
}

int native_encode(const native_model_t *model, const float *floats, int32_t *codes, Py_ssize_t row,
                  PyObject *error)
{
    const int channel = (int)grsn_encode(&model->model, floats, codes);
    if (channel < 0) {
        return 0; /* GRSN_ENCODED: callers have seen to it that there is an encoder */
    }
    if (row < 0) {
        PyErr_Format(error, "observation channel %d is NaN or infinite; the state was not advanced",
                     channel);
    } else {
        PyErr_Format(error,
                     "observation channel %d of stream %zd is NaN or infinite; no state was "
                     "advanced",
                     channel, row);
    }
    return -1;
}

static int has_shape(const native_model_t *model, const Py_buffer *view, Py_ssize_t rows)
{
    const Py_ssize_t n = (Py_ssize_t)model->model.action_n;
    if (model->is_discrete) {
        return view->len == view->itemsize * (rows < 0 ? 1 : rows);
    }
    if (rows < 0) {
        return view->ndim == 1 && view->shape[0] == n;
    }
    return view->ndim == 2 && view->shape[0] == rows && view->shape[1] == n;
}

static int has_type(const native_model_t *model, const Py_buffer *view)
{
    const char format = native_format(view);
    if (model->is_discrete) {
        return (format == 'i' || format == 'l' || format == 'q') &&
               (view->itemsize == 4 || view->itemsize == 8);
    }
    return format == 'f' || format == 'd';
}

int native_action(const native_model_t *model, PyObject *object, Py_ssize_t rows, Py_buffer *view,
                  PyObject *error)
{
    const char *types = model->is_discrete ? "int32 or int64" : "float32 or float64";
    if (PyObject_GetBuffer(object, view, PyBUF_FORMAT | PyBUF_ND | PyBUF_WRITABLE) < 0) {
        PyErr_Clear();
        PyErr_Format(error, "an action is written to a contiguous, writable array of %s", types);
        return -1;
    }
    const int aligned = (uintptr_t)view->buf % sizeof(float) == 0;
    if (has_type(model, view) && has_shape(model, view, rows) && aligned) {
        return 0;
    }
    PyErr_Format(error, "%zd action(s) of %u value(s) are written to aligned %s, not to %zd bytes of '%s'",
                 rows < 0 ? (Py_ssize_t)1 : rows, (unsigned)model->model.action_n, types, view->len,
                 view->format == NULL ? "B" : view->format);
    PyBuffer_Release(view);
    return -1;
}

static void write_index(char *to, Py_ssize_t size, int32_t index)
{
    const int64_t wide = index;
    memcpy(to, size == 8 ? (const void *)&wide : (const void *)&index, (size_t)size);
}

/* From the last on, in place: the floats lie where the first half of the doubles will. */
static void widen(char *row, size_t n)
{
    while (n-- > 0) {
        float narrow;
        memcpy(&narrow, row + n * sizeof narrow, sizeof narrow);
        const double wide = (double)narrow;
        memcpy(row + n * sizeof wide, &wide, sizeof wide);
    }
}

void native_write_action(const native_model_t *model, const int32_t *result, const Py_buffer *view,
                         Py_ssize_t row)
{
    const size_t n = model->model.action_n;
    char *to = (char *)view->buf + (size_t)row * (size_t)view->itemsize * n;
    if (model->is_discrete) {
        write_index(to, view->itemsize, result[0]);
        return;
    }
    grsn_decode(&model->model, result, (float *)(void *)to);
    if (view->itemsize == sizeof(double)) {
        widen(to, n);
    }
}
