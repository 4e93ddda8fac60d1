/* stream.c: grsn_edge._native.Stream, one state of a model and its step from Python.
 *
 * All memory is allocated when the stream is made; a step allocates nothing but the object that it
 * returns.  The GIL is kept: a step is shorter than giving it up.
 */
#include "native.h"

#include <string.h>

typedef struct {
    PyObject_HEAD
    native_model_t *model;
    native_step_t *step;
    void *state;
    void *scratch;
    int32_t *code;   /* observation_n */
    int32_t *result; /* action_n */
    float *floats;   /* observation_n */
    PyObject *convert;
    PyObject *copy;   /* of the array behind `action` */
    Py_buffer action; /* float32, what act decodes into; obj is NULL where there is none */
} stream_t;

static native_module_t *module_of(const stream_t *self)
{
    return native_of(Py_TYPE((PyObject *)self));
}

static int allocate(stream_t *self)
{
    const grsn_model_t *model = &self->model->model;
    self->state = native_array(1, model->state_size);
    self->scratch = native_array(1, model->scratch_size);
    self->code = native_array(model->observation_n, sizeof *self->code);
    self->result = native_array(model->action_n, sizeof *self->result);
    self->floats = native_array(model->observation_n, sizeof *self->floats);
    return self->state && self->scratch && self->code && self->result && self->floats ? 0 : -1;
}

/* Keep the array that act decodes into, and its method that gives a fresh one. */
static int keep_action(stream_t *self, PyObject *action)
{
    if (PyObject_GetBuffer(action, &self->action, PyBUF_FORMAT | PyBUF_ND | PyBUF_WRITABLE) < 0) {
        return -1;
    }
    const Py_ssize_t wanted = (Py_ssize_t)self->model->model.action_n;
    if (native_format(&self->action) != 'f' || self->action.ndim != 1 ||
        self->action.shape[0] != wanted) {
        PyErr_Format(module_of(self)->usage_error, "'action' must be a float32 array of %zd",
                     wanted);
        return -1;
    }
    self->copy = PyObject_GetAttrString(action, "copy");
    return self->copy == NULL ? -1 : 0;
}

static int initialise(stream_t *self, PyObject *model, PyObject *convert, PyObject *action)
{
    Py_INCREF(model);
    self->model = (native_model_t *)model;
    self->step = native_step();
    if (convert != NULL && convert != Py_None) {
        Py_INCREF(convert);
        self->convert = convert;
    }
    if (allocate(self) < 0) {
        return -1;
    }
    grsn_reset(&self->model->model, self->state);
    return action == NULL || action == Py_None ? 0 : keep_action(self, action);
}

static PyObject *stream_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"model", "convert", "action", NULL};
    PyObject *model, *convert = NULL, *action = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "O!|OO:Stream", names,
                                     native_of(type)->model_type, &model, &convert, &action)) {
        return NULL;
    }
    allocfunc allocate_object = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    stream_t *self = (stream_t *)allocate_object(type, 0);
    if (self != NULL && initialise(self, model, convert, action) < 0) {
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

static int stream_traverse(PyObject *object, visitproc visit, void *arg)
{
    stream_t *self = (stream_t *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->model);
    Py_VISIT(self->convert);
    Py_VISIT(self->copy);
    Py_VISIT(self->action.obj);
    return 0;
}

/* The model stays: what is left of a stream in a broken cycle must still be able to step. */
static int stream_clear(PyObject *object)
{
    stream_t *self = (stream_t *)object;
    Py_CLEAR(self->convert);
    return 0;
}

static void stream_dealloc(PyObject *object)
{
    stream_t *self = (stream_t *)object;
    PyObject_GC_UnTrack(object);
    stream_clear(object);
    Py_CLEAR(self->copy);
    if (self->action.obj != NULL) {
        PyBuffer_Release(&self->action);
    }
    PyMem_Free(self->state);
    PyMem_Free(self->scratch);
    PyMem_Free(self->code);
    PyMem_Free(self->result);
    PyMem_Free(self->floats);
    Py_CLEAR(self->model);
    native_free(object);
}

static PyObject *stream_reset(PyObject *object, PyObject *unused)
{
    stream_t *self = (stream_t *)object;
    (void)unused;
    grsn_reset(&self->model->model, self->state);
    Py_RETURN_NONE;
}

static PyObject *stream_step(PyObject *object, PyObject *const *args, Py_ssize_t n)
{
    stream_t *self = (stream_t *)object;
    const grsn_model_t *model = &self->model->model;
    PyObject *error = module_of(self)->observation_error;
    Py_buffer from, to;
    if (n != 2) {
        PyErr_SetString(PyExc_TypeError, "step takes an observation and an action");
        return NULL;
    }
    if (native_int32(args[0], &from, 0, (Py_ssize_t)model->observation_n, "an observation",
                     error) < 0) {
        return NULL;
    }
    if (native_int32(args[1], &to, PyBUF_WRITABLE, (Py_ssize_t)model->action_n, "an action",
                     module_of(self)->usage_error) < 0) {
        PyBuffer_Release(&from);
        return NULL;
    }
    /* Through own memory: the two buffers may be the same. */
    memcpy(self->code, from.buf, (size_t)from.len);
    self->step(model, self->state, self->scratch, self->code, self->result);
    memcpy(to.buf, self->result, (size_t)to.len);
    PyBuffer_Release(&to);
    PyBuffer_Release(&from);
    Py_RETURN_NONE;
}

/* A list or tuple of exact floats and ints: 1 where they were taken, else 0 without an error. */
static int take_sequence(PyObject *sequence, Py_ssize_t n, float *to)
{
    const int is_list = PyList_CheckExact(sequence);
    if (!is_list && !PyTuple_CheckExact(sequence)) {
        return 0;
    }
    if ((is_list ? PyList_Size(sequence) : PyTuple_Size(sequence)) != n) {
        return 0;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *item = is_list ? PyList_GetItem(sequence, i) : PyTuple_GetItem(sequence, i);
        if (!PyFloat_CheckExact(item) && !PyLong_CheckExact(item)) {
            return 0;
        }
        const double value = PyFloat_AsDouble(item);
        if (value == -1.0 && PyErr_Occurred()) {
            PyErr_Clear();
            return 0;
        }
        to[i] = (float)value;
    }
    return 1;
}

/* The long way: `convert` makes float32 of it or says what is wrong. */
static int take_converted(stream_t *self, PyObject *observation, Py_ssize_t n)
{
    PyObject *error = module_of(self)->observation_error;
    if (self->convert == NULL) {
        PyErr_Format(error, "an observation is a contiguous float32 or float64 array of %zd", n);
        return -1;
    }
    PyObject *converted = PyObject_CallFunctionObjArgs(self->convert, observation, NULL);
    if (converted == NULL) {
        return -1;
    }
    const int taken = native_floats(converted, -1, n, self->floats);
    Py_DECREF(converted);
    if (!taken) {
        PyErr_Format(error, "'convert' must give a contiguous float32 array of %zd", n);
    }
    return taken ? 0 : -1;
}

static int take_observation(stream_t *self, PyObject *observation)
{
    const Py_ssize_t n = (Py_ssize_t)self->model->model.observation_n;
    if (!take_sequence(observation, n, self->floats) &&
        !native_floats(observation, -1, n, self->floats) &&
        take_converted(self, observation, n) < 0) {
        return -1;
    }
    return native_encode(self->model, self->floats, self->code, -1,
                         module_of(self)->observation_error);
}

static PyObject *stream_act(PyObject *object, PyObject *observation)
{
    stream_t *self = (stream_t *)object;
    native_model_t *model = self->model;
    if (!native_has_codec(self->model, module_of(self)->usage_error)) {
        return NULL;
    }
    if (!model->is_discrete && self->copy == NULL) {
        PyErr_SetString(module_of(self)->usage_error,
                        "act of this policy needs the array 'action'; use act_into without");
        return NULL;
    }
    if (take_observation(self, observation) < 0) {
        return NULL;
    }
    self->step(&model->model, self->state, self->scratch, self->code, self->result);
    if (model->is_discrete) {
        return PyLong_FromLong(self->result[0]);
    }
    native_write_action(model, self->result, &self->action, 0);
    return PyObject_CallNoArgs(self->copy);
}

static PyObject *stream_act_into(PyObject *object, PyObject *const *args, Py_ssize_t n)
{
    stream_t *self = (stream_t *)object;
    native_model_t *model = self->model;
    Py_buffer to;
    if (n != 2) {
        PyErr_SetString(PyExc_TypeError, "act_into takes an observation and an action");
        return NULL;
    }
    if (!native_has_codec(self->model, module_of(self)->usage_error) ||
        native_action(model, args[1], -1, &to, module_of(self)->usage_error) < 0) {
        return NULL;
    }
    if (take_observation(self, args[0]) < 0) {
        PyBuffer_Release(&to);
        return NULL;
    }
    self->step(&model->model, self->state, self->scratch, self->code, self->result);
    native_write_action(model, self->result, &to, 0);
    PyBuffer_Release(&to);
    Py_RETURN_NONE;
}

static PyObject *stream_state_get(PyObject *object, PyObject *unused)
{
    stream_t *self = (stream_t *)object;
    (void)unused;
    const grsn_model_t *model = &self->model->model;
    PyObject *saved = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)model->saved_size);
    if (saved != NULL) {
        grsn_state_get(model, self->state, (uint8_t *)PyBytes_AsString(saved));
    }
    return saved;
}

static PyObject *stream_state_set(PyObject *object, PyObject *saved)
{
    stream_t *self = (stream_t *)object;
    if (!PyBytes_Check(saved)) {
        PyErr_SetString(PyExc_TypeError, "a saved state is bytes");
        return NULL;
    }
    grsn_status_t status =
        grsn_state_set(&self->model->model, self->state,
                       (const uint8_t *)PyBytes_AsString(saved), (size_t)PyBytes_Size(saved));
    if (status != GRSN_OK) {
        PyErr_SetString(module_of(self)->state_error, grsn_strerror(status));
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *stream_selftest(PyObject *object, PyObject *unused)
{
    stream_t *self = (stream_t *)object;
    (void)unused;
    const int32_t step = grsn_selftest(&self->model->model, self->state, self->scratch);
    grsn_reset(&self->model->model, self->state);
    return PyLong_FromLong(step);
}

static PyMethodDef methods[] = {
    {"step", (PyCFunction)(void (*)(void))stream_step, METH_FASTCALL,
     "step(observation, action): one step on int32 buffers."},
    {"act", stream_act, METH_O, "act(observation): one step from floats; the action."},
    {"act_into", (PyCFunction)(void (*)(void))stream_act_into, METH_FASTCALL,
     "act_into(observation, action): one step from floats, the action written to a buffer."},
    {"reset", stream_reset, METH_NOARGS, "reset(): begin an episode."},
    {"state_get", stream_state_get, METH_NOARGS, "state_get(): the state's integers as bytes."},
    {"state_set", stream_state_set, METH_O, "state_set(saved): take back what state_get gave."},
    {"selftest", stream_selftest, METH_NOARGS,
     "selftest(): replay the golden vectors, then reset; -1, or the first step that differs."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "Stream(model, convert=None, action=None): one state of a model."},
    {Py_tp_new, (void *)stream_new},
    {Py_tp_dealloc, (void *)stream_dealloc},
    {Py_tp_traverse, (void *)stream_traverse},
    {Py_tp_clear, (void *)stream_clear},
    {Py_tp_methods, methods},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "grsn_edge._native.Stream",
    .basicsize = sizeof(stream_t),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = slots,
};

int native_add_stream(PyObject *module)
{
    return native_add_type(module, &spec, "Stream", NULL);
}
