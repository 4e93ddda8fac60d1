/* model.c: grsn_edge._native.Model, an opened policy image. */
#include "native.h"

#include <string.h>

/* Whether the image has a decoder, and of what kind, by decoding zeros. */
static int look_for_codec(native_model_t *self)
{
    const size_t n = self->model.action_n;
    int32_t *action = native_array(n, sizeof *action);
    float *command = native_array(n, sizeof *command);
    if (action != NULL && command != NULL) {
        const int32_t kind = grsn_decode(&self->model, action, command);
        self->has_codec = kind != GRSN_NO_ENCODER &&
                          grsn_section(&self->model, GRSN_SECTION_ENCODER, NULL) != NULL;
        self->is_discrete = kind == 1;
    }
    PyMem_Free(action);
    PyMem_Free(command);
    return action != NULL && command != NULL ? 0 : -1;
}

static int open_image(native_model_t *self, const char *image, Py_ssize_t size, PyObject *error)
{
    /* A copy: aligned, and alive as long as the model. */
    self->image = native_array(1, (size_t)size);
    if (self->image == NULL) {
        return -1;
    }
    memcpy(self->image, image, (size_t)size);
    grsn_status_t status = grsn_open(&self->model, self->image, (size_t)size);
    if (status == GRSN_OK) {
        return look_for_codec(self);
    }
    PyErr_Format(error, "policy image of %zd bytes: %s (%d)", size, grsn_strerror(status),
                 (int)status);
    return -1;
}

static PyObject *model_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"image", NULL};
    const char *image;
    Py_ssize_t size;
    PyObject *bytes;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "S:Model", names, &bytes)) {
        return NULL;
    }
    image = PyBytes_AsString(bytes);
    size = PyBytes_Size(bytes);
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    native_model_t *self = (native_model_t *)allocate(type, 0);
    if (self != NULL && open_image(self, image, size, native_of(type)->backend_error) < 0) {
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

static void model_dealloc(PyObject *self)
{
    PyMem_Free(((native_model_t *)self)->image);
    native_free(self);
}

static PyObject *model_hash(PyObject *self, void *closure)
{
    (void)closure;
    return PyBytes_FromStringAndSize(
        (const char *)grsn_model_hash(&((native_model_t *)self)->model), GRSN_HASH_SIZE);
}

static PyObject *model_is_discrete(PyObject *self, void *closure)
{
    const native_model_t *model = (native_model_t *)self;
    (void)closure;
    if (!model->has_codec) {
        Py_RETURN_NONE;
    }
    return PyBool_FromLong(model->is_discrete);
}

#define MODEL_NUMBER(name, text)                                                                   \
    {#name, T_UINT, (Py_ssize_t)(offsetof(native_model_t, model) + offsetof(grsn_model_t, name)),  \
     READONLY, text}

static PyMemberDef members[] = {
    MODEL_NUMBER(observation_n, "integers of all inputs"),
    MODEL_NUMBER(action_n, "integers of all outputs"),
    MODEL_NUMBER(state_size, "bytes of one state"),
    MODEL_NUMBER(scratch_size, "bytes that a step needs beside"),
    MODEL_NUMBER(saved_size, "bytes of a state as state_get gives it"),
    MODEL_NUMBER(period_us, "sampling period in microseconds, or 0"),
    MODEL_NUMBER(golden_steps, "steps of the recorded trajectory, or 0"),
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef properties[] = {
    {"is_discrete", model_is_discrete, NULL, "whether the action is an index; None without decoder",
     NULL},
    {"model_hash", model_hash, NULL, "the policy's model hash, 32 bytes", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "Model(image: bytes): an opened policy image, checked once, immutable."},
    {Py_tp_new, (void *)model_new},
    {Py_tp_dealloc, (void *)model_dealloc},
    {Py_tp_members, members},
    {Py_tp_getset, properties},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "grsn_edge._native.Model",
    .basicsize = sizeof(native_model_t),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = slots,
};

int native_add_model(PyObject *module)
{
    native_module_t *state = PyModule_GetState(module);
    return native_add_type(module, &spec, "Model", &state->model_type);
}
