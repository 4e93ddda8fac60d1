/* batch.c: grsn_edge._native.Batch, many states of one model, stepped without the GIL.
 *
 * The rows are split into parts, each with scratch memory of its own, so that threads may step
 * different parts at the same time.  All memory is allocated when the batch is made.
 */
#include "native.h"

#include <string.h>

typedef struct {
    PyObject_HEAD
    native_model_t *model;
    native_step_t *step;
    Py_ssize_t rows;
    Py_ssize_t parts;
    size_t state_stride;   /* bytes from one row's state to the next */
    size_t scratch_stride; /* bytes from one part's scratch memory to the next */
    uint8_t *states;
    uint8_t *scratches;
    int32_t *codes;   /* rows x observation_n, from encode */
    int32_t *results; /* parts x action_n */
    float *floats;    /* rows x observation_n */
    uint8_t *busy;    /* per part: whether a thread is in it; read and written under the GIL */
} batch_t;

/* Threads that step neighbouring rows share no line of the cache. */
enum { CACHE_LINE = 64 };

static size_t stride_of(uint32_t size)
{
    return ((size_t)size / CACHE_LINE + 1) * CACHE_LINE;
}

static native_module_t *module_of(const batch_t *self)
{
    return native_of(Py_TYPE((PyObject *)self));
}

static int allocate(batch_t *self)
{
    const grsn_model_t *model = &self->model->model;
    const size_t rows = (size_t)self->rows, parts = (size_t)self->parts;
    self->state_stride = stride_of(model->state_size);
    self->scratch_stride = stride_of(model->scratch_size);
    self->states = native_array(rows, self->state_stride);
    self->scratches = native_array(parts, self->scratch_stride);
    self->codes = native_array(rows, model->observation_n * sizeof *self->codes);
    self->results = native_array(parts, stride_of((uint32_t)(model->action_n * sizeof(int32_t))));
    self->floats = native_array(rows, model->observation_n * sizeof *self->floats);
    self->busy = native_array(parts, sizeof *self->busy);
    return self->states && self->scratches && self->codes && self->results && self->floats &&
                   self->busy
               ? 0
               : -1;
}

static void *state_of(const batch_t *self, Py_ssize_t row)
{
    return self->states + (size_t)row * self->state_stride;
}

static void reset_all(batch_t *self)
{
    for (Py_ssize_t row = 0; row < self->rows; row++) {
        grsn_reset(&self->model->model, state_of(self, row));
    }
}

static PyObject *batch_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"model", "rows", "parts", NULL};
    PyObject *model;
    Py_ssize_t rows, parts = 1;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "O!n|n:Batch", names,
                                     native_of(type)->model_type, &model, &rows, &parts)) {
        return NULL;
    }
    if (rows < 0 || parts < 1) {
        PyErr_SetString(native_of(type)->usage_error, "a batch has 0 rows or more, 1 part or more");
        return NULL;
    }
    allocfunc allocate_object = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    batch_t *self = (batch_t *)allocate_object(type, 0);
    if (self == NULL) {
        return NULL;
    }
    Py_INCREF(model);
    self->model = (native_model_t *)model;
    self->step = native_step();
    self->rows = rows;
    self->parts = parts;
    if (allocate(self) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    reset_all(self);
    return (PyObject *)self;
}

static void batch_dealloc(PyObject *object)
{
    batch_t *self = (batch_t *)object;
    PyMem_Free(self->states);
    PyMem_Free(self->scratches);
    PyMem_Free(self->codes);
    PyMem_Free(self->results);
    PyMem_Free(self->floats);
    PyMem_Free(self->busy);
    Py_CLEAR(self->model);
    native_free(object);
}

/* Whether no thread is in the batch; raises where one is. */
static int is_idle(batch_t *self)
{
    for (Py_ssize_t part = 0; part < self->parts; part++) {
        if (self->busy[part]) {
            PyErr_SetString(module_of(self)->usage_error,
                            "another thread is stepping this batch; wait for it");
            return 0;
        }
    }
    return 1;
}

/* The part of an optional last argument, marked busy; -1 with an error raised. */
static Py_ssize_t enter(batch_t *self, PyObject *const *args, Py_ssize_t n, Py_ssize_t fixed,
                        const char *usage)
{
    if (n != fixed && n != fixed + 1) {
        PyErr_SetString(PyExc_TypeError, usage);
        return -1;
    }
    const Py_ssize_t part = n == fixed ? 0 : PyLong_AsSsize_t(args[fixed]);
    if (part == -1 && PyErr_Occurred()) {
        return -1;
    }
    if (part < 0 || part >= self->parts) {
        PyErr_Format(module_of(self)->usage_error, "this batch has %zd parts; there is no part %zd",
                     self->parts, part);
        return -1;
    }
    if (self->busy[part]) {
        PyErr_Format(module_of(self)->usage_error, "another thread is stepping part %zd", part);
        return -1;
    }
    self->busy[part] = 1;
    return part;
}

/* Rows [first, last) of a part: equal shares to within one row. */
static Py_ssize_t first_row(const batch_t *self, Py_ssize_t part)
{
    const Py_ssize_t share = self->rows / self->parts, more = self->rows % self->parts;
    return part * share + (part < more ? part : more);
}

static void step_part(batch_t *self, Py_ssize_t part, const int32_t *codes, int32_t *results)
{
    const grsn_model_t *model = &self->model->model;
    void *scratch = self->scratches + (size_t)part * self->scratch_stride;
    const Py_ssize_t last = first_row(self, part + 1);
    for (Py_ssize_t row = first_row(self, part); row < last; row++) {
        self->step(model, state_of(self, row), scratch, codes + (size_t)row * model->observation_n,
                   results + (size_t)row * model->action_n);
    }
}

static void act_part(batch_t *self, Py_ssize_t part, Py_buffer *to)
{
    const grsn_model_t *model = &self->model->model;
    void *scratch = self->scratches + (size_t)part * self->scratch_stride;
    int32_t *result = (int32_t *)((uint8_t *)self->results +
                                  (size_t)part *
                                      stride_of((uint32_t)(model->action_n * sizeof *result)));
    const Py_ssize_t last = first_row(self, part + 1);
    for (Py_ssize_t row = first_row(self, part); row < last; row++) {
        self->step(model, state_of(self, row), scratch,
                   self->codes + (size_t)row * model->observation_n, result);
        native_write_action(self->model, result, to, row);
    }
}

static PyObject *batch_step(PyObject *object, PyObject *const *args, Py_ssize_t n)
{
    batch_t *self = (batch_t *)object;
    const grsn_model_t *model = &self->model->model;
    Py_buffer from, to;
    const Py_ssize_t part =
        enter(self, args, n, 2, "step takes observations, actions and perhaps a part");
    if (part < 0) {
        return NULL;
    }
    PyObject *done = NULL;
    if (native_int32(args[0], &from, 0, self->rows * (Py_ssize_t)model->observation_n,
                     "observations", module_of(self)->observation_error) == 0) {
        if (native_int32(args[1], &to, PyBUF_WRITABLE, self->rows * (Py_ssize_t)model->action_n,
                         "actions", module_of(self)->usage_error) == 0) {
            Py_BEGIN_ALLOW_THREADS
            step_part(self, part, from.buf, to.buf);
            Py_END_ALLOW_THREADS
            PyBuffer_Release(&to);
            done = Py_None;
        }
        PyBuffer_Release(&from);
    }
    self->busy[part] = 0;
    Py_XINCREF(done);
    return done;
}

static PyObject *batch_encode(PyObject *object, PyObject *observations)
{
    batch_t *self = (batch_t *)object;
    const Py_ssize_t n = (Py_ssize_t)self->model->model.observation_n;
    PyObject *error = module_of(self)->observation_error;
    if (!native_has_codec(self->model, module_of(self)->usage_error) || !is_idle(self)) {
        return NULL;
    }
    if (!native_floats(observations, self->rows, n, self->floats)) {
        PyErr_Format(error,
                     "observations are a contiguous float32 or float64 array of the shape (%zd, "
                     "%zd)",
                     self->rows, n);
        return NULL;
    }
    for (Py_ssize_t row = 0; row < self->rows; row++) {
        const Py_ssize_t at = row * n;
        if (native_encode(self->model, self->floats + at, self->codes + at, row, error) < 0) {
            return NULL;
        }
    }
    Py_RETURN_NONE;
}

static PyObject *batch_advance(PyObject *object, PyObject *const *args, Py_ssize_t n)
{
    batch_t *self = (batch_t *)object;
    Py_buffer to;
    if (!native_has_codec(self->model, module_of(self)->usage_error)) {
        return NULL;
    }
    const Py_ssize_t part = enter(self, args, n, 1, "advance takes actions and perhaps a part");
    if (part < 0) {
        return NULL;
    }
    const int failed =
        native_action(self->model, args[0], self->rows, &to, module_of(self)->usage_error);
    if (!failed) {
        Py_BEGIN_ALLOW_THREADS
        act_part(self, part, &to);
        Py_END_ALLOW_THREADS
        PyBuffer_Release(&to);
    }
    self->busy[part] = 0;
    if (failed) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *batch_reset(PyObject *object, PyObject *const *args, Py_ssize_t n)
{
    batch_t *self = (batch_t *)object;
    if (n > 1) {
        PyErr_SetString(PyExc_TypeError, "reset takes a row, or nothing for all of them");
        return NULL;
    }
    if (!is_idle(self)) {
        return NULL;
    }
    if (n == 0) {
        reset_all(self);
        Py_RETURN_NONE;
    }
    const Py_ssize_t row = PyLong_AsSsize_t(args[0]);
    if (row == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (row < 0 || row >= self->rows) {
        PyErr_Format(module_of(self)->usage_error, "this batch has %zd rows; there is no row %zd",
                     self->rows, row);
        return NULL;
    }
    grsn_reset(&self->model->model, state_of(self, row));
    Py_RETURN_NONE;
}

static PyObject *batch_state_get(PyObject *object, PyObject *unused)
{
    batch_t *self = (batch_t *)object;
    const grsn_model_t *model = &self->model->model;
    (void)unused;
    if (!is_idle(self)) {
        return NULL;
    }
    PyObject *saved = PyBytes_FromStringAndSize(NULL, self->rows * (Py_ssize_t)model->saved_size);
    if (saved != NULL) {
        uint8_t *to = (uint8_t *)PyBytes_AsString(saved);
        for (Py_ssize_t row = 0; row < self->rows; row++) {
            grsn_state_get(model, state_of(self, row), to + (size_t)row * model->saved_size);
        }
    }
    return saved;
}

/* The status of the first row that is refused; tried on a state aside, so that all rows or none
 * are replaced. */
static grsn_status_t set_rows(batch_t *self, const uint8_t *saved, void *aside)
{
    const grsn_model_t *model = &self->model->model;
    for (int pass = 0; pass < 2; pass++) {
        for (Py_ssize_t row = 0; row < self->rows; row++) {
            void *state = pass == 0 ? aside : state_of(self, row);
            grsn_status_t status = grsn_state_set(
                model, state, saved + (size_t)row * model->saved_size, model->saved_size);
            if (status != GRSN_OK) {
                return status;
            }
        }
    }
    return GRSN_OK;
}

static PyObject *batch_state_set(PyObject *object, PyObject *saved)
{
    batch_t *self = (batch_t *)object;
    const grsn_model_t *model = &self->model->model;
    if (!PyBytes_Check(saved)) {
        PyErr_SetString(PyExc_TypeError, "saved states are bytes");
        return NULL;
    }
    if (!is_idle(self)) {
        return NULL;
    }
    if (PyBytes_Size(saved) != self->rows * (Py_ssize_t)model->saved_size) {
        PyErr_SetString(module_of(self)->state_error, grsn_strerror(GRSN_ERROR_STATE));
        return NULL;
    }
    void *aside = native_array(1, model->state_size);
    if (aside == NULL) {
        return NULL;
    }
    const grsn_status_t status = set_rows(self, (const uint8_t *)PyBytes_AsString(saved), aside);
    PyMem_Free(aside);
    if (status != GRSN_OK) {
        PyErr_SetString(module_of(self)->state_error, grsn_strerror(status));
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"step", (PyCFunction)(void (*)(void))batch_step, METH_FASTCALL,
     "step(observations, actions, part=0): one step of the part's rows on int32 buffers."},
    {"encode", batch_encode, METH_O, "encode(observations): floats to the codes of all rows."},
    {"advance", (PyCFunction)(void (*)(void))batch_advance, METH_FASTCALL,
     "advance(actions, part=0): one step of the part's rows from the codes, decoded."},
    {"reset", (PyCFunction)(void (*)(void))batch_reset, METH_FASTCALL,
     "reset(row): begin an episode of one row; of all without an argument."},
    {"state_get", batch_state_get, METH_NOARGS, "state_get(): every row's state as bytes."},
    {"state_set", batch_state_set, METH_O, "state_set(saved): take back what state_get gave."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef members[] = {
    {"rows", T_PYSSIZET, offsetof(batch_t, rows), READONLY, "streams"},
    {"parts", T_PYSSIZET, offsetof(batch_t, parts), READONLY, "shares for threads"},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "Batch(model, rows, parts=1): many states of one model."},
    {Py_tp_new, (void *)batch_new},
    {Py_tp_dealloc, (void *)batch_dealloc},
    {Py_tp_methods, methods},
    {Py_tp_members, members},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "grsn_edge._native.Batch",
    .basicsize = sizeof(batch_t),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = slots,
};

int native_add_batch(PyObject *module)
{
    return native_add_type(module, &spec, "Batch", NULL);
}
